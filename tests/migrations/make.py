"""Make an archive: python -m tests.migrations.make NAME MONGODB-URI

The URI names a database that does not exist yet, on a replica set; it is left there.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from twisted.internet import task
from twisted.internet.defer import Deferred

from tests.migrations.archive import dump
from tests.migrations.mail import fill, told
from twisted_duck.store.store import MailStore

ARCHIVES = Path(__file__).parent / "archives"


async def make(reactor: Any, name: str, uri: str) -> None:
    store = MailStore(uri, reactor=reactor)
    await store.open()
    try:
        # The service would say so: what is kept for SCRAM beside a password's hash.
        if hasattr(store.users, "scram"):
            from twisted_duck.auth.verifiers import ITERATIONS

            store.users.scram = ITERATIONS
        await fill(store)
        ARCHIVES.mkdir(exist_ok=True)
        (ARCHIVES / f"{name}.json").write_text(json.dumps(await told(store), indent=1) + "\n")
        await dump(store.mongo, ARCHIVES / f"{name}.bson.gz")
    finally:
        await store.close()


if __name__ == "__main__":
    task.react(lambda reactor: Deferred.fromCoroutine(make(reactor, *sys.argv[1:])))
