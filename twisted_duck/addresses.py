"""Mail addresses as they are compared, and which of them a message may be meant for.

An address is kept, and looked for, in its **compared form**: the local part without regard to case and composition, the
domain in Unicode (U-labels, RFC 5890 §2.3.2.1) and lower case.  So `Ada@XN--BCHER-KVA.example`, `ada@bücher.example` and
`ada@BÜCHER.example` are one address.  Its **dotless form** is the same without the dots of the local part.

A recipient is looked for in this order, and the first that is somebody's wins:

    the address itself                             ada.l+news@example.org
    without its dots, if they do not count         adal+news@...
    without its detail (RFC 5233)                  ada.l@...
    without both                                   adal@...
    the same in the domain that the domain is an alias of
    the catch-all of the domain, then of the other *@example.org

What without its dots is the address of two users is nobody's: nobody gets the other's mail because of a dot.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Hashable, Iterable
from typing import Final, Generic, TypeVar

import attrs

from twisted_duck.errors import Cannot

#: Bytes of an address, and of a user's name, which often is one (RFC 5321 §4.5.3.1.3).
LONGEST: Final = 254
#: The local part of a domain's catch-all.
CATCH_ALL: Final = "*"
#: What a detail begins with.
_DETAIL = "+"
_A_LABEL = "xn--"
#: Of an A-label (RFC 1035 §2.3.4); to decode a longer one costs more than linear time.
_LONGEST_LABEL = 63
#: What IDNA takes for a dot beside those that NFKC makes one (RFC 3490 §3.1).
_IDEOGRAPHIC_STOP = "\u3002"
_DOMAIN = re.compile(r"[^\s@<>()\[\],;:\\\"\x00-\x1f\x7f-\x9f]+|\[[0-9a-z:.]+\]")

User = TypeVar("User", bound=Hashable)


@attrs.frozen
class AddressRules:
    """What an administrator may decide of the above."""

    #: Whether dots in a local part do not count.
    ignore_dots: bool = True


@attrs.frozen
class Form:
    """An address as it is kept."""

    key: str
    dotless: str


@attrs.frozen
class Candidate:
    """An address that would do: its compared form or, with `dotless`, its dotless form."""

    key: str
    dotless: bool = False


# --- forms ------------------------------------------------------------------------------------------------------------


def compared(name: str) -> str | None:
    """The form in which names are kept and compared: without regard to case and composition; None for what is no name."""
    if len(name) > LONGEST:
        return None
    folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", name).casefold())
    if not folded or any(unicodedata.category(c)[0] in "CZ" and c != "\u200d" for c in folded):
        return None
    return folded if len(folded.encode()) <= LONGEST else None


def compared_domain(domain: str) -> str | None:
    """The compared form of a domain (or of an address literal), None for what is none."""
    if len(domain) > LONGEST:
        return None
    plain = unicodedata.normalize("NFKC", domain).replace(_IDEOGRAPHIC_STOP, ".")
    labels = [_u_label(label) for label in plain.split(".")]
    form = ".".join(labels)
    # Unlike a local part a domain keeps its ß: IDNA 2008 has domains that differ in it alone.
    if not all(labels) or not _DOMAIN.fullmatch(form) or compared(form) is None:
        return None
    return form


def _u_label(label: str) -> str:
    label = unicodedata.normalize("NFC", label.lower())
    if label.isascii() and label.startswith(_A_LABEL) and len(label) <= _LONGEST_LABEL:
        encoded = label.removeprefix(_A_LABEL)
        try:
            decoded = encoded.encode("ascii").decode("punycode")
            # An A-label stands for what is not ASCII, and has one spelling (RFC 5891 §4.2.1).
            if not decoded.isascii() and decoded.encode("punycode").decode("ascii") == encoded:
                return unicodedata.normalize("NFC", unicodedata.normalize("NFKC", decoded).lower())
        except UnicodeError:
            pass
    return label


def _key(local: str, domain: str) -> str | None:
    """Of a domain that is in its compared form."""
    kept = compared(local)
    if kept is None:
        return None
    key = f"{kept}@{domain}"
    return key if len(key.encode()) <= LONGEST else None


def without_dots(key: str) -> str:
    """The dotless form of an address in its compared form."""
    local, at, domain = key.rpartition("@")
    return local.replace(".", "") + at + domain


def form(address: str) -> Form:
    """The form of an address that somebody is to get, `*@domain` for a catch-all.  Raises Cannot for what is none."""
    local, at, domain = address.rpartition("@")
    known = compared_domain(domain) if at else None
    key = None if known is None else _key(local, known)
    if key is None:
        raise Cannot(f"{address!r} is not a mail address")
    return Form(key, without_dots(key))


def domain_form(domain: str) -> str:
    """Like `form`, for a domain alone.  Raises Cannot."""
    known = compared_domain(domain)
    if known is None:
        raise Cannot(f"{domain!r} is not a domain")
    return known


def form_of_name(name: str) -> Form:
    """What the user of that name (which `compared` takes) has for an address from the beginning.

    A name without a domain is only ever the address of mail to Postmaster (RFC 5321 §4.5.1).
    """
    try:
        return form(name)
    except Cannot:
        kept = compared(name) or name
        return Form(kept, without_dots(kept))


# --- whose mail it is -------------------------------------------------------------------------------------------------


@attrs.frozen
class Wanted:
    """A recipient, as users are looked for."""

    local: str
    #: In its compared form; None for mail to Postmaster alone.
    domain: str | None
    rules: AddressRules

    @classmethod
    def of(cls, local: str, domain: str | None, rules: AddressRules) -> Wanted | None:
        """`domain` as it was given; None where it is none, so that mail to it is nobody's."""
        known = None if domain is None else compared_domain(domain)
        return None if domain is not None and known is None else cls(local, known, rules)

    def candidates(self, alias_of: str | None = None) -> list[Candidate]:
        """The addresses that this mail may be for, the first choice first.

        @param alias_of: the compared form of the domain that `domain` is an alias of, if it is one
        """
        if self.domain is None:
            kept = compared(self.local)
            return [] if kept is None else [Candidate(kept)]
        domains = [self.domain] if alias_of is None else [self.domain, alias_of]
        plain, detail, _ = self.local.partition(_DETAIL)
        found = [
            candidate
            for each in domains
            for name in ([self.local, plain] if detail and plain else [self.local])
            for candidate in _of_name(_key(name, each), self.rules)
        ]
        found += [Candidate(f"{CATCH_ALL}@{each}") for each in domains]
        return found


def _of_name(key: str | None, rules: AddressRules) -> list[Candidate]:
    if key is None:
        return []
    exact = Candidate(key)
    return [exact, Candidate(without_dots(key), dotless=True)] if rules.ignore_dots else [exact]


class Owners(Generic[User]):
    """Whose the addresses are that there are."""

    def __init__(self, there: Iterable[tuple[Form, User]]) -> None:
        self._exact: dict[str, set[User]] = {}
        self._dotless: dict[str, set[User]] = {}
        for each, user in there:
            self._exact.setdefault(each.key, set()).add(user)
            self._dotless.setdefault(each.dotless, set()).add(user)

    def choose(self, wanted: Iterable[Candidate]) -> User | None:
        """Whose the mail is: all addresses there are that any of `wanted` may mean have to be among these."""
        for candidate in wanted:
            owners = self._dotless if candidate.dotless else self._exact
            users = owners.get(candidate.key, ())
            if len(users) == 1:
                return next(iter(users))
        return None
