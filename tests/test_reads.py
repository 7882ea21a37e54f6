"""Of who has not logged in little is read at a time, and of mail data much."""

from __future__ import annotations

from typing import Any

from twisted.internet.interfaces import IWriteDescriptor
from zope.interface import implementer

from tests.guard.support import Echo, GuardCase, Socket
from tests.imap.transcript import IMAPCase
from tests.lmtp.transcript import LMTPCase
from tests.pop3.transcript import POP3Case
from tests.transcript import Client, Transport
from twisted_duck.memory.delivery import MemoryDelivery
from twisted_duck.reads import USUAL

EARLY = 4 * 1024


@implementer(IWriteDescriptor)
class Below:
    """What reads the socket."""

    disconnecting = False
    bufferSize = USUAL

    def doWrite(self) -> None:
        """Nothing has been left."""


class Encrypted(Transport):
    """Has another transport below, as TLS has."""

    def __init__(self, *arguments: Any, **more: Any) -> None:
        super().__init__(*arguments, **more)
        self.transport = Below()


def read_of(client: Client) -> int:
    size: int = client.transport.transport.bufferSize  # type: ignore[attr-defined]
    return size


class LoginTests(IMAPCase):
    log_in = False

    def test_4_KiB_before_login_and_64_behind_it(self) -> None:
        client = Client(self.factory, transport=Encrypted)
        self.addCleanup(client.disconnect)
        self.assertEqual(read_of(client), EARLY)
        client.say("a1 LOGIN alice wrong")
        self.assertEqual(read_of(client), EARLY)
        client.say("a2 LOGIN alice wonderland")
        self.assertEqual(read_of(client), USUAL)

    def test_a_command_of_8_KiB_arrives_in_pieces_and_is_not_stopped(self) -> None:
        client = self.client()
        for piece in (b'a1 LOGIN "' + b"x" * 4_000, b"x" * 3_000, b'" "wonderland"\r\n'):
            client.send(piece)
            self.assertEqual(client.transport.producerState, "producing")
        self.assertRegex(client.heard(), rb"a1 NO .*\r\n\Z")


class POP3Tests(POP3Case):
    log_in = False

    def test_4_KiB_before_login_and_64_behind_it(self) -> None:
        client = Client(self.factory, transport=Encrypted)
        self.addCleanup(client.disconnect)
        client.say("USER alice")
        self.assertEqual(read_of(client), EARLY)
        client.say("PASS wonderland")
        self.assertEqual(read_of(client), USUAL)


class LMTPTests(LMTPCase):
    def test_4_KiB_of_commands_and_64_of_a_message(self) -> None:
        client = Client(self.factory, transport=Encrypted)
        self.addCleanup(client.disconnect)
        sizes = []
        delivery = self.hold(MemoryDelivery, "deliver")
        for line in (
            "LHLO x",
            "MAIL FROM:<>",
            "RCPT TO:<alice@example.org>",
            "BDAT 1",
            "xBDAT 1",
            "xRSET",
            "MAIL FROM:<>",
            "RCPT TO:<alice@example.org>",
            "DATA",
        ):
            client.say(line)
            sizes.append(read_of(client))
        self.assertEqual(sizes, [EARLY] * 3 + [USUAL] * 2 + [EARLY] * 3 + [USUAL])
        client.say("text\r\n.")
        self.assertEqual((delivery.count, read_of(client)), (1, EARLY))
        delivery.let_go()
        self.assertEqual(read_of(client), EARLY)


@implementer(IWriteDescriptor)
class Reading(Below, Socket):
    """A socket that can be told how much to read."""


class GuardTests(GuardCase):
    def test_4_KiB_until_somebody_is_let_in_and_then_as_he_will(self) -> None:
        class Modest(Echo):
            def connectionMade(self) -> None:
                self.transport.bufferSize = 1

        for proxy in (False, True):
            for protocol, least in ((Echo, USUAL), (Modest, 1)):
                waiting = self.wait()
                factory: Any = self.guard(protocol)
                socket = Reading(self.proxied(factory) if proxy else factory, self.clock)
                self.sockets.append(socket)
                self.assertEqual(socket.bufferSize, EARLY)
                if proxy:
                    socket.send(b"PROXY TCP4 198.51.100.1 192.0.2.143 1 143\r\n")
                    self.assertEqual(socket.bufferSize, EARLY)
                waiting.callback(None)
                self.clock.advance(0)
                self.assertEqual(socket.bufferSize, least)
                self.assertEqual(getattr(Echo.made[-1].transport, "bufferSize"), least)  # noqa: B009
