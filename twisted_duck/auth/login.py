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
from twisted_duck.auth.credentials import PasswordCredentials, ScramCredentials
from twisted_duck.outflow import ConnectionOver
from twisted_duck.session import Session

_log = Logger()


async def log_in(
    portal: Portal,
    given: sasl.Credentials | ScramCredentials,
    session: Session,
    *interfaces: type[Interface],
) -> tuple[type[Interface], Any, Callable[[], Any]]:
    """What `portal.login` gives: an interface, the avatar, and what to call at the end.

    Fails with errors of ours: AuthenticationFailed for wrong credentials, and whatever our own portal fails with.  A
    portal of somebody else that fails in any other way is logged and is Unavailable: it is no wrong password, and its
    words are not for clients.  With ConnectionOver where the client was lost in the middle of an exchange.
    """
    credentials = (
        PasswordCredentials.of(given, session) if isinstance(given, sasl.Credentials) else given
    )
    try:
        answer: tuple[type[Interface], Any, Callable[[], Any]]
        answer = await portal.login(credentials, session, *interfaces)
    except (errors.DuckError, CancelledError, ConnectionOver):
        raise
    except UnhandledCredentials:
        _log.error(
            "{session.id} the portal has no checker for {kind}",
            session=session,
            kind=type(credentials).__name__,
        )
        raise errors.Unavailable("nobody can log in in this way here") from None
    except LoginFailed:
        raise errors.AuthenticationFailed("wrong name or password") from None
    except Exception as error:
        _log.failure("{session.id} login of {user!r} failed", session=session, user=given.name)
        raise errors.Unavailable("logging in is not possible now; try again later") from error
    return answer
