"""What an application gives: a mistake is told where it is made, with the argument's name, and not by the first client."""

from __future__ import annotations

from typing import Any, get_args


def check_kind(name: str, given: object, good: bool, wanted: str) -> None:
    """Raises TypeError where it is not `good`.

    @param wanted: what it may be
    """
    if not good:
        raise TypeError(f"{name} must be {wanted}, not {given!r}")


def check_choice(name: str, given: object, literal: Any) -> None:
    """Raises ValueError where it is none of a C{Literal}."""
    choices = get_args(literal)
    if given not in choices:
        raise ValueError(f"{name} must be one of {', '.join(map(repr, choices))}, not {given!r}")


def check_hooks(**hooks: object) -> None:
    """By their names.  Raises TypeError."""
    for name, hook in hooks.items():
        check_kind(name, hook, hook is None or callable(hook), "callable or None")
