"""Between our interfaces and those of `twisted.mail`, both ways round.

Importing this package registers the adapters, so that `IAccount(avatar)` serves an existing application's account, and
`IMaildropAccount(avatar)` its maildrop.
"""

from twisted.mail.interfaces import IAccountIMAP, IMailboxPOP3
from twisted.python.components import registerAdapter

from twisted_duck.adapters.from_twisted import AdaptedAccount, AdaptedMaildropAccount
from twisted_duck.interfaces import IAccount, IMaildropAccount

registerAdapter(AdaptedAccount, IAccountIMAP, IAccount)
registerAdapter(AdaptedMaildropAccount, IMailboxPOP3, IMaildropAccount)
