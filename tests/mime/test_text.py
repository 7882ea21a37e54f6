"""Text for SEARCH: folding, decoding in pieces, limits."""

from __future__ import annotations

import base64
import quopri
from unittest.mock import patch

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from twisted_duck.limits import Limits
from twisted_duck.mime.scan import scan
from twisted_duck.mime.text import fold, found, iter_search_header, iter_search_text, searchable


def quoted(value: str) -> str:
    return "".join(f"={octet:02X}" for octet in value.encode())


def text_of(head: bytes, body: bytes) -> str:
    data = head + b"\n\n" + body
    return "".join(iter_search_text(data, scan(data)))


class FoldTests(SynchronousTestCase):
    def test_what_is_equal(self) -> None:
        for one, other in (
            ("Straße", "STRAßE"),
            ("É", "e\u0301"),
            ("Σίσυφος", "ΣΊΣΥΦΟΣ"),
            ("ﬁne", "FINE"),
            ("Ǆ", "ǆ"),
            ("ＦＵＬＬ", "full"),
            ("한글", "\u1112\u1161\u11ab\u1100\u1173\u11af"),
        ):
            self.assertEqual(fold(one), fold(other))
        self.assertNotEqual(fold("u"), fold("ü"))

    @given(st.text(), st.text())
    def test_it_is_done_by_character_and_once(self, one: str, other: str) -> None:
        self.assertEqual(fold(one + other), fold(one) + fold(other))
        self.assertEqual(fold(fold(one)), fold(one))

    @given(st.text("aÄ\r\n ", max_size=60), st.integers(1, 9))
    def test_in_pieces_of_any_size_it_is_the_same(self, value: str, chunk: int) -> None:
        raw = "".join(f"=?utf-8?q?{quoted(each)}?= " for each in value.split(" "))
        data = f"Subject: {raw}\n\n".encode()

        def read() -> tuple[object, object]:
            return fold(value), list(iter_search_header(data, scan(data)))

        whole = read()
        with (
            patch("twisted_duck.mime.text.CHUNK", chunk),
            patch("twisted_duck.mime.head._CHUNK", chunk),
        ):
            self.assertEqual(read(), whole)

    def test_where_little_is_not_ascii_the_rest_is_as_by_itself(self) -> None:
        plain = "".join(map(chr, range(128)))
        for text in (plain + "É" + plain, "ﬁ" + plain, plain + "\ud800"):
            with patch("twisted_duck.mime.text._FEW", 1 << 40):
                all_of_it = fold(text)
            self.assertEqual(fold(text), all_of_it)
            self.assertIn(plain.lower(), all_of_it)

    def test_a_long_run_of_marks_is_not_sorted(self) -> None:
        self.assertEqual(len(fold("é" + "\u0301\u0316" * 300_000)), 600_002)

    def test_more_characters_than_are_remembered(self) -> None:
        every = "".join(map(chr, range(0x1000, 0x20000)))
        self.assertEqual(fold(fold(every)), fold(every))

    @given(st.lists(st.text("ab", max_size=4)), st.text("ab", max_size=5))
    def test_found_in_pieces_is_found_in_the_whole(self, pieces: list[str], wanted: str) -> None:
        self.assertEqual(found(pieces, wanted), wanted in "".join(pieces))


class SearchableTests(SynchronousTestCase):
    def test_header_lines(self) -> None:
        data = (
            b"Subject : =?utf-8?q?Two=0ALines?=\r\n =?utf-8?q?_More?=  \r\nX-EMPTY:\r\nno colon\r\n"
            b"From: \xc3\x9cber\r\n\r\n"
        )
        self.assertEqual(
            searchable(data, scan(data)).header,
            fold("subject:two lines more\nx-empty:\n:no colon\nfrom:über\n"),
        )

    def test_texts_of_parts_and_apart_from_them_their_headers(self) -> None:
        data = (
            b"Subject: not here\nContent-Type: multipart/mixed; boundary=b\n\nnor here\n--b\n\nOne\n--b\n"
            b"Content-Type: image/png\n\npixels\n--b\nContent-Type: message/rfc822\n\nSubject: In\n\nTwo\n--b--\n"
        )
        one = searchable(data, scan(data))
        self.assertEqual(one.text, "one\ntwo\n")
        self.assertEqual(
            one.header,
            "subject:not here\ncontent-type:multipart/mixed; boundary=b\n"
            "\tcontent-type:image/png\n\tcontent-type:message/rfc822\n\tsubject:in\n",
        )

    def test_an_encoded_message_is_text(self) -> None:
        data = b"Content-Type: message/rfc822\nContent-Transfer-Encoding: base64\n\n" + (
            base64.b64encode(b"Subject: Hidden\n\nwell")
        )
        self.assertEqual(searchable(data, scan(data)).text, "subject: hidden\n\nwell\n")

    def test_encodings_and_charsets(self) -> None:
        for head, body, text in (
            (b"Content-Transfer-Encoding: base64", b"R3LD\nvA!==Z3J1", "grü" + "gru"),
            (b"Content-Transfer-Encoding: quoted-printable", b"a=\r\nb=C3=BC=zz", "abü=zz"),
            (b"Content-Type: text/plain; charset=iso-8859-5", b"\xbf", "П"),
            (b"Content-Type: text/plain; charset=utf-8", b"\xff\xc3\xbc", "\ufffdü"),
            (b"Content-Type: text/plain; charset=nobody-knows", b"\xfc", "ü"),
            (b"Content-Type: text/plain; charset=utf-16", b"\xfe\xff\0a", "a"),
            (b"Content-Type: text/plain; charset=utf-16", b"\xff\xfea\0", "a"),
            (b"Content-Type: text/plain; charset=utf-16", b"\0a", "a"),
            (b"Content-Type: text/plain; charset=iso-2022-jp", b"\x1b$" + b"$" * 9 + b"a", None),
            (b"X: y", b"\xc3\xbc \xfc \xc3\xbc", "\xc3\xbc \xfc \xc3\xbc"),
        ):
            got = text_of(head, body)
            if text is not None:
                self.assertEqual(got, fold(text) + "\n", (head, body))

    def test_pieces_join_where_characters_and_escapes_are_cut(self) -> None:
        text = "grün=\u20ac " * 40_000
        raw = text.encode()
        lines = base64.encodebytes(raw)
        head = b"Content-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: "
        self.assertEqual(text_of(head + b"base64", lines), fold(text) + "\n")
        quoted = quopri.encodestring(raw).rstrip(b"=\n")
        self.assertEqual(text_of(head + b"quoted-printable", quoted).rstrip(), fold(text).rstrip())
        self.assertEqual(text_of(head + b"8bit", raw), fold(text) + "\n")
        self.assertEqual(text_of(b"X: y", raw), fold(text) + "\n")

    def test_a_cut_is_told_and_the_rest_is_found_in_pieces(self) -> None:
        data = b"Subject: s\n\n" + b"word " * 1_000 + b"needle"
        tree = scan(data)
        one = searchable(data, tree, Limits(mime_search=100))
        self.assertEqual((len(one.text), one.truncated), (100, True))
        self.assertTrue(found(iter_search_text(data, tree), "needle"))
        self.assertFalse(searchable(data, tree).truncated)
        data = b"Subject: " + b"s" * 200 + b"needle\n\nx"
        tree = scan(data)
        one = searchable(data, tree, Limits(mime_search=100))
        self.assertEqual((len(one.header), one.truncated), (100, True))
        self.assertTrue(found(iter_search_header(data, tree), "needle"))

    @given(
        st.binary(max_size=100),
        st.sampled_from([b"base64", b"quoted-printable", b"8bit", b"odd"]),
        st.sampled_from(
            [b"utf-8", b"utf-7", b"iso-2022-jp", b"utf-16", b"hz", b"gb2312", b"?", b""]
        ),
    )
    def test_any_body_is_text(self, body: bytes, encoding: bytes, charset: bytes) -> None:
        text_of(
            b"Content-Type: text/plain; charset="
            + charset
            + b"\nContent-Transfer-Encoding: "
            + encoding,
            body,
        )
