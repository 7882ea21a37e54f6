"""What an administrator can set, in a TOML file and on the command line.

`SETTINGS` is the one list of it: the file's keys, the command line's options and their help come from it.
Every mistake ends with a `ConfigError`: one line that names the file or the option, the key, and what to do.
"""

from __future__ import annotations

import difflib
import os
import tomllib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Literal, get_args

import attrs

from twisted_duck.limits import Limits
from twisted_duck.lmtp.spam import SpamMark
from twisted_duck.service.fault import Fault
from twisted_duck.service.protocols import PROTOCOLS, Protocol

CleartextAuth = Literal["never", "loopback", "always"]
DeleteAction = Literal["delete", "trash"]


class ConfigError(Fault):
    """A mistake in the configuration."""


@attrs.frozen
class Listener:
    """Something to listen on."""

    protocol: Protocol
    #: A Twisted endpoint string.
    endpoint: str
    #: Whether TLS begins with the first byte.
    tls: bool = False

    @property
    def option(self) -> str:
        return f"--{self.protocol.name}{'s' if self.tls else ''}"


@attrs.frozen
class Settings:
    """Everything that is set, read and checked as far as that can be done without using it."""

    data_dir: Path
    #: A MongoDB URI, or None for the embedded server.
    mongo_uri: str | None = attrs.field(default=None, repr=False)
    mongod: str | None = None
    demo: bool = False
    listeners: tuple[Listener, ...] = ()
    cleartext_auth: CleartextAuth = "never"
    #: PEM files; None for a certificate of our own making.
    certificate: Path | None = None
    key: Path | None = None
    #: What QUIT does with messages that were deleted by POP3, and whether those that were fetched are \\Seen.
    pop3_delete: DeleteAction = "delete"
    pop3_retr_sets_seen: bool = False
    lmtp_starttls: bool = False
    #: None for the name of this machine.
    lmtp_hostname: str | None = None
    #: See `twisted_duck.lmtp.spam.SpamMark`.
    lmtp_spam_header: str | None = None
    lmtp_ignore_dots: bool = True
    limits: Limits = Limits()


#: Of a limit, whatever its unit: a TiB, or 34,000 years.  Sums of several still fit the 63 bits of IMAP and BSON.
_LARGEST_BOUND = 1 << 40


# --- kinds of values: what was written -> what is meant; ValueError says what it must be ------------------------------


def _text(value: object, base: Path) -> str:
    if isinstance(value, str) and value and "\n" not in value:
        return value
    raise ValueError("must be text that is not empty")


def _path(value: object, base: Path) -> Path:
    if isinstance(value, str) and value and "\0" not in value:
        return base / Path(value).expanduser()
    raise ValueError("must be the name of a file or directory")


def _program(value: object, base: Path) -> str:
    # A bare name is looked up on the PATH.
    return str(_path(value, base)) if "/" in _text(value, base) else _text(value, base)


def _flag(value: object, base: Path) -> bool:
    if isinstance(value, bool):
        return value
    raise ValueError("must be true or false")


def _uri(value: object, base: Path) -> str:
    if isinstance(value, str) and value.startswith(("mongodb://", "mongodb+srv://")):
        return value
    # What was written may hold a password, so it is not repeated.
    raise ValueError("must be a MongoDB URI: mongodb://host:port/database?replicaSet=name")


def _one_of(literal: Any) -> Callable[[object, Path], str]:
    """@param literal: a C{Literal} of text"""
    choices = get_args(literal)

    def read(value: object, base: Path) -> str:
        if value in choices:
            return str(value)
        raise ValueError(f"must be one of {', '.join(map(repr, choices))}")

    return read


def _spam_header(value: object, base: Path) -> str:
    text = _text(value, base)
    SpamMark.parse(text)
    return text


def _endpoints(value: object, base: Path) -> tuple[str, ...]:
    if isinstance(value, list) and all(isinstance(each, str) and each for each in value):
        return tuple(value)
    if isinstance(value, list) and "" in value:
        raise ValueError("must not be empty; give a Twisted endpoint string, as tcp:143")
    raise ValueError('must be a list of Twisted endpoint strings, as ["tcp:143"]')


def _bound(value: object, base: Path) -> int:
    if isinstance(value, int) and not isinstance(value, bool) and value > 0:
        if value > _LARGEST_BOUND:
            raise ValueError(f"must be at most {_LARGEST_BOUND:,}")
        return value
    raise ValueError("must be a whole number above 0")


# --- the list ---------------------------------------------------------------------------------------------------------


@attrs.frozen
class Setting:
    """One thing that can be set."""

    #: In the file, with its table: `mongo.uri`.
    key: str
    read: Callable[[object, Path], Any]
    #: On the command line, without the dashes; None: in the file only.
    option: str | None = None
    help: str = ""
    #: What the option stands for, if it takes no argument.
    flag: object = None
    #: The option may be given several times.
    several: bool = False


def _listen() -> Iterator[Setting]:
    for protocol in PROTOCOLS:
        yield Setting(
            f"listen.{protocol.name}",
            _endpoints,
            protocol.name,
            f"Serve {protocol.title} on this Twisted endpoint, as {protocol.usual}. {protocol.note} May be given"
            " several times.",
            several=True,
        )
        if protocol.usual_tls:
            yield Setting(
                f"listen.{protocol.name}s",
                _endpoints,
                f"{protocol.name}s",
                f"Serve {protocol.title} with TLS from the first byte on this Twisted endpoint, as"
                f" {protocol.usual_tls}. May be given several times.",
                several=True,
            )


SETTINGS: tuple[Setting, ...] = (
    Setting(
        "data_dir",
        _path,
        "data-dir",
        "Where the embedded MongoDB and the self-signed certificate are kept"
        " (default: /var/lib/duckmail for root, else ~/.local/share/duckmail).",
    ),
    Setting(
        "mongo.uri",
        _uri,
        "mongo",
        "Keep mail in this MongoDB (a replica set or a sharded cluster) instead of the embedded one. A URI with a"
        " password is better kept in the configuration file: command lines are seen by everybody.",
    ),
    Setting(
        "mongo.mongod",
        _program,
        "mongod",
        "The mongod program to run as the embedded MongoDB (default: the one on the PATH, else that of the"
        " 'embedded' extra).",
    ),
    *_listen(),
    Setting(
        "tls.certificate",
        _path,
        "certificate",
        "A PEM file with the certificate and its chain (default: a self-signed one is made in the data directory).",
    ),
    Setting(
        "tls.key",
        _path,
        "key",
        "A PEM file with the certificate's private key (default: the certificate's file).",
    ),
    Setting(
        "auth.cleartext",
        _one_of(CleartextAuth),
        "allow-cleartext-auth",
        "Take passwords over connections without TLS, from anywhere.",
        flag="always",
    ),
    Setting("pop3.delete", _one_of(DeleteAction)),
    Setting("pop3.retr_sets_seen", _flag),
    Setting("lmtp.starttls", _flag),
    Setting("lmtp.hostname", _text),
    Setting("lmtp.spam_header", _spam_header),
    Setting("lmtp.ignore_dots", _flag),
    Setting(
        "demo",
        _flag,
        "demo",
        "Make an account called demo with a few messages in it, and say how to log in.",
        flag=True,
    ),
    *(Setting(f"limits.{field.name}", _bound) for field in attrs.fields(Limits)),
)

_BY_KEY = {setting.key: setting for setting in SETTINGS}
_TABLES = {setting.key.partition(".")[0] for setting in SETTINGS if "." in setting.key}


# --- reading ----------------------------------------------------------------------------------------------------------


def load(file: Path | None, options: Mapping[str, object]) -> Settings:
    """The settings of a file, and over them those of the command line.

    @param options: what was given on the command line, by `Setting.key`
    @raise ConfigError: a mistake in either
    """
    values: dict[str, Any] = {}
    if file is not None:
        file = file.absolute()
        for key, value in _flat(file, _parse(file)):
            values[key] = _read(_BY_KEY[key], value, file.parent, f"{file}: {key}")
    for key, value in options.items():
        setting = _BY_KEY[key]
        values[key] = _read(setting, value, Path.cwd(), f"--{setting.option}")
    return _settings(values)


def _parse(file: Path) -> dict[str, Any]:
    try:
        with open(file, "rb") as opened:
            return tomllib.load(opened)
    except OSError as error:
        raise ConfigError(f"cannot read the configuration file {file}: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{file} is not TOML: {error}") from error


def _flat(file: Path, document: dict[str, Any]) -> Iterator[tuple[str, object]]:
    for name, value in document.items():
        if name in _TABLES:
            if not isinstance(value, dict):
                raise ConfigError(f"{file}: {name} must be a table, written [{name}]")
            for key, inner in value.items():
                yield _known(file, f"{name}.{key}"), inner
        else:
            yield _known(file, name), value


def _known(file: Path, key: str) -> str:
    if key in _BY_KEY:
        return key
    names = {name.rpartition(".")[2]: name for name in _BY_KEY}
    close = difflib.get_close_matches(key, [*_BY_KEY, *_TABLES], 1)
    if not close:
        close = difflib.get_close_matches(key.rpartition(".")[2], names, 1)
    advice = f"did you mean {names.get(close[0], close[0])}?" if close else "remove it"
    raise ConfigError(f"{file}: unknown key {key}; {advice}")


def _read(setting: Setting, value: object, base: Path, where: str) -> Any:
    try:
        return setting.read(value, base)
    except ValueError as error:
        raise ConfigError(f"{where} {error}") from None


def _settings(values: dict[str, Any]) -> Settings:
    listeners = [
        Listener(protocol, endpoint, tls)
        for protocol in PROTOCOLS
        for tls in (False, True)
        for endpoint in values.get(f"listen.{protocol.name}{'s' if tls else ''}", ())
    ]
    if not listeners:
        listeners = [*_on_loopback()]
    certificate, key = values.get("tls.certificate"), values.get("tls.key")
    if key and not certificate:
        raise ConfigError("tls.key is set and tls.certificate is not: set both, or neither")
    if "mongo.uri" in values and "mongo.mongod" in values:
        raise ConfigError(
            "mongo.uri and mongo.mongod are both set: with a URI no MongoDB is started; remove one"
        )
    limits = {
        name.removeprefix("limits."): bound
        for name, bound in values.items()
        if name.startswith("limits.")
    }
    return Settings(
        data_dir=values.get("data_dir") or default_data_dir(),
        mongo_uri=values.get("mongo.uri"),
        mongod=values.get("mongo.mongod"),
        demo=values.get("demo", False),
        listeners=tuple(listeners),
        cleartext_auth=values.get("auth.cleartext", "never"),
        certificate=certificate,
        key=key or certificate,
        pop3_delete=values.get("pop3.delete", "delete"),
        pop3_retr_sets_seen=values.get("pop3.retr_sets_seen", False),
        lmtp_starttls=values.get("lmtp.starttls", False),
        lmtp_hostname=values.get("lmtp.hostname"),
        lmtp_spam_header=values.get("lmtp.spam_header"),
        lmtp_ignore_dots=values.get("lmtp.ignore_dots", True),
        limits=Limits(**limits),
    )


def _on_loopback() -> Iterator[Listener]:
    for protocol in PROTOCOLS:
        if protocol.port:
            yield Listener(protocol, f"tcp:{protocol.port}:interface=127.0.0.1")
        if protocol.tls_port:
            yield Listener(protocol, f"tcp:{protocol.tls_port}:interface=127.0.0.1", tls=True)


def default_data_dir() -> Path:
    if os.geteuid() == 0:
        return Path("/var/lib/duckmail")
    home = os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share"
    return Path(home) / "duckmail"
