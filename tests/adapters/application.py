"""An application's own mailboxes, as one would write them for `twisted.mail.imap4` years before this project."""

from __future__ import annotations

from email.message import Message
from email.parser import BytesParser
from io import BytesIO
from typing import Any

from twisted.internet.defer import Deferred, succeed
from twisted.mail import imap4
from twisted.mail.interfaces import (
    ICloseableMailboxIMAP,
    IMailboxIMAP,
    IMessageIMAP,
    IMessageIMAPCopier,
    IMessageIMAPFile,
    ISearchableIMAPMailbox,
)
from zope.interface import implementer

DATE = b"17-Jul-1996 02:44:25 -0700"


@implementer(IMessageIMAP)
class StoredMessage:
    """Headers and parts by the standard library: the bytes are not at hand."""

    def __init__(self, uid: int, content: bytes, flags: list[str], date: Any) -> None:
        self.uid = uid
        self.content = content
        self.flags = flags
        self.date = date

    @property
    def parsed(self) -> Message:
        return BytesParser().parsebytes(self.content)

    def getUID(self) -> int:
        return self.uid

    def getFlags(self) -> list[str]:
        return self.flags

    def getInternalDate(self) -> Any:
        return self.date

    def getSize(self) -> int:
        return len(self.content)

    def getHeaders(self, negate: bool, *names: str) -> dict[str, str]:
        return _headers(self.parsed, negate, names)

    def getBodyFile(self) -> BytesIO:
        return BytesIO(self.content.partition(b"\r\n\r\n")[2])

    def isMultipart(self) -> bool:
        return self.parsed.is_multipart()

    def getSubPart(self, part: int) -> Any:
        return _Part(self.parsed.get_payload()[part])


def _headers(message: Message, negate: bool, names: tuple[str, ...]) -> dict[str, str]:
    wanted = {name.lower() for name in names}
    return {k.lower(): v for k, v in message.items() if (k.lower() in wanted) is not negate}


class _Part:
    def __init__(self, parsed: Any) -> None:
        self.parsed = parsed

    def getHeaders(self, negate: bool, *names: str) -> dict[str, str]:
        return _headers(self.parsed, negate, names)

    def getBodyFile(self) -> BytesIO:
        return BytesIO(self.parsed.get_payload().encode())

    def getSize(self) -> int:
        return len(self.parsed.get_payload())

    def isMultipart(self) -> bool:
        return bool(self.parsed.is_multipart())

    def getSubPart(self, part: int) -> _Part:
        return _Part(self.parsed.get_payload()[part])


@implementer(IMessageIMAPFile)
class StoredFile(StoredMessage):
    """One whose bytes are."""

    def open(self) -> BytesIO:
        return BytesIO(self.content)


@implementer(IMailboxIMAP)
class Mailbox:
    message_class: type[StoredMessage] = StoredFile

    def __init__(self, uidvalidity: int = 7, delimiter: str = "/") -> None:
        self.uidvalidity = uidvalidity
        self.delimiter = delimiter
        self.messages: list[StoredMessage] = []
        self.uidnext = 1
        self.listeners: list[Any] = []
        self.writeable = True
        self.noselect = False
        self.asked: list[str] = []

    def getFlags(self) -> list[str]:
        if self.noselect:
            return ["\\Noselect"]
        return ["\\Seen", "\\Answered", "\\Flagged", "\\Deleted", "\\Draft"]

    def getHierarchicalDelimiter(self) -> str:
        return self.delimiter

    def getUIDValidity(self) -> int:
        return self.uidvalidity

    def getUIDNext(self) -> int:
        return self.uidnext

    def getUID(self, message: int) -> int:
        return self.messages[message - 1].uid

    def getMessageCount(self) -> int:
        return len(self.messages)

    def getRecentCount(self) -> int:
        return sum("\\Recent" in message.flags for message in self.messages)

    def getUnseenCount(self) -> int:
        return sum("\\Seen" not in message.flags for message in self.messages)

    def isWriteable(self) -> bool:
        return self.writeable

    def destroy(self) -> None:
        self.noselect = True

    def requestStatus(self, names: list[str]) -> dict[str, int]:
        return imap4.statusRequestHelper(self, names)

    def addListener(self, listener: Any) -> None:
        self.listeners.append(listener)

    def removeListener(self, listener: Any) -> None:
        self.listeners.remove(listener)

    def addMessage(self, message: Any, flags: Any = (), date: Any = None) -> Deferred[int]:
        uid = self.uidnext
        self.uidnext += 1
        content = message.read()
        stored = self.message_class(uid, content, ["\\Recent", *flags], date or DATE)
        self.messages.append(stored)
        for listener in list(self.listeners):
            listener.newMessages(len(self.messages), self.getRecentCount())
        return succeed(uid)

    def expunge(self) -> list[int]:
        gone: list[int] = []
        for number in range(len(self.messages), 0, -1):
            if "\\Deleted" in self.messages[number - 1].flags:
                del self.messages[number - 1]
                gone.append(number)
        return gone

    def chosen(self, messages: Any, uid: bool) -> list[tuple[int, StoredMessage]]:
        messages.last = self.uidnext - 1 if uid else len(self.messages)
        return [
            (number, message)
            for number, message in enumerate(self.messages, 1)
            if (message.uid if uid else number) in messages
        ]

    def fetch(self, messages: Any, uid: bool) -> list[tuple[int, StoredMessage]]:
        return self.chosen(messages, uid)

    def store(self, messages: Any, flags: Any, mode: int, uid: bool) -> dict[int, list[str]]:
        told: dict[int, list[str]] = {}
        for number, message in self.chosen(messages, uid):
            kept = [flag for flag in message.flags if mode == 1 or flag == "\\Recent"]
            if mode == -1:
                kept = [flag for flag in message.flags if flag not in flags]
            added = [] if mode == -1 else [flag for flag in flags if flag not in kept]
            told[number] = message.flags = kept + added
        for listener in list(self.listeners):
            listener.flagsChanged(told)
        return told


@implementer(ISearchableIMAPMailbox, IMessageIMAPCopier, ICloseableMailboxIMAP)
class ExtendedMailbox(Mailbox):
    """One with everything that is optional."""

    closed = 0

    def search(self, query: list[bytes], uid: bool) -> list[int]:
        self.asked.append(repr(query))
        if query[0] != b"BODY":
            raise imap4.IllegalQueryError(query)
        return [
            number
            for number, message in enumerate(self.messages, 1)
            if query[1].lower() in message.content.lower()
        ]

    def copy(self, messageObject: StoredMessage) -> Deferred[int]:
        self.asked.append("copy")
        file = BytesIO(messageObject.content)
        return self.addMessage(file, [f for f in messageObject.flags if f != "\\Recent"])

    def close(self) -> None:
        self.closed += 1


class PartsMailbox(Mailbox):
    """One whose messages have to be put together."""

    message_class = StoredMessage


class Account(imap4.MemoryAccount):
    """An account whose names have no case and whose mailboxes are of one class."""

    def __init__(
        self, name: str, mailbox_class: type[Mailbox] = Mailbox, delimiter: str = "/"
    ) -> None:
        super().__init__(name)
        self.mailbox_class = mailbox_class
        self.delimiter = delimiter
        self.addMailbox("INBOX")

    def _emptyMailbox(self, name: str, id: int) -> Mailbox:
        return self.mailbox_class(id + 1, self.delimiter)
