"""A MongoDB for tests: one throw-away server for a whole run, a database of its own for each test.

    class StoreTests(TestCase):
        async def setUp(self) -> None:
            self.uri = await mongo.database(self)

The server is started at the first use, in a temporary directory, and is gone when the run is, however
that ends.  Runs side by side each have their own.  With DUCKMAIL_TEST_MONGO, the URI of a replica set
whose user may do everything, that server is used instead.
"""

from __future__ import annotations

import atexit
import os
import secrets
import shutil
import subprocess
import sys
import tempfile
from itertools import count
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.trial.unittest import TestCase

from tests import mongo_keeper
from twisted_duck.service.mongod import MongodOptions, find_mongod, free_port, new_key
from twisted_duck.service.replica import User, reach, set_up
from twisted_duck.store.direct import DirectError, connect

_RUN = secrets.token_hex(4)
_numbers = count()

#: The server of this run, with `{}` in place of a database's name.
_server: str | None = None
#: Who waits for it while it is being started.
_waiting: list[Deferred[None]] | None = None


async def database(case: TestCase) -> str:
    """The URI of a new, empty database, which is dropped when the test is over."""
    name = f"test-{_RUN}-{next(_numbers)}"
    uri = await _uri(name)
    case.addCleanup(drop, uri)
    return uri


async def drop(uri: str) -> None:
    """Remove the database that `uri` names."""
    parts = urlsplit(uri)
    assert parts.hostname
    server = await connect(reactor, parts.hostname, parts.port or 27017)
    try:
        if parts.username and parts.password:
            await server.authenticate("admin", parts.username, parts.password)
        await server.command(parts.path[1:], {"dropDatabase": 1})
    finally:
        server.close()


async def _uri(name: str) -> str:
    global _server, _waiting
    if given := os.environ.get("DUCKMAIL_TEST_MONGO"):
        return urlunsplit(urlsplit(given)._replace(path="/" + name))
    if _server is None and _waiting is not None:
        turn: Deferred[None] = Deferred()
        _waiting.append(turn)
        await turn
    elif _server is None:
        _waiting = []
        try:
            _server = await _start()
        finally:
            waiting, _waiting = _waiting, None
            for turn in waiting:
                turn.callback(None)
    if _server is None:
        raise DirectError("the server for the tests did not start")
    return _server.format(name)


async def _start() -> str:
    directory = Path(tempfile.mkdtemp(prefix="duckmail-test-"))
    user = User("tests", secrets.token_hex(16), "admin", "root")
    key, key_file, log = new_key(), directory / "key", directory / "log"
    key_file.write_text(key)
    key_file.chmod(0o600)
    (directory / "db").mkdir()
    options = MongodOptions(
        find_mongod(os.environ.get("DUCKMAIL_TEST_MONGOD")),
        directory / "db",
        free_port(),
        key_file,
        log,
        # Three hundred megabytes of journal need not be made for a few messages.
        more=("--wiredTigerEngineConfigString", "log=(prealloc=false,file_max=16MB)"),
    )
    keeper = subprocess.Popen(
        [sys.executable, "-I", mongo_keeper.__file__, str(directory), *options.command()],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        start_new_session=True,
    )
    atexit.register(_end, keeper, directory)
    server = await reach(reactor, options.port, 30)
    try:
        await set_up(reactor, server, options.port, key, user, 30)
    finally:
        server.close()
    return user.uri(options.port, "{}")


def _end(keeper: subprocess.Popen[Any], directory: Path) -> None:
    assert keeper.stdin
    keeper.stdin.close()
    # A machine that is busy takes its time to remove a few hundred databases.
    keeper.wait(120)
    shutil.rmtree(directory, ignore_errors=True)
