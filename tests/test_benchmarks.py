"""The benchmarks run against a server of ours; what they say of memory is held to."""

from __future__ import annotations

import re
import sys

from tests.clients.server import PASSWORD, ROOT, USER, ServerTestCase

#: MiB.  What is allowed for is the message once, as the file that it is received into, and what else there is to do.
SIZE, MOST = 50, 75


class BenchmarkTests(ServerTestCase):
    async def run_benchmark(self, name: str, *more: str) -> dict[str, float]:
        done = await self.run_program(
            *(sys.executable, str(ROOT / "benchmarks" / name)),
            *("127.0.0.1", str(self.server.ports["imaps"]), USER, PASSWORD, "--tls", *more),
        )
        rows = re.findall(r"^(\S.*?)  +([\d.,]+)$", done.stdout, re.MULTILINE)
        return {step: float(figure.replace(",", "")) for step, figure in rows}

    async def test_imap(self) -> None:
        figures = await self.run_benchmark("imap.py", "--messages", "20", "--size", "500")
        self.assertIn("APPEND", figures)
        self.assertIn("FETCH BODY[] one by one", figures)
        self.assertEqual([step for step, rate in figures.items() if rate <= 0], [])

    async def test_resync(self) -> None:
        cold = await self.start()
        sizes = ("--few", "50", "--many", "400", "--times", "3")
        port = str(cold.ports["imaps"])
        figures = await self.run_benchmark("resync.py", *sizes, "--cold", port)
        self.assertEqual(len([each for each in figures if each.endswith("ratio")]), 3)
        self.assertEqual([each for each, figure in figures.items() if figure <= 0], [])

    async def test_a_large_message_is_not_held_in_memory(self) -> None:
        pid = str(self.server.transport.pid)
        figures = await self.run_benchmark("memory.py", "--pid", pid, "--size", str(SIZE))
        self.assertEqual(sorted(figures), ["APPEND", "FETCH BODY[]"])
        self.assertEqual([step for step, grown in figures.items() if grown > MOST], [], figures)
