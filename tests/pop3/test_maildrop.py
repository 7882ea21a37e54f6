"""The maildrop: numbers never move."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from twisted_duck.errors import BadSyntax, Refused
from twisted_duck.pop3.maildrop import Maildrop


class MaildropTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.maildrop = Maildrop(77, [(3, 100), (9, 20), (4_000_000_000, 5_000_000_000)])

    def test_counts_what_is_not_marked(self) -> None:
        self.assertEqual((self.maildrop.count, self.maildrop.octets), (3, 5_000_000_120))
        self.maildrop.delete(2)
        self.assertEqual((self.maildrop.count, self.maildrop.octets), (2, 5_000_000_100))
        self.assertEqual(list(self.maildrop.numbers()), [1, 3])
        self.assertEqual(self.maildrop.uid(3), 4_000_000_000)
        self.assertEqual(self.maildrop.deleted_uids(), [9])
        self.maildrop.reset()
        self.assertEqual((self.maildrop.count, self.maildrop.octets), (3, 5_000_000_120))
        self.assertEqual(self.maildrop.deleted_uids(), [])

    def test_a_number_that_no_message_has(self) -> None:
        for number in (0, 4, 10**17):
            for ask in (self.maildrop.uid, self.maildrop.size, self.maildrop.delete):
                with self.assertRaises(BadSyntax):
                    ask(number)

    def test_a_message_that_is_marked_is_not_to_be_had(self) -> None:
        self.maildrop.delete(1)
        for ask in (
            self.maildrop.uid,
            self.maildrop.size,
            self.maildrop.unique_id,
            self.maildrop.delete,
        ):
            with self.assertRaises(Refused):
                ask(1)
        self.assertEqual(self.maildrop.count, 2)

    @given(
        st.tuples(st.integers(1, 2**32 - 1), st.integers(1, 2**32 - 1)),
        st.tuples(st.integers(1, 2**32 - 1), st.integers(1, 2**32 - 1)),
    )
    def test_unique_ids_are_unique_printable_and_short(
        self, one: tuple[int, int], other: tuple[int, int]
    ) -> None:
        ids = [Maildrop(validity, [(uid, 1)]).unique_id(1) for validity, uid in (one, other)]
        self.assertEqual(ids[0] == ids[1], one == other)
        for each in ids:
            self.assertTrue(1 <= len(each) <= 70)
            self.assertTrue(all("\x21" <= letter <= "\x7e" for letter in each))
