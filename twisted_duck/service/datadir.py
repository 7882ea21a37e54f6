"""The data directory: what the service keeps on this machine, readable by its owner only.

lock            held by the one process that runs here: its id, and the port of its MongoDB while that is up
guests          held by the processes that use that MongoDB and are not its owner
mongo/          the embedded MongoDB: `db`, `log`, and the secrets and the port it was given
tls/            the certificate that was made because none was configured
"""

from __future__ import annotations

import fcntl
import os
import pwd
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from twisted_duck.service.fault import Fault


class DataDirError(Fault):
    """The data directory cannot be used."""


class DataDir:
    """A data directory, made if there is none.

    A directory that exists keeps its mode, which may have its reasons; whatever is made in it is 0700 or 0600.

    @raise DataDirError: it cannot be made or written to
    """

    def __init__(self, path: Path) -> None:
        self.path = path.absolute()
        self._lock: IO[str] | None = None
        self.folder(".")
        if not os.access(self.path, os.R_OK | os.W_OK | os.X_OK):
            raise DataDirError(f"the data directory {path} is not writable by this user")
        self._check_owner()

    def _check_owner(self) -> None:
        """What root would leave in another's directory, that one could not use any more: the database's files first."""
        for name in ("mongo", "tls", "lock"):
            with suppress(FileNotFoundError):
                owner = (self.path / name).stat().st_uid
                if owner != os.geteuid():
                    who = _user(owner)
                    raise DataDirError(
                        f"the data directory {self.path} is used by the user {who}, and this is"
                        f" {_user(os.geteuid())}; run it as {who}"
                    )

    def folder(self, name: str) -> Path:
        """The directory `name` in it, made if there is none."""
        folder = self.path / name
        try:
            # makedirs gives its mode to the last level only, and the umask of others is not ours to rely on.
            folder.parent.mkdir(parents=True, exist_ok=True)
            folder.mkdir(mode=0o700, exist_ok=True)
        except OSError as error:
            raise DataDirError(f"cannot make the directory {folder}: {error.strerror}") from error
        return folder

    def kept(self, name: str, make: Callable[[], str]) -> str:
        """What the file `name` says; if there is none, or nothing in it, it is written with what `make` gives."""
        file = self.path / name
        try:
            text = file.read_text("ascii").strip()
        except FileNotFoundError:
            text = ""
        except (OSError, ValueError) as error:
            raise DataDirError(f"cannot read {file}: {error}") from error
        if not text:
            text = make()
            self.write(name, text.encode("ascii"))
        return text

    def write(self, name: str, data: bytes) -> Path:
        """Write a file that nobody else can read: the whole of it or, if we are cut off, nothing."""
        file = self.path / name
        # Of its own: another process may be writing the same file.
        fresh = file.with_name(f"{file.name}.{os.getpid()}.new")
        try:
            fresh.unlink(missing_ok=True)
            with open(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as out:
                out.write(data)
                out.flush()
                os.fsync(out.fileno())
            fresh.replace(file)
        except OSError as error:
            raise DataDirError(f"cannot write {file}: {error.strerror}") from error
        return file

    # --- who runs here ------------------------------------------------------------------------------------------------

    def lock(self) -> None:
        """Be the one process that runs here, until `unlock` or death.

        @raise DataDirError: another is
        """
        file = open(self.path / "lock", "a+", opener=_private)  # noqa: SIM115 - kept open while it is held
        attempts = 5
        while not _locked(file):
            # Whoever only asks for the holder has the lock for an instant.
            attempts -= 1
            if attempts:
                time.sleep(0.01)
                continue
            file.close()
            holder = self.holder()
            who = f"process {holder[0]}" if holder else "another process"
            raise DataDirError(f"the data directory {self.path} is in use by {who}; stop it first")
        file.truncate(0)
        self._lock = file
        self._note(os.getpid())

    def announce(self, port: int | None) -> None:
        """Processes that look for the server will find it on `port`; None: no longer."""
        assert self._lock is not None
        self._lock.truncate(0)
        self._note(os.getpid())
        if port is not None:
            self._note(port)

    def unlock(self) -> None:
        if self._lock is not None:
            self._lock.truncate(0)
            self._lock.close()
            self._lock = None

    def holder(self) -> tuple[int, ...]:
        """`()` if nobody runs here, else `(pid,)` while the server is not up yet, else `(pid, port)`."""
        try:
            with open(self.path / "lock", "r+") as file:
                if _locked(file):
                    return ()
                return tuple(map(int, file.read().split()))
        except (FileNotFoundError, ValueError):
            return ()

    @contextmanager
    def guest(self) -> Iterator[None]:
        """Ask the owner of the server, if it is one that can wait, to wait for the end of the block."""
        with open(self.path / "guests", "a", opener=_private) as file:
            fcntl.flock(file, fcntl.LOCK_SH)
            yield

    def has_guests(self) -> bool:
        return is_locked(self.path / "guests")

    def _note(self, number: int) -> None:
        assert self._lock is not None
        self._lock.write(f"{number}\n")
        self._lock.flush()


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


def _locked(file: IO[str]) -> bool:
    """Take the lock on an open file (it goes when the file is closed), or tell that another has it."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def is_locked(path: Path) -> bool:
    """Whether a process holds the lock of a file."""
    try:
        with open(path, "r+") as file:
            return not _locked(file)
    except FileNotFoundError:
        return False


def _user(number: int) -> str:
    try:
        return pwd.getpwuid(number).pw_name
    except KeyError:
        return str(number)
