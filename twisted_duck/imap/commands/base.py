"""What the commands share: the states, the connection as they see it, and how a command ends."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from datetime import datetime
from typing import Any, Protocol, TypeVar

import attrs

from twisted_duck.auth import ScramCredentials
from twisted_duck.errors import BadSyntax, ReadOnly
from twisted_duck.imap.enabled import Enabled
from twisted_duck.imap.selection import Selection
from twisted_duck.imap.view import View
from twisted_duck.limits import Limits
from twisted_duck.outflow import Outflow
from twisted_duck.sasl import Credentials
from twisted_duck.sequence import SequenceSet
from twisted_duck.session import Session

#: RFC 3501 §3, in the words in which `Session.state` tells them.
NOT_AUTHENTICATED = "Not Authenticated"
AUTHENTICATED = "Authenticated"
SELECTED = "Selected"
LOGOUT = "Logout"


#: Messages that are told between two pauses, where little is done for each: half a millisecond.
_AT_ONCE = 2_000

T = TypeVar("T")


@attrs.frozen
class Done:
    """A command's good end: `tag OK [code] text`."""

    text: str
    code: bytes | None = None


class Connection(Protocol):
    """What a command may use of the connection it came over (`twisted_duck.imap.protocol`)."""

    session: Session
    limits: Limits
    out: Outflow
    #: The avatar, providing IAccount; None before login.
    account: Any
    #: Whether the last thing said is the beginning of something that has not been said to its end: what fails now can
    #: only end the connection.
    mid_answer: bool
    enabled: Enabled
    #: None where no mailbox is selected.
    selection: Selection | None

    @property
    def tag(self) -> bytes:
        """That of the command that is being worked on."""

    def now(self) -> datetime:
        """What the server's clock says, in UTC."""

    def send(self, data: bytes) -> None:
        """Say something, complete lines."""

    async def breathe(self, pieces: int = 1) -> None:
        """Between pieces of long work: let the client read, and others be served."""

    async def tell(self, *, expunges: bool) -> None:
        """Say what the client has not heard of the selected mailbox, if there is one (RFC 3501 §7)."""

    def capabilities(self) -> list[str]:
        """What can be used now."""

    def wants_7bit(self) -> bool:
        """Whether headers have to be ASCII, as they have where the client could have enabled more (RFC 6855 §4)."""

    def check_privacy(self) -> None:
        """Fails with PrivacyRequired where no password may be sent."""

    async def exchange(
        self, name: str, initial: bytes | None, continuation: Callable[[bytes], bytes]
    ) -> Credentials | ScramCredentials:
        """What a SASL exchange shows; fails with Cannot, PrivacyRequired, BadSyntax, AuthenticationFailed."""

    async def log_in(self, credentials: Credentials | ScramCredentials) -> None:
        """Fails with AuthenticationFailed, BadSyntax and what the account's realm fails with."""

    def compress(self) -> None:
        """Compress both ways once the tagged response is out; fails with CompressionActive where that was done already."""

    def start_tls(self) -> None:
        """Begin a handshake once the tagged response is out; fails with BadSyntax where there is no TLS to be had."""

    async def select(self, mailbox: Any) -> Selection:
        """Make a mailbox the selected one; none may be selected."""

    async def deselect(self) -> None:
        """Leave the selected mailbox, if there is one."""

    def log_out(self) -> None:
        """End the connection once the tagged response is out."""

    async def read_line(self, what: str) -> bytes:
        """One line that is not a command, without its end; fails with BadSyntax where it is too long."""

    def has_input(self) -> bool:
        """Whether something the client sent has not been looked at."""

    async def wait(self, seconds: float) -> bool:
        """Until the client sends something or the selected mailbox moves; False when the time was over first."""


async def in_turns(connection: Connection, items: Sequence[T]) -> AsyncIterator[Sequence[T]]:
    """Very many items, some at a time, so that others are served in between."""
    for at in range(0, len(items), _AT_ONCE):
        yield items[at : at + _AT_ONCE]
        await connection.breathe()


def selected(connection: Connection) -> Selection:
    if connection.selection is None:
        raise BadSyntax("no mailbox is selected")
    return connection.selection


def writable(connection: Connection) -> Selection:
    """The selection, if its messages may be changed."""
    selection = selected(connection)
    if selection.mailbox.readonly:
        raise ReadOnly("the mailbox is open for reading only")
    return selection


def enable_condstore(connection: Connection) -> None:
    """The client knows of modseqs from now on (RFC 7162 §3.1)."""
    if not connection.enabled.condstore:
        connection.enabled.condstore = True
        if connection.selection is not None:
            connection.send(connection.selection.highest_modseq())


def use_modseqs(connection: Connection, selection: Selection) -> None:
    """A command in the selected mailbox that is about modseqs (RFC 7162 §3.1, §3.1.2.2)."""
    if not selection.has_modseqs:
        raise BadSyntax("there are no modseqs in this mailbox")
    enable_condstore(connection)


def choose(view: View, numbers: SequenceSet, *, uid: bool) -> list[int]:
    """The UIDs a command names, ascending.

    A sequence number above the mailbox's size is an error (RFC 3501 §9, `seq-number`); in an empty mailbox every set is
    taken for an empty one, because clients ask for 1:* before they look.  A UID that does not exist is no error.
    """
    check_numbers(view, numbers, uid=uid)
    return view.select(numbers, uid=uid)


def check_numbers(view: View, numbers: SequenceSet, *, uid: bool) -> None:
    """See `choose`."""
    if not uid and len(view) and numbers.largest > len(view):
        raise BadSyntax(f"there is no message {numbers.largest}, the last one is {len(view)}")
