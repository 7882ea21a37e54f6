"""An LMTP client: each message to some users, again until each of them has it or never will."""

from __future__ import annotations

from tests.history.client import Address, Client, Untrue, Wire, World
from tests.history.messages import SENDER, trace
from tests.history.record import Delivered, Outcome

#: Of a hundred messages, those that no server takes.
_BAD = 3


class Refused(Exception):
    """The server did not take a command before the message, which was therefore not sent."""


class Writer(Client):
    def __init__(self, world: World, name: str, recipients: int) -> None:
        super().__init__(world, name)
        self._most = recipients
        self._wire: Wire | None = None
        self._server: Address = world.servers[0]

    def work(self) -> None:
        while not self.world.over.is_set():
            users = self.random.sample(self.world.users, self.random.randint(1, self._most))
            name = self.new_name()
            content = self.world.content(name)
            if self.random.randrange(100) < _BAD:
                # A line end that is none to some readers.
                content += b"a bare\nline feed\r\n"
            for user in users:
                self.expect(user, name, trace(user) + content)
            while users := self._deliver(name, content, users):
                self.pause(0.4)
            self.pause(0.05)
        self._leave()

    def _deliver(self, name: str, content: bytes, users: list[str]) -> list[str]:
        """Those for whom it has to be tried again."""
        waiting = list(users)
        sent = False
        began = self.world.now()

        def keep(outcome: Outcome, answer: str) -> None:
            user = waiting.pop(0)
            self.world.keep(
                Delivered(
                    client=self.name,
                    server=self._server.name,
                    began=began,
                    ended=self.world.now(),
                    outcome=outcome,
                    answer=answer,
                    user=user,
                    message=name,
                )
            )
            if outcome in (Outcome.LATER, Outcome.UNKNOWN):
                again.append(user)

        again: list[str] = []
        try:
            self._announce(waiting)
            sent = True
            wire = self._connected()
            wire.send(content.replace(b"\r\n.", b"\r\n..") + b".\r\n")
            while waiting:
                answer = wire.line().decode()
                keep(_outcome(answer), answer)
                if answer.startswith("421"):
                    raise ConnectionError(answer)
        except (OSError, Refused) as error:
            while waiting:
                keep(Outcome.UNKNOWN if sent else Outcome.LATER, f"{type(error).__name__}: {error}")
            self._leave()
        return again

    def _announce(self, users: list[str]) -> None:
        """All that comes before the message."""
        if self._wire is None:
            self._server = self.random.choice(self.world.servers)
            self._wire = Wire(self._server.lmtp)
            self._expect("220")
            self._ask("LHLO history.example.org", "250")
        self._ask(f"MAIL FROM:<{SENDER}>", "250")
        for user in users:
            self._ask(f"RCPT TO:<{user}>", "250")
        self._ask("DATA", "354")

    def _ask(self, command: str, code: str) -> None:
        self._connected().send(command.encode() + b"\r\n")
        self._expect(code)

    def _expect(self, code: str) -> None:
        line = self._connected().line().decode()
        while line[3:4] == "-":
            line = self._connected().line().decode()
        if line.startswith("5"):
            raise Untrue(f"{self._server.name} said {line}")
        if not line.startswith(code):
            raise Refused(line)

    def _connected(self) -> Wire:
        assert self._wire is not None
        return self._wire

    def _leave(self) -> None:
        wire, self._wire = self._wire, None
        if wire is not None:
            wire.close()


_OUTCOMES = {"2": Outcome.DONE, "4": Outcome.LATER, "5": Outcome.NEVER}


def _outcome(answer: str) -> Outcome:
    return _OUTCOMES[answer[0]]
