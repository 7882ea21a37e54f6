"""Between our interfaces and those of `twisted.mail`, both ways round.

Importing this package registers the adapters, so that `IAccount(avatar)` serves an existing application's account.
"""

from twisted.mail.interfaces import IAccountIMAP
from twisted.python.components import registerAdapter

from twisted_duck.adapters.from_twisted import AdaptedAccount
from twisted_duck.interfaces import IAccount

registerAdapter(AdaptedAccount, IAccountIMAP, IAccount)
