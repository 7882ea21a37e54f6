"""The mailbox that one client has selected, and what it is told of it.

A view decides what is news and in which order (`twisted_duck.imap.view`); here it becomes responses.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from itertools import islice
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger

from twisted_duck.errors import DuckError, MailboxGone
from twisted_duck.imap import responses
from twisted_duck.imap.enabled import Enabled
from twisted_duck.imap.view import ExistsNews, ExpungeNews, FlagsNews, News, View
from twisted_duck.session import Session
from twisted_duck.values import UIDSet

#: News between two pauses, and how many may be messages that have vanished.
BATCH = 500
_VANISHED = 1_000

#: Seconds for which a client may go on to another mailbox before anybody is asked about this one.  The commands of most come
#: later, and find that it was asked.
_ON_ITS_WAY = 0.001

# What is said at every SELECT, but for the values.
_HIGHEST_MODSEQ = responses.status(b"OK", "highest modseq", b"%b")
_NO_MODSEQS = responses.status(b"OK", "modseqs are not kept here", b"NOMODSEQ")
_CHANGEABLE = responses.status(b"OK", "flags that can be changed", b"%b")
_NOT_CHANGEABLE = responses.status(b"OK", "no flag can be changed", b"PERMANENTFLAGS ()")

_log = Logger()


class Selection:
    """An open mailbox, and one client's picture of it."""

    def __init__(
        self,
        mailbox: Any,
        session: Session,
        enabled: Enabled,
        *,
        modseqs: bool,
        clock: IReactorTime,
        send: Callable[[bytes], None],
        breathe: Callable[[], Awaitable[None]],
    ) -> None:
        """The picture is that of this moment.  Use `open`.

        @param modseqs: whether the mailbox's modseqs are true ones (`ICondstoreAccount`)
        """
        #: Provides IMailbox.
        self.mailbox = mailbox
        self.view = View(mailbox.index)
        self.has_modseqs = modseqs
        self._session = session
        self._enabled = enabled
        #: The highest modseq that was told of a message since the client could last be sure to know all up to one.
        self._told_modseq = 0
        self._clock = clock
        self._send = send
        self._breathe = breathe
        #: The keywords the client has heard of; None while it has not been told of any flags.
        self._told_keywords: frozenset[str] | None = None
        #: The name that was asked for, until it is known that the picture is that of the mailbox of this name; see `confirm`.
        self._name: str | None = None
        #: Before it is found out, and while it is.
        self._later: IDelayedCall | None = None
        self._confirming: Deferred[None] | None = None
        #: Why it could not be found out.
        self._fault: DuckError | None = None

    @classmethod
    async def open(
        cls,
        mailbox: Any,
        session: Session,
        enabled: Enabled,
        *,
        modseqs: bool,
        clock: IReactorTime,
        send: Callable[[bytes], None],
        breathe: Callable[[], Awaitable[None]],
    ) -> Selection:
        """Take a mailbox over: if that fails it is closed."""
        try:
            recent = await mailbox.claim_recent()
        except DuckError:
            await mailbox.close()
            raise
        selection = cls(
            mailbox, session, enabled, modseqs=modseqs, clock=clock, send=send, breathe=breathe
        )
        selection.view.add_recent(*recent)
        return selection

    def confirm(self, name: str) -> None:
        """What was told of the mailbox, which was called `name`, is of a moment ago: find out whether it is still so.

        Nothing else is done with it before `confirmed` has waited for that.  Who leaves it at once need not know.
        """
        self._name = name
        self._later = self._clock.callLater(_ON_ITS_WAY, self._ask)

    @property
    def is_confirmed(self) -> bool:
        return self._name is None

    @property
    def is_being_confirmed(self) -> bool:
        """Whether somebody was asked whose answer has not been waited for; not where it is known that there was none."""
        return self._confirming is not None and self._fault is None

    def ask_nobody(self) -> None:
        """What would be asked in a moment need not be: it is asked now, or the mailbox is left."""
        if self._later is not None:
            self._later.cancel()
            self._later = None

    def _ask(self) -> Deferred[None]:
        self._later = self._fault = None
        asking = self._confirming = Deferred.fromCoroutine(self._find_out())
        return asking

    async def _find_out(self) -> None:
        try:
            await self.mailbox.refresh()
            if self.mailbox.name != self._name:
                # Whoever asked for that name means another mailbox, or none.
                raise MailboxGone("the mailbox was renamed")
        except DuckError as error:
            self._fault = error

    async def confirmed(self) -> None:
        """Wait for that; where it has failed before this call, ask again.  Fails with MailboxGone, Unavailable."""
        self.ask_nobody()
        asking = self._confirming
        if asking is None or self._fault is not None:
            asking = self._ask()
        self._confirming = None
        await asking
        if self._fault is not None:
            raise self._fault
        self._name = None

    async def catch_up(self) -> None:
        """Hear of what was committed, after a command that has succeeded.

        A failure here must not look like one of that command, which the client would give again: a second copy of a
        message.  What is wrong will be met by the next command that needs the mailbox.
        """
        try:
            await self.mailbox.refresh(exact=False)
        except DuckError as error:
            _log.warn("{session.id}: {error}", session=self._session, error=error)

    async def tell(self, *, expunges: bool) -> None:
        """Say what the client has not heard (RFC 3501 §7); without `expunges`, the numbers of messages do not move."""
        view = self.view
        if not view.has_news:
            return
        if view.has_arrivals:
            await self._claim_recent()
        news = view.news(expunges=expunges)
        self.tell_keywords()
        while some := list(islice(news, BATCH)):
            more = len(some) == BATCH
            if self.vanishes and isinstance(some[0], ExpungeNews):
                # Numbers have no meaning to who hears of UIDs: so many may be told at once.
                some += islice(news, _VANISHED - BATCH)
                gone = [each.uid for each in some if isinstance(each, ExpungeNews)]
                self._send(responses.vanished(UIDSet.of(gone)))
                some = some[len(gone) :]
            self._send(b"".join(map(self._say, some)))
            if more:
                await self._breathe()

    async def _claim_recent(self) -> None:
        try:
            self.view.add_recent(*await self.mailbox.claim_recent())
        except DuckError as error:
            # The command itself went well, and \Recent is not worth failing it.
            _log.warn("{session.id}: {error}", session=self._session, error=error)

    def _say(self, news: News) -> bytes:
        match news:
            case ExpungeNews(number):
                return responses.expunge(number)
            case ExistsNews(exists, recent):
                said = responses.exists(exists)
                return said if self._enabled.rev2 else said + responses.recent(recent)
            case FlagsNews(number, uid, modseq, flags):
                said = responses.flags_of(flags, self.is_recent(uid))
                return self.say_fetch(number, uid, modseq, b"FLAGS " + said)

    def is_recent(self, uid: int) -> bool:
        """Whether the client is told that a message is \\Recent, which IMAP4rev2 has not (RFC 9051, Appendix A).

        Messages are claimed all the same: other sessions are not the first ones to hear of them.
        """
        return not self._enabled.rev2 and self.view.is_recent(uid)

    # --- RFC 7162 -----------------------------------------------------------------------------------------------------

    @property
    def tells_modseqs(self) -> bool:
        """Whether every FETCH response has MODSEQ (§3.1) and UID (§3.2.4, which does not ask whether QRESYNC is enabled)."""
        return self.has_modseqs and self._enabled.condstore

    @property
    def vanishes(self) -> bool:
        """Whether VANISHED stands for EXPUNGE (§3.2.10.2)."""
        return self.has_modseqs and self._enabled.qresync

    def say_fetch(
        self, number: int, uid: int, modseq: int, *items: bytes, with_uid: bool = False
    ) -> bytes:
        """A FETCH response that nobody asked for item by item: in IMAP4rev2 it has a UID (RFC 9051 §7.5.2)."""
        with_uid = with_uid or self.tells_modseqs or self._enabled.rev2
        before = (b"UID %d" % uid,) if with_uid else ()
        after: tuple[bytes, ...] = ()
        if self.tells_modseqs:
            self.told(modseq)
            after = (responses.modseq(modseq),)
        return responses.fetch(number, (*before, *items, *after))

    def told(self, modseq: int) -> None:
        """The client is told a message's modseq."""
        self._told_modseq = max(self._told_modseq, modseq)

    def settle(self) -> None:
        """Before a command ends: the client will take the highest modseq that it was told for one up to which it knows
        everything.  Where there is something that it could not be told yet, say what it really knows (§6).

        Who has not enabled QRESYNC finds out about expunges in other ways.
        """
        told, self._told_modseq = self._told_modseq, 0
        if not told:
            return
        known = self.view.synchronised_at if self.vanishes else self.view.flags_at
        if told > known:
            self._send(responses.status(b"OK", "known", responses.highest_modseq(known)))

    def highest_modseq(self) -> bytes:
        """HIGHESTMODSEQ or NOMODSEQ (§3.1.2)."""
        if self.has_modseqs:
            return _HIGHEST_MODSEQ % responses.highest_modseq(self.view.synchronised_at)
        return _NO_MODSEQS

    # --- keywords -----------------------------------------------------------------------------------------------------

    def tell_keywords(self) -> None:
        """Say FLAGS and PERMANENTFLAGS if there are keywords the client has not heard of."""
        keywords = self.mailbox.index.keywords()
        if self._told_keywords is None or not self._told_keywords.issuperset(keywords):
            self._send(self.flags())

    def flags(self) -> bytes:
        """FLAGS and PERMANENTFLAGS, which tell all keywords that there are."""
        keywords = self.mailbox.index.keywords()
        self._told_keywords = frozenset(keywords)
        said = responses.defined_flags(keywords)
        if self.mailbox.readonly:
            return said + _NOT_CHANGEABLE
        return said + _CHANGEABLE % responses.permanent_flags(keywords, self.mailbox.new_keywords)
