"""PROXY headers: who is behind the proxy, however the bytes arrive."""

from __future__ import annotations

import struct
from collections.abc import Iterable
from ipaddress import ip_address

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from twisted_duck.errors import BadSyntax
from twisted_duck.wire.framing import NEED_DATA
from twisted_duck.wire.proxy import SIGNATURE, Endpoint, ProxyHeader, ProxyReader

LIMIT = 536
IPV4 = ProxyHeader(
    Endpoint(ip_address("192.0.2.7"), 56324), Endpoint(ip_address("198.51.100.1"), 143)
)
IPV6 = ProxyHeader(
    Endpoint(ip_address("2001:db8::7"), 65535), Endpoint(ip_address("::ffff:192.0.2.1"), 0)
)
NOBODY = ProxyHeader()


def binary(command: int, family: int, body: bytes) -> bytes:
    return SIGNATURE + bytes([command, family]) + struct.pack("!H", len(body)) + body


def addresses(header: ProxyHeader) -> bytes:
    assert header.client is not None and header.server is not None
    ends = header.client, header.server
    return b"".join(end.address.packed for end in ends) + struct.pack(
        "!HH", *(end.port for end in ends)
    )


GOOD: list[tuple[str, bytes, ProxyHeader]] = [
    ("TCP4", b"PROXY TCP4 192.0.2.7 198.51.100.1 56324 143\r\n", IPV4),
    ("TCP6", b"PROXY TCP6 2001:db8::7 ::ffff:192.0.2.1 65535 0\r\n", IPV6),
    ("UNKNOWN", b"PROXY UNKNOWN\r\n", NOBODY),
    (
        "UNKNOWN with addresses of the worst length",
        b"PROXY UNKNOWN ffff:f...f:ffff ffff:f...f:ffff 65535 65535".ljust(105) + b"\r\n",
        NOBODY,
    ),
    ("v2 IPv4", binary(0x21, 0x11, addresses(IPV4)), IPV4),
    ("v2 IPv6", binary(0x21, 0x21, addresses(IPV6)), IPV6),
    ("v2 with extensions", binary(0x21, 0x11, addresses(IPV4) + b"\x04\x00\x02xx"), IPV4),
    ("v2 as long as it may be", binary(0x21, 0x11, addresses(IPV4).ljust(LIMIT - 16)), IPV4),
    ("v2 LOCAL", binary(0x20, 0x11, addresses(IPV4)), NOBODY),
    ("v2 LOCAL without anything", binary(0x20, 0x00, b""), NOBODY),
    ("v2 of a family that does not matter for LOCAL", binary(0x20, 0xFF, b"?"), NOBODY),
    ("v2 unspecified", binary(0x21, 0x00, b""), NOBODY),
    ("v2 UNIX", binary(0x21, 0x31, bytes(216)), NOBODY),
    ("v2 datagrams", binary(0x21, 0x12, addresses(IPV4)), NOBODY),
]

#: What it is -> the bytes up to the one that shows it.
BAD: list[tuple[str, bytes]] = [
    ("a command", b"a"),
    ("a TLS handshake", b"\x16"),
    ("lower case", b"p"),
    ("almost", b"PROXX"),
    ("a word that begins so", b"PROXYT"),
    ("almost the signature", b"\r\n\r\n\x00\r\nQUIX"),
    ("an empty line", b"\r\n\r\n\r"),
    ("no family", b"PROXY \r\n"),
    ("an unknown family", b"PROXY UDP4 192.0.2.7 198.51.100.1 56324 143\r\n"),
    ("too few words", b"PROXY TCP4 192.0.2.7 198.51.100.1 56324\r\n"),
    ("too many words", b"PROXY TCP4 192.0.2.7 198.51.100.1 56324 143 1\r\n"),
    ("two spaces", b"PROXY TCP4  192.0.2.7 198.51.100.1 56324 143\r\n"),
    ("the other family's address", b"PROXY TCP4 ::1 198.51.100.1 56324 143\r\n"),
    ("a name", b"PROXY TCP4 localhost 198.51.100.1 56324 143\r\n"),
    ("an octet with a zero in front", b"PROXY TCP4 192.0.2.07 198.51.100.1 56324 143\r\n"),
    ("a zone", b"PROXY TCP6 fe80::1%eth0 ::1 56324 143\r\n"),
    ("bytes that are no text", b"PROXY TCP4 \xff 198.51.100.1 56324 143\r\n"),
    ("a port too high", b"PROXY TCP4 192.0.2.7 198.51.100.1 65536 143\r\n"),
    ("a negative port", b"PROXY TCP4 192.0.2.7 198.51.100.1 -1 143\r\n"),
    ("a port with a zero in front", b"PROXY TCP4 192.0.2.7 198.51.100.1 0143 143\r\n"),
    ("a port in other digits", "PROXY TCP4 192.0.2.7 198.51.100.1 ٣ 143\r\n".encode()),
    ("a line without end", b"PROXY UNKNOWN".ljust(107)),
    ("a bare LF", b"PROXY TCP4 192.0.2.7 198.51.100.1 56324 143\n".ljust(107)),
    ("version 1 in binary", SIGNATURE + b"\x11\x11\x00\x00"),
    ("an unknown command", SIGNATURE + b"\x22\x11\x00\x0c"),
    ("v2 without room for its addresses", binary(0x21, 0x11, bytes(11))),
    ("v2 IPv6 with the length of IPv4", binary(0x21, 0x21, bytes(12))),
    ("v2 of an unknown family", binary(0x21, 0x41, bytes(12))),
    ("v2 of an unknown transport", binary(0x21, 0x13, bytes(12))),
    ("v2 too long", binary(0x21, 0x11, bytes(LIMIT - 15))[:16]),
]


def read(chunks: Iterable[bytes]) -> tuple[ProxyHeader, bytes]:
    """The header, and what of these chunks it left."""
    reader = ProxyReader(LIMIT)
    waiting = iter(chunks)
    for chunk in waiting:
        reader.feed(chunk)
        header = reader.header()
        if isinstance(header, ProxyHeader):
            return header, reader.rest + b"".join(waiting)
    raise AssertionError("it waits for more")


class ProxyReaderTests(SynchronousTestCase):
    def test_good(self) -> None:
        for name, data, header in GOOD:
            with self.subTest(name):
                self.assertEqual(read([data + b"a1 LOGIN\r\n"]), (header, b"a1 LOGIN\r\n"))

    def test_one_byte_at_a_time(self) -> None:
        for name, data, header in GOOD:
            with self.subTest(name):
                pieces = [bytes([octet]) for octet in data]
                self.assertEqual(read(pieces), (header, b""))
                with self.assertRaises(AssertionError):
                    read(pieces[:-1])

    def test_bad_is_refused_with_the_byte_that_shows_it(self) -> None:
        for name, data in BAD:
            with self.subTest(name):
                reader = ProxyReader(LIMIT)
                for octet in data[:-1]:
                    reader.feed(bytes([octet]))
                    self.assertIs(reader.header(), NEED_DATA)
                reader.feed(data[-1:])
                with self.assertRaises(BadSyntax):
                    reader.header()
                whole = ProxyReader(LIMIT)
                whole.feed(data + b"more")
                with self.assertRaises(BadSyntax):
                    whole.header()

    @given(
        st.sampled_from([data for _, data, _ in GOOD]),
        st.integers(0, 600),
        st.binary(max_size=3),
        st.lists(st.integers(1, 200)),
    )
    def test_anything_is_a_header_or_is_refused_or_waited_for(
        self, data: bytes, at: int, change: bytes, cuts: list[int]
    ) -> None:
        data = data[:at] + change + data[at + len(change) :]
        reader = ProxyReader(LIMIT)
        for cut in [*cuts, len(data)]:
            reader.feed(data[:cut])
            data = data[cut:]
            try:
                header = reader.header()
            except BadSyntax:
                return
            if header is not NEED_DATA:
                return
            self.assertLess(len(reader.rest), LIMIT)
