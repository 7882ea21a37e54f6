"""A server process whose turns are watched (`benchmarks.served`), over IMAP, POP3 and LMTP.

    python -m tests.hostile.served URI USER PASSWORD

The first line that it prints has the three ports.
"""

from __future__ import annotations

import gc
import sys
from typing import Any

from twisted.internet import reactor as _reactor
from twisted.internet.defer import Deferred, ensureDeferred
from twisted.internet.stdio import StandardIO
from twisted.internet.task import react

from benchmarks.served import Input, Turns
from twisted_duck.addresses import AddressRules
from twisted_duck.auth import make_portal
from twisted_duck.imap.factory import IMAP4Factory
from twisted_duck.limits import Limits
from twisted_duck.lmtp.factory import LMTPFactory
from twisted_duck.pop3.factory import POP3Factory
from twisted_duck.store.store import open_store

reactor: Any = _reactor


async def main(uri: str, user: str, password: str) -> None:
    limits = Limits()
    store = await open_store(reactor, uri, limits)
    await store.add_user(user, password)
    portal = make_portal(store.directory, store.account, reactor, limits)
    factories = (
        IMAP4Factory(portal, limits=limits, cleartextAuth="always"),
        POP3Factory(portal, limits=limits, cleartextAuth="always"),
        LMTPFactory(store.delivery(AddressRules()), limits=limits),
    )
    ports = [reactor.listenTCP(0, factory, interface="127.0.0.1") for factory in factories]
    # As the service does when it listens.
    gc.collect()
    gc.freeze()
    gc.set_threshold(10_000, 10, 10)
    print(*(port.getHost().port for port in ports), flush=True)
    ended: Deferred[None] = Deferred()
    StandardIO(Input(Turns(), ended))
    await ended
    for port in ports:
        await port.stopListening()
    await store.close()


if __name__ == "__main__":
    react(lambda _, *given: ensureDeferred(main(*given)), sys.argv[1:])
