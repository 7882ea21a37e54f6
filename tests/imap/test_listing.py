"""Mailbox names, LIST and LSUB (RFC 3501 §5.1, §6.3.8, §6.3.9; RFC 3348)."""

from __future__ import annotations

import re
from collections.abc import Coroutine
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from twisted_duck.errors import Cannot
from twisted_duck.imap import listing
from twisted_duck.imap.listing import (
    Listed,
    Pattern,
    ancestors,
    canonical,
    check_name,
)
from twisted_duck.limits import Limits
from twisted_duck.values import MailboxInfo


async def no_pause() -> None:
    pass


def result(work: Coroutine[Any, Any, list[Listed]]) -> list[Listed]:
    """Of what does not wait."""
    try:
        work.send(None)
    except StopIteration as stop:
        return list(stop.value)
    raise AssertionError("it waits")


def list_mailboxes(*arguments: Any) -> list[Listed]:
    return result(listing.list_mailboxes(*arguments, no_pause))


def list_extended(*arguments: Any) -> list[Listed]:
    return result(listing.list_extended(*arguments, no_pause))


def list_subscriptions(*arguments: Any) -> list[Listed]:
    return result(listing.list_subscriptions(*arguments, no_pause))


LIMITS = Limits(mailbox_name=40, mailbox_depth=4)


class Names(SynchronousTestCase):
    def test_inbox_is_the_same_in_any_case(self) -> None:
        table = [
            ("inbox", "INBOX"),
            ("InBoX/Lists", "INBOX/Lists"),
            ("Inboxes", "Inboxes"),
            ("old/inbox", "old/inbox"),
            ("", ""),
        ]
        for name, expected in table:
            self.assertEqual(canonical(name), expected)

    def test_allowed(self) -> None:
        for name in ("INBOX", "a/b/c/d", "R&D 100%*", "Entwürfe", "🦆", ".", "x" * 40, "a#b", " "):
            with self.subTest(name=name):
                self.assertIsNone(check_name(name, LIMITS))

    def test_refused(self) -> None:
        table = [
            ("", "empty"),
            ("/", "empty"),
            ("/a", "empty"),
            ("a/", "empty"),
            ("a//b", "empty"),
            ("x" * 41, "longer than 40"),
            ("ü" * 21, "longer than 40"),
            ("a/b/c/d/e", "more than 4 levels"),
            ("#news", "namespace"),
            ("a\0b", "control"),
            ("a\rb", "control"),
            ("a\nb", "control"),
            ("\x7f", "control"),
            ("\x85", "control"),
            ("\u2028", "control"),
            ("\ud800", "control"),
            ("u\u0308", "normal form C"),
        ]
        for name, why in table:
            with self.subTest(name=name):
                self.assertIn(why, self.assertRaises(Cannot, check_name, name, LIMITS).message)

    def test_ancestors(self) -> None:
        self.assertEqual(list(ancestors("a/b/c")), ["a/b", "a"])
        self.assertEqual(list(ancestors("a")), [])


def as_regex(pattern: str) -> re.Pattern[str]:
    """The same by other means, for short patterns."""
    pieces = {"*": ".*", "%": "[^/]*"}
    return re.compile("".join(pieces.get(c) or re.escape(c) for c in pattern), re.DOTALL)


class Patterns(SynchronousTestCase):
    def test_what_matches(self) -> None:
        table = [
            ("*", ["", "a", "a/b", "INBOX"], []),
            ("%", ["", "a", "INBOX"], ["a/b"]),
            ("a/%", ["a/", "a/b"], ["a", "a/b/c", "b/a"]),
            ("a*", ["a", "ab", "a/b/c"], ["b", "INBOX"]),
            ("%/%", ["a/b"], ["a", "a/b/c"]),
            ("*/c", ["a/c", "a/b/c"], ["c", "a/cd"]),
            ("a%c", ["ac", "abc", "abcbc"], ["a/c", "acb"]),
            ("%b*d", ["abcd", "b/d", "abd"], ["a/bd"]),
            ("a", ["a"], ["A", "aa", ""]),
            ("inbox", ["INBOX"], ["inboxes"]),
            ("In%", ["INBOX", "Inner"], ["inner", "INBOX/a"]),
            ("*x", ["INBOX", "x"], ["X"]),
            ("inbox/a%", ["INBOX/ab"], ["INBOX/Ab"]),
            ("ü%", ["über"], ["Über"]),
        ]
        for text, matching, others in table:
            with self.subTest(pattern=text):
                pattern = Pattern("", text)
                self.assertEqual([n for n in (*matching, *others) if pattern.matches(n)], matching)

    def test_the_reference_stands_before_it(self) -> None:
        self.assertTrue(Pattern("a/", "%").matches("a/b"))
        self.assertFalse(Pattern("a/", "%").matches("b"))

    @given(st.text("ab/*%", max_size=8), st.text("ab/", max_size=8))
    def test_it_matches_what_an_expression_matches(self, pattern: str, name: str) -> None:
        self.assertEqual(
            Pattern("", pattern).matches(name), as_regex(pattern).fullmatch(name) is not None
        )

    def test_side_by_side_wildcards_are_one(self) -> None:
        for text, expected in [("*%" * 100, "*"), ("%%%", "%"), ("a%%*b", "a*b"), ("*a%", "*a%")]:
            self.assertEqual(Pattern("", text).texts, (expected,))

    def test_wildcards_do_not_multiply_the_cost(self) -> None:
        """A name costs a step a character, however the pattern could be matched."""
        steps = 0

        class Name(str):
            def __iter__(self):  # type: ignore[no-untyped-def]
                nonlocal steps
                for character in str.__iter__(self):
                    steps += 1
                    yield character

        pattern = Pattern("", "*a%" * 100 + "b")
        for _ in range(50):
            self.assertFalse(pattern.matches(Name("a" * 400)))
        self.assertEqual(steps, 50 * 400)

    @given(st.lists(st.text("ab*%/", max_size=6), max_size=4), st.text("ab/", max_size=8))
    def test_several_match_as_one_of_them_does(self, patterns: list[str], name: str) -> None:
        self.assertEqual(
            Pattern("", *patterns).matches(name),
            any(Pattern("", pattern).matches(name) for pattern in patterns),
        )

    def test_others_have_their_turn_however_long_it_takes(self) -> None:
        """Between two pauses there are less than two names of the longest kind, whatever they are compared to."""
        names = ["x" * 900 + str(number) for number in range(100)]
        for count in (1, 10):
            pauses = 0

            async def pause() -> None:
                nonlocal pauses
                pauses += 1

            patterns = ["*x" * (400 - at) + "y" for at in range(count)]
            chosen = Pattern("", *patterns).choose(names, pause)
            with self.assertRaises(StopIteration) as stopped:
                chosen.send(None)
            self.assertEqual(stopped.exception.value, set())
            self.assertGreater(pauses, 80)

    def test_twice_as_much_takes_twice_the_steps(self) -> None:
        """A hundred patterns that match nowhere and everywhere, and 1,500 names: what is counted are characters looked at."""

        def steps(count: int) -> int:
            patterns = ["*%" * (1 + at % 20) + "x" + "*%" * at for at in range(count)]
            seen = 0

            class Name(str):
                def __iter__(self):  # type: ignore[no-untyped-def]
                    nonlocal seen
                    seen += len(self)
                    return str.__iter__(self)

            async def pause() -> None:
                pass

            names = [Name(f"work/{number}/a") for number in range(15 * count)]
            with self.assertRaises(StopIteration) as stopped:
                Pattern("", *patterns).choose(names, pause).send(None)
            self.assertEqual(stopped.exception.value, set())
            return seen

        self.assertEqual(steps(100), sum(len(f"work/{number}/a") for number in range(1_500)))
        self.assertLess(steps(200), 2.5 * steps(100))

    def test_a_pattern_longer_than_a_name_costs_nothing(self) -> None:
        self.assertFalse(Pattern("", "a*" * 30_000).matches("a" * 100))


def mailboxes(*names: str) -> list[MailboxInfo]:
    return [MailboxInfo(name) for name in names]


class List(SynchronousTestCase):
    def names(self, pattern: str, *names: str, reference: str = "") -> list[str]:
        return [each.name for each in list_mailboxes(mailboxes(*names), reference, pattern)]

    def test_children(self) -> None:
        self.assertEqual(
            list_mailboxes(mailboxes("b", "a/x", "a", "INBOX", "a/x/y"), "", "*"),
            [
                Listed("INBOX", ("\\HasNoChildren",), mailbox=True),
                Listed("a", ("\\HasChildren",), mailbox=True),
                Listed("a/x", ("\\HasChildren",), mailbox=True),
                Listed("a/x/y", ("\\HasNoChildren",), mailbox=True),
                Listed("b", ("\\HasNoChildren",), mailbox=True),
            ],
        )

    def test_special_use_and_noselect(self) -> None:
        self.assertEqual(
            list_mailboxes(
                [MailboxInfo("Sent", True, "\\Sent"), MailboxInfo("old", False)], "", "*"
            ),
            [
                Listed("Sent", ("\\HasNoChildren", "\\Sent"), mailbox=True),
                Listed("old", ("\\Noselect", "\\HasNoChildren")),
            ],
        )

    def test_a_missing_parent_is_a_level(self) -> None:
        self.assertEqual(
            list_mailboxes(mailboxes("a/b/c"), "", "%"),
            [Listed("a", ("\\Noselect", "\\HasChildren"))],
        )
        self.assertEqual(self.names("a/%", "a/b/c"), ["a/b"])
        self.assertEqual(self.names("%/%", "a/b/c"), ["a/b"])

    def test_a_sibling_that_sorts_between_is_no_child(self) -> None:
        """Between `a` and `a/b` in byte order there is room: `a-x`, `a b`."""
        self.assertEqual(self.names("*", "a/b", "a-x", "a", "a b"), ["a", "a/b", "a b", "a-x"])
        self.assertEqual(
            list_mailboxes(mailboxes("a", "a-x/b"), "", "a"),
            [Listed("a", ("\\HasNoChildren",), mailbox=True)],
        )

    def test_an_empty_pattern_asks_for_the_delimiter(self) -> None:
        self.assertEqual(list_mailboxes(mailboxes("a"), "a/", ""), [Listed("", ("\\Noselect",))])

    def test_reference(self) -> None:
        self.assertEqual(self.names("%", "a", "a/b", "a/b/c", reference="a/"), ["a/b"])

    def test_several_patterns_name_each_once(self) -> None:
        nothing: frozenset[Any] = frozenset()
        found = list_extended(
            mailboxes("a", "b", "c", "d/e"), (), "", ["a", "%", "", "b"], nothing, nothing
        )
        self.assertEqual([each.name for each in found], ["a", "b", "c", "d"])


class Lsub(SynchronousTestCase):
    def test_only_what_is_subscribed(self) -> None:
        self.assertEqual(
            list_subscriptions(["b", "a/x", "INBOX"], "", "*"),
            [Listed("INBOX"), Listed("a/x"), Listed("b")],
        )

    def test_percent_names_the_level_above(self) -> None:
        """RFC 3501 §6.3.9: foo/bar is subscribed to, foo is not."""
        self.assertEqual(list_subscriptions(["foo/bar"], "", "%"), [Listed("foo", ("\\Noselect",))])
        self.assertEqual(list_subscriptions(["foo/bar", "foo"], "", "%"), [Listed("foo")])
        self.assertEqual(list_subscriptions(["foo/bar"], "", "foo/%"), [Listed("foo/bar")])
        self.assertEqual(list_subscriptions(["a/b/c"], "", "%/%"), [Listed("a/b", ("\\Noselect",))])

    def test_star_does_not(self) -> None:
        self.assertEqual(list_subscriptions(["foo/bar"], "", "*"), [Listed("foo/bar")])
        self.assertEqual(list_subscriptions(["foo/bar"], "", "foo"), [])

    def test_an_empty_pattern_asks_for_the_delimiter(self) -> None:
        self.assertEqual(list_subscriptions(["a"], "", ""), [Listed("", ("\\Noselect",))])
