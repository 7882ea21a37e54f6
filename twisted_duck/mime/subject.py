"""The base subject: what SORT and THREAD compare (RFC 5256 §2.1, §5)."""

from __future__ import annotations

import re
from typing import Final

_SPACES = re.compile(r"[ \t\r\n]+")
_BLOB: Final = r"\[[^\[\]]*+\] *+"
_BLOBS = re.compile(rf"(?:{_BLOB})++")
_REPLY = re.compile(rf"(?:re|fwd?) *+(?:{_BLOB})?:", re.IGNORECASE)
_FORWARD = re.compile(r"\[fwd:", re.IGNORECASE)
_TRAILER: Final = "(fwd)"
#: The first and the last characters of whatever may be removed.
_MAY_BEGIN: Final = frozenset(" [rRfF")
_MAY_END: Final = frozenset(" )]")


def base_subject(subject: str) -> tuple[str, bool]:
    """The base subject of a decoded Subject, and whether the message is a reply or was forwarded.

    The steps of the RFC, by moving the two ends of what is left; each character is passed a bounded number of times.
    """
    text = subject
    if "  " in text or not text.isprintable():
        text = _SPACES.sub(" ", text)
    if text and text[0] not in _MAY_BEGIN and text[-1] not in _MAY_END:
        return text, False
    start, end, answers = 0, len(text), False
    while True:
        # Step 2: what may stand behind it.
        while end > start:
            if text[end - 1] == " ":
                end -= 1
            elif text[max(start, end - len(_TRAILER)) : end].lower() == _TRAILER:
                end -= len(_TRAILER)
                answers = True
            else:
                break
        # Steps 3 to 5: what may stand before it.
        while start < end:
            if text[start] == " ":
                start += 1
                continue
            blobs = _BLOBS.match(text, start, end)
            after = blobs.end() if blobs else start
            reply = _REPLY.match(text, after, end)
            if reply:
                start = reply.end()
                answers = True
            elif blobs is None:
                break
            elif after < end:
                # Each blob leaves something when it is removed; no reply can begin in between.
                start = after
            else:
                start = text.rindex("[", start, after)
                break
        # Step 6: what may stand around it.
        if end - start > 5 and text[end - 1] == "]" and _FORWARD.match(text, start, end):
            start += 5
            end -= 1
            answers = True
            continue
        return text[start:end], answers
