"""Writing no faster than a client reads."""

from __future__ import annotations

from twisted.internet.defer import Deferred
from twisted.internet.testing import StringTransport
from twisted.trial.unittest import SynchronousTestCase

from twisted_duck.outflow import ConnectionOver, Outflow


class OutflowTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.transport = StringTransport()
        self.out = Outflow(self.transport)

    def drain(self) -> Deferred[None]:
        return Deferred.fromCoroutine(self.out.drain())

    def test_small_pieces_are_collected(self) -> None:
        self.out.write(b"a")
        self.out.write(b"b")
        self.assertEqual((self.transport.value(), self.out.written), (b"", 0))
        self.out.flush()
        self.assertEqual((self.transport.value(), self.out.written), (b"ab", 2))

    def test_a_large_piece_goes_at_once_behind_what_was_before_it(self) -> None:
        self.out.write(b"a")
        self.out.write(b"b" * Outflow.PIECE)
        self.assertEqual(self.transport.value(), b"a" + b"b" * Outflow.PIECE)

    def test_drain_waits_while_the_transport_is_full(self) -> None:
        self.successResultOf(self.drain())
        self.out.pauseProducing()
        waiting = self.drain()
        self.assertNoResult(waiting)
        self.assertTrue(self.out.blocked)
        self.out.resumeProducing()
        self.successResultOf(waiting)
        self.assertFalse(self.out.blocked)

    def test_what_was_collected_goes_out_before_the_wait(self) -> None:
        self.out.pauseProducing()
        self.out.write(b"a")
        waiting = self.drain()
        self.assertEqual(self.transport.value(), b"a")
        self.out.resumeProducing()
        self.successResultOf(waiting)

    def test_the_end_ends_every_wait(self) -> None:
        self.out.pauseProducing()
        waiting = self.drain()
        self.out.end(lost=False)
        self.failureResultOf(waiting, ConnectionOver)
        self.failureResultOf(self.drain(), ConnectionOver)
        self.assertIsNone(self.transport.producer)

    def test_last_words_go_out_and_later_ones_do_not(self) -> None:
        self.out.write(b"bye")
        self.out.end(lost=False)
        self.out.write(b"too late")
        self.out.flush()
        self.out.end(lost=False)
        self.assertEqual((self.transport.value(), self.out.written), (b"bye", 3))

    def test_nothing_is_written_to_a_lost_connection(self) -> None:
        self.out.write(b"bye")
        self.out.stopProducing()
        self.assertEqual((self.transport.value(), self.out.written), (b"", 0))
