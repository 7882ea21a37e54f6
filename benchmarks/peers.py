"""The servers that are compared, each on free ports of the loopback, in a temporary directory that goes when they stop.

    python -m benchmarks.peers dovecot        # says where it listens; stops at Ctrl-C
    python -m benchmarks.peers duckmail

Dovecot is version 2.3, of Debian's packages dovecot-imapd, dovecot-pop3d and dovecot-lmtpd; only its programs are used,
with a configuration of our own.  Root or not: mail belongs to nobody, or to whoever starts it.
"""

from __future__ import annotations

import argparse
import os
import pwd
import re
import resource
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from benchmarks.subject import Server

HOST, USER = "127.0.0.1", "user@example.com"
#: Seconds that a server may take to come up, or to stop.
_PATIENCE = 60
#: Open files and connections that the servers are let have, where this process may let them.
_FILES = 20_000


class Failed(SystemExit):
    """A server did not start or stop."""


def _wait(what: str, done: Callable[[], bool]) -> None:
    deadline = time.monotonic() + _PATIENCE
    while not done():
        if time.monotonic() > deadline:
            raise Failed(f"in {_PATIENCE} seconds, {what}")
        time.sleep(0.05)


def _listens(port: int) -> bool:
    try:
        socket.create_connection((HOST, port), 1).close()
    except OSError:
        return False
    return True


def _gone(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return False


def _free_ports(names: tuple[str, ...]) -> dict[str, Any]:
    with ExitStack() as held:
        probes = [held.enter_context(socket.create_server((HOST, 0))) for _ in names]
        return {name: probe.getsockname()[1] for name, probe in zip(names, probes, strict=True)}


def _let_open() -> None:
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = _FILES if hard == resource.RLIM_INFINITY else min(_FILES, hard)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))


def end_cleanly() -> None:
    """However this process is told to end, the servers end before it."""
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.default_int_handler)


@contextmanager
def _directory() -> Iterator[Path]:
    path = Path(tempfile.mkdtemp(prefix="duckmail-benchmark-"))
    try:
        yield path
    finally:
        shutil.rmtree(path)


# --- Dovecot ----------------------------------------------------------------------------------------------------------

_DOVECOT = """\
base_dir = {directory}/run
state_dir = {directory}/state
instance_name = duckmail-benchmark
log_path = {directory}/log
protocols = imap pop3 lmtp
listen = {host}
ssl = yes
ssl_cert = <{directory}/certificate.pem
ssl_key = <{directory}/key.pem
disable_plaintext_auth = no
auth_mechanisms = plain
first_valid_uid = 1
first_valid_gid = 1
mail_uid = {mail}
mail_gid = {group}
mail_home = {directory}/mail/%u
mail_location = sdbox:~/sdbox
mail_fsync = optimized
mail_max_userip_connections = 4000
default_client_limit = 4000
default_process_limit = 4000
postmaster_address = postmaster@example.com
hostname = localhost
passdb {{
  driver = static
  args = password={password}
}}
userdb {{
  driver = static
  args = uid={mail} gid={group} home={directory}/mail/%u allow_all_users=yes
}}
namespace inbox {{
  inbox = yes
  separator = /
}}
service imap-login {{
  inet_listener imap {{
    port = {imap}
  }}
  inet_listener imaps {{
    port = {imaps}
  }}
  process_min_avail = 1
  service_count = 0
  {chroot}
}}
service pop3-login {{
  inet_listener pop3 {{
    port = {pop3}
  }}
  inet_listener pop3s {{
    port = 0
  }}
  process_min_avail = 1
  service_count = 0
  {chroot}
}}
service imap {{
  process_limit = 4000
}}
service lmtp {{
  inet_listener lmtp {{
    port = {lmtp}
  }}
}}
service anvil {{
  client_limit = 16000
  {chroot}
}}
service auth {{
  client_limit = 16000
}}
service stats {{
  client_limit = 16000
  {chroot}
}}
"""

#: Without root there are no other users to be, and nothing can be locked into a directory.
_UNPRIVILEGED = """\
default_internal_user = {mail}
default_internal_group = {group}
default_login_user = {mail}
"""


class Dovecot:
    """@ivar pids: its master, of which all others are children; another after `restart`"""

    def __init__(self, directory: Path) -> None:
        self._directory, self._ports = directory, _free_ports(("imap", "imaps", "pop3", "lmtp"))
        self._password = secrets.token_hex(8)
        self.pids: dict[str, int] = {}
        _dovecot_is_there()
        self._write()

    def _write(self) -> None:
        directory, root = self._directory, os.geteuid() == 0
        mail = "nobody" if root else pwd.getpwuid(os.geteuid()).pw_name
        group = subprocess.run(
            ["id", "-gn", mail], capture_output=True, text=True, check=True
        ).stdout.strip()
        (directory / "mail").mkdir()
        if root:
            directory.chmod(0o755)
            shutil.chown(directory / "mail", mail)
        subprocess.run(
            [
                *(
                    "openssl",
                    "req",
                    "-x509",
                    "-newkey",
                    "rsa:2048",
                    "-nodes",
                    "-subj",
                    f"/CN={HOST}",
                ),
                *("-keyout", directory / "key.pem", "-out", directory / "certificate.pem"),
            ],
            capture_output=True,
            check=True,
        )
        text = _DOVECOT if root else _DOVECOT + _UNPRIVILEGED
        self._configuration.write_text(
            text.format(
                directory=directory,
                host=HOST,
                mail=mail,
                group=group,
                password=self._password,
                chroot="" if root else "chroot =",
                **self._ports,
            )
        )

    @property
    def _configuration(self) -> Path:
        return self._directory / "dovecot.conf"

    @property
    def _master(self) -> Path:
        return self._directory / "run/master.pid"

    def start(self) -> None:
        subprocess.run([_program("dovecot"), "-c", self._configuration], check=True)
        _wait(
            f"Dovecot did not start: {self._directory}/log",
            lambda: self._master.exists() and self._master.read_text().endswith("\n"),
        )
        self.pids["dovecot"] = int(self._master.read_text())
        _wait("Dovecot does not listen", lambda: all(map(_listens, self._ports.values())))

    def stop(self) -> None:
        if pid := self.pids.pop("dovecot", None):
            os.kill(pid, signal.SIGTERM)
            _wait("Dovecot did not stop", lambda: _gone(pid))

    def restart(self) -> Server:
        self.stop()
        self.start()
        return self.server()

    def server(self) -> Server:
        return Server(HOST, USER, self._password, **self._ports, pids=self.pids, fresh=self.restart)


def _program(name: str) -> str:
    """Those of administrators are not on everybody's PATH."""
    path = os.environ.get("PATH", os.defpath) + ":/usr/sbin:/usr/local/sbin"
    if (found := shutil.which(name, path=path)) is None:
        raise Failed(
            f"there is no {name}; on Debian:"
            " apt-get install dovecot-imapd dovecot-pop3d dovecot-lmtpd openssl"
        )
    return found


def _dovecot_is_there() -> None:
    _program("openssl")
    command = [_program("dovecot"), "--version"]
    version = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    if not version.startswith("2.3."):
        raise Failed(f"the configuration is for Dovecot 2.3, and this is {version.strip()}")


# --- ours -------------------------------------------------------------------------------------------------------------

_PORT = re.compile(rb"(IMAP|POP3|LMTP)( with TLS)? on 127\.0\.0\.1:(\d+)")


class _Twistd:
    """One process of `twistd duckmail`."""

    def __init__(self, log: Path, listen: tuple[str, ...], *more: str) -> None:
        self._log = log
        endpoints = [word for name in listen for word in (f"--{name}", f"tcp:0:interface={HOST}")]
        with log.open("wb") as output:
            self.process = subprocess.Popen(
                [
                    *(Path(sys.executable).with_name("twistd"), "-n", "--pidfile=", "duckmail"),
                    "--allow-cleartext-auth",
                    *more,
                    *endpoints,
                ],
                stdout=output,
                stderr=subprocess.STDOUT,
            )
        self.ports: dict[str, Any] = {}
        _wait(f"Twisted Duck did not start: {log}", lambda: self._listens(len(listen)))

    def _listens(self, many: int) -> bool:
        said = self._log.read_bytes()
        if self.process.poll() is not None:
            raise Failed("Twisted Duck did not start:\n" + said.decode("utf-8", "replace"))
        found = _PORT.findall(said)
        self.ports = {
            name.decode().lower() + ("s" if tls else ""): int(port) for name, tls, port in found
        }
        return len(self.ports) == many

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait(_PATIENCE)


class Duckmail:
    """With the embedded MongoDB, or on one that is there already, which then has its processes elsewhere."""

    def __init__(self, directory: Path, mongo: str | None = None) -> None:
        self._directory, self._mongo = directory, mongo
        self._password = secrets.token_hex(8)
        self._running: list[_Twistd] = []
        self.pids: dict[str, int] = {}
        self._ports: dict[str, Any] = {}

    @property
    def _data(self) -> Path:
        return self._directory / "data"

    @property
    def _where(self) -> tuple[str, ...]:
        return ("--mongo", self._mongo) if self._mongo else ("--data-dir", str(self._data))

    def start(self) -> None:
        listen = ("imap", "imaps", "pop3", "lmtp")
        where = (*self._where, *(("--data-dir", str(self._data)) if self._mongo else ()))
        twistd = _Twistd(self._directory / "log", listen, *where)
        self._running.append(twistd)
        self._ports = twistd.ports
        self.pids["duckmail"] = twistd.process.pid
        if not self._mongo:
            self.pids["mongod"] = int((self._data / "mongo/db/mongod.lock").read_text())
        duckmail = Path(sys.executable).with_name("duckmail")
        subprocess.run(
            [duckmail, "user", "add", USER, "--password", self._password, *self._where],
            capture_output=True,
            check=True,
        )

    def fresh(self) -> Server:
        """Another process on the same database."""
        from twisted_duck.service.embedded import embedded_uri

        uri = self._mongo or embedded_uri(self._data)
        assert uri is not None
        for each in self._running[1:]:
            each.stop()
        more = ("--mongo", uri, "--data-dir", str(self._directory / "fresh"))
        self._running[1:] = [_Twistd(self._directory / "fresh.log", ("imap", "imaps"), *more)]
        fresh = self._running[-1]
        pids = {"duckmail": fresh.process.pid}
        return Server(HOST, USER, self._password, **fresh.ports, pids=pids)

    def stop(self) -> None:
        for each in reversed(self._running):
            each.stop()

    def server(self) -> Server:
        return Server(HOST, USER, self._password, **self._ports, pids=self.pids, fresh=self.fresh)


@contextmanager
def dovecot() -> Iterator[Server]:
    with _directory() as directory:
        _let_open()
        peer = Dovecot(directory)
        try:
            peer.start()
            yield peer.server()
        finally:
            peer.stop()


@contextmanager
def duckmail(mongo: str | None = None) -> Iterator[Server]:
    with _directory() as directory:
        _let_open()
        peer = Duckmail(directory, mongo)
        try:
            peer.start()
            yield peer.server()
        finally:
            peer.stop()


def main() -> None:
    end_cleanly()
    parser = argparse.ArgumentParser(description="Runs a server for the benchmarks until Ctrl-C.")
    parser.add_argument("name", choices=["dovecot", "duckmail"])
    with {"dovecot": dovecot, "duckmail": duckmail}[parser.parse_args().name]() as server:
        ports = " ".join(
            f"--{name} {getattr(server, name)}" for name in ("imap", "imaps", "pop3", "lmtp")
        )
        pids = " ".join(f"--pid {name}={pid}" for name, pid in server.pids.items())
        print(
            f"python -m benchmarks.run {HOST} {server.user} {server.password} {ports} {pids}",
            flush=True,
        )
        try:
            signal.pause()
        except KeyboardInterrupt:
            pass


if __name__ == "__main__":
    main()
