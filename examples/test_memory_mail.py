"""How an application is tested that serves mail: in memory, with a clock that moves when it is told to.

    PYTHONPATH=examples trial test_memory_mail

No socket is opened, and no test waits: the transports are strings.
"""

from memory_mail import make_factories
from twisted.internet.address import IPv4Address
from twisted.internet.error import ConnectionDone
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase


class Client:
    def __init__(self, factory, clock):
        self.clock = clock
        self.transport = StringTransport(peerAddress=IPv4Address("TCP", "127.0.0.1", 50000))
        self.protocol = factory.buildProtocol(self.transport.getPeer())
        self.protocol.makeConnection(self.transport)

    def say(self, *lines):
        """What is heard then."""
        self.transport.clear()
        self.protocol.dataReceived(b"".join(line + b"\r\n" for line in lines))
        # What waits for the reactor's next turn.
        self.clock.advance(0)
        return self.transport.value()

    def leave(self):
        self.protocol.connectionLost(Failure(ConnectionDone()))


class MemoryMailTests(SynchronousTestCase):
    def setUp(self):
        self.clock = Clock()
        self.imap, self.pop3, self.lmtp = make_factories(clock=self.clock)

    def connect(self, factory):
        client = Client(factory, self.clock)
        self.addCleanup(client.leave)
        return client

    def test_what_is_delivered_is_there(self):
        sender = self.connect(self.lmtp)
        sender.say(b"LHLO client", b"MAIL FROM:<bob@example.org>", b"RCPT TO:<ada@example.org>")
        self.assertIn(b"354 ", sender.say(b"DATA"))
        self.assertIn(b"250 ", sender.say(b"Subject: hello", b"", b"hello", b"."))

        reader = self.connect(self.imap)
        self.assertIn(b"a1 OK ", reader.say(b"a1 LOGIN ada@example.org secret"))
        self.assertIn(b"* 1 EXISTS\r\n", reader.say(b"a2 SELECT INBOX"))
        self.assertIn(b'"hello"', reader.say(b"a3 FETCH 1 ENVELOPE"))

    def test_who_does_not_log_in_is_sent_away(self):
        client = self.connect(self.imap)
        self.clock.advance(60)
        self.assertIn(b"* BYE ", client.transport.value())
        self.assertTrue(client.transport.disconnecting)

    def test_the_end_is_announced(self):
        client = self.connect(self.imap)
        stopping = self.imap.shutDown()
        self.assertIn(b"* BYE ", client.transport.value())
        self.assertNoResult(stopping)
        client.leave()
        self.successResultOf(stopping)
