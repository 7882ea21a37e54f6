"""SELECT of a mailbox that is known as it was a moment ago: the answer waits for nobody, and all that follows it is exact."""

from __future__ import annotations

from twisted.internet.defer import Deferred
from zope.interface import classImplements, classImplementsOnly, implementedBy

from tests.imap.transcript import IMAPCase
from tests.transcript import Client
from twisted_duck import errors
from twisted_duck.interfaces import IRecallingAccount
from twisted_duck.memory.account import MemoryAccount
from twisted_duck.memory.mailbox import MemoryMailbox

MESSAGE = b"Subject: it\r\n\r\nis here\r\n"


def recall(account: MemoryAccount, name: str, readonly: bool) -> MemoryMailbox | None:
    user = account._user
    mailbox = user.mailboxes.get(name)
    return None if mailbox is None else MemoryMailbox(user, mailbox, readonly)


class RecalledTests(IMAPCase):
    def setUp(self) -> None:
        super().setUp()
        provided = list(implementedBy(MemoryAccount))
        classImplements(MemoryAccount, IRecallingAccount)
        self.addCleanup(classImplementsOnly, MemoryAccount, *provided)
        MemoryAccount.recall = recall  # type: ignore[attr-defined]
        self.addCleanup(delattr, MemoryAccount, "recall")
        self.deliver("INBOX", MESSAGE)
        self.asking = self.hold(MemoryMailbox, "refresh")

    def select(self, *more: str) -> list[str]:
        said = self.client().say(" ".join(["a SELECT INBOX", *more]))
        self.clock.advance(0.001)
        return said

    def test_it_is_answered_before_anybody_is_asked(self) -> None:
        said = self.client().say("a SELECT INBOX")
        self.assertIn("* 1 EXISTS", said)
        self.assertEqual(said[-1], "a OK [READ-WRITE] SELECT completed")
        self.assertEqual(self.asking.count, 0)
        self.clock.advance(0.001)
        self.assertEqual(self.asking.count, 1)

    def test_what_comes_at_once_waits_as_well(self) -> None:
        client = self.client()
        client.say("a SELECT INBOX")
        self.assertEqual(client.say("b UID FETCH 2 (FLAGS)"), [])
        self.deliver("INBOX", MESSAGE)
        self.clock.advance(0.001)
        self.assertEqual(self.asking.begun, 1)
        self.asking.let_go()
        self.clock.advance(0)
        self.assertIn(b"* 2 FETCH (UID 2 FLAGS (\\Recent))", client.heard())

    def test_of_what_is_left_at_once_nobody_is_asked(self) -> None:
        client = self.client()
        for leaving in ("SELECT Drafts", "EXAMINE Drafts", "UNSELECT", "LOGOUT"):
            client.say("a SELECT INBOX")
            self.assertTrue(client.say(f"b {leaving}")[-1].startswith("b OK"))
        self.clock.advance(0.001)
        self.assertEqual(self.asking.begun, 0)

    def test_nor_where_the_connection_is_lost_at_once(self) -> None:
        client = self.client()
        client.say("a SELECT INBOX")
        client.disconnect()
        self.clock.advance(0.001)
        self.assertEqual(self.asking.begun, 0)

    def test_what_comes_next_waits_and_sees_all(self) -> None:
        self.select()
        client = self.client()
        self.assertEqual(client.say("b UID FETCH 2 (FLAGS)"), [])
        self.deliver("INBOX", MESSAGE)
        self.asking.let_go()
        self.clock.advance(0)
        said = client.heard().decode().split("\r\n")
        self.assertEqual(
            said,
            [
                "* 2 EXISTS",
                "* 2 RECENT",
                "* 2 FETCH (UID 2 FLAGS (\\Recent))",
                "b OK FETCH completed",
                "",
            ],
        )

    def test_what_will_be_replaced_is_looked_for_in_what_is_so(self) -> None:
        client = self.client()
        client.say("a SELECT INBOX")
        self.deliver("INBOX", MESSAGE)
        self.assertEqual(client.say("b UID REPLACE 2 INBOX {4}"), [])
        self.asking.let_go()
        self.clock.advance(0)
        self.assertEqual(client.heard()[:12], b"* 2 EXISTS\r\n")
        self.assertEqual(client.say("x: y")[-1], "b OK REPLACE completed")
        self.assertEqual(self.asking.begun, 1)

    def test_numbers_do_not_move_before_it_is_known_what_comes_next(self) -> None:
        self.deliver("INBOX", MESSAGE, MESSAGE)
        self.select()
        client = self.client()
        self.assertEqual(client.say("b FETCH 3 (UID)"), [])
        mailbox = self.do("select", "INBOX", False)
        self.successResultOf(Deferred.fromCoroutine(mailbox.remove([1])))
        self.asking.let_go()
        self.clock.advance(0)
        said = client.heard().decode().split("\r\n")
        self.assertEqual(said, ["* 3 FETCH (UID 3)", "b OK FETCH completed", ""])

    def test_only_what_comes_next_waits(self) -> None:
        self.select()
        self.asking.let_go()
        client = self.client()
        for tag in ("b", "c"):
            self.assertEqual(client.say(f"{tag} UID SEARCH 1")[0], "* SEARCH 1")
        self.assertEqual(self.asking.begun, 1)

    def test_of_several_that_were_sent_ahead_the_last_one_is_asked_for(self) -> None:
        client = self.client()
        client.send(b"".join(b"s%d SELECT INBOX\r\n" % number for number in range(5)))
        self.assertIn(b"s4 OK", client.heard())
        self.clock.advance(0.001)
        self.assertEqual(self.asking.begun, 1)

    def test_what_is_asked_for_is_waited_for_whoever_leaves(self) -> None:
        client = self.client()
        for number in range(5):
            client.send(b"s SELECT INBOX\r\n")
            self.clock.advance(0.001)
            self.assertEqual((self.asking.count, self.asking.begun), (1, number + 1))
            self.assertIn(b"s OK", client.heard())
            client.send(b"s SELECT Drafts\r\n")
            self.assertEqual(client.heard(), b"")
            self.asking.let_go()
            self.assertIn(b"s OK", client.heard())

    def test_a_mailbox_that_has_gone_ends_the_connection(self) -> None:
        self.select()
        mailbox = self.store.account("alice")._user.mailboxes["INBOX"]
        mailbox.gone = True
        client = self.client()
        client.say("b UID FETCH 1 (FLAGS)")
        self.asking.let_go()
        self.assertEqual(client.heard(), b"* BYE the selected mailbox was deleted, or renamed\r\n")
        self.assertTrue(client.transport.closed)

    def test_so_does_one_that_has_another_name(self) -> None:
        self.do("create", "box")
        for command in ("UID FETCH 1:* (FLAGS)", "NOOP", "IDLE", "STATUS box (MESSAGES)"):
            client = Client(self.factory)
            self.enter(client)
            client.say("a SELECT box")
            self.clock.advance(0.001)
            self.do("rename", "box", "other")
            self.do("create", "box")
            client.heard()
            client.say(f"b {command}")
            self.asking.let_go()
            said = client.heard()
            self.assertEqual(said, b"* BYE the selected mailbox was deleted, or renamed\r\n")
            client.disconnect()
            self.do("delete", "other")

    def test_who_goes_on_to_another_mailbox_need_not_know(self) -> None:
        self.deliver("Drafts", MESSAGE, MESSAGE)
        self.select()
        self.store.account("alice")._user.mailboxes["INBOX"].gone = True
        client = self.client()
        self.assertEqual(client.say("b SELECT Drafts"), [])
        self.asking.let_go()
        said = client.heard().decode()
        self.assertIn("* 2 EXISTS", said)
        self.assertIn("b OK [READ-WRITE] SELECT completed", said)

    def test_nor_who_leaves_it(self) -> None:
        self.select()
        self.store.account("alice")._user.mailboxes["INBOX"].gone = True
        client = self.client()
        client.say("b UNSELECT")
        self.asking.let_go()
        self.assertEqual(client.heard(), b"b OK UNSELECT completed\r\n")

    def test_nor_is_anybody_asked_again_who_could_not_be(self) -> None:
        client = self.client()
        for leaving in ("SELECT Drafts", "EXAMINE Drafts", "UNSELECT", "LOGOUT"):
            mend = self.break_(MemoryMailbox, "refresh", errors.Unavailable("the database is away"))
            self.select()
            mend()
            self.assertTrue(client.say(f"b {leaving}")[-1].startswith("b OK"))
            self.assertEqual(self.asking.begun, 0)

    def test_what_is_left_is_not_told_of(self) -> None:
        self.select()
        self.deliver("INBOX", MESSAGE)
        client = self.client()
        client.say("b EXAMINE Drafts")
        self.asking.let_go()
        self.assertNotIn(b"* 2 EXISTS", client.heard())

    def test_for_who_is_sent_away_meanwhile_nothing_is_done(self) -> None:
        self.select()
        client = self.client()
        client.say("b STORE 1 +FLAGS (\\Deleted)")
        client.protocol.goodbye("it is late")
        self.asking.let_go()
        self.assertEqual(client.heard(), b"* BYE it is late\r\n")
        index = self.do("select", "INBOX", True).index
        self.assertEqual(index.flags(1), frozenset())

    def test_who_leaves_does_not_wait(self) -> None:
        self.select()
        client = self.client()
        said = client.say("b LOGOUT")
        self.assertEqual(said[-1], "b OK LOGOUT completed")
        self.assertTrue(client.transport.closed)
        self.asking.let_go()

    def test_that_nobody_could_be_asked_then_is_no_failure_of_what_comes_later(self) -> None:
        mend = self.break_(MemoryMailbox, "refresh", errors.Unavailable("the database is away"))
        self.select()
        mend()
        client = self.client()
        self.assertEqual(client.say("b UID SEARCH ALL"), [])
        self.asking.let_go()
        self.assertEqual(client.heard(), b"* SEARCH 1\r\nb OK SEARCH completed\r\n")

    def test_nor_where_something_is_broken(self) -> None:
        mend = self.break_(MemoryMailbox, "refresh", ValueError("broken"))
        self.select()
        client = self.client()
        for _ in range(2):
            [said] = client.say("b UID SEARCH ALL")
            self.assertIn("b NO [SERVERBUG]", said)
        self.assertEqual(len(self.flushLoggedErrors(ValueError)), 2)
        mend()
        client.say("c UID SEARCH ALL")
        self.asking.let_go()
        self.assertIn(b"c OK", client.heard())

    def test_where_nobody_can_be_asked_nothing_is_said_that_may_not_be_so(self) -> None:
        mend = self.break_(MemoryMailbox, "refresh", errors.Unavailable("the database is away"))
        self.select()
        client = self.client()
        away = "NO [UNAVAILABLE] the database is away"
        for command in ("UID SEARCH ALL", "UID FETCH 1:* (FLAGS)", "STORE 1 +FLAGS (x)", "NOOP"):
            self.assertEqual(client.say(f"b {command}"), [f"b {away}"])
        self.assertEqual(client.say('c LIST "" INBOX')[-1], "c OK LIST completed")
        self.deliver("INBOX", MESSAGE)
        mend()
        client.say("d UID SEARCH ALL")
        self.asking.let_go()
        said = client.heard().decode().split("\r\n")
        self.assertIn("* SEARCH 1 2", said)

    def test_a_connection_that_is_lost_meanwhile_leaves_the_mailbox(self) -> None:
        self.select()
        closed = []
        original = MemoryMailbox.close

        async def close(mailbox: MemoryMailbox) -> None:
            closed.append(mailbox)
            await original(mailbox)

        self.patch(MemoryMailbox, "close", close)
        self.client().disconnect()
        self.assertEqual(len(closed), 1)
        self.asking.let_go()

    def test_who_brings_a_cache_up_to_date_is_told_what_is_exact(self) -> None:
        opened = self.hold(MemoryAccount, "select")
        client = self.client()
        client.say("e ENABLE QRESYNC")
        self.assertEqual(self.select("(QRESYNC (1 1))"), [])
        self.assertEqual(opened.count, 1)
        opened.let_go()
        self.assertIn(b"a OK [READ-WRITE]", client.heard())
        self.assertEqual(self.asking.begun, 0)

    def test_what_is_not_known_is_asked_for(self) -> None:
        self.patch(MemoryAccount, "recall", lambda account, name, readonly: None)
        self.assertIn("* 1 EXISTS", self.select())
        self.assertEqual(self.asking.begun, 0)

    def test_there_need_be_no_such_mailbox(self) -> None:
        self.transcript("""
            C: a SELECT nowhere
            S: a NO [NONEXISTENT] there is no such mailbox
        """)
