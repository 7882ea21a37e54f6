"""Which mailbox names a LIST or LSUB pattern names, and what is said of them.

Pure functions over small values. Names are decoded `str`s with `/` between their levels. Thousands of long names
compared to long patterns take seconds, so each function is given a `pause` to let others have their turn.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Iterable, Sequence
from functools import cached_property

from attrs import frozen

from twisted_duck.imap.grammar.listing import CRITERIA, ListReturn, ListSelect
from twisted_duck.names import INBOX as INBOX
from twisted_duck.names import ancestors as ancestors
from twisted_duck.names import canonical as canonical
from twisted_duck.names import check_name as check_name
from twisted_duck.values import DELIMITER, MailboxInfo

NOSELECT, NONEXISTENT = "\\Noselect", "\\NonExistent"
HAS_CHILDREN, HAS_NO_CHILDREN = "\\HasChildren", "\\HasNoChildren"
SUBSCRIBED = "\\Subscribed"
#: Steps of a comparison between two pauses: less than a millisecond.
_TURN = 1_000
_LEGACY = {"\\All": "\\AllMail", "\\Flagged": "\\Starred", "\\Junk": "\\Spam"}

Pause = Callable[[], Awaitable[None]]


@frozen
class Listed:
    """One LIST or LSUB response (RFC 3501 §7.2.2, §7.2.3)."""

    name: str
    attributes: tuple[str, ...] = ()
    #: The selection options that names beneath it satisfy (CHILDINFO, RFC 5258 §3.5).
    beneath: tuple[str, ...] = ()
    #: Whether it is a mailbox that was asked for, and not only a level above one.
    mailbox: bool = False

    def gone(self) -> Listed:
        """The same, should it turn out that the mailbox is not there any more (RFC 5819 §2)."""
        return Listed(self.name, (NONEXISTENT, *self.attributes), self.beneath)


class Pattern:
    """A reference and mailbox names with wildcards, one of which has to match (RFC 3501 §6.3.8, RFC 5258 §3).

    `*` stands for anything, `%` for anything but the delimiter. All patterns, and all ways to match
    them, are followed at once, as bits of a number, so that the cost is that of the name's length
    however many of them there are; `limits.list_pattern` bounds how long such a number is.
    """

    def __init__(self, reference: str, *patterns: str, longest: int | None = None) -> None:
        """@param longest: characters of the longest name it will be compared to"""
        texts = dict.fromkeys(_without_doubles(reference + pattern) for pattern in patterns)
        literals = {text: sum(character not in "*%" for character in text) for text in texts}
        self.texts = tuple(text for text in texts if longest is None or literals[text] <= longest)
        self._least = min((literals[text] for text in self.texts), default=None)

    @property
    def names_levels(self) -> bool:
        """Whether it ends in `%`, and so names the levels above what it would find deeper."""
        return any(text.endswith("%") for text in self.texts)

    def matches(self, name: str) -> bool:
        """Whether it names `name`. The letters of INBOX match in either case (RFC 3501 §5.1)."""
        if self._least is None or self._least > len(name):
            # Also keeps a pattern longer than all names from ever being compiled.
            return False
        if "*" in self.texts:
            return True
        places = self._places
        wild = places.anything | places.level
        # Each pattern has a bit for its beginning, and one behind each of its characters: it is set
        # where what is before it stands for what was read of the name.
        states = places.starts | (places.starts & wild) << 1
        folded = len(INBOX) if canonical(name).partition(DELIMITER)[0] == INBOX else 0
        for at, character in enumerate(name):
            where = places.folded if at < folded else places.exact
            here = places.anything if character == DELIMITER else wild
            states = (states & where.get(character, 0)) << 1 | (states & here)
            states |= (states & wild) << 1
            if not states:
                return False
        return bool(states & places.ends)

    async def choose(self, names: Iterable[str], pause: Pause) -> set[str]:
        """Those that it names."""
        found: set[str] = set()
        passed = 0
        for name in names:
            passed += 1 + len(name)
            while passed > _TURN:
                passed -= _TURN
                await pause()
            if self.matches(name):
                found.add(name)
        return found

    @cached_property
    def _places(self) -> _Places:
        exact: dict[str, int] = {"*": 0, "%": 0}
        folded: dict[str, int] = {}
        starts = ends = at = 0
        for text in self.texts:
            starts |= 1 << at
            for character in text:
                exact[character] = exact.get(character, 0) | 1 << at
                upper = character.upper()
                folded[upper] = folded.get(upper, 0) | 1 << at
                at += 1
            ends |= 1 << at
            at += 1
        return _Places(starts, ends, exact.pop("*"), exact.pop("%"), exact, folded)


@frozen
class _Places:
    """Where in the patterns something stands: a bit for each of their characters, and one for the end of each."""

    starts: int
    ends: int
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


class Names:
    """A user's mailboxes, the levels above them, and what the user is subscribed to."""

    def __init__(self, mailboxes: Iterable[MailboxInfo], subscribed: Collection[str] = ()) -> None:
        self.known = {mailbox.name: mailbox for mailbox in mailboxes}
        #: Names that have children.
        self.parents = levels(self.known)
        self.subscribed = subscribed

    def listed(
        self,
        name: str,
        missing: str,
        *,
        subscribed: bool = False,
        chosen: bool = True,
        beneath: tuple[str, ...] = (),
    ) -> Listed:
        """What is said of a name; `missing`: of one that exists only because it has children."""
        mailbox = self.known.get(name)
        found = [HAS_CHILDREN if name in self.parents else HAS_NO_CHILDREN]
        if mailbox is None or not mailbox.exists:
            found.insert(0, missing)
        elif not mailbox.selectable:
            found.insert(0, NOSELECT)
        if subscribed and name in self.subscribed:
            found.append(SUBSCRIBED)
        if mailbox is not None and mailbox.special_use is not None:
            found.append(mailbox.special_use)
        selectable = mailbox is not None and mailbox.exists and mailbox.selectable
        return Listed(name, tuple(found), beneath, chosen and selectable)

    def chosen(self, select: frozenset[ListSelect]) -> set[str]:
        """The names that satisfy the selection options (RFC 5258 §3.1)."""
        names = self.known.keys() | self.parents
        if ListSelect.SUBSCRIBED in select:
            names = set(self.subscribed)
        if ListSelect.SPECIAL_USE in select:
            names = {name for name in names if self._special_use(name) is not None}
        return names

    def _special_use(self, name: str) -> str | None:
        mailbox = self.known.get(name)
        return None if mailbox is None else mailbox.special_use


def levels(names: Iterable[str]) -> set[str]:
    """The names above these."""
    return {above for name in names for above in ancestors(name)}


async def list_mailboxes(
    mailboxes: Iterable[MailboxInfo], reference: str, pattern: str, pause: Pause
) -> list[Listed]:
    """What LIST answers: INBOX first, then by name.

    A name that is missing between existing ones is a level of the hierarchy too, and is listed as
    `\\Noselect`. An empty pattern asks for the delimiter and the root only.
    """
    if not pattern:
        return [Listed("", (NOSELECT,))]
    names = Names(mailboxes)
    found = await Pattern(reference, pattern).choose(names.known.keys() | names.parents, pause)
    return [names.listed(name, NOSELECT) for name in _in_order(found)]


async def list_extended(
    mailboxes: Iterable[MailboxInfo],
    subscribed: Collection[str],
    reference: str,
    patterns: Sequence[str],
    select: frozenset[ListSelect],
    give: frozenset[ListReturn],
    pause: Pause,
) -> list[Listed]:
    """What a LIST of RFC 5258 answers: INBOX first, then by name, each name once.

    An empty pattern names nothing (§3). A missing level is `\\NonExistent`. Whether there are
    children and what a mailbox is for is always told; all mailboxes are here, none is `\\Remote`.
    """
    names = Names(mailboxes, subscribed)
    chosen = names.chosen(select)
    longest = max(map(len, chosen), default=0)
    compiled = Pattern(reference, *filter(None, patterns), longest=longest)
    found = await compiled.choose(chosen, pause)
    above: set[str] = set()
    reported = found
    if ListSelect.RECURSIVEMATCH in select:
        above = levels(chosen)
        # §3.3: what is beneath it must be of interest, and not be in the answer itself.
        hidden = levels(chosen - found) - found
        reported = found | await compiled.choose(hidden, pause)
    tell = ListSelect.SUBSCRIBED in select or ListReturn.SUBSCRIBED in give
    criteria = tuple(option.value for option in ListSelect if option in select & CRITERIA)
    return [
        names.listed(
            name,
            NONEXISTENT,
            subscribed=tell,
            chosen=name in found,
            beneath=criteria if name in above else (),
        )
        for name in _in_order(reported)
    ]


async def list_legacy(
    mailboxes: Iterable[MailboxInfo], reference: str, pattern: str, pause: Pause
) -> list[Listed]:
    """What XLIST answers: like LIST, with the names that Gmail gave to special uses, and one for INBOX."""
    return [
        Listed(
            each.name,
            (
                *(_LEGACY.get(attribute, attribute) for attribute in each.attributes),
                *(("\\Inbox",) if each.name == INBOX else ()),
            ),
        )
        for each in await list_mailboxes(mailboxes, reference, pattern, pause)
    ]


async def list_subscriptions(
    names: Iterable[str], reference: str, pattern: str, pause: Pause
) -> list[Listed]:
    """What LSUB answers for the names subscribed to, whether they exist or not.

    A pattern that ends in `%` names a level above a subscribed name also where that level itself is
    not subscribed to, as `\\Noselect` (RFC 3501 §6.3.9).
    """
    if not pattern:
        return [Listed("", (NOSELECT,))]
    compiled = Pattern(reference, pattern)
    subscribed = set(names)
    above = levels(subscribed) - subscribed
    possible = subscribed | above if compiled.names_levels else subscribed
    found = await compiled.choose(possible, pause)
    return [Listed(name, (NOSELECT,) if name in above else ()) for name in _in_order(found)]


def _in_order(names: Iterable[str]) -> list[str]:
    return sorted(names, key=lambda name: (name != INBOX, name.split(DELIMITER)))
