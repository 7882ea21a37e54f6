"""Input that is nearly what is expected."""

from __future__ import annotations

import random
from collections.abc import Sequence

_ODD = (b"\0", b"\xff", b"\r", b"\n", b" ", b"9" * 25, b"-1", b"\x80", b"\xe2\x80\xa8")


def mutate(dice: random.Random, seeds: Sequence[bytes], words: Sequence[bytes]) -> bytes:
    """One of the seeds, or two of them, with a few things done to it."""
    data = bytearray(dice.choice(seeds))
    for _ in range(dice.choice((1, 1, 2, 3, 6))):
        at = dice.randrange(len(data) + 1)
        match dice.randrange(6):
            case 0:
                data[at : at + dice.randrange(1, 20)] = b""
            case 1:
                data[at:at] = dice.choice((*_ODD, *words))
            case 2:
                data[at : at + 1] = bytes([dice.randrange(256)])
            case 3:
                other = dice.choice(seeds)
                data[at:] = other[dice.randrange(len(other) + 1) :]
            case 4:
                piece = data[at : at + dice.randrange(1, 40)]
                data[at:at] = piece * dice.randrange(1, 5)
            case 5:
                data[at : at + dice.randrange(4)] = dice.choice((*_ODD, *words))
    return bytes(data)
