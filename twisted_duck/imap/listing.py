"""Which mailbox names a LIST or LSUB pattern names.

Pure functions over small values. Names are decoded `str`s with `/` between their levels.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import cached_property

from attrs import frozen

from twisted_duck.names import INBOX as INBOX
from twisted_duck.names import ancestors as ancestors
from twisted_duck.names import canonical as canonical
from twisted_duck.names import check_name as check_name
from twisted_duck.values import DELIMITER, MailboxInfo

NOSELECT, HAS_CHILDREN, HAS_NO_CHILDREN = "\\Noselect", "\\HasChildren", "\\HasNoChildren"


@frozen
class Listed:
    """One LIST or LSUB response (RFC 3501 §7.2.2, §7.2.3)."""

    name: str
    attributes: tuple[str, ...] = ()


class Pattern:
    """A reference and a mailbox name with wildcards (RFC 3501 §6.3.8).

    `*` stands for anything, `%` for anything but the delimiter. All ways to match are followed at
    once, as bits of a number, so that the cost is that of the name's length however many wildcards
    there are.
    """

    def __init__(self, reference: str, pattern: str) -> None:
        self.text = _without_doubles(reference + pattern)
        self._literals = sum(character not in "*%" for character in self.text)

    @property
    def names_levels(self) -> bool:
        """Whether it ends in `%`, and so names the levels above what it would find deeper."""
        return self.text.endswith("%")

    def matches(self, name: str) -> bool:
        """Whether it names `name`. The letters of INBOX match in either case (RFC 3501 §5.1)."""
        if self._literals > len(name):
            # Also keeps a pattern longer than all names from ever being compiled.
            return False
        places = self._places
        wild = places.anything | places.level
        # Bit n: the first n characters of the pattern stand for what was read of the name.
        states = 1 | (1 & wild) << 1
        folded = len(INBOX) if canonical(name).partition(DELIMITER)[0] == INBOX else 0
        for at, character in enumerate(name):
            where = places.folded if at < folded else places.exact
            here = places.anything if character == DELIMITER else wild
            states = (states & where.get(character, 0)) << 1 | (states & here)
            states |= (states & wild) << 1
            if not states:
                return False
        return bool(states >> len(self.text))

    @cached_property
    def _places(self) -> _Places:
        exact: dict[str, int] = {"*": 0, "%": 0}
        folded: dict[str, int] = {}
        for at, character in enumerate(self.text):
            exact[character] = exact.get(character, 0) | 1 << at
            folded[character.upper()] = folded.get(character.upper(), 0) | 1 << at
        return _Places(exact.pop("*"), exact.pop("%"), exact, folded)


@frozen
class _Places:
    """Where in a pattern something stands: bit n for its n-th character."""

    anything: int
    level: int
    exact: dict[str, int]
    folded: dict[str, int]


def _without_doubles(pattern: str) -> str:
    """The same pattern with no two wildcards side by side."""
    kept: list[str] = []
    for character in pattern:
        if character in "*%" and kept and kept[-1] in "*%":
            if character == "*":
                kept[-1] = "*"
        else:
            kept.append(character)
    return "".join(kept)


def list_mailboxes(
    mailboxes: Iterable[MailboxInfo], reference: str, patterns: Sequence[str]
) -> list[Listed]:
    """What LIST answers: INBOX first, then by name, each name once.

    A name that is missing between existing ones is a level of the hierarchy too, and is listed as
    `\\Noselect`. A single empty pattern asks for the delimiter and the root only.
    """
    if list(patterns) == [""]:
        return [Listed("", (NOSELECT,))]
    known = {mailbox.name: mailbox for mailbox in mailboxes}
    parents = {above for name in known for above in ancestors(name)}
    compiled = [Pattern(reference, pattern) for pattern in patterns]
    return [
        Listed(name, _attributes(known.get(name), name in parents))
        for name in _in_order(known.keys() | parents)
        if any(pattern.matches(name) for pattern in compiled)
    ]


def list_subscriptions(names: Iterable[str], reference: str, pattern: str) -> list[Listed]:
    """What LSUB answers for the names subscribed to, whether they exist or not.

    A pattern that ends in `%` names a level above a subscribed name also where that level itself is
    not subscribed to, as `\\Noselect` (RFC 3501 §6.3.9).
    """
    if not pattern:
        return [Listed("", (NOSELECT,))]
    compiled = Pattern(reference, pattern)
    subscribed = set(names)
    levels = {above for name in subscribed for above in ancestors(name)} - subscribed
    return [
        Listed(name, (NOSELECT,) if name in levels else ())
        for name in _in_order(subscribed | levels if compiled.names_levels else subscribed)
        if compiled.matches(name)
    ]


def _attributes(mailbox: MailboxInfo | None, has_children: bool) -> tuple[str, ...]:
    found = [HAS_CHILDREN if has_children else HAS_NO_CHILDREN]
    if mailbox is None or not mailbox.selectable:
        found.insert(0, NOSELECT)
    if mailbox is not None and mailbox.special_use is not None:
        found.append(mailbox.special_use)
    return tuple(found)


def _in_order(names: Iterable[str]) -> list[str]:
    return sorted(names, key=lambda name: (name != INBOX, name.split(DELIMITER)))
