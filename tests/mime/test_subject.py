"""The base subject, RFC 5256 §2.1."""

from __future__ import annotations

import time

from twisted.trial.unittest import SynchronousTestCase

from twisted_duck.mime.subject import base_subject


class BaseSubjectTests(SynchronousTestCase):
    def check(self, table: dict[str, tuple[str, bool]]) -> None:
        for subject, expected in table.items():
            with self.subTest(subject=subject):
                self.assertEqual(base_subject(subject), expected)

    def test_white_space_is_made_one_space_and_taken_from_the_ends(self) -> None:
        self.check({"  a \t b\r\n  c ": ("a b c", False), "": ("", False), " \t": ("", False)})

    def test_a_reply_and_a_forwarded_message(self) -> None:
        for lead in ("Re:", "RE :", "fw:", "Fwd:", "FWD  :", "re[3]:", "Re [b] :", "re: Fw: RE:"):
            with self.subTest(lead=lead):
                self.assertEqual(base_subject(f"{lead} the duck"), ("the duck", True))

    def test_what_only_looks_like_one(self) -> None:
        self.check(
            {
                "Rehash: x": ("Rehash: x", False),
                "AW: x": ("AW: x", False),
                "x Re: y": ("x Re: y", False),
                "Re [a][b]: x": ("Re [a][b]: x", False),
                "(fwd) x": ("(fwd) x", False),
            }
        )

    def test_what_stands_behind(self) -> None:
        self.check(
            {
                "x (fwd)": ("x", True),
                "x(FWD) (Fwd)  ": ("x", True),
                "(fwd)": ("", True),
                "x (fwd) y": ("x (fwd) y", False),
            }
        )

    def test_blobs(self) -> None:
        self.check(
            {
                "[list] x": ("x", False),
                "[a][b]  [c] x": ("x", False),
                "[a] x [b]": ("x [b]", False),
                # The last one stays where there would be nothing left.
                "[a]": ("[a]", False),
                "[a] [b]": ("[b]", False),
                "Re: [a]": ("[a]", True),
                "[list] Re: [other] fwd[2]: x": ("x", True),
                "[a [b] x": ("[a [b] x", False),
                "[a x": ("[a x", False),
            }
        )

    def test_what_stands_around(self) -> None:
        self.check(
            {
                "[fwd: x]": ("x", True),
                "[Fwd: Re: [FWD: x (fwd)] (fwd)]": ("x", True),
                "[fwd: [list] x]": ("x", True),
                "[fwd:]": ("", True),
                # Something stands behind it: then it is a blob like others.
                "[fwd: x] y": ("y", False),
            }
        )

    def test_the_longest_subject_takes_no_time(self) -> None:
        for subject in (
            "[a]" * 80_000,
            "re:" * 80_000,
            "[a]re:" * 40_000,
            "[fwd:" * 40_000 + "]" * 40_000,
            "(fwd)" * 50_000,
            "re [" * 60_000,
            "[" * 250_000,
        ):
            began = time.process_time()
            base_subject(subject)
            self.assertLess(time.process_time() - began, 2, subject[:10])
