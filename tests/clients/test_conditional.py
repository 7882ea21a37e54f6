"""Two hundred clients of two server processes want to change one message on the same condition (RFC 7162 §3.1.3)."""

from __future__ import annotations

from collections import deque
from concurrent.futures import ThreadPoolExecutor

from tests.clients.server import Server, ServerTestCase
from tests.model.session import code
from tests.model.wire import Wire

CLIENTS, ROUNDS = 200, 5


class ConditionalTests(ServerTestCase):
    timeout = 180

    async def test_one_of_two_hundred_wins_each_round(self) -> None:
        servers = [self.server, await self.start()]
        await self.blocking(self._rounds, servers)

    def _rounds(self, servers: list[Server]) -> None:
        def connect(number: int) -> Wire:
            port = servers[number % 2].ports["imaps"]
            wire = Wire(str(number), port, deque(maxlen=10))
            wire.say("SELECT INBOX (CONDSTORE)")
            return wire

        first = connect(0)
        first.say("APPEND INBOX {1+}\r\nx")
        with ThreadPoolExecutor(8) as pool:
            clients = [first, *pool.map(connect, range(1, CLIENTS))]
        [known, _] = first.say("UID FETCH 1 (MODSEQ)")[-2:]
        modseq = int(known.partition("MODSEQ (")[2].partition(")")[0])
        processes = set()
        for number in range(ROUNDS):
            # Now the one process hears of it first, now the other one.
            for each, client in sorted(
                enumerate(clients), key=lambda pair: -(pair[0] + number) % 2
            ):
                client.send(f"a UID STORE 1 (UNCHANGEDSINCE {modseq}) FLAGS ($r{number}c{each})")
            answers = [client.answer()[-1] for client in clients]
            self.assertEqual([a for a in answers if not a.startswith("a OK ")], [])
            winners = [n for n, answer in enumerate(answers) if not code(answer, "MODIFIED")]
            self.assertEqual(len(winners), 1, f"round {number}: {len(winners)} winners")
            modseq += 1
            for client in clients[:2]:
                client.say("CHECK")
                [told, _] = client.say("UID FETCH 1 (FLAGS)")
                self.assertIn(f"FLAGS ($r{number}c{winners[0]})", told.replace("\\Recent ", ""))
                self.assertIn(f"MODSEQ ({modseq})", told)
            processes.add(winners[0] % 2)
        print(f"won by clients of {len(processes)} processes")
        for client in clients:
            client.close()
