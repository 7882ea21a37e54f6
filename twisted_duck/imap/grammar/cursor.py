"""Reading one command's text from left to right (RFC 3501 §9)."""

from __future__ import annotations

from attrs import field, frozen


@frozen
class Literal:
    """A literal inside a command: its bytes, or what the owner streamed them into.

    Exactly one of `data` and `spool` is set. The grammar looks at `data` only; `spool` is handed
    through untouched, and is accepted where APPEND takes a message and nowhere else. `binary` is
    the literal8 of RFC 3516 (`~{n}`).
    """

    size: int
    data: bytes | None = None
    spool: object | None = field(default=None, eq=False)
    binary: bool = False

    @classmethod
    def of(cls, data: bytes, *, binary: bool = False) -> Literal:
        """A literal whose bytes are held in memory."""
        return cls(len(data), data, None, binary)
