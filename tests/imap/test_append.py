"""APPEND: what it stores, what it answers, and what is refused before a message is sent."""

from __future__ import annotations

import errno

from tests.imap.transcript import IMAPCase
from twisted_duck.errors import MailboxGone, Unavailable, Unsettled
from twisted_duck.limits import Limits
from twisted_duck.memory.account import MemoryAccount
from twisted_duck.memory.mailbox import MemoryMailbox
from twisted_duck.spool import Spool


class AppendTests(IMAPCase):
    def test_flags_date_and_bytes_come_back(self) -> None:
        validity = self.do("status", "INBOX").uidvalidity
        self.transcript(rf"""
            C: a1 APPEND INBOX (\Seen $Work) "17-Jul-1996 02:44:25 -0700" {{14}}
            S: + go ahead
            C+ Subject: hallo
            C:
            S: a1 OK [APPENDUID {validity} 1] APPEND completed
            C: a2 EXAMINE INBOX
            S: ...
            S: a2 OK ...
            C: a3 FETCH 1 (FLAGS INTERNALDATE RFC822.SIZE BODY[])
            S: * 1 FETCH (FLAGS (\Recent \Seen $Work) INTERNALDATE "17-Jul-1996 02:44:25 -0700" RFC822.SIZE 14 BODY[] {{14}}
            S: Subject: hallo)
            S: a3 OK FETCH completed
        """)

    def test_message_is_kept_byte_for_byte(self) -> None:
        message = bytes(range(1, 256)) + b"\n\r\r\n a1 NOOP {3}\r\nno end"
        client = self.client()
        client.send(b"a1 APPEND INBOX {%d+}\r\n%b\r\n" % (len(message), message))
        client.send(b"a2 EXAMINE INBOX\r\na3 FETCH 1 BODY.PEEK[]\r\n")
        self.assertIn(b"BODY[] {%d}\r\n%b)\r\n" % (len(message), message), client.heard())

    def test_mailbox_as_a_literal(self) -> None:
        self.transcript("""
            C: a1 APPEND {5}
            S: + go ahead
            C: INBOX {1}
            S: + go ahead
            C: x
            S: a1 OK [APPENDUID ...
        """)

    def test_long_message_goes_to_a_file_and_the_file_goes(self) -> None:
        spools: list[Spool] = []
        original = MemoryAccount.append

        async def append(account, name, messages):  # type: ignore[no-untyped-def]
            spools.extend(message.content for message in messages)
            return await original(account, name, messages)

        self.patch(MemoryAccount, "append", append)
        message = b"x" * (self.limits.spool_memory + 1)
        client = self.client()
        client.send(b"a1 APPEND INBOX {%d+}\r\n" % len(message))
        for at in range(0, len(message), 65536):
            client.send(message[at : at + 65536])
        client.send(b"\r\n")
        self.assertIn(b"a1 OK [APPENDUID", client.heard())
        self.assertEqual(spools[0].size, len(message))
        with self.assertRaises(ValueError):
            spools[0].data  # noqa: B018

    def test_selected_mailbox_tells_the_message_before_the_answer(self) -> None:
        self.transcript("""
            C: a1 SELECT INBOX
            S: ...
            S: a1 OK ...
            C: a2 APPEND INBOX {1+}
            C: x
            S: * 1 EXISTS
            S: * 1 RECENT
            S: a2 OK [APPENDUID ...
        """)

    def test_nul_is_refused(self) -> None:
        client = self.client()
        client.send(b"a1 APPEND INBOX {3+}\r\na\0b\r\na2 NOOP\r\n")
        self.transcript("""
            S: a1 NO [CANNOT] the message has a NUL byte in it, which IMAP does not allow (RFC 3501 section 4.3)
            S: a2 OK NOOP completed
        """)

    def test_not_a_literal(self) -> None:
        self.transcript("""
            C: a1 APPEND INBOX "message"
            S: a1 BAD ...
            C: a2 APPEND INBOX
            S: a2 BAD ...
            C: a3 APPEND INBOX {1+}
            C: x more
            S: a3 BAD expected a message as a literal...
            C: a4 STATUS INBOX (MESSAGES)
            S: * STATUS INBOX (MESSAGES 0)
            S: a4 OK ...
        """)


class RefusedBeforeItIsSentTests(IMAPCase):
    limits = Limits(message=1000, append_unasked=1)

    def test_no_go_ahead(self) -> None:
        self.transcript(r"""
            C: a1 APPEND Nowhere {10}
            S: a1 NO [TRYCREATE] there is no such mailbox
            C: a2 APPEND INBOX {1001}
            S: a2 NO [TOOBIG] a message may have 1000 bytes at most
            C: a3 APPEND INBOX (\Recent) {10}
            S: a3 BAD ...
            C: a4 APPEND INBOX "yesterday" {10}
            S: a4 BAD ...
            C: a5 APPEND R&D {10}
            S: a5 NO [CANNOT] ...
            C: a6 APPEND INBOX {0}
            S: a6 NO an empty message is not stored...
            C: a7 SEARCH TEXT ~{10}
            S: a7 BAD only a message can be binary data
            C: a7 NOOP
            S: a7 OK NOOP completed
        """)

    def test_what_is_sent_all_the_same_is_no_command(self) -> None:
        message = b"a2 LOGOUT\r\na3 DELETE Junk\r\n"
        client = self.client()
        client.send(b"a1 APPEND Nowhere {%d+}\r\n%b\r\na4 NOOP\r\n" % (len(message), message))
        self.transcript("""
            S: a1 NO [TRYCREATE] there is no such mailbox
            S: a4 OK NOOP completed
        """)

    def test_before_login(self) -> None:
        self.log_in = False
        client = self.client()
        client.send(b"a1 APPEND INBOX {9+}\r\na2 LOGOUT\r\na3 NOOP\r\n")
        self.transcript("""
            S: a1 BAD APPEND is not allowed before login
            S: a3 OK NOOP completed
        """)

    def test_no_room_for_it(self) -> None:
        self.store.add_user("bob", "builder", quota=100)
        self.log_in = False
        self.transcript("""
            C: a0 LOGIN bob builder
            S: a0 OK ...
            C: a1 APPEND INBOX {101}
            S: a1 NO [OVERQUOTA] ...
        """)


class TakenUnaskedTests(IMAPCase):
    """A short message is sent sooner than it is found out whether it can be stored."""

    limits = Limits(append_unasked=11)

    def test_what_is_against_it_is_told_when_it_is_there(self) -> None:
        asked: list[object] = []
        check = MemoryAccount.check_append
        self.patch(MemoryAccount, "check_append", lambda *a: (asked.append(a), check(*a))[1])
        self.transcript("""
            C: a1 APPEND Nowhere {10}
            S: + go ahead
            C: Subject: x
            S: a1 NO [TRYCREATE] there is no such mailbox
            C: a2 APPEND Nowhere {11}
            S: a2 NO [TRYCREATE] there is no such mailbox
        """)
        self.assertEqual(len(asked), 1)


class FaultTests(IMAPCase):
    def test_disk_that_is_full(self) -> None:
        def write(spool: Spool, data: bytes) -> None:
            raise OSError(errno.ENOSPC, "No space left on device")

        self.patch(Spool, "write", write)
        client = self.client()
        client.send(b"a1 APPEND INBOX {9+}\r\na2 LOGOUT\r\na3 NOOP\r\n")
        self.transcript("""
            S: a1 NO [UNAVAILABLE] no room to receive a message: No space left on device
            S: a3 OK NOOP completed
        """)

    def test_failed_refresh_does_not_hide_that_the_message_is_stored(self) -> None:
        for error in (Unavailable("away"), MailboxGone("gone")):
            client = self.client(str(error))
            client.say("a0 SELECT Junk")
            mend = self.break_(MemoryMailbox, "refresh", error)
            client.send(b"a1 APPEND INBOX {1+}\r\nx\r\n")
            self.assertIn(b"a1 OK [APPENDUID", client.heard())
            mend()

    def test_nobody_is_told_what_nobody_knows(self) -> None:
        client = self.client()
        self.break_(MemoryAccount, "append", Unsettled("not known whether it was made"))
        client.send(b"a1 APPEND INBOX {1+}\r\nx\r\n")
        self.assertEqual(client.heard(), b"* BYE not known whether it was made\r\n")
        self.assertTrue(client.transport.closed)

    def test_connection_lost_in_the_middle_of_a_message(self) -> None:
        client = self.client()
        client.send(b"a1 APPEND INBOX {300000+}\r\n" + b"x" * 299_999)
        spool = client.protocol._reader._spools[0]
        client.disconnect()
        with self.assertRaises(ValueError):
            spool.data  # noqa: B018
        self.assertEqual(self.do("status", "INBOX").messages, 0)
