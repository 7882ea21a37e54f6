"""Wires to the database: which is chosen, what is sent as one piece, and who is answered."""

from __future__ import annotations

from math import inf
from socket import socket
from types import SimpleNamespace
from typing import Any, cast
from unittest.mock import Mock

import bson
from bson.errors import BSONError
from pymongo.errors import ConnectionFailure
from twisted.internet.defer import CancelledError, Deferred, TimeoutError
from twisted.internet.error import ConnectionLost
from twisted.internet.task import Clock
from twisted.internet.tcp import Server
from twisted.internet.testing import MemoryReactorClock, StringTransport
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from txmongo.connection import ConnectionPool, _Connection
from txmongo.protocol import Msg

from twisted_duck.store.driver import Document, Pool, Wire
from twisted_duck.store.uri import parse


class WireTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.made: list[_Connection] = []
        self.patch(ConnectionPool, "__init__", lambda *_, **__: None)
        self.patch(ConnectionPool, "getprotocols", lambda _: self.made)
        self.pool = Pool(parse("mongodb://localhost/"), 1, self.clock)

    def wire(self, transport: Any = None) -> Wire:
        """A connection of the pool."""
        wire = Wire()
        wire.factory = SimpleNamespace(pool=self.pool, setInstance=lambda *_: None)
        wire.transport = transport or StringTransport()
        self.pool.wires.add(wire)
        return wire

    def ask(self, wire: Wire, seconds: float) -> Deferred[Document]:
        return Deferred.fromCoroutine(self.pool.send({"ping": 1}, seconds, wire))

    def reply(self, number: int, body: Document | None = None) -> bytes:
        message = Msg(response_to=number, body=bson.encode(body or {"ok": 1.0}))
        encoded: bytes = message.encode(1000 + number)
        return encoded

    def test_replies_in_any_pieces(self) -> None:
        stream = b"".join(self.reply(number, {"x": "y" * 100 * number}) for number in (1, 3, 2))
        for size in (1, 7, 100, len(stream)):
            wire = self.wire()
            asked = [wire.ask({"ping": 1}, inf) for _ in range(3)]
            for at in range(0, len(stream), size):
                wire.dataReceived(stream[at : at + size])
            lengths = [len(self.successResultOf(each)["x"]) for each in asked]
            self.assertEqual(lengths, [100, 200, 300])
            self.assertEqual(wire.busy, 0)

    def test_a_reply_that_makes_no_sense_is_the_failure_of_who_waits_for_it(self) -> None:
        wire = self.wire()
        broken, whole = (wire.ask({"ping": 1}, inf) for _ in range(2))
        wire.dataReceived(self.reply(1)[:-1] + b"x" + self.reply(2))
        self.failureResultOf(broken, BSONError)
        self.assertEqual(self.successResultOf(whole), {"ok": 1.0})

    def test_what_is_lost_with_the_connection_fails(self) -> None:
        wire = self.wire()
        asked = [self.ask(wire, 1.0) for _ in range(2)]
        wire.connectionLost(Failure(ConnectionLost()))
        for each in asked:
            self.failureResultOf(each, ConnectionFailure)

    def test_what_is_sent_together_is_one_piece(self) -> None:
        reactor: Any = MemoryReactorClock()
        pieces: list[bytes] = []
        transport = Server(socket(), Wire(), ("127.0.0.1", 1), cast(Any, None), 0, reactor)
        self.addCleanup(transport.socket.close)
        self.patch(transport, "writeSomeData", lambda data: pieces.append(bytes(data)) or len(data))
        wire = self.wire(transport)
        for number in range(3):
            wire.ask({"ping": number}, inf)
        self.assertEqual(len(pieces), 3)
        with wire.together():
            for number in range(3):
                wire.ask({"ping": number}, inf)
        self.assertEqual(list(map(len, pieces[3:])), [sum(map(len, pieces[:3]))])

    def test_a_piece_that_is_part_of_another_goes_out_with_that_and_in_its_place(self) -> None:
        wire = self.wire()
        with wire.together():
            wire.ask({"ping": 1}, inf)
            with wire.together():
                wire.ask({"ping": 2}, inf)
            self.assertEqual(wire.transport.value(), b"")
            wire.ask({"ping": 3}, inf)
        self.assertEqual(self.pings(wire), [1, 2, 3])

    def pings(self, wire: Wire) -> list[int]:
        """What was sent since it was last asked."""
        sent = wire.transport.value()
        wire.transport.clear()
        found = []
        while sent:
            size = int.from_bytes(sent[:4], "little")
            found.append(bson.decode(sent[21:size])["ping"])
            sent = sent[size:]
        return found

    def test_what_waits_for_others_of_its_piece_may_be_handed_on_before(self) -> None:
        wire = self.wire()
        with wire.together():
            wire.hand_on()
            wire.ask({"ping": 1}, inf)
            with wire.together():
                wire.ask({"ping": 2}, inf)
                self.assertEqual(self.pings(wire), [])
                wire.hand_on()
                self.assertEqual(self.pings(wire), [1, 2])
                wire.ask({"ping": 3}, inf)
            self.assertEqual(self.pings(wire), [])
        self.assertEqual(self.pings(wire), [3])
        wire.hand_on()
        wire.ask({"ping": 4}, inf)
        self.assertEqual(self.pings(wire), [4])

    def test_a_piece_that_can_not_be_sent_does_not_keep_the_next_ones(self) -> None:
        wire = self.wire()
        write = wire.transport.write
        wire.transport.write = Mock(side_effect=MemoryError)
        with self.assertRaises(MemoryError), wire.together():
            wire.ask({"ping": 1}, inf)
        wire.transport.write = write
        with wire.together():
            wire.ask({"ping": 2}, inf)
        wire.ask({"ping": 3}, inf)
        self.assertEqual(self.pings(wire), [2, 3])

    def test_nothing_is_sent_over_a_connection_that_is_lost(self) -> None:
        wire = self.wire()
        wire.is_lost = True
        with self.assertRaises(ConnectionFailure), wire.together():
            wire.ask({"ping": 1}, inf)
        self.assertEqual(wire.transport.value(), b"")

    def test_the_connection_with_the_least_to_do_is_chosen_and_none_that_is_lost(self) -> None:
        self.made = [_Connection(None, {"nodelist": []}, number, 1, 1) for number in range(3)]
        for each in self.made:
            each.instance = self.wire()

        def chosen() -> Deferred[Wire]:
            return Deferred.fromCoroutine(self.pool.wire(1.0))

        one, two, three = (each.instance for each in self.made)
        for wire, busy in ((one, 3), (two, 1), (three, 2)):
            for _ in range(busy):
                wire.ask({"ping": 1}, inf)
        self.assertIs(self.successResultOf(chosen()), two)
        two.is_lost = True
        self.assertIs(self.successResultOf(chosen()), three)
        one.is_lost = three.is_lost = True
        self.failureResultOf(chosen(), ConnectionFailure)

    def test_a_connection_that_owes_an_answer_is_chosen_last_though_nobody_waits(self) -> None:
        self.made = [_Connection(None, {"nodelist": []}, number, 1, 1) for number in range(2)]
        for each in self.made:
            each.instance = self.wire()
        silent, other = (each.instance for each in self.made)
        late = self.ask(silent, 1.0)
        self.clock.advance(1.0)
        self.failureResultOf(late, TimeoutError)
        self.assertEqual(self.clock.getDelayedCalls(), [])
        self.assertIs(self.pool.ready(), other)
        other.ask({"ping": 1}, inf)
        other.ask({"ping": 1}, inf)
        self.assertIs(self.pool.ready(), silent)
        silent.dataReceived(self.reply(1))
        self.assertEqual(silent.busy, 0)

    def test_what_was_given_up_is_not_told_that_the_connection_is_lost(self) -> None:
        wire = self.wire()
        late, waiting = self.ask(wire, 1.0), self.ask(wire, 2.0)
        self.clock.advance(1.0)
        self.failureResultOf(late, TimeoutError)
        wire.connectionLost(Failure(ConnectionLost()))
        self.failureResultOf(waiting, ConnectionFailure)

    def test_a_pool_that_gets_no_connection_is_not_waited_for_without_end(self) -> None:
        self.made = [_Connection(None, {"nodelist": []}, number, 1, 1) for number in range(2)]
        asked = Deferred.fromCoroutine(self.pool.send({"ping": 1}, 5.0))
        self.clock.advance(4.9)
        self.assertNoResult(asked)
        self.clock.advance(0.1)
        self.failureResultOf(asked, TimeoutError)

    def test_each_command_has_its_time_and_all_have_one_timer(self) -> None:
        wires = [self.wire(), self.wire()]
        asked = {
            seconds: self.ask(wires[seconds % 2], float(seconds)) for seconds in (10, 7, 2, 3, 9)
        }
        self.assertEqual(len(self.clock.getDelayedCalls()), 1)
        answered = asked.pop(7)
        wires[1].dataReceived(self.reply(1))
        self.assertEqual(self.successResultOf(answered), {"ok": 1.0})
        for second in range(1, 11):
            self.clock.advance(1.0)
            for seconds, each in list(asked.items()):
                if seconds == second:
                    self.failureResultOf(asked.pop(seconds), TimeoutError)
                else:
                    self.assertNoResult(each)
            self.assertEqual(len(self.clock.getDelayedCalls()), 1 if asked else 0)

    def test_no_timer_is_set_for_a_command_while_one_is_due_sooner(self) -> None:
        wire = self.wire()
        last = self.ask(wire, 10.0)
        [timer] = self.clock.getDelayedCalls()
        for number in range(1, 100):
            wire.dataReceived(self.reply(number))
            self.successResultOf(last)
            self.clock.advance(0.01)
            last = self.ask(wire, 10.0)
        self.assertEqual(self.clock.getDelayedCalls(), [timer])
        self.clock.advance(10.0)
        self.failureResultOf(last, TimeoutError)

    def test_a_reply_that_is_late_is_passed_over(self) -> None:
        wire = self.wire()
        late = self.ask(wire, 1.0)
        self.clock.advance(1.0)
        self.failureResultOf(late, TimeoutError)
        next = self.ask(wire, 1.0)
        wire.dataReceived(self.reply(1, {"late": 1}) + self.reply(2))
        self.assertEqual(self.successResultOf(next), {"ok": 1.0})

    def test_who_is_not_interested_any_more_hurts_nobody(self) -> None:
        wire = self.wire()
        one, two = self.ask(wire, 1.0), self.ask(wire, 1.0)
        one.cancel()
        self.failureResultOf(one, CancelledError)
        wire.dataReceived(self.reply(1) + self.reply(2))
        self.assertEqual(self.successResultOf(two), {"ok": 1.0})

    def test_who_is_given_up_may_ask_again_at_once(self) -> None:
        wire = self.wire()
        again: list[Deferred[Document]] = []
        self.ask(wire, 1.0).addErrback(lambda _: again.append(self.ask(wire, 2.0)))
        self.clock.advance(1.0)
        self.assertNoResult(again[0])
        self.clock.advance(2.0)
        self.failureResultOf(again[0], TimeoutError)
