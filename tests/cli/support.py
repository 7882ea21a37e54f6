"""What tests of the command share: files, and what is said."""

from __future__ import annotations

import io
import os
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from unittest.mock import patch

DATE = datetime(2024, 2, 29, 12, 34, 56, tzinfo=UTC)


class Said:
    """Standard output and standard error."""

    def __init__(self) -> None:
        self._out, self._err = io.StringIO(), io.StringIO()

    @property
    def out(self) -> str:
        return self._out.getvalue()

    @property
    def err(self) -> str:
        return self._err.getvalue()

    @contextmanager
    def listening(self, typed: str = "", terminal: bool = False) -> Iterator[None]:
        """`typed` is what standard input has, and whether it is a terminal."""
        stdin = io.StringIO(typed)
        stdin.isatty = lambda: terminal  # type: ignore[method-assign]
        with redirect_stdout(self._out), redirect_stderr(self._err), patch("sys.stdin", stdin):
            yield


def put(path: Path, data: bytes = b"Subject: x\n\nbody\n", date: datetime = DATE) -> Path:
    """A file, with the directories it needs, last modified at `date`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    os.utime(path, (date.timestamp(), date.timestamp()))
    return path


async def mail(account: Any, name: str = "INBOX") -> list[tuple[bytes, set[str], datetime]]:
    """The messages of a mailbox: bytes, flags and date."""
    mailbox = await account.select(name, True)
    uids = list(mailbox.index.uids)
    flags = {uid: set(flags) for uid, _, flags in mailbox.index.rows(uids)}
    found = []
    async for batch in mailbox.fetch(uids, frozenset({"date", "content"})):
        for each in batch:
            data = b"".join([piece async for piece in each.content.chunks(0, each.content.size)])
            found.append((data, flags[each.uid], each.internal_date))
    await mailbox.close()
    return found
