"""curl reads the mail of the demo account, as the server's own line to try says.

Needs the Debian package `curl`: run by `tox -e clients`, not with the rest.
"""

from __future__ import annotations

from twisted.internet.utils import getProcessOutputAndValue

from tests.service.test_server import ServerCase


class CurlTests(ServerCase):
    async def curl(self, *argv: str) -> str:
        out, err, status = await getProcessOutputAndValue(
            "/usr/bin/env", ["curl", "--silent", "--show-error", "--insecure", *argv]
        )
        self.assertEqual(status, 0, err)
        return str(out, "utf-8")

    async def test_demo(self) -> None:
        server = await self.running(self.settings(demo=True))
        password = (self.data_dir / "demo-password").read_text()
        clear, tls = (port.getHost().port for port in server.ports)
        for url, how in (
            (f"imaps://127.0.0.1:{tls}", ()),
            (f"imap://127.0.0.1:{clear}", ("--ssl-reqd",)),
        ):
            account = (*how, "--user", f"demo:{password}")
            listed = await self.curl(*account, f"{url}/")
            self.assertIn("INBOX", listed)
            first = await self.curl(*account, f"{url}/INBOX;MAILINDEX=1")
            self.assertIn("Subject: Welcome\r\n", first)
            found = await self.curl(*account, f"{url}/INBOX?FLAGGED")
            self.assertEqual(found.split(), ["*", "SEARCH", "2"])
