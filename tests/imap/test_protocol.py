"""The connection itself: reading, with literals that nobody asked for (RFC 7888), running, ending."""

from __future__ import annotations

from attrs import evolve
from twisted.internet.defer import Deferred
from twisted.logger import capturedLogs

from tests.imap.transcript import IMAPCase
from tests.transcript import Client
from twisted_duck.errors import Corruption, Unavailable
from twisted_duck.imap.reading import CommandReader
from twisted_duck.limits import KIB, Limits
from twisted_duck.memory import MemoryStore
from twisted_duck.memory.account import MemoryAccount
from twisted_duck.memory.mailbox import MemoryMailbox

MESSAGE = b"Subject: x\r\n\r\ny\r\n"


class ReadingTests(IMAPCase):
    log_in = False

    def test_byte_by_byte(self) -> None:
        script = (
            b"a1 LOGIN {5}\r\nalice wonderland\r\na2 APPEND INBOX {3+}\r\nx\r\n\r\n"
            b"a3 SELECT {5+}\r\nINBOX\r\na4 FETCH 1 BODY.PEEK[]\r\na5 LOGOUT\r\n"
        )
        client = self.client()
        for octet in script:
            client.send(bytes([octet]))
        in_pieces = client.heard()
        whole = Client(self.factory)
        whole.heard()
        whole.send(script.replace(b"a2 APPEND INBOX {3+}\r\nx\r\n\r\n", b""))
        self.assertIn(b"* 1 FETCH (BODY[] {3}\r\nx\r\n)\r\na4 OK FETCH completed\r\n", in_pieces)
        self.assertEqual(in_pieces.split(b"a4 OK")[1], whole.heard().split(b"a4 OK")[1])
        whole.disconnect()

    def test_bare_line_feeds_end_lines(self) -> None:
        self.client().send(b"a1 NOOP\na2 NOOP\n")
        self.transcript("""
            S: a1 OK NOOP completed
            S: a2 OK NOOP completed
        """)

    def test_bad_syntax(self) -> None:
        self.transcript("""
            C:
            S: * BAD expected a tag at octet 1
            C: +1 NOOP
            S: * BAD expected a tag at octet 1
            C: a1
            S: a1 BAD expected a space and a command at octet 3
            C: a2 NOOP now
            S: a2 BAD expected the end of the command at octet 8
            C: a3 LOGIN alice
            S: a3 BAD expected a space and ...
            C: a4 LOGIN "alice wonderland
            S: a4 BAD ...
            C: a5  NOOP
            S: a5 BAD ...
        """)

    def test_nothing_of_a_bad_command_gets_into_the_answer(self) -> None:
        client = self.client()
        client.send(b"a1 \x07\x1b[2J\xff\r\na2\tNOOP\r\na3 FROB]\x00\r\n\xe2\x80\xa8 NOOP\r\n")
        for line in client.heard().split(b"\r\n"):
            self.assertRegex(line, rb"\A[\x20-\x7e]*\Z")

    def test_commands_run_in_the_order_they_came(self) -> None:
        held = self.hold(MemoryAccount, "select")
        client = self.client()
        client.send(b"a1 LOGIN alice wonderland\r\na2 SELECT INBOX\r\na3 NOOP\r\na4 CHECK\r\n")
        # The first answer does not wait for the second.
        self.assertTrue(client.heard().startswith(b"a1 OK"))
        client.send(b"a5 LOGOUT\r\n")
        self.assertEqual(client.heard(), b"")
        held.let_go()
        answers = [line for line in client.heard().split(b"\r\n") if line.startswith(b"a")]
        self.assertEqual([line[:5] for line in answers], [b"a2 OK", b"a3 OK", b"a4 OK", b"a5 OK"])

    def test_long_queue_gives_others_a_turn(self) -> None:
        client = self.client()
        client.send(b"".join(b"a%d NOOP\r\n" % n for n in range(1000)))
        heard = client.heard()
        self.assertLess(heard.count(b"OK"), 100)
        for _ in range(1000):
            self.clock.advance(0)
        self.assertEqual((heard + client.heard()).count(b"OK"), 1000)

    def test_reading_stops_while_too_much_waits(self) -> None:
        held = self.hold(MemoryAccount, "select")
        client = self.client()
        client.say("a0 LOGIN alice wonderland")
        client.send(b"a1 SELECT INBOX\r\n")
        line = b"b NOOP\r\n" * (8 * KIB)
        sent = 0
        while client.transport.producerState == "producing":
            client.send(line)
            sent += len(line)
        self.assertLessEqual(sent, self.limits.pipeline + len(line))
        held.let_go()
        for _ in range(sent):
            if client.transport.producerState == "producing":
                break
            self.clock.advance(0)
        self.assertEqual(client.transport.producerState, "producing")


class LengthTests(IMAPCase):
    limits = evolve(Limits(), line_before_login=100, command_before_login=150, literal_minus=40)
    log_in = False

    def test_line_before_login(self) -> None:
        client = self.client()
        client.send(b"a1 LOGIN " + b"x" * 100)
        self.assertEqual(
            client.heard(),
            b"a1 BAD too long: the limit of the line was reached\r\n"
            b"* BYE too long: the limit of the line was reached\r\n",
        )
        self.assertTrue(client.transport.closed)
        client.send(b"x" * 1000 + b" a2 LOGOUT\r\na3 NOOP\r\n")
        self.assertEqual(client.heard(), b"")

    def test_command_before_login(self) -> None:
        self.transcript("""
            C: a1 LOGIN {140}
            S: a1 BAD too long: the limit of the command was reached
            C: a2 NOOP
            S: a2 OK NOOP completed
            C: a3 LOGIN {40+}
            C: xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx {141}
            S: a3 BAD too long: the limit of the command was reached
            C: a4 LOGIN {40+}
            C: xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx {40+}
            C: xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx {40+}
            S: a4 BAD too long: the limit of the command was reached
            S: * BYE too long: the limit of the command was reached
        """)

    def test_unasked_literal_before_login(self) -> None:
        evil = b"a2 LOGOUT\r\na3 LOGOUT {10+}\r\n" + b"x" * 13
        self.assertEqual(len(evil), 41)
        client = self.client()
        client.send(b"a1 LOGIN {41+}\r\n" + evil + b" {12+}\r\na4 LOGOUT\r\n!\r\na5 NOOP\r\n")
        self.transcript("""
            S: a1 BAD a literal that is sent unasked may have 40 bytes here
            S: * BYE a literal that is sent unasked may have 40 bytes here
        """)
        self.assertTrue(client.transport.closed)

    def test_line_and_literals_after_login(self) -> None:
        client = self.client()
        client.say("a0 LOGIN alice wonderland")
        long = b"x" * self.limits.line_after_login
        client.send(b"a1 SELECT " + long + b"\r\n")
        self.assertEqual(client.heard(), b"a1 BAD too long: the limit of the line was reached\r\n")
        client.send(b"a2 SELECT {%d+}\r\n" % len(long) + long + b"\r\n")
        self.assertEqual(client.heard(), b"a2 NO [NONEXISTENT] there is no such mailbox\r\n")
        client.send(b"a3 SELECT {%d}\r\n" % self.limits.command_after_login)
        self.assertEqual(
            client.heard(), b"a3 BAD too long: the limit of the command was reached\r\n"
        )
        client.send(b"a4 SELECT {99999999999999999999999999}\r\n")
        self.assertEqual(
            client.heard(), b"a4 BAD too long: the limit of the command was reached\r\n"
        )
        client.send(b"a5 NOOP\r\n")
        self.assertEqual(client.heard(), b"a5 OK NOOP completed\r\n")

    def test_number_of_literals(self) -> None:
        client = self.client()
        client.say("a0 LOGIN alice wonderland")
        client.say("a0 SELECT INBOX")
        count = self.limits.literals_per_command
        client.send(b"a1 SEARCH" + b" TEXT {1+}\r\nx" * count + b"\r\n")
        self.assertEqual(client.heard(), b"* SEARCH\r\na1 OK SEARCH completed\r\n")
        client.send(b"a2 SEARCH" + b" TEXT {1+}\r\nx" * (count + 1) + b"\r\na3 NOOP\r\n")
        self.assertEqual(
            client.heard(),
            b"a2 BAD too long: the limit of the literals was reached\r\na3 OK NOOP completed\r\n",
        )


class PatienceTests(IMAPCase):
    def test_fifty_bad_commands_in_a_row(self) -> None:
        self.assertEqual(Limits().bad_commands, 50)
        client = self.client()
        for _ in range(49):
            client.say("a FROB")
        client.say("b NOOP")
        for _ in range(49):
            self.assertEqual(len(client.say("a FROB")), 1)
        said = client.say("a FROB")
        self.assertEqual(said[1], "* BYE too many bad commands")
        self.assertTrue(client.transport.closed)

    def test_commands_that_are_refused_are_not_bad(self) -> None:
        for _ in range(60):
            self.client().say("a SELECT nowhere")
        self.assertFalse(self.client().transport.closed)


class TimeTests(IMAPCase):
    def stranger(self) -> Client:
        client = Client(self.factory)
        client.heard()
        self.addCleanup(client.disconnect)
        return client

    def test_login_has_sixty_seconds_whatever_is_sent(self) -> None:
        self.assertEqual(Limits().login, 60)
        client = self.stranger()
        for _ in range(59):
            self.clock.advance(1)
            client.say("a1 NOOP")
        self.assertFalse(client.transport.closed)
        self.clock.advance(1)
        self.assertEqual(client.heard(), b"* BYE no login in time\r\n")
        self.assertTrue(client.transport.closed)

    def test_half_an_hour_between_commands(self) -> None:
        self.assertEqual(Limits().idle_after_login, 1800)
        client = self.client()
        self.clock.advance(1000)
        client.say("a1 NOOP")
        self.clock.advance(1799)
        self.assertEqual(client.heard(), b"")
        self.clock.advance(1)
        self.assertEqual(client.heard(), b"* BYE idle for too long\r\n")

    def test_time_is_counted_from_the_end_of_a_command(self) -> None:
        held = self.hold(MemoryAccount, "select")
        client = self.client()
        client.say("a1 SELECT INBOX")
        for _ in range(10):
            self.clock.advance(1000)
        self.assertEqual(client.heard(), b"")
        held.let_go()
        self.assertIn(b"a1 OK", client.heard())
        self.clock.advance(1799)
        self.assertEqual(client.heard(), b"")
        self.clock.advance(1)
        self.assertIn(b"BYE", client.heard())

    def test_message_that_keeps_coming_is_waited_for(self) -> None:
        client = self.client()
        client.send(b"a1 APPEND INBOX {5+}\r\n")
        for _ in range(5):
            self.clock.advance(1000)
            client.send(b"x")
        client.send(b"\r\n")
        self.assertIn(b"a1 OK", client.heard())

    def test_client_that_takes_no_farewell_is_cut_off(self) -> None:
        client = self.stranger()
        self.clock.advance(60)
        self.assertFalse(client.transport.aborted)
        self.clock.advance(10)
        self.assertTrue(client.transport.aborted)

    def test_client_that_does_not_read(self) -> None:
        self.assertEqual(Limits().reading, 300)
        self.deliver("INBOX", b"\r\n" + b"x" * 1_000_000)
        client = self.client()
        client.say("a1 EXAMINE INBOX")
        client.transport.slow = True
        client.send(b"a2 FETCH 1 BODY[]\r\n")
        # It takes something now and then.
        for _ in range(5):
            self.clock.pump([59] * 5)
            self.assertNotEqual(client.take(), b"")
        self.assertFalse(client.transport.closed)
        self.clock.pump([60] * 6)
        self.assertTrue(client.transport.closed)
        self.assertEqual(client.protocol.session.closeReason, "the client does not read")
        # It would take a BYE for a piece of its message.
        self.assertNotIn(b"BYE", client.heard())

    def test_no_timer_is_left(self) -> None:
        client = self.client()
        client.say("a1 SELECT INBOX")
        client.say("a2 IDLE")
        client.disconnect()
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_no_timer_is_left_after_logout(self) -> None:
        client = self.client()
        client.say("a1 LOGOUT")
        client.disconnect()
        self.assertEqual(self.clock.getDelayedCalls(), [])


class LostTests(IMAPCase):
    """Whatever a connection is in the middle of, its end gives back all it had."""

    def setUp(self) -> None:
        super().setUp()
        self.closed: list[str] = []
        self.count(MemoryMailbox, "close")
        self.count(MemoryAccount, "logout")

    def count(self, owner: type, method: str) -> None:
        original = getattr(owner, method)

        async def counted(*arguments: object) -> None:
            self.closed.append(method)
            await original(*arguments)

        self.patch(owner, method, counted)

    def connections(self) -> int:
        return len(self.factory._connections)

    def test_between_commands(self) -> None:
        self.client().say("a1 SELECT INBOX")
        self.client().disconnect()
        self.assertEqual(self.closed, ["close", "logout"])
        self.assertEqual(self.connections(), 0)
        self.assertEqual(self.client().protocol.session.closeReason, "the client closed it")

    def test_in_the_middle_of_things(self) -> None:
        for data in (b"a", b"a SELECT {5}\r\nIN", b"a APPEND INBOX {50}\r\nIN", b"a IDLE\r\nDO"):
            with self.subTest(data=data):
                self.closed.clear()
                client = Client(self.factory)
                client.say("a0 LOGIN alice wonderland")
                client.say("a1 SELECT INBOX")
                client.send(data)
                client.disconnect()
                self.assertEqual(self.closed, ["close", "logout"])
                self.assertEqual(self.connections(), 0)

    def test_while_logging_in(self) -> None:
        waiting: Deferred[bytes] = Deferred()
        self.patch(MemoryStore, "requestAvatarId", lambda store, credentials: waiting)
        logged_out: list[bool] = []
        avatar = self.store.requestAvatar

        def request(store, *arguments):  # type: ignore[no-untyped-def]
            interface, account, _ = avatar(*arguments)
            return interface, account, lambda: logged_out.append(True)

        self.patch(MemoryStore, "requestAvatar", request)
        client = self.client()
        client.disconnect()
        waiting.callback(b"alice")
        self.assertEqual((self.closed, logged_out), (["logout"], [True]))
        self.assertEqual(self.connections(), 0)

    def test_while_a_mailbox_is_opened(self) -> None:
        self.lose_while(MemoryAccount, "select")

    def test_while_an_opened_mailbox_is_looked_at(self) -> None:
        self.lose_while(MemoryMailbox, "claim_recent")

    def lose_while(self, owner: type, method: str) -> None:
        held = self.hold(owner, method)
        self.client().say("a1 SELECT INBOX")
        self.client().disconnect()
        self.assertEqual((self.closed, self.connections()), ([], 1))
        held.let_go()
        self.assertEqual((self.closed, self.connections()), (["close", "logout"], 0))

    def test_while_a_command_waits_for_the_store(self) -> None:
        client = self.client()
        client.say("a1 SELECT INBOX")
        held = self.hold(MemoryMailbox, "search")
        client.send(b"a2 SEARCH ALL\r\na3 DELETE Junk\r\n")
        client.disconnect()
        self.assertEqual(self.closed, [])
        held.let_go()
        self.assertEqual(self.closed, ["close", "logout"])
        # What came behind it is not run for nobody.
        self.assertEqual(self.do("status", "Junk").messages, 0)

    def test_while_the_client_is_waited_for(self) -> None:
        self.deliver("INBOX", b"\r\n" + b"x" * 1_000_000)
        client = self.client()
        client.say("a1 SELECT INBOX")
        client.transport.slow = True
        client.send(b"a2 FETCH 1 BODY.PEEK[]\r\n")
        client.disconnect()
        self.assertEqual(self.closed, ["close", "logout"])
        self.assertEqual(self.connections(), 0)

    def test_one_thing_that_cannot_be_given_back_keeps_no_other(self) -> None:
        client = self.client()
        client.say("a1 SELECT INBOX")
        self.break_(MemoryMailbox, "close", ValueError("a bug"))
        client.disconnect()
        self.assertEqual(self.closed, ["logout"])
        self.assertEqual(self.connections(), 0)
        self.assertEqual(len(self.flushLoggedErrors(ValueError)), 1)

    def test_store_that_is_away_at_the_end(self) -> None:
        client = self.client()
        client.say("a1 SELECT INBOX")
        self.break_(MemoryMailbox, "close", Unavailable("away"))
        client.disconnect()
        self.assertEqual(self.closed, ["logout"])


class FaultTests(IMAPCase):
    selected = "INBOX"

    def test_store_that_is_away(self) -> None:
        self.client()
        self.break_(MemoryMailbox, "refresh", Unavailable("the database is away"))
        self.transcript("""
            C: a1 NOOP
            S: a1 NO [UNAVAILABLE] the database is away
            C: a2 CAPABILITY
            S: * CAPABILITY ...
            S: a2 OK ...
        """)

    def test_bug(self) -> None:
        self.client()
        self.break_(MemoryMailbox, "search", ZeroDivisionError("secret"))
        self.transcript("""
            C: a1 SEARCH ALL
            S: a1 NO [SERVERBUG] something is broken on our side; it has been logged
            C: a2 NOOP
            S: a2 OK NOOP completed
        """)
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)

    def test_words_of_an_error_cannot_break_out_of_the_line(self) -> None:
        self.client()
        error = Corruption("[ALERT] a\r\n* BYE\x00 ü" + "x" * 1000)
        self.break_(MemoryMailbox, "search", error)
        (line,) = self.client().say("a1 SEARCH ALL")
        self.assertTrue(line.startswith("a1 NO [CORRUPTION] [ALERT] a * BYE   x"))
        self.assertLess(len(line), 400)

    def test_words_of_an_error_are_no_response_code(self) -> None:
        self.client()
        self.break_(MemoryMailbox, "search", _Plain("[ALERT] boo"))
        self.assertEqual(self.client().say("a1 SEARCH ALL"), ["a1 NO (ALERT] boo"])

    def test_bug_outside_of_a_command_ends_the_connection(self) -> None:
        client = self.client()

        async def read_command(reader: CommandReader) -> None:
            raise ZeroDivisionError

        self.patch(CommandReader, "read_command", read_command)
        said = client.say("a1 NOOP")
        self.assertEqual(said[0], "a1 OK NOOP completed")
        self.assertTrue(said[1].startswith("* BYE something is broken"))
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)


class ShutDownTests(IMAPCase):
    def test_idle_connections_at_once(self) -> None:
        client = self.client()
        done = self.factory.shutDown("back soon")
        self.assertEqual(client.heard(), b"* BYE back soon\r\n")
        self.assertNoResult(done)
        client.disconnect()
        self.successResultOf(done)

    def test_busy_connections_after_their_command(self) -> None:
        held = self.hold(MemoryAccount, "subscribe")
        client = self.client()
        client.send(b"a1 SUBSCRIBE INBOX\r\na2 NOOP\r\n")
        done = self.factory.shutDown()
        self.assertEqual(client.heard(), b"")
        held.let_go()
        self.transcript("""
            S: a1 OK SUBSCRIBE completed
            S: * BYE the server is shutting down
        """)
        client.disconnect()
        self.successResultOf(done)

    def test_not_before_a_lost_connection_s_command_is_done(self) -> None:
        held = self.hold(MemoryAccount, "subscribe")
        client = self.client()
        client.say("a1 SUBSCRIBE INBOX")
        client.disconnect()
        done = self.factory.shutDown()
        self.assertNoResult(done)
        held.let_go()
        self.successResultOf(done)

    def test_what_takes_too_long_is_not_waited_for(self) -> None:
        held = self.hold(MemoryAccount, "subscribe")
        for name in ("here", "gone"):
            self.client(name).say("a1 SUBSCRIBE INBOX")
        self.client("gone").disconnect()
        done = self.factory.shutDown()
        self.clock.advance(self.limits.shut_down - 1)
        self.assertNoResult(done)
        with capturedLogs() as logged:
            self.clock.advance(1)
        self.successResultOf(done)
        [event] = [each for each in logged if "cut off" in each["log_format"]]
        self.assertEqual(event["count"], 2)
        self.assertTrue(self.client("here").transport.closed)
        held.let_go()
        held.let_go()

    def test_nobody_there(self) -> None:
        self.successResultOf(self.factory.shutDown())

    def test_protocol_that_was_never_connected_is_nobody(self) -> None:
        self.factory.buildProtocol(None)
        self.successResultOf(self.factory.shutDown())


class _Plain(Unavailable):
    imap = None
