"""The portal of a server of our own."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from twisted.cred.portal import Portal
from twisted.python.threadpool import ThreadPool

from twisted_duck.auth.checker import BeforeLogin, DirectoryChecker, LoginFailed
from twisted_duck.auth.interfaces import IUserDirectory, UserRecord
from twisted_duck.auth.passwords import DEFAULT, Argon2Parameters, PasswordHasher
from twisted_duck.auth.realm import AccountRealm
from twisted_duck.auth.throttle import LoginThrottle
from twisted_duck.auth.verified import VerifiedPasswords
from twisted_duck.interfaces import IAccount
from twisted_duck.limits import DEFAULTS, Limits


def make_portal(
    directory: IUserDirectory,
    account_for: Callable[[str], Awaitable[IAccount]],
    reactor: Any,
    limits: Limits | None = None,
    parameters: Argon2Parameters = DEFAULT,
    login_failed: LoginFailed | None = None,
    scram: Mapping[str, int] | None = None,
    verified: VerifiedPasswords | None = None,
    account_of: Callable[[UserRecord], IAccount] | None = None,
    before_login: BeforeLogin | None = None,
    threads: ThreadPool | None = None,
) -> Portal:
    """A portal that logs in the users of `directory`; one for all protocols, so that they share a throttle.

    `account_for(name)` opens the account of a user (awaitable of L{IAccount}, fails with NonExistent);
    `login_failed(session, name, password)` is told of each wrong password, and `before_login(session)` is asked before one is
    looked at, see L{DirectoryChecker}.  With `scram`
    (`verifiers.ITERATIONS`) and an L{IScramDirectory}, users whose verifiers are stored can log in by SCRAM, and those of
    the others are stored when they log in by password.  With `verified`, passwords that were good a moment ago are not hashed
    again; it has a timer, which `verified.clear()` ends.  `account_of`, where there is one, opens the account of a user who
    was just found in the directory, so that nobody looks there again.  Passwords are hashed in `threads`, or in those of the
    reactor: each thread that has hashed keeps its 19 MiB, so a pool of its own, of `limits.hashing_threads`, bounds that.
    """
    limits = limits or DEFAULTS
    checker = DirectoryChecker(
        directory,
        PasswordHasher(reactor, limits, parameters, threads),
        LoginThrottle(reactor, limits),
        login_failed,
        scram,
        verified,
        before_login,
    )
    return Portal(AccountRealm(account_for, account_of), [checker])
