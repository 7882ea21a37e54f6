"""Logging in through any cred portal, with our errors only."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.cred.error import LoginFailed, UnhandledCredentials
from twisted.cred.portal import Portal
from twisted.internet.defer import CancelledError
from twisted.logger import Logger
from zope.interface import Interface

from twisted_duck import errors, sasl
from twisted_duck.auth.credentials import PasswordCredentials
from twisted_duck.session import Session

_log = Logger()


async def log_in(
    portal: Portal, given: sasl.Credentials, session: Session, *interfaces: type[Interface]
) -> tuple[type[Interface], Any, Callable[[], Any]]:
    """What `portal.login` gives: an interface, the avatar, and what to call at the end.

    Fails with errors of ours: AuthenticationFailed for wrong credentials, and whatever our own portal fails with.  A
    portal of somebody else that fails in any other way is logged and is Unavailable: it is no wrong password, and its
    words are not for clients.
    """
    try:
        credentials = PasswordCredentials.of(given, session)
        answer: tuple[type[Interface], Any, Callable[[], Any]]
        answer = await portal.login(credentials, session, *interfaces)
    except (errors.DuckError, CancelledError):
        raise
    except UnhandledCredentials:
        _log.error("the portal has no checker for IUsernamePassword")
        raise errors.Unavailable("nobody can log in by password here") from None
    except LoginFailed:
        raise errors.AuthenticationFailed("wrong name or password") from None
    except Exception as error:
        _log.failure("{session.id} login of {user!r} failed", session=session, user=given.name)
        raise errors.Unavailable("logging in is not possible now; try again later") from error
    return answer
