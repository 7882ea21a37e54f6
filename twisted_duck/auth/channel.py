"""What binds a login to the TLS connection it comes over: the channel bindings that SCRAM can use."""

from __future__ import annotations

from typing import Any, Final

from cryptography import x509
from cryptography.hazmat.primitives.hashes import MD5, SHA1, SHA256

from twisted_duck.sasl import Bindings

#: RFC 9266 §2.
_LABEL: Final = b"EXPORTER-Channel-Binding"
_SIZE: Final = 32


def has_bindings(transport: Any) -> bool:
    """Whether `channel_bindings` will find some, once the handshake is done."""
    return _handle(transport) is not None


def channel_bindings(transport: Any) -> Bindings:
    """Those of a transport whose handshake is done; none where there is no TLS, or a TLS that does not tell.

    TLS that a proxy in front of us took off is none: the client's channel ends there.
    """
    handle = _handle(transport)
    if handle is None:
        return {}
    bindings: dict[str, tuple[bytes, ...]] = {}
    if handle.get_protocol_version_name() == "TLSv1.3":
        # RFC 9266 §2, §3: tls-unique is not defined here; in older ones this is safe only with an extension that we
        # cannot ask for.
        bindings["tls-exporter"] = (handle.export_keying_material(_LABEL, _SIZE, b""),)
    else:
        # RFC 5929 §3.1: the client's Finished, or, in a session that was resumed, ours, and we are not told whether it
        # was.  Neither can be had on another connection.
        finished = (handle.get_peer_finished(), handle.get_finished())
        bindings["tls-unique"] = tuple(each for each in finished if each)
    certificate = handle.get_certificate()
    if certificate is not None and (digest := _end_point(certificate.to_cryptography())):
        bindings["tls-server-end-point"] = (digest,)
    return bindings


def _handle(transport: Any) -> Any:
    handle = transport.getHandle() if hasattr(transport, "getHandle") else None
    return handle if hasattr(handle, "export_keying_material") else None


def _end_point(certificate: x509.Certificate) -> bytes | None:
    """RFC 5929 §4.1: a hash by that of the signature, which some signatures, as Ed25519, do not have."""
    hash = certificate.signature_hash_algorithm
    if hash is None:
        return None
    return certificate.fingerprint(SHA256() if isinstance(hash, MD5 | SHA1) else hash)
