"""Postfix delivers by its `lmtp:` transport: 1,000 messages, and recipients that fail among them.

It runs as a second instance with a directory of its own, which takes root.
"""

from __future__ import annotations

import imaplib
import re
import shutil
import smtplib
import socket
import subprocess
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests.clients.server import PASSWORD, USER, ServerTestCase

MESSAGES = 1_000
#: Of every so many messages one is also for somebody who does not exist, and one for somebody who is disabled.
EVERY = 50

MAIN = """
compatibility_level = 3.6
queue_directory = {directory}/queue
data_directory = {directory}/data
mail_owner = postfix
setgid_group = postdrop
maillog_file = {directory}/log
maillog_file_prefixes = {directory}
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
myhostname = relay.example.com
mydestination =
mynetworks = 127.0.0.0/8
alias_maps =
alias_database =
local_recipient_maps =
virtual_mailbox_domains = example.org
virtual_mailbox_maps = static:somebody
virtual_transport = lmtp:inet:127.0.0.1:{lmtp}
lmtp_destination_recipient_limit = 50
smtpd_client_connection_count_limit = 0
in_flow_delay = 0s
"""


class PostfixTests(ServerTestCase):
    options = ("--lmtp", "tcp:0:interface=127.0.0.1", "--allow-cleartext-auth")
    timeout = 240

    def postfix(self, command: str, *arguments: str) -> str:
        done = subprocess.run(
            [command, "-c", str(self.relay), *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=60,
            check=False,
        )
        if done.returncode:
            self.fail(f"{command} {arguments} ended with {done.returncode}:\n{done.stdout}")
        return done.stdout

    def start_relay(self) -> None:
        """Where its own user, too, may go: not below the directory of somebody else."""
        self.relay = Path(tempfile.mkdtemp(prefix="duck-postfix-"))
        self.addCleanup(shutil.rmtree, self.relay)
        self.relay.chmod(0o755)
        (self.relay / "queue").mkdir()
        (self.relay / "data").mkdir()
        shutil.chown(self.relay / "data", "postfix")
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.smtp = free.getsockname()[1]
        (self.relay / "main.cf").write_text(
            MAIN.format(directory=self.relay, lmtp=self.server.ports["lmtp"])
        )
        services = Path("/etc/postfix/master.cf").read_text()
        # Not in a chroot, where they would need files of their own; and not at the port of the first instance.
        services = re.sub(r"(?m)^(\w+\s+\w+\s+\S+\s+\S+\s+)y(\s)", r"\1n\2", services)
        services = re.sub(r"(?m)^smtp(\s+inet)", rf"127.0.0.1:{self.smtp}\1", services)
        if not re.search(r"(?m)^postlog\s", services):
            services += "postlog unix-dgram n - n - 1 postlogd\n"
        (self.relay / "master.cf").write_text(services)
        self.postfix("postfix", "start")
        self.addCleanup(self.postfix, "postfix", "stop")

    def send(self, numbers: range) -> None:
        with smtplib.SMTP("127.0.0.1", self.smtp, timeout=60) as client:
            for number in numbers:
                recipients = [f"{USER}@example.org"]
                if not number % EVERY:
                    recipients = ["nobody@example.org", *recipients, "gone@example.org"]
                client.sendmail(
                    f"{USER}@example.org",
                    recipients,
                    f"Subject: number {number}\r\n\r\n{number}\r\n" + "text\r\n" * 100,
                )

    def deliver(self) -> None:
        self.start_relay()
        with ThreadPoolExecutor(8) as pool:
            step = MESSAGES // 8
            list(pool.map(self.send, [range(n, n + step) for n in range(0, MESSAGES, step)]))
        end = time.monotonic() + 150
        while "Mail queue is empty" not in (queue := self.postfix("postqueue", "-p")):
            if time.monotonic() > end:
                self.fail(f"the queue is not empty:\n{queue}\n{self.log()}")
            time.sleep(0.5)

    def log(self) -> str:
        return (self.relay / "log").read_text()

    def inbox(self) -> list[bytes]:
        client = imaplib.IMAP4("127.0.0.1", self.server.ports["imap"], timeout=60)
        client.login(USER, PASSWORD)
        client.select("INBOX", readonly=True)
        _, data = client.fetch("1:*", "(BODY.PEEK[])")
        client.logout()
        return [each[1] for each in data if isinstance(each, tuple)]

    async def test_a_thousand_messages_and_recipients_that_fail(self) -> None:
        await self.duckmail("address", "add", USER, f"{USER}@example.org")
        await self.duckmail("user", "add", "gone", "--password", PASSWORD)
        await self.duckmail("address", "add", "gone", "gone@example.org")
        await self.duckmail("user", "disable", "gone")
        await self.blocking(self.deliver)

        inbox = await self.blocking(self.inbox)
        headers = [each.partition(b"\r\n\r\n")[0] for each in inbox]
        numbers = [
            int(found[1])
            for header in headers
            if (found := re.search(rb"\r\nSubject: number (\d+)(\r\n|$)", header))
        ]
        self.assertEqual(sorted(numbers), list(range(MESSAGES)))

        log = self.log()
        failing = len(range(0, MESSAGES, EVERY))
        for recipient, status in (("nobody", "5.1.1"), ("gone", "5.2.1")):
            told = re.findall(rf"to=<{recipient}@example.org>.*dsn=([\d.]+), status=bounced", log)
            self.assertEqual(told, [status] * failing)
        self.assertEqual(
            len(re.findall(rf"to=<{USER}@example.org>.*dsn=2.0.0, status=sent", log)),
            # And what Postfix tells the sender of each that failed.
            MESSAGES + failing,
        )
        bounces = [each for each in inbox if b"\r\nSubject: Undelivered Mail" in each]
        self.assertEqual(len(bounces), failing)
        for bounce in bounces:
            self.assertIn(b"550 5.1.1", bounce)
            self.assertIn(b"550 5.2.1", bounce)
