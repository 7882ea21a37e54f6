"""What a message is known by besides its UID: when it came (RFC 8514), what it is and belongs to (RFC 8474)."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

from tests.contract.base import MIXED, NOON, PLAIN, Contract, Mailbox
from twisted_duck import search

#: The clock of a database may not be ours.
_SOON = timedelta(minutes=5)


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
