"""Bounds are numbers, whoever sets them, and `help(Limits)` says which."""

from __future__ import annotations

import inspect
import pydoc
from typing import Any

import attrs
from attrs import evolve
from twisted.trial.unittest import SynchronousTestCase

from twisted_duck.limits import Limits


class LimitsTests(SynchronousTestCase):
    def check(self, error: type[Exception], message: str, **limits: Any) -> None:
        for make in (Limits, lambda **limits: evolve(Limits(), **limits)):
            self.assertEqual(str(self.assertRaises(error, make, **limits)), message)

    def test_what_is_no_whole_number(self) -> None:
        for wrong in ("60", None, True, 1.5, [60]):
            self.check(TypeError, f"login must be a whole number, not {wrong!r}", login=wrong)

    def test_what_is_no_number_where_there_may_be_fractions(self) -> None:
        for wrong in ("15", None, True):
            self.check(TypeError, f"pop3_held must be a number, not {wrong!r}", pop3_held=wrong)

    def test_below_nothing(self) -> None:
        self.check(ValueError, "login must be 0 or more, not -1", login=-1)
        for wrong in (-0.5, float("nan")):
            self.check(ValueError, f"pop3_held must be 0 or more, not {wrong!r}", pop3_held=wrong)

    def test_what_is_good(self) -> None:
        limits = Limits(login=0, message=10**12, pop3_held=0.5)
        self.assertEqual((limits.login, limits.message, limits.pop3_held), (0, 10**12, 0.5))


class HelpTests(SynchronousTestCase):
    def test_each_field_stands_there_with_its_unit(self) -> None:
        said = pydoc.plain(pydoc.render_doc(Limits))
        for field in attrs.fields(Limits):
            self.assertIn(f" |      {field.name}: ", said)
        self.assertRegex(said, r"#: Seconds from connection to login.*\n \|      login: int = 60\n")

    def test_where_there_is_no_source_that_is_said(self) -> None:
        def gone(owner: type) -> str:
            raise OSError("could not get source code")

        self.patch(inspect, "getsource", gone)
        self.assertIn("in the source of this module", pydoc.plain(pydoc.render_doc(Limits)))
