"""Which store the command works on, and how it gets there."""

from __future__ import annotations

import argparse
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from twisted_duck.auth.verifiers import ITERATIONS
from twisted_duck.cli.console import CommandError, complain
from twisted_duck.cli.parser import store_settings
from twisted_duck.limits import Limits
from twisted_duck.service import embedded
from twisted_duck.service.config import Settings, load
from twisted_duck.store.store import MailStore


@asynccontextmanager
async def opened(
    reactor: Any, arguments: argparse.Namespace, create: bool = False
) -> AsyncIterator[tuple[MailStore, Limits]]:
    """The store that was named, open for the block, and the limits that are configured for it.

    `create`: an embedded store is made where there is none.  Fails with ConfigError, CommandError, MongodError,
    DataDirError, and Unavailable.
    """
    settings = load(arguments.config, store_settings(arguments))
    async with _uri(reactor, settings, create) as uri:
        store = MailStore(uri, reactor=reactor, limits=settings.limits)
        store.users.scram = ITERATIONS if settings.scram else None
        await store.open()
        try:
            yield store, settings.limits
        finally:
            await store.close()


@asynccontextmanager
async def _uri(reactor: Any, settings: Settings, create: bool) -> AsyncIterator[str]:
    if settings.mongo_uri is not None:
        yield settings.mongo_uri
        return
    is_there = (settings.data_dir / "mongo").is_dir()
    if not create and not is_there:
        raise CommandError(
            f"there is no mail store in {settings.data_dir}; name one with --data-dir, --mongo or --config"
        )
    async with embedded.opened(reactor, settings.data_dir, settings.mongod) as uri:
        if not is_there:
            # Whoever has mistyped the directory has to see it.
            complain(f"made a new mail store in {settings.data_dir}")
        yield uri
