"""Maildirs as other programs write them, and our own."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from twisted_duck.cli.files.maildir import MaildirMailbox, MaildirWriter, read_maildir
from twisted_duck.cli.files.source import Loaded, NotThisFormat
from twisted_duck.limits import Limits

DATE = datetime(2024, 2, 29, 12, 34, 56, tzinfo=UTC)


class MaildirCase(SynchronousTestCase):
    def setUp(self) -> None:
        self.path = Path(self.mktemp())

    def put(self, name: str, data: bytes = b"Subject: x\n\nbody\n") -> Path:
        file = self.path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(data)
        os.utime(file, (DATE.timestamp(), DATE.timestamp()))
        return file

    def read(self) -> list[MaildirMailbox]:
        return list(read_maildir(self.path, Limits()))

    def loaded(self) -> list[Loaded]:
        return [message.load() for message in self.read()[0]]


class ReadTests(MaildirCase):
    def test_a_message_with_its_flags_and_its_date(self) -> None:
        self.put("cur/1.a.host:2,FRS")
        self.assertEqual(
            self.loaded(),
            [
                Loaded(
                    b"Subject: x\r\n\r\nbody\r\n",
                    frozenset({"\\Seen", "\\Answered", "\\Flagged"}),
                    DATE,
                )
            ],
        )

    def test_every_letter(self) -> None:
        self.put("cur/1.a:2,DFPRSTX")
        self.assertEqual(
            self.loaded()[0].flags,
            {"\\Draft", "\\Flagged", "$Forwarded", "\\Answered", "\\Seen", "\\Deleted"},
        )

    def test_new_mail_has_no_flags(self) -> None:
        self.put("new/1.a.host")
        self.assertEqual(self.loaded()[0].flags, frozenset())

    def test_keywords_have_their_names_in_a_file(self) -> None:
        self.put("cur/1.a:2,Sabcd")
        self.put("dovecot-keywords", b"0 $Label1\n1 NonJunk\n2 no good\nx\n99 y\n")
        self.assertEqual(self.loaded()[0].flags, {"\\Seen", "$Label1", "NonJunk"})

    def test_order_is_that_of_arrival_by_the_number_in_the_name(self) -> None:
        for name in ("cur/100.b:2,S", "new/99.z", "cur/1000.a:2,", "new/100.a"):
            self.put(name, name.encode())
        self.assertEqual(
            [loaded.data for loaded in self.loaded()],
            [b"new/99.z", b"new/100.a", b"cur/100.b:2,S", b"cur/1000.a:2,"],
        )

    def test_the_key_stays_when_flags_change(self) -> None:
        first = self.put("new/1.a")
        before = [message.key() for message in self.read()[0]]
        first.rename(self.put("cur/1.a:2,S"))
        self.assertEqual([message.key() for message in self.read()[0]], before)

    def test_only_files_count_and_only_in_cur_and_new(self) -> None:
        self.put("cur/1.a:2,")
        for name in ("tmp/2.a", "cur/.hidden", "dovecot.index", "cur/folder/file", "other/3.a"):
            self.put(name)
        os.mkfifo(self.path / "cur/4.pipe")
        self.assertEqual(len(self.loaded()), 1)

    def test_a_file_that_was_renamed_meanwhile_fails_when_it_is_read(self) -> None:
        file = self.put("new/1.a")
        mailbox = self.read()[0]
        file.unlink()
        (message,) = mailbox
        self.assertRaises(FileNotFoundError, message.load)

    def test_folders(self) -> None:
        for name in (
            "cur/1.a:2,",
            ".Sent/cur/1.a:2,S",
            ".Work.2024/new/1.a",
            ".Entw&APw-rfe/cur/1.a:2,",
        ):
            self.put(name)
        for name in ("Sent/cur/1.a", ".nothing/file"):
            self.put(name)
        self.assertEqual(
            [(mailbox.levels, len(mailbox)) for mailbox in self.read()],
            [((), 1), (("Entwürfe",), 1), (("Sent",), 1), (("Work", "2024"), 1)],
        )

    def test_what_is_no_maildir(self) -> None:
        self.assertRaises(NotThisFormat, self.read)
        self.put("mail/1.a")
        self.assertRaises(NotThisFormat, self.read)

    def test_names_that_are_not_utf8(self) -> None:
        file = self.put("cur/plain")
        os.rename(file, os.fsencode(self.path) + b"/cur/1.caf\xe9:2,S")
        (message,) = self.read()[0]
        message.key()
        self.assertEqual(message.load().flags, {"\\Seen"})
        message.label.encode()


class WriteTests(MaildirCase):
    def test_what_is_written_is_read_again(self) -> None:
        flags = [
            frozenset[str](),
            frozenset({"\\Seen", "\\Deleted", "$forwarded"}),
            frozenset({"\\Draft", "Blue", "$Label1"}),
            frozenset({"blue"}),
        ]
        data = [b"Subject: x\r\n\r\nbody", b"Subject: y\r\n\r\nbare\nlf\r\r\n", b"", b"no line end"]
        writer = MaildirWriter(self.path, (), 7)
        for uid, (flag, message) in enumerate(zip(flags, data, strict=True), 1):
            writer.add(uid, message, flag, DATE)
        writer.close()
        loaded = self.loaded()
        self.assertEqual([each.data for each in loaded], data)
        self.assertEqual({each.date for each in loaded}, {DATE})
        self.assertEqual(
            [{flag.lower() for flag in each.flags} for each in loaded],
            [{flag.lower() for flag in each} for each in flags],
        )
        self.assertEqual(writer.lost, set())

    def test_messages_keep_their_order(self) -> None:
        writer = MaildirWriter(self.path, (), 7)
        for uid in range(1, 12):
            writer.add(uid, b"%d" % uid, frozenset(), DATE)
        self.assertEqual(
            [each.data for each in self.loaded()], [b"%d" % uid for uid in range(1, 12)]
        )

    def test_the_27th_keyword_is_lost_and_said_to_be(self) -> None:
        writer = MaildirWriter(self.path, (), 7)
        for number in range(27):
            writer.add(number + 1, b"", frozenset({f"k{number}"}), DATE)
        writer.close()
        self.assertEqual(writer.lost, {"k26"})
        self.assertEqual([sorted(each.flags) for each in self.loaded()][25:], [["k25"], []])

    def test_a_folder(self) -> None:
        MaildirWriter(self.path, (), 7).close()
        MaildirWriter(self.path, ("Work", "v1.2"), 7).close()
        self.assertEqual([each.levels for each in self.read()], [(), ("Work", "v1.2")])

    def test_only_its_owner_can_read_it(self) -> None:
        writer = MaildirWriter(self.path, (), 7)
        writer.add(1, b"", frozenset(), DATE)
        (file,) = (self.path / "cur").iterdir()
        self.assertEqual(
            (file.stat().st_mode & 0o777, self.path.stat().st_mode & 0o777), (0o600, 0o700)
        )
