"""UPDATE (RFC 1939 §6): what was marked goes in QUIT and nowhere else, all of it or none, but of very many."""

from __future__ import annotations

from typing import Any, ClassVar

from zope.interface import classImplementsOnly, implementedBy

from tests.pop3.transcript import FIRST, POP3Case
from twisted_duck import errors
from twisted_duck.interfaces import IMailbox
from twisted_duck.limits import Limits
from twisted_duck.memory import MemoryAccount
from twisted_duck.memory.mailbox import MemoryMailbox
from twisted_duck.names import INBOX
from twisted_duck.values import DELETED, FlagChange, UIDSet

AWAY = errors.Unavailable("the database is away")

DELETE_BOTH = """
    C: DELE 1
    S: +OK ...
    C: DELE 2
    S: +OK ...
    C: QUIT
    S: +OK until next time
    S: (closed)
"""


class UpdateCase(POP3Case):
    def failing_quit(self, answer: str) -> None:
        self.transcript(f"""
            C: DELE 1
            S: +OK ...
            C: DELE 2
            S: +OK ...
            C: QUIT
            S: {answer}
            S: (closed)
        """)


class DeleteTests(UpdateCase):
    def test_quit_removes_what_was_marked(self) -> None:
        self.transcript(DELETE_BOTH)
        self.assertEqual((self.count(), self.count("Trash")), (0, 0))
        self.assertEqual(self.client().protocol.session.state, "UPDATE")
        self.assertEqual(self.client().protocol.session.closeReason, "logout")

    def test_what_is_not_marked_stays_also_if_another_client_flagged_it(self) -> None:
        mailbox = self.do("select", INBOX, False)
        self.run_(mailbox.store([1], FlagChange("add", frozenset({DELETED}))))
        self.transcript("""
            C: STAT
            S: +OK 2 81
            C: DELE 2
            S: +OK ...
            C: QUIT
            S: +OK ...
        """)
        self.assertEqual(self.flags(), [frozenset({DELETED})])

    def test_rset_takes_all_marks_back(self) -> None:
        self.transcript("""
            C: DELE 1
            S: +OK ...
            C: RSET
            S: +OK ...
            C: DELE 2
            S: +OK ...
            C: QUIT
            S: +OK ...
        """)
        self.assertEqual(list(self.do("select", INBOX, True).index.uids), [1])

    def test_without_quit_nothing_goes(self) -> None:
        self.client().say("DELE 1")
        self.client().disconnect()
        self.assertEqual((self.count(), self.flags()[0]), (2, frozenset()))
        self.assertEqual(self.client().protocol.session.closeReason, "the client closed it")

    def test_without_marks_quit_asks_nothing_of_the_store(self) -> None:
        for method in ("store", "remove", "refresh"):
            self.break_(MemoryMailbox, method, AssertionError(method))
        self.transcript("""
            C: QUIT
            S: +OK ...
            S: (closed)
        """)

    def test_the_answer_comes_when_it_is_done(self) -> None:
        held = self.hold(MemoryMailbox, "remove")
        client = self.client()
        client.say("DELE 1")
        self.assertEqual(client.say("QUIT"), [])
        # However long it takes: a command is worked on.
        self.clock.advance(3600)
        self.assertFalse(client.transport.closed)
        held.let_go()
        self.assertEqual(client.heard(), b"+OK until next time\r\n")
        self.assertEqual(self.count(), 1)

    def test_a_client_that_leaves_during_update_changes_nothing_of_it(self) -> None:
        held = self.hold(MemoryMailbox, "remove")
        client = self.client()
        client.say("DELE 1")
        client.say("QUIT")
        done = self.factory.shutDown()
        client.disconnect()
        self.assertNoResult(done)
        held.let_go()
        self.successResultOf(done)
        self.assertEqual(self.count(), 1)

    def test_what_others_have_expunged_meanwhile_does_not_matter(self) -> None:
        self.client()
        mailbox = self.do("select", INBOX, False)
        self.run_(mailbox.store([1], FlagChange("add", frozenset({DELETED}))))
        self.run_(mailbox.expunge(UIDSet.of([1])))
        self.transcript(DELETE_BOTH)
        self.assertEqual(self.count(), 0)


class FailureTests(UpdateCase):
    def test_nothing_was_changed(self) -> None:
        self.break_(MemoryMailbox, "remove", AWAY)
        self.failing_quit("-ERR [SYS/TEMP] nothing was deleted: the database is away")
        self.assertEqual(self.flags(), [frozenset(), frozenset()])

    def test_nobody_is_told_what_nobody_knows(self) -> None:
        self.break_(MemoryMailbox, "remove", errors.Unsettled("not known whether it was made"))
        self.transcript("""
            C: DELE 1
            S: +OK ...
            C: QUIT
            S: (closed)
        """)

    def test_it_is_one_change(self) -> None:
        """There is no moment at which some of them are gone, or marked for whoever expunges next."""
        modseq = self.do("select", INBOX, True).index.highest_modseq
        self.break_(MemoryMailbox, "store", AssertionError("flags were set"))
        self.transcript(DELETE_BOTH)
        self.assertEqual(self.do("select", INBOX, True).index.highest_modseq, modseq + 1)

    def test_a_bug_is_logged_and_not_told(self) -> None:
        self.break_(MemoryMailbox, "remove", ValueError("secret"))
        self.failing_quit(
            "-ERR [SYS/TEMP] nothing was deleted: something is broken on our side; ..."
        )
        self.assertEqual(self.flags(), [frozenset(), frozenset()])
        self.assertEqual(len(self.flushLoggedErrors(ValueError)), 1)


class ManyTests(UpdateCase):
    """More than one change takes: what was done before one that fails is not said to be undone."""

    limits = Limits(messages_per_change=1)

    def test_not_all(self) -> None:
        self.break_(MemoryMailbox, "remove", AWAY)
        self.failing_quit("-ERR [SYS/TEMP] not all was deleted: the database is away")

    def test_one_is_all_or_nothing(self) -> None:
        self.break_(MemoryMailbox, "remove", AWAY)
        self.transcript("""
            C: DELE 1
            S: +OK ...
            C: QUIT
            S: -ERR [SYS/TEMP] nothing was deleted: the database is away
            S: (closed)
        """)


class ManyToTrashTests(UpdateCase):
    limits = Limits(messages_per_change=1)
    options: ClassVar[dict[str, Any]] = {"cleartextAuth": "always", "deleteAction": "trash"}

    def test_they_are_moved_in_pieces(self) -> None:
        original, moved = MemoryMailbox.move, []

        async def move(mailbox: MemoryMailbox, uids: Any, destination: str) -> Any:
            moved.append(list(uids))
            return await original(mailbox, uids, destination)

        self.patch(MemoryMailbox, "move", move)
        self.transcript(DELETE_BOTH)
        self.assertEqual(moved, [[1], [2]])
        self.assertEqual((self.count(), self.count("Trash")), (0, 2))

    def test_where_one_fails_those_before_it_are_there(self) -> None:
        original, moved = MemoryMailbox.move, []

        async def move(mailbox: MemoryMailbox, uids: Any, destination: str) -> Any:
            if moved:
                raise AWAY
            moved.append(list(uids))
            return await original(mailbox, uids, destination)

        self.patch(MemoryMailbox, "move", move)
        self.failing_quit("-ERR [SYS/TEMP] not all was deleted: the database is away")
        self.assertEqual((self.count(), self.count("Trash")), (1, 1))


class TrashTests(UpdateCase):
    options: ClassVar[dict[str, Any]] = {"cleartextAuth": "always", "deleteAction": "trash"}

    def test_marked_messages_are_moved(self) -> None:
        self.transcript(DELETE_BOTH)
        self.assertEqual((self.count(), self.count("Trash")), (0, 2))

    def test_to_the_mailbox_that_is_trash_whatever_its_name(self) -> None:
        self.do("rename", "Trash", "Papierkorb")
        self.transcript(DELETE_BOTH)
        self.assertEqual((self.count(), self.count("Papierkorb")), (0, 2))

    def test_one_is_made_where_there_is_none(self) -> None:
        self.do("delete", "Trash")
        self.transcript(DELETE_BOTH)
        self.assertEqual((self.count(), self.count("Trash")), (0, 2))

    def test_another_session_may_make_it_first(self) -> None:
        self.do("delete", "Trash")
        original = MemoryAccount.create

        async def create(account: MemoryAccount, name: str) -> None:
            await original(account, name)
            await original(account, name)

        self.patch(MemoryAccount, "create", create)
        self.transcript(DELETE_BOTH)
        self.assertEqual((self.count(), self.count("Trash")), (0, 2))

    def test_a_message_that_goes_at_the_last_moment_is_left_out(self) -> None:
        original, calls = MemoryMailbox.move, []

        async def move(mailbox: MemoryMailbox, uids: Any, destination: str) -> Any:
            calls.append(list(uids))
            if len(calls) == 1:
                await mailbox.store([1], FlagChange("add", frozenset({DELETED})))
                await mailbox.expunge()
            return await original(mailbox, uids, destination)

        self.patch(MemoryMailbox, "move", move)
        self.transcript(DELETE_BOTH)
        self.assertEqual(calls, [[1, 2], [2]])
        self.assertEqual((self.count(), self.count("Trash")), (0, 1))

    def test_it_is_not_tried_for_ever(self) -> None:
        self.break_(MemoryMailbox, "move", errors.Refused("some do not exist any more"))
        self.failing_quit("-ERR [IN-USE] nothing was deleted: ...")
        self.assertEqual(self.count(), 2)

    def test_failure_leaves_everything_as_it_was(self) -> None:
        self.break_(MemoryMailbox, "move", AWAY)
        self.failing_quit("-ERR [SYS/TEMP] nothing was deleted: the database is away")
        self.assertEqual((self.count(), self.count("Trash")), (2, 0))

    def test_a_mailbox_that_cannot_move_copies(self) -> None:
        interfaces = list(implementedBy(MemoryMailbox))
        classImplementsOnly(MemoryMailbox, IMailbox)
        self.addCleanup(classImplementsOnly, MemoryMailbox, *interfaces)
        self.break_(MemoryMailbox, "move", AssertionError("moved"))
        self.transcript(DELETE_BOTH)
        self.assertEqual((self.count(), self.count("Trash")), (0, 2))

    def test_all_of_them_gone_already(self) -> None:
        self.client()
        mailbox = self.do("select", INBOX, False)
        self.run_(mailbox.store([1, 2], FlagChange("add", frozenset({DELETED}))))
        self.run_(mailbox.expunge())
        self.deliver(INBOX, FIRST)
        self.transcript(DELETE_BOTH)
        self.assertEqual((self.count(), self.count("Trash")), (1, 0))
