r"""Serve mail that is kept in memory by IMAP and POP3, and take it by LMTP.

    python examples/memory_mail.py
    python -c 'from smtplib import LMTP; LMTP("127.0.0.1", 1024).sendmail("", "ada@example.org", "Subject: hello\n\nhello")'
    curl imap://ada%40example.org:secret@127.0.0.1:1143/INBOX -X "FETCH 1:* ENVELOPE"

`test_memory_mail.py` tests it.
"""

import sys

from serving import serve
from twisted.cred.portal import Portal
from twisted.internet.defer import Deferred
from twisted.internet.task import react
from twisted.python.log import startLogging

from twisted_duck.imap.factory import IMAP4Factory
from twisted_duck.lmtp.factory import LMTPFactory
from twisted_duck.memory import MemoryStore
from twisted_duck.pop3.factory import POP3Factory


def make_factories(**options):
    store = MemoryStore()
    store.add_user("ada@example.org", "secret")
    portal = Portal(store, [store])
    imap = IMAP4Factory(portal, cleartextAuth="loopback", **options)
    pop3 = POP3Factory(portal, cleartextAuth="loopback", **options)
    lmtp = LMTPFactory(store.delivery(), **options)
    return imap, pop3, lmtp


ENDPOINTS = [f"tcp:{port}:interface=127.0.0.1" for port in (1143, 1110, 1024)]


async def main(reactor, *endpoints):
    startLogging(sys.stderr)
    await serve(reactor, list(zip(endpoints or ENDPOINTS, make_factories(), strict=True)))
    await Deferred()  # until it is interrupted


if __name__ == "__main__":
    react(lambda reactor, *given: Deferred.fromCoroutine(main(reactor, *given)), sys.argv[1:])
