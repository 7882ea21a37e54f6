"""Code of an administrator's own, as a configuration names it."""

from __future__ import annotations

from twisted.internet.defer import Deferred

from twisted_duck.errors import ConnectionRefused
from twisted_duck.policies import Policy
from twisted_duck.session import Session

#: What happened, in order: the hook, and the session as it was then.
seen: list[tuple[str, Session, bool, str | None, str]] = []


def _note(hook: str, session: Session) -> None:
    version = session.tls.version if session.tls else None
    seen.append((hook, session, session.secure, version, session.remoteAddress))


async def connect(session: Session) -> None:
    _note("connect", session)


def authenticated(session: Session) -> None:
    _note("authenticated", session)


def close(session: Session) -> None:
    _note("close", session)


def sunday(session: Session) -> None:
    raise ConnectionRefused("not on Sundays")


def never(session: Session) -> Deferred[None]:
    return Deferred()


class Quota(Policy):
    def __init__(self, most: int = 1) -> None:
        super().__init__("quota")
        self.most = most


def quota(most: int) -> Quota:
    return Quota(most)


def nothing() -> None:
    """Makes no policy."""


def broken() -> Policy:
    raise LookupError("no such quota\nin two lines")


instance = Quota(7)
not_callable = 3
