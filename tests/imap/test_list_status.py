"""LIST-STATUS: RFC 5819, and what there is to be told: RFC 8438, RFC 9051, RFC 9208, RFC 8474, RFC 7889."""

from __future__ import annotations

from typing import Any

from zope.interface import implementer

from tests.imap.transcript import IMAPCase
from twisted_duck.interfaces import IAccount
from twisted_duck.memory.account import MemoryAccount
from twisted_duck.values import DELETED, SEEN

SHORT = b"Subject: x\r\n\r\ny\r\n"
LONG = SHORT * 10


class ListStatusTests(IMAPCase):
    def setUp(self) -> None:
        super().setUp()
        for name in ("Archive", "Drafts", "Junk", "Trash"):
            self.do("delete", name)
        self.do("create", "foo/bar")
        self.deliver("INBOX", SHORT, LONG)
        self.deliver("INBOX", SHORT, flags=[SEEN, DELETED])
        self.deliver("foo/bar", LONG)

    def test_a_status_behind_each_name(self) -> None:
        self.do("delete", "foo")
        self.transcript(r"""
            C: A01 LIST "" % RETURN (STATUS (MESSAGES UNSEEN))
            S: * LIST (\HasNoChildren) "/" INBOX
            S: * STATUS INBOX (MESSAGES 3 UNSEEN 2)
            S: * LIST (\HasNoChildren \Sent) "/" Sent
            S: * STATUS Sent (MESSAGES 0 UNSEEN 0)
            # It can't be selected.
            S: * LIST (\NonExistent \HasChildren) "/" foo
            S: A01 OK LIST completed
        """)

    def test_none_for_what_is_only_a_level_above_what_was_asked_for(self) -> None:
        for name in self.do("subscriptions"):
            self.do("unsubscribe", name)
        for name in ("INBOX", "foo/bar", "gone"):
            self.do("subscribe", name)
        self.transcript(r"""
            C: A02 LIST (SUBSCRIBED RECURSIVEMATCH) "" % RETURN (STATUS (MESSAGES))
            S: * LIST (\HasNoChildren \Subscribed) "/" INBOX
            S: * STATUS INBOX (MESSAGES 3)
            S: * LIST (\HasChildren) "/" foo ("CHILDINFO" ("SUBSCRIBED"))
            S: * LIST (\NonExistent \HasNoChildren \Subscribed) "/" gone
            S: A02 OK LIST completed
        """)

    def test_a_mailbox_that_goes_in_between(self) -> None:
        original = MemoryAccount.statuses

        async def statuses(account: MemoryAccount, *arguments: Any) -> Any:
            await account.delete("foo/bar")
            return await original(account, *arguments)

        self.patch(MemoryAccount, "statuses", statuses)
        self.transcript(r"""
            C: A03 LIST "" foo/% RETURN (STATUS (MESSAGES))
            S: * LIST (\NonExistent \HasNoChildren) "/" foo/bar
            S: A03 OK LIST completed
        """)

    def test_everything_that_can_be_told(self) -> None:
        mailbox_id = self.do("status", "INBOX").mailbox_id
        told = f"SIZE 204 DELETED 1 DELETED-STORAGE 17 RECENT 3 MAILBOXID ({mailbox_id})"
        self.assertEqual((len(SHORT), len(LONG)), (17, 170))
        self.transcript(f"""
            C: A04 LIST "" INBOX RETURN (STATUS (SIZE DELETED DELETED-STORAGE RECENT MAILBOXID APPENDLIMIT))
            S: * LIST (\\HasNoChildren) "/" INBOX
            S: * STATUS INBOX ({told} APPENDLIMIT 67108864)
            S: A04 OK LIST completed
            C: A05 STATUS INBOX (SIZE DELETED DELETED-STORAGE RECENT MAILBOXID APPENDLIMIT)
            S: * STATUS INBOX ({told} APPENDLIMIT 67108864)
            S: A05 OK STATUS completed
        """)

    def test_whoever_asks_for_modseqs_knows_them(self) -> None:
        self.transcript(r"""
            C: A06 SELECT INBOX
            S: ...
            S: A06 OK ...
            C: A07 LIST "" INBOX RETURN (STATUS (HIGHESTMODSEQ))
            S: * OK [HIGHESTMODSEQ 3] ...
            S: * LIST (\HasNoChildren) "/" INBOX
            S: * STATUS INBOX (HIGHESTMODSEQ 3)
            S: A07 OK LIST completed
            C: A08 STORE 1 +FLAGS (\Seen)
            S: * 1 FETCH (UID 1 FLAGS (\Recent \Seen) MODSEQ (4))
            S: A08 OK ...
        """)

    def test_hundreds_of_them(self) -> None:
        for number in range(500):
            self.do("create", f"many/{number:03}")
        lines = self.client().say('A08 LIST "" many/% RETURN (STATUS (MESSAGES))')
        self.clock.advance(0)
        lines += self.client().heard().decode().split("\r\n")[:-1]
        self.assertEqual(len(lines), 1001)
        self.assertEqual(lines[-2:], ["* STATUS many/499 (MESSAGES 0)", "A08 OK LIST completed"])


class MailboxIDTests(IMAPCase):
    def identity(self, name: str) -> str:
        return str(self.do("status", name).mailbox_id)

    def test_create_select_and_status_tell_the_same(self) -> None:
        [line] = self.client().say("a1 CREATE foo")
        mailbox_id = self.identity("foo")
        self.assertRegex(mailbox_id, r"^[A-Za-z][A-Za-z0-9_-]{0,254}$")
        self.assertEqual(line, f"a1 OK [MAILBOXID ({mailbox_id})] CREATE completed")
        self.transcript(f"""
            C: a2 EXAMINE foo
            S: ...
            S: * OK [MAILBOXID ({mailbox_id})] identity of the mailbox
            S: a2 OK ...
            C: a3 STATUS foo (MAILBOXID)
            S: * STATUS foo (MAILBOXID ({mailbox_id}))
            S: a3 OK ...
            C: a4 RENAME foo bar
            S: a4 OK ...
            C: a5 STATUS bar (MAILBOXID)
            S: * STATUS bar (MAILBOXID ({mailbox_id}))
            S: a5 OK ...
        """)
        self.do("create", "foo")
        self.assertNotEqual(self.identity("foo"), mailbox_id)

    def test_inbox_keeps_its_own_and_gives_its_messages_to_another(self) -> None:
        self.deliver("INBOX", SHORT)
        before = self.identity("INBOX")
        self.do("rename", "INBOX", "old")
        self.assertEqual(self.identity("INBOX"), before)
        self.assertNotEqual(self.identity("old"), before)


@implementer(IAccount)
class PlainAccount:
    """One that can do what RFC 3501 asks for, and no more."""

    def __init__(self, account: MemoryAccount) -> None:
        self._account = account

    def __getattr__(self, name: str) -> Any:
        return getattr(self._account, name)


class PlainAccountTests(IMAPCase):
    def setUp(self) -> None:
        super().setUp()
        account = self.store.account
        self.patch(self.store, "account", lambda name: PlainAccount(account(name)))

    def test_what_it_can_not_do_is_not_known(self) -> None:
        self.transcript(r"""
            C: a1 STATUS INBOX (SIZE)
            S: a1 BAD SIZE is no status item here
            C: a2 LIST "" INBOX RETURN (STATUS (MAILBOXID))
            S: a2 BAD MAILBOXID is no status item here
            C: a3 LIST (SPECIAL-USE) "" *
            S: a3 BAD SPECIAL-USE is not known here
            C: a4 LIST "" * RETURN (SPECIAL-USE)
            S: a4 BAD SPECIAL-USE is not known here
            C: a5 CREATE x (USE (\Archive))
            S: a5 BAD USE is not known here
            C: a6 CREATE x
            S: a6 OK CREATE completed
            C: a7 GETQUOTA ""
            S: a7 BAD there are no quotas here
            C: a8 STATUS INBOX (HIGHESTMODSEQ)
            S: * STATUS INBOX (HIGHESTMODSEQ 0)
            S: a8 OK STATUS completed
        """)

    def test_lists_are_extended_all_the_same(self) -> None:
        offered = self.client().say("a1 CAPABILITY")[0].split()
        self.assertTrue({"LIST-EXTENDED", "LIST-STATUS"} <= set(offered))
        hidden = {"SPECIAL-USE", "CREATE-SPECIAL-USE", "XLIST", "STATUS=SIZE", "QUOTA"}
        self.assertFalse(hidden & set(offered))
        self.transcript(r"""
            C: a2 LIST (SUBSCRIBED) "" INBOX RETURN (STATUS (MESSAGES))
            S: * LIST (\HasNoChildren \Subscribed) "/" INBOX
            S: * STATUS INBOX (MESSAGES 0)
            S: a2 OK LIST completed
        """)
