"""Where timers are set when nobody says otherwise."""

from __future__ import annotations

from twisted.internet.interfaces import IReactorTime


def reactor_clock() -> IReactorTime:
    """The global reactor, imported only when somebody needs it."""
    from twisted.internet import reactor

    return IReactorTime(reactor)
