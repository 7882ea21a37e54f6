"""Who may log in: password hashes, the throttle, and the cred portal over a directory of users.

    portal.login(PasswordCredentials(name, password, session), session, IAccount)

is all a protocol does (`login.log_in` does it and turns cred's errors into ours); any other portal of a Twisted
application whose checkers take `IUsernamePassword` can stand in place of the one that `make_portal` builds, with
`AccountRealm` or a realm of its own.  SCRAM is offered where a checker of the portal takes `IScramCredentials`.
"""

from __future__ import annotations

from twisted_duck.auth.checker import LoginRefused, LoginThrottled
from twisted_duck.auth.credentials import PasswordCredentials, ScramCredentials
from twisted_duck.auth.interfaces import (
    IPasswordUpgrades,
    IScramCredentials,
    IScramDirectory,
    IUserDirectory,
    UserRecord,
)
from twisted_duck.auth.login import log_in
from twisted_duck.auth.passwords import TooManyLogins
from twisted_duck.auth.portal import make_portal
from twisted_duck.auth.realm import AccountRealm
from twisted_duck.auth.verified import VerifiedPasswords

__all__ = [
    "AccountRealm",
    "IPasswordUpgrades",
    "IScramCredentials",
    "IScramDirectory",
    "IUserDirectory",
    "LoginRefused",
    "LoginThrottled",
    "PasswordCredentials",
    "ScramCredentials",
    "TooManyLogins",
    "UserRecord",
    "VerifiedPasswords",
    "log_in",
    "make_portal",
]
