"""Maildir and its folders, Maildir++.

The flags of a message are letters in its file's name (`:2,FS`), the date it arrived is the file's time of modification,
and its order is the number its name begins with.  Lower-case letters are keywords, whose names are in the folder's file
`dovecot-keywords`; the letter P is $Forwarded.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from string import ascii_lowercase

from attrs import field, frozen

from twisted_duck.cli.files.folders import decode_maildir, encode_maildir
from twisted_duck.cli.files.lines import to_file, to_mail
from twisted_duck.cli.files.source import Loaded, NotThisFormat, keywords
from twisted_duck.limits import Limits
from twisted_duck.values import ANSWERED, DELETED, DRAFT, FLAGGED, SEEN, Flags

FORWARDED = "$Forwarded"

_FLAGS = {
    "D": DRAFT,
    "F": FLAGGED,
    "P": FORWARDED,
    "R": ANSWERED,
    "S": SEEN,
    "T": DELETED,
}
_LETTERS = {flag.lower(): letter for letter, flag in _FLAGS.items()}

#: Some file systems take no colon in a name, and programs put these in its place.
_NAME = re.compile(r"(?P<base>.*?)(?:[:;!]2,(?P<letters>[A-Za-z]*).*)?", re.DOTALL)
_NUMBER = re.compile(r"\d{1,18}")

_KEYWORDS_FILE = "dovecot-keywords"


# --- reading ----------------------------------------------------------------------------------------------------------


@frozen
class _Message:
    path: Path
    label: str
    size: int
    seconds: float
    base: str
    flags: Flags

    def key(self) -> bytes:
        """The name without the flags is unique for ever (that is what Maildir is about); the size is for safety."""
        return f"maildir {self.size} {self.base}".encode("utf-8", "surrogateescape")

    def load(self) -> Loaded:
        try:
            date = datetime.fromtimestamp(int(self.seconds), UTC)
        except (ValueError, OverflowError):
            date = None
        return Loaded(to_mail(self.path.read_bytes()), self.flags, date)


@frozen
class MaildirMailbox:
    """One folder."""

    path: Path
    label: str
    levels: tuple[str, ...]
    _limits: Limits
    #: (number the name begins with, name, the directory it is in), in order.
    _names: list[tuple[int, str, str]] = field(repr=False)

    @classmethod
    def open(
        cls, path: Path, label: str, levels: tuple[str, ...], limits: Limits
    ) -> MaildirMailbox:
        names = [
            (_number(name), name, directory)
            for directory in ("new", "cur")
            for name in _listed(path / directory)
            if not name.startswith(".")
        ]
        return cls(path, label, levels, limits, sorted(names))

    def __len__(self) -> int:
        return len(self._names)

    def __iter__(self) -> Iterator[_Message]:
        named = self._keywords()
        for _, name, directory in self._names:
            path = self.path / directory / name
            try:
                status = path.stat()
                mode, size, seconds = status.st_mode, status.st_size, status.st_mtime
            except FileNotFoundError:
                # A program that uses this Maildir has renamed it since; `load` will say so.
                mode, size, seconds = stat.S_IFREG, 0, 0.0
            if not stat.S_ISREG(mode):
                continue
            found = _NAME.fullmatch(name)
            assert found is not None
            flags = frozenset(named[letter] for letter in found["letters"] or "" if letter in named)
            label = os.fsencode(path).decode("utf-8", "replace")
            yield _Message(path, label, size, seconds, found["base"], flags)

    def _keywords(self) -> dict[str, str]:
        """Letter -> flag, with the folder's own keywords."""
        named = dict(_FLAGS)
        try:
            text = (self.path / _KEYWORDS_FILE).read_text("utf-8", "replace")
        except OSError:
            return named
        for line in text.splitlines():
            number, _, name = line.strip().partition(" ")
            if number.isdecimal() and int(number) < 26 and list(keywords([name], self._limits)):
                named[ascii_lowercase[int(number)]] = name
        return named


def read_maildir(path: Path, limits: Limits) -> Iterator[MaildirMailbox]:
    """The Maildir at `path`, and then its folders.  Fails with NotThisFormat and OSError."""
    if not _is_maildir(path):
        what = "there is nothing there" if not path.exists() else "it has neither 'cur' nor 'new'"
        raise NotThisFormat(f"{path} is not a Maildir: {what}")
    yield MaildirMailbox.open(path, str(path), (), limits)
    for name in sorted(_listed(path)):
        if name.startswith(".") and _is_maildir(path / name):
            label = os.fsencode(path / name).decode("utf-8", "replace")
            yield MaildirMailbox.open(path / name, label, decode_maildir(name), limits)


def _is_maildir(path: Path) -> bool:
    return (path / "cur").is_dir() or (path / "new").is_dir()


def _listed(path: Path) -> list[str]:
    try:
        return os.listdir(path)
    except (FileNotFoundError, NotADirectoryError):
        return []


def _number(name: str) -> int:
    found = _NUMBER.match(name)
    return int(found[0]) if found else 0


# --- writing ----------------------------------------------------------------------------------------------------------


class MaildirWriter:
    """Writes one folder of the Maildir at `path`, which must not have it yet."""

    def __init__(self, path: Path, levels: tuple[str, ...], uidvalidity: int) -> None:
        self._path = path / encode_maildir(levels) if levels else path
        self._uidvalidity = uidvalidity
        self._letters = dict(_LETTERS)
        self._keywords: list[str] = []
        #: Keywords that did not fit into the 26 letters.
        self.lost: set[str] = set()
        self._path.mkdir(mode=0o700, parents=True, exist_ok=True)
        for directory in ("cur", "new", "tmp"):
            (self._path / directory).mkdir(mode=0o700)
        if levels:
            # What Maildir++ tells a folder by.
            (self._path / "maildirfolder").touch(mode=0o600)

    def add(self, uid: int, data: bytes, flags: Flags, date: datetime) -> None:
        letters = "".join(sorted(filter(None, map(self._letter, sorted(flags)))))
        seconds = int(date.timestamp())
        # Sorts as the mailbox does, and is the same if this is done again.
        base = f"{self._uidvalidity}.U{uid:010}.duckmail"
        fresh = self._path / "tmp" / base
        with open(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(to_file(data))
        os.utime(fresh, (seconds, seconds))
        fresh.rename(self._path / "cur" / f"{base}:2,{letters}")

    def close(self) -> None:
        if self._keywords:
            lines = "".join(f"{number} {name}\n" for number, name in enumerate(self._keywords))
            (self._path / _KEYWORDS_FILE).write_text(lines, "utf-8")

    def _letter(self, flag: str) -> str:
        key = flag.lower()
        if key not in self._letters:
            if len(self._keywords) == 26:
                self.lost.add(flag)
                return ""
            self._letters[key] = ascii_lowercase[len(self._keywords)]
            self._keywords.append(flag)
        return self._letters[key]
