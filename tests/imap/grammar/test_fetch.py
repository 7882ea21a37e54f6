"""RFC 3501 §6.4.5."""

from __future__ import annotations

from attrs import evolve

from tests.imap.grammar.support import GrammarCase
from twisted_duck.errors import TooMany
from twisted_duck.imap.grammar import Attribute, Fetch, FetchBody, FetchItem, Partial
from twisted_duck.limits import Limits
from twisted_duck.mime.section import Section
from twisted_duck.sequence import STAR, SequenceSet

A = Attribute
ONE = SequenceSet.of(1)


class Fetches(GrammarCase):
    limits = evolve(Limits(), fetch_items=8)

    def items(self, line: str) -> tuple[FetchItem, ...]:
        value = self.parse(f"a FETCH 1 {line}").value
        assert isinstance(value, Fetch)
        return value.items

    def test_sets_and_uid(self) -> None:
        self.check_values(
            {
                "FETCH 2:4 FLAGS": Fetch(SequenceSet(((2, 4),)), (A.FLAGS,)),
                "fetch * flags": Fetch(SequenceSet.of(STAR), (A.FLAGS,)),
                "FETCH 1 (MODSEQ) (CHANGEDSINCE 0)": Fetch(ONE, (A.MODSEQ,), changed_since=0),
                "UID FETCH 1 FLAGS (vanished changedsince 9223372036854775807)": Fetch(
                    ONE, (A.FLAGS,), True, 2**63 - 1, vanished=True
                ),
                "UID FETCH 1:* (UID)": Fetch(SequenceSet(((1, STAR),)), (A.UID,), uid=True),
            }
        )

    def test_attributes_and_macros(self) -> None:
        fast = (A.FLAGS, A.INTERNALDATE, A.RFC822_SIZE)
        table = {
            "FAST": fast,
            "all": (*fast, A.ENVELOPE),
            "FULL": (*fast, A.ENVELOPE, A.BODY),
            "(FLAGS UID)": (A.FLAGS, A.UID),
            "(uid Flags rfc822.size UID)": (A.UID, A.FLAGS, A.RFC822_SIZE),
            "(ENVELOPE INTERNALDATE BODY BODYSTRUCTURE)": (
                A.ENVELOPE,
                A.INTERNALDATE,
                A.BODY,
                A.BODYSTRUCTURE,
            ),
        }
        for line, expected in table.items():
            with self.subTest(line=line):
                self.assertEqual(self.items(line), expected)

    def test_sections(self) -> None:
        table = {
            "BODY[]": (Section(), b"BODY[]"),
            "body[header]": (Section((), "HEADER"), b"BODY[HEADER]"),
            "BODY[TEXT]": (Section((), "TEXT"), b"BODY[TEXT]"),
            "BODY[1]": (Section((1,)), b"BODY[1]"),
            "BODY[4.2.MIME]": (Section((4, 2), "MIME"), b"BODY[4.2.MIME]"),
            "BODY[3.header]": (Section((3,), "HEADER"), b"BODY[3.HEADER]"),
            "BODY[HEADER.FIELDS (DATE from)]": (
                Section((), "HEADER.FIELDS", (b"DATE", b"from")),
                b"BODY[HEADER.FIELDS (DATE from)]",
            ),
            'BODY[1.HEADER.FIELDS.NOT ("To" "x \\"y")]': (
                Section((1,), "HEADER.FIELDS.NOT", (b"To", b'x "y')),
                b'BODY[1.HEADER.FIELDS.NOT (To "x \\"y")]',
            ),
            "BODY[HEADER.FIELDS ({4}\r\nDate)]": (
                Section((), "HEADER.FIELDS", (b"Date",)),
                b"BODY[HEADER.FIELDS (Date)]",
            ),
        }
        for line, (section, label) in table.items():
            with self.subTest(line=line):
                self.assertEqual(self.items(line), (FetchBody(section, label),))
                peek = line.upper().replace("BODY[", "BODY.PEEK[") if "(" not in line else None
                if peek is not None:
                    self.assertEqual(self.items(peek), (FetchBody(section, label, peek=True),))

    def test_slices(self) -> None:
        for line, partial, name in (
            ("BODY[]<0.2048>", Partial(0, 2048), b"BODY[]<0>"),
            ("BODY[1.TEXT]<100.1>", Partial(100, 1), b"BODY[1.TEXT]<100>"),
            (f"BODY[]<{2**63 - 1}.{2**63 - 1}>", Partial(2**63 - 1, 2**63 - 1), None),
        ):
            (item,) = self.items(line)
            assert isinstance(item, FetchBody)
            self.assertEqual(item.partial, partial)
            if name is not None:
                self.assertEqual(item.response_name, name)

    def test_the_items_of_old_keep_their_names(self) -> None:
        table = {
            "RFC822": FetchBody(Section(), b"RFC822"),
            "RFC822.HEADER": FetchBody(Section((), "HEADER"), b"RFC822.HEADER", peek=True),
            "rfc822.text": FetchBody(Section((), "TEXT"), b"RFC822.TEXT"),
        }
        for line, expected in table.items():
            self.assertEqual(self.items(line), (expected,))
            self.assertEqual(expected.response_name, line.upper().encode())

    def test_sets(self) -> None:
        """Numbers, which are read several at a time, among all else that a set may have."""
        largest = 2**32 - 1
        self.check_values(
            {
                f"FETCH {written} FLAGS": Fetch(SequenceSet(ranges), (Attribute.FLAGS,))
                for written, ranges in {
                    "1,2,3": ((1, 1), (2, 2), (3, 3)),
                    "3,1,1": ((3, 3), (1, 1), (1, 1)),
                    "1,2:4,5,6": ((1, 1), (2, 4), (5, 5), (6, 6)),
                    "1,*,2,*:3": ((1, 1), (STAR, STAR), (2, 2), (STAR, 3)),
                    "999999999,4294967295,1": ((999999999,) * 2, (largest, largest), (1, 1)),
                    "1,012,2": ((1, 1), (12, 12), (2, 2)),
                }.items()
            }
        )
        self.check_refused(
            {
                "FETCH 1,2, FLAGS": "a message number",
                "FETCH 1,,2 FLAGS": "a message number",
                "FETCH 1,0,2 FLAGS": "a message number has to be from 1",
                "FETCH 1,2,4294967296,3 FLAGS": "a message number has to be from 1 to 4294967295",
                "FETCH 1,2,x FLAGS": "a message number",
                "FETCH 1,$ FLAGS": "a message number",
            }
        )

    def test_refused(self) -> None:
        self.check_refused(
            {
                "FETCH": "a set of messages",
                "FETCH 1": "what to fetch",
                "FETCH x FLAGS": "a message number",
                "FETCH 0 FLAGS": "a message number has to be from 1",
                "FETCH 4294967296 FLAGS": "a message number has to be from 1 to 4294967295",
                "FETCH 1, FLAGS": "a message number",
                "FETCH 1:2:3 FLAGS": "what to fetch",
                "FETCH 1 ()": "what to fetch",
                "FETCH 1 (FLAGS": "what to fetch, or ')'",
                "FETCH 1 (FLAGS  UID)": "what to fetch",
                "FETCH 1 (FLAGS ALL)": "ALL can't be fetched",
                "FETCH 1 FLAGS UID": "'(' and a modifier",
                "FETCH 1 FLAGS (CHANGEDSINCE)": "a modseq",
                "FETCH 1 FLAGS (CHANGEDSINCE 1 VANISHED)": "VANISHED belongs to UID FETCH",
                "UID FETCH 1 FLAGS (VANISHED)": "with CHANGEDSINCE",
                "UID FETCH 1 FLAGS (CHANGEDSINCE 1 FOO)": "FOO is no modifier",
                "FETCH 1 FOO": "FOO can't be fetched",
                "FETCH 1 BODY.PEEK": "BODY.PEEK can't be fetched",
                "FETCH 1 BODY[": "a part number, HEADER or TEXT",
                "FETCH 1 BODY[1": "']'",
                "FETCH 1 BODY[1.]": "HEADER, TEXT or MIME",
                "FETCH 1 BODY[0]": "a part number has to be from 1",
                "FETCH 1 BODY[MIME]": "MIME is no section",
                "FETCH 1 BODY[HEADERS]": "HEADERS is no section",
                "FETCH 1 BODY[HEADER.1]": "HEADER.1 is no section",
                "FETCH 1 BODY[TEXT": "']'",
                "FETCH 1 BODY[HEADER.FIELDS]": "field names",
                "FETCH 1 BODY[HEADER.FIELDS ()]": "a field name",
                "FETCH 1 BODY[HEADER.FIELDS ({2}\r\n\r\n)]": "printable US-ASCII",
                'FETCH 1 BODY[HEADER.FIELDS ("é")]': "printable US-ASCII",
                "FETCH 1 BODY[HEADER (Date)]": "']'",
                "FETCH 1 BODY[]<0>": "'.'",
                "FETCH 1 BODY[]<0.0>": "how many octets has to be from 1",
                "FETCH 1 BODY[]<0.1": "'>'",
                f"FETCH 1 BODY[]<0.{2**63}>": "how many octets has to be from 1",
                f"FETCH 1 BODY[{'9' * 5000}]": "a part number has to be from 1",
            }
        )

    def test_the_number_of_items_is_bounded(self) -> None:
        slices = [f"BODY[]<{n}.1>" for n in range(9)]
        self.assertEqual(len(self.items(f"({' '.join(slices[:8])})")), 8)
        self.assertRaises(TooMany, self.items, f"({' '.join(slices)})")
