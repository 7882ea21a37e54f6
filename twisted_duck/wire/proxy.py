"""The PROXY protocol, versions 1 and 2: who is behind the proxy, said in front of everything else.

Theory of operation
===================

The owner feeds whatever arrives and asks for the header until it is there; what came behind it is `rest`.  The first
bytes tell the version, and whatever can't become a header is refused with the byte that shows it, so that nobody waits
for the end of something that is none.

    version 1       PROXY TCP4 192.0.2.1 192.0.2.2 50000 143 CRLF       at most 107 octets, and text
    version 2       12 octets of signature, version and command, family and transport, the length of the rest (2),
                    addresses and ports, extensions (TLVs), which are skipped

Where the header names no address that means something here (UNKNOWN, LOCAL, a UNIX socket, datagrams), the connection is
what its socket says: `client` and `server` are None.

Source: https://www.haproxy.org/download/3.0/doc/proxy-protocol.txt, sections 2.1 and 2.2.
"""

from __future__ import annotations

import re
import struct
from ipaddress import IPv4Address, IPv6Address
from typing import TypeAlias

from attrs import frozen

from twisted_duck.errors import BadSyntax
from twisted_duck.wire.framing import NEED_DATA, NeedData

IPAddress: TypeAlias = IPv4Address | IPv6Address

SIGNATURE = b"\r\n\r\n\x00\r\nQUIT\n"
_BEGINNING = b"PROXY "
#: With its line end: "the worst case", section 2.1.
_LONGEST_LINE = 107
#: Signature, version and command, family and transport, length.
_FIXED = struct.Struct("!12sBBH")
_LOCAL, _PROXY = 0x20, 0x21

_PORT = re.compile(rb"0|[1-9][0-9]{0,4}")
_FAMILIES: dict[bytes, type[IPAddress]] = {b"TCP4": IPv4Address, b"TCP6": IPv6Address}
#: Family and transport -> the addresses' class and form; stream sockets only.
_FORMS: dict[int, tuple[type[IPAddress], struct.Struct]] = {
    0x11: (IPv4Address, struct.Struct("!4s4sHH")),
    0x21: (IPv6Address, struct.Struct("!16s16sHH")),
}
#: What may stand there and means nothing here: unspecified, datagrams, UNIX sockets.
_NO_ADDRESS = frozenset({0x00, 0x01, 0x02, 0x10, 0x12, 0x20, 0x22, 0x30, 0x31, 0x32})


@frozen
class Endpoint:
    address: IPAddress
    port: int


@frozen
class ProxyHeader:
    """The two ends of the connection to the proxy, or None where the proxy's own connection is meant."""

    client: Endpoint | None = None
    server: Endpoint | None = None


class ProxyReader:
    """Takes the header off the beginning of a stream.

    @param limit: octets of a header of version 2
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._buffer = bytearray()

    def feed(self, data: bytes) -> None:
        self._buffer += data

    def header(self) -> ProxyHeader | NeedData:
        """The header, once; raises BadSyntax for what can be none."""
        buffer = self._buffer
        if buffer[:1] == SIGNATURE[:1]:
            return self._binary()
        if not _fits(buffer, _BEGINNING):
            raise BadSyntax("no PROXY header")
        return self._line()

    @property
    def rest(self) -> bytes:
        """What came behind the header."""
        return bytes(self._buffer)

    def _line(self) -> ProxyHeader | NeedData:
        end = self._buffer.find(b"\r\n", 0, _LONGEST_LINE)
        if end < 0:
            if len(self._buffer) >= _LONGEST_LINE:
                raise BadSyntax("the PROXY line is too long")
            return NEED_DATA
        line = bytes(self._buffer[:end])
        del self._buffer[: end + 2]
        return parse_line(line)

    def _binary(self) -> ProxyHeader | NeedData:
        buffer = self._buffer
        if not _fits(buffer, SIGNATURE):
            raise BadSyntax("no PROXY header")
        if len(buffer) < _FIXED.size:
            return NEED_DATA
        _, command, family, length = _FIXED.unpack_from(buffer)
        if command not in (_LOCAL, _PROXY):
            raise BadSyntax("a PROXY header of an unknown version or command")
        size = _FIXED.size + length
        if size > self._limit:
            raise BadSyntax("the PROXY header is too long")
        if len(buffer) < size:
            return NEED_DATA
        body = bytes(buffer[_FIXED.size : size])
        del buffer[:size]
        return ProxyHeader() if command == _LOCAL else parse_addresses(family, body)


def _fits(buffer: bytearray, beginning: bytes) -> bool:
    """Whether the buffer, long or short, begins so."""
    return buffer[: len(beginning)] == beginning[: len(buffer)]


def parse_line(line: bytes) -> ProxyHeader:
    """A header of version 1, without its end."""
    words = line.split(b" ")
    if words[1] == b"UNKNOWN":
        # Whatever follows is to be ignored.
        return ProxyHeader()
    family = _FAMILIES.get(words[1])
    if family is None or len(words) != 6:
        raise BadSyntax("a PROXY line that cannot be understood")
    _, _, source, destination, source_port, destination_port = words
    return ProxyHeader(
        _endpoint(family, source, source_port), _endpoint(family, destination, destination_port)
    )


def _endpoint(family: type[IPAddress], address: bytes, port: bytes) -> Endpoint:
    number = int(port) if _PORT.fullmatch(port) else 65536
    if number > 65535 or b"%" in address:
        raise BadSyntax("a PROXY line with a port or address that is none")
    try:
        return Endpoint(family(address.decode("ascii")), number)
    except ValueError:
        raise BadSyntax("a PROXY line with an address that is none") from None


def parse_addresses(family: int, body: bytes) -> ProxyHeader:
    """What follows the length in a header of version 2."""
    if family in _NO_ADDRESS:
        return ProxyHeader()
    if family not in _FORMS:
        raise BadSyntax("a PROXY header of an unknown family")
    kind, form = _FORMS[family]
    if len(body) < form.size:
        raise BadSyntax("a PROXY header without its addresses")
    source, destination, source_port, destination_port = form.unpack_from(body)
    return ProxyHeader(
        Endpoint(kind(source), source_port), Endpoint(kind(destination), destination_port)
    )
