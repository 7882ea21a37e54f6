"""The client's side of SCRAM (RFC 5802 §3, §5), for tests."""

from __future__ import annotations

import hashlib
import hmac
from base64 import b64decode, b64encode


class ScramClient:
    """`first`, then `final(server_first)`, then `verify(server_final)`.

    @param header: the gs2-header; with channel binding `p=type,,`, and then `binding` is the channel's data
    """

    def __init__(
        self,
        hash: str,
        user: str,
        password: str,
        *,
        nonce: str = "fyko+d2lbbFgONRv9qkxdawL",
        header: bytes = b"n,,",
        binding: bytes = b"",
    ) -> None:
        self.hash = hash
        self.password = password.encode()
        self.header = header
        self.binding = binding
        name = user.replace("=", "=3D").replace(",", "=2C")
        self.bare = f"n={name},r={nonce}".encode()

    @property
    def first(self) -> bytes:
        return self.header + self.bare

    def final(self, server_first: bytes) -> bytes:
        nonce, salt, count = server_first.split(b",")
        unproven = b"c=" + b64encode(self.header + self.binding) + b"," + nonce
        salted = hashlib.pbkdf2_hmac(self.hash, self.password, b64decode(salt[2:]), int(count[2:]))
        key = self._hmac(salted, b"Client Key")
        said = b",".join((self.bare, server_first, unproven))
        signature = self._hmac(hashlib.new(self.hash, key).digest(), said)
        proof = bytes(a ^ b for a, b in zip(key, signature, strict=True))
        self.signature = self._hmac(self._hmac(salted, b"Server Key"), said)
        return unproven + b",p=" + b64encode(proof)

    def verify(self, server_final: bytes) -> bool:
        return server_final == b"v=" + b64encode(self.signature)

    def _hmac(self, key: bytes, text: bytes) -> bytes:
        return hmac.digest(key, text, self.hash)
