"""One session and its messages."""

from __future__ import annotations

import base64
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

from twisted.internet.defer import Deferred, DeferredList
from zope.interface.verify import verifyObject

from tests.contract.base import CYRILLIC, EVERYTHING, MIXED, NOON, ODD, PLAIN, Contract
from twisted_duck import errors
from twisted_duck.interfaces import IContent, IMailbox
from twisted_duck.values import ANSWERED, DELETED, FLAGGED, SEEN


class MessagesContract(Contract):
    """One session and its messages: RFC 3501 §6.3.11, §6.4."""

    async def test_mailbox_provides_its_interface(self) -> None:
        _, mailbox, _ = await self.filled(1)
        verifyObject(IMailbox, mailbox)
        self.assertEqual((mailbox.name, mailbox.readonly), ("INBOX", False))
        [message] = await self.bring(mailbox, mailbox.index.uids, ["content"])
        verifyObject(IContent, message.content)

    async def test_appended_bytes_come_back(self) -> None:
        account = await self.make_account("ada")
        for content in (PLAIN, CYRILLIC, MIXED, *ODD):
            await self.put(account, "INBOX", content)
        self.assertEqual(await self.contents(account, "INBOX"), [PLAIN, CYRILLIC, MIXED, *ODD])

    async def test_append_several_at_once(self) -> None:
        account = await self.make_account("ada")
        first = await self.put(account, "INBOX", PLAIN)
        uids = await self.put(account, "INBOX", CYRILLIC, MIXED)
        self.assertEqual(sorted({*first, *uids}), first + uids)
        self.assertEqual(await self.contents(account, "INBOX"), [PLAIN, CYRILLIC, MIXED])

    async def test_appends_that_others_do_not_wait_for_keep_their_order(self) -> None:
        """A long message takes longer to look at, and keywords have to be looked for (RFC 3501 §5.5)."""
        account = await self.make_account("ada")
        long = PLAIN + b"text\r\n" * 2_000
        given = [(long, ""), (PLAIN, ""), (CYRILLIC, "$Junk"), (long, ""), (MIXED, "")]
        begun = [
            Deferred.fromCoroutine(self.put(account, "INBOX", content, flags=filter(None, [flag])))
            for content, flag in given
        ]
        await DeferredList(begun)
        self.assertEqual(await self.contents(account, "INBOX"), [content for content, _ in given])

    async def test_appended_flags_and_date_come_back(self) -> None:
        account = await self.make_account("ada")
        when = datetime(1999, 12, 31, 23, 59, 58, tzinfo=timezone(timedelta(hours=-9, minutes=-30)))
        [uid] = await self.put(
            account, "INBOX", PLAIN, flags=[SEEN, ANSWERED, "$Forwarded"], when=when
        )
        mailbox = await account.select("INBOX", True)
        self.assertEqual(self.flags(mailbox), {uid: {SEEN, ANSWERED, "$Forwarded"}})
        [message] = await self.bring(mailbox, [uid], ["date"])
        self.assertEqual(message.internal_date, when)

    async def test_append_without_a_date_is_dated_now(self) -> None:
        account = await self.make_account("ada")
        before = datetime.now(UTC)
        [uid] = await self.put(account, "INBOX", PLAIN, when=None)
        mailbox = await account.select("INBOX", True)
        [message] = await self.bring(mailbox, [uid], ["date"])
        assert message.internal_date is not None
        self.assertLess(abs(message.internal_date - before), timedelta(minutes=1))

    async def test_append_to_what_does_not_exist(self) -> None:
        account = await self.make_account("ada")
        await self.fails(account.check_append("Nothing", 1), errors.TryCreate)
        await self.fails(self.put(account, "Nothing", PLAIN), errors.TryCreate)
        await account.check_append("INBOX", len(PLAIN))

    async def test_uids_ascend_and_are_never_used_again(self) -> None:
        account, mailbox, uids = await self.filled(3)
        self.assertEqual(uids, sorted(set(uids)))
        await self.flag(mailbox, uids, "add", DELETED)
        await mailbox.expunge()
        [uid] = await self.put(account, "INBOX", PLAIN)
        self.assertGreater(uid, uids[-1])

    async def test_fetch_brings_what_is_wanted(self) -> None:
        account = await self.make_account("ada")
        [uid] = await self.put(account, "INBOX", PLAIN)
        mailbox = await account.select("INBOX", True)
        [message] = await self.bring(mailbox, [uid])
        self.assertEqual(message.uid, uid)
        self.assertEqual(message.internal_date, NOON)
        self.assertEqual(message.size, len(PLAIN))
        gray = b'(("Terry Gray" NIL "gray" "cac.example.edu"))'
        self.assertEqual(
            message.envelope,
            b'("Wed, 17 Jul 1996 23:23:25 -0700" "IMAP4rev1 WG mtg summary" '
            + b" ".join([gray] * 3)
            + b' ((NIL NIL "imap" "cac.example.edu")) NIL NIL NIL '
            b'"<B27397-0100000@cac.example.edu>")',
        )
        assert message.bodystructure is not None and message.body is not None
        for structure in (message.body, message.bodystructure):
            self.assertTrue(structure.upper().startswith(b'("TEXT" "PLAIN"'), structure)
        self.assertIn(b" 23 1", message.body)
        self.assertLess(len(message.body), len(message.bodystructure))
        self.assertEqual(await self.whole(message.content), PLAIN)

    async def test_fetch_of_each_thing_alone(self) -> None:
        account = await self.make_account("ada")
        uids = await self.put(account, "INBOX", PLAIN, CYRILLIC, MIXED, *ODD)
        mailbox = await account.select("INBOX", True)
        attributes = {"date": "internal_date"}
        everything = await self.bring(mailbox, uids)
        for want in EVERYTHING:
            for alone, message in zip(
                await self.bring(mailbox, uids, [want]), everything, strict=True
            ):
                name = attributes.get(want, want)
                self.assertIsNotNone(getattr(alone, name), want)
                if want != "content":
                    self.assertEqual(getattr(alone, name), getattr(message, name), want)

    async def test_headers_alone(self) -> None:
        messages = [PLAIN, CYRILLIC, MIXED, *ODD, b"X: " + b"x" * 100_000 + b"\r\n\r\ny"]
        account = await self.make_account("ada")
        for each in messages:
            await self.put(account, "INBOX", each)
        mailbox = await account.select("INBOX", True)
        found = await self.bring(mailbox, mailbox.index.uids, ["header"])
        for message, whole in zip(found, messages, strict=True):
            content: Any = message.content
            header = content.tree.parts[0].body
            self.assertEqual((content.header, content.size), (header, len(whole)))
            read = [chunk async for chunk in content.chunks(0, header)]
            self.assertEqual(b"".join(read), whole[:header])
            self.assertIn(content.peek(0, header), (None, whole[:header]))

    async def test_fetch_ascends_and_leaves_the_dead_out(self) -> None:
        _, mailbox, uids = await self.filled(5)
        await self.flag(mailbox, uids[1:2], "add", DELETED)
        await mailbox.expunge()
        found = await self.bring(mailbox, [*uids, uids[-1] + 100], ["size"])
        self.assertEqual([message.uid for message in found], [*uids[:1], *uids[2:]])
        self.assertEqual(await self.bring(mailbox, [], ["size"]), [])

    async def test_fetch_in_lists_of_bounded_size(self) -> None:
        account = await self.make_account("ada")
        for _ in range(8):
            await self.put(account, "INBOX", *[b"Subject: x\r\n\r\n" + b"y" * 9_000] * 50)
        mailbox = await account.select("INBOX", True)
        lengths = [
            len(batch)
            async for batch in mailbox.fetch(list(mailbox.index.uids), frozenset({"size"}))
        ]
        self.assertEqual(sum(lengths), 400)
        self.assertTrue(0 < min(lengths) <= max(lengths) <= 1_000)

    async def test_content_ranges_are_exact(self) -> None:
        account = await self.make_account("ada")
        [uid] = await self.put(account, "INBOX", MIXED)
        mailbox = await account.select("INBOX", True)
        [message] = await self.bring(mailbox, [uid], ["content"])
        content: Any = message.content
        size = len(MIXED)
        self.assertEqual(content.size, size)
        bounds = sorted({0, 1, size // 3, size // 2, size - 20, size - 1, size})
        for start in bounds:
            for stop in (bound for bound in bounds if bound >= start):
                got = b"".join([chunk async for chunk in content.chunks(start, stop)])
                self.assertEqual(got, MIXED[start:stop], (start, stop))
                self.assertIn(content.peek(start, stop), (None, MIXED[start:stop]))

    async def test_large_message(self) -> None:
        line = bytes(range(1, 10)) + bytes(range(14, 128)) + b"\r\n"
        raw = b"".join(b"%d " % number + line for number in range(8_500))
        encoded = base64.encodebytes(raw[:300_000]).replace(b"\n", b"\r\n")
        large = (
            b"Content-Type: multipart/mixed; boundary=b\r\nMIME-Version: 1.0\r\n\r\n--b\r\n\r\n"
            + raw[:700_000]
            + b"\r\n--b\r\nContent-Transfer-Encoding: base64\r\n"
            b"Content-Type: application/octet-stream\r\n\r\n" + encoded + b"--b--\r\n"
        )
        self.assertGreater(len(large), 1_048_576)
        account = await self.make_account("ada")
        await account.check_append("INBOX", len(large))
        [uid] = await self.put(account, "INBOX", large)
        mailbox = await account.select("INBOX", True)
        [message] = await self.bring(mailbox, [uid])
        content: Any = message.content
        self.assertEqual((message.size, content.size), (len(large), len(large)))
        pieces = [chunk async for chunk in content.chunks(0, content.size)]
        self.assertLessEqual(max(map(len, pieces)), 256 * 1024)
        self.assertTrue(b"".join(pieces) == large, "the message came back changed")
        for start, stop in (
            (0, 1),
            (262_143, 262_145),
            (699_000, 1_000_000),
            (len(large) - 9,) * 2,
        ):
            got = b"".join([chunk async for chunk in content.chunks(start, stop)])
            self.assertTrue(got == large[start:stop], (start, stop))

    async def test_content_outlives_the_expunge_or_fails_cleanly(self) -> None:
        account = await self.make_account("ada")
        [uid] = await self.put(account, "INBOX", PLAIN)
        mailbox = await account.select("INBOX", False)
        [message] = await self.bring(mailbox, [uid], ["content"])
        await self.flag(mailbox, [uid], "add", DELETED)
        await mailbox.expunge()
        try:
            self.assertEqual(await self.whole(message.content), PLAIN)
        except errors.DuckError:
            pass

    # --- flags ------------------------------------------------------------------------------------

    async def test_store_modes(self) -> None:
        _, mailbox, uids = await self.filled(3)
        await self.flag(mailbox, uids, "add", SEEN, "$Label1")
        self.assertEqual(self.flags(mailbox), {uid: {SEEN, "$Label1"} for uid in uids})
        await self.flag(mailbox, uids[:2], "remove", SEEN, FLAGGED)
        await self.flag(mailbox, uids[2:], "replace", FLAGGED)
        self.assertEqual(
            self.flags(mailbox), {uids[0]: {"$Label1"}, uids[1]: {"$Label1"}, uids[2]: {FLAGGED}}
        )

    async def test_store_tells_what_changed(self) -> None:
        _, mailbox, uids = await self.filled(3)
        await self.flag(mailbox, uids[:1], "add", SEEN)
        result = await self.flag(mailbox, [*uids, uids[-1] + 50], "add", SEEN)
        self.assertEqual(list(result.changed), uids[1:])
        self.assertEqual(list(result.unchanged), uids[:1])
        self.assertEqual(list(result.modified), [])

    async def test_store_that_changes_nothing(self) -> None:
        _, mailbox, uids = await self.filled(2)
        await self.flag(mailbox, uids, "add", SEEN)
        before = mailbox.index.highest_modseq
        for given in (uids, [], [uids[-1] + 7]):
            result = await self.flag(mailbox, given, "add", SEEN)
            self.assertEqual((result.modseq, list(result.changed)), (0, []))
        await mailbox.refresh()
        self.assertEqual(mailbox.index.highest_modseq, before)

    async def test_keywords_compare_without_case_and_keep_their_spelling(self) -> None:
        _, mailbox, [uid] = await self.filled(1)
        await self.flag(mailbox, [uid], "add", "$Label1")
        result = await self.flag(mailbox, [uid], "add", "$label1")
        self.assertEqual((list(result.changed), list(result.unchanged)), ([], [uid]))
        self.assertEqual(self.flags(mailbox), {uid: {"$Label1"}})
        await self.flag(mailbox, [uid], "remove", "$LABEL1")
        self.assertEqual(self.flags(mailbox), {uid: set()})

    async def test_flags_last(self) -> None:
        _, mailbox, uids = await self.filled(2)
        await self.flag(mailbox, uids[:1], "add", FLAGGED, "$Label1")
        await mailbox.close()
        again = await (await self.make_account("ada")).select("INBOX", True)
        self.assertEqual(self.flags(again), {uids[0]: {FLAGGED, "$Label1"}, uids[1]: set()})

    async def test_read_only_mailbox_refuses_changes(self) -> None:
        account, _, uids = await self.filled(1)
        mailbox = await account.select("INBOX", True)
        self.assertTrue(mailbox.readonly)
        await self.fails(self.flag(mailbox, uids, "add", SEEN), errors.ReadOnly)
        await self.fails(mailbox.expunge(), errors.ReadOnly)
        await mailbox.copy(uids, "Archive")
        self.assertEqual(self.flags(mailbox), {uids[0]: set()})

    # --- expunge and copy -------------------------------------------------------------------------

    async def test_expunge_takes_what_is_deleted(self) -> None:
        account, mailbox, uids = await self.filled(4)
        await self.flag(mailbox, [uids[0], uids[2]], "add", DELETED)
        gone = await mailbox.expunge()
        self.assertEqual(list(gone), [uids[0], uids[2]])
        self.assertEqual(list(mailbox.index.uids), [uids[1], uids[3]])
        self.assertEqual((await account.status("INBOX")).messages, 2)
        again = await account.select("INBOX", True)
        self.assertEqual(list(again.index.uids), [uids[1], uids[3]])

    async def test_expunge_of_nothing_is_no_change(self) -> None:
        _, mailbox, _ = await self.filled(2)
        before = mailbox.index.highest_modseq
        self.assertEqual(list(await mailbox.expunge()), [])
        await mailbox.refresh()
        self.assertEqual(mailbox.index.highest_modseq, before)

    async def test_remove_asks_for_no_flag(self) -> None:
        account, mailbox, uids = await self.filled(5)
        await self.flag(mailbox, uids[:1], "add", SEEN, DELETED)
        before = mailbox.index.highest_modseq
        self.assertEqual(list(await mailbox.remove(uids[:3])), uids[:3])
        self.assertEqual(list(mailbox.index.uids), uids[3:])
        self.assertEqual(sorted(mailbox.index.expunged_since(before) or ()), uids[:3])
        status = await account.status("INBOX")
        self.assertEqual((status.messages, status.unseen), (2, 2))
        again = await account.select("INBOX", True)
        self.assertEqual(self.flags(again), {uids[3]: set(), uids[4]: set()})
        await self.fails(again.remove(uids[3:]), errors.ReadOnly)

    async def test_remove_leaves_out_what_is_gone(self) -> None:
        account, mailbox, uids = await self.filled(3)
        other = await account.select("INBOX", False)
        await other.remove(uids[1:2])
        self.assertEqual(list(await mailbox.remove(uids[:2])), uids[:1])
        before = mailbox.index.highest_modseq
        self.assertEqual(list(await mailbox.remove(uids[:2])), [])
        self.assertEqual(list(await mailbox.remove([])), [])
        self.assertEqual(mailbox.index.highest_modseq, before)
        self.assertEqual(list(mailbox.index.uids), uids[2:])

    async def test_copy_keeps_flags_date_and_bytes(self) -> None:
        account = await self.make_account("ada")
        uids = await self.put(account, "INBOX", PLAIN, MIXED, flags=[SEEN, DELETED, "$Label1"])
        mailbox = await account.select("INBOX", False)
        await mailbox.copy(uids, "Archive")
        self.assertEqual(await self.contents(account, "Archive"), [PLAIN, MIXED])
        self.assertEqual(await self.contents(account, "INBOX"), [PLAIN, MIXED])
        copies = await account.select("Archive", True)
        self.assertEqual(list(self.flags(copies).values()), [{SEEN, DELETED, "$Label1"}] * 2)
        found = await self.bring(copies, copies.index.uids)
        originals = await self.bring(mailbox, uids)
        for copy, original in zip(found, originals, strict=True):
            for name in ("internal_date", "size", "envelope", "bodystructure", "body"):
                self.assertEqual(getattr(copy, name), getattr(original, name))

    async def test_copy_outlives_the_original(self) -> None:
        account = await self.make_account("ada")
        await account.create("a")
        uids = await self.put(account, "a", PLAIN)
        mailbox = await account.select("a", False)
        await mailbox.copy(uids, "Archive")
        await account.delete("a")
        self.assertEqual(await self.contents(account, "Archive"), [PLAIN])

    async def test_copy_into_the_same_mailbox(self) -> None:
        _, mailbox, uids = await self.filled(2)
        await mailbox.copy(uids, "INBOX")
        await mailbox.refresh()
        self.assertEqual(len(mailbox.index), 4)
        self.assertEqual(list(mailbox.index.uids)[:2], uids)

    async def test_copy_to_what_does_not_exist(self) -> None:
        _, mailbox, uids = await self.filled(1)
        await self.fails(mailbox.copy(uids, "Nothing"), errors.TryCreate)

    async def test_copy_is_all_or_nothing(self) -> None:
        account, mailbox, uids = await self.filled(3)
        await self.flag(mailbox, uids[1:2], "add", DELETED)
        await mailbox.expunge()
        await self.fails(mailbox.copy(uids, "Archive"), errors.ExpungeIssued)
        self.assertEqual((await account.status("Archive")).messages, 0)
