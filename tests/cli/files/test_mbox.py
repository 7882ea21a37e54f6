"""mbox files as other programs write them, and our own."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from twisted_duck.cli.files.fields import add_fields, take_fields
from twisted_duck.cli.files.mbox import MboxWriter, Quoting, mbox_path, read_mbox
from twisted_duck.cli.files.source import Loaded, NotThisFormat
from twisted_duck.limits import Limits
from twisted_duck.values import Flags

LINE = b"From tim@example.org Thu Feb 29 12:34:56 2024\n"
DATE = datetime(2024, 2, 29, 12, 34, 56, tzinfo=UTC)


class MboxCase(SynchronousTestCase):
    def setUp(self) -> None:
        self.path = Path(self.mktemp())

    def read(self, data: bytes | None = None, quoting: Quoting = "rd") -> list[Loaded]:
        if data is not None:
            self.path.write_bytes(data)
        (mailbox,) = read_mbox(self.path, quoting, Limits())
        self.addCleanup(mailbox.close)
        return [message.load() for message in mailbox]

    def bodies(self, data: bytes, quoting: Quoting = "rd") -> list[bytes]:
        return [loaded.data for loaded in self.read(data, quoting)]


class CutTests(MboxCase):
    def test_two_messages(self) -> None:
        self.assertEqual(
            self.read(LINE + b"Subject: a\n\nbody\n\n" + LINE + b"Subject: b\n\nbody\n\n"),
            [
                Loaded(b"Subject: a\r\n\r\nbody\r\n", frozenset(), DATE),
                Loaded(b"Subject: b\r\n\r\nbody\r\n", frozenset(), DATE),
            ],
        )

    def test_a_last_message_without_the_empty_line_or_any_line_end(self) -> None:
        self.assertEqual(
            self.bodies(LINE + b"Subject: a\n\nbody\n"), [b"Subject: a\r\n\r\nbody\r\n"]
        )
        self.assertEqual(self.bodies(LINE + b"Subject: a\n\nbody"), [b"Subject: a\r\n\r\nbody"])

    def test_empty_lines_of_the_message_stay(self) -> None:
        self.assertEqual(
            self.bodies(LINE + b"a: b\n\n\n\n" + LINE + b"\n\n\n"),
            [b"a: b\r\n\r\n\r\n", b"\r\n\r\n"],
        )

    def test_empty_messages(self) -> None:
        self.assertEqual(self.bodies(LINE + b"\n" + LINE + b"\n"), [b"", b""])
        self.assertEqual(self.bodies(LINE), [b""])
        self.assertEqual(self.bodies(LINE.rstrip(b"\n")), [b""])

    def test_an_mbox_with_crlf(self) -> None:
        data = LINE + b"Subject: a\n\nbody\n\n" + LINE + b"Subject: b\n\n>From x\n\n"
        self.assertEqual(self.bodies(data.replace(b"\n", b"\r\n")), self.bodies(data))

    def test_a_paragraph_that_begins_with_from(self) -> None:
        body = b"Subject: a\n\ntext\n\nFrom here on it is text.\nFrom too.\n"
        self.assertEqual(self.bodies(LINE + body + b"\n"), [body.replace(b"\n", b"\r\n")])

    def test_a_from_line_in_the_middle_of_a_paragraph(self) -> None:
        body = b"Subject: a\n\ntext\n" + LINE + b"more\n"
        self.assertEqual(self.bodies(LINE + body + b"\n"), [body.replace(b"\n", b"\r\n")])

    def test_a_from_line_without_a_date_before_a_header_begins_a_message(self) -> None:
        self.assertEqual(
            self.read(b"From \nSubject: a\n\nbody\n\nFrom - \nSubject: b\n\nbody\n"),
            [
                Loaded(b"Subject: a\r\n\r\nbody\r\n", frozenset(), None),
                Loaded(b"Subject: b\r\n\r\nbody\r\n", frozenset(), None),
            ],
        )

    def test_a_message_larger_than_what_is_read_at_once(self) -> None:
        """`From ` lines on and about the seams of the pieces."""
        for shift in range(-8, 9):
            size = (1 << 20) - 2 * len(LINE) - len(b"a: b\n\n") + shift
            body = b"a: b\n\n" + b"x" * size + b"\n"
            self.assertEqual(
                self.bodies(LINE + body + b"\n" + LINE + b"c: d\n\n"),
                [body.replace(b"\n", b"\r\n"), b"c: d\r\n"],
            )

    def test_an_empty_file_and_one_that_is_no_mbox(self) -> None:
        self.assertEqual(self.bodies(b""), [])
        self.assertEqual(self.bodies(b"\n\n"), [])
        for data in (b"Subject: a\n\nbody\n", b"text\nFrom x\n", b"From here on\ntext\n"):
            self.assertRaises(NotThisFormat, self.read, data)

    def test_what_a_program_wants_to_remember_is_no_message(self) -> None:
        pseudo = b"Subject: DON'T DELETE THIS MESSAGE\nX-IMAP: 1 2\nStatus: RO\n\ntext\n\n"
        self.assertEqual(self.bodies(LINE + pseudo + LINE + b"a: b\n\n"), [b"a: b\r\n"])

    def test_a_file_cut_off_meanwhile_fails_when_it_is_read(self) -> None:
        self.path.write_bytes(LINE + b"Subject: a\n\nbody\n")
        (mailbox,) = read_mbox(self.path, "rd", Limits())
        self.addCleanup(mailbox.close)
        (message,) = mailbox
        self.path.write_bytes(LINE)
        self.assertRaises(OSError, message.load)

    @given(
        st.lists(
            st.sampled_from([LINE, b"From ", b">", b"\n", b"\r\n", b"a: b", b"Status: R\n", b"\0"])
        ).map(b"".join)
    )
    def test_whatever_is_in_a_file_every_byte_is_in_some_message(self, data: bytes) -> None:
        self.path.write_bytes(LINE + data)
        (mailbox,) = read_mbox(self.path, "none", Limits())
        try:
            messages = list(mailbox)
            # What is not a message's are `From ` lines, and empty lines before them and at the end.
            lost = len(LINE + data) - sum(message.size for message in messages)
            lines = sum(len(message._line) for message in messages)
            self.assertTrue(lines - 1 <= lost <= lines + 2 * len(messages), (lost, lines))
            for message in messages:
                message.load()
        finally:
            mailbox.close()


class QuoteTests(MboxCase):
    DATA = LINE + b"a: b\n\n>From x\n>>From y\n> From z\n\n"

    def test_rd_takes_one_off_any_number(self) -> None:
        self.assertEqual(self.bodies(self.DATA), [b"a: b\r\n\r\nFrom x\r\n>From y\r\n> From z\r\n"])

    def test_o_takes_off_a_single_one(self) -> None:
        self.assertEqual(
            self.bodies(self.DATA, "o"), [b"a: b\r\n\r\nFrom x\r\n>>From y\r\n> From z\r\n"]
        )

    def test_none_takes_nothing_off(self) -> None:
        self.assertEqual(
            self.bodies(self.DATA, "none"), [b"a: b\r\n\r\n>From x\r\n>>From y\r\n> From z\r\n"]
        )


class DateTests(MboxCase):
    def date(self, text: str) -> datetime | None:
        return self.read(f"From x@y {text}\na: b\n\n".encode())[0].date

    def test_forms(self) -> None:
        utc = datetime(1996, 1, 3, 1, 5, 34, tzinfo=UTC)
        for text in (
            "Wed Jan  3 01:05:34 1996",
            "Wed Jan 3 01:05:34 1996",
            "Wed Jan 03 01:05:34 UTC 1996",
            "Wed Jan  3 01:05:34 1996 +0000",
        ):
            self.assertEqual(self.date(text), utc, text)
        east = timezone(timedelta(hours=5, minutes=30))
        expected = utc.replace(tzinfo=east)
        for text in ("Wed Jan  3 01:05:34 +0530 1996", "Wed Jan  3 01:05:34 1996 +0530"):
            self.assertEqual(self.date(text), expected)
            self.assertEqual(
                self.date(text.replace("+", "-")),
                utc.replace(tzinfo=timezone(-timedelta(hours=5, minutes=30))),
            )

    def test_no_date(self) -> None:
        for text in (
            "",
            "yesterday",
            "Wed Foo  3 01:05:34 1996",
            "Wed Feb 30 01:05:34 1996",
            "Wed Jan  3 25:05:34 1996",
            "Wed Jan  3 01:05:34 1996 +9999",
        ):
            self.assertEqual(self.date(text), None, text)


class KeyTests(MboxCase):
    def keys(self, data: bytes) -> list[bytes]:
        self.path.write_bytes(data)
        (mailbox,) = read_mbox(self.path, "rd", Limits())
        self.addCleanup(mailbox.close)
        return [message.key() for message in mailbox]

    def test_a_key_stays_when_others_come_and_go(self) -> None:
        a, b, c = (LINE + b"Subject: %b\n\n\n" % name for name in (b"a", b"b", b"c"))
        keys = self.keys(a + b + c)
        self.assertEqual(len(set(keys)), 3)
        self.assertEqual(self.keys(b + c + a), [*keys[1:], keys[0]])

    def test_the_same_message_twice_is_two(self) -> None:
        message = LINE + b"Subject: a\n\n\n"
        once, twice = self.keys(message), self.keys(message + message)
        self.assertEqual(twice[0], once[0])
        self.assertNotEqual(twice[0], twice[1])


class FieldTests(SynchronousTestCase):
    def take(self, message: bytes) -> tuple[bytes, Flags]:
        return take_fields(message, Limits())

    def test_flags_are_taken_out_of_the_header(self) -> None:
        self.assertEqual(
            self.take(
                b"A: b\r\nStatus: RO\r\nX-Status: AFDT\r\nX-Keywords: Blue $Label1 \r\nC: d\r\n\r\nStatus: R\r\n"
            ),
            (
                b"A: b\r\nC: d\r\n\r\nStatus: R\r\n",
                {"\\Seen", "\\Answered", "\\Flagged", "\\Deleted", "\\Draft", "Blue", "$Label1"},
            ),
        )

    def test_a_header_without_them_is_not_touched(self) -> None:
        for message in (b"", b"\r\n", b"A: b", b"A: b\r\n\r\n", b"X-Statusx: R\r\n\r\n"):
            self.assertEqual(self.take(message), (message, frozenset()))

    def test_what_can_be_no_keyword_is_left_out(self) -> None:
        self.assertEqual(
            self.take(b"X-Keywords: a \\Seen \xff (b) %s c\r\n\r\n" % (b"k" * 129))[1], {"a", "c"}
        )

    def test_mozilla(self) -> None:
        message = b"X-Mozilla-Status: 1007\r\nX-Mozilla-Status2: 00000000\r\n\r\n"
        self.assertEqual(
            self.take(message), (message, {"\\Seen", "\\Answered", "\\Flagged", "$Forwarded"})
        )
        self.assertEqual(self.take(b"X-Mozilla-Status: zz\r\n\r\n")[1], frozenset())

    @given(
        st.lists(
            st.sampled_from(
                [b"Status: R\r\n", b"X-Keywords: a\r\n", b" b\r\n", b"x", b"\r\n", b"\n"]
            )
        ).map(b"".join),
        st.frozensets(
            st.sampled_from(
                ["\\Seen", "\\Flagged", "\\Answered", "\\Draft", "\\Deleted", "a", "$b"]
            )
        ),
    )
    def test_what_was_added_is_taken_away(self, message: bytes, flags: Flags) -> None:
        expected = message
        if b"\r\n\r\n" not in message and not message.endswith(b"\n"):
            expected += b"\r\n"
        taken, found = self.take(add_fields(message, flags))
        self.assertIn(taken, (message, expected))
        self.assertEqual(found, flags)


class WriteTests(MboxCase):
    def write(self, *messages: tuple[bytes, Flags]) -> None:
        self.path.unlink(missing_ok=True)
        writer = MboxWriter(self.path)
        for uid, (data, flags) in enumerate(messages, 1):
            writer.add(uid, data, flags, DATE)
        writer.close()

    def test_as_it_stands_in_the_file(self) -> None:
        self.write(
            (b"Subject: a\r\n\r\nFrom x\r\n>From y\r\n", frozenset({"\\Seen", "\\Flagged", "Blue"}))
        )
        self.assertEqual(
            self.path.read_bytes(),
            b"From MAILER-DAEMON Thu Feb 29 12:34:56 2024\n"
            b"Subject: a\nStatus: RO\nX-Status: F\nX-Keywords: Blue\n\n>From x\n>>From y\n\n",
        )
        self.assertEqual(self.path.stat().st_mode & 0o777, 0o600)

    def test_never_over_a_file_that_is_there(self) -> None:
        self.path.write_bytes(b"precious")
        self.assertRaises(FileExistsError, MboxWriter, self.path)

    @given(
        st.lists(
            st.tuples(
                st.lists(
                    st.sampled_from(
                        [
                            b"\r\n",
                            b"\n",
                            b"\r",
                            b"From a\r\n",
                            b">",
                            LINE,
                            b"Status: O\r\n",
                            b"a: b",
                        ]
                    )
                ).map(b"".join),
                st.frozensets(st.sampled_from(["\\Seen", "\\Draft", "Blue"])),
            ),
            max_size=4,
        )
    )
    def test_what_is_written_is_read_again(self, messages: list[tuple[bytes, Flags]]) -> None:
        """All but a final line end that is not there."""
        ended = [(b"Subject: x\r\n" + data + b"\r\n", flags) for data, flags in messages]
        self.write(*ended)
        self.assertEqual(self.read(), [Loaded(data, flags, DATE) for data, flags in ended])

    def test_a_message_without_a_final_line_end_gets_one(self) -> None:
        self.write((b"a: b\r\n\r\nbody", frozenset()))
        self.assertEqual(self.read()[0].data, b"a: b\r\n\r\nbody\r\n")

    def test_a_directory_has_a_file_for_each_mailbox(self) -> None:
        for levels in (("INBOX",), ("Work", "v1.2")):
            MboxWriter(mbox_path(self.path, levels)).close()
        found = list(read_mbox(self.path, "rd", Limits()))
        for mailbox in found:
            mailbox.close()
        self.assertEqual([mailbox.levels for mailbox in found], [("INBOX",), ("Work", "v1.2")])

    def test_a_directory_without_any(self) -> None:
        self.path.mkdir()
        self.assertRaises(NotThisFormat, list, read_mbox(self.path, "rd", Limits()))
