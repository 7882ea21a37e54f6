"""fetchmail fetches a maildrop by POP3 and deletes what it has: in clear, after STLS, and with TLS from the first byte."""

from __future__ import annotations

from tests.clients.server import PASSWORD, USER
from tests.debian.pop3 import MESSAGES, POP3ClientCase

CONFIGURATION = """
poll localhost protocol pop3 port {port} auth password
    user "{user}" password "{password}"
    {tls}
    fetchall {keep}
    mda "/bin/sh -c 'cat >>{mailbox}'"
"""


class FetchmailTests(POP3ClientCase):
    async def fetch(self, option: str, tls: str, keep: str = "no keep") -> bytes:
        mailbox = self.directory / "mailbox"
        mailbox.write_bytes(b"")
        configuration = CONFIGURATION.format(
            port=self.server.ports[option],
            user=USER,
            password=PASSWORD,
            tls=tls.format(certificate=self.certificate),
            keep=keep,
            mailbox=mailbox,
        )
        await self.run_program(
            *("fetchmail", "--fetchmailrc", str(self.write("fetchmailrc", configuration))),
            *("--nodetach", "--nosyslog", "--pidfile", str(self.directory / "fetchmail.pid")),
            *("--idfile", str(self.directory / "fetchids")),
        )
        return mailbox.read_bytes()

    async def all_come_and_are_gone(self, option: str, tls: str) -> None:
        self.assertFetched(await self.fetch(option, tls))
        self.assertEqual(await self.blocking(self.left), 0)

    async def test_in_clear(self) -> None:
        await self.all_come_and_are_gone("pop3", "sslproto ''")

    async def test_stls(self) -> None:
        await self.all_come_and_are_gone(
            "pop3", "sslproto 'TLS1.2+' sslcertck sslcertfile '{certificate}'"
        )

    async def test_tls(self) -> None:
        await self.all_come_and_are_gone("pop3s", "ssl sslcertck sslcertfile '{certificate}'")

    async def test_what_is_kept_is_there(self) -> None:
        self.assertFetched(await self.fetch("pop3", "sslproto ''", "keep"))
        self.assertEqual(await self.blocking(self.left), len(MESSAGES))
