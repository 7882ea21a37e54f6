"""What is logged of mail: from whom it is, for whom, and what became of it.

Each line is one text that was put together here: a field of a log's format costs more than the rest of the line.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from twisted_duck.errors import DuckError
from twisted_duck.lmtp.address import Address
from twisted_duck.values import Recipient
from twisted_duck.wire.lines import one_line

if TYPE_CHECKING:
    from twisted_duck.lmtp.protocol import LMTPProtocol

#: Characters of an address that are logged: RFC 5321 §4.5.3.1.3 has 256 for all of a path.
_LOGGED = 256


def path(address: Address | None) -> str:
    """An address in angle brackets, on one line whatever it has."""
    return repr(f"<{'' if address is None else str(address)[:_LOGGED]}>")[1:-1]


def refused_recipient(
    connection: LMTPProtocol, sender: Address | None, address: Address, error: DuckError
) -> None:
    _refused(connection, f"refused {path(address)}, mail from {path(sender)}", error)


def refused_announcement(
    connection: LMTPProtocol, sender: Address | None, error: DuckError
) -> None:
    """Of a message that was not sent, for what MAIL said of it."""
    _refused(connection, f"refused a message from {path(sender)}", error)


def refused_message(connection: LMTPProtocol, sender: Address | None, error: DuckError) -> None:
    _log(connection, f"refused a message from {path(sender)}", error)


def not_delivered(
    connection: LMTPProtocol, recipient: Recipient, origin: str, error: DuckError
) -> None:
    _log(connection, f"not delivered to {recipient.name}, {origin}", error)


def delivered(connection: LMTPProtocol, recipient: Recipient, mailbox: object, origin: str) -> None:
    connection.refused = 0
    _log(connection, f"delivered to {recipient.name} in {mailbox}, {origin}")


def origin(sender: Address | None, size: int) -> str:
    """Of a message, for `delivered`."""
    return f"mail from {path(sender)}, {size} bytes"


def _refused(connection: LMTPProtocol, what: str, error: DuckError) -> None:
    """A line for each, as many as a message may have recipients; one who delivers nothing does not fill the log with more."""
    connection.refused += 1
    most = connection.limits.lmtp_recipients
    if connection.refused <= most:
        _log(connection, what, error)
    elif connection.refused == most + 1:
        _log(connection, "refuses more, of which nothing is said until mail is delivered")


def _log(connection: LMTPProtocol, what: str, error: DuckError | None = None) -> None:
    reason = "" if error is None else f": {one_line(error.message).decode()}"
    session = connection.session
    connection.log.info("{line}", line=f"{session.id} {what}{reason}", session=session)
