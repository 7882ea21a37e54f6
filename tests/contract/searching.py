"""SEARCH with every key, RFC 3501 §6.4.4."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

from tests.contract.base import CYRILLIC, MIXED, NOON, ODD, PLAIN, Contract, Mailbox
from twisted_duck import search
from twisted_duck.mime.message import analyse
from twisted_duck.sequence import SequenceSet
from twisted_duck.values import DELETED, FLAGGED, SEEN


class SearchContract(Contract):
    """Every search key, alone and combined."""

    async def found(self, mailbox: Mailbox, key: search.SearchKey) -> list[int]:
        return list(await mailbox.search(key))

    async def searched(self) -> tuple[Mailbox, int, int, int]:
        """PLAIN, CYRILLIC and MIXED in an INBOX, a day between them, with flags of their own."""
        account = await self.make_account("ada")
        contents = (PLAIN, CYRILLIC, MIXED)
        flags: tuple[list[str], ...] = ([SEEN], [SEEN, FLAGGED, "$Label1"], [])
        uids = []
        for day, (content, given) in enumerate(zip(contents, flags, strict=True)):
            when = NOON + timedelta(days=day)
            uids += await self.put(account, "INBOX", content, flags=given, when=when)
        mailbox = await account.select("INBOX", True)
        return mailbox, uids[0], uids[1], uids[2]

    async def test_search_by_flag(self) -> None:
        mailbox, plain, cyrillic, mixed = await self.searched()
        self.assertEqual(await self.found(mailbox, search.All()), [plain, cyrillic, mixed])
        self.assertEqual(await self.found(mailbox, search.HasFlag(SEEN)), [plain, cyrillic])
        self.assertEqual(await self.found(mailbox, search.HasFlag("$LABEL1")), [cyrillic])
        self.assertEqual(await self.found(mailbox, search.HasFlag("$Nobody")), [])

    async def test_search_by_uid(self) -> None:
        mailbox, plain, cyrillic, mixed = await self.searched()
        for numbers, expected in (
            (SequenceSet.of(cyrillic), [cyrillic]),
            (SequenceSet(((mixed, plain),)), [plain, cyrillic, mixed]),
            (SequenceSet(((cyrillic, 2**32 - 1),)), [cyrillic, mixed]),
            (SequenceSet.of(mixed + 1), []),
        ):
            self.assertEqual(await self.found(mailbox, search.UIDs(numbers)), expected)

    async def test_search_by_internal_date(self) -> None:
        mailbox, plain, cyrillic, mixed = await self.searched()
        day = date(2020, 3, 1)
        for key, expected in (
            (search.InternalDate("before", day), [plain]),
            (search.InternalDate("on", day), [cyrillic]),
            (search.InternalDate("since", day), [cyrillic, mixed]),
        ):
            self.assertEqual(await self.found(mailbox, key), expected, key)

    async def test_search_by_moment_includes_it(self) -> None:
        mailbox, plain, cyrillic, mixed = await self.searched()
        second = timedelta(seconds=1)
        when = NOON + timedelta(days=1)
        for key, expected in [
            (search.Arrived("until", when), [plain, cyrillic]),
            (search.Arrived("until", when - second), [plain]),
            (search.Arrived("from", when), [cyrillic, mixed]),
            (search.Arrived("from", when + second), [mixed]),
            (search.Arrived("until", datetime.min.replace(tzinfo=UTC)), []),
            (search.Arrived("from", datetime(1, 1, 2, tzinfo=UTC)), [plain, cyrillic, mixed]),
        ]:
            self.assertEqual(await self.found(mailbox, key), expected, key)

    async def test_what_sort_and_thread_compare(self) -> None:
        account = await self.make_account("ada")
        raw = (
            b"From: =?utf-8?q?J=C3=B6rg?= <joerg@x>\r\nTo: Ducks: a@b;\r\nCc: c@d\r\n"
            b'Subject: [pond] Re: =?utf-8?q?=EF=AC=81sh?= (fwd)\r\nMessage-ID: <"a"@b>\r\n'
            b"References: <c@d> <e@f>\r\n <g@h>\r\nDate: 1 Jan 1960 00:00 +0100\r\n\r\n"
        )
        long = b"Subject: " + "ﷺ".encode() * 3_000 + b"\r\nFrom: " + b"x" * 9_000 + b"\r\n\r\n"
        broken = b"Subject: =?utf-7?q?a+2AA-b?=\r\nFrom: =?utf-7?q?+3AA-?= <x@y>\r\n\r\n"
        contents = [raw, long, broken, PLAIN, CYRILLIC, MIXED, *ODD]
        for content in contents:
            await self.put(account, "INBOX", content)
        mailbox = await account.select("INBOX", True)
        brought = await self.bring(mailbox, mailbox.index.uids, ["order", "ids"])
        for content, message in zip(contents, brought, strict=True):
            expected = analyse(content)
            self.assertEqual((message.order, message.ids), (expected.order, expected.ids), content)
        [first] = await self.bring(mailbox, mailbox.index.uids[:1], ["order", "date"])
        self.assertEqual(
            (first.order.subject, first.order.answers, first.order.sent, first.internal_date),
            ("fiSH", True, -315_622_800, NOON),
        )
        self.assertIsNone(first.ids)

    async def test_copies_are_sorted_as_what_they_were_copied_from(self) -> None:
        account, mailbox, uids = await self.filled(2)
        await mailbox.copy(uids, "Archive")
        there = await account.select("Archive", True)
        for wanted in (["order"], ["ids"]):
            before = await self.bring(mailbox, uids, wanted)
            after = await self.bring(there, there.index.uids, wanted)
            self.assertEqual([(m.order, m.ids) for m in after], [(m.order, m.ids) for m in before])

    async def test_search_by_sent_date_disregards_the_timezone(self) -> None:
        mailbox, plain, cyrillic, mixed = await self.searched()
        for key, expected in (
            (search.SentDate("on", date(1996, 7, 17)), [plain]),
            (search.SentDate("on", date(1996, 7, 18)), []),
            (search.SentDate("before", date(1996, 7, 19)), [plain]),
            (search.SentDate("since", date(1996, 7, 19)), [cyrillic, mixed]),
        ):
            self.assertEqual(await self.found(mailbox, key), expected, key)

    async def test_search_by_size(self) -> None:
        mailbox, plain, cyrillic, mixed = await self.searched()
        largest = max((PLAIN, CYRILLIC, MIXED), key=len)
        self.assertIs(largest, MIXED)
        for key, expected in (
            (search.Size("larger", len(MIXED) - 1), [mixed]),
            (search.Size("larger", len(MIXED)), []),
            (search.Size("smaller", len(MIXED)), [plain, cyrillic]),
            (search.Size("smaller", 0), []),
            (search.Size("larger", 0), [plain, cyrillic, mixed]),
        ):
            self.assertEqual(await self.found(mailbox, key), expected, key)

    async def test_search_by_header(self) -> None:
        mailbox, plain, cyrillic, mixed = await self.searched()
        for key, expected in (
            (search.Header("subject", "wg MTG"), [plain]),
            (search.Header("subject", "ПРИВЕТ"), [cyrillic]),
            (search.Header("from", "анна"), [cyrillic]),
            (search.Header("from", "example.ORG"), [cyrillic]),
            (search.Header("to", "imap@cac"), [plain, cyrillic]),
            (search.Header("cc", "bob"), [cyrillic]),
            (search.Header("bcc", "bob"), []),
            (search.Header("message-id", "<b27397"), [plain]),
            (search.Header("x-empty", ""), [mixed]),
            (search.Header("cc", ""), [cyrillic]),
            (search.Header("content-transfer-encoding", ""), [cyrillic]),
            (search.Header("subject", ""), [plain, cyrillic, mixed]),
        ):
            self.assertEqual(await self.found(mailbox, key), expected, key)

    async def test_search_by_body(self) -> None:
        mailbox, plain, cyrillic, mixed = await self.searched()
        for key, expected in (
            (search.Body("THE MINUTES"), [plain]),
            (search.Body("завтра"), [cyrillic]),
            (search.Body("köln"), [mixed]),
            (search.Body("summary"), []),
            (search.Body("nobody wrote this"), []),
        ):
            self.assertEqual(await self.found(mailbox, key), expected, key)

    async def test_search_by_text(self) -> None:
        mailbox, plain, cyrillic, mixed = await self.searched()
        for key, expected in (
            (search.Text("minutes"), [plain]),
            (search.Text("mtg SUMMARY"), [plain]),
            (search.Text("imap@cac"), [plain, cyrillic]),
            (search.Text("привет"), [cyrillic]),
            (search.Text("полдень"), [cyrillic]),
            (search.Text("Grüße"), [mixed]),
            (search.Text("nobody wrote this"), []),
        ):
            self.assertEqual(await self.found(mailbox, key), expected, key)

    async def test_search_combines_keys(self) -> None:
        mailbox, plain, cyrillic, mixed = await self.searched()
        seen, to_imap = search.HasFlag(SEEN), search.Header("to", "imap@")
        body = search.Body("minutes")
        for key, expected in (
            (search.Not(seen), [mixed]),
            (search.Not(search.All()), []),
            (search.Not(to_imap), [mixed]),
            (search.Not(search.Not(body)), [plain]),
            (search.And((seen, body)), [plain]),
            (search.And((body, search.Not(seen))), []),
            (search.And((seen, to_imap, search.Not(body))), [cyrillic]),
            (search.Or(body, search.Not(seen)), [plain, mixed]),
            (search.Or(search.HasFlag("$Label1"), search.HasFlag("$Label1")), [cyrillic]),
            (search.Not(search.Or(body, search.HasFlag(FLAGGED))), [mixed]),
            (search.And((search.Or(body, search.Not(seen)), search.Not(body))), [mixed]),
        ):
            self.assertEqual(await self.found(mailbox, key), expected, key)

    async def test_search_takes_a_tree_of_any_depth(self) -> None:
        mailbox, plain, cyrillic, _ = await self.searched()
        key: search.SearchKey = search.HasFlag(SEEN)
        for _ in range(2_000):
            key = search.Not(key)
        self.assertEqual(await self.found(mailbox, key), [plain, cyrillic])

    async def test_search_in_an_empty_mailbox(self) -> None:
        account = await self.make_account("ada")
        mailbox = await account.select("INBOX", True)
        for key in (search.All(), search.Not(search.All()), search.Text("x")):
            self.assertEqual(await self.found(mailbox, key), [])

    async def test_search_finds_no_expunged_message(self) -> None:
        account = await self.make_account("ada")
        uids = await self.put(account, "INBOX", PLAIN, PLAIN)
        mailbox = await account.select("INBOX", False)
        await self.flag(mailbox, uids[:1], "add", DELETED)
        await mailbox.expunge()
        self.assertEqual(await self.found(mailbox, search.Body("minutes")), uids[1:])
