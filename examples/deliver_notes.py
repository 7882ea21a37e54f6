r"""Mail to the people of an existing Twisted application becomes whatever it makes of it: here, a note.

    python examples/deliver_notes.py
    python -c 'from smtplib import LMTP; LMTP("127.0.0.1", 1024).sendmail("", "ada@example.org", "Subject: Feed the duck\n\n")'

The application is `notes_application.py`, which `serve_notes.py` serves by IMAP.
"""

import sys
from io import BytesIO

from notes_application import NotesApplication
from serving import serve
from twisted.internet.defer import Deferred
from twisted.internet.task import react
from twisted.python.log import startLogging
from zope.interface import implementer

from twisted_duck.errors import NonExistent
from twisted_duck.interfaces import IDelivery
from twisted_duck.lmtp.factory import LMTPFactory
from twisted_duck.values import Recipient


@implementer(IDelivery)
class NotesDelivery:
    def __init__(self, application):
        self.accounts = application.accounts

    async def resolve(self, local, domain, size):
        name = local.lower().encode()
        if name not in self.accounts:
            raise NonExistent("nobody we know")
        return Recipient(name, local)

    async def prepare(self, content):
        return content.data[:]

    async def deliver(self, recipient, message, trace, junk):
        notes = self.accounts[recipient.user].select("INBOX")
        await notes.addMessage(BytesIO(trace + message))
        return "INBOX"


async def main(reactor, endpoint="tcp:1024:interface=127.0.0.1"):
    startLogging(sys.stderr)
    await serve(reactor, [(endpoint, LMTPFactory(NotesDelivery(NotesApplication())))])
    await Deferred()  # until it is interrupted


if __name__ == "__main__":
    react(lambda reactor, *given: Deferred.fromCoroutine(main(reactor, *given)), sys.argv[1:])
