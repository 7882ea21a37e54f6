"""Values into the bytes of RFC 3501 §9: what the server says.

Everything here answers complete lines, CRLF included, or pieces that are named for what they are.  Nothing is written
here; the protocol joins and sends.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from functools import lru_cache

from twisted_duck.errors import BadSyntax, DuckError
from twisted_duck.imap.utf7 import encode as encode_mailbox
from twisted_duck.values import RECENT, SYSTEM_FLAGS, Flags, UIDSet

_ATOM = re.compile(rb"[!#$&'+,\-./0-9:;<=>?@A-Z\[^_`a-z|}~]+\Z")
_NOT_QUOTABLE = re.compile(rb"[\x00\r\n\x80-\xff]")
_LINE_END = re.compile(rb"[\x00\r\n]")
_ESCAPED = re.compile(rb'([\\"])')
_NOT_TEXT = re.compile(r"[^\x20-\x7e]+")
#: A line of text for a person is cut here: some clients show it in a dialogue.
_TEXT_LENGTH = 300
#: Longer strings go as literals, so that no client meets an endless line.
_QUOTED_LENGTH = 1000
#: Ranges of UIDs in one line of VANISHED: about 10 KiB.
_RANGES = 500
_MONTHS = b"Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec".split()


# --- pieces -----------------------------------------------------------------------------------------------------------


def string(value: bytes) -> bytes:
    """A quoted string where that can hold the bytes, else a literal."""
    if len(value) > _QUOTED_LENGTH or _NOT_QUOTABLE.search(value):
        return b"{%d}\r\n%b" % (len(value), value)
    return b'"%b"' % _ESCAPED.sub(rb"\\\1", value)


def nstring(value: bytes | None) -> bytes:
    return b"NIL" if value is None else string(value)


def astring(value: bytes) -> bytes:
    """An atom where that can hold the bytes, else a string.  NIL is quoted, so that nobody reads it as nothing."""
    if _ATOM.match(value) and value.upper() != b"NIL":
        return value
    return string(value)


def mailbox(name: str, *, utf8: bool = False) -> bytes:
    """A mailbox name in modified UTF-7 (RFC 3501 §5.1.3), or, for who has enabled it, in UTF-8 (RFC 6855 §3)."""
    if not utf8:
        return astring(encode_mailbox(name))
    # An ampersand stands for itself here.
    value = name.encode("utf-8")
    if value.isascii() or _LINE_END.search(value):
        return astring(value)
    return b'"%b"' % _ESCAPED.sub(rb"\\\1", value)


def text(message: str) -> bytes:
    """One line for a person: printable ASCII only, no line end whatever comes in (RFC 3501 §9, `text`)."""
    if not (message.isascii() and message.isprintable()):
        message = _NOT_TEXT.sub(" ", message)
    return (message[:_TEXT_LENGTH].strip() or "?").encode("ascii")


def modseq(value: int) -> bytes:
    """The item of FETCH (RFC 7162 §3.1.4.2)."""
    return b"MODSEQ (%d)" % value


def flag_list(flags: Iterable[str]) -> bytes:
    return b"(%b)" % " ".join(flags).encode("ascii")


_flag_lists: dict[tuple[Flags, bool], bytes] = {}


def flags_of(flags: Flags, recent: bool) -> bytes:
    """A message's flags, system flags first, in a settled order; the answer for a set is made once."""
    key = flags, recent
    known = _flag_lists.get(key)
    if known is None:
        if len(_flag_lists) > 10_000:
            _flag_lists.clear()
        named = [
            *([RECENT] if recent else []),
            *sorted(flags, key=lambda flag: (flag[0] != "\\", flag)),
        ]
        known = _flag_lists[key] = flag_list(named)
    return known


@lru_cache(maxsize=256)
def _zone(offset: timedelta | None) -> bytes:
    minutes = round(offset.total_seconds() / 60) if offset else 0
    return b"%b%02d%02d" % (b"-" if minutes < 0 else b"+", *divmod(abs(minutes), 60))


def date_time(moment: datetime) -> bytes:
    """`"17-Jul-1996 02:44:25 -0700"` with the quotes (RFC 3501 §9, `date-time`)."""
    return b'"%2d-%b-%04d %02d:%02d:%02d %b"' % (
        moment.day,
        _MONTHS[moment.month - 1],
        moment.year,
        moment.hour,
        moment.minute,
        moment.second,
        _zone(moment.utcoffset()),
    )


# --- lines ------------------------------------------------------------------------------------------------------------


def tagged(tag: bytes, condition: bytes, message: str, code: bytes | None = None) -> bytes:
    """`tag OK [code] message`."""
    words = text(message)
    if code is not None:
        return b"%b %b [%b] %b\r\n" % (tag, condition, code, words)
    if words.startswith(b"["):
        # It would be read as a response code.
        words = b"(" + words[1:]
    return b"%b %b %b\r\n" % (tag, condition, words)


def status(condition: bytes, message: str, code: bytes | None = None) -> bytes:
    """`* OK [code] message`."""
    return tagged(b"*", condition, message, code)


def failure(tag: bytes, error: DuckError) -> bytes:
    """A command's error as its tagged answer: BAD for what the grammar or the state forbids, NO for the rest."""
    condition = b"BAD" if isinstance(error, BadSyntax) else b"NO"
    code = error.imap
    return tagged(tag, condition, error.message, code.encode("ascii") if code else None)


def continuation(message: bytes = b"go ahead") -> bytes:
    return b"+ %b\r\n" % message


def enabled(names: Iterable[str]) -> bytes:
    """The data of an untagged response (RFC 5161 §3.2)."""
    return " ".join(("ENABLED", *names)).encode("ascii")


def capability(names: Iterable[str]) -> bytes:
    """`CAPABILITY IMAP4rev1 ...`: an untagged response's data and a response code alike."""
    return b"CAPABILITY " + " ".join(names).encode("ascii")


def untagged(data: bytes) -> bytes:
    return b"* %b\r\n" % data


def exists(count: int) -> bytes:
    return b"* %d EXISTS\r\n" % count


def recent(count: int) -> bytes:
    return b"* %d RECENT\r\n" % count


def expunge(number: int) -> bytes:
    return b"* %d EXPUNGE\r\n" % number


def fetch(number: int, items: Iterable[bytes]) -> bytes:
    return b"* %d FETCH (%b)\r\n" % (number, b" ".join(items))


def vanished(uids: UIDSet, *, earlier: bool = False) -> bytes:
    """VANISHED (RFC 7162 §3.2.10), in as many lines as it takes."""
    name = b"VANISHED (EARLIER)" if earlier else b"VANISHED"
    return b"".join(
        b"* %b %b\r\n" % (name, str(UIDSet(uids.ranges[at : at + _RANGES])).encode("ascii"))
        for at in range(0, len(uids.ranges), _RANGES)
    )


def numbers(some: Iterable[int]) -> bytes:
    """A piece of what SEARCH and SORT tell."""
    return b" ".join(b"%d" % number for number in some)


def search(pieces: Iterable[bytes], modseq: int | None = None, *, name: bytes = b"SEARCH") -> bytes:
    """`pieces` are `numbers`; `modseq` is the highest of the messages found, where one was asked for (RFC 7162 §3.1.6)."""
    found = b" ".join(pieces)
    if not found:
        return b"* %b\r\n" % name
    highest = b"" if modseq is None else b" (MODSEQ %d)" % modseq
    return b"* %b %b%b\r\n" % (name, found, highest)


def sort(pieces: Iterable[bytes], modseq: int | None = None) -> bytes:
    """RFC 5256 §4; `modseq`: RFC 7162 §7, `sort-data`."""
    return search(pieces, modseq, name=b"SORT")


def thread(pieces: Iterable[str]) -> bytes:
    """RFC 5256 §4; the pieces make up the threads in their parentheses."""
    threads = "".join(pieces).encode("ascii")
    return b"* THREAD %b\r\n" % threads if threads else b"* THREAD\r\n"


def esearch(tag: bytes, items: Iterable[bytes], *, uid: bool) -> bytes:
    """RFC 4731 §3.1; the numbers in `items` are UIDs if `uid` says so."""
    what = (b"ESEARCH (TAG %b)" % string(tag), *((b"UID",) if uid else ()), *items)
    return b"* %b\r\n" % b" ".join(what)


def defined_flags(keywords: Iterable[str]) -> bytes:
    """`* FLAGS (...)` (RFC 3501 §7.2.6)."""
    return b"* FLAGS %b\r\n" % flag_list((*SYSTEM_FLAGS, *keywords))


def permanent_flags(keywords: Iterable[str], new_keywords: bool) -> bytes:
    """The response code (RFC 3501 §7.1)."""
    star = ["\\*"] if new_keywords else []
    return b"PERMANENTFLAGS " + flag_list((*SYSTEM_FLAGS, *keywords, *star))


def listing(
    command: bytes,
    attributes: Iterable[str],
    delimiter: str | None,
    name: str,
    *,
    beneath: Sequence[str] = (),
    utf8: bool = False,
) -> bytes:
    """`* LIST (\\HasNoChildren) "/" INBOX` or `* LSUB ...` (RFC 3501 §7.2.2); `beneath`: CHILDINFO (RFC 5258 §3.5)."""
    separator = nstring(delimiter.encode("ascii") if delimiter else None)
    named = mailbox(name, utf8=utf8)
    more = b""
    if beneath:
        more = b' ("CHILDINFO" (%b))' % b" ".join(string(each.encode("ascii")) for each in beneath)
    return b"* %b %b %b %b%b\r\n" % (command, flag_list(attributes), separator, named, more)


def mailbox_status(
    name: str, items: Iterable[tuple[str, int | str]], *, utf8: bool = False
) -> bytes:
    pairs = " ".join(f"{item} {value}" for item, value in items).encode("ascii")
    return b"* STATUS %b (%b)\r\n" % (mailbox(name, utf8=utf8), pairs)


def mailbox_id(value: str) -> bytes:
    """The response code (RFC 8474 §4.1, §4.2)."""
    return b"MAILBOXID (%b)" % value.encode("ascii")


def quota(root: bytes, resources: Iterable[tuple[str, int, int]]) -> bytes:
    """What is used of each resource, and how much there is of it (RFC 9208 §4.2.1)."""
    listed = " ".join(f"{name} {used} {limit}" for name, used, limit in resources)
    return b"* QUOTA %b (%b)\r\n" % (astring(root), listed.encode("ascii"))


def quota_roots(name: str, roots: Iterable[bytes], *, utf8: bool = False) -> bytes:
    """RFC 9208 §4.2.2."""
    return b"* QUOTAROOT %b\r\n" % b" ".join([mailbox(name, utf8=utf8), *map(astring, roots)])


def highest_modseq(modseq: int) -> bytes:
    """The response code (RFC 7162 §3.1.2.1)."""
    return b"HIGHESTMODSEQ %d" % modseq


def modified(messages: UIDSet) -> bytes:
    """The response code (RFC 7162 §3.1.3)."""
    return b"MODIFIED " + str(messages).encode("ascii")


def appenduid(uidvalidity: int, uids: str) -> bytes:
    """RFC 4315 §3."""
    return b"APPENDUID %d %b" % (uidvalidity, uids.encode("ascii"))


def copyuid(uidvalidity: int, source: str, destination: str) -> bytes:
    """RFC 4315 §3: the sets pair by position."""
    return b"COPYUID %d %b %b" % (uidvalidity, source.encode("ascii"), destination.encode("ascii"))
