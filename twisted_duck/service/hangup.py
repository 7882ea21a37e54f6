"""SIGHUP: the administrator has changed something, or, to a process in a terminal, the terminal is gone."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from typing import Any


class Hangup:
    """Has a function called, by the reactor, whenever SIGHUP comes.

    A process whose terminal was closed has nobody to look after it: it is ended as by Ctrl-C, which SIGHUP is for without
    a handler.
    """

    def __init__(self, reactor: Any, function: Callable[[], None]) -> None:
        self._reactor = reactor
        self._function = function
        self._before: Any = None
        self._installed = False
        self._terminal = False

    def install(self) -> None:
        """Does nothing in a thread that hears of no signals: then there is an application that has its own ways."""
        try:
            self._before = signal.signal(signal.SIGHUP, self._heard)
        except ValueError:
            return
        self._installed = True
        self._terminal = _has_terminal()

    def remove(self) -> None:
        if self._installed:
            self._installed = False
            signal.signal(signal.SIGHUP, self._before or signal.SIG_DFL)

    def _heard(self, number: int, frame: object) -> None:
        # Between any two instructions: the reactor has to find its own time.
        self._reactor.callFromThread(self._act)

    def _act(self) -> None:
        if self._terminal and not _has_terminal():
            os.kill(os.getpid(), signal.SIGTERM)
        elif self._installed:
            self._function()


def _has_terminal() -> bool:
    try:
        os.close(os.open("/dev/tty", os.O_RDONLY | os.O_NOCTTY))
    except OSError:
        return False
    return True
