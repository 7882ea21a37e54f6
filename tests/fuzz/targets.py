"""What is read from strangers, and what must hold of any bytes at all.

A check raises whatever is not a declared error, and AssertionError.  Streams are given whole, byte by byte, and cut at
places that follow from the bytes themselves, so that a finding can be repeated.
"""

from __future__ import annotations

import random
import re
import zlib
from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from attrs import frozen
from twisted.cred.portal import Portal
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

from tests.imap.grammar.support import cut, wire_of
from tests.mime.wire import check_body, check_envelope, parse
from tests.store.test_rope import blobs, read, small
from tests.transcript import PASSWORD, USER, Client
from tests.wire.test_framing import by_size, events
from twisted_duck import errors
from twisted_duck.addresses import AddressRules, Wanted, domain_form, form, form_of_name
from twisted_duck.imap import utf7
from twisted_duck.imap.factory import IMAP4Factory
from twisted_duck.imap.grammar import Command, Id, announced
from twisted_duck.imap.grammar import parse as parse_imap
from twisted_duck.lmtp import grammar as lmtp
from twisted_duck.lmtp.factory import LMTPFactory
from twisted_duck.memory import MemoryStore
from twisted_duck.mime.address import addresses
from twisted_duck.mime.date import sent_date, sent_moment
from twisted_duck.mime.message import analyse
from twisted_duck.mime.scan import PartTree
from twisted_duck.mime.section import filter_header
from twisted_duck.pop3 import grammar as pop3
from twisted_duck.pop3.factory import POP3Factory
from twisted_duck.sasl import MECHANISMS, SCRAM, Challenge, Scram, Verifier
from twisted_duck.spool import Spool
from twisted_duck.store.rope import twist
from twisted_duck.values import AppendMessage
from twisted_duck.wire.framing import NEED_DATA
from twisted_duck.wire.proxy import SIGNATURE, ProxyReader

Check = Callable[[bytes], None]


_NOW = datetime(2026, 2, 3, tzinfo=UTC)
_MESSAGES = Path(__file__).parent.parent / "messages"
_EXAMPLES = tuple(path.read_bytes() for path in sorted(_MESSAGES.glob("*.eml")))


@frozen
class Target:
    check: Check
    seeds: tuple[bytes, ...]
    #: What is worth putting in.
    words: tuple[bytes, ...] = ()


def _pieces(data: bytes) -> list[list[bytes]]:
    """The same bytes: whole, one by one, and cut anywhere."""
    dice = random.Random(zlib.crc32(data))
    cuts = sorted(dice.randrange(len(data) + 1) for _ in range(dice.randrange(1, 9)))
    bounds = list(zip([0, *cuts], [*cuts, len(data)], strict=True))
    return [
        [data],
        [data[at : at + 1] for at in range(len(data))],
        [data[start:stop] for start, stop in bounds],
    ]


def _the_same(data: bytes, read: Callable[[Iterable[bytes]], Any]) -> None:
    whole, *others = (read(pieces) for pieces in _pieces(data))
    for other in others:
        assert other == whole, (whole, other)


# --- streams ----------------------------------------------------------------------------------------------------------


def _framing(data: bytes) -> None:
    _the_same(data, lambda pieces: events(pieces, by_size))


def _proxy(data: bytes) -> None:
    def read(pieces: Iterable[bytes]) -> Any:
        reader = ProxyReader(536)
        found: Any = NEED_DATA
        for piece in pieces:
            reader.feed(piece)
            if found is NEED_DATA:
                try:
                    found = reader.header()
                except errors.BadSyntax:
                    return "none"
        return found, reader.rest

    _the_same(data, read)


class _Talk:
    """A server with a mailbox, in memory; what it says to a client that sends this."""

    def __init__(self, make: Callable[[MemoryStore, Portal, Clock], Any], log_in: bytes) -> None:
        self._make, self._log_in = make, log_in

    def __call__(self, data: bytes) -> None:
        for log_in in (b"", self._log_in):
            _the_same(data, lambda pieces, log_in=log_in: self._said(log_in, pieces))  # type: ignore[misc]

    def _said(self, log_in: bytes, pieces: Iterable[bytes]) -> bytes:
        clock = Clock()
        store = MemoryStore(clock=lambda: _NOW)
        store.add_user(USER, PASSWORD)
        message = AppendMessage(Spool.of(b"Subject: a\r\n\r\n.x\r\n"), frozenset(), _NOW)
        Deferred.fromCoroutine(store.account(USER).append("INBOX", [message]))
        Deferred.fromCoroutine(store.addresses.add(USER, "alice@example.org"))
        client = Client(self._make(store, Portal(store, [store]), clock))
        client.protocol.session.id = "s"
        client.send(log_in)
        clock.advance(0)
        client.heard()
        for piece in pieces:
            client.send(piece)
            # Long work gives others a turn.
            clock.advance(0)
        for _ in range(100):
            clock.advance(0)
        said = client.heard()
        client.disconnect()
        # Each store has identities of its own.
        return re.sub(rb"\b[FMT][0-9a-f]{32}\b", b"ID", said)


def _imap_factory(store: MemoryStore, portal: Portal, clock: Clock) -> IMAP4Factory:
    return IMAP4Factory(portal, clock=clock, cleartextAuth="always")


def _pop3_factory(store: MemoryStore, portal: Portal, clock: Clock) -> POP3Factory:
    return POP3Factory(portal, clock=clock, cleartextAuth="always")


def _lmtp_factory(store: MemoryStore, portal: Portal, clock: Clock) -> LMTPFactory:
    return LMTPFactory(store.delivery(), clock=clock, hostname="mx.example.org")


# --- grammars ---------------------------------------------------------------------------------------------------------


def _imap_grammar(data: bytes) -> None:
    parts = cut(data + b"\r\n")
    for utf8 in (False, True):
        try:
            announced(parts, utf8=utf8)
        except errors.ClientError:
            pass
    try:
        command = parse_imap(parts)
    except errors.ClientError:
        return
    if isinstance(command.value, Id) and not str(command.value).isascii():
        # It is for people to read: what is not UTF-8 was replaced, and has another length.
        return
    wire = wire_of(Command(command.tag, command.name, command.value))
    again = parse_imap(cut(wire + b"\r\n"))
    assert again == command, (command, wire, again)


def _pop3_grammar(data: bytes) -> None:
    line = data.split(b"\n")[0]
    try:
        pop3.parse(line)
    except errors.ClientError:
        pass
    pop3.keyword(line)


def _lmtp_grammar(data: bytes) -> None:
    line = data.split(b"\n")[0]
    lmtp.announces_octets(line)
    try:
        lmtp.parse(line)
    except errors.ClientError:
        pass


def _utf7(data: bytes) -> None:
    try:
        name = utf7.decode(data)
    except errors.Cannot:
        pass
    else:
        assert utf7.encode(name) == data, name
    text = data.decode("utf-8", "replace")
    assert utf7.decode(utf7.encode(text)) == text


def _sasl(data: bytes) -> None:
    lines = data.split(b"\n")
    for make in MECHANISMS.values():
        for initial in (lines[0], None):
            mechanism = make()
            try:
                step = mechanism.start(initial)
                for line in lines:
                    if not isinstance(step, Challenge):
                        break
                    step = mechanism.step(line)
            except errors.ClientError:
                pass
    for name in SCRAM:
        for bindings in ({}, {"tls-exporter": (b"x" * 32,)}):
            _scram(name, bindings, lines)


_VERIFIERS = {name: Verifier.pretended(name.removesuffix("-PLUS"), b"seed", 4096) for name in SCRAM}


def _scram(name: str, bindings: dict[str, tuple[bytes, ...]], lines: Sequence[bytes]) -> None:
    exchange = Scram(name, "servers", bindings)
    try:
        exchange.begin(lines[0])
        exchange.challenge(_VERIFIERS[name])
        for line in lines[1:2]:
            assert not exchange.prove(line.replace(b"NONCE", lines[0][-8:]))
    except errors.ClientError:
        pass


# --- messages ---------------------------------------------------------------------------------------------------------


def _mime(data: bytes) -> None:
    if b"\0" in data:
        # None is stored.
        return
    one = analyse(data)
    check_envelope(parse(one.envelope))
    check_body(parse(one.body), False)
    check_body(parse(one.bodystructure), True)
    assert PartTree.unpack(one.tree.pack()) == one.tree
    header = data[: one.tree.parts[0].body]
    for names in ((b"subject",), (b"x", b"to")):
        for invert in (False, True):
            filter_header(header, names, invert)
    # Not a byte is another one after it was stored.
    with ExitStack() as patched:
        for each in small:
            patched.enter_context(each)
        rope = twist(data, one)
        assert read(rope, blobs(data, rope), 0, len(data)) == data


def _addresses(data: bytes) -> None:
    list(addresses(data))
    text = data.decode("utf-8", "replace")
    for compare in (form, domain_form, form_of_name):
        try:
            compare(text)
        except errors.DuckError:
            pass
    local, _, domain = text.partition("@")
    wanted = Wanted.of(local, domain or None, AddressRules())
    if wanted is not None:
        wanted.candidates()


def _dates(data: bytes) -> None:
    day, moment = sent_date(data), sent_moment(data)
    assert (day is None) == (moment is None), (day, moment)


# --- the table --------------------------------------------------------------------------------------------------------

_IMAP = (
    b"a1 LOGIN alice wonderland\r\na2 SELECT INBOX\r\na3 FETCH 1:* (UID ENVELOPE BODYSTRUCTURE BODY.PEEK[])\r\n",
    b'a1 APPEND INBOX (\\Seen) " 1-Feb-2026 00:00:00 +0100" {5+}\r\nhello\r\na2 NOOP\r\n',
    b"a1 SEARCH RETURN (MIN COUNT) OR SUBJECT {1}\r\nx NOT (FROM y SINCE 1-Jan-2020) UID 1:3,*\r\n",
    b"a1 AUTHENTICATE PLAIN\r\nAGFsaWNlAHdvbmRlcmxhbmQ=\r\na2 LOGOUT\r\n",
    b'a1 LIST (SUBSCRIBED) "" (* %) RETURN (CHILDREN STATUS (MESSAGES))\r\na2 ENABLE QRESYNC\r\n',
    b"a1 UID STORE 1:* (UNCHANGEDSINCE 9) +FLAGS.SILENT (\\Deleted x)\r\na2 UID EXPUNGE 1\r\na3 CLOSE\r\n",
    b"a1 IDLE\r\nDONE\r\na2 SORT (REVERSE DATE) UTF-8 ALL\r\na3 THREAD REFERENCES UTF-8 ALL\r\n",
    b"a1 SELECT INBOX (QRESYNC (1 2 1:5 (1:2 3:4)))\r\na2 COPY $ &AOQ-\r\na3 MOVE 1 x/y\r\n",
    b'a1 REPLACE 1 INBOX {3}\r\nabc\r\na2 ID ("a" NIL)\r\na3 GETQUOTAROOT INBOX\r\na4 CREATE x (USE (\\Sent))\r\n',
    b"a1 FETCH 1 (BODY[1.2.HEADER.FIELDS.NOT (a b)]<0.5> BINARY.SIZE[1] PREVIEW (LAZY) MODSEQ)\r\n",
)
_POP3 = (
    b"USER alice\r\nPASS wonderland\r\nSTAT\r\nLIST\r\nUIDL 1\r\nTOP 1 0\r\nRETR 1\r\nDELE 1\r\nRSET\r\nQUIT\r\n",
    b"CAPA\r\nAUTH PLAIN AGFsaWNlAHdvbmRlcmxhbmQ=\r\nAUTH LOGIN\r\nYQ==\r\n*\r\nUTF8\r\nNOOP\r\nSTLS\r\n",
)
_LMTP = (
    b"LHLO x\r\nMAIL FROM:<a@b> SIZE=10 BODY=8BITMIME\r\nRCPT TO:<alice@example.org>\r\nDATA\r\nx\r\n..\r\n.\r\nQUIT\r\n",
    b'LHLO [1.2.3.4]\r\nMAIL FROM:<> SMTPUTF8\r\nRCPT TO:<"a b"@example.org>\r\nBDAT 3 LAST\r\nabcRSET\r\nVRFY x\r\n',
    b"MAIL FROM:<@a,@b:c@d>\r\nRCPT TO:<Postmaster>\r\nBDAT 5\r\nabcde\r\nNOOP x\r\nHELP\r\n",
)
_LINES = tuple(line for each in (*_IMAP,) for line in each.split(b"\r\n") if line)

TARGETS: dict[str, Target] = {
    "framing": Target(
        _framing, _IMAP, (b"{5}\r\n", b"{3+}\r\n", b"~{4}\r\n", b"\r\n", b"\n", b"\r")
    ),
    "imap-grammar": Target(
        _imap_grammar, _LINES, (b"{1+}\r\nx", b'"', b"\\", b"(", b")", b"*", b"[", b"<")
    ),
    "imap": Target(
        _Talk(_imap_factory, b"x LOGIN alice wonderland\r\ny SELECT INBOX\r\n"),
        _IMAP,
        (b"\r\n", b"{9}"),
    ),
    "pop3-grammar": Target(
        _pop3_grammar, tuple(line for each in _POP3 for line in each.split(b"\r\n"))
    ),
    "pop3": Target(
        _Talk(_pop3_factory, b"USER alice\r\nPASS wonderland\r\n"), _POP3, (b"\r\n", b"*\r\n")
    ),
    "lmtp-grammar": Target(
        _lmtp_grammar, tuple(line for each in _LMTP for line in each.split(b"\r\n"))
    ),
    "lmtp": Target(
        _Talk(_lmtp_factory, b"LHLO x\r\n"), _LMTP, (b"\r\n", b"\r\n.\r\n", b"BDAT 2\r\n")
    ),
    "proxy": Target(
        _proxy,
        (
            b"PROXY TCP4 192.0.2.7 198.51.100.1 56324 143\r\na1 NOOP",
            b"PROXY UNKNOWN\r\n",
            SIGNATURE + b"\x21\x11\x00\x0c" + bytes(12) + b"rest",
            SIGNATURE + b"\x20\x00\x00\x00",
        ),
        (SIGNATURE, b"TCP6", b"::"),
    ),
    "sasl": Target(
        _sasl,
        (
            b"\0alice\0wonderland",
            b"n,,n=user,r=fyko+d2lbbFgONRv9qkxdawL\nc=biws,r=NONCEservers,p=dHpbZapWIk4jUhN+Ute9ytag9zjf",
            b"p=tls-exporter,a=x,n=x,r=abc\nc=cD10bHM=,r=abcservers,p=AAAA",
            b"y,,n=a=2Cb,r=1\n",
        ),
        (b"n,,", b"=2C", b"=3D", b",m=", b"NONCE"),
    ),
    "utf7": Target(
        _utf7, (b"INBOX", b"&AOQ-", b"a&-b", b"&2D3eAA-", b"&,,8-"), (b"&", b"-", b"&-")
    ),
    "mime": Target(
        _mime,
        _EXAMPLES,
        (
            b"\r\n--b",
            b"--b--",
            b"Content-Type: multipart/mixed; boundary=b\r\n",
            b"Content-Type: message/rfc822\r\n",
            b"Content-Transfer-Encoding: base64\r\n",
            b"=?utf-8?b?",
            b"filename*0*=",
            b"Subject: ",
            b"From: ",
        ),
    ),
    "addresses": Target(
        _addresses,
        (
            b"a@b",
            b'A <a.b@c>, "x\\" y" <d@e> (c (d))',
            b"g: a@b, c;",
            b"<@a,@b:c@d>",
            "ü@ü.example".encode(),
        ),
        (b"<", b">", b"(", b")", b":", b";", b",", b'"', b"\\"),
    ),
    "dates": Target(
        _dates,
        (
            b"Mon, 3 Feb 2026 04:05:06 +0100",
            b"3 Feb 26 04:05 EST (x)",
            b"31 Dec 9999 23:59:60 -9999",
        ),
        (b"Jan", b"+0000", b"9999", b"(", b":"),
    ),
}
