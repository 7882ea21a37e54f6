"""Transfer encodings undone in pieces: the same whatever the pieces, what RFC 2045 says, and linear."""

from __future__ import annotations

import base64
import quopri
import time
from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from twisted_duck.mime.decoding import Base64, Decoder, LineEnds, QuotedPrintable


def decoded(decoder: Decoder, data: bytes, cuts: list[int]) -> bytes:
    at = [0, *sorted(cut % (len(data) + 1) for cut in cuts), len(data)]
    pieces = [decoder.feed(data[a:b]) for a, b in pairwise(at)]
    return b"".join(pieces) + decoder.finish()


CUTS = st.lists(st.integers(0, 1000), max_size=8)
QUOTED = st.lists(
    st.sampled_from(
        [b"=", b"41", b"=C3", b"\r\n", b"\n", b"\r", b" ", b"\t", b"a", b"=\r\n", b"_"]
    ),
    max_size=30,
).map(b"".join)


class DecodingTests(SynchronousTestCase):
    def test_quoted_printable(self) -> None:
        for written, meant in (
            (b"=41=c3=A9_", b"A\xc3\xa9_"),
            (b"soft=\r\n break", b"soft break"),
            (b"soft=\n break", b"soft break"),
            (b"soft= \t\r\nbreak", b"softbreak"),
            (b"hard \t\r\nbreak\t ", b"hard\r\nbreak"),
            (b"a  b \n\n c", b"a  b\n\n c"),
            (b"1 = 2, =ZZ =4", b"1 = 2, =ZZ =4"),
            (b"bare=\rreturn\n", b"bare=\rreturn\n"),
            (b"end=", b"end"),
            (b"end=\r\n", b"end"),
            (b"=3D=\r\n=3D", b"=="),
            (b"==", b"="),
            (b"==41=", b"=A"),
            (b"==\r\n41", b"=41"),
            (b"=4=\r\n1", b"=41"),
            (b"=\r", b"=\r"),
            (b"", b""),
        ):
            for cut in range(len(written) + 1):
                found = decoded(QuotedPrintable(), written, [cut])
                self.assertEqual(found, meant, (written, cut))

    def test_base64(self) -> None:
        for written, meant in (
            (b"aGVs\r\nbG8=\r\n", b"hello"),
            (b"aGVsbG8", b"hello"),
            (b"aA==aQ==", b"hi"),
            (b"a G-V\0s!", b"hel"),
            (b"a", b""),
            (b"====", b""),
        ):
            for cut in range(len(written) + 1):
                self.assertEqual(decoded(Base64(), written, [cut]), meant, (written, cut))

    def test_line_ends(self) -> None:
        for given_, meant in (
            (b"a\nb\r\nc\rd\r\r\n\n", b"a\r\nb\r\nc\rd\r\r\n\r\n"),
            (b"\r", b"\r"),
            (b"", b""),
        ):
            for cut in range(len(given_) + 1):
                self.assertEqual(decoded(LineEnds(), given_, [cut]), meant)

    @given(st.binary(max_size=200), CUTS)
    def test_what_was_encoded_comes_back(self, data: bytes, cuts: list[int]) -> None:
        self.assertEqual(decoded(Base64(), base64.encodebytes(data), cuts), data)
        text = data.replace(b"\r", b"").replace(b"\n", b"\r\n")
        quoted = quopri.encodestring(text.replace(b"\r\n", b"\n")).replace(b"\n", b"\r\n")
        self.assertEqual(decoded(QuotedPrintable(), quoted, cuts), text)

    @settings(max_examples=1000)
    @given(QUOTED | st.binary(max_size=60), CUTS)
    def test_pieces_make_no_difference(self, data: bytes, cuts: list[int]) -> None:
        for kind in (QuotedPrintable, Base64, LineEnds):
            self.assertEqual(decoded(kind(), data, cuts), decoded(kind(), data, []))

    def test_nothing_takes_more_than_its_length(self) -> None:
        piece = 64 * 1024
        for hostile in (b" ", b"=", b"\r", b"\n", b"=\r", b" \t\r", b"=4", b"= ", b"=0A", b"A"):
            data = hostile * (piece // len(hostile))
            for kind in (QuotedPrintable, Base64, LineEnds):
                decoder, start = kind(), time.process_time()
                held = 0
                for _ in range(32):
                    held += len(data) - len(decoder.feed(data))
                decoder.finish()
                # 2 MiB; a step that looks at everything held so far takes minutes.
                self.assertLess(time.process_time() - start, 2, (kind, hostile))
