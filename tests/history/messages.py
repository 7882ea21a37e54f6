"""What the clients store: each message once, with its name in it, made from seed and name alone."""

from __future__ import annotations

import base64
import hashlib
import random
import re

SENDER = "history@example.org"
DOMAIN = "example.org"

_ID = re.compile(rb"(?im)^Message-ID: <([^@>]+)@history>")


def message(seed: int, name: str) -> bytes:
    """Some KiB of text; one in ten has an attachment beside it, of which there are four in all."""
    chance = random.Random(f"{seed} {name}")
    text = "".join(
        f"{number} " + "".join(chance.choices("abcdefghij klmnop qrstu", k=60)) + "\r\n"
        for number in range(chance.randint(1, 40))
    )
    head = (
        f"From: {SENDER}\r\nTo: everybody@{DOMAIN}\r\nSubject: message {name}\r\n"
        f"Message-ID: <{name}@history>\r\nMIME-Version: 1.0\r\n"
    )
    if chance.random() < 0.9:
        return f"{head}Content-Type: text/plain\r\n\r\n{text}".encode()
    return (
        f'{head}Content-Type: multipart/mixed; boundary="=-{name}"\r\n\r\n'
        f"--=-{name}\r\nContent-Type: text/plain\r\n\r\n{text}\r\n"
        f"--=-{name}\r\nContent-Type: application/octet-stream\r\nContent-Transfer-Encoding: base64\r\n\r\n"
        f"{_attachment(seed, chance.randrange(4))}\r\n--=-{name}--\r\n"
    ).encode()


def _attachment(seed: int, number: int) -> str:
    octets = random.Random(f"{seed} attachment {number}").randbytes(30_000)
    return base64.encodebytes(octets).decode().replace("\n", "\r\n")


def trace(recipient: str) -> bytes:
    """What an LMTP server puts in front for one recipient."""
    return f"Return-Path: <{SENDER}>\r\nDelivered-To: {recipient}\r\n".encode()


def digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def name_of(header: bytes) -> str:
    """Of a message or its header; empty where there is none."""
    found = _ID.search(header)
    return found[1].decode() if found else ""
