"""mbsync (Debian package `isync`): a Maildir and the account, synchronised both ways."""

from __future__ import annotations

from imapclient import IMAPClient

from tests.clients.server import PASSWORD, USER, ServerTestCase
from tests.clients.test_imaplib import PLAIN, trusting

CONFIGURATION = """
IMAPAccount duck
Host 127.0.0.1
Port {port}
User {user}
Pass "{password}"
SSLType IMAPS
CertificateFile {certificate}

IMAPStore far
Account duck

MaildirStore near
Path {maildir}/
Inbox {maildir}/INBOX
SubFolders Verbatim

Channel all
Far :far:
Near :near:
Patterns *
Create Both
Remove Both
Expunge Both
SyncState *
"""


class MbsyncTests(ServerTestCase):
    def configure(self) -> None:
        self.maildir = self.directory / "mail"
        self.maildir.mkdir()
        (self.directory / "mbsyncrc").write_text(
            CONFIGURATION.format(
                port=self.server.ports["imaps"],
                user=USER,
                password=PASSWORD,
                maildir=self.maildir,
                certificate=self.certificate,
            )
        )

    async def synchronise(self) -> None:
        await self.run_program("mbsync", "--config", str(self.directory / "mbsyncrc"), "--all")

    def near(self) -> dict[str, bytes]:
        """Every message of the Maildir, by mailbox and file name (which carries the flags)."""
        return {
            str(path.relative_to(self.maildir)): path.read_bytes()
            for path in sorted(self.maildir.rglob("*"))
            if path.is_file() and path.parent.name in ("cur", "new")
        }

    def far(self) -> dict[str, dict[int, tuple[bytes, frozenset[bytes]]]]:
        """Every message of the account, by mailbox and UID, with its flags."""
        client = IMAPClient(
            "127.0.0.1", self.server.ports["imaps"], ssl=True, ssl_context=trusting()
        )
        client.login(USER, PASSWORD)
        found = {}
        for _, _, name in client.list_folders():
            client.select_folder(name, readonly=True)
            fetched = client.fetch(client.search(), ["BODY.PEEK[]", "FLAGS"])
            found[name] = {
                uid: (data[b"BODY[]"], frozenset(data[b"FLAGS"]) - {b"\\Recent"})
                for uid, data in fetched.items()
            }
        client.logout()
        return found

    def fill(self) -> None:
        client = IMAPClient(
            "127.0.0.1", self.server.ports["imaps"], ssl=True, ssl_context=trusting()
        )
        client.login(USER, PASSWORD)
        client.create_folder("Lists/duck")
        for number in range(20):
            flags = [b"\\Seen"] if number % 2 else [b"\\Flagged"]
            message = PLAIN.replace(b"plain", b"far %d" % number)
            client.append("INBOX" if number % 3 else "Lists/duck", message, flags)
        client.logout()

    async def test_both_ways_and_then_nothing_is_left_to_do(self) -> None:
        self.configure()
        await self.blocking(self.fill)
        await self.synchronise()
        self.assertEqual(len(self.near()), 20)

        # A message of our own, one deleted here, one marked here.
        for number, name in enumerate(sorted(self.near())):
            path = self.maildir / name
            if number == 0:
                path.unlink()
            elif number == 1:
                path.rename(path.with_name(path.name.partition(":2,")[0] + ":2,FRS"))
        new = self.maildir / "INBOX" / "new" / "1.own.host"
        new.write_bytes(PLAIN.replace(b"\r\n", b"\n").replace(b"plain", b"near"))
        await self.synchronise()

        far = await self.blocking(self.far)
        messages = [message for mailbox in far.values() for message in mailbox.values()]
        self.assertEqual(len(messages), 20)
        self.assertEqual(len([1 for message, _ in messages if b"Subject: near" in message]), 1)
        marked = frozenset({b"\\Flagged", b"\\Answered", b"\\Seen"})
        self.assertEqual(len([1 for _, flags in messages if flags == marked]), 1)

        near = self.near()
        await self.synchronise()
        self.assertEqual(self.near(), near)
        self.assertEqual(await self.blocking(self.far), far)
