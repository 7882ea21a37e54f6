"""Sections, on the example of RFC 3501 §6.4.5."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from twisted_duck.mime.header import blank_line, blocks, fields
from twisted_duck.mime.scan import scan
from twisted_duck.mime.section import Section, SectionText, filter_header, locate

EXAMPLE = b"""\
Subject: the whole
Content-Type: multipart/mixed; boundary=A

--A

one
--A
Content-Type: application/octet-stream

two
--A
Content-Type: message/rfc822

Subject: three
Content-Type: multipart/mixed; boundary=B

--B

three.one
--B
Content-Type: application/octet-stream

three.two
--B--
--A
Content-Type: multipart/mixed; boundary=C

--C
Content-Type: image/gif

four.one
--C
Content-Type: message/rfc822

Subject: four.two
Content-Type: multipart/mixed; boundary=D

--D

four.two.one
--D
Content-Type: multipart/alternative; boundary=E

--E

four.two.two.one
--E
Content-Type: text/richtext

four.two.two.two
--E--
--D--
--C--
--A--
""".replace(b"\n", b"\r\n")
TREE = scan(EXAMPLE)


class LocateTests(SynchronousTestCase):
    def at(self, part: tuple[int, ...], text: SectionText | None = None) -> bytes | None:
        place = locate(TREE, Section(part, text))
        return None if place is None else EXAMPLE[slice(*place)]

    def test_the_parts_of_the_example(self) -> None:
        for part, body in {
            (1,): b"one",
            (2,): b"two",
            (3, 1): b"three.one",
            (3, 2): b"three.two",
            (4, 1): b"four.one",
            (4, 2, 1): b"four.two.one",
            (4, 2, 2, 1): b"four.two.two.one",
            (4, 2, 2, 2): b"four.two.two.two",
        }.items():
            self.assertEqual(self.at(part), body)
        for part, first, last in (
            ((3,), b"Subject: three\r\n", b"--B--"),
            ((4,), b"--C\r\n", b"--C--"),
            ((4, 2), b"Subject: four.two\r\n", b"--D--"),
            ((4, 2, 2), b"--E\r\n", b"--E--"),
        ):
            whole = self.at(part)
            assert whole is not None
            self.assertTrue(whole.startswith(first) and whole.endswith(last), part)

    def test_headers_and_texts(self) -> None:
        self.assertEqual(self.at(()), EXAMPLE)
        header, text = self.at((), "HEADER"), self.at((), "TEXT")
        assert header is not None and text is not None
        self.assertEqual(header + text, EXAMPLE)
        self.assertEqual(self.at((1,), "MIME"), b"\r\n")
        self.assertEqual(self.at((3,), "MIME"), b"Content-Type: message/rfc822\r\n\r\n")
        inner, body = self.at((3,), "HEADER"), self.at((3,), "TEXT")
        assert inner is not None and body is not None
        self.assertTrue(inner.startswith(b"Subject: three\r\n") and inner.endswith(b"\r\n\r\n"))
        self.assertTrue(body.startswith(b"--B") and body.endswith(b"--B--"))
        self.assertEqual(self.at((3,)), inner + body)
        self.assertEqual(self.at((4, 1), "MIME"), b"Content-Type: image/gif\r\n\r\n")
        inner, body = self.at((4, 2), "HEADER"), self.at((4, 2), "TEXT")
        assert inner is not None and body is not None
        self.assertTrue(inner.startswith(b"Subject: four.two\r\n") and inner.endswith(b"\r\n\r\n"))
        self.assertTrue(body.startswith(b"--D") and body.endswith(b"--D--"))

    def test_what_is_not_there(self) -> None:
        for part in ((0,), (5,), (1, 1), (3, 3), (3, 1, 1), (4, 2, 2, 3), (4, 0)):
            self.assertIsNone(self.at(part), part)
        texts: tuple[SectionText, ...] = ("HEADER", "TEXT", "HEADER.FIELDS")
        for text in texts:
            self.assertIsNone(self.at((1,), text), text)
            self.assertIsNone(self.at((4,), text), text)
        self.assertIsNone(self.at((), "MIME"))

    def test_a_message_that_is_one_part(self) -> None:
        data = b"Subject: s\r\n\r\nthe text"
        tree = scan(data)
        self.assertEqual(locate(tree, Section((1,))), (14, 22))
        self.assertEqual(locate(tree, Section((1,), "MIME")), (0, 14))
        self.assertIsNone(locate(tree, Section((2,))))
        self.assertIsNone(locate(tree, Section((1, 1))))

    def test_a_message_that_is_a_message(self) -> None:
        data = b"Content-Type: message/rfc822\n\nSubject: in\n\ntext"
        tree = scan(data)
        self.assertEqual(locate(tree, Section((1,))), (30, 47))
        self.assertEqual(locate(tree, Section((1,), "HEADER")), (30, 43))
        self.assertEqual(locate(tree, Section((1, 1))), (43, 47))

    def test_a_message_in_a_message_in_a_message(self) -> None:
        data = b"Content-Type: message/rfc822\n\n" * 2 + b"Subject: in\n\ntext"
        tree = scan(data)
        cases: list[tuple[tuple[int, ...], SectionText | None, bytes | None]] = [
            ((1,), None, data[30:]),
            ((1,), "HEADER", data[30:60]),
            ((1, 1), None, data[60:]),
            ((1, 1), "MIME", data[30:60]),
            ((1, 1), "HEADER", b"Subject: in\n\n"),
            ((1, 1), "TEXT", b"text"),
            ((1, 1, 1), None, b"text"),
            ((1, 1, 1), "MIME", b"Subject: in\n\n"),
            ((1, 1, 1), "TEXT", None),
            ((1, 1, 1, 1), None, None),
            ((1, 2), None, None),
        ]
        for part, text, found in cases:
            place = locate(tree, Section(part, text))
            self.assertEqual(place and data[slice(*place)], found, (part, text))

    @given(st.lists(st.integers(-1, 5), max_size=6))
    def test_any_part_number_is_inside_or_nothing(self, part: list[int]) -> None:
        place = locate(TREE, Section(tuple(part)))
        if place is not None:
            self.assertTrue(0 <= place[0] <= place[1] <= len(EXAMPLE))


class FilterTests(SynchronousTestCase):
    HEADER = b"Subject: a\r\n b\r\nno colon\r\nTO : x\r\nsubject:c\nFrom: f\r\n\r\n"

    def test_matching_fields_with_continuations_and_the_blank_line(self) -> None:
        self.assertEqual(
            filter_header(self.HEADER, (b"SUBJECT", b"to", b""), False),
            b"Subject: a\r\n b\r\nTO : x\r\nsubject:c\n\r\n",
        )

    def test_the_others(self) -> None:
        self.assertEqual(
            filter_header(self.HEADER, (b"SUBJECT", b"to"), True),
            b"no colon\r\nFrom: f\r\n\r\n",
        )

    def test_no_blank_line_is_made_up(self) -> None:
        self.assertEqual(filter_header(b"A: b\r\nC: d", (b"C",), False), b"C: d")
        self.assertEqual(filter_header(b"", (b"C",), False), b"")
        self.assertEqual(filter_header(b"\n", (b"C",), False), b"\n")

    @given(st.binary(max_size=80), st.lists(st.binary(max_size=4), max_size=3))
    def test_the_two_halves_are_the_whole(self, header: bytes, names: list[bytes]) -> None:
        end = scan(header).parts[0].body
        header = header[:end]
        kept = filter_header(header, tuple(names), False)
        others = filter_header(header, tuple(names), True)
        blank = filter_header(header, (), False)
        self.assertEqual(len(kept) + len(others) - len(blank), len(header))

    @given(
        st.lists(
            st.sampled_from(
                [b"A", b"a", b"A b", b"B", b":", b" ", b"\t", b"\r", b"\n", b"\r\n", b"\n "]
            ),
            max_size=20,
        ).map(b"".join),
        st.sampled_from([(b"a",), (b"B", b"A B"), (b"a", b"a b", b"b"), (b"", b"A:")]),
    )
    def test_kept_is_what_has_the_name(self, data: bytes, names: tuple[bytes, ...]) -> None:
        header = data[: scan(data).parts[0].body]
        compared = {name.lower() for name in names} - {b""}
        self.assertEqual(
            filter_header(header, names, False),
            b"".join(header[f.start : f.end] for f in fields(header) if f.name in compared)
            + blank_line(header),
        )

    @given(
        st.lists(st.sampled_from([b"A: b", b"B:", b" c", b"\r", b"\n", b"\r\n", b"x"])),
        st.integers(0, 9),
    )
    def test_block_by_block_is_the_same(self, lines: list[bytes], size: int) -> None:
        data = b"".join(lines)
        header = data[: scan(data).parts[0].body]
        for negate in (False, True):
            self.assertEqual(
                b"".join(filter_header(block, (b"A",), negate) for block in blocks(header, size)),
                filter_header(header, (b"A",), negate),
            )
