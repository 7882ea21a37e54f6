"""What is asked of an endpoint's description before Twisted reads it."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator

#: What is between the parts of a description, and what stands for a character inside of one.
_COLON = re.compile(r"(?<!\\):")
_ESCAPED = re.compile(r"\\(.)")


def values(description: str, kinds: Collection[str], name: str) -> Iterator[str]:
    """Of an endpoint of one of these kinds, its arguments without a name and those of that name, wherever they stand."""
    kind, *arguments = _COLON.split(description)
    if kind in kinds:
        for argument in arguments:
            given, _, value = argument.rpartition("=")
            if given in ("", name):
                yield _ESCAPED.sub(r"\1", value)
