"""Extensions together: what each of them tells a client that has enabled CONDSTORE, QRESYNC, both or neither, with and
without IMAP4rev2.

In each test somebody else flags message 4 and expunges message 2 while the client looks at INBOX.  RFC 7162 §3.2.4 adds
UID and MODSEQ to every FETCH, §3.2.10 has VANISHED for EXPUNGE, RFC 9051 has ESEARCH for SEARCH and no \\Recent; and no
extension may move a message number during a command that has any (RFC 3501 §7.4.1, RFC 5256 §3).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import attrs

from tests.imap.transcript import IMAPCase

MESSAGE: Final = (
    b"From: Eve <eve@x>\r\nSubject: =?utf-8?q?=C3=84pfel?=\r\nMessage-ID: <%d@x>\r\n\r\nA pear\r\n"
)
FLAGGED, DELETED = r"\Flagged", r"\Deleted"


def lines(*said: str) -> str:
    """Several lines where a transcript has `S: {...}`."""
    return "\nS: ".join(said)


@attrs.frozen
class Told:
    """What a client is told that has enabled some extensions."""

    enable: str
    modseqs: bool = False
    vanishes: bool = False
    rev2: bool = False

    def fetched(self, number: int, uid: int, items: str, modseq: int) -> str:
        """Because it asked."""
        return f"* {number} FETCH ({f'UID {uid} {items} MODSEQ ({modseq})' if self.modseqs else items})"

    def uid_fetched(self, number: int, uid: int, items: str, modseq: int) -> str:
        """Because it asked by UID."""
        return (
            f"* {number} FETCH (UID {uid} {items}{f' MODSEQ ({modseq})' if self.modseqs else ''})"
        )

    def changed(self, number: int, uid: int, flags: str, modseq: int) -> str:
        """Without having asked."""
        if self.modseqs or self.rev2:
            return self.uid_fetched(number, uid, f"FLAGS ({flags})", modseq)
        return f"* {number} FETCH (FLAGS ({flags}))"

    def flagged_at(self, number: int) -> str:
        """Somebody flagged the message of UID 4."""
        return self.changed(number, 4, FLAGGED, 6)

    @property
    def flagged(self) -> str:
        """That, while message 2 can't be told to be gone yet."""
        return lines(self.flagged_at(4), *self._not_all_known)

    @property
    def known_flagged(self) -> str:
        """The same, for who has asked."""
        return lines(self.fetched(4, 4, f"FLAGS ({FLAGGED})", 6), *self._not_all_known)

    @property
    def _not_all_known(self) -> tuple[str, ...]:
        return ("* OK [HIGHESTMODSEQ 5] known",) if self.vanishes else ()

    @property
    def flagged_and_gone(self) -> str:
        return lines(self.gone(2, 2), self.flagged_at(3))

    @property
    def both_gone(self) -> str:
        """Messages 2 and 3."""
        return "* VANISHED 2:3" if self.vanishes else lines("* 3 EXPUNGE", "* 2 EXPUNGE")

    @property
    def first_modseq(self) -> str:
        """Where modseqs were not told before."""
        return "" if self.modseqs else "S: * OK [HIGHESTMODSEQ 5] highest modseq"

    @property
    def silently_stored(self) -> str:
        return "S: * 3 FETCH (UID 3 MODSEQ (9))" if self.modseqs else ""

    def gone(self, number: int, uid: int) -> str:
        return f"* VANISHED {uid}" if self.vanishes else f"* {number} EXPUNGE"

    def arrived(self, exists: int, recent: int) -> str:
        return lines(f"* {exists} EXISTS", *([] if self.rev2 else [f"* {recent} RECENT"]))

    @property
    def about_mailbox(self) -> str:
        """What SELECT tells of INBOX besides."""
        if self.rev2:
            return r'S: * LIST (\HasNoChildren) "/" INBOX'
        return "S: " + lines("* 0 RECENT", "* OK [UNSEEN 1] ...")

    def found(self, tag: str, numbers: str, ranges: str, *, uid: bool = False) -> str:
        """By a SEARCH that says nothing of RETURN."""
        if self.rev2:
            return f'* ESEARCH (TAG "{tag}"){" UID" if uid else ""} ALL {ranges}'
        return f"* SEARCH {numbers}"

    def code(self, modseq: int) -> str:
        """After messages have gone by the client's own command."""
        return f"[HIGHESTMODSEQ {modseq}] " if self.modseqs else ""


ALL: Final = (
    Told("X-NOTHING"),
    Told("CONDSTORE", modseqs=True),
    Told("QRESYNC", modseqs=True, vanishes=True),
    Told("CONDSTORE QRESYNC", modseqs=True, vanishes=True),
    Told("IMAP4rev2", rev2=True),
    Told("IMAP4rev2 CONDSTORE", modseqs=True, rev2=True),
    Told("IMAP4rev2 CONDSTORE QRESYNC", modseqs=True, vanishes=True, rev2=True),
)


class TogetherTests(IMAPCase):
    def with_each(self, script: Callable[[Told], str]) -> None:
        for told in ALL:
            with self.subTest(enabled=told.enable):
                self.setUp()
                for number in range(1, 5):
                    self.deliver("INBOX", MESSAGE % number)
                client, other = self.client(), self.client("2")
                for each in (other, client):
                    each.say("x2 SELECT INBOX")
                client.say(f"x3 ENABLE {told.enable}")
                other.say(r"y1 STORE 4 +FLAGS (\Flagged)")
                other.say(r"y2 STORE 2 +FLAGS.SILENT (\Deleted)")
                other.say("y3 EXPUNGE")
                # What was put in stands at the margin, and so must the others.
                self.transcript("\n".join(map(str.strip, script(told).splitlines())))
                for each in self.clients.values():
                    each.disconnect()

    # --- the selected mailbox -----------------------------------------------------------------------------------------

    def test_select(self) -> None:
        """Selected again, INBOX has nothing that is news."""
        self.with_each(
            lambda told: (
                rf"""
            C: a1 EXAMINE INBOX
            S: * OK [CLOSED] ...
            S: * FLAGS (...)
            S: * OK [PERMANENTFLAGS ()] ...
            S: * 3 EXISTS
            {told.about_mailbox}
            S: * OK [UIDVALIDITY ...
            S: * OK [UIDNEXT 5] ...
            S: * OK [HIGHESTMODSEQ 8] ...
            S: * OK [MAILBOXID (F...)] ...
            S: a1 OK [READ-ONLY] EXAMINE completed
            C: a2 FETCH 2:3 FLAGS
            S: {told.fetched(2, 3, "FLAGS ()", 4)}
            S: {told.fetched(3, 4, f"FLAGS ({FLAGGED})", 6)}
            S: a2 OK FETCH completed
            """
            )
        )

    def test_idle(self) -> None:
        self.with_each(
            lambda told: (
                rf"""
            C: a1 IDLE
            S: + idling
            S: {told.flagged_and_gone}
            C2: b1 STORE 1 +FLAGS.SILENT (\Deleted)
            S2: b1 OK ...
            S: {told.changed(1, 1, DELETED, 9)}
            C2: b2 EXPUNGE
            S2: * 1 EXPUNGE
            S2: b2 OK ...
            S: {told.gone(1, 1)}
            C: DONE
            S: a1 OK IDLE completed
            """
            )
        )

    # --- FETCH --------------------------------------------------------------------------------------------------------

    def test_preview(self) -> None:
        self.with_each(
            lambda told: (
                f"""
            C: a1 FETCH 1:3 (PREVIEW)
            S: {told.fetched(1, 1, 'PREVIEW "A pear"', 2)}
            S: {told.fetched(3, 3, 'PREVIEW "A pear"', 4)}
            S: {told.flagged}
            S: a1 OK [EXPUNGEISSUED] FETCH completed
            C: a2 UID FETCH 1:3 PREVIEW (LAZY)
            S: {told.uid_fetched(1, 1, 'PREVIEW "A pear"', 2)}
            S: {told.uid_fetched(3, 3, 'PREVIEW "A pear"', 4)}
            S: {told.gone(2, 2)}
            S: a2 OK [EXPUNGEISSUED] FETCH completed
            """
            )
        )

    def test_savedate(self) -> None:
        self.with_each(
            lambda told: (
                f"""
            C: a1 FETCH 1:2 (SAVEDATE)
            S: {told.fetched(1, 1, 'SAVEDATE "..."', 2)}
            S: {told.flagged}
            S: a1 OK [EXPUNGEISSUED] FETCH completed
            C: a2 SEARCH SAVEDATESUPPORTED
            S: {told.found("a2", "1 3 4", "1,3:4")}
            S: a2 OK SEARCH completed
            """
            )
        )

    def test_objectid(self) -> None:
        self.with_each(
            lambda told: (
                f"""
            C: a1 FETCH 2:3 (EMAILID THREADID)
            S: {told.fetched(3, 3, "EMAILID (M...) THREADID (T...)", 4)}
            S: {told.flagged}
            S: a1 OK [EXPUNGEISSUED] FETCH completed
            C: a2 SELECT Trash
            S: * OK [CLOSED] ...
            S: ...
            S: * OK [MAILBOXID (F...)] ...
            S: a2 OK [READ-WRITE] SELECT completed
            """
            )
        )

    def test_binary(self) -> None:
        r"""Without PEEK it sets \Seen, whose modseq comes with the flags."""
        self.with_each(
            lambda told: (
                rf"""
            C: a1 FETCH 2:3 BINARY.SIZE[1]
            S: {told.fetched(3, 3, "BINARY.SIZE[1] 8", 4)}
            S: {told.flagged}
            S: a1 OK [EXPUNGEISSUED] FETCH completed
            C: a2 UID FETCH 1 BINARY[1]<2.4>
            S: * 1 FETCH (FLAGS (\Seen) UID 1 BINARY[1]<2> {{4}}
            S: pear{" MODSEQ (9)" if told.modseqs else ""})
            S: {told.gone(2, 2)}
            S: a2 OK FETCH completed
            """
            )
        )

    def test_partial(self) -> None:
        self.with_each(
            lambda told: (
                f"""
            C: a1 SEARCH RETURN (PARTIAL -1:-2) ALL
            S: * ESEARCH (TAG "a1") PARTIAL (-1:-2 3:4)
            S: {told.flagged}
            S: a1 OK SEARCH completed
            C: a2 UID FETCH 1:* FLAGS (PARTIAL 1:2)
            S: {told.uid_fetched(1, 1, "FLAGS ()", 2)}
            S: {told.gone(2, 2)}
            S: a2 OK [EXPUNGEISSUED] FETCH completed
            C: a3 UID FETCH 1:* FLAGS (PARTIAL 1:2)
            S: {told.uid_fetched(1, 1, "FLAGS ()", 2)}
            S: {told.uid_fetched(2, 3, "FLAGS ()", 4)}
            S: a3 OK FETCH completed
            """
            )
        )

    # --- SEARCH, SORT, THREAD -----------------------------------------------------------------------------------------

    def test_search_and_within(self) -> None:
        self.with_each(
            lambda told: (
                f"""
            C: a1 SEARCH YOUNGER 4294967295
            S: {told.found("a1", "1 3 4", "1,3:4")}
            S: {told.flagged}
            S: a1 OK SEARCH completed
            C: a2 UID SEARCH YOUNGER 4294967295 1:3
            S: {told.found("a2", "1 3", "1,3", uid=True)}
            S: a2 OK SEARCH completed
            C: a3 UID SEARCH YOUNGER 4294967295
            S: {told.found("a3", "1 3 4", "1,3:4", uid=True)}
            S: {told.gone(2, 2)}
            S: a3 OK SEARCH completed
            """
            )
        )

    def test_i18nlevel(self) -> None:
        self.with_each(
            lambda told: (
                f"""
            C: a1 UID SEARCH SUBJECT "äPFEL"
            S: {told.found("a1", "1 3 4", "1,3:4", uid=True)}
            S: {told.flagged_and_gone}
            S: a1 OK SEARCH completed
            """
            )
        )

    def test_esearch_and_searchres(self) -> None:
        self.with_each(
            lambda told: (
                rf"""
            C: a1 SEARCH RETURN (MIN COUNT SAVE) ALL
            S: * ESEARCH (TAG "a1") MIN 1 COUNT 3
            S: {told.flagged}
            S: a1 OK SEARCH completed
            C: a2 FETCH $ FLAGS
            S: {told.fetched(1, 1, "FLAGS ()", 2)}
            S: {told.fetched(3, 3, "FLAGS ()", 4)}
            S: {told.known_flagged}
            S: a2 OK FETCH completed
            C: a3 UID SEARCH RETURN (MAX) $
            S: * ESEARCH (TAG "a3") UID MAX 4
            S: {told.gone(2, 2)}
            S: a3 OK SEARCH completed
            C: a4 SEARCH RETURN (ALL) $
            S: * ESEARCH (TAG "a4") ALL 1:3
            S: a4 OK SEARCH completed
            """
            )
        )

    def test_modseqs_in_searches(self) -> None:
        """Whoever asks for them has enabled CONDSTORE by that."""

        def script(told: Told) -> str:
            aware = attrs.evolve(told, modseqs=True)
            found = "* SEARCH 3 4 (MODSEQ 6)"
            if told.rev2:
                found = '* ESEARCH (TAG "a1") ALL 3:4 MODSEQ 6'
            return f"""
            C: a1 SEARCH MODSEQ 4
            {told.first_modseq}
            S: {found}
            S: {aware.flagged}
            S: a1 OK SEARCH completed
            C: a2 SORT (REVERSE ARRIVAL) UTF-8 MODSEQ 4
            S: * SORT 3 4 (MODSEQ 6)
            S: a2 OK SORT completed
            C: a3 UID SORT RETURN (ALL) (SUBJECT) UTF-8 MODSEQ 4
            S: * ESEARCH (TAG "a3") UID ALL 3:4 MODSEQ 6
            S: {told.gone(2, 2)}
            S: a3 OK SORT completed
            C: a4 THREAD ORDEREDSUBJECT UTF-8 MODSEQ 4
            S: * THREAD (2 3)
            S: a4 OK THREAD completed
            """

        self.with_each(script)

    def test_sort(self) -> None:
        """IMAP4rev2 says nothing of SORT: without RETURN it is answered by SORT."""
        self.with_each(
            lambda told: (
                f"""
            C: a1 SORT (DISPLAYFROM REVERSE DATE) UTF-8 SUBJECT "äpfel"
            S: * SORT 1 3 4
            S: {told.flagged}
            S: a1 OK SORT completed
            C: a2 UID SORT RETURN (COUNT) (SIZE) UTF-8 ALL
            S: * ESEARCH (TAG "a2") UID COUNT 3
            S: {told.gone(2, 2)}
            S: a2 OK SORT completed
            """
            )
        )

    def test_thread(self) -> None:
        self.with_each(
            lambda told: (
                f"""
            C: a1 THREAD REFERENCES UTF-8 ALL
            S: * THREAD ((1)(3)(4))
            S: {told.flagged}
            S: a1 OK THREAD completed
            C: a2 UID THREAD ORDEREDSUBJECT UTF-8 ALL
            S: * THREAD (1 (3)(4))
            S: {told.gone(2, 2)}
            S: a2 OK THREAD completed
            """
            )
        )

    # --- what changes a mailbox ---------------------------------------------------------------------------------------

    def test_multiappend(self) -> None:
        self.with_each(
            lambda told: (
                f"""
            C: a1 APPEND INBOX {{1+}}
            C: x {{1+}}
            C: y
            S: {told.gone(2, 2)}
            S: {told.arrived(5, 2)}
            S: {told.flagged_at(3)}
            S: a1 OK [APPENDUID ... 5:6] APPEND completed
            """
            )
        )

    def test_replace(self) -> None:
        self.with_each(
            lambda told: (
                f"""
            C: a1 REPLACE 2 INBOX {{70000}}
            S: a1 NO [EXPUNGEISSUED] ...
            C: a2 REPLACE 3 INBOX {{1+}}
            C: x
            S: * OK [APPENDUID ... 5] ...
            S: {told.arrived(5, 1)}
            S: {told.flagged_at(4)}
            S: {told.both_gone}
            S: a2 OK {told.code(9)}REPLACE completed
            """
            )
        )

    def test_move(self) -> None:
        self.with_each(
            lambda told: (
                f"""
            C: a1 MOVE 2:3 Trash
            S: a1 NO [EXPUNGEISSUED] ...
            C: a2 UID MOVE 2:3 Trash
            S: * OK [COPYUID ... 3 1] moved
            S: {told.both_gone}
            S: {told.flagged_at(2)}
            S: a2 OK {told.code(9)}MOVE completed
            """
            )
        )

    def test_uid_expunge(self) -> None:
        self.with_each(
            lambda told: (
                rf"""
            C: a1 UID STORE 3 +FLAGS.SILENT (\Deleted)
            S: {told.changed(4, 4, FLAGGED, 6)}
            {told.silently_stored}
            S: {told.gone(2, 2)}
            S: a1 OK STORE completed
            C: a2 UID EXPUNGE 1:3
            S: {told.gone(2, 3)}
            S: a2 OK {told.code(10)}EXPUNGE completed
            C: a3 UID EXPUNGE 1:3
            S: a3 OK EXPUNGE completed
            """
            )
        )

    # --- mailboxes ----------------------------------------------------------------------------------------------------

    def test_lists_and_status(self) -> None:
        """HIGHESTMODSEQ in a STATUS enables CONDSTORE; of INBOX it counts what the client was not told of."""
        size = 3 * len(MESSAGE % 1)
        self.with_each(
            lambda told: (
                rf"""
            C: a1 LIST (SUBSCRIBED) "" (INBOX "S%") RETURN (SPECIAL-USE STATUS (MESSAGES SIZE DELETED))
            S: * LIST (\HasNoChildren \Subscribed) "/" INBOX
            S: * STATUS INBOX (MESSAGES 3 SIZE {size} DELETED 0)
            S: * LIST (\HasNoChildren \Subscribed \Sent) "/" Sent
            S: * STATUS Sent (MESSAGES 0 SIZE 0 DELETED 0)
            S: a1 OK LIST completed
            C: a2 LIST "" INBOX RETURN (STATUS (HIGHESTMODSEQ))
            {told.first_modseq}
            S: * LIST (\HasNoChildren) "/" INBOX
            S: * STATUS INBOX (HIGHESTMODSEQ 8)
            S: a2 OK LIST completed
            C: a3 XLIST "" S%
            S: * XLIST (\HasNoChildren \Sent) "/" Sent
            S: a3 OK XLIST completed
            """
            )
        )

    def test_create_special_use(self) -> None:
        self.with_each(
            lambda told: (
                r"""
            C: a1 CREATE Outbox (USE (\Sent))
            S: a1 NO [USEATTR] ...
            C: a2 DELETE Sent
            S: a2 OK ...
            C: a3 CREATE Outbox (USE (\Sent))
            S: a3 OK [MAILBOXID (F...)] CREATE completed
            C: a4 LIST (SPECIAL-USE) "" O%
            S: * LIST (\HasNoChildren \Sent) "/" Outbox
            S: a4 OK LIST completed
            """
            )
        )

    def test_quota(self) -> None:
        """Somebody without a quota has no quota root."""
        self.with_each(
            lambda told: (
                """
            C: a1 GETQUOTAROOT INBOX
            S: * QUOTAROOT INBOX
            S: a1 OK GETQUOTAROOT completed
            C: a2 GETQUOTA ""
            S: a2 NO [NONEXISTENT] ...
            C: a3 STATUS INBOX (DELETED-STORAGE)
            S: * STATUS INBOX (DELETED-STORAGE 0)
            S: a3 OK STATUS completed
            """
            )
        )
