"""An application's own mailboxes, served by us."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from io import BytesIO
from typing import Any

from twisted.internet.defer import Deferred, fail
from twisted.mail import imap4
from twisted.trial.unittest import TestCase
from zope.interface.verify import verifyObject

import twisted_duck.adapters  # noqa: F401  (registers them)
from tests.adapters.application import (
    Account,
    ExtendedMailbox,
    Mailbox,
    PartsMailbox,
    StoredMessage,
)
from tests.contract.base import CYRILLIC, EVERYTHING, MIXED, PLAIN, Contract
from twisted_duck import errors, search
from twisted_duck.imap.commands.binary import say_binary
from twisted_duck.imap.grammar import FetchBinary
from twisted_duck.interfaces import IAccount, IMailbox, IMoveMailbox, IUIDPlusAccount
from twisted_duck.mime.message import analyse
from twisted_duck.values import DELETED, FLAGGED, SEEN, UIDSet


class Adapted(Contract, TestCase):
    mailbox_class: type[Mailbox] = Mailbox

    def setUp(self) -> None:
        self.theirs = Account("ada", self.mailbox_class)
        self.account: Any = IAccount(self.theirs)

    @property
    def inbox(self) -> Any:
        return self.theirs.mailboxes["INBOX"]

    def fill(self, *contents: bytes, flags: tuple[str, ...] = ()) -> None:
        for content in contents:
            self.inbox.addMessage(BytesIO(content), flags)


class AccountTests(Adapted):
    def test_provides_an_account_without_extensions(self) -> None:
        verifyObject(IAccount, self.account)
        self.assertEqual(self.account.name, "ada")
        self.assertFalse(IUIDPlusAccount.providedBy(self.account))

    async def test_mailboxes_are_made_renamed_and_deleted(self) -> None:
        await self.account.create("A/B")
        self.assertEqual(set(await self.names(self.account)), {"INBOX", "A", "A/B"})
        await self.fails(self.account.create("A"), errors.AlreadyExists)
        await self.account.rename("A/B", "C")
        self.assertEqual(set(await self.names(self.account)), {"INBOX", "A", "C"})
        await self.fails(self.account.rename("X", "Y"), errors.NonExistent)
        await self.fails(self.account.rename("A", "C"), errors.AlreadyExists)
        await self.fails(self.account.rename("A", "A/X"), errors.Cannot)
        await self.fails(self.account.rename("INBOX", "X"), errors.Cannot)
        await self.account.delete("C")
        await self.fails(self.account.delete("C"), errors.NonExistent)
        await self.fails(self.account.delete("INBOX"), errors.Cannot)
        self.assertEqual(set(await self.names(self.account)), {"INBOX", "A"})

    async def test_status_of_many(self) -> None:
        self.fill(PLAIN, PLAIN)
        await self.account.create("A")
        await self.account.create("B")
        self.theirs.mailboxes["B"].noselect = True
        found = await self.account.statuses(["INBOX", "A", "B", "C"])
        self.assertEqual(
            {name: status.messages for name, status in found.items()}, {"INBOX": 2, "A": 0}
        )
        self.assertEqual(found["INBOX"], await self.account.status("INBOX"))

    async def test_what_the_application_refuses_is_refused_in_its_words(self) -> None:
        await self.account.create("A/B")
        error = await self.fails(self.account.delete("A"), errors.Refused)
        self.assertEqual(str(error), 'Name "A" has inferior hierarchical names')

    async def test_noselect(self) -> None:
        await self.account.create("A")
        self.theirs.mailboxes["A"].noselect = True
        self.assertFalse((await self.names(self.account))["A"].selectable)
        await self.fails(self.account.select("A", True), errors.NonExistent)
        await self.fails(self.account.check_append("A", 1), errors.TryCreate)

    async def test_subscriptions(self) -> None:
        await self.account.create("A")
        await self.account.subscribe("A")
        self.assertEqual(await self.account.subscriptions(), frozenset({"A"}))
        await self.account.unsubscribe("A")
        await self.account.unsubscribe("A")
        self.assertEqual(await self.account.subscriptions(), frozenset())

    async def test_status(self) -> None:
        self.fill(PLAIN, MIXED)
        self.fill(PLAIN, flags=("\\Seen",))
        status = await self.account.status("INBOX")
        self.assertEqual((status.messages, status.unseen, status.recent), (3, 2, 3))
        self.assertEqual((status.uidnext, status.uidvalidity), (4, 1))
        await self.fails(self.account.status("X"), errors.NonExistent)

    async def test_names_of_another_delimiter_are_translated(self) -> None:
        theirs = Account("ada", delimiter=".")
        theirs.create = theirs.addMailbox
        account: Any = IAccount(theirs)
        await account.create("A/B.C")
        theirs.addMailbox("X.Y")
        self.assertEqual(set(await self.names(account)), {"INBOX", "A/B.C", "X/Y"})
        self.assertEqual(set(theirs.mailboxes), {"INBOX", "A.B/C", "X.Y"})
        await account.delete("X/Y")
        self.assertEqual(set(theirs.mailboxes), {"INBOX", "A.B/C"})

    async def test_an_application_may_know_a_mailbox_by_more_names_than_it_lists(self) -> None:
        # Twisted's own account folds them.
        await self.account.create("Other")
        self.assertEqual(set(await self.names(self.account)), {"INBOX", "OTHER"})
        found = await self.account.statuses(["Other", "other", "another"])
        self.assertEqual(set(found), {"Other", "other"})
        await self.account.rename("Other", "Third")
        await self.account.delete("Third")
        self.assertEqual(set(await self.names(self.account)), {"INBOX"})
        await self.fails(self.account.delete("Third"), errors.NonExistent)
        await self.fails(self.account.rename("Third", "Fourth"), errors.NonExistent)

    async def test_inbox_is_found_however_it_is_spelled(self) -> None:
        account: Any = IAccount(self.theirs)
        self.theirs.mailboxes["Inbox"] = self.theirs.mailboxes.pop("INBOX")
        self.theirs.select = lambda name, rw=1: self.theirs.mailboxes.get(name)
        self.assertEqual(set(await self.names(account)), {"INBOX"})
        await account.select("INBOX", True)

    async def test_deferred_answers(self) -> None:
        waiting: Deferred[Any] = Deferred()
        self.theirs.select = lambda name, rw=1: waiting
        selecting = Deferred.fromCoroutine(self.account.select("INBOX", True))
        self.assertNoResult(selecting)
        waiting.callback(Mailbox())
        verifyObject(IMailbox, await selecting)

    async def test_broken_application_is_a_server_error(self) -> None:
        def broken(*args: object) -> None:
            raise ZeroDivisionError("secret")

        self.theirs.listMailboxes = broken
        error = await self.fails(self.account.mailboxes(), errors.ServerError)
        self.assertNotIn("secret", str(error))
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)

    async def test_append(self) -> None:
        when = datetime(2001, 2, 3, 4, 5, 6, tzinfo=UTC)
        await self.put(self.account, "INBOX", PLAIN, flags=[SEEN, "$Label1"], when=when)
        [message] = self.inbox.messages
        self.assertEqual(message.content, PLAIN)
        self.assertEqual(message.flags, ["\\Recent", "$Label1", "\\Seen"])
        self.assertEqual(message.date, b"03-Feb-2001 04:05:06 +0000")
        await self.fails(self.put(self.account, "X", PLAIN), errors.TryCreate)
        await self.fails(self.put(self.account, "INBOX", b"\0"), errors.Cannot)
        await self.fails(self.account.check_append("INBOX", 2**40), errors.TooBig)

    async def test_read_only_mailbox(self) -> None:
        def refuse(*args: object) -> None:
            raise imap4.ReadOnlyMailbox("INBOX")

        self.inbox.addMessage = refuse
        await self.fails(self.put(self.account, "INBOX", PLAIN), errors.ReadOnly)


class MailboxTests(Adapted):
    async def test_provides_a_mailbox_without_extensions(self) -> None:
        mailbox = await self.account.select("INBOX", False)
        verifyObject(IMailbox, mailbox)
        self.assertFalse(IMoveMailbox.providedBy(mailbox))
        self.assertFalse(mailbox.new_keywords)

    async def test_index_is_what_the_mailbox_says(self) -> None:
        self.fill(PLAIN, flags=("\\Seen", "Keyword"))
        self.fill(PLAIN, MIXED)
        del self.inbox.messages[1]
        mailbox = await self.account.select("INBOX", False)
        self.assertEqual(self.flags(mailbox), {1: {SEEN, "Keyword"}, 3: set()})
        self.assertEqual((mailbox.index.uidvalidity, mailbox.index.uidnext), (1, 4))

    async def test_flags_are_spelled_as_ours_and_nonsense_is_left_out(self) -> None:
        self.fill(PLAIN, flags=("\\SEEN", b"\\flagged", "two words", ""))  # type: ignore[arg-type]
        mailbox = await self.account.select("INBOX", False)
        self.assertEqual(self.flags(mailbox), {1: {SEEN, FLAGGED}})

    async def test_fetch(self) -> None:
        self.fill(PLAIN, CYRILLIC, MIXED)
        mailbox = await self.account.select("INBOX", True)
        messages = await self.bring(mailbox, [1, 2, 3, 9])
        for message, content in zip(messages, (PLAIN, CYRILLIC, MIXED), strict=True):
            self.assertEqual(await self.whole(message.content), content)
            self.assertEqual(message.size, len(content))
            self.assertEqual(message.internal_date, datetime(1996, 7, 17, 9, 44, 25, tzinfo=UTC))
        assert messages[0].envelope is not None
        self.assertIn(b"IMAP4rev1 WG mtg summary", messages[0].envelope)

    async def test_content_without_its_transfer_encoding(self) -> None:
        async def no_pause() -> None:
            pass

        self.fill(MIXED)
        mailbox = await self.account.select("INBOX", True)
        [message] = await self.bring(mailbox, [1], ["content"])
        for part, said in (
            ((1,), b"BINARY[1] {14}\r\n" + "Grüße aus Köln".encode("latin-1")),
            ((2,), b"BINARY[2] ~{10}\r\n" + bytes(range(10))),
        ):
            pieces = say_binary(FetchBinary(part), message.content, no_pause)
            self.assertEqual(b"".join([piece async for piece in pieces]), said)

    async def test_store(self) -> None:
        self.fill(PLAIN, PLAIN, PLAIN)
        mailbox = await self.account.select("INBOX", False)
        result = await self.flag(mailbox, [1, 2, 8], "add", SEEN)
        self.assertEqual((list(result.changed), list(result.unchanged)), ([1, 2], []))
        result = await self.flag(mailbox, [2, 3], "add", SEEN)
        self.assertEqual((list(result.changed), list(result.unchanged)), ([3], [2]))
        await self.flag(mailbox, [1], "replace", FLAGGED)
        await self.flag(mailbox, [2], "remove", SEEN)
        self.assertEqual(self.flags(mailbox), {1: {FLAGGED}, 2: set(), 3: {SEEN}})
        self.assertEqual(self.inbox.messages[0].flags, ["\\Recent", "\\Flagged"])

    async def test_flags_that_the_mailbox_does_not_keep_are_not_changed(self) -> None:
        self.fill(PLAIN)
        self.inbox.store = lambda messages, flags, mode, uid: {}
        mailbox = await self.account.select("INBOX", False)
        result = await self.flag(mailbox, [1], "add", "$Label1")
        self.assertEqual((result.modseq, list(result.changed)), (0, []))
        self.assertEqual(self.flags(mailbox), {1: set()})

    async def test_expunge(self) -> None:
        self.fill(PLAIN, MIXED, PLAIN)
        mailbox = await self.account.select("INBOX", False)
        await self.flag(mailbox, [1, 3], "add", DELETED)
        await self.fails(mailbox.expunge(UIDSet.of([1])), errors.Cannot)
        self.assertEqual(list(await mailbox.expunge()), [1, 3])
        self.assertEqual(list(mailbox.index.uids), [2])
        self.assertEqual([message.uid for message in self.inbox.messages], [2])

    async def test_remove(self) -> None:
        self.fill(PLAIN, MIXED, PLAIN)
        mailbox = await self.account.select("INBOX", False)
        self.assertEqual(list(await mailbox.remove([1, 3])), [1, 3])
        self.assertEqual(list(await mailbox.remove([1, 3])), [])
        self.assertEqual([message.uid for message in self.inbox.messages], [2])

    async def test_where_nothing_can_be_expunged_the_flags_are_taken_back(self) -> None:
        self.fill(PLAIN, PLAIN)
        mailbox = await self.account.select("INBOX", False)
        await self.flag(mailbox, [2], "add", DELETED)
        await self.fails(mailbox.remove([1]), errors.Cannot)
        self.inbox.expunge = lambda: fail(imap4.MailboxException("not today"))
        error = await self.fails(mailbox.remove([1, 2]), errors.Refused)
        self.assertEqual(str(error), "not today")
        self.assertEqual(self.flags(mailbox), {1: set(), 2: {DELETED}})
        self.assertNotIn(DELETED, self.inbox.messages[0].flags)

    async def test_where_not_even_that_works_the_first_error_is_told(self) -> None:
        self.fill(PLAIN)
        mailbox = await self.account.select("INBOX", False)
        store = self.inbox.store

        def grudging(messages: Any, flags: Any, mode: int, uid: bool) -> Any:
            if mode < 0:
                raise imap4.MailboxException("never")
            return store(messages, flags, mode, uid)

        self.inbox.store = grudging
        self.inbox.expunge = lambda: fail(imap4.MailboxException("not today"))
        error = await self.fails(mailbox.remove([1]), errors.Refused)
        self.assertEqual(str(error), "not today")

    async def test_read_only(self) -> None:
        self.fill(PLAIN)
        self.inbox.writeable = False
        mailbox = await self.account.select("INBOX", False)
        self.assertTrue(mailbox.readonly)
        await self.fails(self.flag(mailbox, [1], "add", SEEN), errors.ReadOnly)
        await self.fails(mailbox.expunge(), errors.ReadOnly)

    async def test_copy(self) -> None:
        await self.account.create("A")
        self.fill(PLAIN, MIXED, flags=("\\Seen",))
        mailbox = await self.account.select("INBOX", True)
        self.assertIsNone(await mailbox.copy([1, 2], "A"))
        copies = self.theirs.mailboxes["A"].messages
        self.assertEqual([message.content for message in copies], [PLAIN, MIXED])
        self.assertEqual(copies[0].flags, ["\\Recent", "\\Seen"])
        self.assertEqual(copies[0].date, self.inbox.messages[0].date)
        await self.fails(mailbox.copy([1], "X"), errors.TryCreate)
        await self.fails(mailbox.copy([1, 7], "A"), errors.Refused)

    async def test_search(self) -> None:
        self.fill(PLAIN, CYRILLIC)
        self.fill(MIXED, flags=("\\Seen",))
        mailbox = await self.account.select("INBOX", True)
        for key, expected in (
            (search.HasFlag(SEEN), [3]),
            (search.Text("минут"), []),
            (search.Header("subject", "привет"), [2]),
            (search.And((search.Not(search.HasFlag(SEEN)), search.Body("minutes"))), [1]),
            (search.InternalDate("on", datetime(1996, 7, 17).date()), [1, 2, 3]),
            (search.Size("larger", len(PLAIN)), [2, 3]),
        ):
            self.assertEqual(list(await mailbox.search(key)), expected, key)

    # --- news -------------------------------------------------------------------------------------

    async def heard(self, mailbox: Any, change: Callable[[], object]) -> int:
        calls: list[None] = []

        def watcher() -> None:
            calls.append(None)

        mailbox.watch(watcher)
        change()
        mailbox.unwatch(watcher)
        return len(calls)

    async def test_listener_hears_of_new_messages_and_flags(self) -> None:
        self.fill(PLAIN)
        mailbox = await self.account.select("INBOX", False)
        self.assertEqual(await self.heard(mailbox, lambda: self.fill(MIXED)), 1)
        self.assertEqual(list(mailbox.index.uids), [1, 2])
        everything = imap4.MessageSet(1, 2)
        change = lambda: self.inbox.store(everything, ["\\Seen"], 1, uid=True)  # noqa: E731
        self.assertEqual(await self.heard(mailbox, change), 1)
        self.assertEqual(self.flags(mailbox), {1: {SEEN}, 2: {SEEN}})

    async def test_refresh_sees_what_nobody_told(self) -> None:
        self.fill(PLAIN, PLAIN, PLAIN)
        mailbox = await self.account.select("INBOX", False)
        known = mailbox.index.highest_modseq
        del self.inbox.messages[0]
        await mailbox.refresh()
        self.assertEqual(list(mailbox.index.uids), [2, 3])
        self.assertEqual(mailbox.index.expunged_since(known), [1])
        self.assertEqual(await self.heard(mailbox, lambda: None), 0)

    async def test_refresh_of_nothing_new_reads_nothing(self) -> None:
        self.fill(PLAIN)
        mailbox = await self.account.select("INBOX", False)
        self.inbox.fetch = None
        await mailbox.refresh()

    async def test_other_session_sees_it(self) -> None:
        self.fill(PLAIN, PLAIN)
        one = await self.account.select("INBOX", False)
        other = await IAccount(self.theirs).select("INBOX", False)
        await self.flag(one, [2], "add", DELETED)
        self.assertEqual(self.flags(other), {1: set(), 2: {DELETED}})
        await one.expunge()
        await other.refresh()
        self.assertEqual(list(other.index.uids), [1])

    async def test_mailbox_that_is_destroyed_or_replaced_is_gone(self) -> None:
        for change in (
            self.inbox.destroy,
            lambda: setattr(self.inbox, "uidvalidity", 99),
        ):
            self.inbox.noselect = False
            mailbox = await self.account.select("INBOX", False)
            change()
            await self.fails(mailbox.refresh(), errors.MailboxGone)

    async def test_uids_that_are_none_are_corruption(self) -> None:
        self.fill(PLAIN, PLAIN)
        self.inbox.messages[1].uid = 1
        await self.fails(self.account.select("INBOX", False), errors.Corruption)
        self.inbox.messages[1].uid = 5
        mailbox = await self.account.select("INBOX", False)
        self.inbox.messages.append(StoredMessage(3, PLAIN, [], None))
        await self.fails(mailbox.refresh(), errors.Corruption)

    async def test_recent(self) -> None:
        self.fill(PLAIN, PLAIN)
        self.inbox.messages[0].flags = []
        mailbox = await self.account.select("INBOX", False)
        self.assertEqual(await mailbox.claim_recent(), (2, 3))
        self.assertEqual(await mailbox.claim_recent(), (3, 3))
        self.fill(PLAIN)
        self.assertEqual(await mailbox.claim_recent(), (3, 4))

    async def test_recent_where_it_is_only_counted(self) -> None:
        self.fill(PLAIN, PLAIN, PLAIN)
        for message in self.inbox.messages:
            message.flags = []
        self.inbox.getRecentCount = lambda: 2
        mailbox = await self.account.select("INBOX", True)
        self.assertEqual(await mailbox.claim_recent(), (2, 4))

    async def test_close_stops_listening(self) -> None:
        mailbox = await self.account.select("INBOX", False)
        self.assertEqual(len(self.inbox.listeners), 1)
        await mailbox.close()
        await mailbox.close()
        self.assertEqual(self.inbox.listeners, [])


class ExtendedTests(Adapted):
    mailbox_class = ExtendedMailbox

    async def test_mailbox_searches_itself(self) -> None:
        self.fill(PLAIN, MIXED, PLAIN)
        mailbox = await self.account.select("INBOX", True)
        self.assertEqual(list(await mailbox.search(search.Body("MINUTES"))), [1, 3])
        self.assertEqual(self.inbox.asked, ["[b'BODY', b'MINUTES']"])

    async def test_what_it_cannot_search_is_searched_for_it(self) -> None:
        self.fill(PLAIN, MIXED)
        mailbox = await self.account.select("INBOX", True)
        key = search.Header("subject", "attached")
        self.assertEqual(list(await mailbox.search(key)), [2])
        self.assertEqual(self.inbox.asked, ["[b'HEADER', b'subject', b'attached']"])

    async def test_there_are_no_words_for_a_moment(self) -> None:
        self.fill(PLAIN, MIXED)
        mailbox = await self.account.select("INBOX", True)
        key = search.Arrived("until", datetime.now(UTC))
        self.assertEqual(list(await mailbox.search(key)), [1, 2])
        self.assertNotIn("OLDER", "".join(self.inbox.asked))

    async def test_what_sort_compares_is_read_from_the_message(self) -> None:
        self.fill(PLAIN, MIXED)
        mailbox = await self.account.select("INBOX", True)
        [batch] = [batch async for batch in mailbox.fetch([1, 2], frozenset({"order", "ids"}))]
        for content, message in zip((PLAIN, MIXED), batch, strict=True):
            expected = analyse(content)
            self.assertEqual((message.order, message.ids), (expected.order, expected.ids))

    async def test_mailbox_copies_itself(self) -> None:
        await self.account.create("A")
        self.fill(PLAIN, flags=("\\Seen",))
        mailbox = await self.account.select("INBOX", True)
        await mailbox.copy([1], "A")
        target = self.theirs.mailboxes["A"]
        self.assertEqual((target.asked, len(target.messages)), (["copy"], 1))

    async def test_mailbox_is_closed_once(self) -> None:
        mailbox = await self.account.select("INBOX", True)
        await mailbox.close()
        await mailbox.close()
        self.assertEqual(self.inbox.closed, 1)


class PartsTests(Adapted):
    """Messages that only give headers and parts."""

    mailbox_class = PartsMailbox

    async def test_message_is_put_together(self) -> None:
        self.fill(PLAIN, MIXED)
        mailbox = await self.account.select("INBOX", True)
        plain, mixed = await self.bring(mailbox, [1, 2])
        self.assertEqual(await self.whole(plain.content), PLAIN)
        whole = await self.whole(mixed.content)
        self.assertIn(b"\r\n--b1\r\nContent-Type: application/octet-stream; name=x.bin\r\n", whole)
        self.assertTrue(whole.endswith(b"\r\n--b1--\r\n"))
        assert mixed.bodystructure is not None
        self.assertEqual(mixed.bodystructure.count(b'"base64"'), 1)
        self.assertEqual((plain.size, mixed.size), (len(PLAIN), len(whole)))

    async def test_it_has_the_same_bytes_each_time_and_its_size_fits(self) -> None:
        self.fill(MIXED.replace(b'; boundary="b1"', b""), MIXED)
        self.inbox.messages[0].isMultipart = lambda: True
        self.inbox.messages[0].getSubPart = self.inbox.messages[1].getSubPart
        mailbox = await self.account.select("INBOX", True)
        reads = [await self.whole(m.content) for m in await self.bring(mailbox, [1]) * 2]
        self.assertEqual(reads[0], reads[1])
        [sized] = await self.bring(mailbox, [1], ["size"])
        self.assertEqual(sized.size, len(reads[0]))
        boundary = reads[0].partition(b'boundary="')[2].partition(b'"')[0]
        self.assertEqual(reads[0].count(b"\r\n--" + boundary), 3)

    async def test_header_lines_cannot_become_fields(self) -> None:
        self.fill(PLAIN)
        self.inbox.messages[0].getHeaders = lambda negate, *names: {"subject": "a\r\nBcc: x"}
        mailbox = await self.account.select("INBOX", True)
        [message] = await self.bring(mailbox, [1], EVERYTHING)
        whole = await self.whole(message.content)
        self.assertTrue(whole.startswith(b"Subject: a\r\n Bcc: x\r\n\r\n"), whole)
