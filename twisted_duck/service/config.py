"""What an administrator can set, in a TOML file and on the command line.

`SETTINGS` is the one list of it: the file's keys, the command line's options and their help come from it.
Every mistake ends with a `ConfigError`: one line that names the file or the option, the key, and what to do.
"""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Container, Iterator, Mapping
from ipaddress import IPv4Network, IPv6Network
from pathlib import Path
from typing import Any, Literal

import attrs

from twisted_duck.auth.verified import LIFE
from twisted_duck.guard.guarded import OnDeadline
from twisted_duck.limits import DEFAULTS, Limits
from twisted_duck.service import reading
from twisted_duck.service.fault import Fault
from twisted_duck.service.policies import (
    DEFAULT_POLICIES,
    PolicyTable,
    placed,
    read_policies,
)
from twisted_duck.service.protocols import PROTOCOLS, Protocol
from twisted_duck.service.reading import Read

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
    #: Whether a PROXY header comes before everything else.
    proxied: bool = False
    #: What it was asked for with: an option, or a key of the file; to move it there changes nothing.
    option: str = attrs.field(default="the default", eq=False)


@attrs.frozen
class Settings:
    """Everything that is set, read and checked as far as that can be done without using it."""

    data_dir: Path
    #: A MongoDB URI, or None for the embedded server.
    mongo_uri: str | None = attrs.field(default=None, repr=False)
    mongod: str | None = None
    demo: bool = False
    #: Processes that share the ports.
    workers: int = 1
    listeners: tuple[Listener, ...] = ()
    cleartext_auth: CleartextAuth = "never"
    #: Whether users can log in by SCRAM, and verifiers are kept for that.
    scram: bool = True
    #: Seconds in which a password that was good is not hashed again; 0: each is hashed.
    auth_cache: float = LIFE
    #: Whether IMAP offers UTF8=ACCEPT.
    imap_utf8: bool = False
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
    #: What becomes of a client about whom the policies have not answered within `limits.on_connect`.
    on_deadline: OnDeadline = "refuse"
    #: From left to right.
    policies: tuple[PolicyTable, ...] = DEFAULT_POLICIES
    #: Where the proxies are that send PROXY headers.
    proxy_networks: tuple[IPv4Network | IPv6Network, ...] = ()
    limits: Limits = DEFAULTS


# --- the list ---------------------------------------------------------------------------------------------------------


@attrs.frozen
class Setting:
    """One thing that can be set."""

    #: In the file, with its table: `mongo.uri`.
    key: str
    read: Read
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
            reading.endpoints,
            protocol.name,
            f"Serve {protocol.title} on this Twisted endpoint, as {protocol.usual}. {protocol.note} May be given"
            " several times.",
            several=True,
        )
        if protocol.usual_tls:
            yield Setting(
                f"listen.{protocol.name}s",
                reading.endpoints,
                f"{protocol.name}s",
                f"Serve {protocol.title} with TLS from the first byte on this Twisted endpoint, as"
                f" {protocol.usual_tls}. May be given several times.",
                several=True,
            )


def _listen_to_proxies() -> Iterator[Setting]:
    for protocol in PROTOCOLS:
        yield Setting(f"proxy.{protocol.name}", reading.proxied_endpoints)
        if protocol.usual_tls:
            yield Setting(f"proxy.{protocol.name}s", reading.proxied_endpoints)


SETTINGS: tuple[Setting, ...] = (
    Setting(
        "data_dir",
        reading.path,
        "data-dir",
        "Where the embedded MongoDB and the self-signed certificate are kept"
        " (default: /var/lib/duckmail for root, else ~/.local/share/duckmail).",
    ),
    Setting(
        "mongo.uri",
        reading.uri,
        "mongo",
        "Keep mail in this MongoDB (a replica set or a sharded cluster) instead of the embedded one. A URI with a"
        " password is better kept in the configuration file: command lines are seen by everybody.",
    ),
    Setting(
        "mongo.mongod",
        reading.program,
        "mongod",
        "The mongod program to run as the embedded MongoDB (default: the one on the PATH, else that of the"
        " 'embedded' extra).",
    ),
    *_listen(),
    Setting("proxy.networks", reading.networks),
    *_listen_to_proxies(),
    Setting("on_deadline", reading.one_of(OnDeadline)),
    Setting("policy", read_policies),
    Setting(
        "tls.certificate",
        reading.path,
        "certificate",
        "A PEM file with the certificate and its chain (default: a self-signed one is made in the data directory).",
    ),
    Setting(
        "tls.key",
        reading.path,
        "key",
        "A PEM file with the certificate's private key (default: the certificate's file).",
    ),
    Setting(
        "auth.cleartext",
        reading.one_of(CleartextAuth),
        "allow-cleartext-auth",
        "Take passwords over connections without TLS, from anywhere.",
        flag="always",
    ),
    Setting("auth.scram", reading.flag),
    Setting("auth.cache", reading.seconds_or_none),
    Setting("imap.utf8", reading.flag),
    Setting("pop3.delete", reading.one_of(DeleteAction)),
    Setting("pop3.retr_sets_seen", reading.flag),
    Setting("lmtp.starttls", reading.flag),
    Setting("lmtp.hostname", reading.hostname),
    Setting("lmtp.spam_header", reading.spam_header),
    Setting("lmtp.ignore_dots", reading.flag),
    Setting(
        "demo",
        reading.flag,
        "demo",
        "Make an account called demo with a few messages in it, and say how to log in.",
        flag=True,
    ),
    Setting(
        "workers",
        reading.count,
        "workers",
        "Serve with this many processes that share the TCP ports (default: 1, which is this one). A good number is that"
        " of the machine's cores.",
    ),
    *(Setting(f"limits.{field.name}", reading.bound) for field in attrs.fields(Limits)),
)

_BY_KEY = {setting.key: setting for setting in SETTINGS}
_TABLES = {setting.key.partition(".")[0] for setting in SETTINGS if "." in setting.key}


# --- reading ----------------------------------------------------------------------------------------------------------


def load(
    file: Path | None,
    options: Mapping[str, object],
    directory: Path | None = None,
    text: str | None = None,
) -> Settings:
    """The settings of a file, and over them those of the command line.

    @param options: what was given on the command line, by `Setting.key`
    @param directory: where that was; the present one by default
    @param text: what the file said, where it may say something else by now
    @raise ConfigError: a mistake in either
    """
    values: dict[str, Any] = {}
    if file is not None:
        file = file.absolute()
        for key, value in _flat(file, _parse(file, text)):
            values[key] = _read(_BY_KEY[key], value, file.parent, f"{file}: {key}")
        if "policy" in values:
            values["policy"] = placed(values["policy"], file)
    for key, value in options.items():
        setting = _BY_KEY[key]
        values[key] = _read(setting, value, directory or Path.cwd(), f"--{setting.option}")
    return _settings(values, options.keys())


def _parse(file: Path, text: str | None) -> dict[str, Any]:
    try:
        return tomllib.loads(file.read_bytes().decode() if text is None else text)
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
    # Of several with one last name, the first: listen.imap, not proxy.imap.
    names = {name.rpartition(".")[2]: name for name in reversed(_BY_KEY)}
    last = key.rpartition(".")[2]
    like = names.get(last) or reading.close(key, [*_BY_KEY, *_TABLES])
    like = like or names.get(reading.close(last, names) or "")
    advice = f"did you mean {like}?" if like else reading.REMOVE
    raise ConfigError(f"{file}: unknown key {key}; {advice}")


def _read(setting: Setting, value: object, base: Path, where: str) -> Any:
    try:
        return setting.read(value, base)
    except ValueError as error:
        raise ConfigError(f"{where} {error}") from None


_SMTP_PORT = re.compile(r"tcp6?:(?:port=)?25(?::|$)")


def _settings(values: dict[str, Any], options: Container[str]) -> Settings:
    listeners = [
        Listener(
            protocol, endpoint, tls, proxied, f"--{_BY_KEY[key].option}" if key in options else key
        )
        for protocol in PROTOCOLS
        for proxied in (False, True)
        for tls in (False, True)
        for key in [_listener_key(protocol, tls, proxied)]
        for endpoint in values.get(key, ())
    ]
    for each in listeners:
        if each.protocol.name == "lmtp" and _SMTP_PORT.match(each.endpoint):
            raise ConfigError(
                f"{each.option} {each.endpoint}: port 25 is SMTP's, and LMTP is never to be there"
                " (RFC 2033): take another, as 24"
            )
    proxied, networks = any(each.proxied for each in listeners), values.get("proxy.networks")
    if proxied and not networks:
        raise ConfigError("proxy.networks is not set: say where the proxies are")
    if networks and not proxied:
        raise ConfigError(
            "proxy.networks is set and nothing listens to proxies: give endpoints, as"
            ' proxy.imaps = ["tcp:10993"], or remove it'
        )
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
    bounds = Limits(**limits)
    policies = values.get("policy", DEFAULT_POLICIES)
    longest = min(bounds.on_connect, bounds.on_authenticated)
    for policy in policies:
        if policy.delay is not None and policy.delay >= longest:
            raise ConfigError(
                f"{policy.place}: delay must be less than limits.on_connect and"
                f" limits.on_authenticated, {longest} seconds: whoever waits longer is refused"
            )
    return Settings(
        data_dir=values.get("data_dir") or default_data_dir(),
        mongo_uri=values.get("mongo.uri"),
        mongod=values.get("mongo.mongod"),
        demo=values.get("demo", False),
        workers=values.get("workers", 1),
        listeners=tuple(listeners),
        cleartext_auth=values.get("auth.cleartext", "never"),
        scram=values.get("auth.scram", True),
        auth_cache=values.get("auth.cache", LIFE),
        imap_utf8=values.get("imap.utf8", False),
        certificate=certificate,
        key=key or certificate,
        pop3_delete=values.get("pop3.delete", "delete"),
        pop3_retr_sets_seen=values.get("pop3.retr_sets_seen", False),
        lmtp_starttls=values.get("lmtp.starttls", False),
        lmtp_hostname=values.get("lmtp.hostname"),
        lmtp_spam_header=values.get("lmtp.spam_header"),
        lmtp_ignore_dots=values.get("lmtp.ignore_dots", True),
        on_deadline=values.get("on_deadline", "refuse"),
        policies=policies,
        proxy_networks=networks or (),
        limits=bounds,
    )


def _listener_key(protocol: Protocol, tls: bool, proxied: bool) -> str:
    return f"{'proxy' if proxied else 'listen'}.{protocol.name}{'s' if tls else ''}"


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
