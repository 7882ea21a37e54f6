"""Serve Twisted Duck's mailboxes in MongoDB through the IMAP and POP3 servers of Twisted itself.

    python examples/stock_servers.py mongodb://localhost/duckmail?replicaSet=rs0

Users are made with `duckmail user add NAME --mongo URI`.
"""

import sys

from serving import serve
from twisted.internet.defer import Deferred
from twisted.internet.protocol import Factory
from twisted.internet.task import react
from twisted.mail.imap4 import IMAP4Server
from twisted.mail.pop3 import POP3
from twisted.python.log import startLogging

from twisted_duck.adapters.to_twisted import TwistedRealm
from twisted_duck.auth import make_portal
from twisted_duck.guard import GuardedFactory
from twisted_duck.limits import Limits
from twisted_duck.store.store import open_store

ENDPOINTS = ("tcp:1143:interface=127.0.0.1", "tcp:1110:interface=127.0.0.1")


async def serve_mail(reactor, uri, imap=ENDPOINTS[0], pop3=ENDPOINTS[1]):
    """Open the store and listen; the store and both ports."""
    store = await open_store(reactor, uri, Limits())
    portal = make_portal(store.directory, store.account, reactor)
    # All there is to it: avatars become what the servers of twisted.mail expect.
    portal.realm = TwistedRealm(portal.realm)

    def factory(class_):
        def protocol():
            made = class_()
            made.portal = portal
            return made

        # A guard without hooks, for its `shutDown`.
        return GuardedFactory(Factory.forProtocol(protocol))

    listeners = [(imap, factory(IMAP4Server)), (pop3, factory(POP3))]
    return store, *await serve(reactor, listeners, store)


async def main(reactor, uri, *endpoints):
    startLogging(sys.stderr)
    await serve_mail(reactor, uri, *endpoints)
    await Deferred()  # until it is interrupted


if __name__ == "__main__":
    react(lambda reactor, *given: Deferred.fromCoroutine(main(reactor, *given)), sys.argv[1:])
