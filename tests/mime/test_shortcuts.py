"""What is short, usual, or known is read by shorter ways, which say what the long ones say of any message."""

from __future__ import annotations

import random
import re
from contextlib import ExitStack
from unittest.mock import patch

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from tests.fuzz.mutation import mutate
from tests.mime.corpus import OWN
from twisted_duck.limits import Limits
from twisted_duck.mime import preview
from twisted_duck.mime.date import sent
from twisted_duck.mime.message import Analysis, analyse, behind
from twisted_duck.mime.scan import scan_with_heads
from twisted_duck.mime.structure import _OF_A_BYTE, _OF_A_PART, structure
from twisted_duck.mime.subject import base_subject

TRACE = b"Return-Path: <a@b>\r\nDelivered-To: c@d\r\n"
WORDS = (
    *(
        b"\r\n",
        b"\r\n ",
        b"\n\t",
        b"\r",
        b" ",
        b":",
        b'"',
        b"\\",
        b"<",
        b"(",
        b",",
        b"=?utf-8?q?=C3=A4?=",
        b"\xe4",
    ),
    *(b"\nSubject: Re: a", b"\nFROM : a <b@c>, d@e", b"\nTo: g: a@b;", b"\nCc: " + b"a@b, " * 40),
    *(
        b"\nDate: Mon, 2 Jan 2023 03:04:05 +0100",
        b"\nMessage-ID: <a@b>",
        b"\nReferences: <c@d> <e@f>",
    ),
    *(
        b"\nContent-Type: text/html",
        b"\nContent-Type: multipart/mixed; boundary=b",
        b"\n--b\n",
        b"\n--b--\n",
    ),
    *(b"\nContent-Type: message/rfc822", b"\nContent-Disposition: attachment; filename=x", b"\n\n"),
    *(
        b"\nContent-Transfer-Encoding: base64",
        b"\nContent-Transfer-Encoding: quoted-printable",
        b"> ",
        b"-- \n",
    ),
)
LIMITS = (
    Limits(),
    Limits(mime_search=60, mime_sort_key=5, mime_sort_address=10, preview=20),
    Limits(mime_structure=150, mime_addresses=40, mime_parts=3, mime_fields=4, mime_field=15),
)
LINES = (
    "some words",
    "a",
    "  ",
    " ",
    "\n",
    "\r\n",
    "\n\n",
    "> ",
    "-- ",
    "\t",
    "\x0b",
    "\x7f",
    "ä",
    "wrote:",
)
LINES += ("----- b -----", "a long line of words that goes on and on " * 8 + "\n")
#: Of what a short header may have, what ENVELOPE and BODYSTRUCTURE say with the most octets.
EXPENSIVE = (
    b":;",
    b":",
    b";",
    b",",
    b"\xff,",
    b'"',
    b"\\",
    b"a",
    b"<",
    b"@",
    b"(",
    b"*0*=",
    b"=",
    b"/",
    b"\n ",
)
EXPENSIVE += (
    b"\nFrom:",
    b"\nto:",
    b"\nCc:",
    b"\nContent-Type:",
    b"\nContent-Language:",
    b"\nContent-ID:",
)
EXPENSIVE += (
    b"\nContent-Type:multipart/x;boundary=b\n\n--b",
    b"\n--b\n",
    b"\nContent-Type:message/rfc822\n",
)
#: What is never found, and what has everything.
_NEVER = re.compile(rb"(?!)")


class _Everything:
    def __contains__(self, one: object) -> bool:
        return True


def the_long_way(data: bytes, limits: Limits) -> tuple[Analysis, Analysis]:
    mime = "twisted_duck.mime."
    with ExitStack() as stack:
        for name, value in (
            *(
                ("head._SHORT", -1),
                ("structure._OF_A_BYTE", 1 << 40),
                ("structure.SHORT", -1),
                ("order.SHORT", -1),
            ),
            *(("form._SHORT", -1), ("words._SHORT", -1), ("date._USUAL", _NEVER)),
            *(("subject._MAY_BEGIN", _Everything()), ("text.CHUNK", 100), ("preview.CHUNK", -1)),
            *(("text._FEW", 1 << 40), ("preview._words", lambda text, most: None)),
        ):
            stack.enter_context(patch(mime + name, value))
        return analysed(data, limits)


def analysed(data: bytes, limits: Limits) -> tuple[Analysis, Analysis]:
    one = analyse(data, limits)
    return one, behind(TRACE, one, limits)


class ShortcutTests(SynchronousTestCase):
    def check(self, data: bytes, limits: Limits) -> None:
        self.assertEqual(analysed(data, limits), the_long_way(data, limits), data)

    def test_own_messages(self) -> None:
        for path in sorted(OWN.glob("*.eml")):
            for limits in LIMITS:
                self.check(path.read_bytes(), limits)

    def test_own_messages_with_something_done_to_them(self) -> None:
        dice = random.Random(6)
        seeds = [path.read_bytes() for path in sorted(OWN.glob("*.eml"))]
        seeds = [seed for seed in seeds if len(seed) < 10_000]
        for number in range(1_500):
            self.check(mutate(dice, seeds, WORDS), LIMITS[number % len(LIMITS)])

    @given(st.lists(st.sampled_from(WORDS), max_size=30).map(b"".join), st.sampled_from(LIMITS))
    def test_any_header(self, data: bytes, limits: Limits) -> None:
        self.check(data[1:] + b"\r\n\r\ntext\r\n", limits)

    @given(
        st.from_regex(
            rb"\A\s?(Mon, )?[0-9]{1,2}[ -]?(Feb|feb|Xyz) [0-9]{2,5} [0-9]{1,2}:[0-9]{2}(:[0-9]{2})?[ ][-+ ][0-9]{3,5}( \(c\))?\Z"
        )
    )
    def test_dates(self, value: bytes) -> None:
        usual = sent(value)
        with patch("twisted_duck.mime.date._USUAL", _NEVER):
            self.assertEqual(sent(value), usual)

    @given(
        st.lists(st.sampled_from(LINES), max_size=30).map("".join), st.sampled_from((0, 20, 200))
    )
    def test_previews(self, text: str, most: int) -> None:
        told = preview._told(preview._lines(text), most)
        self.assertIn(preview._words(text, most), (None, told))

    def test_previews_of_words(self) -> None:
        for text in ("Well, so be it.\r\n", "a b\n\nc \n", "several words\r\n" * 100):
            told = preview._told(preview._lines(text), 200)
            self.assertEqual(preview._words(text, 200), told)
        for text in ("", "a  b\n", "a\n> b\n", "a\tb\n", "ä\n", "a" + "\r\n" * 900 + "b\n"):
            self.assertIsNone(preview._words(text, 200))

    @given(st.lists(st.sampled_from(EXPENSIVE), max_size=30).map(b"".join))
    def test_how_much_comes_of_a_header_at_the_most(self, data: bytes) -> None:
        """What is so short that no budget is kept would not have been cut by one."""
        tree, heads = scan_with_heads(data[1:] + b"\n\n")
        size = sum(part.body - part.start for part in tree.parts)
        most = _OF_A_BYTE * size + _OF_A_PART * len(tree.parts)
        with patch("twisted_duck.mime.structure._OF_A_BYTE", 1 << 40):
            cut = structure(tree, heads, Limits(mime_structure=most))
        self.assertEqual(structure(tree, heads), cut)

    @given(st.text("rRfFeEwWdD:[]() x\t\n-"))
    def test_subjects(self, subject: str) -> None:
        usual = base_subject(subject)
        with patch("twisted_duck.mime.subject._MAY_BEGIN", _Everything()):
            self.assertEqual(base_subject(subject), usual)
