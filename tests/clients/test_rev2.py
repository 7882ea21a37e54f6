"""IMAP4rev2 on MongoDB: imaplib by hand, since no library on PyPI enables it yet."""

from __future__ import annotations

import imaplib

from tests.clients.server import PASSWORD, USER, ServerTestCase
from tests.clients.test_imaplib import PLAIN, trusting


class Rev2Tests(ServerTestCase):
    async def test_rev2(self) -> None:
        await self.blocking(self._rev2)

    def _rev2(self) -> None:
        port = self.server.ports["imaps"]
        one, two = (imaplib.IMAP4_SSL("127.0.0.1", port, ssl_context=trusting()) for _ in range(2))
        for client in (one, two):
            client.login(USER, PASSWORD)
        self.assertIn("IMAP4REV2", one.capabilities)
        self.assertEqual(one.enable("IMAP4rev2")[0], "OK")
        self.assertEqual(one.response("ENABLED")[1], [b"IMAP4rev2"])
        self.assertEqual(one.create('"Sent/B&APw-ro"')[0], "OK")
        for _ in range(3):
            one.append("Sent", None, None, PLAIN)
        one.select("Sent")
        self.assertEqual(one.response("LIST")[1], [rb'(\HasChildren \Sent) "/" Sent'])
        self.assertEqual(one.response("RECENT")[1], [None])
        one.search(None, "UNDELETED")
        [found] = one.response("ESEARCH")[1]
        self.assertRegex(found, rb'^\(TAG "[A-Z0-9]+"\) ALL 1:3$')
        two.select("Sent")
        self.assertEqual(two.response("RECENT")[1], [b"0"])
        two.store("2", "+FLAGS", "($Forwarded)")
        one.noop()
        self.assertEqual(one.response("FETCH")[1], [b"2 (UID 2 FLAGS ($Forwarded))"])
        # In UTF-8 an ampersand is nothing but that.
        self.assertIn(rb'(\HasNoChildren) "/" Sent/B&APw-ro', one.list("Sent/", "*")[1])
        self.assertIn(rb'(\HasNoChildren) "/" Sent/B&-APw-ro', two.list("Sent/", "*")[1])
        for client in (one, two):
            client.logout()
