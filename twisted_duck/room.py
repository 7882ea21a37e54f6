"""A bound that all connections of a factory share."""

import attrs


@attrs.define
class Room:
    """Of what the connections may hold or have under way together, how much is left: whoever takes some gives it back."""

    left: int
