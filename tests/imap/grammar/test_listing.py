"""RFC 3501 §6.3.8 to §6.3.10; RFC 5258; RFC 5819; RFC 6154."""

from __future__ import annotations

from tests.imap.grammar.support import GrammarCase
from twisted_duck.errors import Cannot, TooMany
from twisted_duck.imap.grammar import (
    List,
    ListReturn,
    ListSelect,
    Lsub,
    Status,
    StatusItem,
    XList,
)

SUBSCRIBED, REMOTE, RECURSIVE, USE = (
    ListSelect.SUBSCRIBED,
    ListSelect.REMOTE,
    ListSelect.RECURSIVEMATCH,
    ListSelect.SPECIAL_USE,
)


def select(*options: ListSelect, pattern: str = "*") -> List:
    return List("", (pattern,), True, frozenset(options))


def give(*options: ListReturn, status: tuple[StatusItem, ...] = ()) -> List:
    return List("", ("%",), True, frozenset(), frozenset(options), status)


class Listing(GrammarCase):
    def test_list(self) -> None:
        self.check_values(
            {
                'LIST "" *': List("", ("*",)),
                "LIST foo/ %": List("foo/", ("%",)),
                'LIST "" ""': List("", ("",)),
                'LIST "" "b%r*"': List("", ("b%r*",)),
                "LIST {0}\r\n {1}\r\n*": List("", ("*",)),
                'LIST "" a]%': List("", ("a]%",)),
                'LIST "" &AOQ-%': List("", ("ä%",)),
                'LIST "" inbox': List("", ("inbox",)),
                'LSUB "#news." "comp.mail.*"': Lsub("#news.", "comp.mail.*"),
                'XLIST "" "*"': XList("", "*"),
            }
        )
        self.check_refused({'LIST ""': "a mailbox pattern", "LIST * *": "a reference"})

    def test_selection_options(self) -> None:
        self.check_values(
            {
                'LIST () "" *': select(),
                'LIST (REMOTE) "" *': select(REMOTE),
                'LIST (Subscribed) "" *': select(SUBSCRIBED),
                'LIST (SUBSCRIBED REMOTE SUBSCRIBED) "" *': select(SUBSCRIBED, REMOTE),
                'LIST (RECURSIVEMATCH SUBSCRIBED) "" *': select(SUBSCRIBED, RECURSIVE),
                'LIST (SPECIAL-USE RECURSIVEMATCH REMOTE) "" *': select(USE, RECURSIVE, REMOTE),
                'LIST (SUBSCRIBED) "" ""': select(SUBSCRIBED, pattern=""),
            }
        )
        self.check_refused(
            {
                'LIST (RECURSIVEMATCH) "" *': "RECURSIVEMATCH needs",
                'LIST (REMOTE RECURSIVEMATCH) "" *': "RECURSIVEMATCH needs",
                'LIST (SUBSCRIBED) * ""': "a reference",
                'LIST (SUBSCRIBED)"" *': "a space and a reference",
                'LIST (FAVOURITE) "" *': "FAVOURITE is no option here",
                'LIST (CHILDREN) "" *': "CHILDREN is no option here",
                'LIST (SUBSCRIBED "" *': "an option",
                'LIST ( ) "" *': "an option",
            }
        )

    def test_return_options(self) -> None:
        status = (StatusItem.MESSAGES, StatusItem.UNSEEN)
        self.check_values(
            {
                'LIST "" % RETURN ()': give(),
                'LIST "" % return (children)': give(ListReturn.CHILDREN),
                'LIST "" % RETURN (SUBSCRIBED CHILDREN SPECIAL-USE)': give(*ListReturn),
                'LIST "" % RETURN (STATUS (MESSAGES UNSEEN))': give(status=status),
                'LIST "" % RETURN (STATUS (MESSAGES UNSEEN MESSAGES) CHILDREN)': give(
                    ListReturn.CHILDREN, status=status
                ),
            }
        )
        self.check_refused(
            {
                'LIST "" % RETURN': "'('",
                'LIST "" % ()': "RETURN",
                'LIST "" % RETURNS ()': "RETURN was expected",
                'LIST "" % RETURN (REMOTE)': "REMOTE is no option here",
                'LIST "" % RETURN (STATUS)': "'('",
                'LIST "" % RETURN (STATUS ())': "a status item",
                'LIST "" % RETURN (STATUS (COLOUR))': "COLOUR is no status item",
                'LIST "" % RETURN (CHILDREN) x': "the end of the command",
            }
        )

    def test_several_patterns(self) -> None:
        self.check_values(
            {
                'LIST "" (INBOX "Sent/%" "")': List("", ("INBOX", "Sent/%", ""), True),
                'LIST "" (%)': List("", ("%",), True),
            }
        )
        self.check_refused(
            {'LIST "" ()': "a mailbox pattern", 'LIST "" (a b': "a mailbox pattern, or ')'"}
        )

    def test_patterns_are_bounded(self) -> None:
        most = self.limits.list_patterns
        self.assertEqual(most, 100)
        wire = f'a LIST "" ({" ".join(["x"] * most)})'
        self.assertIsInstance(self.parse(wire).value, List)
        self.assertRaises(TooMany, self.parse, wire[:-1] + " x)")

    def test_their_characters_are_bounded(self) -> None:
        most = self.limits.list_pattern
        self.assertEqual(most, 4_096)
        half = "*%" * (most // 4)
        for line in (
            f'LIST "" {half}{half}',
            f'LIST "" ({half} {half})',
            f"LIST {'x' * (most // 2)} {half}",
            f"LIST {'x' * (most // 4)} ({half[:1024]} {half[:1024]})",
            f'LSUB "" {half}{half}',
            f'XLIST "" {half}{half}',
        ):
            self.assertIsNotNone(self.parse(f"a {line}").value)
            for more in (line.replace("%", "%%", 1), line.replace("x", "xx", 1)):
                if more != line:
                    self.assertRaises(TooMany, self.parse, f"a {more}")

    def test_names_are_modified_utf7_or_refused(self) -> None:
        for line in ("LIST &AGE- *", "LIST x &AGE-", 'LIST "" (x &AGE-)', 'XLIST "" &AGE-'):
            self.assertRaises(Cannot, self.parse, f"a {line}")

    def test_status(self) -> None:
        every = tuple(StatusItem)
        self.check_values(
            {
                "STATUS blurdybloop (UIDNEXT messages)": Status(
                    "blurdybloop", (StatusItem.UIDNEXT, StatusItem.MESSAGES)
                ),
                "STATUS inbox (UNSEEN UNSEEN)": Status("INBOX", (StatusItem.UNSEEN,)),
                "STATUS x (deleted-storage)": Status("x", (StatusItem.DELETED_STORAGE,)),
                f"STATUS x ({' '.join(item.value for item in every)})": Status("x", every),
            }
        )
        self.check_refused(
            {
                "STATUS x": "'('",
                "STATUS x ()": "a status item",
                "STATUS x MESSAGES": "'(' and a status item",
                "STATUS x (MESSAGES": "a status item, or ')'",
                "STATUS x (MESSAGES )": "a status item",
                "STATUS x (FOO)": "FOO is no status item",
            }
        )
