"""Messages that were made to cost much are taken, told of and given back like any other; twice as much takes twice as long."""

from __future__ import annotations

import sys
from collections.abc import Callable
from types import FrameType

from twisted.trial.unittest import SynchronousTestCase

from tests.hostile.asking import check_fetch, check_search
from tests.hostile.messages import MESSAGES
from tests.imap.transcript import IMAPCase
from tests.transcript import Client
from twisted_duck.limits import KIB, Limits
from twisted_duck.mime.message import analyse, behind
from twisted_duck.mime.scan import scan
from twisted_duck.mime.surrogate import Downgrader

#: How much more twice as much may cost.
_TWICE = 2.5
#: Calls that it takes whatever the message.
_AT_LEAST = 500


class AnswersTests(IMAPCase):
    """With bounds so low that each of these messages is beyond one of them."""

    selected = "INBOX"
    limits = Limits(
        mime_depth=20,
        mime_parts=200,
        mime_structure=8 * KIB,
        mime_addresses=8 * KIB,
        mime_search=4 * KIB,
        spool_memory=8 * KIB,
    )

    def run_in(self, client: Client) -> Callable[[bytes], bytes]:
        def run(command: bytes) -> bytes:
            client.send(b"a1 " + command + b"\r\n")
            said = client.heard()
            while b"\r\na1 " not in b"\r\n" + said[-200:]:
                self.clock.advance(0)
                more = client.heard()
                self.assertTrue(more or self.clock.getDelayedCalls(), command)
                said += more
            last = said[(b"\r\n" + said).rindex(b"\r\na1 ") :]
            self.assertTrue(last.startswith(b"a1 OK"), last)
            return said

        return run

    def test_every_answer_is_well_formed_and_the_bytes_are_those_that_came(self) -> None:
        client = self.client()
        run = self.run_in(client)
        for name, hostile in MESSAGES.items():
            with self.subTest(name):
                message = hostile.of_size(24 * KIB)
                client.send(b"a0 APPEND INBOX {%d+}\r\n%b\r\n" % (len(message), message))
                said = client.heard()
                self.assertIn(b"a0 OK", said)
                check_fetch(run, 1, message)
                check_search(run, 1)
                run(b"STORE 1 +FLAGS.SILENT (\\Deleted)")
                run(b"EXPUNGE")


def calls(work: Callable[[], object]) -> int:
    """How many functions are called."""
    count = 0

    def step(frame: FrameType, event: str, argument: object) -> None:
        nonlocal count
        count += event in ("call", "c_call")

    before = sys.getprofile()
    sys.setprofile(step)
    try:
        work()
    finally:
        sys.setprofile(before)
    return count


class CostTests(SynchronousTestCase):
    """What is counted is calls; `python -m tests.hostile` has the seconds."""

    def assert_linear(self, name: str, work: Callable[[bytes], object]) -> None:
        hostile = MESSAGES[name]
        some, more = (hostile.of_size(size * KIB) for size in (6, 12))
        once, twice = calls(lambda: work(some)), calls(lambda: work(more))
        self.assertLessEqual(twice, _TWICE * once + _AT_LEAST)

    def test_reading_a_message(self) -> None:
        for name in MESSAGES:
            with self.subTest(name):
                self.assert_linear(name, analyse)

    def test_putting_fields_in_front_of_it(self) -> None:
        for name in MESSAGES:
            with self.subTest(name):
                self.assert_linear(name, lambda data: behind(b"X: y\r\n", analyse(data)))

    def test_downgrading_its_headers(self) -> None:
        def downgrade(data: bytes) -> None:
            data = data.replace(b"a", b"\xe4")
            told = b"".join(Downgrader(scan(data), 0, len(data)).feed(data))
            self.assertTrue(told)

        for name in MESSAGES:
            with self.subTest(name):
                self.assert_linear(name, downgrade)
