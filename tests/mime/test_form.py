"""What a part is by its Content-Type and its Content-Transfer-Encoding."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from twisted_duck.mime.content import ContentType
from twisted_duck.mime.form import _SHORT, Encoding, Kind, form


class FormTests(SynchronousTestCase):
    def test_kinds_and_encodings(self) -> None:
        for type_, mechanism, kind, encoding, is_open in (
            (None, None, Kind.TEXT, Encoding.IDENTITY, False),
            (b"text/html", b" Base64 ", Kind.TEXT, Encoding.BASE64, False),
            (b"image/png", b"quoted-printable", Kind.OTHER, Encoding.QUOTED_PRINTABLE, False),
            (b"Multipart/x", b"8bit", Kind.MULTIPART, Encoding.IDENTITY, True),
            (b"multipart/x", b"base64", Kind.MULTIPART, Encoding.BASE64, True),
            (b"message/rfc822", b"binary", Kind.MESSAGE, Encoding.IDENTITY, True),
            (b"message/global", b"8bti", Kind.MESSAGE, Encoding.OTHER, True),
            (b"message/rfc822", b"base64", Kind.MESSAGE, Encoding.BASE64, False),
            (b"message/partial", None, Kind.OTHER, Encoding.IDENTITY, False),
            (b"broken", b"", Kind.TEXT, Encoding.IDENTITY, False),
        ):
            one = form(type_, mechanism)
            self.assertEqual((one.kind, one.encoding, one.is_open), (kind, encoding, is_open))

    def test_what_it_is_where_it_does_not_say_it(self) -> None:
        self.assertEqual(form(None, None).type, ContentType(b"text", b"plain"))
        self.assertEqual(form(None, None, in_digest=True).kind, Kind.MESSAGE)
        self.assertEqual(form(b"broken", None, in_digest=True).kind, Kind.TEXT)
        self.assertTrue(form(b"Multipart/Digest; a=b", None).is_digest)

    def test_as_bodystructure_has_it(self) -> None:
        one = form(b'Text/Plain; a=b; c="d e"', b" 7BIT")
        self.assertEqual(one.names, (b'"Text"', b'"Plain"'))
        self.assertEqual(one.listed, b'("a" "b" "c" "d e" "charset" "us-ascii")')
        self.assertEqual(one.encoded, b'"7BIT"')
        self.assertEqual(form(b"image/png", None).listed, b"NIL")

    def test_what_can_not_be_taken_apart_is_another_kind(self) -> None:
        one = form(b"multipart/mixed", b"8bit")
        self.assertIs(one.settled(Kind.MULTIPART), one)
        text, other = one.settled(Kind.TEXT), one.settled(Kind.OTHER)
        self.assertEqual((text.type, text.encoded), (ContentType(b"text", b"plain"), b'"8bit"'))
        self.assertEqual(other.type, ContentType(b"application", b"octet-stream"))
        self.assertFalse(text.is_open or other.is_open)

    @given(
        st.sampled_from((b"text/plain", b"multipart/mixed", b"x")), st.sampled_from((None, b"8bit"))
    )
    def test_what_is_remembered_is_what_is_read(
        self, type_: bytes, mechanism: bytes | None
    ) -> None:
        one = form(type_, mechanism)
        self.assertIs(form(type_, mechanism), one)
        self.assertEqual(form(type_ + b" " * _SHORT, mechanism), one)
