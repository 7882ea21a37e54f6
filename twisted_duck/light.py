"""Frozen values of which every message makes some.

To set an attribute takes a frozen class of attrs ten times as long as another one; with what an arriving message makes
that was a fifteenth of its time.  So it is mypy that has these frozen: it refuses whoever sets an attribute of one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from attrs import frozen as light
else:
    from attrs import define

    def light(cls=None, *, eq=True, **more):
        """Like `attrs.frozen`: equal ones have the same hash."""
        return define(cls, eq=eq, unsafe_hash=eq or None, **more)


__all__ = ["light"]
