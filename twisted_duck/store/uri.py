"""What a MongoDB URI says, as far as the driver can be made to follow it.

txmongo ignores options that it does not know, and some of them (`readPreference`) break it. An option that changes
what happens to mail must not be ignored in silence, so each one has a row in `_OPTIONS`: it is used, it changes nothing
here, or it is refused with a sentence.
"""

from __future__ import annotations

import re
from typing import Any, Final

import attrs
from pymongo.errors import PyMongoError
from pymongo.uri_parser import parse_uri

from twisted_duck import errors

DEFAULT_DATABASE: Final = "duckmail"

#: Authentication that txmongo can do; "DEFAULT" is SCRAM-SHA-1 in it.
X509: Final = "MONGODB-X509"
_MECHANISMS: Final = ("DEFAULT", "SCRAM-SHA-1", X509)

#: An @ behind the hosts: what is in front of it may have been meant as a password.
_UNESCAPED: Final = re.compile(r"://[^/?]*[/?].*@", re.DOTALL)
_ESCAPE: Final = "the MongoDB URI can't be used: in a user's name and password / ? # [ ] @ : % are written as %2F %3F %23 %5B %5D %40 %3A %25"

_USED = "used"
_HARMLESS = "harmless"

#: Lower-case option -> used, harmless, or the sentence that refuses it.
_OPTIONS: Final = {
    "replicaset": _USED,
    "authsource": _USED,
    "authmechanism": _USED,
    "tls": _USED,
    "ssl": _USED,
    "tlscafile": _USED,
    "tlscertificatekeyfile": _USED,
    "maxpoolsize": _USED,
    # Writes are always majority and journaled, retries are the store's own.
    "w": _HARMLESS,
    "journal": _HARMLESS,
    "retrywrites": _HARMLESS,
    "retryreads": _HARMLESS,
    "appname": _HARMLESS,
    "minpoolsize": _HARMLESS,
    "connecttimeoutms": _HARMLESS,
    "serverselectiontimeoutms": _HARMLESS,
    "sockettimeoutms": _HARMLESS,
    "directconnection": _HARMLESS,
    "loadbalanced": "load balanced connections are not supported",
    "compressors": "compression of the connection is not supported",
    "readpreference": "mail is only read from the primary; leave readPreference out",
    "tlsinsecure": "certificates are always verified; give your authority's with tlsCAFile",
    "tlsallowinvalidcertificates": "certificates are always verified; give your authority's with tlsCAFile",
    "tlsallowinvalidhostnames": "host names are always verified",
    "tlscertificatekeyfilepassword": "the key in tlsCertificateKeyFile must not have a pass phrase",
}


class BadURI(errors.Unavailable):
    """The URI can't be used; the message is one line that says why.  It never contains the password."""


@attrs.frozen
class Target:
    """Where the data is and how to get in."""

    hosts: tuple[tuple[str, int], ...]
    database: str
    replica_set: str | None = None
    username: str | None = None
    password: str | None = attrs.field(default=None, repr=False)
    auth_database: str = "admin"
    mechanism: str = "DEFAULT"
    tls: bool = False
    ca_file: str | None = None
    certificate_file: str | None = None
    connections: int | None = None

    @property
    def has_credentials(self) -> bool:
        return self.username is not None or self.mechanism == X509

    @property
    def who(self) -> str:
        """As whom we log in, for messages."""
        if self.username is None:
            return "the user of the certificate in tlsCertificateKeyFile"
        return f"the user {self.username!r}"

    @property
    def address(self) -> str:
        """The hosts as people write them, for messages."""
        return ",".join(f"{host}:{port}" for host, port in self.hosts)

    @property
    def bare_uri(self) -> str:
        """What the driver is given: nothing in it that it would misunderstand, and no password."""
        hosts = ",".join(f"[{h}]:{p}" if ":" in h else f"{h}:{p}" for h, p in self.hosts)
        options = f"?replicaSet={self.replica_set}" if self.replica_set else ""
        return f"mongodb://{hosts}/{options}"


def parse(uri: str, database: str | None = None) -> Target:
    """Read a `mongodb://` or `mongodb+srv://` URI (the latter asks the DNS, and waits for it).

    `database` wins over the one in the URI.  Raises BadURI.
    """
    try:
        parsed = parse_uri(uri, validate=True, warn=False)
    except (PyMongoError, ValueError, OSError) as error:
        if _UNESCAPED.search(uri):
            # The error may have the rest of a password, taken for a database or an option.
            raise BadURI(_ESCAPE) from None
        raise BadURI(f"the MongoDB URI can't be used: {error}") from None
    if "@" in (parsed["database"] or ""):
        raise BadURI(_ESCAPE)
    options: dict[str, Any] = {name.lower(): value for name, value in parsed["options"].items()}
    for name in options:
        verdict = _OPTIONS.get(name, "it is not known here")
        if verdict not in (_USED, _HARMLESS):
            raise BadURI(f"the MongoDB URI has the option {name!r}: {verdict}")
    hosts = tuple((host, port or 27017) for host, port in parsed["nodelist"])
    if any(port is None or host.startswith("/") for host, port in parsed["nodelist"]):
        raise BadURI("the MongoDB URI names a socket file; give a host and a port")
    mechanism = str(options.get("authmechanism", "DEFAULT")).upper()
    if mechanism not in _MECHANISMS:
        raise BadURI(
            f"the MongoDB URI asks for {mechanism}; SCRAM-SHA-1 and MONGODB-X509 can be used"
        )
    tls = bool(options.get("tls", options.get("ssl", False)))
    for name in ("tlsCAFile", "tlsCertificateKeyFile"):
        if name.lower() in options and not tls:
            # Whoever gives one does not want mail and password to go in clear.
            raise BadURI(f"the MongoDB URI has {name}, and no TLS to use it for: add tls=true")
    if mechanism == X509 and "tlscertificatekeyfile" not in options:
        raise BadURI("the MongoDB URI asks for MONGODB-X509, and names no tlsCertificateKeyFile")
    username = parsed["username"]
    if username is not None and not parsed["password"] and mechanism != X509:
        raise BadURI("the MongoDB URI names a user without a password")
    return Target(
        hosts=hosts,
        database=database or parsed["database"] or DEFAULT_DATABASE,
        replica_set=options.get("replicaset"),
        username=username,
        password=parsed["password"],
        auth_database=options.get("authsource") or parsed["database"] or "admin",
        mechanism=mechanism,
        tls=tls,
        ca_file=options.get("tlscafile"),
        certificate_file=options.get("tlscertificatekeyfile"),
        connections=options.get("maxpoolsize"),
    )
