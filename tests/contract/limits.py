"""The bounds, the quota, and what no message may have."""

from __future__ import annotations

from tests.contract.base import DEFAULTS, LIMITS, MIXED, PLAIN, Contract
from twisted_duck import errors


class LimitsContract(Contract):
    """The bounds of `LIMITS`, the quota, and what no message may have."""

    async def test_nul_is_refused_and_nothing_is_appended(self) -> None:
        account = await self.make_account("ada")
        await self.fails(
            self.put(account, "INBOX", PLAIN, b"Subject: a\0b\r\n\r\n", MIXED), errors.Cannot
        )
        self.assertEqual((await account.status("INBOX")).messages, 0)

    async def test_message_of_the_largest_size(self) -> None:
        account = await self.make_account("ada")
        await account.check_append("INBOX", LIMITS.message)
        await self.fails(account.check_append("INBOX", LIMITS.message + 1), errors.TooBig)
        await self.put(account, "INBOX", b"x" * LIMITS.message)
        await self.fails(self.put(account, "INBOX", b"x" * (LIMITS.message + 1)), errors.TooBig)
        self.assertEqual((await account.status("INBOX")).messages, 1)

    async def test_quota(self) -> None:
        account = await self.make_account("ada", quota=3 * len(PLAIN))
        await account.create("Notes")
        uids = await self.put(account, "INBOX", PLAIN)
        mailbox = await account.select("INBOX", False)
        await mailbox.copy(uids, "Notes")
        await account.check_append("INBOX", len(PLAIN))
        await self.fails(account.check_append("INBOX", len(PLAIN) + 1), errors.OverQuota)
        await self.fails(account.check_append("INBOX", len(PLAIN), 1), errors.OverQuota)
        await account.check_append("INBOX", len(PLAIN) + 1, -1)
        await account.check_append("INBOX", LIMITS.message, -LIMITS.message)
        await self.fails(self.put(account, "INBOX", PLAIN, PLAIN), errors.OverQuota)
        await self.put(account, "INBOX", PLAIN)
        await self.fails(mailbox.copy(uids, "Notes"), errors.OverQuota)
        await mailbox.move(uids, "Notes")
        await account.delete("Notes")
        await self.put(account, "INBOX", PLAIN, PLAIN)
        await self.fails(self.put(account, "INBOX", b"x"), errors.OverQuota)

    async def test_mailboxes_are_bounded(self) -> None:
        account = await self.make_account("ada")
        for number in range(LIMITS.mailboxes - len(DEFAULTS)):
            await account.create(f"box {number}")
        await self.fails(account.create("one more"), errors.TooMany)
        await account.delete("box 0")
        await self.fails(account.create("two/more"), errors.TooMany)
        self.assertNotIn("two", await self.names(account))
        await account.create("one more")

    async def test_subscriptions_are_bounded(self) -> None:
        account = await self.make_account("ada")
        for number in range(LIMITS.subscriptions - len(DEFAULTS)):
            await account.subscribe(f"box {number}")
        await self.fails(account.subscribe("one more"), errors.TooMany)
        await account.subscribe("box 0")

    async def test_names_are_bounded(self) -> None:
        account = await self.make_account("ada")
        await account.create("я" * (LIMITS.mailbox_name // 2))
        await account.create("a/b/c/d")
        for name in ("я" * (LIMITS.mailbox_name // 2) + "x", "a/b/c/d/e"):
            await self.fails(account.create(name), errors.Cannot)
            await self.fails(account.rename("Sent", name), errors.Cannot)

    async def test_flags_are_bounded(self) -> None:
        account, mailbox, uids = await self.filled(2)
        many = [f"k{number}" for number in range(LIMITS.flags_per_message + 1)]
        for flags in (many, ["k" * (LIMITS.keyword + 1)]):
            await self.fails(self.flag(mailbox, uids, "add", *flags), errors.TooMany)
            await self.fails(self.put(account, "INBOX", PLAIN, flags=flags), errors.TooMany)
        await self.flag(mailbox, uids, "add", *many[:-1])
        await self.fails(self.flag(mailbox, uids, "add", many[-1]), errors.TooMany)
        self.assertEqual(self.flags(mailbox), {uid: set(many[:-1]) for uid in uids})
        self.assertEqual((await account.status("INBOX")).messages, 2)

    async def test_keywords_of_a_mailbox_are_bounded(self) -> None:
        account, mailbox, uids = await self.filled(2)
        half = LIMITS.keywords_per_mailbox // 2
        keywords = [f"k{number}" for number in range(LIMITS.keywords_per_mailbox)]
        await self.flag(mailbox, uids[:1], "add", *keywords[:half])
        await self.flag(mailbox, uids[1:], "add", *keywords[half:])
        await self.fails(self.flag(mailbox, uids[:1], "add", "one-more"), errors.TooMany)
        await self.fails(self.put(account, "INBOX", PLAIN, flags=["one-more"]), errors.TooMany)
        await self.flag(mailbox, uids[:1], "add", keywords[-1].upper())
