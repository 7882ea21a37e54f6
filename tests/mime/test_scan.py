"""The part tree: offsets, limits, any input, and the form in which it is stored."""

from __future__ import annotations

import mmap
import tempfile
from itertools import pairwise
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from tests.mime.corpus import OWN
from tests.mime.wire import check_body, check_envelope, parse
from twisted_duck.limits import Limits
from twisted_duck.mime.form import Encoding, Kind
from twisted_duck.mime.message import analyse
from twisted_duck.mime.scan import PartTree, header_size, heads_of, scan, scan_with_heads
from twisted_duck.mime.section import Section, locate

MESSAGES = [path.read_bytes() for path in sorted(OWN.glob("*.eml"))]
PIECES = [
    b"\r\n",
    b"\n",
    b"\r",
    b"--a",
    b"--ab",
    b"--",
    b"Content-Type: multipart/mixed; boundary=a\r\n",
    b"Content-Type: multipart/digest; boundary=ab\r\n",
    b"Content-Type: message/rfc822\r\n",
    b"Content-Transfer-Encoding: base64\r\n",
    b"Subject: =?utf-8?q?=C3",
    b'From: "a" <b@c>, d:(e;\r\n',
    b"text\x80\x00",
]
MESSAGE = st.one_of(
    st.binary(max_size=200),
    st.lists(st.sampled_from(PIECES), max_size=60).map(b"".join),
    st.builds(
        lambda message, at, length, new: message[:at] + new + message[at + length :],
        st.sampled_from(MESSAGES),
        st.integers(0, 600),
        st.integers(0, 40),
        st.one_of(st.binary(max_size=20), st.sampled_from(PIECES)),
    ),
)
FEW = Limits(mime_depth=3, mime_parts=5)
MANY = settings(max_examples=300, suppress_health_check=list(HealthCheck))


class Searched(bytes):
    """Knows how many bytes of it were gone through."""

    searched = 0

    def find(self, wanted: Any, start: Any = 0, stop: Any = None) -> int:
        found = super().find(wanted, start, stop)
        end = len(self) if stop is None else min(stop, len(self))
        self.searched += (end if found < 0 else found) - start
        return found


class CountingData(bytes):
    """A message that counts how many bytes its readers go through."""

    read = 0

    def find(self, sub: bytes, start: int = 0, end: int | None = None) -> int:  # type: ignore[override]
        found = super().find(sub, start, len(self) if end is None else end)
        stop = min(len(self), len(self) if end is None else end)
        self.read += max(0, (found if found >= 0 else stop) - start)
        return found


def texts(data: bytes, tree: PartTree) -> list[bytes]:
    return [data[part.body : part.end] for part in tree.leaves()]


class InvariantTests(SynchronousTestCase):
    @MANY
    @given(MESSAGE, st.sampled_from([Limits(), FEW]))
    def test_offsets_are_ordered_and_inside(self, data: bytes, limits: Limits) -> None:
        tree = scan(data, limits)
        self.assertEqual((tree.parts[0].start, tree.parts[0].end), (0, len(data)))
        self.assertLessEqual(len(tree.parts), limits.mime_parts)
        for number, part in enumerate(tree.parts):
            self.assertTrue(0 <= part.start <= part.body <= part.end <= len(data), part)
            if number:
                around = tree.parts[part.parent]
                self.assertLess(part.parent, number)
                self.assertIn(around.kind, (Kind.MESSAGE, Kind.MULTIPART))
                self.assertTrue(around.body <= part.start and part.end <= around.end)
        ends = [(leaf.start, leaf.end) for leaf in tree.leaves()]
        self.assertTrue(all(one[1] <= two[0] for one, two in pairwise(ends)))

    @MANY
    @given(MESSAGE)
    def test_either_line_end_gives_the_same_parts(self, data: bytes) -> None:
        bare = data.replace(b"\r", b"")
        whole = bare.replace(b"\n", b"\r\n")
        one, other = scan(bare), scan(whole)
        self.assertEqual(
            [(part.kind, part.parent, part.lines) for part in one.parts],
            [(part.kind, part.parent, part.lines) for part in other.parts],
        )
        for small, large in zip(one.parts, other.parts, strict=True):
            self.assertEqual(
                bare[small.start : small.body].replace(b"\n", b"\r\n"),
                whole[large.start : large.body],
            )
            self.assertEqual(
                bare[small.body : small.end].replace(b"\n", b"\r\n"),
                whole[large.body : large.end],
            )

    @MANY
    @given(MESSAGE)
    def test_the_stored_form_gives_the_tree_back(self, data: bytes) -> None:
        tree, heads = scan_with_heads(data)
        self.assertEqual(PartTree.unpack(tree.pack()), tree)
        self.assertEqual(header_size(tree.pack()), tree.parts[0].body)
        self.assertEqual(heads_of(data, tree), heads)

    @MANY
    @given(MESSAGE.filter(bool))
    def test_a_mapped_file_is_read_as_bytes_are(self, data: bytes) -> None:
        with tempfile.TemporaryFile() as file:
            file.write(data)
            file.flush()
            with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as mapped:
                self.assertEqual(analyse(mapped), analyse(data))

    @MANY
    @given(MESSAGE, st.sampled_from([Limits(), FEW, Limits(mime_structure=40, mime_search=9)]))
    def test_what_is_stored_is_always_valid_grammar(self, data: bytes, limits: Limits) -> None:
        one = analyse(data, limits)
        check_envelope(parse(one.envelope))
        check_body(parse(one.bodystructure), True)
        check_body(parse(one.body), False)

    @MANY
    @given(st.binary(max_size=60))
    def test_bytes_that_are_no_tree_are_a_value_error(self, packed: bytes) -> None:
        try:
            PartTree.unpack(packed)
        except ValueError:
            pass

    def test_a_tree_cut_off_or_of_another_version_is_refused(self) -> None:
        packed = scan(MESSAGES[0]).pack()
        for bad in (b"", packed[:-1], packed + b"\0", b"\x02" + packed[1:]):
            self.assertRaises(ValueError, PartTree.unpack, bad)


class BoundaryTests(SynchronousTestCase):
    def test_the_line_end_before_a_delimiter_belongs_to_it(self) -> None:
        data = (
            b"Content-Type: multipart/mixed; boundary=b\r\n\r\npreamble\r\n"
            b"--b\r\n\r\none\r\n\r\n--b  \n\ntwo\n--b--\r\nepilogue"
        )
        self.assertEqual(texts(data, scan(data)), [b"one\r\n", b"two"])

    def test_a_longer_boundary_that_begins_alike_is_another(self) -> None:
        data = (
            b"Content-Type: multipart/mixed; boundary=x\r\n\r\n--x\r\n"
            b"Content-Type: multipart/mixed; boundary=xy\r\n\r\n--xy\r\n\r\n1\r\n--xy\r\n\r\n2\r\n--xy--\r\n"
            b"--x\r\n\r\n3\r\n--x--\r\n"
        )
        tree = scan(data)
        self.assertEqual(texts(data, tree), [b"1", b"2", b"3"])
        self.assertEqual(tree.children, ((1, 4), (2, 3), (), (), ()))

    def test_an_outer_delimiter_is_found_again_after_an_inner_one_took_its_line(self) -> None:
        """Both begin `--x`; the middle one had looked no further than that line."""
        data = (
            b"Content-Type: multipart/mixed; boundary=x\n\n--x\n"
            b"Content-Type: multipart/mixed; boundary=zz\n\n--zz\n"
            b"Content-Type: multipart/mixed; boundary=xyz\n\n--xyz\n\n1\n--xyz--\n--zz\n\n2\n--zz--\n"
            b"--x\n\n3\n--x--\n"
        )
        self.assertEqual(texts(data, scan(data)), [b"1", b"2", b"3"])

    def test_part_headers_end_at_a_delimiter(self) -> None:
        data = b"Content-Type: multipart/mixed; boundary=b\n\n--b\nX: y\n--b\n\n2\n--b--\n"
        self.assertEqual(texts(data, scan(data)), [b"", b"2"])

    def test_a_header_that_its_own_delimiter_ends_is_read_again_the_same(self) -> None:
        data = (
            b"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n"
            b"Content-Type: multipart/mixed; boundary=b\r\n--b\r\n\r\n1\r\n--b--\r\n"
        )
        tree, heads = scan_with_heads(data)
        self.assertEqual(heads_of(data, tree), heads)
        self.assertEqual(texts(data, tree), [b"1"])

    def test_what_follows_a_header_is_not_gone_through_to_find_its_end(self) -> None:
        """The text of what is embedded many times over would be gone through as often."""
        bare = b"Content-Type: message/rfc822\n\n" * 50 + b"Subject: x\n\n" + b"text\n" * 100_000
        for data in (bare, bare.replace(b"\n", b"\r\n")):
            message = Searched(data)
            self.assertEqual(len(scan(message).parts), 51)
            self.assertLess(message.searched, len(data))

    def test_line_ends_of_both_kinds_around_delimiters(self) -> None:
        """The CR before the LF goes with it, and no more than that."""
        for before, body in (
            (b"x\r\n", b"x"),
            (b"x\n", b"x"),
            (b"x\r\r\n", b"x\r"),
            (b"x\n\r\n", b"x\n"),
            (b"x\r\n\n", b"x\r\n"),
            (b"\r\n", b""),
            (b"\n", b""),
            (b"", b""),
        ):
            for after in (b"\r\n", b"\n", b" \t\r\n", b"\r\r\n"):
                data = (
                    b"Content-Type: multipart/mixed; boundary=b\n\n--b%b\r\n%b--b%b\ny\r\n--b--"
                    % (after, before, after)
                )
                self.assertEqual(texts(data, scan(data)), [body, b"y"], data)

    def test_a_lone_cr_ends_no_line(self) -> None:
        data = b"Content-Type: multipart/mixed; boundary=b\n\n--b\n\nx\r--b\ry\n--b--"
        self.assertEqual(texts(data, scan(data)), [b"x\r--b\ry"])

    def test_a_boundary_ends_in_what_closes_another(self) -> None:
        """`--b--` closes the inner one; the longer name is the better match where both fit."""
        data = (
            b"Content-Type: multipart/mixed; boundary=b--\n\n--b--\n"
            b"Content-Type: multipart/mixed; boundary=c\n\n--c\n\n1\n--c--\n--b--\n\n2\n--b----\n"
        )
        self.assertEqual(texts(data, scan(data)), [b"1", b"2"])

    def test_embedded_messages_at_their_ends(self) -> None:
        for inside, ends in (
            (b"", (b"", b"")),
            (b"\r\n", (b"\r\n", b"")),
            (b"Subject: s", (b"Subject: s", b"")),
            (b"Subject: s\r\n", (b"Subject: s\r\n", b"")),
            (b"Subject: s\r\n\r\n", (b"Subject: s\r\n\r\n", b"")),
            (b"Subject: s\r\n\r\ntext", (b"Subject: s\r\n\r\n", b"text")),
            (b"Subject: s\r\n\r\ntext\r\n", (b"Subject: s\r\n\r\n", b"text\r\n")),
        ):
            for close in (b"\r\n--b--\r\n", b"\r\n--b--", b"\r\n--b\r\n", b"\r\n--b", b""):
                data = (
                    b"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n"
                    b"Content-Type: message/rfc822\r\n\r\n%b%b" % (inside, close)
                )
                _whole, around, message = scan(data).parts
                self.assertEqual(data[around.body : around.end], inside, data)
                self.assertEqual(
                    (data[message.start : message.body], data[message.body : message.end]),
                    ends,
                    data,
                )

    def test_a_digest_holds_messages(self) -> None:
        data = b"Content-Type: multipart/digest; boundary=b\n\n--b\n\nSubject: s\n\ntext\n--b--\n"
        self.assertEqual([part.kind for part in scan(data).parts], [3, 2, 1])

    def test_an_encoded_message_is_not_looked_into(self) -> None:
        data = b"Content-Type: message/rfc822\nContent-Transfer-Encoding: base64\n\nU3ViamVjdA==\n"
        (part,) = scan(data).parts
        self.assertEqual((part.kind, part.encoding), (Kind.MESSAGE, Encoding.BASE64))

    def test_a_message_with_a_misspelt_encoding_is(self) -> None:
        data = (
            b"Content-Type: message/rfc822\nContent-Transfer-Encoding: 8 bit\n\nSubject: s\n\ntext"
        )
        self.assertEqual([part.kind for part in scan(data).parts], [Kind.MESSAGE, Kind.TEXT])


class LimitTests(SynchronousTestCase):
    def test_depth_100(self) -> None:
        levels = b"".join(
            b"Content-Type: multipart/mixed; boundary=%s\r\n\r\n--%s\r\n"
            % (b"b%03d" % n, b"b%03d" % n)
            for n in range(250)
        )
        for data in (levels, b"Content-Type: message/rfc822\r\n\r\n" * 10_000):
            tree = scan(data)
            self.assertEqual(len(tree.parts), 101)
            self.assertEqual(tree.parts[100].kind, Kind.OTHER)
            self.assertEqual(tree.parts[100].end, len(data))
            one = analyse(data)
            check_body(parse(one.bodystructure), True)

    def test_parts_5_000(self) -> None:
        data = b"Content-Type: multipart/mixed; boundary=b\r\n\r\n" + b"--b\r\n\r\nx\r\n" * 100_000
        tree = scan(data)
        self.assertEqual(len(tree.parts), 5_000)
        self.assertEqual(tree.parts[-1].end, len(data))
        value = parse(analyse(data).body)
        assert isinstance(value, list)
        self.assertEqual(len(value), 5_000)
        self.assertEqual(locate(tree, Section((4_999,))), (tree.parts[-1].body, len(data)))

    def test_addresses_256_kib(self) -> None:
        data = b"To: " + b"a@b," * 60_000 + b"\nCc: " + b"c@d," * 60_000 + b"\n\n"
        value = parse(analyse(data, Limits(mime_structure=1 << 22)).envelope)
        assert isinstance(value, list)
        to, cc = value[5:7]
        assert isinstance(to, list) and isinstance(cc, list)
        self.assertEqual(len(to), 60_000)
        self.assertEqual(len(cc), (256 * 1024 - 240_001) // 4)

    def test_a_structure_is_bounded_whatever_the_header(self) -> None:
        data = b"To: " + b"a@b, " * 2_000_000 + b"\r\nSubject: " + b"s" * 5_000_000 + b"\r\n\r\n"
        one = analyse(data)
        self.assertLess(len(one.envelope), 2 * Limits().mime_structure)
        check_envelope(parse(one.envelope))


class CostTests(SynchronousTestCase):
    """How many bytes are searched for delimiters, for each byte of the message and each level of nesting."""

    def assert_read(self, data: bytes, times: float) -> None:
        counting = CountingData(data)
        scan(counting)
        self.assertLess(counting.read, times * len(data))

    def test_inner_boundaries_that_never_come(self) -> None:
        part = b"--b\nContent-Type: multipart/mixed; boundary=none\n\n" + b"text\n" * 10
        self.assert_read(
            b"Content-Type: multipart/mixed; boundary=b\n\n" + part * 5_000 + b"--b--\n", 4
        )

    def test_headers_without_a_blank_line(self) -> None:
        self.assert_read(
            b"Content-Type: multipart/mixed; boundary=b\n\n" + b"--b\nX: y\n" * 9_000, 4
        )

    def test_boundaries_that_begin_alike(self) -> None:
        head = b"".join(
            b"Content-Type: multipart/mixed; boundary=%s\n\n--%s\n" % (b"x" * n, b"x" * n)
            for n in range(1, 90)
        )
        self.assert_read(head + b"\n" + b"--xxxxx\n" * 9_000, 100)
