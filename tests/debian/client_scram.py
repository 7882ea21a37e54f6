"""GNU SASL (Debian package `gsasl`) and Cyrus SASL (in mbsync: `isync`, `libsasl2-modules`) log in by SCRAM."""

from __future__ import annotations

from tests.clients.server import PASSWORD, USER, ServerTestCase

MBSYNC = """
IMAPAccount duck
Host 127.0.0.1
Port {port}
User {user}
Pass "{password}"
SSLType IMAPS
CertificateFile {certificate}
AuthMechs {mechanism}

IMAPStore far
Account duck

MaildirStore near
Path {directory}/
Inbox {directory}/INBOX

Channel all
Far :far:
Near :near:
Patterns INBOX
Create Near
SyncState *
"""


class ScramTests(ServerTestCase):
    timeout = 120

    async def gsasl(self, mechanism: str, *more: str) -> None:
        done = await self.run_program(
            *("gsasl", "--imap", f"--connect=127.0.0.1:{self.server.ports['imap']}"),
            *(f"--mechanism={mechanism}", f"--authentication-id={USER}"),
            *(f"--authorization-id={USER}", f"--password={PASSWORD}", "--x509-ca-file=", *more),
            input="",
        )
        self.assertIn("Client authentication finished (server trusted)", done.stdout + done.stderr)

    async def test_gsasl_bound_to_tls_1_3_and_1_2(self) -> None:
        for mechanism in ("SCRAM-SHA-256-PLUS", "SCRAM-SHA-1-PLUS"):
            await self.gsasl(mechanism)
            await self.gsasl(mechanism, "--priority=NORMAL:-VERS-TLS1.3")

    async def test_gsasl_without_binding(self) -> None:
        await self.gsasl("SCRAM-SHA-256", "--no-cb")
        await self.gsasl("SCRAM-SHA-1", "--no-starttls")

    async def test_cyrus_sasl(self) -> None:
        for mechanism in ("SCRAM-SHA-256", "SCRAM-SHA-1"):
            near = self.directory / mechanism
            near.mkdir()
            rc = self.directory / "mbsyncrc"
            rc.write_text(
                MBSYNC.format(
                    port=self.server.ports["imaps"],
                    user=USER,
                    password=PASSWORD,
                    certificate=self.certificate,
                    mechanism=mechanism,
                    directory=near,
                )
            )
            await self.run_program("mbsync", "--config", str(rc), "--all")
            self.assertTrue((near / "INBOX").is_dir())
