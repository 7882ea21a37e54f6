"""Several processes on the same ports, and how `twistd duckmail` ends, in processes of their own; and when one is replaced."""

from __future__ import annotations

import errno
import json
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from twisted.internet import reactor
from twisted.internet.defer import gatherResults
from twisted.internet.endpoints import serverFromString
from twisted.internet.error import (
    ProcessExitedAlready,
    ProcessTerminated,
    ReactorNotRunning,
)
from twisted.internet.protocol import Factory
from twisted.internet.task import Clock, deferLater
from twisted.logger import capturedLogs, formatEvent
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase, TestCase

from tests import mongo
from tests.service.support import directory
from twisted_duck.service import workers
from twisted_duck.service.config import ConfigError, Settings, load
from twisted_duck.service.fault import Fault
from twisted_duck.service.options import Options
from twisted_duck.service.sharing import (
    SharingReactor,
    check_shared,
    is_shared,
    of_worker,
    take_free,
)
from twisted_duck.service.worker import Worker
from twisted_duck.service.workers import LONGEST_PAUSE, SOUND, Workers

ROOT = Path(__file__).parent.parent.parent
URI = "mongodb://127.0.0.1:1/"


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as found:
        port: int = found.getsockname()[1]
        return port


class Twistd:
    """`twistd -n duckmail`, and what it has logged."""

    def __init__(self, case: TestCase, *argv: str) -> None:
        self.tmp = directory(case)
        self._log = self.tmp / "log"
        with self._log.open("wb") as output:
            self.process = subprocess.Popen(
                [
                    *(sys.executable, "-c", "from twisted.scripts.twistd import run; run()"),
                    *("-n", "--pidfile", str(self.tmp / "pid"), "duckmail"),
                    *("--data-dir", str(self.tmp / "data"), *argv),
                ],
                cwd=self.tmp,
                env={**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), *sys.path])},
                stdout=output,
                stderr=subprocess.STDOUT,
                # Its group is its own, to be told as a whole.
                start_new_session=True,
            )
        case.addCleanup(self._clean_up)

    def _clean_up(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()

    @property
    def log(self) -> str:
        return self._log.read_text("utf-8", "replace")

    def children(self) -> set[int]:
        pid = self.process.pid
        return set(map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text().split()))


class ProcessCase(TestCase):
    timeout = 180

    async def setUp(self) -> None:
        self.uri = await mongo.database(self)
        self.port = free_port()

    def twistd(self, *more: str) -> Twistd:
        listen = ("--imap", f"tcp:{self.port}:interface=127.0.0.1")
        return Twistd(self, "--mongo", self.uri, *listen, *more)

    async def until(
        self, twistd: Twistd, condition: Callable[[], bool], ends: bool = False
    ) -> None:
        while not condition():
            if not ends and twistd.process.poll() is not None:
                self.fail(twistd.log)
            await deferLater(reactor, 0.05)  # type: ignore[arg-type]

    async def ended(self, twistd: Twistd) -> int:
        await self.until(twistd, lambda: twistd.process.poll() is not None, ends=True)
        self.assertFalse((twistd.tmp / "pid").exists())
        return twistd.process.returncode

    def greeted(self) -> None:
        with socket.create_connection(("127.0.0.1", self.port), 10) as client:
            self.assertTrue(client.recv(100).startswith(b"* OK "))

    def answering(self, twistd: Twistd) -> set[str]:
        """Which workers have had connections."""
        return set(re.findall(r"(worker \d): \S+ connected from", twistd.log))


class WorkersTests(ProcessCase):
    async def test_both_answer_one_that_is_killed_is_replaced_and_sigterm_ends_all(self) -> None:
        twistd = self.twistd("--workers", "2")
        await self.until(twistd, lambda: "2 workers serve" in twistd.log)
        before = twistd.children()
        self.assertEqual(len(before), 2)
        for _ in range(40):
            self.greeted()
        await self.until(twistd, lambda: self.answering(twistd) == {"worker 1", "worker 2"})

        victim = max(before)
        os.kill(victim, signal.SIGKILL)
        await self.until(twistd, lambda: "worker 2 ended with signal 9" in twistd.log)
        for _ in range(10):
            self.greeted()
        listens = f"worker 2: IMAP on 127.0.0.1:{self.port}"
        await self.until(twistd, lambda: twistd.log.count(listens) == 2)
        after = twistd.children()
        self.assertEqual((len(after), after - before != set(), victim in after), (2, True, False))

        twistd.process.send_signal(signal.SIGHUP)
        await self.until(twistd, lambda: twistd.log.count(": reloaded: certificate") == 2)
        self.assertEqual(twistd.children(), after)

        twistd.process.terminate()
        self.assertEqual(await self.ended(twistd), 0, twistd.log)
        for pid in after:
            self.assertRaises(ProcessLookupError, os.kill, pid, 0)
        self.assertNotIn("Traceback", twistd.log)

    async def test_a_group_that_is_told_as_a_whole_ends_as_one_process(self) -> None:
        """As `timeout` and systemd do; the workers hear of it from the parent once more."""
        twistd = self.twistd("--workers", "2")
        await self.until(twistd, lambda: "2 workers serve" in twistd.log)
        os.killpg(twistd.process.pid, signal.SIGTERM)
        self.assertEqual(await self.ended(twistd), 0, twistd.log)
        self.assertNotIn("Traceback", twistd.log)
        self.assertNotIn("another one", twistd.log)

    async def test_what_can_not_start_ends_at_once_with_one_line(self) -> None:
        file = directory(self) / "c.toml"
        file.write_text('[[policy]]\nkind = "networks"\ndeny_file = "/no/such/file"\n')
        twistd = self.twistd("--workers", "2", "--config", str(file))
        self.assertEqual(await self.ended(twistd), 1)
        lines = [line for line in twistd.log.splitlines() if "duckmail: " in line]
        self.assertEqual(len(lines), 1, twistd.log)
        self.assertIn("worker 1", lines[0])
        self.assertIn("/no/such/file", lines[0])

    async def test_a_port_that_somebody_has_is_not_shared_with_them(self) -> None:
        with socket.create_server(("127.0.0.1", self.port), reuse_port=True):
            twistd = self.twistd("--workers", "2")
            self.assertEqual(await self.ended(twistd), 1)
        self.assertIn("duckmail: cannot listen on tcp:", twistd.log)

    async def test_workers_do_not_outlive_who_started_them(self) -> None:
        twistd = self.twistd("--workers", "2")
        await self.until(twistd, lambda: "2 workers serve" in twistd.log)
        workers = twistd.children()
        twistd.process.kill()
        twistd.process.wait()
        await self.until(twistd, lambda: not any(map(_lives, workers)), ends=True)


class OneProcessTests(ProcessCase):
    async def test_sigterm_is_an_end_like_others(self) -> None:
        twistd = self.twistd()
        await self.until(twistd, lambda: "IMAP on 127.0.0.1" in twistd.log)
        self.greeted()
        twistd.process.terminate()
        self.assertEqual(await self.ended(twistd), 0, twistd.log)
        self.assertIn("ended by SIGTERM", twistd.log)


def _lives(pid: int) -> bool:
    try:
        # A zombie is nobody's child here.
        return "\nState:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except FileNotFoundError:
        return False


# --- without processes ------------------------------------------------------------------------------------------------


class FakeReactor(Clock):
    """Starts nothing, and keeps what was to be started."""

    def __init__(self) -> None:
        super().__init__()
        self.started: list[Any] = []
        #: Why nothing can be started.
        self.error: OSError | None = None

    def spawnProcess(self, process: Any, *args: Any, **kwargs: Any) -> None:
        if self.error is not None:
            raise self.error
        self.started.append(process)
        process.makeConnection(FakeProcess(process, len(self.started)))


class FakeStopping:
    """A reactor that is stopped once."""

    stopped = False

    def callFromThread(self, function: Callable[[], None]) -> None:
        function()

    def stop(self) -> None:
        if self.stopped:
            raise ReactorNotRunning
        self.stopped = True


class FakeProcess:
    def __init__(self, process: Any, pid: int) -> None:
        self.process = process
        self.pid = pid
        self.written = b""
        self.signals: list[int] = []
        #: Whether it has ended, and its pipes have not.
        self.reaped = False

    def write(self, data: bytes) -> None:
        self.written += data

    def signalProcess(self, number: int) -> None:
        if self.reaped:
            raise ProcessExitedAlready
        self.signals.append(number)
        if number in (signal.SIGTERM, signal.SIGKILL):
            self.process.processEnded(Failure(ProcessTerminated(signal=number)))


class ReplacingTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = FakeReactor()
        self.patch(Workers, "start", _started)
        settings = _settings({"workers": 2, "mongo.uri": URI, "listen.imap": ["tcp:143"]})
        self.ends: list[Exception] = []
        self.workers = Workers(self.clock, settings, {"options": {}}, self.ends.append)
        self.workers.startService()
        self.addCleanup(self.workers.stopService)

    @property
    def latest(self) -> Any:
        return self.clock.started[-1]

    def dies(self) -> None:
        self.latest.processEnded(Failure(ProcessTerminated(signal=9)))

    def pause(self) -> float:
        """How long after the death of the latest one another is started."""
        before, since = len(self.clock.started), self.clock.seconds()
        self.dies()
        while len(self.clock.started) == before:
            self.clock.advance(0.5)
        return self.clock.seconds() - since

    def test_one_that_dies_soon_again_is_replaced_later_each_time_up_to_a_bound(self) -> None:
        pauses = [self.pause() for _ in range(8)]
        self.assertEqual(pauses, [1, 2, 4, 8, 16, 32, LONGEST_PAUSE, LONGEST_PAUSE])

    def test_one_that_was_sound_is_replaced_as_the_first(self) -> None:
        for _ in range(4):
            self.pause()
        self.clock.advance(SOUND)
        self.assertEqual([self.pause(), self.pause()], [1, 2])

    def test_why_it_ended_is_told(self) -> None:
        with capturedLogs() as events:
            self.latest.outReceived(b'{"fault": "no data')
            self.latest.outReceived(b'base"}\n')
            self.dies()
        [line] = [formatEvent(event) for event in events]
        self.assertEqual(line, "worker 1: no database; another one is started in 1 s")

    def test_one_that_can_not_be_started_again_is_tried_as_one_that_died_soon(self) -> None:
        self.clock.error = FileNotFoundError(errno.ENOENT, "No such file")
        with capturedLogs() as events:
            self.dies()
            self.clock.pump([1, 0, 2, 0])
        self.assertEqual(
            [formatEvent(event) for event in events],
            [
                "worker 1 ended with signal 9; another one is started in 1 s",
                f"worker 1: cannot start {sys.executable}: No such file; another one is started in 2 s",
                f"worker 1: cannot start {sys.executable}: No such file; another one is started in 4 s",
            ],
        )
        self.clock.error = None
        self.clock.advance(4)
        self.assertEqual((len(self.clock.started), self.pause()), (2, 8))

    def test_the_end_comes_to_one_that_could_not_be_started_too(self) -> None:
        self.clock.error = BlockingIOError(errno.EAGAIN, "Try again")
        self.dies()
        self.clock.advance(1)
        stopped = self.workers.stopService()
        self.clock.advance(0)
        self.successResultOf(stopped)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_what_a_worker_logs_is_logged_with_its_name(self) -> None:
        with capturedLogs() as events:
            self.latest.outReceived(b'{"level": "warn", "text": "{beware} \\u2020"}\nnonsense\n')
            self.latest.errReceived(b"printed\n")
        self.assertEqual(
            [formatEvent(event) for event in events],
            ["worker 1: {beware} †", "worker 1: nonsense", "worker 1: printed"],
        )
        self.assertEqual(events[0]["log_level"].name, "warn")

    def test_hangup_comes_when_it_is_heard(self) -> None:
        process = self.latest.transport
        self.workers.hung_up()
        self.assertEqual(process.signals, [])
        self.latest.outReceived(b'{"ready": true}\n')
        self.assertEqual(process.signals, [signal.SIGHUP])
        self.workers.hung_up()
        self.assertEqual(process.signals, [signal.SIGHUP] * 2)

    def test_one_that_comes_later_is_where_the_others_are(self) -> None:
        self.latest.outReceived(b'{"ready": true}\n')
        self.workers.hung_up()
        self.pause()
        process = self.latest.transport
        self.latest.outReceived(b'{"ready": true}\n')
        self.assertEqual(process.signals, [signal.SIGHUP])

    def test_after_the_end_nobody_is_started(self) -> None:
        self.dies()
        self.successResultOf(self.workers.stopService())
        self.clock.advance(1000)
        self.assertEqual((len(self.clock.started), self.clock.getDelayedCalls()), (1, []))

    def test_one_that_is_gone_already_keeps_no_other_from_hearing_of_the_end(self) -> None:
        first = self.latest
        self.workers._spawn(2).ready.addErrback(lambda failure: None)
        first.transport.reaped = True
        stopped = self.workers.stopService()
        self.assertEqual(self.latest.transport.signals, [signal.SIGTERM])
        self.assertNoResult(stopped)
        first.processEnded(Failure(ProcessTerminated(signal=9)))
        self.successResultOf(stopped)

    def test_the_uri_is_not_on_a_command_line(self) -> None:
        self.assertIn(URI, json.loads(self.latest.transport.written)["uri"])


class FirstStartTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = FakeReactor()
        self.patch(workers, "take_free", _nothing_listens)
        self.patch(workers, "self_signed", lambda directory: None)
        settings = _settings({"workers": 3, "mongo.uri": URI, "listen.imap": ["tcp:143"]})
        self.ends: list[str] = []
        self.workers = Workers(
            self.clock, settings, {"options": {}}, lambda fault: self.ends.append(str(fault))
        )

    def fails(self, number: int) -> None:
        """It is the end, of all that there are, and nobody is started later."""
        with capturedLogs() as events:
            self.clock.advance(0)
            self.successResultOf(self.workers.stopService())
        self.assertEqual(self.ends, [f"worker {number}: cannot start {sys.executable}: No memory"])
        self.assertEqual((events, self.clock.getDelayedCalls()), ([], []))

    def test_the_first_one_can_not_be_started(self) -> None:
        self.clock.error = OSError(errno.ENOMEM, "No memory")
        self.workers.startService()
        self.fails(1)

    def test_another_one_can_not_be_started(self) -> None:
        self.workers.startService()
        self.clock.error = OSError(errno.ENOMEM, "No memory")
        self.clock.started[0].outReceived(b'{"ready": true}\n')
        self.fails(2)


class StoppingTests(SynchronousTestCase):
    def test_a_second_request_to_stop_is_ignored(self) -> None:
        handlers: dict[int, Any] = {}
        self.patch(signal, "signal", handlers.__setitem__)
        worker = Worker(stopping := FakeStopping(), Options(), 1, URI)
        worker._terminated(signal.SIGTERM, None)
        self.assertEqual((stopping.stopped, handlers), (True, {signal.SIGTERM: signal.SIG_IGN}))
        # It may have come before it was ignored.
        worker._terminated(signal.SIGTERM, None)


async def _nothing_listens(reactor: Any, settings: Settings) -> list[socket.socket]:
    return []


async def _started(workers: Workers) -> None:
    """As if everything had begun well, and one worker did."""
    workers._uri = URI
    workers._undo.push_async_callback(workers._stop_all)
    workers._spawn(1).ready.addErrback(lambda failure: None)


def _settings(options: dict[str, object]) -> Settings:
    return load(None, {"data_dir": "/nowhere", **options})


class PackedTests(SynchronousTestCase):
    def test_a_worker_that_is_started_later_has_what_the_file_said(self) -> None:
        file = directory(self) / "c.toml"
        file.write_text('pop3.delete = "trash"\n')
        options = Options()
        options.opt_config(str(file))
        unpacked = Options.unpacked(json.loads(json.dumps(options.packed())))
        for now in ('pop3.delete = "delete"\n', "nonsense"):
            file.write_text(now)
            self.assertEqual(unpacked.first_settings().pop3_delete, "trash")
        self.assertRaises(ConfigError, unpacked.settings)
        # For a process that is the first, that is what it says.
        self.assertRaises(ConfigError, options.first_settings)


class SharingTests(SynchronousTestCase):
    def settings(self, *imap: str, **options: object) -> Settings:
        return _settings({"workers": 2, "mongo.uri": URI, "listen.imap": list(imap), **options})

    def test_tcp_is_shared_and_nothing_else(self) -> None:
        endpoints = (
            "tcp:143",
            "tcp6:143",
            "tcp4:143",
            "tcp:port=143",
            "tcp:interface=127.0.0.1:port=143",
            r"tcp:interface=\:\:1:143",
            "unix:/a",
            "systemd:index=0",
        )
        shared = [is_shared(each) for each in self.settings(*endpoints).listeners]
        self.assertEqual(shared, [True] * 6 + [False] * 2)

    def test_what_only_one_can_do_the_first_one_does(self) -> None:
        settings = self.settings("tcp:143", "unix:/a", demo=True)
        first, second = (of_worker(settings, number, "mongodb://a/") for number in (1, 2))
        self.assertEqual((first.demo, second.demo), (True, False))
        self.assertEqual([each.endpoint for each in first.listeners], ["tcp:143", "unix:/a"])
        self.assertEqual([each.endpoint for each in second.listeners], ["tcp:143"])
        self.assertEqual((first.mongo_uri, second.mongo_uri), ("mongodb://a/",) * 2)

    def test_nothing_to_share_is_refused(self) -> None:
        error = self.assertRaises(ConfigError, check_shared, self.settings("unix:/a"))
        self.assertIn("only TCP ports can be shared", str(error))

    def test_a_port_of_ones_own_choice_is_refused(self) -> None:
        for endpoint in (
            "tcp:0",
            "tcp:port=0",
            "tcp:0:interface=127.0.0.1",
            "tcp:backlog=9:port=0",
        ):
            error = self.assertRaises(ConfigError, check_shared, self.settings(endpoint))
            self.assertIn("give its number", str(error))

    def test_the_number(self) -> None:
        self.assertEqual(_settings({"workers": "3"}).workers, 3)
        for wrong in ("0", "-1", "many", "1.5", 0, True, 257, "٣"):
            error = self.assertRaises(ConfigError, _settings, {"workers": wrong})
            self.assertIn("from 1 to 256", str(error))

    def test_options_arrive_as_they_were_given(self) -> None:
        options = Options()
        options.parseOptions(
            ["--workers", "2", "--imap", "tcp:1", "--imap", "tcp:2", "--demo", "--config", "c.toml"]
        )
        again = Options.unpacked(json.loads(json.dumps(options.packed())))
        self.assertEqual(again.given, options.given)
        self.assertEqual((again.config, again.packed()), (options.config, options.packed()))


class FreePortsTests(TestCase):
    """Who would listen together and must not: as the system has it for one process."""

    async def free(self, imap: str, *pop3: str) -> None:
        options = {"workers": 2, "mongo.uri": URI, "listen.imap": [imap], "listen.pop3": list(pop3)}
        for held in await take_free(reactor, _settings(options)):
            held.close()

    async def refused(self, imap: str, pop3: str) -> None:
        with self.assertRaises(Fault) as caught:
            await self.free(imap, pop3)
        self.assertEqual(
            str(caught.exception), f"cannot listen on {pop3} (--pop3): Address already in use"
        )
        # What was tried is given up.
        await self.free(imap)

    async def test_a_port_is_one_listeners(self) -> None:
        endpoint = f"tcp:{free_port()}:interface=127.0.0.1"
        await self.refused(endpoint, endpoint)

    async def test_all_addresses_are_those_of_others_too(self) -> None:
        port = free_port()
        await self.refused(f"tcp:{port}", f"tcp:{port}:interface=127.0.0.1")
        await self.refused(f"tcp:{port}:interface=127.0.0.1", f"tcp:{port}")

    async def test_it_is_taken_from_then_on(self) -> None:
        for interface in ("interface=127.0.0.1", "interface=\\:\\:1"):
            endpoint = f"tcp:{free_port()}:{interface}"
            settings = _settings({"workers": 2, "mongo.uri": URI, "listen.imap": [endpoint]})
            for held in await take_free(reactor, settings):
                with self.assertRaises(Fault):
                    await take_free(reactor, settings)
                sharing = serverFromString(SharingReactor(reactor), endpoint)
                workers = [await sharing.listen(Factory()) for _ in range(2)]
                with self.assertRaises(Fault):
                    await take_free(reactor, settings)
                await gatherResults([each.stopListening() for each in workers])
                held.close()
            for held in await take_free(reactor, settings):
                held.close()

    async def test_what_is_not_the_same(self) -> None:
        port = free_port()
        await self.free(f"tcp:{port}:interface=127.0.0.1", f"tcp:{port}:interface=127.0.0.2")
        await self.free(
            "tcp:0", "tcp:0", "tcp:0:interface=127.0.0.1", "unix:/no/such", "unix:/no/such"
        )
