"""Our mailboxes, served by the stock servers of `twisted.mail`.

`TwistedRealm(realm)` makes a cred realm whose avatars provide `IAccount` fit for `twisted.mail.imap4.IMAP4Server` and
`twisted.mail.pop3.POP3`.  `TwistedAccount` and `Maildrop` are the avatars it gives.

Implementation notes, on what the stock servers leave us:

* `IMAP4Server` asks a message for its headers and bodies without waiting, and never says beforehand what it is going to
  ask for.  So a FETCH through it reads the whole of each message first, into one temporary file.  SEARCH, STATUS,
  STORE and COPY are the store's own.
* It waits for no CREATE, DELETE, RENAME or SUBSCRIBE.  What comes after them waits instead; a failure is the client's to
  see where the store answers at once, and is otherwise logged.
* It has no way to hear of messages that others expunge.  They keep their sequence numbers until the client's own
  EXPUNGE, which tells of all of them.
* It writes headers as ASCII, field by field.  What has eight bits becomes `?` there; BODY[] is exact.
"""

from twisted_duck.adapters.to_twisted.account import TwistedAccount
from twisted_duck.adapters.to_twisted.mailbox import TwistedMailbox
from twisted_duck.adapters.to_twisted.maildrop import Maildrop
from twisted_duck.adapters.to_twisted.message import TwistedMessage
from twisted_duck.adapters.to_twisted.realm import TwistedRealm

__all__ = ["Maildrop", "TwistedAccount", "TwistedMailbox", "TwistedMessage", "TwistedRealm"]
