"""An existing Twisted application's mailboxes, served by us.

`IAccount(avatar)` gives an account for any avatar that provides `twisted.mail.interfaces.IAccountIMAP`.  It has what
such an account can back and nothing more: no UIDPLUS, MOVE, CONDSTORE or SPECIAL-USE.  `IMaildropAccount(avatar)` does
the same for an avatar that provides `twisted.mail.interfaces.IMailboxPOP3`.

Implementation notes:

* Mailboxes are asked for messages by UID, never by sequence number: numbers are the view's affair.
* An index is built from what the mailbox says of its messages, and is compared with it again when a listener is called
  or the mailbox's counts have moved.  Its modseqs are its own: they ascend, and mean nothing to anybody else.
* Appending or copying several messages is not one change, since there is no such thing over there.
"""

from twisted_duck.adapters.from_twisted.account import AdaptedAccount
from twisted_duck.adapters.from_twisted.mailbox import AdaptedMailbox
from twisted_duck.adapters.from_twisted.maildrop import AdaptedMaildrop, AdaptedMaildropAccount

__all__ = ["AdaptedAccount", "AdaptedMailbox", "AdaptedMaildrop", "AdaptedMaildropAccount"]
