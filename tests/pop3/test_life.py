"""How a connection lives and ends: time-outs, slow clients, lost connections, shutdown."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import attrs
from twisted.internet.defer import Deferred
from twisted.logger import capturedLogs

from tests.pop3.transcript import FIRST, POP3Case
from tests.transcript import Client, Held
from twisted_duck.held import BytesContent
from twisted_duck.limits import Limits
from twisted_duck.memory import MemoryAccount, MemoryStore
from twisted_duck.memory.mailbox import MemoryMailbox
from twisted_duck.outflow import Outflow
from twisted_duck.pop3.factory import POP3Factory

BATCH = 256 * 1024
LONG = b"a line of a long message\r\n" * 40_000


class LifeCase(POP3Case):
    def is_open(self, client: Client) -> bool:
        self.clock.advance(0)
        return not client.transport.closed

    def slow_client(self) -> Client:
        client = self.client()
        client.transport.slow = True
        return client

    def reason(self) -> str:
        reason: str = self.client().protocol.session.closeReason
        return reason


class LoginTimeTests(LifeCase):
    log_in = False

    def test_login_must_be_done_in_a_minute_whatever_is_said(self) -> None:
        client = self.client()
        for _ in range(59):
            self.clock.advance(1)
            client.say("CAPA")
            client.send(b" " * 3)
            client.say("")
        self.assertTrue(self.is_open(client))
        client.heard()
        self.clock.advance(1)
        self.assertFalse(self.is_open(client))
        self.assertEqual(client.heard(), b"")
        self.assertEqual(self.reason(), "no login in time")

    def test_a_password_that_takes_too_long_to_check_is_too_late(self) -> None:
        checking: Deferred[bytes] = Deferred()
        self.patch(MemoryStore, "requestAvatarId", lambda *arguments: checking)
        client = self.client()
        client.say("USER alice")
        client.say("PASS wonderland")
        self.clock.advance(60)
        self.assertFalse(self.is_open(client))
        client.disconnect()
        done = self.factory.shutDown()
        self.assertNoResult(done)
        checking.callback(b"alice")
        self.successResultOf(done)

    def test_once_the_password_was_right_the_time_is_ours(self) -> None:
        held = self.hold(MemoryAccount, "select")
        client = self.client()
        client.say("USER alice")
        client.say("PASS wonderland")
        self.clock.advance(61)
        self.assertTrue(self.is_open(client))
        held.let_go()
        self.assertTrue(client.heard().startswith(b"+OK 2 messages"))

    def test_who_waits_with_an_answer_to_a_challenge(self) -> None:
        client = self.client()
        client.say("AUTH PLAIN")
        self.clock.advance(60)
        self.assertFalse(self.is_open(client))


class IdleTests(LifeCase):
    def test_ten_minutes_without_a_command(self) -> None:
        client = self.client()
        client.say("DELE 1")
        self.clock.advance(599)
        self.assertTrue(self.is_open(client))
        client.say("NOOP")
        self.clock.advance(599)
        self.assertTrue(self.is_open(client))
        self.clock.advance(1)
        self.assertFalse(self.is_open(client))
        # RFC 1939 §3: no answer, and no UPDATE.
        self.assertEqual(client.heard(), b"")
        self.assertEqual(self.reason(), "idle for too long")
        client.disconnect()
        self.assertEqual(self.count(), 2)

    def test_the_time_is_held_while_a_command_is_worked_on_and_starts_anew_behind_it(self) -> None:
        held = self.hold_fetch()
        client = self.client()
        self.assertEqual(client.say("RETR 1"), [])
        self.clock.advance(5000)
        self.assertTrue(self.is_open(client))
        held.let_go()
        self.assertTrue(client.heard().endswith(b"\r\n.\r\n"))
        self.clock.advance(599)
        self.assertTrue(self.is_open(client))
        self.clock.advance(1)
        self.assertFalse(self.is_open(client))

    def hold_fetch(self) -> Held:
        """Contents wait."""
        held, original = Held(), MemoryMailbox.fetch

        async def fetch(mailbox: MemoryMailbox, uids: Any, wanted: Any) -> AsyncIterator[Any]:
            if "content" in wanted:
                await held.wait()
            async for batch in original(mailbox, uids, wanted):
                yield batch

        self.patch(MemoryMailbox, "fetch", fetch)
        return held


class ShortTests(LifeCase):
    def test_less_than_ten_minutes_are_warned_of(self) -> None:
        for seconds, warned in ((599, 1), (600, 0)):
            with capturedLogs() as events:
                POP3Factory(self.portal, limits=Limits(pop3_idle=seconds), clock=self.clock)
            self.assertEqual(len(events), warned)


class SlowClientTests(LifeCase):
    messages = (LONG, FIRST)

    def setUp(self) -> None:
        super().setUp()
        # As the messages of a real store, which are not at hand as a whole.
        self.patch(BytesContent, "peek", lambda *arguments: None)

    def test_no_more_is_read_than_the_client_takes(self) -> None:
        read: list[int] = []
        original = BytesContent.chunks

        async def chunks(content: BytesContent, start: int, stop: int) -> Any:
            async for chunk in original(content, start, stop):
                read.append(len(chunk))
                yield chunk

        self.patch(BytesContent, "chunks", chunks)
        client = self.slow_client()
        client.send(b"RETR 1\r\nNOOP\r\n")
        answer = b""
        while not answer.endswith(b"still here\r\n"):
            self.assertTrue(len(client.transport.value()) <= BATCH + Outflow.PIECE)
            self.assertTrue(sum(read) <= len(answer) + 2 * BATCH)
            answer += client.take()
        self.assertEqual(answer, b"+OK %d octets\r\n%b.\r\n+OK still here\r\n" % (len(LONG), LONG))
        self.assertEqual(len(read), 4)
        self.assertEqual(sum(read), len(LONG))

    def test_who_takes_a_little_now_and_then_is_waited_for(self) -> None:
        client = self.slow_client()
        client.send(b"RETR 1\r\n")
        answer = b""
        while not answer.endswith(b"\r\n.\r\n"):
            self.clock.advance(299)
            self.assertTrue(self.is_open(client))
            answer += client.take()
        self.assertTrue(self.clock.seconds() > 4 * 299)
        # Only here does its time begin.
        self.clock.advance(599)
        self.assertTrue(self.is_open(client))
        self.clock.advance(1)
        self.assertFalse(self.is_open(client))
        self.assertEqual(self.reason(), "idle for too long")

    def test_who_takes_nothing_is_cut_off_and_deletes_nothing(self) -> None:
        client = self.client()
        client.say("DELE 2")
        client.transport.slow = True
        client.send(b"RETR 1\r\nQUIT\r\n")
        begun = client.heard()
        self.clock.pump([60] * 5)
        self.assertTrue(self.is_open(client))
        self.clock.advance(60)
        self.assertFalse(self.is_open(client))
        self.assertEqual(self.reason(), "the client does not read")
        self.assertFalse(client.transport.aborted)
        self.clock.advance(10)
        self.assertTrue(client.transport.aborted)
        # Nothing that is no part of the message was put behind its beginning.
        self.assertTrue((b"+OK %d octets\r\n%b" % (len(LONG), LONG)).startswith(begun))
        self.assertEqual(client.heard(), b"")
        client.disconnect()
        self.assertEqual(self.count(), 2)

    def test_who_sends_and_does_not_read_is_not_read_either(self) -> None:
        client = self.slow_client()
        client.send(b"RETR 1\r\n" + b"NOOP\r\n" * 50_000)
        self.assertEqual(client.transport.producerState, "paused")
        client.transport.slow = False
        answer = client.take()
        self.clock.pump([0] * 3000)
        answer += client.heard()
        self.assertEqual(client.transport.producerState, "producing")
        self.assertEqual(answer.count(b"+OK still here\r\n"), 50_000)


class LostTests(LifeCase):
    messages = (LONG, FIRST)

    def test_in_the_middle_of_a_message(self) -> None:
        self.patch(BytesContent, "peek", lambda *arguments: None)
        client = self.client()
        client.say("DELE 2")
        client.transport.slow = True
        client.send(b"RETR 1\r\nQUIT\r\n")
        client.disconnect()
        self.assertEqual(self.count(), 2)
        self.successResultOf(self.factory.shutDown())

    def test_while_the_store_is_asked(self) -> None:
        calls: list[str] = []

        async def logout(account: MemoryAccount) -> None:
            calls.append("logout")

        self.patch(MemoryAccount, "logout", logout)
        held = self.hold(MemoryAccount, "select")
        self.log_in = False
        client = self.client()
        client.send(b"USER alice\r\nPASS wonderland\r\nDELE 1\r\nQUIT\r\n")
        client.disconnect()
        self.assertEqual(calls, [])
        held.let_go()
        self.assertEqual(calls, ["logout"])
        self.assertEqual(self.count(), 2)

    def test_between_two_turns_of_long_work_nothing_more_is_run(self) -> None:
        client = self.client()
        client.send(b"NOOP\r\n" * 19 + b"DELE 1\r\nQUIT\r\n")
        client.disconnect()
        self.clock.pump([0] * 5)
        self.assertEqual(self.count(), 2)

    def test_in_the_middle_of_a_line(self) -> None:
        client = self.client()
        client.say("DELE 1")
        client.send(b"QUIT")
        client.disconnect()
        self.assertEqual(self.count(), 2)


class ShutDownTests(LifeCase):
    messages = (LONG, FIRST)

    def test_who_is_idle_is_told_and_let_go(self) -> None:
        client = self.client()
        client.say("DELE 1")
        done = self.factory.shutDown()
        self.assertEqual(client.heard(), b"-ERR [SYS/TEMP] the server is shutting down\r\n")
        self.assertFalse(self.is_open(client))
        self.assertNoResult(done)
        client.send(b"QUIT\r\n")
        client.disconnect()
        self.successResultOf(done)
        self.assertEqual(self.count(), 2)

    def test_who_is_served_gets_the_whole_answer_first(self) -> None:
        self.patch(BytesContent, "peek", lambda *arguments: None)
        client = self.slow_client()
        client.send(b"RETR 1\r\n")
        self.factory.shutDown("maintenance")
        self.assertTrue(self.is_open(client))
        answer = b""
        while self.is_open(client):
            answer += client.take()
        answer += client.heard()
        self.assertTrue(answer.endswith(LONG[-100:] + b".\r\n-ERR [SYS/TEMP] maintenance\r\n"))

    def test_who_still_takes_an_answer_gets_it_first(self) -> None:
        client = self.slow_client()
        client.send(b"NOOP\r\n")
        self.factory.shutDown("maintenance")
        self.assertEqual(client.take(), b"+OK still here\r\n")
        self.assertEqual(client.take(), b"-ERR [SYS/TEMP] maintenance\r\n")
        self.assertFalse(self.is_open(client))

    def test_with_nobody_there(self) -> None:
        self.successResultOf(self.factory.shutDown())

    def test_who_does_not_go_is_cut_off(self) -> None:
        client = self.client()
        self.factory.shutDown()
        self.clock.advance(9)
        self.assertFalse(client.transport.aborted)
        self.clock.advance(1)
        self.assertTrue(client.transport.aborted)


class OnceTests(LifeCase):
    def test_the_end_of_a_connection_is_told_once_whatever_it_was(self) -> None:
        told: list[object] = []
        original = self.factory._closed
        settings = attrs.evolve(
            self.factory._settings, closed=lambda each: (told.append(each), original(each))
        )
        self.patch(self.factory, "_settings", settings)
        for end in ("", "QUIT", "STAT", "RETR 1"):
            client = self.client(end)
            client.send(end.encode() + b"\r\n")
            self.assertEqual(told, [])
            client.disconnect()
            self.assertEqual(told, [client.protocol])
            told.clear()


class BrokenTests(LifeCase):
    def test_what_cannot_be_given_back_is_logged_and_the_rest_is(self) -> None:
        calls: list[str] = []

        async def logout(account: MemoryAccount) -> None:
            calls.append("logout")

        self.patch(MemoryAccount, "logout", logout)
        self.break_(MemoryMailbox, "close", ValueError("a bug"))
        client = self.client()
        client.disconnect()
        self.assertEqual(calls, ["logout"])
        self.assertEqual(len(self.flushLoggedErrors(ValueError)), 1)
        self.successResultOf(self.factory.shutDown())

    def test_the_realm_is_told_of_the_end_of_a_session(self) -> None:
        original = MemoryStore.requestAvatar
        ended: list[bool] = []

        def request(store: MemoryStore, *arguments: Any) -> Any:
            interface, avatar, _ = original(store, *arguments)
            return interface, avatar, lambda: ended.append(True)

        self.patch(MemoryStore, "requestAvatar", request)
        client = self.client()
        self.assertEqual(ended, [])
        client.disconnect()
        self.assertEqual(ended, [True])
