"""All that IMAP can be asked about one message, and whether the answers are right."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from tests.mime.wire import Value, check_body, check_envelope, parse

#: Sends a command without its tag; what comes back, the tagged OK at its end.
Run = Callable[[bytes], bytes]


def _no_check(value: Value) -> None:
    """It was read, and that is all there is to say of it."""


_ITEMS: Final[dict[bytes, Callable[[Value], None]]] = {
    b"ENVELOPE": check_envelope,
    b"BODYSTRUCTURE": lambda value: check_body(value, extended=True),
    b"BODY": lambda value: check_body(value, extended=False),
    b"PREVIEW": _no_check,
    b"BODY.PEEK[1]": _no_check,
    b"BODY.PEEK[1.1.1.MIME]": _no_check,
    b"BODY.PEEK[HEADER.FIELDS (SUBJECT TO)]": _no_check,
    b"BODY.PEEK[HEADER.FIELDS.NOT (SUBJECT TO)]": _no_check,
    b"BINARY.PEEK[1]": _no_check,
    b"BINARY.SIZE[1]": _no_check,
}
#: Each takes a message number, and names it where it is answered.
_SEARCHES: Final = (
    b'SEARCH %d TEXT "hostile@example.org"',
    b"SORT (SUBJECT FROM TO CC DATE DISPLAYFROM) UTF-8 %d",
    b"THREAD REFERENCES UTF-8 %d",
    b"THREAD ORDEREDSUBJECT UTF-8 %d",
)


def fetched(run: Run, number: int, item: bytes) -> Value:
    """The value of one item of a message; AssertionError where it is not written as RFC 3501 §9 has it."""
    said = run(b"FETCH %d (%b)" % (number, item))
    answer = said[: said.rindex(b"\r\n", 0, -2) + 2]
    start = b"* %d FETCH (%b " % (number, item.replace(b".PEEK", b""))
    assert answer.startswith(start) and answer.endswith(b")\r\n"), answer[:200]
    return parse(answer.removeprefix(start).removesuffix(b")\r\n"))


def check_fetch(run: Run, number: int, message: bytes) -> None:
    """Every answer is well-formed, and the bytes are those that came."""
    for item, check in _ITEMS.items():
        check(fetched(run, number, item))
    header, text = (fetched(run, number, b"BODY.PEEK[%b]" % part) for part in (b"HEADER", b"TEXT"))
    assert isinstance(header, bytes) and isinstance(text, bytes) and header + text == message
    assert fetched(run, number, b"BODY.PEEK[]") == message


def check_search(run: Run, number: int) -> None:
    """The message is found by what is in its header, sorted and threaded; and not found by what is not there."""
    for search in _SEARCHES:
        said = run(search % number)
        assert (
            b"%d" % number
            in said.partition(b"\r\n")[0].replace(b"(", b" ").replace(b")", b" ").split()
        ), said[:200]
    assert b"%d\r\n" % number not in run(b'SEARCH %d TEXT "not in any message"' % number)
