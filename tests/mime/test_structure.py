"""The wire bytes of ENVELOPE, BODYSTRUCTURE and BODY (RFC 3501 §7.4.2)."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from tests.mime.wire import check_body, parse
from twisted_duck.limits import Limits
from twisted_duck.mime.scan import scan
from twisted_duck.mime.strings import string
from twisted_duck.mime.structure import body, bodystructure, envelope


class StructureTests(SynchronousTestCase):
    def test_an_envelope(self) -> None:
        data = (
            b"Date: Wed, 17 Jul 1996 02:23:25 -0700\r\nFrom: Terry Gray <gray@cac.example>\r\n"
            b'Subject: a "b"\r\nTo: imap@cac.example\r\nBcc: \r\nMessage-Id: <B@cac.example>\r\n\r\n'
        )
        gray = b'(("Terry Gray" NIL "gray" "cac.example"))'
        self.assertEqual(
            envelope(data, scan(data)),
            b'("Wed, 17 Jul 1996 02:23:25 -0700" "a \\"b\\"" '
            + b" ".join([gray] * 3)
            + b' ((NIL NIL "imap" "cac.example")) NIL NIL NIL "<B@cac.example>")',
        )

    def test_no_header(self) -> None:
        tree = scan(b"")
        self.assertEqual(envelope(b"", tree), b"(NIL NIL NIL NIL NIL NIL NIL NIL NIL NIL)")
        self.assertEqual(
            body(b"", tree), b'("text" "plain" ("charset" "us-ascii") NIL NIL "7bit" 0 0)'
        )

    def test_a_part_with_everything(self) -> None:
        data = (
            b"Content-Type: image/png; name=x\nContent-Transfer-Encoding: base64\nContent-ID: <i>\n"
            b"Content-Description: d\nContent-MD5: m\nContent-Language: en, de\nContent-Location: l\n"
            b"Content-Disposition: inline\n\niVBO"
        )
        basic = b'("image" "png" ("name" "x") "<i>" "d" "base64" 4'
        self.assertEqual(body(data, scan(data)), basic + b")")
        self.assertEqual(
            bodystructure(data, scan(data)), basic + b' "m" ("inline" NIL) ("en" "de") "l")'
        )

    def test_a_multipart_without_parts_has_an_empty_text(self) -> None:
        data = b"Content-Type: multipart/mixed; boundary=b\n\nnothing\n"
        self.assertEqual(
            body(data, scan(data)),
            b'(("text" "plain" ("charset" "us-ascii") NIL NIL "7bit" 0 0) "mixed")',
        )
        self.assertEqual(
            bodystructure(data, scan(data)),
            b'(("text" "plain" ("charset" "us-ascii") NIL NIL "7bit" 0 0 NIL NIL NIL NIL)'
            b' "mixed" ("boundary" "b") NIL NIL NIL)',
        )

    def test_an_encoded_message_has_an_empty_one(self) -> None:
        data = b"Content-Type: message/rfc822\nContent-Transfer-Encoding: base64\n\nAAAA\n"
        value = parse(body(data, scan(data)))
        check_body(value, False)
        assert isinstance(value, list)
        self.assertEqual(value[7], [None] * 10)

    def test_strings(self) -> None:
        for value, written in {
            b"": b'""',
            b'a "b" \\': b'"a \\"b\\" \\\\"',
            b"tab\t": b'"tab\t"',
            b"\xc3\xbc": b"{2}\r\n\xc3\xbc",
            b"a\rb": b"{3}\r\na\rb",
            b"a\0b": b'"ab"',
            b"x" * 1001: b"{1001}\r\n" + b"x" * 1001,
        }.items():
            self.assertEqual(string(value), written)

    @given(st.binary())
    def test_any_string_is_read_back_without_nul(self, value: bytes) -> None:
        self.assertEqual(parse(string(value)), value.replace(b"\0", b""))

    def test_all_budgets_are_valid(self) -> None:
        data = (
            b"Subject: s\nContent-Type: multipart/mixed; boundary=b\n\n--b\nContent-Type: text/html; a=b; c=d\n"
            b"Content-Disposition: attachment; filename=f\n\n\n--b\nContent-Type: message/rfc822\n\n"
            b"Subject: in\nFrom: a@b, c@d\n\n\n--b--\n"
        )
        tree = scan(data)
        for budget in range(400):
            limits = Limits(mime_structure=budget)
            check_body(parse(bodystructure(data, tree, limits)), True)
            check_body(parse(body(data, tree, limits)), False)
