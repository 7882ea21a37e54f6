"""Makes a `mongod` that was just started a replica set of one member, with the user that we are to it.

The server knows the key of its replica set, and so do we: the internal user `__system` has it as its
password.  So there is never a moment at which the server lets somebody in who has no password, and it
does not matter at which step an earlier start was cut off: each step looks at what is there.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

import attrs
from twisted.internet.task import deferLater

from twisted_duck.service.mongod import HOST, REPLICA_SET
from twisted_duck.store.direct import CommandFailed, Direct, DirectError, connect

_NOT_YET_INITIALIZED = 94
_USER_NOT_FOUND = 11

#: Seconds between two looks at a server that is on its way.
_PAUSE = 0.02


@attrs.frozen
class User:
    """The account that the service has in its own server."""

    name: str
    password: str = attrs.field(repr=False)
    #: The database that it logs in to.
    database: str
    #: What it may do there, or (`root`) everywhere.
    role: str = "dbOwner"

    def uri(self, port: int, database: str | None = None) -> str:
        """Where the server is, for this user.

        @param database: the one to use, if it is not the one to log in to
        """
        options = {"replicaSet": REPLICA_SET, "authSource": self.database}
        return (
            f"mongodb://{quote(self.name, '')}:{quote(self.password, '')}@{HOST}:{port}"
            f"/{database or self.database}?" + "&".join(f"{k}={v}" for k, v in options.items())
        )


async def reach(reactor: Any, port: int, timeout: float) -> Direct:
    """Connect to a server that may still be starting.

    @raise DirectError: `timeout` seconds have passed
    """
    deadline = reactor.seconds() + timeout
    while True:
        try:
            return await connect(reactor, HOST, port)
        except DirectError:
            if reactor.seconds() >= deadline:
                raise
        await deferLater(reactor, _PAUSE)


async def set_up(reactor: Any, server: Direct, port: int, key: str, user: User, timeout: float) -> None:
    """Log in with the key, and see to it that the server is a primary and `user` exists.

    @raise DirectError: it refuses, or is not a primary within `timeout` seconds
    """
    await server.authenticate("local", "__system", key)
    await _be_member(server, f"{HOST}:{port}")
    deadline = reactor.seconds() + timeout
    while not (await server.command("admin", {"hello": 1})).get("isWritablePrimary"):
        if reactor.seconds() >= deadline:
            raise DirectError("it did not become the primary of its replica set")
        await deferLater(reactor, _PAUSE)
    account = {"pwd": user.password, "roles": [{"role": user.role, "db": user.database}]}
    try:
        await server.command(user.database, {"updateUser": user.name, **account})
    except CommandFailed as error:
        if error.code != _USER_NOT_FOUND:
            raise
        await server.command(user.database, {"createUser": user.name, **account})


async def _be_member(server: Direct, address: str) -> None:
    try:
        config = (await server.command("admin", {"replSetGetConfig": 1}))["config"]
    except CommandFailed as error:
        if error.code != _NOT_YET_INITIALIZED:
            raise
        config = {"_id": REPLICA_SET, "members": [{"_id": 0, "host": address}]}
        await server.command("admin", {"replSetInitiate": config})
        return
    if config["members"][0]["host"] != address:
        # It came back on another port: it no longer finds itself in its own set, and has no majority to ask.
        config["members"][0]["host"] = address
        config["version"] += 1
        await server.command("admin", {"replSetReconfig": config, "force": True})
