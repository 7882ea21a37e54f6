"""The command line of `twistd duckmail`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from twisted.python import usage

from twisted_duck import __version__
from twisted_duck.service.config import SETTINGS, Setting, Settings, load

_MORE = """
Endpoints are Twisted endpoint strings: tcp:143, tcp:1143:interface=127.0.0.1, tcp6:143,
unix:/run/duckmail/imap, systemd:domain=INET:index=0. If none is given at all, IMAP and POP3 listen on the
ports 1143 and 1110 and, with TLS, 1993 and 1995 of 127.0.0.1. LMTP, by which mail comes in, listens where it
is told to only; 'duckmail address' says which mail is for whom.

Configuration file (TOML; what is given on the command line wins; file names are relative to it):
    data_dir = "/var/lib/duckmail"
    workers = 4              # processes that share the TCP ports (see --workers)
    on_deadline = "refuse"   # or "admit": whom the policies (below) have not judged in limits.on_connect seconds
    [mongo]
    uri = "mongodb://duckmail:password@db1,db2,db3/duckmail?replicaSet=rs0"
    [listen]
    imap = ["tcp:143"]
    imaps = ["tcp:993"]
    pop3s = ["tcp:995"]
    lmtp = ["unix:/run/duckmail/lmtp:mode=660"]
    [tls]
    certificate = "fullchain.pem"
    key = "privkey.pem"
    [auth]
    cleartext = "never"      # without TLS: "never", "loopback" (from this machine), "always"
    scram = true             # whether users can log in by SCRAM, too; keeps what that takes beside the hash
    cache = 60               # seconds in which a password that was good is not hashed again; 0: each is hashed
    [imap]
    utf8 = false             # whether UTF8=ACCEPT is offered; then older clients can't store 8-bit headers
    [pop3]
    delete = "delete"        # what QUIT does with deleted messages: "delete", "trash" (move them there)
    retr_sets_seen = false   # whether a message that was fetched is not new any more
    [lmtp]
    starttls = false         # whether STARTTLS is offered
    hostname = "mx.example.org"
    spam_header = "X-Spam-Flag: YES"   # mail with it goes to Junk; without a value it is Yes
    ignore_dots = true       # whether a.b@example.org is ab@example.org
    [limits]                 # the names of twisted_duck/limits.py
    message = 67108864
    [proxy]                  # endpoints where a PROXY header (v1 or v2) comes first, and from whom
    networks = ["10.0.0.5", "10.0.1.0/24"]
    imaps = ["tcp:10993"]

Policies say who may connect; each connection passes them from the top, and the first that refuses decides. A table each;
without any: 200 connections from an address and 500 from a /24, bans after 20 different wrong passwords in an hour,
shared by all processes, for IMAP and POP3, but never for this machine and private networks. policy = [] (above all
tables): none at all.
    [[policy]]
    kind = "networks"        # allow, deny, allow_file, deny_file: "192.0.2.0/24", "loopback", "private"
    deny_file = "denied.txt" # one a line; the most specific one decides; if any are allowed, others are not
    [[policy]]
    kind = "connection-limit"   # at the same time, for all protocols together; also trusted = [networks]
    masks = [{ most = 50 }, { ipv4 = 24, ipv6 = 56, most = 250 }]   # of an address or /64, and of a /24 or /56
    [[policy]]
    kind = "user-limit"
    most = 50
    [[policy]]
    kind = "connection-rate" # as many at once as the mask has, and as many again in that time; also trusted
    masks = [{ most = 60 }]
    seconds = 60
    shared = false           # true: for all processes on this MongoDB
    [[policy]]
    kind = "bans"            # so many different wrong passwords in `window` seconds; also trusted
    mask = { most = 20 }
    window = 3600
    seconds = 3600           # how long
    shared = true            # 'duckmail bans' lists and lifts them
    [[policy]]
    kind = "connection-rate"
    masks = [{ most = 10 }]
    delay = 3                # seconds; of any policy: whom it would refuse waits instead
    protocols = ["pop3"]     # of any policy: what it is for (default: all)
    name = "slow POP3"       # of any policy: in the log
Code of your own is a policy, too: call = "package.module:name", a function that is given the session and raises
twisted_duck.errors.ConnectionRefused (it may be async), with on_authenticated and on_close likewise; or a subclass of
twisted_duck.policies.Policy, or with arguments = { key = "value" } what makes one.

SIGHUP has the configuration read again: the certificate, policies with their files, and the networks of proxies. If
there is a mistake, one line says so and nothing changes. Connections stay, and are counted.

Examples:
    twistd -n duckmail --demo
    twistd -n duckmail --config /etc/duckmail.toml
    twistd -n duckmail --mongo 'mongodb://db1,db2,db3/duckmail?replicaSet=rs0' --imaps tcp:993

Workers (--workers) share what listens on tcp: and tcp6:; what listens on anything else (unix:, systemd:) is served by the
first of them alone. The embedded MongoDB, if there is one, is that of all. One that dies is replaced. Each counts for
itself what only one process can know: with 4 workers, 4 times as many connections, or wrong passwords for one user, as the
limits and policies say may be let in until each of them refuses; what is 'shared' holds for all.

Exit status: 0 if it was ended by SIGTERM; 1 if it could not start or could not go on, and one line says why; by any other
signal it ends as twistd does, after everything is put away.
"""


class Options(usage.Options):
    """What was given; `settings()` reads it."""

    synopsis = "[options]"
    longdesc = (
        "Serves mail from MongoDB. With no options it runs a MongoDB of its own and listens on the"
        " loopback only, with a certificate that it makes itself."
    )

    def __init__(self) -> None:
        self.given: dict[str, Any] = {}
        self.config: Path | None = None
        #: What that said when the server was started, in a process that is started later.
        self._text: str | None = None
        self._directory = Path.cwd()
        super().__init__()  # type: ignore[no-untyped-call]

    def opt_config(self, file: str) -> None:
        """Read settings from this TOML file (see below)."""
        # Now: it is read again when the process may be in another directory.
        self.config = Path(file).absolute()

    def opt_version(self) -> None:
        """Display the version of Twisted Duck and exit."""
        print(f"Twisted Duck {__version__}")
        raise SystemExit(0)

    def settings(self) -> Settings:
        """@raise ConfigError: they make no sense"""
        return load(self.config, self.given, self._directory)

    def first_settings(self) -> Settings:
        """The same as the server had when it was started, whatever has become of the file."""
        return load(self.config, self.given, self._directory, self._text)

    def packed(self) -> dict[str, Any]:
        """All that was given, for another process: what JSON can say."""
        return {
            "given": self.given,
            "config": None if self.config is None else str(self.config),
            "text": self._said(),
            "directory": str(self._directory),
        }

    def _said(self) -> str | None:
        if self.config is None:
            return None
        try:
            return self.config.read_bytes().decode()
        except (OSError, UnicodeDecodeError):
            # Whoever reads the settings is told what is wrong.
            return None

    @classmethod
    def unpacked(cls, packed: dict[str, Any]) -> Options:
        options = cls()
        options.given = packed["given"]
        options.config = None if packed["config"] is None else Path(packed["config"])
        options._text = packed["text"]
        options._directory = Path(packed["directory"])
        return options

    def getUsage(self, width: int | None = None) -> str:
        return str(super().getUsage(width)) + _MORE


def _option(setting: Setting) -> Callable[..., None]:
    def switch(self: Options) -> None:
        self.given[setting.key] = setting.flag

    def one(self: Options, value: str) -> None:
        self.given[setting.key] = value

    def several(self: Options, value: str) -> None:
        self.given.setdefault(setting.key, []).append(value)

    method: Callable[..., None]
    method = switch if setting.flag is not None else several if setting.several else one
    method.__doc__ = setting.help
    return method


for _setting in SETTINGS:
    if _setting.option is not None:
        setattr(Options, "opt_" + _setting.option.replace("-", "_"), _option(_setting))
