"""What can go wrong, in two trees: the client's fault (`ClientError`) and ours (`ServerError`).

Every class knows how each protocol says it, so that one place in each protocol turns an error into an answer and nothing
else needs to know how:

* `imap`: the response code of RFC 5530 / RFC 3501 §7.1 that goes between brackets, or None;
* `pop3`: the response code of RFC 2449 §8 / RFC 3206, or None;
* `smtp`: the reply code and enhanced status code (RFC 5321 §4.2, RFC 3463) that LMTP gives.

The message is one line for a person; it never carries a password, a query, or a traceback.
"""

from __future__ import annotations

from typing import ClassVar


class DuckError(Exception):
    """The root of both trees.  `message` is one line that may be shown to the client; so is `str(error)`, but where a class says that
    it is for whoever runs the server.
    """

    imap: ClassVar[str | None] = None
    pop3: ClassVar[str | None] = None
    smtp: ClassVar[str] = "451 4.3.0"

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


class ClientError(DuckError):
    """The client asked for something that cannot be had; asking again the same way will not help."""

    smtp = "550 5.0.0"


class ServerError(DuckError):
    """The fault is on our side; the same request may succeed later."""

    imap = "SERVERBUG"
    pop3 = "SYS/TEMP"


# --- the client's fault -----------------------------------------------------------------------------------------------


class BadSyntax(ClientError):
    """The bytes do not follow the protocol's grammar (IMAP answers BAD).

    `tag` is the command's tag where it could be read, else None.
    """

    smtp = "500 5.5.2"

    def __init__(self, message: str, tag: bytes | None = None) -> None:
        super().__init__(message)
        self.tag = tag


class TooMuch(BadSyntax):
    """More than anybody needs to say who has not logged in: the rest of it is not read."""


class CompressionActive(BadSyntax):
    """COMPRESS where that was done already (RFC 4978 §3)."""

    imap = "COMPRESSIONACTIVE"


class BrokenStream(ClientError):
    """What the client sends cannot be read any more: nothing is left but to end the connection."""


class WrongState(BadSyntax):
    """A known command in a state where it is not allowed (IMAP answers BAD, RFC 3501 §3)."""

    smtp = "503 5.5.1"


class Refused(ClientError):
    """Understood and refused, with nothing more precise to say (IMAP answers a plain NO)."""


class ExpungeIssued(Refused):
    """Somebody else expunged messages that a COPY or MOVE names (RFC 5530, RFC 2180 §4.4)."""

    imap = "EXPUNGEISSUED"


class Modified(Refused):
    """STORE with UNCHANGEDSINCE of messages some of which are gone, and others, `messages`, were changed since.

    RFC 7162 §3.1.3; as a set is written.
    """

    def __init__(self, message: str, messages: str) -> None:
        super().__init__(message)
        self.messages = messages

    @property
    def imap(self) -> str:  # type: ignore[override]
        return f"MODIFIED {self.messages}"


class NonExistent(ClientError):
    """No such mailbox, user or message."""

    imap = "NONEXISTENT"
    smtp = "550 5.1.1"


class Disabled(ClientError):
    """The user exists, and gets no mail (RFC 3463 §3.3)."""

    smtp = "550 5.2.1"


class TryCreate(NonExistent):
    """The destination of APPEND, COPY or MOVE does not exist, and could be created (RFC 3501 §6.3.11)."""

    imap = "TRYCREATE"


class MailboxGone(NonExistent):
    """The selected mailbox was deleted by somebody else, or is no longer what was selected by its name."""


class AlreadyExists(ClientError):
    imap = "ALREADYEXISTS"


class UseConflict(ClientError):
    """CREATE of a mailbox for a special use that it can't have (RFC 6154 §3)."""

    imap = "USEATTR"


class NoPermission(ClientError):
    """Not for this user to do (RFC 5530)."""

    imap = "NOPERM"


class HasChildren(ClientError):
    """DELETE of a mailbox that cannot be selected and still has children (RFC 3501 §6.3.4, RFC 5530)."""

    imap = "HASCHILDREN"


class Cannot(ClientError):
    """Against a rule that no permission could lift: an invalid name, a NUL in a message (RFC 5530)."""

    imap = "CANNOT"


class UnknownEncoding(ClientError):
    """A part in an encoding nobody knows, or a message with content that can't be stored (RFC 3516 §4.3, §4.4)."""

    imap = "UNKNOWN-CTE"


class ReadOnly(ClientError):
    """A change in a mailbox opened by EXAMINE."""


class OverQuota(ClientError):
    """Not enough room left for this user."""

    imap = "OVERQUOTA"
    smtp = "452 4.2.2"


class TooBig(ClientError):
    """The message is larger than any message may be (RFC 7889)."""

    imap = "TOOBIG"
    smtp = "552 5.3.4"


class TooMany(ClientError):
    """A count that has a bound in `limits.py` reached it (mailboxes, keywords, subscriptions ...)."""

    imap = "LIMIT"


class BadCharset(ClientError):
    """SEARCH in a charset that is not supported; `supported` are the ones that are (RFC 3501 §6.4.4)."""

    def __init__(self, charset: str, supported: tuple[str, ...]) -> None:
        super().__init__("charset is not supported")
        self.charset = charset
        self.supported = supported

    @property
    def imap(self) -> str:  # type: ignore[override]
        return f"BADCHARSET ({' '.join(self.supported)})"


class AuthenticationFailed(ClientError):
    """Wrong name or password; which of them is never said."""

    imap = "AUTHENTICATIONFAILED"
    pop3 = "AUTH"
    smtp = "535 5.7.8"


class AuthorizationFailed(ClientError):
    """The credentials are good, the user may not log in (RFC 5530)."""

    imap = "AUTHORIZATIONFAILED"
    pop3 = "AUTH"
    smtp = "535 5.7.8"


class PrivacyRequired(ClientError):
    """A password must not be sent over a clear connection (RFC 5530)."""

    imap = "PRIVACYREQUIRED"
    smtp = "538 5.7.11"


class ConnectionRefused(ClientError):
    """A policy does not let a connection in; the message is told to the client before it is closed.

    Always temporary in LMTP: a misconfigured policy must not make mail bounce.
    """

    imap = "UNAVAILABLE"
    pop3 = "SYS/TEMP"
    smtp = "421 4.3.2"

    def __init__(self, message: str | None = None) -> None:
        super().__init__(message or "connections like this one are not let in")


class TooManyConnections(ConnectionRefused):
    """There are enough connections like this one already, or they come too fast."""

    imap = "LIMIT"
    smtp = "421 4.7.0"


class NotWelcome(ConnectionRefused):
    """Whoever connects from there is not served; trying again will not help (RFC 3206 §4)."""

    imap = "NOPERM"
    pop3 = "SYS/PERM"
    smtp = "421 4.7.1"


# --- our fault --------------------------------------------------------------------------------------------------------


class Unavailable(ServerError):
    """The database is away or too slow: nothing was changed."""

    imap = "UNAVAILABLE"


class NotAllowed(Unavailable):
    """The database does not let the server do that; `str(error)` says to whoever runs it what is to be done, which no client is told."""

    def __init__(self, remedy: str) -> None:
        super().__init__("the database does not let the server do that")
        self.remedy = remedy

    def __str__(self) -> str:
        return self.remedy


class Unsettled(Unavailable):
    """The database went away in the middle of a change, for so long that nobody can say whether the change was made.

    That must not be answered: whatever is said to a command that changes something would be a promise.  Its connection ends.
    """


class Contention(Unavailable):
    """Other processes kept changing the same thing until the bound on retries was reached."""

    imap = "INUSE"
    pop3 = "IN-USE"


class Corruption(ServerError):
    """The store breaks one of its own invariants; `duckmail check` tells more."""

    imap = "CORRUPTION"
