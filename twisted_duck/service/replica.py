"""Makes a `mongod` that was just started a replica set of one member, with the user that we are to it.

The server knows the key of its replica set, and so do we: the internal user `__system` has it as its
password.  So there is never a moment at which the server lets somebody in who has no password, and it
does not matter at which step an earlier start was cut off: each step looks at what is there.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from urllib.parse import quote

import attrs
from twisted.internet.task import deferLater

from twisted_duck.service.mongod import HOST, REPLICA_SET
from twisted_duck.store.direct import CommandFailed, Direct, DirectError, connect

_ALREADY_INITIALIZED = 23
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


async def reach(
    reactor: Any, port: int, timeout: float, check: Callable[[], None] = lambda: None
) -> Direct:
    """Connect to a server that may still be starting.

    @param check: raises when there is no hope left
    @raise DirectError: `timeout` seconds have passed
    """
    deadline = reactor.seconds() + timeout
    while True:
        check()
        try:
            return await connect(reactor, HOST, port)
        except DirectError:
            if reactor.seconds() >= deadline:
                raise
        await deferLater(reactor, _PAUSE)


async def set_up(
    reactor: Any, server: Direct, port: int, key: str, user: User, timeout: float
) -> None:
    """Log in with the key, and see to it that the server is a primary and `user` exists.

    @raise DirectError: it refuses, or is not a primary within `timeout` seconds
    """
    await server.authenticate("local", "__system", key)
    await _be_member(reactor, server, f"{HOST}:{port}")
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


async def _be_member(reactor: Any, server: Direct, address: str) -> None:
    config = {"_id": REPLICA_SET, "members": [{"_id": 0, "host": address}]}
    while True:
        try:
            await server.command("admin", {"replSetGetConfig": 1})
            return
        except CommandFailed as error:
            if error.code != _NOT_YET_INITIALIZED:
                raise
        try:
            await server.command("admin", {"replSetInitiate": config})
            return
        except CommandFailed as error:
            # It has a configuration, and was still reading it a moment ago.
            if error.code != _ALREADY_INITIALIZED:
                raise
        await deferLater(reactor, _PAUSE)


async def move(server: Direct, port: int, key: str) -> None:
    """Change the address that the only member of a set has in its configuration.

    Done to a server that runs outside of its set: inside, it would first look for itself at the old
    address, where by now somebody else answers, or does not.

    @raise DirectError: it refuses
    """
    await server.authenticate("local", "__system", key)
    change = {"q": {}, "u": {"$set": {"members.0.host": f"{HOST}:{port}"}}}
    await server.command("local", {"update": "system.replset", "updates": [change]})
