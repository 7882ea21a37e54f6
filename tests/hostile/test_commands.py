"""Commands that were made to cost much are refused, or cost as much as they are long."""

from __future__ import annotations

from tests.hostile.test_messages import calls
from tests.imap.transcript import IMAPCase
from twisted_duck.errors import ClientError
from twisted_duck.imap.grammar import parse
from twisted_duck.limits import Limits

#: How much more twice as much may cost.
_TWICE = 2.5


class CommandTests(IMAPCase):
    selected = "INBOX"

    def answer(self, command: bytes) -> bytes:
        """The tagged answer."""
        client = self.client()
        client.send(b"a1 " + command + b"\r\n")
        said = client.heard()
        while not said.rpartition(b"a1 ")[1]:
            self.assertTrue(self.clock.getDelayedCalls(), said)
            self.clock.advance(0)
            said += client.heard()
        return said[said.rindex(b"a1 ") :]

    def test_ten_thousand_levels_of_search_are_refused(self) -> None:
        for command in (
            b"SEARCH " + b"(" * 10_000 + b"ALL" + b")" * 10_000,
            b"SEARCH " + b"NOT " * 10_000 + b"ALL",
            b"SEARCH " + b"OR ALL " * 9_000 + b"ALL",
            b"SORT (DATE) UTF-8 " + b"(" * 10_000,
            b"THREAD REFERENCES UTF-8 " + b"NOT (" * 10_000,
        ):
            with self.subTest(command[:30]):
                self.assertTrue(self.answer(command).startswith(b"a1 BAD"), command[:30])

    def test_a_hundred_thousand_UIDs_are_more_than_a_line_has(self) -> None:
        uids = b",".join(b"%d" % uid for uid in range(1, 200_000, 2))
        for command in (b"UID FETCH %b FLAGS", b"UID STORE %b FLAGS ()", b"UID COPY %b INBOX"):
            self.assertTrue(self.answer(command % uids).startswith(b"a1 BAD"), command)

    def test_as_many_UIDs_as_a_line_has_cost_as_much_as_they_are(self) -> None:
        def read(many: int) -> None:
            uids = b",".join(b"%d" % uid for uid in range(1_000, 1_000 + 2 * many, 2))
            parse([b"a1 UID FETCH %b FLAGS" % uids])

        most = Limits().line_after_login // 6
        once, twice = calls(lambda: read(most // 2)), calls(lambda: read(most))
        self.assertLessEqual(twice, _TWICE * once)

    def test_a_set_of_a_hundred_thousand_costs_as_much_as_it_is_long(self) -> None:
        def read(many: int) -> None:
            try:
                parse([b"a1 UID FETCH " + b",".join([b"1", b"*"] * (many // 2)) + b" FLAGS"])
            except ClientError:
                pass

        once, twice = calls(lambda: read(50_000)), calls(lambda: read(100_000))
        self.assertLessEqual(twice, _TWICE * once)


class PatternTests(IMAPCase):
    """A hundred patterns, each of wildcards, over fifteen hundred mailboxes."""

    limits = Limits(list_patterns=100)

    def test_it_costs_as_much_as_there_are_mailboxes(self) -> None:
        patterns = b"(" + b" ".join([b'"%bz"' % (b"*%" * 19)] * 100) + b")"
        client = self.client()

        def listed() -> None:
            client.send(b'l LIST "" ' + patterns + b"\r\n")
            while not (said := client.heard()):
                self.clock.advance(0)
            self.assertEqual(said, b"l OK LIST completed\r\n")

        costs = []
        for first in (0, 750):
            for number in range(first, first + 750):
                client.send(b"c CREATE a/a/a/a/a/%d\r\n" % number)
                self.assertIn(b"c OK", client.heard())
            costs.append(calls(listed))
        self.assertLessEqual(costs[1], _TWICE * costs[0])

    def test_more_than_a_hundred_are_refused(self) -> None:
        client = self.client()
        client.send(b'l LIST "" (' + b" ".join([b'"*%"'] * 101) + b")\r\n")
        self.assertTrue(client.heard().startswith(b"l NO [LIMIT]"))
