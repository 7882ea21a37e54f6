"""Serve mail that is kept in MongoDB to users whom somebody else knows: here, to those of a file.

    echo ada:secret >passwords
    python examples/mongodb_mail.py mongodb://localhost/duckmail?replicaSet=rs0 passwords

Their mail is made with `duckmail user add NAME --mongo URI`, whatever the password that it asks for.
"""

import sys

from serving import serve
from twisted.cred.checkers import FilePasswordDB
from twisted.cred.portal import Portal
from twisted.internet.defer import Deferred
from twisted.internet.task import react
from twisted.python.log import startLogging

from twisted_duck.auth import AccountRealm
from twisted_duck.imap.factory import IMAP4Factory
from twisted_duck.limits import Limits
from twisted_duck.lmtp.factory import LMTPFactory
from twisted_duck.pop3.factory import POP3Factory
from twisted_duck.store.store import open_store

ENDPOINTS = [f"tcp:{port}:interface=127.0.0.1" for port in (1143, 1110, 1024)]


async def serve_mail(reactor, uri, checker, endpoints=ENDPOINTS):
    """Open the store and listen; the store and the ports."""
    store = await open_store(reactor, uri, Limits())
    portal = Portal(AccountRealm(store.account), [checker])
    factories = [
        IMAP4Factory(portal, cleartextAuth="loopback"),
        POP3Factory(portal, cleartextAuth="loopback"),
        LMTPFactory(store.delivery()),
    ]
    return store, await serve(reactor, list(zip(endpoints, factories, strict=True)), store)


async def main(reactor, uri, passwords, *endpoints):
    startLogging(sys.stderr)
    await serve_mail(reactor, uri, FilePasswordDB(passwords), endpoints or ENDPOINTS)
    await Deferred()  # until it is interrupted


if __name__ == "__main__":
    react(lambda reactor, *given: Deferred.fromCoroutine(main(reactor, *given)), sys.argv[1:])
