"""Who migrates a database, and where somebody else goes on.  What comes of it is in `tests.migrations`."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from tests.store.base import StoreTestCase, simple
from tests.store.recorder import Recorder
from twisted_duck import errors
from twisted_duck.store import migrations
from twisted_duck.store import users as store_users
from twisted_duck.store.migrations import Migration, Migrator, Overtaken
from twisted_duck.store.schema import VERSION

USERS = ["ada", "bob", "cy"]


class MigrationTests(StoreTestCase):
    async def setUp(self) -> None:
        await super().setUp()
        self.recorder = Recorder()
        self.store = await self.make_store(on_command=self.recorder)
        for name in USERS:
            account = await self.make_user(self.store, name)
            await self.put(account, "INBOX", simple(1), simple(2))
        await self.back_to(1)
        self.patch(migrations, "MIGRATIONS", migrations.MIGRATIONS[:1])

    async def back_to(self, version: int) -> None:
        """As if it had been written then."""
        await self.update("schema", {"_id": "schema"}, {"$set": {"version": version}})
        await self.update("messages", {}, {"$unset": {"fields": ""}})

    async def update(self, collection: str, filter: dict[str, Any], update: dict[str, Any]) -> None:
        updates = [{"q": filter, "u": update, "multi": True}]
        await self.store.mongo.run({"update": collection, "updates": updates})

    async def version(self) -> int:
        [document] = await self.store.mongo.find("schema", {"_id": "schema"})
        return int(document["version"])

    async def done(self) -> int:
        """Messages that have what the migration makes."""
        return len(await self.store.mongo.find("messages", {"fields": {"$exists": True}}))

    async def test_a_new_database_needs_none(self) -> None:
        await self.back_to(VERSION)
        self.recorder.clear()
        await self.store.migrator.run()
        self.assertEqual(self.recorder.names, ["find schema"])

    async def test_all_of_it(self) -> None:
        self.recorder.clear()
        await self.store.migrator.run()
        self.assertEqual(await self.recorder.problems(self.store.mongo), [])
        self.assertEqual((await self.version(), await self.done()), (2, 6))

    async def test_the_server_does_it_by_itself(self) -> None:
        self.store.migrator.start()
        while await self.version() < 2:
            await self.pause(0.01)
        self.assertEqual(await self.done(), 6)

    async def test_one_process_at_a_time(self) -> None:
        stopped = await self._stopped_after(1)
        other = Migrator(self.store.mongo)
        with self.assertRaises(Overtaken):
            await other.run()
        self.assertEqual((await self.version(), await self.done()), (1, 2))
        # The one that had it goes on as it was.
        await stopped.run()
        self.assertEqual((await self.version(), await self.done()), (2, 6))

    async def test_who_takes_over_goes_on_behind_the_last_user_that_was_done(self) -> None:
        stopped = await self._stopped_after(1)
        long_ago = datetime(2020, 1, 1, tzinfo=UTC)
        await self.update("schema", {"_id": "migration to 2"}, {"$set": {"until": long_ago}})
        seen: list[Any] = []
        real = migrations.MIGRATIONS[0]

        async def user(mongo: Any, id: Any, beat: Any) -> int:
            seen.append(id)
            if len(seen) == 1:
                # It comes back, and is told that it need not.
                with self.assertRaises(Overtaken):
                    await stopped.run()
            return await real.user(mongo, id, beat)

        self.patch(migrations, "MIGRATIONS", (Migration(2, "", user),))
        await Migrator(self.store.mongo).run()
        self.assertEqual(len(seen), 2)
        self.assertEqual((await self.version(), await self.done()), (2, 6))

    async def test_it_gets_to_all_users_however_long_one_takes(self) -> None:
        # The server forgets a cursor after ten minutes.
        self.patch(store_users, "_AT_ONCE", 2)
        self.recorder.clear()
        await self.store.migrator.run()
        self.assertEqual((await self.version(), await self.done()), (2, 6))
        asked = [each for each in self.recorder.names if each.endswith(" users")]
        self.assertEqual(asked, ["find users"] * 3)

    async def _stopped_after(self, users: int) -> Migrator:
        """A process that did so many users, and then no more."""
        [real] = migrations.MIGRATIONS
        left = users

        async def user(mongo: Any, id: Any, beat: Any) -> int:
            nonlocal left
            left -= 1
            if left < 0:
                raise errors.Unavailable("the database is away")
            return await real.user(mongo, id, beat)

        self.patch(migrations, "MIGRATIONS", (Migration(2, "", user),))
        migrator = Migrator(self.store.mongo)
        with self.assertRaises(errors.Unavailable):
            await migrator.run()
        self.patch(migrations, "MIGRATIONS", (real,))
        return migrator
