"""A server of this checkout whose turns are watched: the process that `blocks` and `million` measure.

    python -m benchmarks.served URI USER PASSWORD

The store on the MongoDB at URI, with a user made if there is none, over IMAP, POP3 and LMTP on ports of the loopback, which
are the first thing it prints, in this order.  Each line on its standard input is answered by a line of JSON, what has been since the line before: the
longest time between two turns of the reactor (`longest`, milliseconds), the longest that it was at work itself between two
(`busy`, milliseconds of CPU: what counts where others keep the machine busy, too), how many of these were longer than the
bound (`over`), the seconds of CPU in all (`cpu`).  It ends with its input.

A timer that is due every two milliseconds is what has its turns: what it waits for longer, anybody would have.
"""

from __future__ import annotations

import json
import resource
import sys
import time
from typing import Any

from twisted.internet import reactor as _reactor
from twisted.internet.defer import Deferred, ensureDeferred, maybeDeferred
from twisted.internet.stdio import StandardIO
from twisted.internet.task import react
from twisted.protocols.basic import LineOnlyReceiver

from twisted_duck.auth import make_portal
from twisted_duck.errors import AlreadyExists
from twisted_duck.imap.factory import IMAP4Factory
from twisted_duck.limits import Limits
from twisted_duck.lmtp.factory import LMTPFactory
from twisted_duck.pop3.factory import POP3Factory
from twisted_duck.service.maker import spare_collector
from twisted_duck.store.store import open_store

reactor: Any = _reactor

#: Milliseconds that nothing may take at a stretch.
BOUND = 50
#: Seconds between two turns of the timer.
_APART = 0.002


class Turns:
    """How long the reactor's turns are."""

    def __init__(self) -> None:
        self._last = time.perf_counter()
        self._cpu = self._used()
        self._busy_until = time.thread_time()
        self._longest = self._busy = 0.0
        self._over = 0
        self._turn()

    def _turn(self) -> None:
        now = time.perf_counter()
        waited = 1000 * (now - self._last - _APART)
        self._longest = max(self._longest, waited)
        self._last = now
        busy = time.thread_time()
        worked = 1000 * (busy - self._busy_until)
        self._busy = max(self._busy, worked)
        self._over += worked > BOUND
        self._busy_until = busy
        reactor.callLater(_APART, self._turn)

    @staticmethod
    def _used() -> float:
        used = resource.getrusage(resource.RUSAGE_SELF)
        return used.ru_utime + used.ru_stime

    def told(self) -> dict[str, float]:
        """What has been since this was asked last."""
        used = self._used()
        found = {
            "longest": self._longest,
            "busy": self._busy,
            "over": self._over,
            "cpu": used - self._cpu,
        }
        self._longest, self._busy, self._over, self._cpu = 0.0, 0.0, 0, used
        return found


class Input(LineOnlyReceiver):
    delimiter = b"\n"

    def __init__(self, turns: Turns, ended: Deferred[None]) -> None:
        self._turns, self._ended = turns, ended

    def lineReceived(self, line: bytes) -> None:
        self.sendLine(json.dumps(self._turns.told()).encode())

    def connectionLost(self, reason: object = None) -> None:
        self._ended.callback(None)


async def main(uri: str, user: str, password: str) -> None:
    limits = Limits()
    store = await open_store(reactor, uri, limits)
    try:
        await store.add_user(user, password)
    except AlreadyExists:
        pass
    portal = make_portal(store.directory, store.account, reactor, limits)
    factories = (
        IMAP4Factory(portal, limits=limits, cleartextAuth="loopback"),
        POP3Factory(portal, limits=limits, cleartextAuth="loopback"),
        LMTPFactory(store.delivery(), limits=limits),
    )
    ports = [reactor.listenTCP(0, each, interface="127.0.0.1") for each in factories]
    print(*(port.getHost().port for port in ports), flush=True)
    ended: Deferred[None] = Deferred()
    spare_collector()
    StandardIO(Input(Turns(), ended))
    await ended
    for port in ports:
        await maybeDeferred(port.stopListening)
    await store.close()


if __name__ == "__main__":
    react(lambda _, *given: ensureDeferred(main(*given)), sys.argv[1:])
