"""Clients that know of modseqs: IMAPClient for CONDSTORE, and imaplib by hand for QRESYNC, which no library on PyPI has."""

from __future__ import annotations

import imaplib

from imapclient import IMAPClient

from tests.clients.server import PASSWORD, USER, ServerTestCase
from tests.clients.test_imaplib import PLAIN, trusting


class CondstoreTests(ServerTestCase):
    async def test_condstore(self) -> None:
        await self.blocking(self._condstore)

    def _condstore(self) -> None:
        port = self.server.ports["imaps"]
        client = IMAPClient("127.0.0.1", port, ssl=True, ssl_context=trusting())
        client.login(USER, PASSWORD)
        self.assertEqual(client.enable("CONDSTORE"), [b"CONDSTORE"])
        for _ in range(3):
            client.append("INBOX", PLAIN)
        known = client.select_folder("INBOX")[b"HIGHESTMODSEQ"]
        self.assertEqual(client.folder_status("INBOX", ["HIGHESTMODSEQ"])[b"HIGHESTMODSEQ"], known)
        client.add_flags([2], [b"\\Flagged"])
        changed = client.fetch([1, 2, 3], ["FLAGS"], [f"CHANGEDSINCE {known}"])
        self.assertEqual(list(changed), [2])
        self.assertEqual(changed[2][b"MODSEQ"], (known + 1,))
        found = client.search(["MODSEQ", known + 1])
        self.assertEqual((list(found), found.modseq), ([2], known + 1))
        client.logout()

    async def test_qresync(self) -> None:
        await self.blocking(self._qresync)

    def _qresync(self) -> None:
        port = self.server.ports["imaps"]
        one, two = (imaplib.IMAP4_SSL("127.0.0.1", port, ssl_context=trusting()) for _ in range(2))
        for client in (one, two):
            client.login(USER, PASSWORD)
        for _ in range(6):
            one.append("INBOX", None, None, PLAIN)
        one.select("INBOX")
        validity, known = (
            int(one.response(code)[1][0]) for code in ("UIDVALIDITY", "HIGHESTMODSEQ")
        )
        self.assertEqual(two.enable("QRESYNC")[0], "OK")
        one.store("2,5", "+FLAGS.SILENT", "(\\Deleted)")
        one.expunge()
        one.uid("STORE", "4", "+FLAGS.SILENT", "(\\Seen)")
        two.select(f"INBOX (QRESYNC ({validity} {known} 1:6))")
        self.assertEqual(two.response("VANISHED")[1], [b"(EARLIER) 2,5"])
        [changed] = two.response("FETCH")[1]
        self.assertRegex(changed, rb"3 \(UID 4 FLAGS \(\\Seen( \\Recent)?\) MODSEQ \(\d+\)\)")
        for client in (one, two):
            client.logout()
