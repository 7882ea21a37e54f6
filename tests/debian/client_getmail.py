"""getmail (Debian package `getmail6`) fetches a maildrop by POP3 and deletes what it has: in clear and with TLS."""

from __future__ import annotations

from tests.clients.server import PASSWORD, USER
from tests.debian.pop3 import MESSAGES, POP3ClientCase

CONFIGURATION = """
[retriever]
type = {retriever}
server = localhost
port = {port}
username = {user}
password = {password}
{tls}

[destination]
# Of all destinations this is the one that also works for root, as whom CI runs.
type = MDA_external
path = /bin/sh
arguments = ("-c", "cat >>{mailbox}")
unixfrom = true
allow_root_commands = true

[options]
read_all = false
delete = {delete}
delivered_to = false
received = false
"""


class GetmailTests(POP3ClientCase):
    async def fetch(self, retriever: str, option: str, tls: str = "", *, delete: bool) -> bytes:
        mailbox = self.directory / "mailbox"
        mailbox.touch()
        configuration = CONFIGURATION.format(
            retriever=retriever,
            port=self.server.ports[option],
            user=USER,
            password=PASSWORD,
            tls=tls,
            mailbox=mailbox,
            delete=delete,
        )
        self.write("getmailrc", configuration)
        await self.run_program("getmail", "--getmaildir", str(self.directory))
        return mailbox.read_bytes()

    async def test_in_clear(self) -> None:
        self.assertFetched(await self.fetch("SimplePOP3Retriever", "pop3", delete=True))
        self.assertEqual(await self.blocking(self.left), 0)

    async def test_tls_and_what_was_fetched_is_known_again(self) -> None:
        retriever, option = "SimplePOP3SSLRetriever", "pop3s"
        tls = f"ca_certs = {self.certificate}"
        fetched = await self.fetch(retriever, option, tls, delete=False)
        self.assertFetched(fetched)
        self.assertEqual(await self.blocking(self.left), len(MESSAGES))
        # By UIDL: nothing comes again, and now it is deleted.
        self.assertEqual(await self.fetch(retriever, option, tls, delete=True), fetched)
        self.assertEqual(await self.blocking(self.left), 0)
