"""mbox: messages one after the other, each behind a `From ` line (RFC 4155, appendix A).

A `From ` line begins a message if it is at the beginning of the file or after an empty line, and either ends with a date
or has a header field behind it: a paragraph that begins with the word, in a file whose writer quoted nothing, is left
in its message.  The empty line before it, and the one at the end of the file, belong to the format.

Lines that could be taken for a `From ` line are quoted with `>`.  In the variant `rd`, which is what is written here,
any line that begins with `From ` behind any number of `>`s has got one more; in `o` only a bare `From ` was quoted, and
in `none` nothing is: then reading takes nothing away.
"""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from hashlib import blake2b
from pathlib import Path
from time import asctime
from typing import IO, Literal

from attrs import define, field, frozen

from twisted_duck.cli.files.fields import add_fields, take_fields
from twisted_duck.cli.files.folders import decode_level, encode_level
from twisted_duck.cli.files.lines import to_file, to_mail
from twisted_duck.cli.files.source import Loaded, NotThisFormat
from twisted_duck.limits import Limits
from twisted_duck.values import Flags

Quoting = Literal["rd", "o", "none"]
QUOTINGS: tuple[Quoting, ...] = ("rd", "o", "none")

_UNQUOTE: dict[Quoting, re.Pattern[bytes] | None] = {
    "rd": re.compile(rb"^>(?=>*From )", re.MULTILINE),
    "o": re.compile(rb"^>(?=From )", re.MULTILINE),
    "none": None,
}
_TO_QUOTE = re.compile(rb"^(?=>*From )", re.MULTILINE)

_MONTHS = (b"Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec").split()
#: `Sat Jan  3 01:05:34 1996`, and what programs put into it.
_DATE = re.compile(
    rb" (?P<month>[A-Z][a-z]{2}) {1,2}(?P<day>\d{1,2}) (?P<hour>\d\d):(?P<minute>\d\d)(?::(?P<second>\d\d))?"
    rb"(?: (?:[A-Z]{3,4}|(?P<before>[+-]\d{4})))? (?P<year>\d{4})(?: (?:[A-Z]{3,4}|(?P<behind>[+-]\d{4})))?\s*\Z"
)
_FIELD = re.compile(rb"[!-9;-~]+[ \t]*:")
#: The first message of some files is no message, but what a program wants to remember.
_PSEUDO = re.compile(rb"^X-IMAP:", re.MULTILINE)

#: A `From ` line is no longer than this.
_LONGEST = 1000
_CHUNK = 1 << 20


# --- reading ----------------------------------------------------------------------------------------------------------


@define
class _Message:
    _file: IO[bytes] = field(repr=False)
    label: str
    _line: bytes
    #: Where its first byte is, and the one behind its last.
    _start: int
    _stop: int
    _unquote: re.Pattern[bytes] | None
    _limits: Limits
    #: How often each message was seen: the same bytes twice are two messages.
    _seen: Counter[bytes] = field(repr=False)
    _key: bytes | None = None
    #: The bytes, between `key` and `load`, so that they are read once.
    _bytes: bytes | None = field(default=None, repr=False)

    @property
    def size(self) -> int:
        return self._stop - self._start

    def key(self) -> bytes:
        """Where it is may change when other messages are removed, what it is does not."""
        if self._key is None:
            self._bytes = self._read()
            digest = blake2b(self._line + self._bytes, digest_size=16).digest()
            self._seen[digest] += 1
            self._key = f"mbox {digest.hex()} {self._seen[digest]}".encode()
        return self._key

    def load(self) -> Loaded:
        raw, self._bytes = self._bytes or self._read(), None
        if self._unquote is not None:
            raw = self._unquote.sub(b"", raw)
        data, flags = take_fields(to_mail(raw), self._limits)
        return Loaded(data, flags, _date(self._line))

    def is_pseudo(self) -> bool:
        header = os.pread(self._file.fileno(), min(self.size, _CHUNK), self._start)
        return bool(_PSEUDO.search(header.partition(b"\n\n")[0]))

    def _read(self) -> bytes:
        raw = os.pread(self._file.fileno(), self.size, self._start)
        if len(raw) != self.size:
            raise OSError("the file has become shorter since it was opened")
        return raw


@frozen
class MboxMailbox:
    """One file."""

    label: str
    levels: tuple[str, ...]
    _file: IO[bytes] = field(repr=False)
    _quoting: Quoting
    _limits: Limits
    #: Where the `From ` lines are, and last where the file ends.
    _lines: list[int] = field(repr=False)

    @classmethod
    def open(
        cls, path: Path, levels: tuple[str, ...], quoting: Quoting, limits: Limits
    ) -> MboxMailbox:
        file = path.open("rb")
        try:
            end = os.fstat(file.fileno()).st_size
            lines = list(_from_lines(file, end))
            if not lines and os.pread(file.fileno(), _CHUNK, 0).strip():
                raise NotThisFormat(f"{path} is not an mbox file: it has no 'From ' line")
        except BaseException:
            file.close()
            raise
        return cls(str(path), levels, file, quoting, limits, [*lines, end])

    def __len__(self) -> int:
        return len(self._lines) - 1

    def __iter__(self) -> Iterator[_Message]:
        seen: Counter[bytes] = Counter()
        for at, after in zip(self._lines, self._lines[1:], strict=False):
            line = os.pread(self._file.fileno(), _LONGEST, at).partition(b"\n")[0] + b"\n"
            start = min(at + len(line), after)
            message = _Message(
                self._file,
                f"{self.label}, the message at byte {at}",
                line,
                start,
                self._stop(line, start, after),
                _UNQUOTE[self._quoting],
                self._limits,
                seen,
            )
            if at != self._lines[0] or not message.is_pseudo():
                yield message

    def close(self) -> None:
        self._file.close()

    def _stop(self, line: bytes, start: int, stop: int) -> int:
        """Where a message ends: before the empty line that belongs to the format, if there is one."""
        end = b"\r\n" if line.endswith(b"\r\n") else b"\n"
        # An empty message has in front of that line the end of its `From ` line.
        first = max(start - 1, stop - 3)
        tail = os.pread(self._file.fileno(), stop - first, first)
        return stop - len(end) if tail.endswith(b"\n" + end) else stop


def read_mbox(path: Path, quoting: Quoting, limits: Limits) -> Iterator[MboxMailbox]:
    """The mbox file at `path`, or the files `NAME.mbox` in a directory and below.

    Fails with NotThisFormat and OSError.
    """
    if not path.is_dir():
        yield MboxMailbox.open(path, (), quoting, limits)
        return
    files = sorted(path.rglob("*.mbox"))
    if not files:
        raise NotThisFormat(f"there is no file NAME.mbox in {path}")
    for file in files:
        if file.is_file():
            parts = file.relative_to(path).with_suffix("").parts
            yield MboxMailbox.open(file, tuple(map(decode_level, parts)), quoting, limits)


def _from_lines(file: IO[bytes], end: int) -> Iterator[int]:
    """Where messages begin."""
    for at in _candidates(file, end):
        before = os.pread(file.fileno(), min(3, at), max(at - 3, 0))
        if before.strip(b"\r\n") and not before.endswith((b"\n\n", b"\n\r\n")):
            continue
        line, _, behind = os.pread(file.fileno(), 2 * _LONGEST, at).partition(b"\n")
        if len(line) < _LONGEST and (_DATE.search(line) or _FIELD.match(behind)):
            yield at


def _candidates(file: IO[bytes], end: int) -> Iterator[int]:
    """Where lines begin that begin with `From `, in a file of which only the first `end` bytes count."""
    needle = b"\nFrom "
    overlap = b"\n"
    at = 0
    while at < end and (chunk := os.pread(file.fileno(), min(_CHUNK, end - at), at)):
        data = overlap + chunk
        base = at - len(overlap)
        found = data.find(needle)
        while found >= 0:
            yield base + found + 1
            found = data.find(needle, found + 1)
        at += len(chunk)
        overlap = data[1 - len(needle) :]


def _date(line: bytes) -> datetime | None:
    """The date of a `From ` line, in UTC where it says nothing else."""
    found = _DATE.search(line)
    if found is None or found["month"] not in _MONTHS:
        return None
    zone = found["before"] or found["behind"] or b"+0000"
    offset = timedelta(hours=int(zone[1:3]), minutes=int(zone[3:5]))
    try:
        return datetime(
            int(found["year"]),
            _MONTHS.index(found["month"]) + 1,
            int(found["day"]),
            int(found["hour"]),
            int(found["minute"]),
            min(int(found["second"] or 0), 59),
            tzinfo=timezone(-offset if zone.startswith(b"-") else offset),
        )
    except ValueError:
        return None


# --- writing ----------------------------------------------------------------------------------------------------------


class MboxWriter:
    """Writes one file, which must not be there yet, in the variant `rd`."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._file = open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb")  # noqa: SIM115

    def add(self, uid: int, data: bytes, flags: Flags, date: datetime) -> None:
        message = to_file(add_fields(data, flags))
        if not message.endswith(b"\n"):
            message += b"\n"
        line = f"From MAILER-DAEMON {asctime(date.utctimetuple())}\n"
        self._file.write(line.encode("ascii") + _TO_QUOTE.sub(b">", message) + b"\n")

    def close(self) -> None:
        self._file.close()


def mbox_path(directory: Path, levels: tuple[str, ...]) -> Path:
    """The file of a mailbox where each has its own."""
    *above, name = map(encode_level, levels)
    return directory.joinpath(*above, name + ".mbox")
