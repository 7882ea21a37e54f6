"""SASLprep (RFC 4013): the one form that different ways to type a password have."""

from __future__ import annotations

import stringprep
from collections.abc import Callable
from typing import Final
from unicodedata import ucd_3_2_0

from twisted_duck.errors import Cannot

# RFC 4013 §2.3.
_PROHIBITED: Final[tuple[Callable[[str], bool], ...]] = (
    stringprep.in_table_c12,
    stringprep.in_table_c21_c22,
    stringprep.in_table_c3,
    stringprep.in_table_c4,
    stringprep.in_table_c5,
    stringprep.in_table_c6,
    stringprep.in_table_c7,
    stringprep.in_table_c8,
    stringprep.in_table_c9,
)


def saslprep(text: str) -> str:
    """The prepared text; what Unicode 3.2 had not assigned yet stays as it is (a "query", RFC 3454 §7).

    Fails with Cannot for a text that has no prepared form, or an empty one.
    """
    if text.isascii():
        # Which is nearly all there are, and of which nothing is mapped.
        prepared = text
    else:
        mapped = "".join(
            " " if stringprep.in_table_c12(each) else each
            for each in text
            if not stringprep.in_table_b1(each)
        )
        prepared = ucd_3_2_0.normalize("NFKC", mapped)
    if any(prohibited(each) for each in prepared for prohibited in _PROHIBITED):
        raise Cannot("a password for SCRAM has no control characters")
    if not prepared or not _is_bidirectional(prepared):
        raise Cannot("the text cannot be prepared (RFC 4013)")
    return prepared


def _is_bidirectional(text: str) -> bool:
    """RFC 3454 §6: what is written from right to left begins and ends so, and has nothing else in it."""
    if not any(map(stringprep.in_table_d1, text)):
        return True
    if any(map(stringprep.in_table_d2, text)):
        return False
    return stringprep.in_table_d1(text[0]) and stringprep.in_table_d1(text[-1])
