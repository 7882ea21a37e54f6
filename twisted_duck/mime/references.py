"""Which messages a message refers to (RFC 5322 §3.6.4, RFC 5256 §3, THREAD=REFERENCES).

A Message ID is only ever compared, and there are many: eight bytes of its hash stand for it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from hashlib import blake2b
from typing import Final

from twisted_duck.mime.header import Fields, unfold

#: Bytes that stand for one Message ID.
WIDTH: Final = 8
#: Stands for no Message ID.
NONE: Final = bytes(WIDTH)

# What stands in quotes may be quoted for nothing: then it is the same as without.  No `<` is passed, so that each octet is
# looked at from one place only.
_ID = re.compile(rb"<\s*+(?:\"((?:[^\"\\<>]|\\[^<>])*+)\"|([^\s<>\"@]++))\s*+@\s*+([^\s<>]++)\s*+>")
_ESCAPED = re.compile(rb"\\(.)", re.DOTALL)
#: Octets of a Message ID; a line of a header has no more (RFC 5322 §2.1.1).
_LONGEST = 998


def ids(fields: Fields, most: int) -> bytes:
    """What stands for a message's own ID (or `NONE`), and behind it for those of the messages it refers to, oldest first.

    Of more than `most` references these are the first and the last ones: what else is in the thread says the rest.
    """
    own = _one(fields, b"message-id") or NONE
    named = fields.get(b"references")
    references = list(dict.fromkeys(_of(named))) if named else []
    if not references:
        # Behind the first one there may be anything (RFC 5256).
        return own + _one(fields, b"in-reply-to")
    if len(references) > most:
        references = [references[0], *references[1 - most :]]
    return own + b"".join(references)


def split(ids: bytes) -> tuple[bytes, ...]:
    """The single IDs: the message's own, then its references."""
    return tuple([ids[at : at + WIDTH] for at in range(0, len(ids), WIDTH)])


def _one(fields: Fields, name: bytes) -> bytes:
    """The first that the field called `name` has, b"" where there is none."""
    values = fields.get(name)
    return next(_of(values), b"") if values else b""


def _of(values: Sequence[bytes]) -> Iterator[bytes]:
    value = unfold(values[0])
    at = 0
    while found := _ID.search(value, at):
        at = found.end()
        if at - found.start() > _LONGEST:
            continue
        quoted, plain, domain = found.groups()
        local = plain if quoted is None else _ESCAPED.sub(rb"\1", quoted)
        yield blake2b(local + b"@" + domain, digest_size=WIDTH).digest()
