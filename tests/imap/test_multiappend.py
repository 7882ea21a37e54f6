"""APPEND of several messages: all of them or none (RFC 3502)."""

from __future__ import annotations

import errno

from zope.interface import classImplementsOnly, implementedBy

from tests.imap.transcript import IMAPCase
from twisted_duck.errors import OverQuota
from twisted_duck.interfaces import IMultiAppendAccount
from twisted_duck.limits import Limits
from twisted_duck.memory.account import MemoryAccount
from twisted_duck.spool import Spool


class MultiAppendTests(IMAPCase):
    def test_each_message_has_its_own_flags_and_date(self) -> None:
        validity = self.do("status", "Archive").uidvalidity
        self.transcript(rf"""
            C: a1 APPEND Archive (\Seen) "07-Feb-1994 21:52:25 -0800" {{14}}
            S: + go ahead
            C+ Subject: first
            C:  (\Flagged $Work) {{15}}
            S: + go ahead
            C+ Subject: second
            C:  " 8-Feb-1994 09:00:00 +0100" {{14}}
            S: + go ahead
            C+ Subject: third
            C:
            S: a1 OK [APPENDUID {validity} 1:3] APPEND completed
            C: a2 EXAMINE Archive
            S: ...
            S: a2 OK ...
            C: a3 FETCH 1:* (FLAGS INTERNALDATE BODY[TEXT] BODY[HEADER.FIELDS (SUBJECT)])
            S: * 1 FETCH (FLAGS (\Recent \Seen) INTERNALDATE " 7-Feb-1994 21:52:25 -0800" BODY[TEXT] {{0}}
            S:  BODY[HEADER.FIELDS (SUBJECT)] {{14}}
            S: Subject: first)
            S: * 2 FETCH (FLAGS (\Recent \Flagged $Work) INTERNALDATE "..." BODY[TEXT] {{0}}
            S:  BODY[HEADER.FIELDS (SUBJECT)] {{15}}
            S: Subject: second)
            S: * 3 FETCH (FLAGS (\Recent) INTERNALDATE " 8-Feb-1994 09:00:00 +0100" BODY[TEXT] {{0}}
            S:  BODY[HEADER.FIELDS (SUBJECT)] {{14}}
            S: Subject: third)
            S: a3 OK FETCH completed
        """)

    def test_all_in_one_go(self) -> None:
        client = self.client()
        client.send(b"a1 APPEND INBOX {1+}\r\nx () {2+}\r\nyy {3+}\r\nzzz\r\na2 NOOP\r\n")
        self.transcript("""
            S: a1 OK [APPENDUID ... 1:3] APPEND completed
            S: a2 OK NOOP completed
        """)

    def test_selected_mailbox_grows_once(self) -> None:
        self.transcript("""
            C: a1 SELECT INBOX
            S: ...
            S: a1 OK ...
            C2: b1 SELECT INBOX
            S2: ...
            S2: b1 OK ...
            C: a2 APPEND INBOX {1+}
            C: x {1+}
            C: y
            S: * 2 EXISTS
            S: * 2 RECENT
            S: a2 OK [APPENDUID ... 1:2] APPEND completed
            C2: b2 NOOP
            S2: * 2 EXISTS
            S2: * 0 RECENT
            S2: b2 OK NOOP completed
        """)

    def test_one_change_has_one_modseq(self) -> None:
        self.transcript("""
            C: a1 ENABLE QRESYNC
            S: ...
            S: a1 OK ...
            C: a2 SELECT INBOX
            S: ...
            S: a2 OK ...
            C: a3 APPEND INBOX {1+}
            C: x {1+}
            C: y
            S: * 2 EXISTS
            S: * 2 RECENT
            S: a3 OK ...
            C: a4 FETCH 1:2 MODSEQ
            S: * 1 FETCH (UID 1 MODSEQ (2))
            S: * 2 FETCH (UID 2 MODSEQ (2))
            S: a4 OK FETCH completed
        """)

    def test_is_advertised_after_login(self) -> None:
        self.assertIn(" MULTIAPPEND ", self.client().say("a1 CAPABILITY")[0])


class OneByOneTests(IMAPCase):
    """An account that could not take them as one change, as that of an application."""

    def setUp(self) -> None:
        super().setUp()
        provided = list(implementedBy(MemoryAccount))
        others = [each for each in provided if each is not IMultiAppendAccount]
        classImplementsOnly(MemoryAccount, *others)
        self.addCleanup(classImplementsOnly, MemoryAccount, *provided)

    def test_it_is_not_offered_and_the_second_message_is_refused(self) -> None:
        self.assertNotIn("MULTIAPPEND", self.client().say("a0 CAPABILITY")[0])
        self.client().send(b"a1 APPEND INBOX {1+}\r\nx {1+}\r\ny\r\na2 APPEND INBOX {1+}\r\nz\r\n")
        self.transcript("""
            S: a1 BAD one APPEND has one message here
            S: a2 OK [APPENDUID ... 1] APPEND completed
        """)


class RefusedTests(IMAPCase):
    """The messages that were sent before the one at fault are not stored, and the next command is found."""

    limits = Limits(append_unasked=1, message=1000, append=1500, append_messages=3)

    def nothing_was_stored(self) -> None:
        self.transcript("""
            C: z1 STATUS INBOX (MESSAGES UIDNEXT)
            S: * STATUS INBOX (MESSAGES 0 UIDNEXT 1)
            S: z1 OK STATUS completed
        """)

    def test_second_one_is_at_fault_before_it_is_sent(self) -> None:
        for fault, answer in (
            (r"(\Recent) {5}", r"BAD \Recent is no flag that can be set..."),
            ('"yesterday" {5}', "BAD expected a date and time..."),
            ("{1001}", "NO [TOOBIG] a message may have 1000 bytes at most"),
            ("{1000}", "NO [LIMIT] the messages of one APPEND may have 1500 bytes together"),
            ("{0}", "NO an empty message is not stored, and the others are not either"),
            ('"x" more', "BAD expected a date and time..."),
            ("more", "BAD expected a message as a literal..."),
            ("", "BAD expected a message as a literal..."),
            ("UTF7 ({5}", "BAD ..."),
        ):
            self.transcript(f"""
                C: a1 APPEND INBOX {{600}}
                S: + go ahead
                C+ {"x" * 600}
                C:  {fault}
                S: a1 {answer}
            """)
        self.nothing_was_stored()

    def test_what_follows_it_unasked_is_no_command(self) -> None:
        for size in (0, 1001, 1000):
            client = self.client()
            client.send(
                b"a1 APPEND INBOX {600+}\r\n%b {%d+}\r\n%b {13+}\r\na9 LOGOUT\r\n\r\n\r\na2 NOOP\r\n"
                % (b"x" * 600, size, b"y" * size)
            )
            self.transcript("""
                S: a1 NO ...
                S: a2 OK NOOP completed
            """)
        self.nothing_was_stored()

    def test_more_messages_than_there_may_be(self) -> None:
        client = self.client()
        client.send(b"a1 APPEND INBOX {1+}\r\nx {1+}\r\nx {1+}\r\nx\r\n")
        self.transcript("S: a1 OK [APPENDUID ... 1:3] ...")
        client.send(b"a2 APPEND INBOX {1+}\r\nx {1+}\r\nx {1+}\r\nx {1+}\r\nx\r\na3 NOOP\r\n")
        self.transcript("""
            S: a2 NO [LIMIT] more than 3 messages in one APPEND
            S: a3 OK NOOP completed
        """)
        self.assertEqual(self.do("status", "INBOX").messages, 3)

    def test_nul_in_one_of_them(self) -> None:
        self.client().send(b"a1 APPEND INBOX {1+}\r\nx {3+}\r\na\0b {1+}\r\nz\r\na2 NOOP\r\n")
        self.transcript("""
            S: a1 NO [CANNOT] the message has a NUL byte...
            S: a2 OK NOOP completed
        """)
        self.nothing_was_stored()

    def test_room_is_asked_for_them_together(self) -> None:
        self.store.add_user("bob", "builder", quota=1000)
        self.log_in = False
        self.transcript(f"""
            C: a0 LOGIN bob builder
            S: a0 OK ...
            C: a1 APPEND INBOX {{600}}
            S: + go ahead
            C+ {"x" * 600}
            C:  {{401}}
            S: a1 NO [OVERQUOTA] there is not enough room left
            C: a2 APPEND INBOX {{600}}
            S: + go ahead
            C+ {"x" * 600}
            C:  {{400}}
            S: + go ahead
            C+ {"x" * 400}
            C:
            S: a2 OK [APPENDUID ... 1:2] APPEND completed
        """)

    def test_mailbox_that_goes_in_between(self) -> None:
        self.transcript("""
            C: a1 CREATE there
            S: a1 OK ...
            C: a2 APPEND there {1}
            S: + go ahead
            C2: b1 DELETE there
            S2: b1 OK ...
            C: x {1}
            S: a2 NO [TRYCREATE] there is no such mailbox
        """)

    def test_what_the_store_refuses_is_refused_as_a_whole(self) -> None:
        self.break_(MemoryAccount, "append", OverQuota("somebody was quicker"))
        self.client().send(b"a1 APPEND INBOX {1+}\r\nx {1+}\r\ny\r\n")
        self.transcript("S: a1 NO [OVERQUOTA] somebody was quicker")

    def test_spools_are_closed_whatever_happens(self) -> None:
        spools: list[Spool] = []
        original = Spool.finish

        def finish(spool: Spool) -> None:
            spools.append(spool)
            original(spool)

        self.patch(Spool, "finish", finish)
        self.client().send(b"a1 APPEND INBOX {1+}\r\nx {1+}\r\ny {0+}\r\n\r\n")
        self.transcript("S: a1 NO ...")
        self.assertEqual(len(spools), 2)
        for spool in spools:
            with self.assertRaises(ValueError):
                spool.data  # noqa: B018

    def test_disk_that_fills_up_at_the_second_one(self) -> None:
        original = Spool.write

        def write(spool: Spool, data: bytes) -> None:
            if data.startswith(b"y"):
                raise OSError(errno.ENOSPC, "No space left on device")
            original(spool, data)

        self.patch(Spool, "write", write)
        self.client().send(b"a1 APPEND INBOX {1+}\r\nx {1+}\r\ny {1+}\r\nz\r\na2 NOOP\r\n")
        self.transcript("""
            S: a1 NO [UNAVAILABLE] no room to receive a message...
            S: a2 OK NOOP completed
        """)
        self.nothing_was_stored()
