"""SCRAM (RFC 5802, RFC 7677), the server's side.

    client-first   n,,n=tim,r=CLIENT                    flag of channel binding, name, nonce
    server-first   r=CLIENTSERVER,s=SALT,i=4096         what the client needs to get from its password to its key
    client-final   c=biws,r=CLIENTSERVER,p=PROOF        that it has the key, bound to all that was said
    server-final   v=SIGNATURE                          that the server has the user's verifier

    scram = Scram("SCRAM-SHA-256", nonce, bindings)
    scram.begin(client_first)                           now `scram.username` is known
    server_first = scram.challenge(verifier)            of a user who does not exist as well: see `pretended`
    if scram.prove(client_final): scram.final           is the server-final

No password is sent, and none can be got back from a verifier but by trying.
"""

from __future__ import annotations

import re
from base64 import b64encode
from binascii import Error as Base64Error
from binascii import a2b_base64
from collections.abc import Mapping
from hashlib import new as new_hash
from hashlib import pbkdf2_hmac
from hmac import compare_digest
from hmac import digest as hmac
from types import MappingProxyType
from typing import Final

from attrs import field, frozen

from twisted_duck.errors import AuthenticationFailed, BadSyntax, Corruption
from twisted_duck.sasl.saslprep import saslprep

#: Name of a scheme -> its hash, in the order in which they are advertised.
HASHES: Final[MappingProxyType[str, str]] = MappingProxyType(
    {"SCRAM-SHA-256": "sha256", "SCRAM-SHA-1": "sha1"}
)

_PLUS: Final = "-PLUS"

#: Name of each mechanism, the ones with channel binding first.
SCRAM: Final[tuple[str, ...]] = tuple(
    scheme + suffix for scheme in HASHES for suffix in (_PLUS, "")
)

#: Octets of a salt.
SALT: Final = 16

#: Type of a channel binding -> the data that a client may have taken for it (RFC 5929, RFC 9266); empty where the
#: channel has none.
Bindings = Mapping[str, tuple[bytes, ...]]

# RFC 5802 §7.  A mandatory extension (m=) stands in front of the name: there is none that is known.
_CLIENT_FIRST = re.compile(
    rb"(?P<header>(?:[yn]|p=(?P<binding>[A-Za-z0-9.-]+)),(?:a=(?P<identity>[^,\0]+))?,)"
    rb"(?P<bare>n=(?P<name>[^,\0]+),r=(?P<nonce>[!-+\--~]+)(?:,[A-Za-z]=[^,\0]+)*)"
)
_CLIENT_FINAL = re.compile(
    rb"(?P<unproven>c=(?P<binding>[A-Za-z0-9+/=]+),r=(?P<nonce>[!-+\--~]+)(?:,[A-Za-z]=[^,\0]+)*)"
    rb",p=(?P<proof>[A-Za-z0-9+/=]+)"
)
_ESCAPED = re.compile(rb"(?:[^=]|=2C|=3D)+")
# RFC 5803.
_VERIFIER = re.compile(
    r"([A-Z0-9-]+)\$([1-9][0-9]{0,8}):([A-Za-z0-9+/=]+)\$([A-Za-z0-9+/=]+):([A-Za-z0-9+/=]+)"
)


@frozen
class Verifier:
    """What a server keeps instead of a password (RFC 5802 §3)."""

    #: 'SCRAM-SHA-256'.
    scheme: str
    iterations: int
    salt: bytes
    stored_key: bytes = field(repr=False)
    server_key: bytes = field(repr=False)

    @classmethod
    def of(cls, scheme: str, password: str, salt: bytes, iterations: int) -> Verifier:
        """Takes its time.  Fails with Cannot for a password that can't be prepared (RFC 4013)."""
        name = HASHES[scheme]
        salted = pbkdf2_hmac(name, saslprep(password).encode(), salt, iterations)
        stored = new_hash(name, hmac(salted, b"Client Key", name)).digest()
        return cls(scheme, iterations, salt, stored, hmac(salted, b"Server Key", name))

    @classmethod
    def pretended(cls, scheme: str, seed: bytes, iterations: int) -> Verifier:
        """One that nobody can tell from a user's, and that no password fits; always the same for one seed."""
        name = HASHES[scheme]
        salt, stored, server = (
            hmac(seed, f"{scheme} {what}".encode(), name) for what in ("salt", "stored", "server")
        )
        return cls(scheme, iterations, salt[:SALT], stored, server)

    @classmethod
    def parse(cls, text: str) -> Verifier:
        """From what `encoded` gives.  Fails with Corruption for anything else."""
        found = _VERIFIER.fullmatch(text)
        try:
            if found is None or found[1] not in HASHES:
                raise Base64Error
            salt, stored, server = (
                a2b_base64(each, strict_mode=True) for each in found.groups()[2:]
            )
        except Base64Error:
            raise Corruption("a stored SCRAM verifier is none (RFC 5803)") from None
        return cls(found[1], int(found[2]), salt, stored, server)

    @property
    def encoded(self) -> str:
        """RFC 5803."""
        salt, stored, server = (
            b64encode(each).decode() for each in (self.salt, self.stored_key, self.server_key)
        )
        return f"{self.scheme}${self.iterations}:{salt}${stored}:{server}"


class Scram:
    """One exchange.  Its methods are called in their order, once each, and fail with BadSyntax for what is not SCRAM and
    with AuthenticationFailed for what can never be right."""

    def __init__(self, mechanism: str, nonce: str, bindings: Bindings) -> None:
        """
        @param mechanism: one of `SCRAM`
        @param nonce: the server's part of it: printable, without a comma, and new
        @param bindings: those of the channel; none if and only if the mechanisms with PLUS were not advertised
        """
        self.scheme = mechanism.removesuffix(_PLUS)
        self._plus = mechanism.endswith(_PLUS)
        self._hash = HASHES[self.scheme]
        self._nonce = nonce.encode()
        self._bindings = bindings
        self.username = ""
        #: The server-final, of an exchange that `prove` found good.
        self.final = b""

    def begin(self, message: bytes) -> None:
        """The client-first."""
        found = _CLIENT_FIRST.fullmatch(message)
        if found is None:
            raise BadSyntax("that is not the first message of SCRAM")
        self._header, self._bare = found["header"], found["bare"]
        self._nonce = found["nonce"] + self._nonce
        self._accepted = self._negotiate(found["binding"])
        self.username = _name(found["name"])
        if found["identity"] is not None and _name(found["identity"]) != self.username:
            raise AuthenticationFailed("one user cannot log in as another")

    def _negotiate(self, binding: bytes | None) -> tuple[bytes, ...]:
        """The data that may stand behind the header in `c=` (RFC 5802 §6)."""
        if (binding is not None) != self._plus:
            raise AuthenticationFailed("the mechanism and the channel binding do not go together")
        if binding is not None:
            data = self._bindings.get(binding.decode())
            if not data:
                raise AuthenticationFailed("this type of channel binding is not supported here")
            return data
        if self._header.startswith(b"y") and self._bindings:
            # Somebody in between took the mechanisms with PLUS out of the list.
            raise AuthenticationFailed("channel binding is supported here: use it")
        return (b"",)

    def challenge(self, verifier: Verifier) -> bytes:
        """The server-first."""
        self._verifier = verifier
        salt = b64encode(verifier.salt)
        self._first = b"r=%b,s=%b,i=%d" % (self._nonce, salt, verifier.iterations)
        return self._first

    def prove(self, message: bytes) -> bool:
        """The client-final: whether it was made by somebody who knows the password.

        It fails before it looks at that for a message that belongs to another exchange or another channel.
        """
        found = _CLIENT_FINAL.fullmatch(message)
        if found is None:
            raise BadSyntax("that is not the last message of SCRAM")
        if not compare_digest(found["nonce"], self._nonce):
            raise AuthenticationFailed("that belongs to another exchange")
        binding, proof = _base64(found["binding"]), _base64(found["proof"])
        if not any(compare_digest(binding, self._header + each) for each in self._accepted):
            raise AuthenticationFailed("that was said over another channel")
        said = b",".join((self._bare, self._first, found["unproven"]))
        mask = hmac(self._verifier.stored_key, said, self._hash)
        if len(proof) != len(mask):
            return False
        key = bytes(one ^ other for one, other in zip(proof, mask, strict=True))
        self.final = b"v=" + b64encode(hmac(self._verifier.server_key, said, self._hash))
        return compare_digest(new_hash(self._hash, key).digest(), self._verifier.stored_key)


def _name(data: bytes) -> str:
    """A `saslname`."""
    if _ESCAPED.fullmatch(data) is None:
        raise BadSyntax("in a name, '=' is '=3D', and ',' is '=2C'")
    try:
        return data.replace(b"=2C", b",").replace(b"=3D", b"=").decode()
    except UnicodeDecodeError:
        raise AuthenticationFailed("a name must be UTF-8") from None


def _base64(data: bytes) -> bytes:
    try:
        return a2b_base64(data, strict_mode=True)
    except Base64Error:
        raise BadSyntax("that is not base64") from None
