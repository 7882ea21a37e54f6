"""IMAPClient, from PyPI."""

from __future__ import annotations

from datetime import UTC, date, datetime

from imapclient import IMAPClient

from tests.clients.server import PASSWORD, USER, ServerTestCase
from tests.clients.test_imaplib import PLAIN, trusting


class IMAPClientTests(ServerTestCase):
    def connect(self) -> IMAPClient:
        client = IMAPClient(
            "127.0.0.1", self.server.ports["imaps"], ssl=True, ssl_context=trusting()
        )
        client.login(USER, PASSWORD)
        return client

    async def test_mailboxes(self) -> None:
        await self.blocking(self._mailboxes)

    def _mailboxes(self) -> None:
        client = self.connect()
        self.assertEqual(client.find_special_folder(b"\\Trash"), "Trash")
        client.create_folder("Почта/Входящие 日本")
        names = {name: set(flags) for flags, _, name in client.list_folders()}
        self.assertIn(b"\\HasChildren", names["Почта"])
        self.assertIn("Почта/Входящие 日本", names)
        client.subscribe_folder("Почта")
        self.assertIn("Почта", [name for _, _, name in client.list_sub_folders()])
        client.rename_folder("Почта", "Mail & Post")
        self.assertTrue(client.folder_exists("Mail & Post/Входящие 日本"))
        self.assertEqual(client.namespace().personal, (("", "/"),))
        legacy = {name: flags for flags, _, name in client.xlist_folders()}
        self.assertIn(b"\\Spam", legacy["Junk"])
        self.assertEqual(client.folder_status("INBOX", ["SIZE", "DELETED"])[b"SIZE"], 0)
        # Without a quota there is no root that could have one.
        self.assertEqual(client.get_quota_root("INBOX")[1], [])
        client.logout()

    async def test_several_messages_in_one_append(self) -> None:
        await self.blocking(self._several_messages)

    def _several_messages(self) -> None:
        client = self.connect()
        when = datetime(2020, 2, 29, 12, 30, 15, tzinfo=UTC)
        answer = client.multiappend(
            "INBOX",
            [
                PLAIN,
                {"msg": b"Subject: gr\xf6\xdfe\r\n\r\n", "flags": [b"\\Seen"], "date": when},
                {"msg": b"x" * 1_000_000, "flags": [b"$large"]},
            ],
        )
        self.assertIn(" 1:3] APPEND completed", str(answer))
        client.select_folder("INBOX")
        data = client.fetch([1, 2, 3], ["FLAGS", "INTERNALDATE", "BINARY.SIZE[1]"])
        self.assertEqual(data[2][b"INTERNALDATE"].astimezone(UTC), when)
        self.assertIn(b"$large", data[3][b"FLAGS"])
        self.assertEqual(data[1][b"BINARY.SIZE[1]"], len(b"Hello.\r\n"))
        client.logout()

    async def test_messages(self) -> None:
        await self.blocking(self._messages)

    def _messages(self) -> None:
        client = self.connect()
        when = datetime(2020, 2, 29, 12, 30, 15, tzinfo=UTC)
        for number in range(10):
            client.append("INBOX", PLAIN.replace(b"plain", b"number %d" % number), (), when)
        client.append("INBOX", "Subject: größe\r\n\r\nКириллица здесь\r\n".encode())
        answer = client.select_folder("INBOX")
        self.assertEqual(answer[b"EXISTS"], 11)
        self.assertEqual(client.search(["SUBJECT", "number 3"]), [4])
        self.assertEqual(client.search(["TEXT", "КИРИЛЛИЦА"], charset="UTF-8"), [11])
        self.assertEqual(client.search(["SINCE", date(2020, 3, 1)]), [11])
        data = client.fetch([1], ["ENVELOPE", "INTERNALDATE", "BODYSTRUCTURE", "FLAGS"])[1]
        self.assertEqual(data[b"ENVELOPE"].subject, b"number 0")
        self.assertEqual(data[b"INTERNALDATE"].astimezone(UTC), when)
        self.assertEqual(data[b"BODYSTRUCTURE"][0], b"text")
        client.add_flags([1, 2], [b"\\Answered", b"$label"])
        self.assertIn(b"$label", client.get_flags([2])[2])
        client.move([1, 2], "Archive")
        client.delete_messages([3])
        client.uid_expunge([3])
        self.assertEqual(client.folder_status("INBOX", ["MESSAGES"])[b"MESSAGES"], 8)
        self.assertEqual(client.folder_status("Archive", ["MESSAGES"])[b"MESSAGES"], 2)
        client.logout()

    async def test_sorts_and_threads(self) -> None:
        await self.blocking(self._sorts_and_threads)

    def _sorts_and_threads(self) -> None:
        client = self.connect()
        for name, answered, subject, day in (
            ("1", "", "pond", 2),
            ("2", "<1@x>", "Re: pond", 5),
            ("3", "<1@x>", "=?utf-8?b?UsOpOiDDvGJlcg==?=", 4),
            ("4", "<gone@x>", "Lake", 3),
            ("5", "<gone@x>", "Re: [list] lake", 1),
        ):
            client.append(
                "INBOX",
                f"From: {name}@x\r\nSubject: {subject}\r\nMessage-ID: <{name}@x>\r\n"
                f"References: {answered}\r\nDate: {day} Jan 2020 12:00 +0000\r\n\r\nquack\r\n",
            )
        client.select_folder("INBOX")
        self.assertEqual(client.sort("SUBJECT REVERSE DATE"), [4, 5, 2, 1, 3])
        self.assertEqual(client.sort(["REVERSE ARRIVAL", "DATE"], ["TEXT", "ÜBER"]), [3])
        self.assertEqual(client.sort("DATE", "ALL", "US-ASCII"), [5, 1, 4, 3, 2])
        self.assertEqual(client.thread(), (((5,), (4,)), (1, (3,), (2,))))
        self.assertEqual(client.thread("ORDEREDSUBJECT"), ((5, 4), (1, 2), (3,)))
        client.logout()

    async def test_idle_hears_another_session(self) -> None:
        await self.blocking(self._idle)

    def _idle(self) -> None:
        listener, writer = self.connect(), self.connect()
        listener.select_folder("INBOX")
        listener.idle()
        writer.append("INBOX", PLAIN)
        heard = listener.idle_check(timeout=5)
        self.assertIn((1, b"EXISTS"), heard)
        listener.idle_done()
        self.assertEqual(list(listener.fetch([1], ["FLAGS"])), [1])
        for client in (listener, writer):
            client.logout()
