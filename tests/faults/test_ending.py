"""What clients hear when the server's process is told to end, whatever it is at, and whether its database is there or not."""

from __future__ import annotations

from typing import Any

from twisted.internet import reactor
from twisted.internet.error import ConnectionRefusedError as Refused
from twisted.internet.task import deferLater
from twisted.trial.unittest import TestCase

from tests import mongo
from tests.faults.lines import Lines
from tests.faults.proxy import Proxy
from tests.faults.world import message
from tests.service.support import directory
from tests.service.test_workers import Twistd, free_port
from twisted_duck.store.store import MailStore

PASSWORD = "secret"
JOE = "joe@example.org"
#: Seconds for commands in progress: these are finished, those are given up.
AMPLE, SCANT = 60, 1


class EndCase(TestCase):
    timeout = 240
    workers = 1

    async def setUp(self) -> None:
        uri = await mongo.database(self)
        self.store = MailStore(uri)
        await self.store.open()
        self.addCleanup(self.store.close)
        for name in ("ada", "bob"):
            await self.store.users.add(name, PASSWORD)
        await self.store.users.add(JOE, None)
        self.proxy = await Proxy.before(self, uri)
        self.ports = {name: free_port() for name in ("imap", "pop3", "lmtp")}

    async def serving(self, shut_down: int) -> Twistd:
        file = directory(self) / "c.toml"
        file.write_text(f"[limits]\nshut_down = {shut_down}\n")
        listen = [
            word
            for name, port in self.ports.items()
            for word in (f"--{name}", f"tcp:{port}:interface=127.0.0.1")
        ]
        twistd = Twistd(
            self,
            *("--mongo", self.proxy.uri, "--config", str(file), "--allow-cleartext-auth"),
            *("--workers", str(self.workers), *listen),
        )
        # With several, the last one is up when all are.
        up = "workers serve" if self.workers > 1 else "LMTP on"
        await self.until(twistd, lambda: up in twistd.log)
        return twistd

    async def until(self, twistd: Twistd, condition: Any) -> None:
        while not condition():
            if twistd.process.poll() is not None:
                self.fail(twistd.log)
            await deferLater(reactor, 0.05)  # type: ignore[arg-type]

    async def ended(self, twistd: Twistd) -> None:
        while twistd.process.poll() is None:
            await deferLater(reactor, 0.05)  # type: ignore[arg-type]
        self.assertEqual(twistd.process.returncode, 0, twistd.log)
        self.assertNotIn("Traceback", twistd.log)

    async def client(self, protocol: str) -> Lines:
        client = await Lines.to(self, self.ports[protocol])
        await client.line()
        return client

    async def imap(self, user: str) -> Lines:
        client = await self.client("imap")
        for command in (f"LOGIN {user} {PASSWORD}", "SELECT INBOX"):
            said = await client.imap(command)
            self.assertTrue(said[-1].startswith("OK"), said)
        return client

    async def pop3(self) -> Lines:
        client = await self.client("pop3")
        for command in ("USER bob", f"PASS {PASSWORD}"):
            self.assertTrue((await client.ask(command)).startswith("+OK"))
        return client

    async def lmtp(self) -> Lines:
        client = await self.client("lmtp")
        self.assertTrue((await client.ask("LHLO client.example.org")).startswith("250"))
        return client

    async def closed(self, protocol: str) -> None:
        while True:
            try:
                client = await Lines.to(self, self.ports[protocol])
            except Refused:
                return
            await client.cut()
            await deferLater(reactor, 0.02)  # type: ignore[arg-type]

    async def idle(self) -> list[tuple[Lines, bytes]]:
        """Who has nothing to do with any command, and what each of them hears last."""
        idle = await self.imap("ada")
        idle.send(b"t IDLE\r\n")
        await idle.line()
        return [
            (await self.client("imap"), b"* BYE "),
            (await self.imap("ada"), b"* BYE "),
            (idle, b"* BYE "),
            (await self.pop3(), b"-ERR [SYS/TEMP] "),
            (await self.lmtp(), b"421 4.3.2 "),
        ]

    async def see_off(self, people: list[tuple[Lines, bytes]]) -> None:
        for client, words in people:
            said = await client.rest()
            self.assertTrue(said.startswith(words), said)
            self.assertEqual(said.count(b"\r\n"), 1, said)

    async def finished(self) -> None:
        twistd = await self.serving(AMPLE)
        people = await self.idle()
        busy = await self.imap("ada")
        text = message(100)
        delivering = await self.lmtp()
        for line in ("MAIL FROM:<eve@example.net>", f"RCPT TO:<{JOE}>"):
            said = await delivering.ask(line)
            self.assertTrue(said.startswith("250"), said)
        self.assertTrue((await delivering.ask("DATA")).startswith("354"))
        self.proxy.hold("commitTransaction")
        busy.send(b"t APPEND INBOX {%d+}\r\n%b\r\n" % (len(text), text))
        delivering.send(text + b".\r\n")
        while self.proxy.held < 2:
            await deferLater(reactor, 0.02)  # type: ignore[arg-type]

        twistd.process.terminate()
        await self.see_off(people)
        for protocol in self.ports:
            await self.closed(protocol)
        self.assertIsNone(twistd.process.poll())

        self.proxy.let_go()
        said = (await busy.rest()).split(b"\r\n")
        self.assertEqual(said[0], b"* 1 EXISTS")
        self.assertTrue(said[-3].startswith(b"t OK [APPENDUID "), said)
        self.assertTrue(said[-2].startswith(b"* BYE "), said)
        said = (await delivering.rest()).split(b"\r\n")
        self.assertTrue(said[0].startswith(b"250 "), said)
        self.assertTrue(said[1].startswith(b"421 4.3.2 "), said)
        await self.ended(twistd)
        for user in ("ada", JOE):
            account = await self.store.account(user)
            self.assertEqual((await account.status("INBOX")).messages, 1)

    async def given_up(self) -> None:
        """The database is away: the process ends all the same."""
        twistd = await self.serving(SCANT)
        people = await self.idle()
        busy = await self.imap("ada")
        self.proxy.is_silent = True
        busy.send(b"t CREATE New\r\n")
        # Whoever had sent it is being answered: what it waits for is the database.
        await deferLater(reactor, 0.5)  # type: ignore[arg-type]
        twistd.process.terminate()
        await self.see_off(people)
        await busy.rest()
        await self.ended(twistd)

    async def gone(self) -> None:
        twistd = await self.serving(SCANT)
        people = await self.idle()
        await self.proxy.shut()
        twistd.process.terminate()
        await self.see_off(people)
        await self.ended(twistd)


class OneProcessTests(EndCase):
    async def test_what_is_in_progress_is_finished(self) -> None:
        await self.finished()

    async def test_what_does_not_come_to_an_end_is_given_up(self) -> None:
        await self.given_up()


class TwoProcessesTests(EndCase):
    workers = 2

    async def test_what_is_in_progress_is_finished(self) -> None:
        await self.finished()

    async def test_a_database_that_is_gone(self) -> None:
        await self.gone()
