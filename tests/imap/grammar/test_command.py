"""What holds for every command: tags, names, and that nothing but declared errors comes out."""

from __future__ import annotations

import datetime
import string
import sys
from types import FrameType

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from tests.imap.grammar.support import GrammarCase, arguments, cut, parts_of, wire_of
from twisted_duck import search as keys
from twisted_duck.errors import BadSyntax, ClientError
from twisted_duck.imap import grammar
from twisted_duck.imap.grammar import Literal, announced, parse, tag_of
from twisted_duck.imap.grammar.command import PARSERS
from twisted_duck.imap.grammar.fetch import label
from twisted_duck.imap.grammar.search import ALGORITHMS, SORT_KEYS
from twisted_duck.mime.section import Section
from twisted_duck.names import canonical
from twisted_duck.sequence import SAVED, STAR, SequenceSet
from twisted_duck.values import SYSTEM_FLAGS


class Tags(GrammarCase):
    def test_tags_and_names(self) -> None:
        command = self.parse("A001]x uId fEtCh 1 FLAGS")
        self.assertEqual((command.tag, command.name), (b"A001]x", "UID FETCH"))

    def test_without_a_tag(self) -> None:
        for line in (b"", b" NOOP", b"+ NOOP", b"* NOOP", b"(a) NOOP", b"\xe9 NOOP", b"{1}\r\na x"):
            error = self.assertRaises(BadSyntax, self.parse, line)
            self.assertIs(error.tag, None)
            self.assertIs(tag_of(parts_of(line)), None)
        self.assertIs(tag_of([]), None)

    def test_without_a_command(self) -> None:
        for line, why in {
            b"a": "a space and a command at octet 2",
            b"a ": "a command at octet 3",
            b"a  NOOP": "a command at octet 3",
            b"a+b NOOP": "a space and a command at octet 2",
            b"a NOPE": "NOPE is no command",
            b"a \xe9": "a command",
            b"a " + b"X" * 10_000: "is no command",
        }.items():
            error = self.assertRaises(BadSyntax, self.parse, line)
            self.assertEqual(error.tag, b"a")
            self.assertIn(why, error.message)
            self.assertLess(len(error.message), 200)

    def test_the_tag_of_what_is_not_complete(self) -> None:
        self.assertEqual(tag_of([b"a1 LOGIN ", Literal.of(b"x")]), b"a1")
        self.assertIs(tag_of([b"a1"]), None)
        self.assertIs(tag_of([b"a1+ x"]), None)

    def test_positions_count_literals(self) -> None:
        error = self.assertRaises(BadSyntax, self.parse, "a LOGIN {4}\r\nfred ")
        self.assertIn("a password at octet 14", error.message)


class Cost(SynchronousTestCase):
    """Twice the input costs twice the steps at most, whatever the input."""

    def steps(self, text: bytes) -> int:
        """How many calls it takes to read `text` or to refuse it."""
        count = 0

        def step(frame: FrameType, event: str, argument: object) -> None:
            nonlocal count
            count += event in ("call", "c_call")

        before = sys.getprofile()
        sys.setprofile(step)
        try:
            parse([text])
        except ClientError:
            pass
        finally:
            sys.setprofile(before)
        return count

    def test_steps_follow_the_length(self) -> None:
        for start, repeated, end in (
            (b"", b"a", b""),
            (b'a LOGIN "', b"x", b""),
            (b'a LOGIN "', b'\\"', b'" x'),
            (b'a LOGIN "', b'\\"', b""),
            (b"a FETCH 1 BODY[", b"1.", b"TEXT]"),
            (b"a FETCH 1 BODY[", b"1.", b"1]"),
            (b"a FETCH 1 BODY[HEADER.FIELDS (", b"a ", b"a)]"),
            (b"a FETCH 1 (", b"BODY[] ", b"BODY[])"),
            (b"a FETCH ", b"1,", b"1 FLAGS"),
            (b"a FETCH ", b"9", b""),
            (b"a STORE 1 FLAGS (", b"a ", b"a)"),
            (b"a ENABLE a", b" a", b""),
            (b"a SEARCH ", b"(", b""),
            (b"a SEARCH ", b"OR 1 ", b"1"),
            (b"a SEARCH ", b"NOT ", b"1"),
            (b"a SEARCH ", b"1 ", b"1"),
            (b'a APPEND x "', b" ", b""),
            (b"a SELECT ", b"&AOQ-&-", b""),
            (b"a SELECT &", b"A", b"-"),
            (b'a LIST "" ', b"*%", b""),
            (b"a ID (", b'"a" "b" ', b""),
        ):
            with self.subTest(start=start, repeated=repeated, end=end):
                once, twice = (self.steps(start + repeated * n + end) for n in (5_000, 10_000))
                self.assertLess(twice, 2 * once + 200)


# --- every value comes back -------------------------------------------------------------------------

atoms = st.text(string.ascii_letters + string.digits + "$-_.", min_size=1, max_size=12)
octets = st.binary(max_size=20).map(lambda data: data.replace(b"\0", b""))
texts = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=12)
mailboxes = texts.map(canonical)
numbers = st.integers(1, 2**32 - 1) | st.just(STAR)
sets = st.lists(st.tuples(numbers, numbers), min_size=1, max_size=5).map(
    lambda ranges: SequenceSet(tuple(ranges))
) | st.just(SAVED)
flags = st.sets(st.sampled_from(SYSTEM_FLAGS) | atoms.map(str.lower), max_size=6).map(frozenset)
dates = st.dates(datetime.date(1000, 1, 1))
zones = st.integers(-14 * 60, 14 * 60).map(
    lambda minutes: datetime.timezone(datetime.timedelta(minutes=minutes))
)
moments = st.datetimes(
    datetime.datetime(1000, 1, 1), datetime.datetime(9000, 1, 1), timezones=zones
).map(lambda moment: moment.replace(microsecond=0))

arrivals = st.builds(
    lambda data, binary, *rest: grammar.AppendArgument(Literal.of(data, binary=binary), *rest),
    st.binary(max_size=40),
    st.booleans(),
    flags,
    st.none() | moments,
)

sections = st.builds(
    Section,
    st.lists(st.integers(1, 99), max_size=4).map(tuple),
    st.sampled_from([None, "HEADER", "TEXT"]),
) | st.builds(
    Section,
    st.lists(st.integers(1, 99), max_size=4).map(tuple),
    st.sampled_from(["HEADER.FIELDS", "HEADER.FIELDS.NOT"]),
    st.lists(
        st.text(string.printable[:95], min_size=1, max_size=9).map(str.encode),
        min_size=1,
        max_size=3,
    ).map(tuple),
)
partials = st.none() | st.builds(
    grammar.Partial, st.integers(0, 2**63 - 1), st.integers(1, 2**63 - 1)
)
bodies = st.builds(
    lambda section, partial, peek: grammar.FetchBody(section, label(section), partial, peek),
    sections,
    partials,
    st.booleans(),
)
paths = st.lists(st.integers(1, 99), max_size=4).map(tuple)
contents = (
    bodies
    | st.builds(grammar.FetchBinary, paths, partials, st.booleans())
    | st.builds(grammar.BinarySize, paths)
)
items = st.lists(
    st.sampled_from(grammar.Attribute) | contents, min_size=1, max_size=6, unique=True
).filter(
    # Of these two, asked for together, one is told.
    lambda some: not {grammar.Attribute.PREVIEW, grammar.Attribute.PREVIEW_LAZY} <= set(some)
)

modseqs = st.integers(0, 2**63 - 1)

leaves = st.one_of(
    st.sampled_from([keys.All(), keys.Recent()]),
    st.builds(keys.HasFlag, st.sampled_from(SYSTEM_FLAGS) | atoms),
    st.builds(keys.SequenceNumbers, sets),
    st.builds(keys.UIDs, sets),
    st.builds(keys.ModSeq, modseqs),
    st.builds(keys.InternalDate, st.sampled_from(["before", "on", "since"]), dates),
    st.builds(keys.SentDate, st.sampled_from(["before", "on", "since"]), dates),
    st.builds(keys.Size, st.sampled_from(["larger", "smaller"]), st.integers(0, 2**63 - 1)),
    st.builds(keys.Within, st.sampled_from(["older", "younger"]), st.integers(1, 2**32 - 1)),
    st.builds(keys.Header, atoms.map(str.lower), texts),
    st.builds(keys.Body, texts),
    st.builds(keys.Text, texts),
)
trees = st.recursive(
    leaves,
    lambda inner: st.one_of(
        st.builds(keys.Not, inner),
        st.builds(keys.Or, inner, inner),
        st.lists(inner, min_size=2, max_size=3).map(lambda inside: keys.And(tuple(inside))),
    ),
    max_leaves=10,
)

pages = st.builds(grammar.Page, st.integers(1, 2**32 - 1), st.integers(1, 2**32 - 1), st.booleans())
options = st.builds(
    grammar.Returns,
    st.booleans(),
    st.booleans(),
    st.just(True),
    st.booleans(),
    st.booleans(),
) | st.builds(
    grammar.Returns,
    st.booleans(),
    st.booleans(),
    st.just(False),
    st.booleans(),
    st.booleans(),
    pages,
)
criteria = st.lists(
    st.builds(grammar.Criterion, st.sampled_from(sorted(SORT_KEYS)), st.booleans()),
    min_size=1,
    max_size=4,
).map(tuple)

values = st.one_of(
    st.builds(grammar.Login, octets, octets).map(lambda value: ("LOGIN", value)),
    st.builds(grammar.Select, mailboxes).map(lambda value: ("SELECT", value)),
    st.builds(grammar.Rename, mailboxes, mailboxes).map(lambda value: ("RENAME", value)),
    st.builds(grammar.Lsub, texts, texts).map(lambda value: ("LSUB", value)),
    st.builds(
        grammar.List,
        texts,
        st.lists(texts, min_size=1, max_size=5).map(tuple),
        st.just(True),
        st.frozensets(st.sampled_from(grammar.ListSelect)).filter(
            lambda chosen: (
                chosen != {grammar.ListSelect.RECURSIVEMATCH}
                and chosen != {grammar.ListSelect.RECURSIVEMATCH, grammar.ListSelect.REMOTE}
            )
        ),
        st.frozensets(st.sampled_from(grammar.ListReturn)),
        st.lists(st.sampled_from(grammar.StatusItem), unique=True).map(tuple),
    ).map(lambda value: ("LIST", value)),
    st.builds(
        grammar.Create,
        mailboxes.filter(lambda name: not name.endswith("/")),
        st.lists(atoms.map(lambda use: "\\" + use)).map(tuple),
    ).map(lambda value: ("CREATE", value)),
    st.builds(
        grammar.SetQuota,
        octets,
        st.lists(st.tuples(st.sampled_from(["STORAGE", "MESSAGE"]), st.integers(0, 2**63 - 1))).map(
            tuple
        ),
    ).map(lambda value: ("SETQUOTA", value)),
    st.builds(
        grammar.Status,
        mailboxes,
        st.lists(st.sampled_from(grammar.StatusItem), min_size=1, unique=True).map(tuple),
    ).map(lambda value: ("STATUS", value)),
    st.builds(
        grammar.Store,
        sets,
        st.sampled_from(["replace", "add", "remove"]),
        flags,
        st.booleans(),
        st.just(False),
        st.none() | modseqs,
    ).map(lambda value: ("STORE", value)),
    st.builds(grammar.Copy, sets, mailboxes).map(lambda value: ("COPY", value)),
    st.builds(grammar.Move, sets, mailboxes, st.just(True)).map(lambda value: ("UID MOVE", value)),
    st.builds(grammar.Expunge, sets).map(lambda value: ("UID EXPUNGE", value)),
    st.builds(grammar.Fetch, sets, items.map(tuple)).map(lambda value: ("FETCH", value)),
    st.builds(
        grammar.Fetch,
        sets,
        items.map(tuple),
        st.just(True),
        modseqs,
        st.booleans(),
        st.none() | pages,
    ).map(lambda value: ("UID FETCH", value)),
    st.builds(
        grammar.Search,
        trees,
        st.sampled_from([None, "UTF-8"]),
        st.just(False),
        st.none() | options,
    ).map(lambda value: ("SEARCH", value)),
    st.builds(
        grammar.Sort, criteria, trees, st.just("UTF-8"), st.just(True), st.none() | options
    ).map(lambda value: ("UID SORT", value)),
    st.builds(grammar.Thread, st.sampled_from(sorted(ALGORITHMS)), trees, st.just("UTF-8")).map(
        lambda value: ("THREAD", value)
    ),
    st.builds(grammar.Append, mailboxes, st.lists(arrivals, min_size=1, max_size=3).map(tuple)).map(
        lambda value: ("APPEND", value)
    ),
    st.builds(
        lambda number, *rest: grammar.Replace(SequenceSet.of(number), *rest),
        st.integers(1, 2**32 - 1) | st.just(STAR),
        mailboxes,
        arrivals,
        st.just(True),
    ).map(lambda value: ("UID REPLACE", value)),
)

WORDS = [
    *PARSERS,
    *("a", " ", "  ", "(", ")", '"', "\\", "{", "}", "[", "]", "<0.1>", "*", "%", ":", ",", "1"),
    *("\\Seen", "NOT ", "OR ", "TEXT ", "CHARSET ", "BODY[", "BODY.PEEK[1.", "HEADER.FIELDS (x)"),
    *("$", "RETURN (", "MIN", "PARTIAL -1:", "SAVE", "(DATE) UTF-8 ", "REFERENCES UTF-8 "),
    *("&AOQ-", "&", "INBOX", "=", "NIL", "1-Feb-1994", '"01-Jan-2024 00:00:00 +0000"', "é", "\0"),
]


class RoundTrip(SynchronousTestCase):
    @settings(max_examples=400)
    @given(values)
    def test_value_to_bytes_to_value(self, named: tuple[str, object]) -> None:
        name, value = named
        command = grammar.Command(b"a1", name, value)
        self.assertTrue(arguments(value))
        self.assertEqual(parse(cut(wire_of(command) + b"\r\n")), command)


class Anything(SynchronousTestCase):
    """Whatever comes in, a value or a declared error comes out."""

    def check(self, parts: list[bytes | Literal]) -> None:
        for read in (parse, announced):
            try:
                read(parts)
            except ClientError:
                pass

    parts = st.lists(
        st.binary(max_size=30)
        | st.lists(st.sampled_from(WORDS), max_size=8).map(lambda words: "".join(words).encode())
        | st.binary(max_size=9).map(Literal.of)
        | st.builds(lambda data: Literal.of(data, binary=True), st.binary(max_size=3))
        | st.just(Literal(5, spool=object())),
        max_size=5,
    )

    @settings(max_examples=300)
    @given(parts)
    def test_random_parts(self, parts: list[bytes | Literal]) -> None:
        self.check(parts)

    @settings(max_examples=600)
    @given(st.sampled_from(sorted(PARSERS)), parts)
    def test_random_arguments(self, name: str, parts: list[bytes | Literal]) -> None:
        self.check([b"a " + name.encode() + b" ", *parts])

    @settings(max_examples=300)
    @given(values, st.data())
    def test_commands_with_an_octet_changed(
        self, named: tuple[str, object], data: st.DataObject
    ) -> None:
        wire = bytearray(wire_of(grammar.Command(b"a1", *named)))
        at = data.draw(st.integers(0, len(wire) - 1))
        wire[at : at + data.draw(st.integers(0, 2))] = data.draw(st.binary(max_size=2))
        self.check(cut(bytes(wire) + b"\r\n"))
