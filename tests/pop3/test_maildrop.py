"""The maildrop: numbers never move."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from twisted_duck.errors import BadSyntax, Refused
from twisted_duck.pop3.maildrop import Maildrop


class MaildropTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.maildrop = Maildrop([100, 20, 5_000_000_000])

    def test_counts_what_is_not_marked(self) -> None:
        self.assertEqual((self.maildrop.count, self.maildrop.octets), (3, 5_000_000_120))
        self.maildrop.delete(2)
        self.assertEqual((self.maildrop.count, self.maildrop.octets), (2, 5_000_000_100))
        self.assertEqual(list(self.maildrop.numbers()), [1, 3])
        self.assertEqual(self.maildrop.place(3), 2)
        self.assertEqual(self.maildrop.doomed(), [1])
        self.maildrop.reset()
        self.assertEqual((self.maildrop.count, self.maildrop.octets), (3, 5_000_000_120))
        self.assertEqual(self.maildrop.doomed(), [])

    def test_a_number_that_no_message_has(self) -> None:
        for number in (0, 4, 10**17):
            for ask in (self.maildrop.place, self.maildrop.size, self.maildrop.delete):
                with self.assertRaises(BadSyntax):
                    ask(number)

    def test_a_message_that_is_marked_is_not_to_be_had(self) -> None:
        self.maildrop.delete(1)
        for ask in (self.maildrop.place, self.maildrop.size, self.maildrop.delete):
            with self.assertRaises(Refused):
                ask(1)
        self.assertEqual(self.maildrop.count, 2)
