"""Content-Type and its relatives, parameters in pieces, comments."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from twisted_duck.mime.content import (
    ContentType,
    Disposition,
    content_type,
    disposition,
    languages,
    transfer_encoding,
)


class ContentTests(SynchronousTestCase):
    def parameters(self, text: bytes) -> dict[bytes, bytes]:
        one = content_type(b"text/plain; " + text)
        assert one is not None
        return dict(one.parameters)

    def test_types(self) -> None:
        self.assertEqual(content_type(b" Text/HTML\r\n"), ContentType(b"Text", b"HTML"))
        self.assertEqual(
            content_type(b"(a) text (b) / (c) plain (d)"), ContentType(b"text", b"plain")
        )
        for bad in (
            b"",
            b"text",
            b"/plain",
            b"text plain",
            b"text; charset=utf-8",
            b"a" * 128 + b"/b",
        ):
            self.assertIsNone(content_type(bad), bad)

    def test_parameters(self) -> None:
        self.assertEqual(
            self.parameters(
                b'charset=us-ascii (Plain text);;\r\n NAME = "a \\"b\\"; c"; x=; y="open'
            ),
            {b"charset": b"us-ascii", b"NAME": b'a "b"; c', b"x": b"", b"y": b"open"},
        )
        self.assertEqual(self.parameters(b"boundary=----=_a/b c; x"), {b"boundary": b"----=_a/b c"})
        self.assertEqual(
            self.parameters(b'name=Bill(1).pdf (paid (at last)); a="(1)"; b=c(d);e=(f)g'),
            {b"name": b"Bill(1).pdf", b"a": b"(1)", b"b": b"c", b"e": b"g"},
        )
        self.assertEqual(self.parameters(b'a=b (5" or so); c=d'), {b"a": b"b", b"c": b"d"})
        self.assertEqual(self.parameters(b"a=b(; c=d"), {b"a": b"b(", b"c": b"d"})
        self.assertEqual(
            self.parameters(b"charset=utf-8 \r\n format=flowed; n=a  b.txt"),
            {b"charset": b"utf-8", b"n": b"a  b.txt"},
        )
        one = content_type(b"text/plain; A=1; a=2")
        self.assertEqual(one and one.parameter(b"a"), b"1")

    def test_pieces_are_put_together(self) -> None:
        """RFC 2231 §3 and §4.1."""
        self.assertEqual(self.parameters(b'u*1="b"; u*0="a"; u*3="never"'), {b"u": b"ab"})
        self.assertEqual(self.parameters(b"u*1=a; u*2*=b"), {b"u*1": b"a", b"u*2*": b"b"})
        self.assertEqual(
            self.parameters(b"t*0*=us-ascii'en'a%20; t*1*=b%2A; t*2=\"c 100%\""),
            {b"t*": b"us-ascii'en'a%20b%2Ac%20100%25"},
        )
        self.assertEqual(self.parameters(b"t*=utf-8''%41"), {b"t*": b"utf-8''%41"})
        self.assertEqual(self.parameters(b't*0="50%"; t*1*=%20x'), {b"t*": b"''50%25%20x"})

    def test_20_000_pieces(self) -> None:
        pieces = b"; ".join(b"n*%d=x" % number for number in range(20_000))
        self.assertEqual(self.parameters(pieces), {b"n": b"x" * 20_000})

    def test_the_other_fields(self) -> None:
        self.assertEqual(
            disposition(b'attachment; filename="a.b"'),
            Disposition(b"attachment", ((b"filename", b"a.b"),)),
        )
        self.assertIsNone(disposition(b" ; filename=x"))
        self.assertEqual(transfer_encoding(b" Base64 (really)"), b"Base64")
        self.assertIsNone(transfer_encoding(b""))
        self.assertEqual(transfer_encoding(b'"base64"'), b"base64")
        self.assertEqual(languages(b"en, de (German) ,,fr-CA;q=1 no"), (b"en", b"de", b"fr-CA"))

    @given(st.one_of(st.binary(), st.text('a*01%=;"\\()/ \n').map(str.encode)))
    def test_anything_is_read(self, raw: bytes) -> None:
        for text in (raw, b"a/b;" + raw):
            content_type(text)
            disposition(text)
            transfer_encoding(text)
            languages(text)

    def test_hostile_fields_end(self) -> None:
        for raw in (
            b";" * 500_000,
            b"; " * 300_000,
            b';a="\\' * 200_000,
            b"(" * 500_000,
            b"a=;" * 200_000,
            b";a=b" + b" " * 300_000,
            b";a=b" + b" a" * 200_000,
            b";a=" + b"b " * 100_000 + b"=",
        ):
            content_type(b"a/b" + raw)
