"""Serve an existing Twisted application's mailboxes, with its own logins, through Twisted Duck's IMAP server.

    python examples/serve_notes.py
    curl imap://ada:secret@127.0.0.1:1143/INBOX -X "FETCH 1:* ENVELOPE"

The application is `notes_application.py`: an account that provides `IAccountIMAP`, mailboxes that provide
`IMailboxIMAP`, a checker and a realm.  It stays as it is.
"""

import sys

from notes_application import NotesApplication
from serving import serve
from twisted.cred.portal import Portal
from twisted.internet.defer import Deferred
from twisted.internet.task import react
from twisted.python.log import startLogging

from twisted_duck.imap.factory import IMAP4Factory


async def serve_notes(reactor, endpoint="tcp:1143:interface=127.0.0.1"):
    """Listen; the port."""
    application = NotesApplication()
    portal = Portal(application, [application])
    # The port is in clear and on this machine only; anywhere else give the factory `tls` instead.
    factory = IMAP4Factory(portal, cleartextAuth="loopback")
    [port] = await serve(reactor, [(endpoint, factory)])
    return port


async def main(reactor, *endpoint):
    startLogging(sys.stderr)
    await serve_notes(reactor, *endpoint)
    await Deferred()  # until it is interrupted


if __name__ == "__main__":
    react(lambda reactor, *given: Deferred.fromCoroutine(main(reactor, *given)), sys.argv[1:])
