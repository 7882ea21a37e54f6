"""STORE, COPY and UID EXPUNGE (RFC 4315), MOVE (RFC 6851), EXPUNGE, SEARCH."""

from __future__ import annotations

from typing import Any

from tests.imap.transcript import IMAPCase
from twisted_duck.errors import MailboxGone, Unavailable
from twisted_duck.limits import Limits
from twisted_duck.memory.mailbox import MemoryMailbox
from twisted_duck.values import DELETED, SEEN, CopyResult, StoreResult

MESSAGE = b"Subject: one\r\n\r\nbody\r\n"


class StoreTests(IMAPCase):
    selected = "INBOX"

    def setUp(self) -> None:
        super().setUp()
        self.deliver("INBOX", MESSAGE, flags=[SEEN])
        self.deliver("INBOX", MESSAGE)

    def test_replace_add_remove(self) -> None:
        self.transcript(r"""
            C: a1 STORE 1:2 +FLAGS (\Flagged)
            S: * 1 FETCH (FLAGS (\Recent \Flagged \Seen))
            S: * 2 FETCH (FLAGS (\Recent \Flagged))
            S: a1 OK STORE completed
            C: a2 STORE 1 -FLAGS (\Seen \Draft)
            S: * 1 FETCH (FLAGS (\Recent \Flagged))
            S: a2 OK STORE completed
            C: a3 STORE 1 FLAGS (\Answered)
            S: * 1 FETCH (FLAGS (\Recent \Answered))
            S: a3 OK STORE completed
            C: a4 STORE 1 FLAGS ()
            S: * 1 FETCH (FLAGS (\Recent))
            S: a4 OK STORE completed
            C: a5 STORE 1 flags \deleted \SEEN
            S: * 1 FETCH (FLAGS (\Recent \Deleted \Seen))
            S: a5 OK STORE completed
        """)

    def test_what_does_not_change_is_answered_as_well(self) -> None:
        self.transcript(r"""
            C: a1 STORE 1 +FLAGS (\Seen)
            S: * 1 FETCH (FLAGS (\Recent \Seen))
            S: a1 OK STORE completed
        """)

    def test_silent(self) -> None:
        self.transcript(r"""
            C: a1 STORE 1:2 +FLAGS.SILENT (\Flagged)
            S: a1 OK STORE completed
            C: a2 NOOP
            S: a2 OK NOOP completed
            C: a3 FETCH 2 FLAGS
            S: * 2 FETCH (FLAGS (\Recent \Flagged))
            S: a3 OK FETCH completed
        """)

    def test_uid_form_answers_with_the_uid(self) -> None:
        self.transcript(r"""
            C: a1 UID STORE 2:9 +FLAGS (\Seen)
            S: * 2 FETCH (UID 2 FLAGS (\Recent \Seen))
            S: a1 OK STORE completed
            C: a2 UID STORE 77 +FLAGS (\Seen)
            S: a2 OK STORE completed
        """)

    def test_keywords_are_defined_when_they_are_new_and_keep_their_spelling(self) -> None:
        self.transcript(r"""
            C: a1 STORE 1 +FLAGS ($Forwarded)
            S: * FLAGS (\Answered \Flagged \Deleted \Seen \Draft $Forwarded)
            S: * OK [PERMANENTFLAGS (\Answered \Flagged \Deleted \Seen \Draft $Forwarded \*)] ...
            S: * 1 FETCH (FLAGS (\Recent \Seen $Forwarded))
            S: a1 OK STORE completed
            C: a2 STORE 1 +FLAGS ($FORWARDED)
            S: * 1 FETCH (FLAGS (\Recent \Seen $Forwarded))
            S: a2 OK STORE completed
            C: a3 STORE 2 +FLAGS.SILENT ($Forwarded)
            S: a3 OK STORE completed
        """)

    def test_refused(self) -> None:
        self.transcript(r"""
            C: a1 STORE 1 +FLAGS (\Recent)
            S: a1 BAD ...
            C: a2 STORE 1 +FLAGS (\Wrong)
            S: a2 BAD ...
            C: a3 STORE 3 +FLAGS (\Seen)
            S: a3 BAD there is no message 3, the last one is 2
            C: a4 STORE 1 +INTERNALDATE (\Seen)
            S: a4 BAD ...
            C: a5 STORE 1 +FLAGS
            S: a5 BAD ...
        """)

    def test_too_many_flags(self) -> None:
        flags = " ".join(f"k{n}" for n in range(self.limits.flags_per_message + 1))
        self.transcript(f"""
            C: a1 STORE 1 FLAGS ({flags})
            S: a1 NO [LIMIT] ...
        """)


class ExpungeTests(IMAPCase):
    selected = "INBOX"

    def setUp(self) -> None:
        super().setUp()
        for flags in ([DELETED], [], [DELETED], [DELETED]):
            self.deliver("INBOX", MESSAGE, flags=flags)

    def test_each_number_counts_after_the_ones_before_it(self) -> None:
        self.transcript("""
            C: a1 EXPUNGE
            S: * 4 EXPUNGE
            S: * 3 EXPUNGE
            S: * 1 EXPUNGE
            S: a1 OK EXPUNGE completed
            C: a2 EXPUNGE
            S: a2 OK EXPUNGE completed
            C: a3 FETCH 1:* UID
            S: * 1 FETCH (UID 2)
            S: a3 OK ...
        """)

    def test_by_uid(self) -> None:
        self.transcript("""
            C: a1 UID EXPUNGE 2:3
            S: * 3 EXPUNGE
            S: a1 OK EXPUNGE completed
            C: a2 UID EXPUNGE *
            S: * 3 EXPUNGE
            S: a2 OK EXPUNGE completed
            C: a3 UID EXPUNGE 99
            S: a3 OK EXPUNGE completed
        """)


class CopyTests(IMAPCase):
    selected = "INBOX"

    def setUp(self) -> None:
        super().setUp()
        self.deliver("INBOX", MESSAGE, flags=[SEEN, "Work"])
        self.deliver("INBOX", MESSAGE)
        self.deliver("Trash", MESSAGE)
        self.validity = self.do("status", "Trash").uidvalidity

    def test_copy(self) -> None:
        self.transcript(rf"""
            C: a1 COPY 1:2 Trash
            S: a1 OK [COPYUID {self.validity} 1:2 2:3] COPY completed
            C: a2 UID COPY 2 Trash
            S: a2 OK [COPYUID {self.validity} 2 4] COPY completed
            C: a3 EXAMINE Trash
            S: ...
            S: a3 OK ...
            C: a4 FETCH 2 FLAGS
            S: * 2 FETCH (FLAGS (\Recent \Seen Work))
            S: a4 OK ...
        """)

    def test_into_itself(self) -> None:
        self.transcript("""
            C: a1 COPY 1 INBOX
            S: * 3 EXISTS
            S: * 3 RECENT
            S: a1 OK [COPYUID ... 1 3] COPY completed
        """)

    def test_mailbox_that_is_not_there(self) -> None:
        self.transcript("""
            C: a1 COPY 1 Nowhere
            S: a1 NO [TRYCREATE] there is no such mailbox
            C: a2 MOVE 1 Nowhere
            S: a2 NO [TRYCREATE] there is no such mailbox
            C: a3 UID MOVE 1 Nowhere
            S: a3 NO [TRYCREATE] there is no such mailbox
        """)

    def test_messages_that_are_not_there(self) -> None:
        self.transcript("""
            C: a1 COPY 3 Trash
            S: a1 BAD there is no message 3, the last one is 2
            C: a2 UID COPY 3 Trash
            S: a2 OK COPY completed: no messages
            C: a3 UID MOVE 3 Trash
            S: a3 OK MOVE completed: no messages
        """)

    def test_move_tells_the_uids_before_the_numbers_change(self) -> None:
        self.transcript(f"""
            C: a1 MOVE 1:2 Trash
            S: * OK [COPYUID {self.validity} 1:2 2:3] moved
            S: * 2 EXPUNGE
            S: * 1 EXPUNGE
            S: a1 OK MOVE completed
        """)

    def test_uid_move(self) -> None:
        self.transcript(f"""
            C: a1 UID MOVE 1 Trash
            S: * OK [COPYUID {self.validity} 1 2] moved
            S: * 1 EXPUNGE
            S: a1 OK MOVE completed
            C: a2 FETCH 1 UID
            S: * 1 FETCH (UID 2)
            S: a2 OK ...
        """)

    def test_move_into_itself(self) -> None:
        self.transcript("""
            C: a1 MOVE 1 INBOX
            S: * OK [COPYUID ... 1 3] moved
            S: * 1 EXPUNGE
            S: * 2 EXISTS
            S: * 2 RECENT
            S: a1 OK MOVE completed
        """)

    def test_failed_refresh_does_not_hide_that_the_messages_are_copied(self) -> None:
        self.client()
        for error in (Unavailable("away"), MailboxGone("gone")):
            mend = self.break_(MemoryMailbox, "refresh", error)
            self.assertIn("a1 OK [COPYUID", self.client().say("a1 COPY 1 Trash")[0])
            mend()


class PiecesTests(IMAPCase):
    """RFC 6851 §3.3: a MOVE may fail on its way; so may a STORE of very many."""

    selected = "INBOX"
    limits = Limits(messages_per_change=1)

    def setUp(self) -> None:
        super().setUp()
        self.deliver("Trash", MESSAGE)
        self.deliver("INBOX", MESSAGE, flags=[SEEN])
        self.deliver("INBOX", MESSAGE)
        self.validity = self.do("status", "Trash").uidvalidity

    def test_very_many_are_changed_in_pieces_and_told_once(self) -> None:
        store = MemoryMailbox.store

        async def in_pieces(mailbox: MemoryMailbox, uids: Any, change: Any) -> StoreResult:
            one = await store(mailbox, uids[:1], change)
            other = await store(mailbox, uids[1:], change)
            changed = [*one.changed, *other.changed]
            return StoreResult(other.modseq, changed, (), earlier=[one.modseq])

        self.patch(MemoryMailbox, "store", in_pieces)
        self.transcript(r"""
            C: a1 STORE 1:2 +FLAGS (\Flagged)
            S: * 1 FETCH (FLAGS (\Recent \Flagged \Seen))
            S: * 2 FETCH (FLAGS (\Recent \Flagged))
            S: a1 OK STORE completed
            C: a2 STORE 1:2 +FLAGS.SILENT (\Draft)
            S: a2 OK STORE completed
            C: a3 NOOP
            S: a3 OK ...
        """)

    def test_what_was_changed_before_a_failure_is_news(self) -> None:
        store = MemoryMailbox.store

        async def failing(mailbox: MemoryMailbox, uids: Any, change: Any) -> StoreResult:
            await store(mailbox, uids[:1], change)
            raise Unavailable("away")

        self.patch(MemoryMailbox, "store", failing)
        self.transcript(r"""
            C: a1 STORE 1:2 +FLAGS.SILENT (\Flagged)
            S: a1 NO [UNAVAILABLE] away
            C: a2 NOOP
            S: * 1 FETCH (FLAGS (\Recent \Flagged \Seen))
            S: a2 OK ...
        """)

    def test_very_many_are_moved_in_pieces_and_told_at_once(self) -> None:
        self.transcript(f"""
            C: a1 MOVE 1:2 Trash
            S: * OK [COPYUID {self.validity} 1:2 2:3] moved
            S: * 2 EXPUNGE
            S: * 1 EXPUNGE
            S: a1 OK MOVE completed
        """)

    def test_what_was_moved_before_a_failure_is_told(self) -> None:
        move = MemoryMailbox.move

        async def failing(mailbox: MemoryMailbox, uids: Any, destination: str) -> CopyResult:
            if uids == [2]:
                raise Unavailable("away")
            return await move(mailbox, uids, destination)

        self.patch(MemoryMailbox, "move", failing)
        self.transcript(f"""
            C: a1 MOVE 1:2 Trash
            S: * OK [COPYUID {self.validity} 1 2] moved
            S: * 1 EXPUNGE
            S: a1 NO [UNAVAILABLE] away
            C: a2 UID SEARCH ALL
            S: * SEARCH 2
            S: a2 OK ...
        """)


class SearchTests(IMAPCase):
    selected = "INBOX"

    def setUp(self) -> None:
        super().setUp()
        self.deliver("INBOX", b"Subject: nothing\r\n\r\nbody\r\n", flags=[SEEN])
        self.deliver("INBOX", b"Subject: =?utf-8?q?Gr=C3=BC=C3=9Fe?=\r\n\r\nx\r\n", flags=["Work"])
        self.deliver("INBOX", b"X: y\r\n\r\n" + b"z" * 1000)
        self.do_expunge(1)

    def do_expunge(self, uid: int) -> None:
        """So that numbers and UIDs are not the same."""
        self.client().say(f"z1 UID STORE {uid} +FLAGS (\\Deleted)")
        self.client().say("z2 EXPUNGE")

    def test_numbers_and_uids(self) -> None:
        self.transcript(r"""
            C: a1 SEARCH ALL
            S: * SEARCH 1 2
            S: a1 OK SEARCH completed
            C: a2 UID SEARCH ALL
            S: * SEARCH 2 3
            S: a2 OK SEARCH completed
            C: a3 SEARCH UID 2
            S: * SEARCH 1
            S: a3 OK ...
            C: a4 UID SEARCH 2:*
            S: * SEARCH 3
            S: a4 OK ...
            C: a5 UID SEARCH NOT 1
            S: * SEARCH 3
            S: a5 OK ...
            C: a6 UID SEARCH UID 9:*
            S: * SEARCH 3
            S: a6 OK ...
        """)

    def test_nothing_found(self) -> None:
        self.transcript("""
            C: a1 SEARCH SEEN
            S: * SEARCH
            S: a1 OK SEARCH completed
            C: a2 SEARCH 77
            S: * SEARCH
            S: a2 OK SEARCH completed
        """)

    def test_keys_of_every_kind(self) -> None:
        self.transcript("""
            C: a1 SEARCH KEYWORD work OR (LARGER 2 SMALLER 100) SUBJECT x NEW
            S: * SEARCH 1
            S: a1 OK ...
            C: a2 SEARCH RECENT
            S: * SEARCH 1 2
            S: a2 OK ...
            C: a3 SEARCH OLD
            S: * SEARCH
            S: a3 OK ...
            C: a4 SEARCH ON 3-Feb-2026 SINCE "1-Feb-2026" BEFORE 1-Jan-2030
            S: * SEARCH 1 2
            S: a4 OK ...
            C: a5 SEARCH TEXT zzz HEADER X ""
            S: * SEARCH 2
            S: a5 OK ...
        """)

    def test_charsets_and_literals(self) -> None:
        client = self.client()
        for name, text in (("UTF-8", "GRÜẞE"), ("ISO-8859-1", "grüße"), ("utf-8", "ü")):
            octets = text.encode(name)
            client.send(b"a1 SEARCH CHARSET %b SUBJECT {%d}\r\n" % (name.encode(), len(octets)))
            self.assertEqual(client.heard(), b"+ go ahead\r\n")
            client.send(octets + b" ALL\r\n")
            self.assertEqual(client.heard(), b"* SEARCH 1\r\na1 OK SEARCH completed\r\n")

    def test_charset_that_is_not_known(self) -> None:
        self.transcript("""
            C: a1 SEARCH CHARSET KLINGON TEXT x
            S: a1 NO [BADCHARSET (US-ASCII UTF-8 ...)] charset is not supported
            C: a2 SEARCH CHARSET US-ASCII TEXT {2+}
            C: ü
            S: a2 BAD the string is not in the charset of the search...
        """)

    def test_refused(self) -> None:
        self.transcript("""
            C: a1 SEARCH
            S: a1 BAD ...
            C: a2 SEARCH FROB
            S: a2 BAD FROB is no search key...
            C: a3 SEARCH (ALL
            S: a3 BAD ...
            C: a4 SEARCH ON 31-Feb-2026
            S: a4 BAD ...
        """)

    def test_depth_has_a_bound(self) -> None:
        deep = "NOT " * Limits().search_depth
        self.transcript(f"""
            C: a1 SEARCH {deep}ALL
            S: a1 BAD a search has 64 levels at most...
        """)

    def test_empty_mailbox(self) -> None:
        self.transcript("""
            C: a0 SELECT Junk
            S: ...
            S: a0 OK ...
            C: a1 SEARCH 1:* NOT UID 1:* OR RECENT *
            S: * SEARCH
            S: a1 OK ...
        """)
