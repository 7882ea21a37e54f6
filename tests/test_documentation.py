"""What docs/connections.md shows runs, and does what it says; docs/protocols.md says what is so.

What docs/embedding.md shows is in examples/, which `tests.adapters.test_examples` runs.
"""

from __future__ import annotations

import inspect
import re
import runpy
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from types import ModuleType
from typing import Any

from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase, TestCase

import twisted_duck.policies
from tests import mongo
from tests.guard.support import Socket
from tests.policies.support import PolicyCase
from tests.service.support import Memory, directory
from twisted_duck.errors import ConnectionRefused, NotWelcome, TooManyConnections
from twisted_duck.limits import Limits
from twisted_duck.policies import (
    Bans,
    ConnectionLimit,
    Delay,
    Networks,
    SharedBans,
    SharedRate,
    UserLimit,
)
from twisted_duck.service.config import load
from twisted_duck.service.policies import DEFAULT_POLICIES, KINDS, PolicyParts, make_policies
from twisted_duck.session import Session, TLSDetails

DOCS = Path(__file__).parents[1] / "docs"
PAGE = (DOCS / "connections.md").read_text()


def blocks(language: str, page: str = PAGE) -> list[str]:
    return re.findall(rf"(?ms)^```{language}\n(.*?)^```$", page)


def modules() -> dict[str, str]:
    """The Python examples, by the names in their first lines."""
    found = (re.match(r"# (\w+)\.py\n", block) for block in blocks("python"))
    return {match[1]: match.string for match in found if match is not None}


def load_example(case: SynchronousTestCase | TestCase, name: str) -> Any:
    module = ModuleType(name)
    exec(compile(modules()[name], f"{name}.py", "exec"), module.__dict__)
    sys.modules[name] = module
    case.addCleanup(sys.modules.pop, name)
    return module


class SocketCase(SynchronousTestCase):
    """No tests by itself."""

    def connect(self, factory: Any, clock: Clock, host: str = "192.0.2.1") -> Socket:
        """A client that is gone at the end: stock protocols set their timers in the reactor that there is."""
        socket = Socket(factory, clock, host)
        self.addCleanup(socket.reset)
        return socket


class FilteringTests(SocketCase):
    def test_the_house_and_nobody_else(self) -> None:
        factory = load_example(self, "filtering").factory
        factory.clock = Clock()
        self.assertIn(b"+OK", self.connect(factory, factory.clock, "192.0.2.9").heard())
        refused = self.connect(factory, factory.clock, "198.51.100.9")
        self.assertEqual(refused.heard(), b"-ERR [SYS/PERM] this server is for the house\r\n")
        self.assertTrue(refused.disconnecting)

    def test_whoever_shows_a_certificate(self) -> None:
        hook = load_example(self, "filtering").onConnect
        for certificate in (object(), None):
            tls = TLSDetails("TLSv1.3", "TLS_AES_256_GCM_SHA384", None, certificate)
            asked = maybeDeferred(hook, Session("POP3", remoteAddress="198.51.100.9", tls=tls))
            if certificate is None:
                self.failureResultOf(asked, NotWelcome)
            else:
                self.successResultOf(asked)


class LimitingTests(SocketCase):
    def test_one_combination_counts_for_both_protocols(self) -> None:
        example = load_example(self, "limiting")
        clock = Clock()
        example.imap.clock = example.pop3.clock = clock
        sockets = [self.connect(example.imap, clock), self.connect(example.pop3, clock)]
        sockets += [self.connect(example.pop3, clock) for _ in range(3)]
        for socket in sockets:
            self.assertRegex(socket.heard(), rb"^(\* OK|\+OK) ")
        self.assertRegex(self.connect(example.imap, clock).heard(), rb"^\* BYE \[LIMIT\] too many")
        sockets[0].reset()
        self.assertRegex(self.connect(example.imap, clock).heard(), rb"^\* OK ")
        denied = self.connect(example.imap, clock, "198.51.100.1")
        self.assertRegex(denied.heard(), rb"^\* BYE \[NOPERM\] ")


class AskingTests(TestCase):
    timeout = 60

    async def test_the_database_decides_and_remembers(self) -> None:
        from txmongo.connection import ConnectionPool

        pool = ConnectionPool(await mongo.database(self))
        self.addCleanup(pool.disconnect)
        database = pool.get_default_database()
        await database.blocked.insert_one({"_id": "198.51.100.9", "reason": "spam"})
        clock = Clock()
        factory = load_example(self, "asking").build(database)
        factory.clock = clock

        for host, said in (
            ("198.51.100.9", rb"^-ERR \[SYS/PERM\] you are blocked: spam\r\n$"),
            ("192.0.2.9", rb"^\+OK "),
        ):
            socket = Socket(factory, clock, host)
            self.assertEqual(socket.heard(), b"")
            [connection] = factory.connections
            await self.answered(connection)
            self.assertRegex(socket.heard(), said)
            socket.reset()
        await factory.shutDown()
        visits = {each["from"]: each async for each in self.each(database.visits)}
        self.assertEqual(
            {host: visit["accepted"] for host, visit in visits.items()},
            {"198.51.100.9": False, "192.0.2.9": True},
        )
        self.assertTrue(all(visit["why"] for visit in visits.values()))

    def answered(self, connection: Any) -> Deferred[Any]:
        """Fires when the hook has."""
        fired: Deferred[Any] = Deferred()
        connection._asked.addBoth(lambda result: (fired.callback(None), result)[1])
        return fired

    async def each(self, collection: Any) -> Any:
        for document in await collection.find():
            yield document


class AuthorizingTests(SynchronousTestCase):
    def test_administrators_use_tls(self) -> None:
        hook = load_example(self, "authorizing").onAuthenticated
        hook(Session("IMAP", user="alice"))
        hook(Session("IMAP", user="root", secure=True))
        with self.assertRaises(NotWelcome):
            hook(Session("IMAP", user="root"))


class OfficeHoursTests(SynchronousTestCase):
    def test_closed_at_night(self) -> None:
        hour = 7
        policy = load_example(self, "office_hours").OfficeHours(
            now=lambda: datetime(2026, 1, 1, hour, tzinfo=UTC)
        )
        with self.assertRaises(TooManyConnections):
            policy.onConnect(Session("IMAP"))
        self.assertEqual(policy.refused, 1)
        hour = 8
        policy.onConnect(Session("IMAP"))


class ConfigurationTests(PolicyCase):
    """Each TOML block is a configuration that is taken, and makes what is said of it."""

    def setUp(self) -> None:
        super().setUp()
        self.base = directory(self)
        (self.base / "denied").write_text("192.0.2.66  # a remark\n")
        module = ModuleType("mailpolicies")
        for name in ("onConnect", "onAuthenticated", "onClose"):
            setattr(module, name, lambda session: None)
        sys.modules["mailpolicies"] = module
        self.addCleanup(sys.modules.pop, "mailpolicies")
        load_example(self, "office_hours")

    def made(self) -> Iterator[list[Any]]:
        for block in blocks("toml"):
            file = self.base / "duckmail.toml"
            file.write_text(block.replace("/etc/duckmail/", f"{self.base}/"))
            settings = load(file, {})
            parts = PolicyParts(Limits(), self.clock, Memory())
            yield [policy for _, policy in make_policies(settings.policies, parts)]

    def test_every_block_is_taken(self) -> None:
        every, slow, default, code, office = self.made()
        kinds = [Networks, None, SharedRate, ConnectionLimit, UserLimit, SharedBans]
        for policy, kind in zip(every, kinds, strict=True):
            if kind is not None:
                self.assertIsInstance(policy, kind)
        self.assertEqual([type(policy) for policy in slow], [Delay])
        self.assertEqual(len(default), len(DEFAULT_POLICIES))
        self.assertEqual(len(code), 1)
        self.assertEqual(office[0].name, "office hours")

    def test_networks_are_as_written(self) -> None:
        first, inside, *_ = next(self.made())
        for policy, protocol, address, welcome in (
            (first, "IMAP", "198.51.100.1", False),
            (first, "IMAP", "192.0.2.66", False),
            (first, "IMAP", "192.0.2.67", True),
            (inside, "IMAP", "192.0.2.67", True),
            (inside, "POP3", "192.0.2.67", False),
            (inside, "POP3", "203.0.113.1", True),
            (inside, "POP3", "10.1.2.3", True),
        ):
            with self.subTest(protocol=protocol, address=address):
                asked = maybeDeferred(policy.onConnect, Session(protocol, remoteAddress=address))
                if welcome:
                    self.successResultOf(asked)
                else:
                    self.failureResultOf(asked, NotWelcome)

    def test_what_holds_if_nothing_is_said(self) -> None:
        store = Memory()
        parts = PolicyParts(Limits(), self.clock, store)
        limit, bans = (policy for _, policy in make_policies(DEFAULT_POLICIES, parts))
        self.assertEqual((limit.name, bans.name), (ConnectionLimit().name, Bans().name))
        one = Session("IMAP", remoteAddress="192.0.2.1")
        for _ in range(200):
            self.successResultOf(
                maybeDeferred(limit.onConnect, Session("IMAP", remoteAddress="192.0.2.1"))
            )
        self.failureResultOf(maybeDeferred(limit.onConnect, one), TooManyConnections)
        for number in range(20):
            self.successResultOf(maybeDeferred(bans.onConnect, one))
            bans.loginFailed(one, "alice", str(number))
        self.failureResultOf(maybeDeferred(bans.onConnect, one), ConnectionRefused)
        # `duckmail bans` sees it.
        self.assertEqual(list(store.bans.bans), ["192.0.2.1/32"])


class WordsTests(SynchronousTestCase):
    """The table of what a policy is called in the configuration, and what in Python."""

    def test_each_key_of_each_kind_is_there(self) -> None:
        told: dict[str, set[str]] = {}
        for kind, keys in re.findall(r"^\| `([a-z-]+)`: (.*?) \|", PAGE, re.M):
            told.setdefault(kind, set()).update(re.findall(r"`(\w+)`", keys))
        self.assertEqual(told, {name: set(kind.keys) for name, kind in KINDS.items()})

    def test_each_class_takes_what_is_said(self) -> None:
        rows = re.findall(r"^\| .* \| `(\w+)\((.*?)\)`", PAGE, re.M)
        self.assertEqual(len(rows), 10)
        for name, arguments in rows:
            taken = inspect.signature(getattr(twisted_duck.policies, name)).parameters
            self.assertLessEqual(set(arguments.split(", ")), set(taken), name)


class EmbeddingTests(SynchronousTestCase):
    page = (DOCS / "embedding.md").read_text()

    def test_the_code_is_that_of_the_examples(self) -> None:
        shown = blocks("python", self.page)
        self.assertTrue(shown)
        for block in shown:
            first, _, code = block.partition("\n")
            source = (DOCS.parent / "examples" / first.removeprefix("# ")).read_text()
            self.assertIn(code, source, first)

    def test_every_example_that_is_named_is_there(self) -> None:
        named = set(re.findall(r"(\w+\.py)\b", self.page))
        there = {file.name for file in (DOCS.parent / "examples").glob("*.py")}
        self.assertLessEqual(named, there)

    def test_the_types_are_checked_here_as_well(self) -> None:
        [settings] = blocks("ini", self.page)
        mine = (DOCS.parent / "setup.cfg").read_text().splitlines()
        self.assertLessEqual(set(settings.splitlines()), set(mine))


class ProtocolsTests(SynchronousTestCase):
    def test_the_page_is_what_the_tables_say(self) -> None:
        written = runpy.run_path(str(DOCS / "protocols.py"))["page"]()
        self.assertEqual(
            (DOCS / "protocols.md").read_text("utf-8"), written, "run: python docs/protocols.py"
        )
