"""A server process, what it takes of the machine, and whether that is within a bound."""

from __future__ import annotations

import os
import re
import time
from pathlib import Path
from typing import Any, ClassVar

from tests.clients.server import PASSWORD, USER, Server, ServerTestCase
from tests.floods.crowd import PATIENCE, Crowd, crowd

#: Whether there is time for all of it, and somebody to read the figures.
FULL = "DUCKMAIL_TEST_FLOODS" in os.environ
#: What the bounds of docs/security.md are for.
MANY = 1_000
#: MiB that an allocator may ask for at once, whatever for.
NOISE = 1.0
KIB = 1 << 10
GIB = 1 << 30
MIB = 1 << 20

LOGIN = f'l LOGIN {USER} "{PASSWORD}"\r\n'.encode()


class Growth:
    """MiB of resident memory (`VmRSS`, proc(5)) that a process has taken since."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self._directory = Path(f"/proc/{pid}")
        (self._directory / "clear_refs").write_text("5")
        self.before = self._read("VmRSS")

    def _read(self, name: str) -> float:
        found = re.search(rf"{name}:\s*(\d+) kB", (self._directory / "status").read_text())
        assert found
        return int(found[1]) / 1024

    @property
    def now(self) -> float:
        return self._read("VmRSS") - self.before

    @property
    def peak(self) -> float:
        return self._read("VmHWM") - self.before

    @property
    def files(self) -> int:
        return len(list((self._directory / "fd").iterdir()))


class FloodCase(ServerTestCase):
    """One server of IMAP, POP3 and LMTP for each test."""

    timeout = 3600 if FULL else 180
    #: Seconds for all of them to be answered.
    patience = 10 * PATIENCE if FULL else PATIENCE
    options = ("--pop3", "tcp:0:interface=127.0.0.1", "--lmtp", "tcp:0:interface=127.0.0.1")
    #: How many connect, in each of the two forms.
    counts: ClassVar = (100, MANY)
    #: What is set in `[limits]` for the tests in short.
    limits: ClassVar[dict[str, int]] = {}

    @property
    def count(self) -> int:
        return self.counts[FULL]

    async def start(self, *more: str) -> Server:
        file = self.directory / "duckmail.toml"
        limits = {} if FULL else self.limits
        lines = ["[auth]", 'cleartext = "always"', "[limits]"]
        file.write_text(
            "\n".join([*lines, *(f"{name} = {value}" for name, value in limits.items())])
        )
        return await super().start("--config", str(file), *more)

    def growth(self) -> Growth:
        pid: Any = self.server.transport.pid
        return Growth(pid)

    def figure(self, what: str, value: float, most: float, unit: str) -> None:
        """It is at most so much; printed where somebody reads it."""
        if FULL:
            print(f"\n    {what}: {value:,.2f} {unit} (at most {most:,.2f})")
        self.assertLessEqual(value, most, f"{unit}: {what}")

    def memory(self, what: str, mib: float, most: float) -> None:
        """`most` MiB for a thousand connections."""
        share = most * self.count / MANY
        self.figure(
            f"{what}, {self.count} connections", mib, max(share, NOISE) + NOISE * (not FULL), "MiB"
        )

    async def flood(self, name: str, what: str, data: bytes, done: Any, most: float) -> list[Any]:
        """Everybody connects and sends it, until `done`; at the peak, the connections included, they take `most` MiB.

        The clients as they were then.
        """

        def run(count: int) -> tuple[Growth, list[Any]]:
            growth = self.growth()
            with crowd(self.server.ports[name], count) as everybody:
                everybody.forget()
                everybody.say(data)
                began = time.monotonic()
                self.assertTrue(everybody.until(done, patience=self.patience), what)
                for client in everybody.clients:
                    client.heard_at -= began
                return growth, everybody.clients

        await self.blocking(run, 20)
        growth, clients = await self.blocking(run, self.count)
        self.memory(what, growth.peak, most)
        return clients

    def read_by_server(self) -> list[int]:
        """Octets that were read from each that is gone."""
        return [int(each) for each in re.findall(r" commands, (\d+) bytes in", self.server.log)]


def log_in(everybody: Crowd) -> None:
    """Twenty at a time: as many logins as may wait for their turn."""
    everybody.ask(LOGIN, b"l OK")


__all__ = ["FULL", "GIB", "KIB", "LOGIN", "MANY", "MIB", "FloodCase", "Growth", "crowd", "log_in"]
