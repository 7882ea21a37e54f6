"""Messages with the answers that a server should give, and how to compare another's answers with them.

Two corpora have this form: the project's own under `tests/messages`, and a larger one of real and broken mail with
the answers of Dovecot, which is used where it lies beside the checkout. To get answers (`Answers`) and to compare
them (`compare`) are kept apart, so that the same comparison serves the functions of `twisted_duck.mime` and a
live server.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any, Protocol

from attrs import Factory, define, frozen

_ROOT = Path(__file__).parent.parent.parent
OWN = _ROOT / "tests" / "messages"
LARGE = _ROOT.parent / "shared" / "corpus"


@frozen
class Corpus:
    messages: Mapping[str, bytes]
    #: For each message: envelope, bodystructure, body (JSON lists, bytes as Latin-1), rfc822_size, sections.
    expected: Mapping[str, Mapping[str, Any]]
    #: For each search, as it is sent, the names that match.
    searches: Mapping[str, Collection[str]]

    @classmethod
    def load(cls, messages: Path, answers: Path) -> Corpus:
        expected = json.loads(answers.read_text(encoding="utf-8"))
        searches = expected.pop("searches")
        return cls(
            {name: (messages / f"{name}.eml").read_bytes() for name in sorted(expected)},
            expected,
            searches,
        )


def own() -> Corpus:
    return Corpus.load(OWN, OWN / "expected.json")


def own_dovecot() -> Corpus:
    """The own messages with what Dovecot 2.3.19 answers; the empty one is missing, which it does not take."""
    return Corpus.load(OWN, OWN / "dovecot.json")


def large() -> Corpus | None:
    """The large corpus, None where it is not beside the checkout."""
    answers = LARGE / "dovecot.json"
    return Corpus.load(LARGE / "messages", answers) if answers.exists() else None


class Answers(Protocol):
    """A server, or what stands for one. The lists are as `tests.mime.wire.parse` makes them."""

    def size(self, name: str) -> int: ...

    def list_of(self, name: str, item: str) -> Any:
        """`item` is envelope, bodystructure or body."""

    def section(self, name: str, section: str) -> bytes | None:
        """`section` is written as FETCH has it: `BODY[2.MIME]`."""

    def search(self, query: str) -> Collection[str]:
        """The names that match; `query` is written as SEARCH has it."""


@frozen(order=True)
class Difference:
    #: A message, or a search.
    name: str
    #: What was asked of it: envelope, BODY[1] ..., or the message that a search finds in one and not in the other.
    key: str


@define
class Comparison:
    messages: int = 0
    compared: int = 0
    differences: set[Difference] = Factory(set)

    @property
    def equal(self) -> int:
        return self.compared - len(self.differences)

    def note(self, name: str, key: str, same: bool) -> None:
        self.compared += 1
        if not same:
            self.differences.add(Difference(name, key))


def compare(corpus: Corpus, answers: Answers) -> Comparison:
    """Ask for everything that `corpus` has an answer to. For a search each message counts as one answer."""
    result = Comparison(messages=len(corpus.messages))
    for name, expected in corpus.expected.items():
        result.note(name, "rfc822_size", answers.size(name) == expected["rfc822_size"])
        for item, normal in (
            ("envelope", _envelope),
            ("bodystructure", _body),
            ("body", _body),
        ):
            ours = normal(_latin(answers.list_of(name, item)))
            result.note(name, item, ours == normal(expected[item]))
        for key in expected["sections"]:
            ours = answers.section(name, key)
            result.note(name, key, _same_section(ours, key, expected["sections"]))
    for query, wanted in corpus.searches.items():
        found = set(answers.search(query))
        for name in corpus.messages:
            result.note(query, name, (name in found) == (name in wanted))
    return result


def _latin(value: Any) -> Any:
    if isinstance(value, list):
        return [_latin(item) for item in value]
    return value.decode("latin-1") if isinstance(value, bytes) else value


def _envelope(value: Any) -> Any:
    """Dovecot writes a word of its own for a mailbox or host that is missing, where we write an empty string, and
    keeps white space around a date or Message-ID, which is not part of it (RFC 5322 §3.2.2)."""
    if isinstance(value, list):
        return [_envelope(item) for item in value]
    if value in ("MISSING_MAILBOX", "MISSING_DOMAIN"):
        return ""
    return value.strip() if isinstance(value, str) else value


def _body(value: Any) -> Any:
    """Names of types, encodings and parameters do not depend on case (RFC 2045 §5.1, §6.1), nor on the order of
    parameters."""
    if not isinstance(value, list):
        return value
    if isinstance(value[0], list):
        parts = list(_leading_lists(value))
        subtype, *extension = value[len(parts) :]
        return [*map(_body, parts), _lower(subtype), *_extension(extension, True)]
    kind, subtype, parameters, id_, description, encoding, size, *rest = value
    head = [_lower(kind), _lower(subtype), _parameters(parameters), id_, description]
    head += [_lower(encoding), size]
    if _lower(kind) == "message" and _lower(subtype) in ("rfc822", "global"):
        head += [_envelope(rest[0]), _body(rest[1]), rest[2]]
        rest = rest[3:]
    elif _lower(kind) == "text":
        head.append(rest.pop(0))
    return head + _extension(rest, False)


def _leading_lists(value: list[Any]) -> Iterator[list[Any]]:
    for item in value:
        if not isinstance(item, list):
            return
        yield item


def _extension(extension: list[Any], multipart: bool) -> list[Any]:
    if not extension:
        return []
    first, disposition, *rest = extension
    if disposition is not None:
        disposition = [_lower(disposition[0]), _parameters(disposition[1])]
    return [_parameters(first) if multipart else first, disposition, *rest]


def _parameters(value: Any) -> Any:
    if value is None:
        return None
    pairs = zip(map(_lower, value[::2]), value[1::2], strict=True)
    # The names of charsets do not depend on case either (RFC 2045 §5.1, RFC 2046 §4.1.2).
    return sorted((name, _lower(text) if name == "charset" else text) for name, text in pairs)


def _lower(value: Any) -> Any:
    return value.lower() if isinstance(value, str) else value


def _same_section(ours: bytes | None, key: str, sections: Mapping[str, Any]) -> bool:
    wanted = sections[key]
    if ours is None:
        # Dovecot has no NIL: it sends nothing for what is not there, and for BODY[1.1] of a part that has no parts,
        # that part again.
        return (
            wanted is None
            or wanted["len"] == 0
            or (key.endswith(".1]") and wanted == sections[key.replace(".1]", "]")])
        )
    if wanted is None:
        return ours == b""
    same: bool = wanted == {"len": len(ours), "sha256": hashlib.sha256(ours).hexdigest()}
    return same
