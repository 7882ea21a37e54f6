"""An application's own maildrops, of avatars that have nothing else, served by our POP3."""

from __future__ import annotations

from collections.abc import Callable
from io import BytesIO
from typing import Any, ClassVar

from attrs import evolve
from twisted.cred.checkers import InMemoryUsernamePasswordDatabaseDontUse
from twisted.cred.portal import IRealm, Portal
from twisted.internet.defer import Deferred, fail
from twisted.mail import pop3
from zope.interface import Interface, implementer
from zope.interface.verify import verifyObject

from tests.transcript import PASSWORD, USER, Client, TranscriptCase
from twisted_duck.interfaces import IMaildrop, IMaildropAccount
from twisted_duck.limits import Limits
from twisted_duck.pop3.factory import POP3Factory

OLD = b"Subject: old\n\ntoo old to be shown\n"
LF = b"Subject: unix\n\nfirst\n.dot\nthird\n"
CRLF = b"Subject: wire\r\n\r\nno end"


@implementer(pop3.IMailbox)
class Maildrop(pop3.Mailbox):
    """What an application has."""

    def __init__(self, *messages: bytes) -> None:
        self.messages: list[bytes | None] = list(messages)
        self.deleted: set[int] = set()
        self.opened: list[BytesIO] = []

    def listMessages(self, index: int | None = None) -> Any:
        sizes = [0 if each is None else len(each) for each in self.messages]
        return sizes if index is None else sizes[index]

    def getMessage(self, index: int) -> BytesIO:
        message = self.messages[index]
        if message is None:
            raise ValueError("it is gone")
        self.opened.append(BytesIO(message))
        return self.opened[-1]

    def getUidl(self, index: int) -> bytes:
        return b"unique-%d" % (index + 100)

    def deleteMessage(self, index: int) -> None:
        if self.messages[index] is None:
            raise ValueError("it is gone")
        self.deleted.add(index)

    def undeleteMessages(self) -> None:
        self.deleted.clear()

    def sync(self) -> Any:
        for index in self.deleted:
            self.messages[index] = None
        self.deleted.clear()


@implementer(IRealm)
class Realm:
    """As the documentation of `twisted.mail` has it."""

    def __init__(self, maildrop: Maildrop) -> None:
        self.maildrop = maildrop
        self.logouts = 0

    def requestAvatar(
        self, avatarId: Any, mind: object, *interfaces: type[Interface]
    ) -> tuple[Any, Any, Callable[[], None]]:
        if pop3.IMailbox not in interfaces:
            raise NotImplementedError

        def logout() -> None:
            self.logouts += 1

        return pop3.IMailbox, self.maildrop, logout


class AdaptedMaildropTests(TranscriptCase):
    limits: ClassVar[Limits] = evolve(Limits(), pop3_messages=2)

    def make_factory(self, portal: Portal) -> POP3Factory:
        self.maildrop = Maildrop(OLD, LF, CRLF)
        self.realm = Realm(self.maildrop)
        checker = InMemoryUsernamePasswordDatabaseDontUse()
        checker.addUser(USER.encode(), PASSWORD.encode())
        return POP3Factory(
            Portal(self.realm, [checker]),
            limits=self.limits,
            clock=self.clock,
            cleartextAuth="always",
        )

    def enter(self, client: Client) -> None:
        client.say(f"USER {USER}")
        [answer] = client.say(f"PASS {PASSWORD}")
        self.assertEqual(answer, "+OK 2 messages (55 octets)")

    def test_provides_the_interfaces(self) -> None:
        account: Any = IMaildropAccount(self.maildrop)
        verifyObject(IMaildropAccount, account)
        opening = Deferred.fromCoroutine(account.open(10))
        verifyObject(IMaildrop, self.successResultOf(opening))

    def test_the_newest_are_listed_under_their_own_names(self) -> None:
        self.transcript("""
            C: STAT
            S: +OK 2 55
            C: UIDL
            S: +OK ...
            S: 1 unique-101
            S: 2 unique-102
            S: .
            C: LIST 2
            S: +OK 2 23
        """)

    def test_messages_are_read_with_the_line_ends_of_the_wire(self) -> None:
        self.transcript("""
            C: RETR 1
            S: +OK ...
            S: Subject: unix
            S:
            S: first
            S: ..dot
            S: third
            S: .
            C: TOP 1 1
            S: +OK ...
            S: Subject: unix
            S:
            S: first
            S: .
            C: RETR 2
            S: +OK ...
            S: Subject: wire
            S:
            S: no end
            S: .
        """)
        self.assertTrue(all(file.closed for file in self.maildrop.opened))

    def test_quit_removes_what_was_marked_and_nothing_else_does(self) -> None:
        self.transcript("""
            C: DELE 1
            S: +OK ...
            C: RSET
            S: +OK ...
            C: DELE 2
            S: +OK ...
        """)
        self.assertEqual(self.maildrop.deleted, set())
        self.transcript("""
            C: QUIT
            S: +OK until next time
            S: (closed)
        """)
        self.assertEqual(self.maildrop.messages, [OLD, LF, None])
        self.client().disconnect()
        self.assertEqual(self.realm.logouts, 1)

    def test_what_is_gone_meanwhile(self) -> None:
        self.client()
        self.maildrop.messages[1] = None
        self.transcript("""
            C: RETR 1
            S: -ERR that message is gone
            C: DELE 1
            S: +OK ...
            C: DELE 2
            S: +OK ...
            C: QUIT
            S: +OK until next time
            S: (closed)
        """)
        self.assertEqual(self.maildrop.messages, [OLD, None, None])

    def test_where_it_cannot_be_synchronised_nothing_is_marked_any_more(self) -> None:
        self.client()
        self.patch(self.maildrop, "sync", lambda: fail(OSError("disk full")))
        self.transcript("""
            C: DELE 1
            S: +OK ...
            C: QUIT
            S: -ERR [SYS/TEMP] nothing was deleted: ...
            S: (closed)
        """)
        self.assertEqual(self.maildrop.deleted, set())
        self.assertEqual(len(self.flushLoggedErrors(OSError)), 1)
