"""What a message is known by besides its UID: when it came (RFC 8514), what it is and belongs to (RFC 8474)."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta

from zope.interface.verify import verifyObject

from tests.contract.base import CYRILLIC, MIXED, NOON, PLAIN, Account, Contract, Mailbox
from twisted_duck import search
from twisted_duck.interfaces import IObjectIDAccount
from twisted_duck.values import DELETED

#: The clock of a database may not be ours.
_SOON = timedelta(minutes=5)


def letter(id: str, subject: str = "Lunch", answers: str = "", header: str = "References") -> bytes:
    """A message; `answers` are the IDs of those before it, oldest first."""
    references = " ".join(f"<{each}@example.org>" for each in answers.split())
    more = f"{header}: {references}\r\n" if references else ""
    return f"Subject: {subject}\r\nMessage-ID: <{id}@example.org>\r\n{more}\r\n{id}\r\n".encode()


class ObjectsContract(Contract):
    """Save dates and object identifiers."""

    # --- RFC 8514 ---------------------------------------------------------------------------------

    async def saved(self, mailbox: Mailbox) -> list[datetime]:
        found = await self.bring(mailbox, mailbox.index.uids, ["saved"])
        return [message.saved for message in found]

    async def test_a_message_is_saved_when_it_comes_whatever_its_date(self) -> None:
        account = await self.make_account("ada")
        await self.put(account, "INBOX", PLAIN, MIXED, when=NOON)
        mailbox = await account.select("INBOX", False)
        for saved in await self.saved(mailbox):
            self.assertLess(abs(saved - datetime.now(UTC)), _SOON)
            self.assertEqual(saved.microsecond, 0)
        await mailbox.copy([1], "Archive")
        await mailbox.move([2], "Archive")
        archive = await account.select("Archive", True)
        self.assertEqual(len(await self.saved(archive)), 2)
        for saved in await self.saved(archive):
            self.assertLess(abs(saved - datetime.now(UTC)), _SOON)

    async def test_search_by_save_date(self) -> None:
        account = await self.make_account("ada")
        await self.put(account, "INBOX", PLAIN, MIXED, when=NOON)
        mailbox = await account.select("INBOX", True)
        [today, last] = [saved.date() for saved in await self.saved(mailbox)]
        tomorrow, yesterday = last + timedelta(days=1), today - timedelta(days=1)
        for key, expected in (
            (search.SaveDate("since", today), [1, 2]),
            (search.SaveDate("since", tomorrow), []),
            (search.SaveDate("before", today), []),
            (search.SaveDate("before", tomorrow), [1, 2]),
            (search.SaveDate("on", yesterday), []),
            (search.SaveDate("on", tomorrow), []),
            (search.SaveDate("on", NOON.date()), []),
            (search.SaveDate("since", date.min), [1, 2]),
            (search.SaveDate("since", date.max), []),
            (search.SaveDate("on", date.max), []),
            (search.SaveDate("on", date.min), []),
            (search.SaveDate("before", date.max), [1, 2]),
            (search.SaveDate("before", date.min), []),
            (search.Not(search.SaveDate("before", today)), [1, 2]),
            (search.SaveDateSupported(), [1, 2]),
            (search.Not(search.SaveDateSupported()), []),
        ):
            self.assertEqual(list(await mailbox.search(key)), expected, key)
        if today == last:
            found = await mailbox.search(search.SaveDate("on", today))
            self.assertEqual(list(found), [1, 2])

    # --- RFC 8474 ---------------------------------------------------------------------------------

    async def ids(self, account: Account, name: str) -> list[tuple[str, str]]:
        """EMAILID and THREADID of the messages of a mailbox."""
        mailbox = await account.select(name, True)
        found = await self.bring(mailbox, mailbox.index.uids, ["email id", "thread id"])
        await mailbox.close()
        return [(message.email_id, message.thread_id) for message in found]

    async def threads(self, account: Account, name: str = "INBOX") -> list[int]:
        """Each message's thread, as the number of the first message that is of it."""
        found = [thread for _, thread in await self.ids(account, name)]
        return [found.index(thread) + 1 for thread in found]

    async def test_account_provides_object_ids(self) -> None:
        verifyObject(IObjectIDAccount, await self.make_account("ada"))

    async def test_ids_are_words_and_different(self) -> None:
        account = await self.make_account("ada")
        await self.put(account, "INBOX", PLAIN, MIXED, b"", b"", b"Subject: x\r\n\r\n")
        await self.put(account, "Archive", CYRILLIC)
        found = await self.ids(account, "INBOX") + await self.ids(account, "Archive")
        every = [id for ids in found for id in ids]
        self.assertEqual(len(set(every)), 12)
        for id in every:
            self.assertTrue(re.fullmatch(r"[A-Za-z][A-Za-z0-9_-]{0,254}", id), id)

    async def test_copies_have_the_same_ids(self) -> None:
        account = await self.make_account("ada")
        await self.put(account, "INBOX", letter("a"), letter("b", answers="a"), letter("c"))
        before = await self.ids(account, "INBOX")
        mailbox = await account.select("INBOX", False)
        await mailbox.copy([2, 3], "Archive")
        await mailbox.copy([1], "INBOX")
        await mailbox.move([2], "Archive")
        a, b, c = before
        self.assertEqual(await self.ids(account, "INBOX"), [a, c, a])
        self.assertEqual(await self.ids(account, "Archive"), [b, c, b])
        await account.rename("INBOX", "Old")
        await account.rename("Archive", "Kept")
        self.assertEqual(await self.ids(account, "Old"), [a, c, a])
        self.assertEqual(await self.ids(account, "Kept"), [b, c, b])

    async def test_the_same_ids_in_every_session(self) -> None:
        account = await self.make_account("ada")
        await self.put(account, "INBOX", letter("a"), letter("b", answers="a"))
        other = await self.make_account("ada")
        self.assertEqual(await self.ids(other, "INBOX"), await self.ids(account, "INBOX"))

    async def test_an_answer_joins_the_thread_of_what_it_answers(self) -> None:
        account = await self.make_account("ada")
        for each in (
            letter("a"),
            letter("b", "Re: Lunch", "a"),
            letter("x", "Dinner"),
            letter("c", "RE: [list] lunch (fwd)", "a b"),
            letter("d", "Re: Lunch", "b", "In-Reply-To"),
            letter("y", "Re: Lunch"),
        ):
            await self.put(account, "INBOX", each)
        self.assertEqual(await self.threads(account), [1, 1, 3, 1, 1, 6])

    async def test_threads_go_through_all_mailboxes(self) -> None:
        account = await self.make_account("ada")
        await self.put(account, "Sent", letter("a"))
        await self.put(account, "INBOX", letter("b", "Re: Lunch", "a"))
        [(_, sent)], [(_, answer)] = (
            await self.ids(account, "Sent"),
            await self.ids(account, "INBOX"),
        )
        self.assertEqual(sent, answer)

    async def test_what_is_answered_may_come_later_or_never(self) -> None:
        account = await self.make_account("ada")
        for each in (
            letter("c", "Re: Lunch", "a b"),
            letter("d", "Re: Lunch", "a"),
            letter("b", "Re: Lunch", "a"),
            letter("a"),
        ):
            await self.put(account, "INBOX", each)
        self.assertEqual(await self.threads(account), [1, 1, 1, 1])

    async def test_messages_that_come_together(self) -> None:
        account = await self.make_account("ada")
        await self.put(
            account,
            "INBOX",
            letter("c", "Re: Lunch", "a b"),
            letter("x", "Re: Dinner", "y"),
            letter("a"),
            letter("y", "Dinner"),
            letter("b", "Re: Lunch", "a"),
        )
        self.assertEqual(await self.threads(account), [1, 2, 1, 2, 1])

    async def test_another_subject_is_another_thread(self) -> None:
        account = await self.make_account("ada")
        await self.put(account, "INBOX", letter("a"))
        await self.put(account, "INBOX", letter("b", "Dinner (was: Lunch)", "a"))
        await self.put(account, "INBOX", letter("c", "Re: Dinner (was: Lunch)", "a b"))
        await self.put(account, "INBOX", letter("d", "Re: Lunch", "a b"))
        self.assertEqual(await self.threads(account), [1, 2, 2, 1])

    async def test_two_that_have_the_same_message_id(self) -> None:
        account = await self.make_account("ada")
        await self.put(account, "INBOX", letter("a"))
        await self.put(account, "INBOX", letter("a"))
        [(one, thread), (other, same)] = await self.ids(account, "INBOX")
        self.assertNotEqual(one, other)
        self.assertEqual(thread, same)

    async def test_without_any_id_a_message_is_alone(self) -> None:
        account = await self.make_account("ada")
        await self.put(account, "INBOX", b"Subject: x\r\n\r\n", b"Subject: Re: x\r\n\r\n", b"")
        self.assertEqual(await self.threads(account), [1, 2, 3])

    async def test_a_thread_is_never_another_one(self) -> None:
        account = await self.make_account("ada")
        await self.put(account, "INBOX", letter("a"))
        await self.put(account, "INBOX", letter("b"))
        before = await self.ids(account, "INBOX")
        # Now they turn out to belong together.
        await self.put(account, "INBOX", letter("c", "Re: Lunch", "a b"))
        after = await self.ids(account, "INBOX")
        self.assertEqual(after[:2], before)
        self.assertEqual(after[2][1], before[1][1])

    async def test_a_thread_lives_as_long_as_one_of_its_messages(self) -> None:
        account = await self.make_account("ada")
        await self.put(account, "INBOX", letter("a"), letter("b", "Re: Lunch", "a"))
        [(_, thread), _] = await self.ids(account, "INBOX")
        mailbox = await account.select("INBOX", False)
        await self.flag(mailbox, [1], "add", DELETED)
        await mailbox.expunge()
        await self.put(account, "INBOX", letter("c", "Re: Lunch", "a"))
        self.assertEqual([each for _, each in await self.ids(account, "INBOX")], [thread, thread])

    async def test_users_have_threads_of_their_own(self) -> None:
        ada, bob = await self.make_account("ada"), await self.make_account("bob")
        await self.put(ada, "INBOX", letter("a"))
        await self.put(bob, "INBOX", letter("b", "Re: Lunch", "a"))
        [(_, one)], [(_, other)] = await self.ids(ada, "INBOX"), await self.ids(bob, "INBOX")
        self.assertNotEqual(one, other)

    async def test_search_by_ids(self) -> None:
        account = await self.make_account("ada")
        await self.put(account, "INBOX", letter("a"), letter("x"), letter("b", answers="a"))
        mailbox = await account.select("INBOX", False)
        await mailbox.copy([3], "INBOX")
        (a, lunch), (x, other), (b, _), _ = await self.ids(account, "INBOX")
        for key, expected in (
            (search.EmailID(a), [1]),
            (search.EmailID(b), [3, 4]),
            (search.ThreadID(lunch), [1, 3, 4]),
            (search.ThreadID(other), [2]),
            (search.Or(search.EmailID(x), search.EmailID(a)), [1, 2]),
            (search.Not(search.ThreadID(lunch)), [2]),
            (search.EmailID(lunch), []),
            (search.ThreadID(a), []),
            (search.EmailID(a[:-1]), []),
            (search.EmailID(a + "0"), []),
            (search.EmailID(a.swapcase()), []),
            (search.EmailID("M"), []),
            (search.ThreadID("nobody"), []),
        ):
            self.assertEqual(list(await mailbox.search(key)), expected, key)
        archive = await account.select("Archive", True)
        self.assertEqual(list(await archive.search(search.ThreadID(lunch))), [])

    # --- RFC 8970 ---------------------------------------------------------------------------------

    async def test_previews(self) -> None:
        account = await self.make_account("ada")
        await self.put(account, "INBOX", PLAIN, CYRILLIC, MIXED, b"")
        mailbox = await account.select("INBOX", False)
        await mailbox.copy([2], "Archive")
        expected = ["Here are the minutes.", "Завтра в полдень.", "Grüße aus Köln", ""]
        for want in ("preview", "ready preview"):
            found = await self.bring(mailbox, mailbox.index.uids, [want])
            self.assertEqual([message.preview for message in found], expected)
        found = await self.bring(await account.select("Archive", True), [1], ["preview"])
        self.assertEqual(found[0].preview, expected[1])
        [message] = await self.bring(mailbox, [1], ["size"])
        self.assertIsNone(message.preview)
