"""IMAP4rev2 beside IMAP4rev1: what ENABLE IMAP4rev2 switches, and what stays (RFC 9051)."""

from __future__ import annotations

from itertools import product
from typing import Any, ClassVar

from attrs import evolve
from zope.interface import implementer

from tests.imap.transcript import IMAPCase
from tests.transcript import Client
from twisted_duck.errors import Unavailable
from twisted_duck.imap.capability import Circumstances, capabilities
from twisted_duck.interfaces import IAccount, IMoveAccount, ISizeAccount, IUIDPlusAccount
from twisted_duck.limits import Limits
from twisted_duck.memory.account import MemoryAccount

PLAIN = b"Subject: tea\r\n\r\nat five\r\n"
FORWARDED = b"""\
Subject: see below
Content-Type: multipart/mixed; boundary=b

--b
Content-Type: message/global

Subject: =?x?=
From: J\xc3\xbcrgen <j\xc3\xbcrgen@example.org>

Hall\xc3\xb6chen
--b
Content-Type: application/octet-stream
Content-Transfer-Encoding: base64

AAECAw==
--b--
""".replace(b"\n", b"\r\n")


class Rev2Case(IMAPCase):
    """Sessions whose name begins with "old" have not enabled anything."""

    def enter(self, client: Client) -> None:
        client.say("x1 LOGIN alice wonderland")
        if self.rev2:
            client.say("x2 ENABLE IMAP4rev2")
        if self.selected is not None:
            client.say(f"x3 SELECT {self.selected}")

    rev2 = True

    def old(self, name: str = "old") -> Client:
        """A session of IMAP4rev1."""
        self.rev2 = False
        try:
            return self.client(name)
        finally:
            self.rev2 = True


class EnableTests(IMAPCase):
    def test_it_is_shown_in_both_states_and_enabled_in_one(self) -> None:
        self.log_in = False
        self.transcript("""
            C: a0 CAPABILITY
            S: * CAPABILITY IMAP4rev1 IMAP4rev2 ...
            S: a0 OK ...
            C: a1 ENABLE IMAP4rev2
            S: a1 BAD ...
            C: a2 LOGIN alice wonderland
            S: a2 OK [CAPABILITY IMAP4rev1 IMAP4rev2 ...] LOGIN completed
            C: a3 ENABLE imap4rev2 IMAP4rev1 X-GOOD-IDEA
            S: * ENABLED IMAP4rev2
            S: a3 OK ENABLE completed
            C: a4 ENABLE CONDSTORE
            S: * ENABLED CONDSTORE
            S: a4 OK ENABLE completed
        """)

    def test_until_then_all_is_as_it_was(self) -> None:
        self.deliver("INBOX", PLAIN)
        self.do("create", "Büro")
        self.transcript(r"""
            C: a1 LIST "" B*
            S: * LIST (\HasNoChildren) "/" B&APw-ro
            S: a1 OK ...
            C: a2 SELECT INBOX
            S: * FLAGS (\Answered \Flagged \Deleted \Seen \Draft)
            S: * OK [PERMANENTFLAGS ...
            S: * 1 EXISTS
            S: * 1 RECENT
            S: * OK [UNSEEN 1] ...
            S: * OK [UIDVALIDITY ...
            S: * OK [UIDNEXT ...
            S: * OK [HIGHESTMODSEQ ...
            S: * OK [MAILBOXID ...
            S: a2 OK [READ-WRITE] SELECT completed
            C: a3 SEARCH ALL
            S: * SEARCH 1
            S: a3 OK ...
            # Mailboxes may be open when it is enabled, though no client may do that.
            C: a4 ENABLE IMAP4rev2
            S: * ENABLED IMAP4rev2
            S: a4 OK ...
            C: a5 SEARCH ALL
            S: * ESEARCH (TAG "a5") ALL 1
            S: a5 OK ...
            C: a6 FETCH 1 FLAGS
            S: * 1 FETCH (FLAGS ())
            S: a6 OK ...
        """)


class AccountTests(IMAPCase):
    def test_it_takes_an_account_that_can_do_what_it_promises(self) -> None:
        interfaces = (IUIDPlusAccount, IMoveAccount, ISizeAccount)
        for missing in (*interfaces, None):

            @implementer(IAccount, *(each for each in interfaces if each is not missing))
            class Account:
                pass

            shown = capabilities(Circumstances(Account()))
            self.assertEqual("IMAP4rev2" in shown, missing is None, missing)
            self.assertIn("IMAP4rev1", shown)


class SelectTests(Rev2Case):
    def test_list_and_nothing_recent(self) -> None:
        self.deliver("Sent", PLAIN, PLAIN)
        self.do("create", "Sent/2026 & Büro")
        self.transcript(r"""
            C: a1 SELECT Sent
            S: * FLAGS (\Answered \Flagged \Deleted \Seen \Draft)
            S: * OK [PERMANENTFLAGS (\Answered \Flagged \Deleted \Seen \Draft \*)] ...
            S: * 2 EXISTS
            S: * LIST (\HasChildren \Sent) "/" Sent
            S: * OK [UIDVALIDITY ...
            S: * OK [UIDNEXT 3] ...
            S: * OK [HIGHESTMODSEQ 2] ...
            S: * OK [MAILBOXID ...
            S: a1 OK [READ-WRITE] SELECT completed
            C: a2 EXAMINE "Sent/2026 & Büro"
            S: * OK [CLOSED] ...
            S: * FLAGS (\Answered \Flagged \Deleted \Seen \Draft)
            S: * OK [PERMANENTFLAGS ()] ...
            S: * 0 EXISTS
            S: * LIST (\HasNoChildren) "/" "Sent/2026 & Büro"
            S: * OK [UIDVALIDITY ...
            S: * OK [UIDNEXT 1] ...
            S: * OK [HIGHESTMODSEQ ...
            S: * OK [MAILBOXID ...
            S: a2 OK [READ-ONLY] EXAMINE completed
            C: a3 SELECT inbox
            S: * OK [CLOSED] ...
            S: ...
            S: * LIST (\HasNoChildren) "/" INBOX
            S: ...
            S: a3 OK [READ-WRITE] SELECT completed
            C: a4 SELECT nowhere
            S: * OK [CLOSED] ...
            S: a4 NO [NONEXISTENT] ...
        """)

    def test_what_fails_leaves_nothing_selected(self) -> None:
        self.transcript("""
            C: a1 SELECT INBOX
            S: ...
            S: a1 OK ...
        """)
        restore = self.break_(MemoryAccount, "mailboxes", Unavailable("away"))
        self.transcript("""
            C: a2 SELECT Sent
            S: * OK [CLOSED] ...
            S: a2 NO [UNAVAILABLE] away
            C: a3 CHECK
            S: a3 BAD ...
        """)
        restore()
        self.transcript("""
            C: a4 SELECT Sent
            S: ...
            S: a4 OK ...
        """)

    def test_recent_is_told_to_who_asks_for_it(self) -> None:
        self.deliver("INBOX", PLAIN, PLAIN)
        # This session does not show them, and is the first to hear of them none the less (RFC 3501 §2.3.2).
        self.transcript(r"""
            C: a0 STATUS INBOX (MESSAGES RECENT)
            S: * STATUS INBOX (MESSAGES 2 RECENT 2)
            S: a0 OK ...
            C: a1 SELECT INBOX
            S: ...
            S: a1 OK ...
            C: a2 FETCH 1:2 FLAGS
            S: * 1 FETCH (FLAGS ())
            S: * 2 FETCH (FLAGS ())
            S: a2 OK ...
            C: a3 SEARCH NEW
            S: * ESEARCH (TAG "a3") ALL 1:2
            S: a3 OK ...
            C: a4 SEARCH OLD
            S: * ESEARCH (TAG "a4")
            S: a4 OK ...
            C: a5 FETCH 1 (BODY[TEXT])
            S: * 1 FETCH (FLAGS (\Seen) BODY[TEXT] {9}
            S: at five
            S: )
            S: a5 OK ...
        """)
        said = self.old().say("b1 SELECT INBOX")
        self.assertIn("* 0 RECENT", said)
        self.assertIn("* OK [UNSEEN 2] the first unseen message", said)


class NewsTests(Rev2Case):
    selected = "INBOX"

    def test_exists_alone_and_uids_with_flags(self) -> None:
        self.deliver("INBOX", PLAIN, PLAIN, PLAIN)
        self.transcript(r"""
            C2: b1 UID STORE 1 +FLAGS (\Deleted)
            S2: * 1 FETCH (UID 1 FLAGS (\Deleted))
            S2: b1 OK ...
            C2: b2 EXPUNGE
            S2: * 1 EXPUNGE
            S2: b2 OK EXPUNGE completed
            C: a1 IDLE
            S: + idling
            C2: b3 STORE 2 +FLAGS ($Forwarded $Junk)
            S2: * FLAGS (\Answered \Flagged \Deleted \Seen \Draft $Forwarded $Junk)
            S2: * OK [PERMANENTFLAGS ...
            S2: * 2 FETCH (UID 3 FLAGS ($Forwarded $Junk))
            S2: b3 OK ...
            S: * FLAGS (\Answered \Flagged \Deleted \Seen \Draft $Forwarded $Junk)
            S: * OK [PERMANENTFLAGS ...
            S: * 2 FETCH (UID 3 FLAGS ($Forwarded $Junk))
            C2: b4 APPEND INBOX {1+}
            C2: x
            S2: * 3 EXISTS
            S2: b4 OK [APPENDUID ...
            S: * 3 EXISTS
            C: DONE
            S: a1 OK IDLE completed
        """)

    def test_beside_condstore_and_qresync(self) -> None:
        """What is told of a flag that changed, and of a message that went."""
        self.deliver("INBOX", *[PLAIN] * 8)
        another = self.client("another")
        for number, (rev2, extension) in enumerate(
            product((False, True), (None, "CONDSTORE", "QRESYNC", "CONDSTORE QRESYNC"))
        ):
            name = f"{rev2} {extension}"
            client = self.client(name) if rev2 else self.old(name)
            if extension is not None:
                client.say(f"a1 ENABLE {extension}")
            another.say("b0 NOOP")
            another.say("b1 STORE 1 FLAGS.SILENT (\\Draft)")
            flags = client.say("a2 NOOP")[0]
            with_uid = rf"UID {number + 1} " if rev2 or extension is not None else ""
            with_modseq = r" MODSEQ \([0-9]+\)" if extension is not None else ""
            self.assertRegex(flags, rf"^\* 1 FETCH \({with_uid}FLAGS \(\\Draft\){with_modseq}\)$")
            another.say("b2 STORE 1 FLAGS.SILENT (\\Deleted)")
            client.say("a3 NOOP")
            another.say("b3 EXPUNGE")
            gone = f"* VANISHED {number + 1}" if "QRESYNC" in name else "* 1 EXPUNGE"
            self.assertEqual(client.say("a4 NOOP")[0], gone, name)


class KeywordTests(Rev2Case):
    """RFC 9051 §7.1, PERMANENTFLAGS."""

    limits = evolve(Limits(), keywords_per_mailbox=2)
    selected = "INBOX"

    def test_where_no_more_can_be_made_the_client_is_told(self) -> None:
        self.deliver("INBOX", PLAIN)
        self.transcript(r"""
            C: a1 STORE 1 +FLAGS.SILENT ($MDNSent)
            S: * FLAGS (\Answered \Flagged \Deleted \Seen \Draft $MDNSent)
            S: * OK [PERMANENTFLAGS (\Answered \Flagged \Deleted \Seen \Draft $MDNSent \*)] ...
            S: a1 OK ...
            C: a2 STORE 1 +FLAGS.SILENT ($Phishing)
            S: * FLAGS (\Answered \Flagged \Deleted \Seen \Draft $MDNSent $Phishing)
            S: * OK [PERMANENTFLAGS (\Answered \Flagged \Deleted \Seen \Draft $MDNSent $Phishing)] ...
            S: a2 OK ...
            C: a3 STORE 1 +FLAGS.SILENT ($NonJunk)
            S: a3 NO [LIMIT] ...
        """)


class SearchTests(Rev2Case):
    selected = "INBOX"

    def setUp(self) -> None:
        super().setUp()
        self.deliver("INBOX", PLAIN, "Subject: отпуск\r\n\r\n".encode(), PLAIN)

    def test_each_search_is_answered_by_esearch(self) -> None:
        self.transcript(r"""
            C: a1 SEARCH RETURN (MIN COUNT) SUBJECT tea
            S: * ESEARCH (TAG "a1") MIN 1 COUNT 2
            S: a1 OK SEARCH completed
            C: a2 SEARCH RETURN () SUBJECT tea
            S: * ESEARCH (TAG "a2") ALL 1,3
            S: a2 OK SEARCH completed
            C: a3 SEARCH TEXT "not in any message"
            S: * ESEARCH (TAG "a3")
            S: a3 OK SEARCH completed
            C: a4 UID SEARCH 1:2
            S: * ESEARCH (TAG "a4") UID ALL 1:2
            S: a4 OK SEARCH completed
            C: a5 SEARCH RETURN (SAVE) 2
            S: a5 OK SEARCH completed
            C: a6 FETCH $ UID
            S: * 2 FETCH (UID 2)
            S: a6 OK FETCH completed
        """)

    def test_charsets_can_still_be_named(self) -> None:
        # With UTF8=ACCEPT they could not.
        self.transcript(r"""
            C: a1 SEARCH SUBJECT "отпуск"
            S: * ESEARCH (TAG "a1") ALL 2
            S: a1 OK ...
            C: a2 SEARCH CHARSET UTF-8 SUBJECT {12}
            S: + go ahead
            C: отпуск
            S: * ESEARCH (TAG "a2") ALL 2
            S: a2 OK ...
            C: a3 SEARCH CHARSET KLINGON SUBJECT x
            S: a3 NO [BADCHARSET (US-ASCII UTF-8 ...
        """)
        client = self.client()
        client.send(
            b"a4 SEARCH CHARSET KOI8-R SUBJECT {6+}\r\n" + "отпуск".encode("koi8-r") + b"\r\n"
        )
        self.assertTrue(client.heard().startswith(b'* ESEARCH (TAG "a4") ALL 2\r\n'))
        client.send(b'a5 SEARCH CHARSET KOI8-R SUBJECT "' + "отпуск".encode("koi8-r") + b'"\r\n')
        self.assertTrue(client.heard().startswith(b"a5 BAD "))

    def test_sort_and_thread_are_no_part_of_it(self) -> None:
        self.transcript(r"""
            C: a1 SORT (SUBJECT) UTF-8 ALL
            S: * SORT 1 3 2
            S: a1 OK ...
        """)


class UTF8AcceptTests(Rev2Case):
    options: ClassVar[dict[str, Any]] = {"cleartextAuth": "always", "tls": "context", "utf8": True}

    def test_beside_rev2(self) -> None:
        self.deliver("INBOX", PLAIN)
        self.transcript(r"""
            C: a1 ENABLE UTF8=ACCEPT IMAP4rev2
            S: * ENABLED UTF8=ACCEPT IMAP4rev2
            S: a1 OK ...
            C: a2 SELECT INBOX
            S: ...
            S: a2 OK ...
            C: a3 SEARCH CHARSET UTF-8 SUBJECT tea
            S: a3 BAD with UTF8=ACCEPT a search names no charset...
            C: a4 SEARCH SUBJECT tea
            S: * ESEARCH (TAG "a4") ALL 1
            S: a4 OK ...
        """)


class NameTests(Rev2Case):
    def test_names_are_in_utf8_both_ways(self) -> None:
        self.transcript(r"""
            C: a1 CREATE "Büro/R&D"
            S: a1 OK ...
            C: a2 LIST "" "Bü*" RETURN (CHILDREN STATUS (MESSAGES SIZE DELETED))
            S: * LIST (\HasChildren) "/" "Büro"
            S: * STATUS "Büro" (MESSAGES 0 SIZE 0 DELETED 0)
            S: * LIST (\HasNoChildren) "/" "Büro/R&D"
            S: * STATUS "Büro/R&D" (MESSAGES 0 SIZE 0 DELETED 0)
            S: a2 OK ...
            C: a3 SUBSCRIBE "Büro"
            S: a3 OK ...
            C: a4 LIST (SUBSCRIBED) "" *
            S: ...
            S: * LIST (\HasChildren \Subscribed) "/" "Büro"
            S: ...
            S: a4 OK ...
            C: a5 DELETE {9}
            S: + go ahead
            C: Büro/R&D
            S: a5 OK ...
        """)
        self.assertIn('* LIST (\\HasNoChildren) "/" B&APw-ro', self.old().say('b1 LIST "" B*'))

    def test_a_name_that_is_not_normal_is_refused(self) -> None:
        """RFC 9051 §5.1: two names that look alike are not both made, and a name is kept as it was sent, or not at all."""
        decomposed = "Bu\u0308ro"
        self.do("create", "Old")
        self.transcript(f"""
            C: a1 CREATE "{decomposed}"
            S: a1 NO [CANNOT] mailbox name is not in normal form C...
            C: a2 RENAME Old "Old/{decomposed}"
            S: a2 NO [CANNOT] mailbox name is not in normal form C...
        """)
        self.assertEqual(self.old().say("b1 CREATE Bu&Awg-ro")[0][:14], "b1 NO [CANNOT]")


class MessageTests(Rev2Case):
    selected = "INBOX"

    def test_copyuid_for_copy_and_move_and_trycreate(self) -> None:
        self.deliver("INBOX", PLAIN, PLAIN, PLAIN)
        self.transcript(r"""
            C: a1 COPY 1:2 Archive
            S: a1 OK [COPYUID ... 1:2 1:2] COPY completed
            C: a2 MOVE 1 Archive
            S: * OK [COPYUID ... 1 3] moved
            S: * 1 EXPUNGE
            S: a2 OK MOVE completed
            C: a3 UID MOVE 2 Archive
            S: * OK [COPYUID ... 2 4] moved
            S: * 1 EXPUNGE
            S: a3 OK MOVE completed
            C: a4 COPY 1 Nowhere
            S: a4 NO [TRYCREATE] ...
            C: a5 MOVE 1 Nowhere
            S: a5 NO [TRYCREATE] ...
            C: a6 APPEND Nowhere {70000}
            S: a6 NO [TRYCREATE] ...
        """)

    def test_utf8_in_headers(self) -> None:
        client = self.client()
        message = "Subject: Grüße\r\nFrom: <jürgen@example.org>\r\n\r\n".encode()
        client.send(b"a1 APPEND INBOX {%d+}\r\n%b\r\n" % (len(message), message))
        self.assertIn("a1 OK [APPENDUID", client.heard().decode())
        # Strings that are quoted could be in UTF-8 now; literals may be for everybody.
        client.send(b"a2 FETCH 1 (ENVELOPE BODY.PEEK[])\r\n")
        said = client.heard()
        self.assertIn("{7}\r\nGrüße".encode(), said)
        self.assertIn(b"BODY[] {%d}\r\n%b)\r\n" % (len(message), message), said)

    def test_message_global_is_a_message(self) -> None:
        self.deliver("INBOX", FORWARDED)
        for client in (self.client(), self.old()):
            [body] = client.say("a1 FETCH 1 BODY")[:-1][:1]
            self.assertIn('(("message" "global" NIL NIL NIL "7bit" ', body)
            # What is inside can be had, and has an envelope.
            client.say("a2 NOOP")
            said = client.say("a2 FETCH 1 BODY.PEEK[1.HEADER.FIELDS (SUBJECT)]")
            self.assertIn("Subject: =?x?=", said)
            client.send(
                b"a3 FETCH 1 (BINARY.PEEK[2] BINARY.SIZE[2] BODY.PEEK[]<4294967296.9223372036854775807>)\r\n"
            )
            self.assertIn(
                b"(BINARY[2] ~{4}\r\n\0\1\2\3 BINARY.SIZE[2] 4 BODY[]<4294967296> {0}\r\n)",
                client.heard(),
            )

    def test_what_was_removed_is_there_for_who_uses_it(self) -> None:
        self.deliver("INBOX", PLAIN)
        self.transcript(r"""
            C: a1 CHECK
            S: a1 OK CHECK completed
            C: a2 FETCH 1 (RFC822.TEXT RFC822.SIZE)
            S: * 1 FETCH (FLAGS (\Seen) RFC822.TEXT {9}
            S: at five
            S:  RFC822.SIZE 25)
            S: a2 OK ...
            C: a3 LSUB "" INBOX
            S: ...
            S: a3 OK ...
        """)
