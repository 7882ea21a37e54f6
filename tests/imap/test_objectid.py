"""OBJECTID: RFC 8474."""

from __future__ import annotations

import re
from io import BytesIO
from typing import Any

from twisted.cred.portal import Portal

from tests.adapters.application import Account
from tests.contract.objects import letter
from tests.imap.test_savedate import Realm
from tests.imap.transcript import IMAPCase

_ID = "[A-Za-z][A-Za-z0-9_-]{0,254}"
_IDS = re.compile(rf"\* (\d+) FETCH \(EMAILID \(({_ID})\) THREADID \(({_ID})\)\)")


class ObjectIDTests(IMAPCase):
    """Messages 1 and 2 are of one thread, message 3 is of another."""

    selected = "INBOX"

    def setUp(self) -> None:
        super().setUp()
        self.deliver("INBOX", letter("a"))
        self.deliver("INBOX", letter("b", "Re: Lunch", "a"))
        self.deliver("INBOX", letter("c"))

    def ids(self) -> list[tuple[str, str]]:
        *told, done = self.client().say("x9 FETCH 1:* (EMAILID THREADID)")
        self.assertEqual(done, "x9 OK FETCH completed")
        found = [_IDS.fullmatch(line) for line in told]
        assert all(found), told
        return [(match[2], match[3]) for match in found if match]

    def test_fetch(self) -> None:
        (one, thread), (two, same), (three, other) = self.ids()
        self.assertEqual(thread, same)
        self.assertEqual(len({one, two, three, thread, other}), 5)
        self.transcript(f"""
            C: a1 UID FETCH 2 emailid
            S: * 2 FETCH (UID 2 EMAILID ({two}))
            S: a1 OK FETCH completed
            C: a2 FETCH 2:3 (THREADID UID)
            S: * 2 FETCH (THREADID ({thread}) UID 2)
            S: * 3 FETCH (THREADID ({other}) UID 3)
            S: a2 OK ...
        """)

    def test_search(self) -> None:
        (one, thread), (two, _), (three, other) = self.ids()
        self.transcript(f"""
            C: a1 SEARCH EMAILID {one}
            S: * SEARCH 1
            S: a1 OK SEARCH completed
            C: a2 UID SEARCH threadid {thread}
            S: * SEARCH 1 2
            S: a2 OK ...
            C: a3 SEARCH OR EMAILID {two} THREADID {other}
            S: * SEARCH 2 3
            S: a3 OK ...
            C: a4 SEARCH NOT (THREADID {thread})
            S: * SEARCH 3
            S: a4 OK ...
            # Case counts, and one kind of identifier is not the other.
            C: a5 SEARCH OR EMAILID {three.swapcase()} EMAILID {thread}
            S: * SEARCH
            S: a5 OK ...
            C: a6 SEARCH THREADID {three}
            S: * SEARCH
            S: a6 OK ...
        """)

    def test_moved_messages_keep_them(self) -> None:
        _, (two, thread), third = self.ids()
        self.transcript("""
            C: a1 MOVE 2 Archive
            S: * OK [COPYUID ...
            S: * 2 EXPUNGE
            S: a1 OK ...
            C: a2 COPY 2 Archive
            S: a2 OK [COPYUID ...
            C: a3 SELECT Archive
            S: ...
            S: a3 OK ...
        """)
        self.assertEqual(self.ids(), [(two, thread), third])

    def test_with_qresync(self) -> None:
        (one, thread), *_ = self.ids()
        self.transcript(f"""
            C: a1 ENABLE QRESYNC
            S: * ENABLED QRESYNC
            S: ...
            S: a1 OK ...
            C: a2 FETCH 1 (EMAILID THREADID)
            S: * 1 FETCH (UID 1 EMAILID ({one}) THREADID ({thread}) MODSEQ (2))
            S: a2 OK ...
        """)

    def test_errors(self) -> None:
        for command in (
            "SEARCH EMAILID",
            "SEARCH EMAILID (x)",
            "SEARCH EMAILID a.b",
            "SEARCH THREADID {1+}",
            f"SEARCH THREADID {'x' * 256}",
            "FETCH 1 (EMAILID (x))",
            "FETCH 1 EMAILIDS",
        ):
            with self.subTest(command=command):
                client = self.client()
                said = client.say(f"a1 {command}" + ("\r\nx" if "{" in command else ""))
                self.assertEqual([line[:6] for line in said], ["a1 BAD"], command)
        longest = "x" * 255
        self.transcript(f"""
            C: a2 SEARCH THREADID {longest}
            S: * SEARCH
            S: a2 OK ...
        """)


class MailboxIDTests(IMAPCase):
    def status(self, name: str) -> str:
        [told, _] = self.client().say(f"x8 STATUS {name} (MAILBOXID)")
        match = re.fullmatch(rf"\* STATUS {name} \(MAILBOXID \(({_ID})\)\)", told)
        assert match is not None, told
        return match[1]

    def test_it_is_told_and_stays(self) -> None:
        [done] = self.client().say("a1 CREATE foo")
        match = re.fullmatch(rf"a1 OK \[MAILBOXID \(({_ID})\)\] .*", done)
        assert match is not None, done
        id = match[1]
        self.assertEqual(self.status("foo"), id)
        self.transcript(f"""
            C: a2 CREATE foo
            S: a2 NO [ALREADYEXISTS] ...
            C: a3 RENAME foo renamed
            S: a3 OK ...
            C: a4 SELECT renamed
            S: ...
            S: * OK [MAILBOXID ({id})] ...
            S: ...
            S: a4 OK [READ-WRITE] ...
            C: a5 EXAMINE renamed
            S: ...
            S: * OK [MAILBOXID ({id})] ...
            S: ...
            S: a5 OK [READ-ONLY] ...
            C: a6 LIST "" ren* RETURN (STATUS (MAILBOXID))
            S: * LIST ...
            S: * STATUS renamed (MAILBOXID ({id}))
            S: a6 OK ...
            C: a7 DELETE renamed
            S: a7 OK ...
            C: a8 CREATE renamed
            S: a8 OK ...
        """)
        self.assertNotEqual(self.status("renamed"), id)

    def test_rename_of_inbox_makes_a_mailbox(self) -> None:
        before = self.status("INBOX")
        self.client().say("a1 RENAME INBOX Old")
        self.assertEqual(self.status("INBOX"), before)
        self.assertNotEqual(self.status("Old"), before)

    def test_no_two_have_the_same(self) -> None:
        names = ["INBOX", "Drafts", "Sent", "Junk", "Trash", "Archive"]
        self.assertEqual(len(set(map(self.status, names))), len(names))


class ApplicationTests(IMAPCase):
    """Mailboxes of an application, whose messages have no identifiers: nothing is advertised."""

    selected = "INBOX"

    def make_factory(self, portal: Portal) -> Any:
        account = Account("alice")
        account.mailboxes["INBOX"].addMessage(BytesIO(letter("a")))
        return super().make_factory(Portal(Realm(account), [self.store]))

    def test_nothing_is_known(self) -> None:
        [capabilities, _] = self.client().say("a1 CAPABILITY")
        self.assertNotIn("OBJECTID", capabilities)
        self.transcript("""
            C: a2 FETCH 1 (EMAILID)
            S: a2 BAD EMAILID is not known of these mailboxes
            C: a3 FETCH 1 (THREADID)
            S: a3 BAD ...
            C: a5 STATUS INBOX (MAILBOXID)
            S: a5 BAD ...
            C: a4 SEARCH OR EMAILID M1 THREADID T1
            S: * SEARCH
            S: a4 OK ...
        """)
