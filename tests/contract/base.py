"""What the tests of the contract share: sample messages, bounds, and how an account is come by."""

from __future__ import annotations

import base64
import quopri
from collections.abc import Awaitable, Iterable
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, TypeAlias

from twisted_duck.limits import Limits
from twisted_duck.spool import Spool
from twisted_duck.values import (
    AppendMessage,
    FlagChange,
    FlagMode,
    MailboxInfo,
    MessageData,
)

if TYPE_CHECKING:
    from twisted.trial.unittest import TestCase as _TestCase
else:
    _TestCase = object

#: Something that provides IAccount, or IMailbox.
Account: TypeAlias = Any
Mailbox: TypeAlias = Any

#: The bounds the implementation under test is to be made with: low ones, so that tests reach them.
LIMITS = Limits(
    message=2 * 1024 * 1024,
    mailboxes=12,
    subscriptions=10,
    mailbox_name=40,
    mailbox_depth=4,
    flags_per_message=6,
    keyword=16,
    keywords_per_mailbox=8,
)

DEFAULTS = {
    "INBOX": None,
    "Drafts": "\\Drafts",
    "Sent": "\\Sent",
    "Junk": "\\Junk",
    "Trash": "\\Trash",
    "Archive": "\\Archive",
}

EVERYTHING = frozenset({"date", "size", "envelope", "bodystructure", "body", "content"})
NOON = datetime(2020, 2, 29, 12, 0, 0, tzinfo=UTC)

PLAIN = (
    b"Date: Wed, 17 Jul 1996 23:23:25 -0700\r\n"
    b"From: Terry Gray <gray@cac.example.edu>\r\n"
    b"To: imap@cac.example.edu\r\n"
    b"Subject: IMAP4rev1 WG mtg summary\r\n"
    b"Message-Id: <B27397-0100000@cac.example.edu>\r\n"
    b"\r\n"
    b"Here are the minutes.\r\n"
)
CYRILLIC = (
    b"Date: Fri, 19 Jul 1996 00:10:00 +0300\r\n"
    b"From: =?utf-8?B?" + base64.b64encode("Анна".encode()) + b"?= <anna@example.org>\r\n"
    b"To: imap@cac.example.edu\r\n"
    b"Cc: Bob <bob@example.net>\r\n"
    b"Subject: =?utf-8?B?" + base64.b64encode("Привет всем".encode()) + b"?=\r\n"
    b"MIME-Version: 1.0\r\n"
    b"Content-Type: text/plain; charset=utf-8\r\n"
    b"Content-Transfer-Encoding: base64\r\n"
    b"\r\n" + base64.encodebytes("Завтра в полдень.\n".encode())
)
MIXED = (
    b"Date: Sat, 20 Jul 1996 08:00:00 +0000\r\n"
    b"From: carol@example.com\r\n"
    b"To: dave@example.com\r\n"
    b"Subject: attached\r\n"
    b"X-Empty:\r\n"
    b"MIME-Version: 1.0\r\n"
    b'Content-Type: multipart/mixed; boundary="b1"\r\n'
    b"\r\n"
    b"--b1\r\n"
    b"Content-Type: text/plain; charset=iso-8859-1\r\n"
    b"Content-Transfer-Encoding: quoted-printable\r\n"
    b"\r\n" + quopri.encodestring("Grüße aus Köln".encode("latin-1")) + b"\r\n"
    b"--b1\r\n"
    b"Content-Type: application/octet-stream; name=x.bin\r\n"
    b"Content-Transfer-Encoding: base64\r\n"
    b"\r\n"
    b"AAECAwQFBgcICQ==\r\n"
    b"--b1--\r\n"
)
#: What must come back as it went in, whatever it is.
ODD = [
    b"",
    b"\r\n",
    b"no header at all",
    b"Subject: no body",
    b"Subject: bare\nline\nfeeds\n\nand no end",
    b"Subject: bare CR\r\rbody\r",
    b"Subject: \xff\xfe raw 8 bit\r\n\r\n\x80\x81\x82",
    b"Content-Type: multipart/mixed; boundary=never\r\n\r\n--other\r\n",
    b"From \r\n.\r\n..\r\n\r\n.\r\n",
]


class Contract(_TestCase):
    """What the tests below need; a store's test module overrides `make_account`."""

    async def make_account(self, name: str, quota: int | None = None) -> Account:
        """A session of the user `name`, who is made with the default mailboxes on the first call.

        A later call with the same name is another login of the same user. The store keeps to
        `LIMITS`; `quota` is the user's in bytes, set by the first call.
        """
        raise AssertionError("the store's test module says how an account is made")

    async def fails(self, awaitable: Awaitable[Any], *expected: type[Exception]) -> Exception:
        """The error that `awaitable` fails with; it is one of `expected`."""
        try:
            result = await awaitable
        except expected as error:
            return error
        names = " or ".join(each.__name__ for each in expected)
        raise self.failureException(f"{names} was expected, not {result!r}")

    async def put(
        self,
        account: Account,
        mailbox: str,
        *contents: bytes,
        flags: Iterable[str] = (),
        when: datetime | None = NOON,
    ) -> list[int]:
        """Append messages in one go; their UIDs."""
        messages = [
            AppendMessage(Spool.of(content), frozenset(flags), when) for content in contents
        ]
        await account.append(mailbox, messages)
        after = await account.status(mailbox)
        return list(range(after.uidnext - len(contents), after.uidnext))

    async def filled(self, count: int, *, name: str = "ada") -> tuple[Account, Mailbox, list[int]]:
        """An account whose INBOX has `count` messages, and that INBOX opened."""
        account = await self.make_account(name)
        uids = [
            (await self.put(account, "INBOX", b"Subject: %d\r\n\r\n%d\r\n" % (number, number)))[0]
            for number in range(1, count + 1)
        ]
        return account, await account.select("INBOX", False), uids

    async def bring(
        self, mailbox: Mailbox, uids: Iterable[int], wanted: Iterable[str] = EVERYTHING
    ) -> list[MessageData]:
        return [
            message
            async for batch in mailbox.fetch(list(uids), frozenset(wanted))
            for message in batch
        ]

    async def whole(self, content: Any) -> bytes:
        return b"".join([chunk async for chunk in content.chunks(0, content.size)])

    async def contents(self, account: Account, name: str) -> list[bytes]:
        """The messages of a mailbox, by UID."""
        mailbox = await account.select(name, True)
        messages = await self.bring(mailbox, mailbox.index.uids, ["content"])
        found = [await self.whole(message.content) for message in messages]
        await mailbox.close()
        return found

    async def names(self, account: Account) -> dict[str, MailboxInfo]:
        found = await account.mailboxes()
        named = {info.name: info for info in found}
        self.assertEqual(len(found), len(named), "a name is listed twice")
        return named

    async def flag(self, mailbox: Mailbox, uids: Iterable[int], mode: FlagMode, *flags: str) -> Any:
        return await mailbox.store(list(uids), FlagChange(mode, frozenset(flags)))

    def flags(self, mailbox: Mailbox) -> dict[int, set[str]]:
        return {uid: set(flags) for uid, _, flags in mailbox.index.rows(mailbox.index.uids)}

    def modseqs(self, mailbox: Mailbox) -> dict[int, int]:
        return {uid: modseq for uid, modseq, _ in mailbox.index.rows(mailbox.index.uids)}
