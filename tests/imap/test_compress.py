"""COMPRESS=DEFLATE (RFC 4978)."""

from __future__ import annotations

import imaplib
import random
import re
import ssl
import tracemalloc
import zlib
from typing import Any, ClassVar

from twisted.cred.portal import Portal
from twisted.internet import reactor
from twisted.internet.threads import deferToThread
from twisted.logger import LogEvent, globalLogPublisher
from twisted.protocols.tls import TLSMemoryBIOFactory
from twisted.trial.unittest import TestCase

from tests.guard.support import server_tls
from tests.imap.transcript import IMAPCase
from tests.transcript import PASSWORD, USER, Client
from twisted_duck.imap.factory import IMAP4Factory
from twisted_duck.imap.inflation import Inflation
from twisted_duck.limits import KIB, MIB, Limits
from twisted_duck.memory import MemoryStore
from twisted_duck.memory.account import MemoryAccount
from twisted_duck.wire.framing import CommandFramer, FrameLimits


class Compressed:
    """A client that has compression active; what it says goes out in pieces of so many octets."""

    def __init__(self, client: Client, clock: Any, size: int | None = None) -> None:
        self.client = client
        self.clock = clock
        self.size = size
        self.to = zlib.compressobj(6, zlib.DEFLATED, -15)
        self.back = zlib.decompressobj(-15)

    def deflated(self, data: bytes) -> bytes:
        return self.to.compress(data) + self.to.flush(zlib.Z_SYNC_FLUSH)

    def send(self, data: bytes) -> None:
        self.send_raw(self.deflated(data))

    def send_raw(self, data: bytes) -> None:
        size = self.size or max(len(data), 1)
        for at in range(0, len(data), size):
            self.client.send(data[at : at + size])
        self.clock.advance(0)

    def heard(self) -> bytes:
        return self.back.decompress(self.client.heard())

    def say(self, line: str) -> list[str]:
        self.send(line.encode() + b"\r\n")
        return self.heard().decode().split("\r\n")[:-1]


class CompressCase(IMAPCase):
    size: int | None = None

    def compressed(self) -> Compressed:
        self.transcript("""
            C: c1 COMPRESS DEFLATE
            S: c1 OK DEFLATE is active from here on
        """)
        return Compressed(self.client(), self.clock, self.size)


class CommandTests(CompressCase):
    def test_what_is_said_of_it(self) -> None:
        capabilities = self.client().say("a1 CAPABILITY")[0]
        self.assertIn(" COMPRESS=DEFLATE", capabilities)
        client = self.compressed()
        self.assertNotIn("COMPRESS", client.say("a2 CAPABILITY")[0])

    def test_twice(self) -> None:
        client = self.compressed()
        self.assertEqual(
            client.say("a1 COMPRESS DEFLATE"),
            ["a1 BAD [COMPRESSIONACTIVE] DEFLATE is active already"],
        )
        self.assertEqual(client.say("a2 NOOP"), ["a2 OK NOOP completed"])

    def test_other_algorithms_and_none(self) -> None:
        self.transcript("""
            C: a1 COMPRESS
            S: a1 BAD ...
            C: a2 COMPRESS LZMA
            S: a2 BAD ...
            C: a3 COMPRESS DEFLATE 9
            S: a3 BAD ...
            C: a4 NOOP
            S: a4 OK NOOP completed
            C: a5 compress deflate
            S: a5 OK ...
        """)

    def test_octets_are_counted_as_they_were_sent(self) -> None:
        client = self.compressed()
        session = self.client().protocol.session
        before = session.bytesIn
        said = client.deflated(b"a1 NOOP\r\n")
        client.send_raw(said)
        self.assertEqual(session.bytesIn - before, len(said))


class BeforeLoginTests(IMAPCase):
    log_in = False

    def test_not_before_login(self) -> None:
        self.assertNotIn("COMPRESS", self.client().say("a0 CAPABILITY")[0])
        self.transcript("""
            C: a1 COMPRESS DEFLATE
            S: a1 BAD COMPRESS is not allowed in the state Not Authenticated
        """)


class SessionTests(CompressCase):
    def test_commands_literals_and_idle(self) -> None:
        self.deliver("INBOX", b"Subject: one\r\n\r\nbody\r\n")
        client = self.compressed()
        self.assertEqual(client.say("a1 SELECT INBOX")[-1][:5], "a1 OK")
        self.assertEqual(
            client.say("a2 FETCH 1 BODY.PEEK[TEXT]"),
            ["* 1 FETCH (BODY[TEXT] {6}", "body", ")", "a2 OK FETCH completed"],
        )
        self.assertEqual(client.say("a3 APPEND INBOX {15}"), ["+ go ahead"])
        client.send(b"Subject: x\r\n\r\ny\r\n")
        self.assertIn(b"a3 OK [APPENDUID ", client.heard())
        self.assertEqual(client.say("a4 IDLE"), ["+ idling"])
        # A flush alone is nothing.
        client.send(b"")
        self.assertEqual(client.heard(), b"")
        self.deliver("INBOX", b"Subject: two\r\n\r\n")
        self.assertEqual(client.heard(), b"* 3 EXISTS\r\n* 3 RECENT\r\n")
        self.assertEqual(client.say("DONE"), ["a4 OK IDLE completed"])
        client.send(b"a5 NOOP\r\na6 NOOP\r\na7 LOGOUT\r\n")
        self.assertEqual(
            client.heard(),
            b"a5 OK NOOP completed\r\na6 OK NOOP completed\r\n"
            b"* BYE until next time\r\na7 OK LOGOUT completed\r\n",
        )
        self.assertTrue(self.client().transport.closed)

    def test_a_message_much_longer_than_what_arrives_of_it(self) -> None:
        client = self.compressed()
        message = b"Subject: long\r\n\r\n" + b"0" * (3 * MIB) + b"\r\n"
        client.send(b"a1 APPEND INBOX {%d+}\r\n%b\r\n" % (len(message), message))
        self.clock.pump([0] * 10)
        self.assertIn(b"a1 OK [APPENDUID ", client.heard())
        client.send(b"a2 SELECT INBOX\r\na3 FETCH 1 BODY.PEEK[]\r\n")
        self.clock.pump([0] * 50)
        self.assertIn(message, client.heard())

    def test_the_last_words_are_compressed_as_well(self) -> None:
        client = self.compressed()
        self.clock.advance(self.limits.idle_after_login)
        self.assertTrue(client.heard().startswith(b"* BYE "))

    def test_messages_sent_ahead_are_stored_in_their_order(self) -> None:
        client = self.compressed()
        wanted = [b"Subject: %d\r\n\r\n" % n + b"ab" * (n % 7 * 999) for n in range(50)]
        wanted[20] = b"Subject: long\r\n\r\n" + b"0" * 400_000
        client.send(
            b"".join(
                b"t%d APPEND INBOX {%d+}\r\n%b\r\n" % (n, len(message), message)
                for n, message in enumerate(wanted)
            )
            + b"s SELECT INBOX\r\nf FETCH 1:* BODY.PEEK[]\r\n"
        )
        self.clock.pump([0] * 500)
        heard = client.heard()
        done = re.findall(rb"^t(\d+) OK \[APPENDUID \d+ (\d+)\]", heard, re.MULTILINE)
        self.assertEqual(done, [(b"%d" % n, b"%d" % (n + 1)) for n in range(50)])
        there = [
            b"* %d FETCH (BODY[] {%d}\r\n%b)\r\n" % (n, len(message), message)
            for n, message in enumerate(wanted, 1)
        ]
        self.assertIn(b"".join(there) + b"f OK", heard)


class OctetsTests(SessionTests):
    """The same, an octet at a time."""

    size = 1


class PiecesTests(SessionTests):
    """The same, in pieces that have nothing to do with what is in them."""

    size = 37


class HostileTests(CompressCase):
    limits = Limits(message=2 * MIB)

    def setUp(self) -> None:
        super().setUp()
        self.events: list[LogEvent] = []
        globalLogPublisher.addObserver(self.events.append)
        self.addCleanup(globalLogPublisher.removeObserver, self.events.append)

    def test_what_is_not_compressed_ends_the_connection_with_one_line_in_the_log(self) -> None:
        client = self.compressed()
        self.events.clear()
        client.send_raw(b"a1 NOOP\r\n")
        self.assertEqual(
            client.heard(), b"* BYE what arrives is not compressed as it was agreed\r\n"
        )
        self.assertTrue(self.client().transport.closed)
        client.send_raw(b"a1 NOOP\r\n")
        self.client().disconnect()
        [event] = self.events
        self.assertEqual(
            event["session"].closeReason, "what arrives is not compressed as it was agreed"
        )

    def test_nor_does_it_in_idle(self) -> None:
        client = self.compressed()
        client.say("a1 IDLE")
        client.send_raw(b"DONE\r\n")
        self.assertTrue(client.heard().startswith(b"* BYE "))
        self.assertTrue(self.client().transport.closed)

    def test_what_was_sent_behind_compress_too_early_is_taken_for_compressed(self) -> None:
        """RFC 4978 §3 forbids it."""
        said = zlib.compressobj(6, zlib.DEFLATED, -15)
        early = said.compress(b"a1 NOOP\r\n") + said.flush(zlib.Z_SYNC_FLUSH)
        self.client().send(b"c1 COMPRESS DEFLATE\r\n" + early)
        _, rest = self.client().heard().split(b"\r\n", 1)
        self.assertEqual(zlib.decompressobj(-15).decompress(rest), b"a1 OK NOOP completed\r\n")

    def test_a_line_that_is_too_long_is_answered(self) -> None:
        client = self.compressed()
        client.send(b"a1 NOOP " + b"x" * 100_000 + b"\r\na2 NOOP\r\n")
        self.assertEqual(
            client.heard(),
            b"a1 BAD too long: the limit of the line was reached\r\na2 OK NOOP completed\r\n",
        )

    def bomb(self, client: Compressed, head: bytes) -> None:
        """A GiB of zeros takes a MiB."""
        zeros = client.to.compress(head)
        client.send_raw(zeros + client.to.flush(zlib.Z_SYNC_FLUSH))
        for _ in range(1024):
            client.send_raw(client.to.compress(bytes(MIB)))
            self.clock.pump([0] * 3)
            if self.client().transport.closed:
                break

    def test_a_line_without_an_end(self) -> None:
        client = self.compressed()
        tracemalloc.start()
        self.addCleanup(tracemalloc.stop)
        before, _ = tracemalloc.get_traced_memory()
        self.bomb(client, b"a1 NOOP ")
        _, most = tracemalloc.get_traced_memory()
        heard = client.heard()
        self.assertIn(b"a1 BAD too long: the limit of the line was reached\r\n", heard)
        self.assertIn(b"* BYE that is more than any message has\r\n", heard)
        self.assertTrue(self.client().transport.closed)
        # Two MiB of it are the zeros that are compressed here.
        self.assertLess(most - before, 4 * MIB)

    def test_a_literal_without_an_end(self) -> None:
        client = self.compressed()
        self.bomb(client, b"a1 APPEND INBOX {9999999999+}\r\n")
        heard = client.heard()
        self.assertIn(b"a1 NO [TOOBIG]", heard)
        self.assertIn(b"* BYE that is more than any message has\r\n", heard)

    def test_many_commands_in_few_octets_are_answered_one_by_one(self) -> None:
        client = self.compressed()
        count = 20_000
        client.send(b"a1 NOOP\r\n" * count)
        self.assertEqual(client.heard().count(b"a1 OK NOOP completed\r\n"), count)

    def test_of_messages_sent_ahead_no_more_is_begun_and_inflated_than_elsewhere(self) -> None:
        client = self.compressed()
        held = self.hold(MemoryAccount, "append")
        one = b"Subject: x\r\n\r\n" + b"x" * 3_000
        count = 1_000
        client.send(b"t APPEND INBOX {%d+}\r\n%b\r\n" % (len(one), one) * count)
        self.clock.pump([0] * 100)
        self.assertEqual(held.count, self.limits.appends_ahead)
        reader = self.client().protocol._reader
        self.assertLessEqual(reader._framer.buffered, 2 * self.limits.inflation)
        while held.count:
            held.let_go()
            self.clock.pump([0] * 3)
        self.assertEqual(client.heard().count(b"t OK [APPENDUID "), count)

    def test_a_head_of_a_literal_that_is_too_long_among_them(self) -> None:
        client = self.compressed()
        small = b"APPEND INBOX {3+}\r\nm01\r\n"
        more = b"b APPEND INBOX {%d+}\r\n" % (self.limits.message + 1)
        client.send(b"a " + small + more + b"x" * (self.limits.message + 1) + b"\r\nc " + small)
        self.clock.pump([0] * 200)
        tagged = re.findall(rb"^([abc] \S+ \S+)", client.heard(), re.MULTILINE)
        self.assertEqual(tagged, [b"a OK [APPENDUID", b"b NO [TOOBIG]", b"c OK [APPENDUID"])

    def test_what_arrives_while_a_command_is_worked_on_has_a_bound(self) -> None:
        client = self.compressed()
        held = self.hold(MemoryAccount, "subscribe")
        client.send(b"a1 SUBSCRIBE INBOX\r\n")
        message = b"Subject: x\r\n\r\n" + random.Random(1).randbytes(400_000).hex().encode()
        client.send(b"a2 APPEND INBOX {%d+}\r\n%b\r\n" % (len(message), message))
        self.assertEqual(self.client().transport.producerState, "paused")
        self.assertEqual(client.heard(), b"")
        held.let_go()
        self.clock.pump([0] * 20)
        self.assertIn(b"a2 OK [APPENDUID ", client.heard())
        self.assertEqual(self.client().transport.producerState, "producing")


class InflationTests(IMAPCase):
    def test_no_more_is_inflated_than_there_is_room_for(self) -> None:
        limits = Limits()
        framer = CommandFramer(FrameLimits.after_login(limits))
        inflation = Inflation(framer, limits)
        said = zlib.compressobj(9, zlib.DEFLATED, -15)
        bomb = said.compress(bytes(64 * MIB)) + said.flush(zlib.Z_SYNC_FLUSH)
        for at in range(0, len(bomb), 1000):
            inflation.feed(bomb[at : at + 1000])
            self.assertLessEqual(framer.buffered, 64 * KIB)
        self.assertGreater(inflation.buffered, len(bomb) - 1000)

    def test_a_framer_that_is_full_and_wants_more_gets_more(self) -> None:
        """A line may be as long as a piece."""
        limits = Limits(inflation=10)
        framer = CommandFramer(FrameLimits.after_login(limits))
        inflation = Inflation(framer, limits)
        said = zlib.compressobj(9, zlib.DEFLATED, -15)
        inflation.feed(said.compress(b"x" * 35) + said.flush(zlib.Z_SYNC_FLUSH))
        sizes = [framer.buffered]
        while inflation.more():
            sizes.append(framer.buffered)
        self.assertEqual(sizes, [10, 20, 30, 35])


class DeflateClient(imaplib.IMAP4_SSL):
    """imaplib with COMPRESS, which it does not know."""

    def start(self) -> None:
        imaplib.Commands["COMPRESS"] = ("AUTH", "SELECTED")
        self._simple_command("COMPRESS", "DEFLATE")
        self._to = zlib.compressobj(6, zlib.DEFLATED, -15)
        self._back = zlib.decompressobj(-15)
        self._arrived = b""
        self.read, self.readline, self.send = self._read, self._line, self._send  # type: ignore[method-assign]

    def _more(self) -> None:
        self._arrived += self._back.decompress(self.sock.recv(65536))

    def _read(self, size: int) -> bytes:
        while len(self._arrived) < size:
            self._more()
        data, self._arrived = self._arrived[:size], self._arrived[size:]
        return data

    def _line(self) -> bytes:
        while b"\n" not in self._arrived:
            self._more()
        return self._read(self._arrived.index(b"\n") + 1)

    def _send(self, data: Any) -> None:
        self.sock.sendall(self._to.compress(bytes(data)) + self._to.flush(zlib.Z_SYNC_FLUSH))


class SocketTests(TestCase):
    timeout = 30
    messages: ClassVar[list[bytes]] = [
        b"Subject: %d\r\n\r\n%b" % (n, b"all work and no play\r\n" * 10_000) for n in range(20)
    ]

    async def test_imaplib_over_tls(self) -> None:
        store = MemoryStore()
        store.add_user(USER, PASSWORD)
        self.sessions: list[Any] = []
        factory = IMAP4Factory(Portal(store, [store]), onClose=self.sessions.append)
        served = TLSMemoryBIOFactory(server_tls(), False, factory)
        port = reactor.listenTCP(0, served, interface="127.0.0.1")  # type: ignore[attr-defined]
        self.addCleanup(port.stopListening)
        await deferToThread(self._session, port.getHost().port)
        # The client is gone; that it was here is told a moment later.
        await factory.shutDown()
        [session] = self.sessions
        size = sum(map(len, self.messages))
        self.assertLess(session.bytesIn, size / 20)
        self.assertLess(session.bytesOut, size / 20)

    def _session(self, port: int) -> None:
        context = ssl.create_default_context()
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        client = DeflateClient("127.0.0.1", port, ssl_context=context)
        client.login(USER, PASSWORD)
        client.start()
        for message in self.messages:
            self.assertEqual(client.append("INBOX", "", "", message)[0], "OK")
        self.assertEqual(client.select("INBOX"), ("OK", [b"20"]))
        _, found = client.fetch("1:*", "(BODY.PEEK[])")
        self.assertEqual([each[1] for each in found if isinstance(each, tuple)], self.messages)
        client.logout()
