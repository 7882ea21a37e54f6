"""SCRAM with imaplib, and what becomes of users from before."""

from __future__ import annotations

import imaplib
import secrets
from hashlib import sha256
from typing import Any

from tests.clients.server import PASSWORD, USER, ServerTestCase
from tests.clients.test_imaplib import trusting
from tests.sasl.client import ScramClient


class ScramTests(ServerTestCase):
    timeout = 120

    async def test_users_from_before_log_in_by_password_once_and_new_passwords_do_at_once(
        self,
    ) -> None:
        config = self.directory / "without.toml"
        config.write_text("[auth]\nscram = false\n")
        without = ("--config", str(config))
        await self.duckmail("user", "passwd", USER, "--password", PASSWORD, *without)
        self.server = await self.start(*without)
        self.assertNotIn("AUTH=SCRAM-SHA-256", await self.blocking(self._capabilities))
        self.server = await self.start()
        self.assertIn("AUTH=SCRAM-SHA-256", await self.blocking(self._capabilities))
        await self.blocking(self._refused, PASSWORD)
        await self.blocking(self._plain)
        await self.blocking(self._accepted, PASSWORD)
        await self.duckmail("user", "passwd", USER, "--password", "two")
        await self.blocking(self._accepted, "two")
        await self.blocking(self._refused, PASSWORD)

    def _connect(self) -> Any:
        return imaplib.IMAP4_SSL("127.0.0.1", self.server.ports["imaps"], ssl_context=trusting())

    def _capabilities(self) -> tuple[str, ...]:
        client = self._connect()
        client.logout()
        capabilities: tuple[str, ...] = client.capabilities
        return capabilities

    def _plain(self) -> None:
        client = self._connect()
        client.login(USER, PASSWORD)
        client.logout()

    def _accepted(self, password: str) -> None:
        for mechanism in ("SCRAM-SHA-256", "SCRAM-SHA-1"):
            client = self._connect()
            digest = sha256(client.sock.getpeercert(binary_form=True)).digest()
            self._authenticate(client, mechanism, password, digest)
            client.logout()

    def _refused(self, password: str) -> None:
        client = self._connect()
        digest = sha256(client.sock.getpeercert(binary_form=True)).digest()
        with self.assertRaisesRegex(imaplib.IMAP4.error, "AUTHENTICATIONFAILED"):
            self._authenticate(client, "SCRAM-SHA-256", password, digest)
        client.logout()

    def _authenticate(self, client: Any, mechanism: str, password: str, digest: bytes) -> None:
        scram = ScramClient(
            mechanism.removeprefix("SCRAM-").replace("-", "").lower(),
            USER,
            password,
            nonce=secrets.token_hex(8),
            header=b"p=tls-server-end-point,,",
            binding=digest,
        )

        def answer(challenge: bytes) -> bytes:
            if not challenge:
                return scram.first
            if challenge.startswith(b"r="):
                return scram.final(challenge)
            self.assertTrue(scram.verify(challenge))
            return b""

        client.authenticate(f"{mechanism}-PLUS", answer)
