"""MongoDB goes away under a server with clients in every state, and comes back.

Each story is one client: what it does by day, at night, when nobody finds the database, and on the day after.  Night falls
when all of them are ready for it, and is over when all of them have been answered.
"""

from __future__ import annotations

import base64
import os
from collections.abc import Awaitable, Callable

from twisted.internet.defer import Deferred, FirstError, gatherResults
from twisted.logger import formatEvent

from tests.faults import outage
from tests.faults.lines import Ended, Lines, plain
from tests.faults.served import JOE, PASSWORD, ServedCase
from tests.faults.world import PATIENT, message
from tests.sasl.client import ScramClient
from twisted_duck.spool import Spool
from twisted_duck.store.connection import Times
from twisted_duck.store.store import MailStore
from twisted_duck.values import AppendMessage

#: More than a socket's buffers hold, and nearly all of it in a blob's chunks.
LARGE = (
    b"Subject: large\r\nMIME-Version: 1.0\r\n"
    b"Content-Type: application/octet-stream\r\nContent-Transfer-Encoding: base64\r\n\r\n"
    + base64.encodebytes(os.urandom(9_000_000)).replace(b"\n", b"\r\n")
)


#: Nobody is there to answer: a night is as short as these are.
_AT_NIGHT = Times(
    command=0.15, transaction=0.15, settle=0.15, turn=0.4, patience=0.05, idle=0.2, closing=0.2
)


class Night:
    """Falls and ends for all at once."""

    def __init__(
        self, people: int, begin: Callable[[], Awaitable[None]], end: Callable[[], Awaitable[None]]
    ) -> None:
        self._people = people
        self._begin = begin
        self._end = end
        self._waiting: list[Deferred[None]] = []

    async def falls(self) -> None:
        await self._together(self._begin)

    async def ends(self) -> None:
        await self._together(self._end)

    async def _together(self, act: Callable[[], Awaitable[None]]) -> None:
        turn: Deferred[None] = Deferred()
        self._waiting.append(turn)
        if len(self._waiting) == self._people:
            waiting, self._waiting = self._waiting, []
            await act()
            for each in waiting:
                each.callback(None)
        await turn


class AwayCase(ServedCase):
    async def setUp(self) -> None:
        await super().setUp()
        for name in ("ada", "bob", "sue", "sam", "tim", "pop1", "pop2", "pop3"):
            await self.store.users.add(name, PASSWORD)
        account = await self.store.account("ada")
        for mailbox in ("Large", "Idle", "Mail", "Other"):
            await account.create(mailbox)
        await self.put("ada", "Large", LARGE)
        await self.put("ada", "Mail", *map(message, (1, 2, 3)))
        for name in ("pop1", "pop2", "pop3"):
            await self.put(name, "INBOX", message(5))

    async def fall(self) -> None:
        await self.outage.begin()
        self.times(_AT_NIGHT)

    async def dawn(self) -> None:
        await self.outage.end()
        await self.recovered()

    async def test_everybody(self) -> None:
        stories = [
            *(self.before_login, self.stranger, self.scram, self.scram_midway),
            *(self.logged_in, self.selected, self.idle, self.large_fetch, self.append_midway),
            *(self.pop3_login, self.pop3_retrieval, self.pop3_update),
            *(self.lmtp_recipient, self.lmtp_data),
        ]
        night = Night(len(stories), self.fall, self.dawn)
        try:
            await gatherResults(
                [Deferred.fromCoroutine(story(night)) for story in stories], consumeErrors=True
            )
        except FirstError as error:
            error.subFailure.raiseException()
        self.assertEqual([ban async for ban in self.store.bans.all()], [])
        joe = await self.store.account(JOE)
        self.assertEqual((await joe.status("INBOX")).messages, 2)
        self.assertEqual(await self.findings(), [])
        self.assertEqual([event for event in self.logs if "log_failure" in event], [])
        self.assert_few_lines()

    def assert_few_lines(self) -> None:
        """What is said of the database itself, by two pools of connections and the change stream."""
        lines = [
            formatEvent(event)
            for event in self.logs
            if str(event["log_namespace"]).startswith("twisted_duck.store.")
            and event["log_namespace"].rpartition(".")[2] in ("driver", "stream")
        ]
        self.assertLessEqual(len(lines), 12, "\n".join(lines))
        self.assertNotIn("Deferred", "".join(lines))

    # --- IMAP ---------------------------------------------------------------------------------------------------------

    async def before_login(self, night: Night) -> None:
        """Right and wrong passwords alike are not looked at, and nobody counts them."""
        client = await self.imap()
        await night.falls()
        for password in (PASSWORD, "wrong", "worse", "bad"):
            self.unavailable(await client.imap(f"LOGIN bob {password}"))
        self.unavailable(await client.imap(f"AUTHENTICATE PLAIN {plain('bob', PASSWORD)}"))
        self.unavailable(await client.imap(f"AUTHENTICATE PLAIN {plain('bob', 'wrong')}"))
        await night.ends()
        said = await client.imap("LOGIN bob wrong")
        self.begins(said[-1], "NO [AUTHENTICATIONFAILED]")
        self.done(await client.imap(f"LOGIN bob {PASSWORD}"))

    async def stranger(self, night: Night) -> None:
        """Who comes at night is let in, whatever bans there may be."""
        await night.falls()
        client = await self.imap()
        self.unavailable(await client.imap(f"LOGIN sue {PASSWORD}"))
        pop = await self.pop3()
        await self.lmtp()
        await night.ends()
        self.done(await client.imap(f"LOGIN sue {PASSWORD}"))
        self.done(await client.imap("SELECT INBOX"))
        self.begins(await pop.ask("QUIT"), "+OK")

    async def scram(self, night: Night) -> None:
        client = await self.imap()
        await night.falls()
        scram = ScramClient("sha256", "sam", PASSWORD)
        self.unavailable(await self.begin_scram(client, scram))
        await night.ends()
        await self.prove(client, scram, await self.begin_scram(client, scram))

    async def scram_midway(self, night: Night) -> None:
        """Who the user is was known when night fell; nothing but the truth is said about the password."""
        client = await self.imap()
        scram = ScramClient("sha256", "tim", PASSWORD)
        challenge = await self.begin_scram(client, scram)
        await night.falls()
        await self.prove(client, scram, challenge)
        await night.ends()
        self.done(await client.imap("SELECT INBOX"))

    async def begin_scram(self, client: Lines, scram: ScramClient) -> list[str]:
        first = base64.b64encode(scram.first).decode()
        client.send(f"t AUTHENTICATE SCRAM-SHA-256 {first}\r\n".encode())
        line = await client.line()
        return [line[2:]]

    async def prove(self, client: Lines, scram: ScramClient, challenge: list[str]) -> None:
        final = scram.final(base64.b64decode(challenge[-1]))
        client.send(base64.b64encode(final) + b"\r\n")
        line = await client.line()
        self.assertTrue(scram.verify(base64.b64decode(line[2:])), line)
        client.send(b"\r\n")
        self.done(await client.tagged())

    async def logged_in(self, night: Night) -> None:
        client = await self.imap(f"LOGIN ada {PASSWORD}")
        commands = ("STATUS Mail (MESSAGES)", "SELECT Mail", 'LIST "" *', "CREATE New", "NAMESPACE")
        await night.falls()
        for command in commands[:-1]:
            self.unavailable(await client.imap(command))
        self.done(await client.imap(commands[-1]))
        await night.ends()
        for command in commands:
            self.done(await client.imap(command))

    async def selected(self, night: Night) -> None:
        client = await self.imap(f"LOGIN ada {PASSWORD}", "SELECT Mail")
        commands = (
            *("FETCH 1 (BODY.PEEK[])", "FETCH 1:3 (ENVELOPE)", "STORE 2 +FLAGS (\\Flagged)"),
            *("COPY 1:2 Other", "MOVE 3 Other", 'SEARCH TEXT "number"', "CHECK"),
        )
        await night.falls()
        for command in commands:
            self.unavailable(await client.imap(command))
        self.done(await client.imap("FETCH 1:3 (FLAGS)"))
        await night.ends()
        for command in commands:
            self.done(await client.imap(command))
        lines = self.done(await client.imap("STATUS Other (MESSAGES)"))
        self.assertIn("* STATUS Other (MESSAGES 3)", lines)

    async def idle(self, night: Night) -> None:
        client = await self.imap(f"LOGIN ada {PASSWORD}", "SELECT Idle")
        client.send(b"t IDLE\r\n")
        self.begins(await client.line(), "+ ")
        await night.falls()
        await self.elsewhere(self.outage.at_night)
        await night.ends()
        await self.elsewhere(self.outage.by_day)
        await client.hear(lambda line: line == "* 1 EXISTS")
        client.send(b"DONE\r\n")
        self.done(await client.tagged())

    async def elsewhere(self, uri: str | None) -> None:
        """Another process has a new message."""
        if uri is None:
            return
        store = MailStore(uri, times=PATIENT)
        await store.open()
        try:
            account = await store.account("ada")
            await account.append("Idle", [AppendMessage(Spool.of(message(9)))])
        finally:
            await store.close()

    async def large_fetch(self, night: Night) -> None:
        """What has been said of a literal is the message's; then there is nothing but the end."""
        client = await self.imap(f"LOGIN ada {PASSWORD}", "SELECT Large")
        client.send(b"t FETCH 1 (BODY.PEEK[])\r\n")
        self.begins(await client.line(), f"* 1 FETCH (BODY[] {{{len(LARGE)}}}")
        client.pause()
        await night.falls()
        client.go_on()
        said = await client.rest()
        self.assertLess(len(said), len(LARGE))
        self.assertTrue(LARGE.startswith(said))
        await night.ends()

    async def append_midway(self, night: Night) -> None:
        client = await self.imap(f"LOGIN ada {PASSWORD}")
        text = message(4000)
        begin = b"t APPEND INBOX {%d}\r\n" % len(text)
        client.send(begin)
        self.begins(await client.line(), "+ ")
        client.send(text[:2000])
        await night.falls()
        client.send(text[2000:] + b"\r\n")
        self.unavailable(await client.tagged())
        # Of one that is longer, not an octet has to be sent.
        client.send(b"t APPEND INBOX {100000}\r\n")
        self.unavailable(await client.tagged())
        await night.ends()
        client.send(begin)
        self.begins(await client.line(), "+ ")
        client.send(text + b"\r\n")
        self.begins((await client.tagged())[-1], "OK [APPENDUID")
        lines = await client.imap("STATUS INBOX (MESSAGES)")
        self.assertIn("* STATUS INBOX (MESSAGES 1)", lines)

    # --- POP3 ---------------------------------------------------------------------------------------------------------

    async def pop3_login(self, night: Night) -> None:
        client = await self.pop3()
        await night.falls()
        for password in (PASSWORD, "wrong", "worse"):
            self.begins(await client.ask("USER pop1"), "+OK")
            self.begins(await client.ask(f"PASS {password}"), "-ERR [SYS/TEMP]")
        self.begins(await client.ask(f"AUTH PLAIN {plain('pop1', PASSWORD)}"), "-ERR [SYS/TEMP]")
        await night.ends()
        self.begins(await client.ask("USER pop1"), "+OK")
        self.begins(await client.ask(f"PASS {PASSWORD}"), "+OK")
        self.begins(await client.ask("STAT"), "+OK 1 ")

    async def pop3_retrieval(self, night: Night) -> None:
        client = await self.pop3("pop2")
        await night.falls()
        self.begins(await client.ask("RETR 1"), "-ERR [SYS/TEMP]")
        self.begins(await client.ask("TOP 1 0"), "-ERR [SYS/TEMP]")
        self.begins(await client.ask("STAT"), "+OK 1 ")
        await night.ends()
        self.begins(await client.ask("RETR 1"), "+OK")
        text = "\r\n".join(await client.hear(lambda line: line == "."))
        self.assertEqual(text.encode(), message(5) + b".")
        self.begins(await client.ask("QUIT"), "+OK")

    async def pop3_update(self, night: Night) -> None:
        client = await self.pop3("pop3")
        self.begins(await client.ask("DELE 1"), "+OK")
        await night.falls()
        self.begins(await client.ask("QUIT"), "-ERR [SYS/TEMP]")
        with self.assertRaises(Ended):
            await client.line()
        await night.ends()
        client = await self.pop3("pop3")
        self.begins(await client.ask("STAT"), "+OK 1 ")

    # --- LMTP ---------------------------------------------------------------------------------------------------------

    async def lmtp_recipient(self, night: Night) -> None:
        client = await self.lmtp()
        await night.falls()
        self.begins(await client.ask("MAIL FROM:<eve@example.net>"), "250")
        self.begins(await client.ask("RCPT TO:<joe+new@example.org>"), "451 4.3.0")
        await night.ends()
        self.begins(await client.ask("RSET"), "250")
        await self.envelope(client)
        self.begins(await self.data(client), "250")

    async def lmtp_data(self, night: Night) -> None:
        client = await self.lmtp()
        await self.envelope(client)
        await night.falls()
        self.begins(await self.data(client), "451 4.3.0")
        await night.ends()
        await self.envelope(client)
        self.begins(await self.data(client), "250")


class RefusedTests(AwayCase):
    kind = outage.Refused


class SilentTests(AwayCase):
    kind = outage.Silent


class StoppedTests(AwayCase):
    kind = outage.Stopped


class KilledTests(AwayCase):
    kind = outage.Killed


class NoPrimaryTests(AwayCase):
    kind = outage.NoPrimary


# What is not a kind of outage is no test.
del AwayCase
