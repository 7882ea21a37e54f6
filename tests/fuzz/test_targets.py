"""A few seconds of each target, always with the same input."""

from __future__ import annotations

import random
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from tests.fuzz.mutation import mutate
from tests.fuzz.targets import TARGETS

#: What was once found, by the target it was found in.
FOUND = Path(__file__).parent / "found"

#: How often; a session is served anew each time.
_ROUNDS = {"imap": 60, "pop3": 100, "lmtp": 100, "mime": 300}
_USUAL = 1_500


class TargetTests(SynchronousTestCase):
    def check(self, name: str, data: bytes) -> None:
        try:
            TARGETS[name].check(data)
        except Exception as error:  # noqa: BLE001 - whatever it is, this is what it was with
            self.fail(f"{type(error).__name__} with {data!r}: {error}")
        # What was logged as our fault is one.
        self.assertEqual([str(each) for each in self.flushLoggedErrors()], [], data)

    def _go_through(self, name: str) -> None:
        target = TARGETS[name]
        for seed in target.seeds:
            self.check(name, seed)
        for path in sorted((FOUND / name).glob("*")):
            self.check(name, path.read_bytes())
        dice = random.Random(name)
        for _ in range(_ROUNDS.get(name, _USUAL)):
            self.check(name, mutate(dice, target.seeds, target.words))

    def test_framing(self) -> None:
        self._go_through("framing")

    def test_imap_grammar(self) -> None:
        self._go_through("imap-grammar")

    def test_imap(self) -> None:
        self._go_through("imap")

    def test_pop3_grammar(self) -> None:
        self._go_through("pop3-grammar")

    def test_pop3(self) -> None:
        self._go_through("pop3")

    def test_lmtp_grammar(self) -> None:
        self._go_through("lmtp-grammar")

    def test_lmtp(self) -> None:
        self._go_through("lmtp")

    def test_proxy(self) -> None:
        self._go_through("proxy")

    def test_sasl(self) -> None:
        self._go_through("sasl")

    def test_utf7(self) -> None:
        self._go_through("utf7")

    def test_mime(self) -> None:
        self._go_through("mime")

    def test_addresses(self) -> None:
        self._go_through("addresses")

    def test_dates(self) -> None:
        self._go_through("dates")

    def test_none_is_forgotten(self) -> None:
        tests = {name.removeprefix("test_") for name in dir(self) if name.startswith("test_")}
        self.assertLessEqual({name.replace("-", "_") for name in TARGETS}, tests)
