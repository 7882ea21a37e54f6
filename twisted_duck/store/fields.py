"""The few header fields that clients search by, beside the message: `messages.fields`.

FROM, TO, CC, BCC and SUBJECT (RFC 3501 §6.4.4) are nearly all that is asked of headers.  Their lines are some 150 bytes;
in `bodies` the server has to fetch 7 KiB by another index to see them, which takes three times as long.
"""

from __future__ import annotations

import re
from typing import Final

#: What there is a search key for.
NAMES: Final = frozenset({"from", "to", "cc", "bcc", "subject"})
_LINES: Final = re.compile(rf"\n(?:{'|'.join(sorted(NAMES))})(?![^:\n])[^\n]*+")
#: Characters of these lines above which they are with the body only: everything that reads messages reads past them, and
#: a letter to thirty people has less.
_MOST: Final = 2_048


def of(head: str) -> str | None:
    """Those lines of `bodies.head`, as they are there; None where they are too long to be kept twice."""
    kept = "".join(_LINES.findall(head)) + "\n"
    return kept if len(kept) <= _MOST else None
