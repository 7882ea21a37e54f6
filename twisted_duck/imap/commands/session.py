"""CAPABILITY, NOOP, LOGOUT, ID, NAMESPACE, ENABLE, STARTTLS, LOGIN, AUTHENTICATE."""

from __future__ import annotations

from twisted_duck import __version__
from twisted_duck.imap import grammar, responses
from twisted_duck.imap.commands.base import Connection, Done, selected
from twisted_duck.imap.enabled import EXTENSIONS
from twisted_duck.sasl import Credentials
from twisted_duck.values import DELIMITER


async def capability(connection: Connection, command: grammar.Capability) -> Done:
    """RFC 3501 §6.1.1."""
    connection.send(responses.untagged(responses.capability(connection.capabilities())))
    return Done("CAPABILITY completed")


async def noop(connection: Connection, command: grammar.Noop) -> Done:
    """RFC 3501 §6.1.2: there is nothing to do but to tell what is new, as far as it has been heard of."""
    if connection.selection is not None:
        await connection.selection.mailbox.refresh(exact=False)
    await connection.tell(expunges=True)
    return Done("NOOP completed")


async def check(connection: Connection, command: grammar.Check) -> Done:
    """RFC 3501 §6.4.1: what others have committed, wherever, is told."""
    await selected(connection).mailbox.refresh()
    await connection.tell(expunges=True)
    return Done("CHECK completed")


async def logout(connection: Connection, command: grammar.Logout) -> Done:
    """RFC 3501 §6.1.3."""
    connection.send(responses.status(b"BYE", "until next time"))
    connection.log_out()
    return Done("LOGOUT completed")


async def identify(connection: Connection, command: grammar.Id) -> Done:
    """RFC 2971.  What the client says of itself is for its own statistics: nothing depends on it (§1)."""
    mine = (b"name", b"Twisted Duck", b"version", __version__.encode("ascii"))
    connection.send(responses.untagged(b"ID (%b)" % b" ".join(map(responses.string, mine))))
    return Done("ID completed")


async def namespace(connection: Connection, command: grammar.Namespace) -> Done:
    """RFC 2342: one personal namespace without a prefix."""
    delimiter = responses.string(DELIMITER.encode("ascii"))
    connection.send(responses.untagged(b'NAMESPACE (("" %b)) NIL NIL' % delimiter))
    return Done("NAMESPACE completed")


async def enable(connection: Connection, command: grammar.Enable) -> Done:
    """RFC 5161 §3.1: what is not known is passed over; what was enabled before is named again."""
    known = {name.upper(): name for name in connection.capabilities() if name in EXTENSIONS}
    granted = [known[name] for name in dict.fromkeys(command.capabilities) if name in known]
    connection.send(responses.untagged(responses.enabled(granted)))
    knew_modseqs = connection.enabled.condstore
    for name in granted:
        EXTENSIONS[name](connection.enabled)
    if connection.enabled.condstore and not knew_modseqs and connection.selection is not None:
        connection.send(connection.selection.highest_modseq())
    return Done("ENABLE completed")


async def start_tls(connection: Connection, command: grammar.StartTLS) -> Done:
    """RFC 3501 §6.2.1: whatever was received before the handshake is forgotten."""
    connection.start_tls()
    return Done("begin TLS negotiation now")


async def compress(connection: Connection, command: grammar.Compress) -> Done:
    """RFC 4978 §3.  Nobody's TLS compresses as well: OpenSSL does not, and TLS 1.3 has nothing of the kind."""
    connection.compress()
    return Done("DEFLATE is active from here on")


async def login(connection: Connection, command: grammar.Login) -> Done:
    """RFC 3501 §6.2.3."""
    connection.check_privacy()
    await connection.log_in(Credentials.of(command.user, command.password))
    return _logged_in(connection, "LOGIN")


async def authenticate(connection: Connection, command: grammar.Authenticate) -> Done:
    """RFC 3501 §6.2.2, with the initial response of RFC 4959."""
    credentials = await connection.exchange(
        command.mechanism, command.initial, responses.continuation
    )
    await connection.log_in(credentials)
    return _logged_in(connection, "AUTHENTICATE")


def _logged_in(connection: Connection, name: str) -> Done:
    """What can be done now is told with the answer, which saves every client a round trip (RFC 3501 §6.2)."""
    return Done(f"{name} completed", responses.capability(connection.capabilities()))
