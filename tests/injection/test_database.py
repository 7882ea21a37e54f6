"""No operator reaches MongoDB: what a stranger chooses is a value in each command, and never the name of anything."""

from __future__ import annotations

from collections.abc import Awaitable, Iterator
from typing import Any

from tests.injection.tokens import MARK, TOKENS
from tests.store.base import StoreTestCase
from twisted_duck import errors, search
from twisted_duck.spool import Spool
from twisted_duck.store.checker import Finding, check
from twisted_duck.values import AppendMessage, Bucket, FlagChange


def _names(value: Any) -> Iterator[str]:
    """The names of all fields, and of variables and fields that an expression refers to."""
    if isinstance(value, dict):
        for name, each in value.items():
            yield name
            yield from _names(each)
    elif isinstance(value, list | tuple):
        for each in value:
            yield from _names(each)


def _evaluated(value: Any, evaluated: bool = False) -> Iterator[str]:
    """The strings that the server takes for the name of a field or a variable if they begin with a dollar sign."""
    if isinstance(value, dict):
        for name, each in value.items():
            if name != "$literal":
                pipeline = name in ("u", "update") and isinstance(each, list)
                inner = evaluated or pipeline or name in ("$expr", "projection", "$project")
                yield from _evaluated(each, inner)
    elif isinstance(value, list | tuple):
        for each in value:
            yield from _evaluated(each, evaluated)
    elif evaluated and isinstance(value, str):
        yield value


class DatabaseTests(StoreTestCase):
    async def setUp(self) -> None:
        await super().setUp()
        self.commands: list[dict[str, Any]] = []
        self.store = await self.make_store(
            on_command=lambda database, command: self.commands.append(command)
        )
        self.account = await self.make_user(self.store)

    async def attempt(self, work: Awaitable[Any]) -> Any:
        """It is done, or refused for a reason."""
        try:
            return await work
        except errors.DuckError:
            return None

    async def test_names_of_everything(self) -> None:
        delivery, account, users = self.store.delivery(), self.account, self.store.users
        [uid] = await self.put(account, "INBOX", b"Subject: a\r\n\r\nb")
        inbox = await account.select("INBOX", False)
        for token in TOKENS:
            keyword = FlagChange("add", frozenset({token}))
            for work in (
                account.create(token),
                account.create(f"a/{token}"),
                account.status(token),
                account.statuses([token]),
                account.select(token, True),
                account.subscribe(token),
                account.check_append(token, 1),
                account.rename(token, token + "/b"),
                account.rename("a/" + token, "b"),
                account.append(token, [AppendMessage(Spool.of(b"x"), frozenset({token}))]),
                account.imported("INBOX", [token.encode()]),
                account.unsubscribe(token),
                account.delete(token),
                inbox.store([uid], keyword),
                inbox.copy([uid], token),
                inbox.move([uid], token),
                users.add(token, None),
                users.find(token),
                users.seed(token),
                users.set_quota(token, 1),
                self.store.addresses.add("ada", f"{token}@example.com"),
                self.store.addresses.add("ada", f"a@{token}"),
                self.store.addresses.add_alias(token, "example.com"),
                delivery.resolve(token, "example.com", 1),
                delivery.resolve("ada", token, 1),
                self.store.bans.failed(token, token.encode(), 60.0),
                self.store.bans.ban(token, token, 60.0),
                self.store.bans.find(token),
                self.store.rates.take([Bucket(token, 1, 60.0)]),
            ):
                await self.attempt(work)
        await self.check()

    async def test_searches(self) -> None:
        await self.put(self.account, "INBOX", b"Subject: abc\r\n\r\ndef")
        inbox = await self.account.select("INBOX", True)
        for token in TOKENS:
            for key in (
                search.Header("subject", token),
                search.Header(token, "a"),
                search.Header(token, ""),
                search.Body(token),
                search.Text(token),
                search.HasFlag(token),
                search.EmailID(token),
                search.ThreadID(token),
            ):
                found = await self.attempt(inbox.search(key))
                self.assertIn(list(found or ()), ([],), (key, found))
        await self.check()

    async def test_mail(self) -> None:
        for token in TOKENS:
            octets = token.encode()
            header = b"".join(
                b"%b: %b\r\n" % (name, octets)
                for name in (
                    b"Subject",
                    b"From",
                    b"To",
                    b"Message-ID",
                    b"References",
                    b"X-" + octets[:9],
                )
            )
            content = b"%bContent-Type: text/%b; name=%b\r\n\r\n%b" % (
                header,
                octets,
                octets,
                octets,
            )
            await self.attempt(
                self.account.append("INBOX", [AppendMessage(Spool.of(content), key=octets)])
            )
        await self.check()

    async def check(self) -> None:
        # What was chosen did go to the database; as the name of a field it did not.
        self.assertIn(MARK, str(self.commands))
        for command in self.commands:
            names = list(_names(command))
            self.assertEqual([name for name in names if MARK in name], [], command)
            read = [each for each in _evaluated(command) if MARK in each and each.startswith("$")]
            self.assertEqual(read, [], command)
            # Nothing is run there that is written in a language of its own.
            self.assertFalse(
                {"$where", "$function", "$accumulator", "mapReduce"} & {*names}, command
            )
        findings = [each async for each in check(self.store.mongo) if isinstance(each, Finding)]
        self.assertEqual([each.text for each in findings if not each.garbage], [])
