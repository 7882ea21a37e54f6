"""What messages go through on their way in and out, beyond what the contract says."""

from __future__ import annotations

import random
import tracemalloc
from array import array
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

from twisted.internet import reactor
from twisted.internet.defer import DeferredList, gatherResults
from twisted.internet.task import LoopingCall

from tests.store.base import LIMITS, StoreTestCase, add, simple, together
from tests.store.recorder import Recorder
from tests.store.test_rope import attachment, cut_base64
from twisted_duck import errors, search
from twisted_duck.limits import Limits
from twisted_duck.spool import Spool
from twisted_duck.store import changes, searching
from twisted_duck.store.changes import in_parts, uid_filters
from twisted_duck.store.checker import Finding, check
from twisted_duck.store.store import MailStore, open_store
from twisted_duck.values import DELETED, SEEN, AppendMessage, FetchWant, MessageData, UIDSet


class MessagesTestCase(StoreTestCase):
    async def setUp(self) -> None:
        await super().setUp()
        self.recorder = Recorder()
        self.store = await self.make_store(on_command=self.recorder)
        self.account = await self.make_user(self.store)

    async def bring(self, uids: Iterable[int], *wanted: FetchWant) -> list[MessageData]:
        mailbox = await self.account.select("INBOX", True)
        return [
            message
            async for batch in mailbox.fetch(list(uids), frozenset(wanted))
            for message in batch
        ]

    def count(self, name: str) -> int:
        return self.recorder.names.count(name)


class AppendTests(MessagesTestCase):
    async def test_appends_that_wait_for_each_other_are_one_change(self) -> None:
        await gatherResults(
            together(*(self.put(self.account, "INBOX", simple(n)) for n in range(60)))
        )
        self.assertLess(self.count("commitTransaction"), 15)
        self.assertEqual(
            sorted(await self.contents(self.account, "INBOX")), sorted(map(simple, range(60)))
        )

    async def test_each_append_has_its_own_uids(self) -> None:
        results = await gatherResults(
            together(*(self.put(self.account, "INBOX", simple(n), simple(n)) for n in range(20)))
        )
        contents = await self.contents(self.account, "INBOX")
        for number, uids in enumerate(results):
            self.assertEqual([contents[uid - 1] for uid in uids], [simple(number)] * 2)

    async def test_the_error_of_one_is_not_that_of_another(self) -> None:
        size = len(simple())
        await self.store.users.set_quota("ada", 4 * size)
        puts = [
            self.put(self.account, "INBOX", simple()),
            self.put(self.account, "INBOX", simple()),
            self.put(self.account, "INBOX", simple() * 10),
            self.put(self.account, "Nothing", simple()),
            self.put(self.account, "INBOX", simple()),
        ]
        results = await DeferredList(together(*puts), consumeErrors=True)
        self.assertEqual([good for good, _ in results], [True, True, False, False, True])
        failures: Any = [result.value for good, result in results if not good]
        self.assertIsInstance(failures[0], errors.OverQuota)
        self.assertIsInstance(failures[1], errors.TryCreate)
        self.assertEqual((await self.account.status("INBOX")).messages, 3)
        self.assertEqual((await self.store.users.get("ada")).used, 3 * size)

    async def test_keys_of_imports(self) -> None:
        def keyed(*keys: bytes | None) -> list[AppendMessage]:
            return [AppendMessage(Spool.of(simple()), key=key) for key in keys]

        await self.account.append("INBOX", keyed(b"a", b"b", None))
        self.assertEqual(await self.account.imported("INBOX", [b"a", b"c"]), {b"a"})
        self.assertEqual(await self.account.imported("Sent", [b"a"]), set())
        for again in (keyed(b"c", b"a"), keyed(b"d", b"d")):
            with self.assertRaises(errors.AlreadyExists):
                await self.account.append("INBOX", again)
        await self.account.append("Sent", keyed(b"a"))
        self.assertEqual(
            await self.account.imported("INBOX", [b"a", b"b", b"c", b"d"]), {b"a", b"b"}
        )
        self.assertEqual((await self.account.status("INBOX")).messages, 3)
        with self.assertRaises(errors.NonExistent):
            await self.account.imported("Nothing", [b"a"])

    async def test_what_bson_has_no_place_for(self) -> None:
        odd = [
            b"Subject: =?utf-7?Q?+2AA-?=\r\nContent-Type: text/plain; charset=utf-7\r\n\r\n+2AA-\r\n",
            b"Subject: =?utf-8?Q?a=00b?=\r\n\r\n",
            b"Content-Transfer-Encoding: base64\r\n\r\nAAAA\r\n",
        ]
        await self.put(self.account, "INBOX", *odd)
        self.assertEqual(await self.contents(self.account, "INBOX"), odd)
        dates = [
            datetime(1, 1, 1, tzinfo=timezone(timedelta(hours=14))),
            datetime(9999, 12, 31, 23, 59, 59, tzinfo=timezone(timedelta(hours=-14))),
            datetime(1970, 1, 1, 0, 0, 0, 999_999, tzinfo=UTC),
        ]
        for date in dates:
            await self.account.append("Sent", [AppendMessage(Spool.of(b""), internal_date=date)])
        mailbox = await self.account.select("Sent", True)
        async for batch in mailbox.fetch([1, 2, 3], frozenset({"date"})):
            found = [m.internal_date.replace(tzinfo=None) for m in batch if m.internal_date]
            self.assertEqual(found, [date.replace(tzinfo=None, microsecond=0) for date in dates])


class FetchTests(MessagesTestCase):
    async def test_lists_that_are_too_large_for_a_message_are_with_the_body(self) -> None:
        part = b"--b\r\nContent-Type: text/x-%05d\r\n\r\nx\r\n"
        large = b"Content-Type: multipart/mixed; boundary=b\r\n\r\n" + b"".join(
            part % number for number in range(1_000)
        )
        await self.put(self.account, "INBOX", simple(), large, simple())
        found = await self.bring([1, 2, 3], "bodystructure", "body", "envelope")
        lengths = [len(message.bodystructure or b"") for message in found]
        self.assertGreater(lengths[1], 16 * 1024)
        self.assertEqual(lengths[0], lengths[2])
        self.assertTrue(all(message.body and message.envelope for message in found))
        mailbox = await self.account.select("INBOX", False)
        await mailbox.copy([2], "Archive")
        copies = await self.account.select("Archive", True)
        async for batch in copies.fetch([1], frozenset({"body"})):
            self.assertEqual([message.body for message in batch], [found[1].body])

    async def test_many_are_few_queries(self) -> None:
        for at in range(0, 1_500, 500):
            await self.put(self.account, "INBOX", *map(simple, range(at, at + 500)))
        for wanted, most in ((("size", "date"), 4), (("envelope", "bodystructure"), 8)):
            self.recorder.clear()
            found = await self.bring(range(1, 1_501), *wanted)  # type: ignore[arg-type]
            self.assertEqual([message.uid for message in found], list(range(1, 1_501)))
            self.assertLessEqual(self.count("find messages"), most)

    async def test_headers_are_read_without_what_is_behind_them(self) -> None:
        head = b"Subject: x\r\n\r\n"
        await self.put(self.account, "INBOX", *[head + b"y" * 30_000] * 50)
        self.recorder.clear()
        for message in await self.bring(range(1, 51), "header"):
            content: Any = message.content
            self.assertEqual(content.peek(0, content.header), head)
            self.assertEqual(b"".join([c async for c in content.chunks(0, content.size)]), head)
        self.assertEqual(self.count("find bodies"), 1)

    async def test_one_message_is_one_command(self) -> None:
        await self.put(self.account, "INBOX", simple(), simple(1))
        mailbox = await self.account.select("INBOX", True)
        for want in ("content", "header"):
            self.recorder.clear()
            wanted = frozenset({want, "date", "envelope", "thread id"})
            [[message]] = [batch async for batch in mailbox.fetch([2], wanted)]
            self.assertEqual(message.content.peek(0, 20), b"Subject: message 1\r\n")
            self.assertEqual(self.recorder.names, ["aggregate messages"])
            self.assertEqual(await self.recorder.problems(self.store.mongo), [])

    async def test_a_reader_that_stops_leaves_nothing_behind(self) -> None:
        await self.put(self.account, "INBOX", *map(simple, range(1_500)))
        mailbox = await self.account.select("INBOX", True)
        async for batch in mailbox.fetch(list(mailbox.index.uids), frozenset({"size"})):
            self.assertTrue(batch)
            break

    async def test_the_body_of_a_message_that_is_missing(self) -> None:
        await self.put(self.account, "INBOX", simple())
        await self.store.mongo.run({"delete": "bodies", "deletes": [{"q": {}, "limit": 0}]})
        with self.assertRaises(errors.Corruption):
            await self.bring([1], "content")
        self.assertEqual(len(await self.bring([1], "envelope")), 1)

    async def test_a_blob_that_is_missing(self) -> None:
        await self.put(self.account, "INBOX", attachment(cut_base64(b"x" * 50_000, 76, b"\r\n")))
        await self.store.mongo.run({"delete": "blobs", "deletes": [{"q": {}, "limit": 0}]})
        [message] = await self.bring([1], "content")
        content: Any = message.content
        self.assertEqual(content.peek(0, 10), b"Subject: x")
        self.assertIsNone(content.peek(0, content.size))
        with self.assertRaises(errors.Corruption):
            [chunk async for chunk in content.chunks(0, content.size)]

    async def test_random_ranges_of_a_large_message(self) -> None:
        chance = random.Random(1)
        large = attachment(cut_base64(chance.randbytes(1_500_000), 76, b"\r\n"))
        await self.put(self.account, "INBOX", large)
        [message] = await self.bring([1], "content")
        content: Any = message.content
        for _ in range(40):
            start, stop = sorted(chance.randrange(len(large)) for _ in range(2))
            stop = min(stop, start + chance.choice((10, 1_000, 400_000)))
            got = b"".join([chunk async for chunk in content.chunks(start, stop)])
            self.assertTrue(got == large[start:stop], (start, stop))


class LargeMessageTests(MessagesTestCase):
    async def test_fifty_mebibytes_are_never_in_memory_and_never_hold_the_reactor(self) -> None:
        chance = random.Random(2)
        spool = Spool(Limits())
        spool.write(b"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n")
        spool.write(b"Content-Type: video/x\r\nContent-Transfer-Encoding: base64\r\n\r\n")
        for _ in range(38):
            spool.write(cut_base64(chance.randbytes(57 * 18_000), 76, b"\r\n") + b"\r\n")
        spool.write(b"--b--\r\n")
        spool.finish()
        self.addCleanup(spool.close)
        self.assertGreater(spool.size, 50 << 20)
        # It would keep all that is sent.
        self.store.mongo.on_command = None
        late: list[float] = []
        last = [self.store.mongo.reactor.seconds()]

        def tick() -> None:
            now = self.store.mongo.reactor.seconds()
            late.append(now - last[0])
            last[0] = now

        ticking = LoopingCall(tick)
        ticking.start(0.01)
        tracemalloc.start()
        try:
            await self.account.append("INBOX", [AppendMessage(spool)])
            _, stored = tracemalloc.get_traced_memory()
            tracemalloc.reset_peak()
            [message] = await self.bring([1], "content")
            content: Any = message.content
            at = 0
            async for chunk in content.chunks(0, content.size):
                self.assertTrue(chunk == spool.data[at : at + len(chunk)], at)
                at += len(chunk)
            _, read = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
            ticking.stop()
        self.assertEqual(at, spool.size)
        self.assertLess(stored, 8 << 20)
        self.assertLess(read, 8 << 20)
        # Tracing memory and a busy machine make everything slower than it is.
        self.assertLess(max(late), 1.0)


class SearchTests(MessagesTestCase):
    async def found(self, key: search.SearchKey) -> list[int]:
        return list(await (await self.account.select("INBOX", True)).search(key))

    async def test_text_beyond_what_is_kept_is_found(self) -> None:
        most = LIMITS.mime_search
        text = b"Subject: long\r\n\r\n" + b"word " * (most // 5 + 100) + b"needle\r\n"
        await self.put(self.account, "INBOX", simple(), text)
        mailbox = await self.account.select("INBOX", False)
        await mailbox.copy([2], "Archive")
        for key, expected in (
            (search.Body("needle"), [2]),
            (search.Text("NEEDLE"), [2]),
            (search.Body("haystack"), []),
            (search.Header("subject", "long"), [2]),
            (search.Header("subject", "needle"), []),
            (search.Not(search.Body("needle")), [1]),
        ):
            self.assertEqual(await self.found(key), expected, key)
        copies = await self.account.select("Archive", True)
        self.assertEqual(await copies.search(search.Body("needle")), [1])

    async def test_nothing_in_a_string_means_anything(self) -> None:
        await self.put(
            self.account,
            "INBOX",
            b"Subject: a.b*c $where [x] (y) \\d\r\nX-Odd.Name: 1\r\nTo: q\r\n\r\n$body {a} 'b' .*\r\n",
        )
        for text in ("a.b*c", "$where", "[x]", "(y)", "\\d", "a.b*c $where [x] (y) \\d"):
            self.assertEqual(await self.found(search.Header("subject", text)), [1], text)
            self.assertEqual(await self.found(search.Text(text)), [1], text)
        for text in ("a.*c", ".", "axb", "[xy]", "\\s", "^", "a.b*c$", "\n", "\nto:q", "\0"):
            expected = [1] if text == "." else []
            self.assertEqual(await self.found(search.Header("subject", text)), expected, text)
        for text in ("$body", "{a}", "'b'", ".*", "$", "$body {a} 'b' .*"):
            self.assertEqual(await self.found(search.Body(text)), [1], text)
        self.assertEqual(await self.found(search.Header("x-odd.name", "")), [1])
        for name in ("x-odd-name", ".*", "ubject", "subject: a", "x", ""):
            self.assertEqual(await self.found(search.Header(name, "")), [], name)

    async def test_strings_of_any_length(self) -> None:
        long = "x" * 60_000
        await self.put(
            self.account, "INBOX", f"Subject: a{long}b\r\n\r\nc{long}d\r\n".encode(), simple()
        )
        for key, expected in (
            (search.Header("subject", "a" + long), [1]),
            (search.Header("subject", long + "c"), []),
            (search.Header("to", long), []),
            (search.Body("c" + long), [1]),
            (search.Text(long + "d"), [1]),
            (search.Text(long + "e"), []),
        ):
            self.assertEqual(await self.found(key), expected)

    async def test_fields_that_stand_beside_the_message_are_looked_at_there(self) -> None:
        many = ", ".join(f"someone.{n}@example.org" for n in range(200))
        await self.put(
            self.account,
            "INBOX",
            b"Subject: =?utf-8?q?Entw=C3=BCrfe?=\r\nFrom: ada@example.org\r\n\r\ntext\r\n",
            f"Subject: Entw\u00fcrfe\r\nTo: {many}\r\n\r\ntext\r\n".encode(),
            b"Subject: x\r\nX-Subject: entw\xc3\xbcrfe\r\nSUBJECT : other\r\n\r\nentw\xc3\xbcrfe\r\n",
        )
        mongo = self.store.mongo
        # As it was before there were any.
        await self.put(self.account, "INBOX", "Subject: the ENTWÜRFE\r\n\r\ntext\r\n".encode())
        [old] = await mongo.find("messages", {"uid": 4})
        self.assertEqual(old["fields"], "\nsubject:the entwu\u0308rfe\n")
        change = {"q": {"_id": old["_id"]}, "u": {"$unset": {"fields": ""}}}
        await mongo.run({"update": "messages", "updates": [change]})
        rows = await mongo.find("messages", {}, sort={"uid": 1})
        self.assertEqual(["fields" in row for row in rows], [True, False, True, False])
        for name, text, expected, asked in (
            ("subject", "entwürfe", [1, 2, 4], [2, 4]),
            ("subject", "OTHER", [3], [2, 4]),
            ("subject", "", [1, 2, 3, 4], [2, 4]),
            ("from", "ada@", [1], [2, 4]),
            ("to", "someone.199@", [2], [2, 4]),
            ("x-subject", "entwürfe", [3], [1, 2, 3, 4]),
        ):
            bodies: list[Any] = []

            def looked(database: str, command: Any, into: list[Any] = bodies) -> None:
                if command.get("find") == "bodies":
                    into.extend(command["filter"]["_id"]["$in"])

            self.patch(mongo, "on_command", looked)
            self.assertEqual(await self.found(search.Header(name, text)), expected, (name, text))
            self.assertEqual(
                set(bodies), {row["body"] for row in rows if row["uid"] in asked}, (name, text)
            )

    async def test_many_uids_in_pieces(self) -> None:
        self.patch(searching, "_AT_ONCE", 7)
        await self.put(self.account, "INBOX", *map(simple, range(60)))
        mailbox = await self.account.select("INBOX", False)
        some = list(range(1, 60, 3))

        async def sure() -> bool:
            return True

        opened = mailbox._opened
        leaves = searching.StoreLeaves(
            self.store.mongo, opened.place, mailbox.index.uids, 60, LIMITS, opened.remembered, sure
        )
        for uids in (some, list(mailbox.index.uids), some[:3]):
            self.assertEqual(list(await leaves.select(search.Body("text"), uids)), uids)
            self.assertEqual(list(await leaves.select(search.Size("larger", 1), uids)), uids)
        self.assertEqual(list(await leaves.select(search.Body("of 5"), some)), [52, 55, 58])


class FilterTests(StoreTestCase):
    async def setUp(self) -> None:
        """Nothing is asked of a database."""

    def test_filters_take_in_what_they_should(self) -> None:
        chance = random.Random(3)
        for _ in range(300):
            living = array("I", sorted(chance.sample(range(1, 200), chance.randint(1, 150))))
            uids = sorted(chance.sample(list(living), chance.randint(0, len(living))))
            if chance.random() < 0.5 and uids:
                uids = list(living[len(living) // 3 :])
            filters = uid_filters(living, uids)
            matched = [
                uid
                for filter in filters
                for uid in living
                if uid in filter["uid"].get("$in", ())
                or filter["uid"].get("$gte", 999) <= uid <= filter["uid"].get("$lte", 0)
            ]
            self.assertEqual(sorted(matched), uids)
        everything = array("I", range(1, 1_000, 7))
        self.assertEqual(len(uid_filters(everything, list(everything))), 1)

    def test_parts_are_of_so_many_messages_and_together_of_all(self) -> None:
        chance = random.Random(4)
        for _ in range(100):
            living = array("I", sorted(chance.sample(range(1, 200), 120)))
            groups = {key: sorted(chance.sample(living, chance.randint(0, 50))) for key in "abc"}
            matched: dict[str, list[int]] = {key: [] for key in "abc"}
            for part in in_parts(living, groups.items(), 8):
                found = [
                    (key, uid)
                    for key, filter in part
                    for uid in living
                    if uid in filter["uid"].get("$in", ())
                    or filter["uid"].get("$gte", 999) <= uid <= filter["uid"].get("$lte", 0)
                ]
                self.assertLessEqual(len(found), 8)
                for key, uid in found:
                    matched[key].append(uid)
            self.assertEqual({key: sorted(uids) for key, uids in matched.items()}, groups)


class LargeChangeTests(MessagesTestCase):
    """However many messages a change is of, no command of it is of more than some: each has to be done in seconds."""

    async def test_store_move_and_expunge(self) -> None:
        self.patch(changes, "_AT_ONCE", 10)
        await self.put(self.account, "INBOX", *map(simple, range(35)))
        mailbox = await self.account.select("INBOX", False)
        self.recorder.clear()
        await mailbox.store(list(mailbox.index.uids), add(DELETED))
        self.assertEqual(self.count("update messages"), 4)
        await mailbox.move(list(mailbox.index.uids[:15]), "Trash")
        self.assertEqual(self.count("delete messages"), 2)
        await mailbox.expunge(UIDSet(((1, 34),)))
        self.assertEqual(self.count("delete messages"), 4)
        self.assertEqual(list(mailbox.index.uids), [35])
        self.assertEqual((await self.account.status("Trash")).deleted, 15)
        findings = [f async for f in check(self.store.mongo) if isinstance(f, Finding)]
        self.assertEqual([f for f in findings if not f.garbage], [])


class EmptiedTests(MessagesTestCase):
    """An EXPUNGE of all messages takes as long as one of a single message; they are removed afterwards."""

    async def fill(self) -> None:
        await self.put(self.account, "INBOX", *map(simple, range(30)))
        self.mailbox = await self.account.select("INBOX", False)
        await self.mailbox.store(list(self.mailbox.index.uids), add(DELETED))
        self.discarded: list[tuple[Any, Any]] = []

    async def findings(self) -> list[Finding]:
        return [f async for f in check(self.store.mongo) if isinstance(f, Finding)]

    async def test_no_command_of_it_is_about_messages(self) -> None:
        await self.fill()
        self.patch(self.mailbox, "_discard", lambda *box: self.discarded.append(box))
        self.recorder.clear()
        self.assertEqual(await self.mailbox.expunge(), UIDSet(((1, 30),)))
        self.assertEqual(
            [name for name in self.recorder.names if not name.startswith("getMore")],
            [
                "findAndModify mailboxes",
                "insert tombstones",
                "findAndModify users",
                "commitTransaction",
            ],
        )
        self.assertEqual(len(self.mailbox.index), 0)
        self.assertEqual(await self.mailbox.vanished_since(1), UIDSet(((1, 30),)))
        self.assertEqual((await self.account.quota()).used, 0)
        status = await self.account.status("INBOX")
        self.assertEqual(
            (status.messages, status.unseen, status.deleted, status.size), (0, 0, 0, 0)
        )
        # Whoever is to remove them was told; if it does not, they are garbage.
        self.assertEqual(len(self.discarded), 1)
        self.assertEqual(
            [(f.kind, f.garbage) for f in await self.findings()], [("mailbox-gone", True)]
        )
        self.assertEqual((await self.store.collector.run()).messages, 30)
        self.assertEqual([f for f in await self.findings() if not f.garbage], [])

    async def test_the_messages_are_removed_in_the_background(self) -> None:
        await self.fill()
        await self.mailbox.expunge()
        await self.until(lambda: self.count("delete messages") == 1)
        self.assertEqual((await self.store.collector.run()).messages, 0)

    async def test_sessions_of_other_processes(self) -> None:
        await self.fill()
        other = await (await self.make_store()).account("ada")
        theirs = await other.select("INBOX", False)
        await self.mailbox.expunge()
        # It is not known there yet, and the change is computed again.
        with self.assertRaises(errors.ExpungeIssued):
            await theirs.copy([1, 2], "Archive")
        await theirs.refresh()
        self.assertEqual((list(theirs.index.uids), theirs.index.uidnext), ([], 31))
        self.assertEqual(await self.put(other, "INBOX", simple(31)), [31])
        await theirs.store([31], add(SEEN))
        await self.mailbox.refresh()
        self.assertEqual(self.mailbox.index.flags(31), {SEEN})
        self.assertEqual(await self.contents(self.account, "INBOX"), [simple(31)])
        self.assertEqual([f for f in await self.findings() if not f.garbage], [])

    async def test_a_change_that_comes_between(self) -> None:
        """What arrived meanwhile is not among those that are expunged."""
        await self.fill()
        other = await (await self.make_store()).account("ada")
        self.patch(self.mailbox._opened, "wake", lambda: None)
        await self.put(other, "INBOX", simple(31))
        self.assertEqual(await self.mailbox.expunge(), UIDSet(((1, 30),)))
        self.assertEqual(list(self.mailbox.index.uids), [31])
        self.assertEqual(await self.contents(self.account, "INBOX"), [simple(31)])

    async def test_a_move_of_all(self) -> None:
        await self.fill()
        self.recorder.clear()
        result = await self.mailbox.move(list(self.mailbox.index.uids), "Archive")
        self.assertEqual(list(result.destination), list(range(1, 31)))
        names = self.recorder.names
        committed = names[: names.index("commitTransaction")]
        self.assertNotIn("delete messages", committed)
        self.assertEqual((await self.account.status("INBOX")).messages, 0)
        self.assertEqual((await self.account.status("Archive")).deleted, 30)
        await self.until(lambda: self.count("delete messages") == 1)
        self.assertEqual((await self.store.collector.run()).messages, 0)
        self.assertEqual([f for f in await self.findings() if not f.garbage], [])


class PiecesTests(StoreTestCase):
    """Very many messages are removed in several changes, each whole in itself."""

    async def test_an_expunge_in_pieces(self) -> None:
        recorder = Recorder()
        store = await self.make_store(on_command=recorder, limits=Limits(messages_per_change=10))
        account = await self.make_user(store)
        await self.put(account, "INBOX", *map(simple, range(36)))
        mailbox = await account.select("INBOX", False)
        await mailbox.store(list(range(2, 37)), add(DELETED))
        before = mailbox.index.highest_modseq
        recorder.clear()
        self.assertEqual(await mailbox.expunge(), UIDSet(((2, 36),)))
        self.assertEqual(recorder.names.count("commitTransaction"), 4)
        self.assertEqual(mailbox.index.highest_modseq, before + 4)
        self.assertEqual(list(mailbox.index.uids), [1])
        # All that there is goes at once, however much.
        await self.put(account, "INBOX", *map(simple, range(36)))
        recorder.clear()
        self.assertEqual(len(await mailbox.remove(list(mailbox.index.uids))), 37)
        self.assertEqual(recorder.names.count("commitTransaction"), 1)
        findings = [f async for f in check(store.mongo) if isinstance(f, Finding)]
        self.assertEqual([f for f in findings if not f.garbage], [])


class OpenTests(StoreTestCase):
    async def test_open_store_and_its_parts(self) -> None:
        store = await open_store(reactor, self.uri, LIMITS)
        self.assertIsInstance(store, MailStore)
        await store.add_user("ada", "x")
        self.assertEqual((await store.account("ada")).name, "ada")
        await store.close()
        await store.close()
