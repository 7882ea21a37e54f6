"""Line ends, to files and back."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from twisted_duck.cli.files.lines import to_file, to_mail

PIECES = st.lists(st.sampled_from([b"\r\n", b"\n", b"\r", b"a", b"From ", b" "])).map(b"".join)


class LineEndTests(SynchronousTestCase):
    def test_a_file_with_lf_gets_crlf(self) -> None:
        self.assertEqual(to_mail(b"a\n\nb\n"), b"a\r\n\r\nb\r\n")

    def test_a_file_whose_first_line_has_crlf_is_not_touched(self) -> None:
        self.assertEqual(to_mail(b"a\r\nb\nc\r"), b"a\r\nb\nc\r")

    def test_in_a_file_with_lf_only_bare_lf_is_changed(self) -> None:
        self.assertEqual(to_mail(b"a\nb\r\nc\rd"), b"a\r\nb\r\nc\rd")

    def test_what_has_no_line_end_stays(self) -> None:
        for data in (b"", b"a", b"\r"):
            self.assertEqual((to_mail(data), to_file(data)), (data, data))

    def test_ordinary_mail_is_written_with_lf(self) -> None:
        self.assertEqual(to_file(b"a\r\n\r\nb\rc"), b"a\n\nb\rc")

    def test_mail_that_would_not_come_back_is_written_as_it_is(self) -> None:
        for data in (b"a\r\nb\nc", b"a\r\r\nb"):
            self.assertEqual(to_mail(to_file(data)), data)

    @given(PIECES)
    def test_all_mail_whose_first_line_is_ended_by_crlf_comes_back(self, tail: bytes) -> None:
        mail = b"Subject: x\r\n" + tail
        self.assertEqual(to_mail(to_file(mail)), mail)
