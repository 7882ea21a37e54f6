"""By what messages find each other."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from twisted_duck.mime.conversation import thread_keys
from twisted_duck.mime.message import analyse
from twisted_duck.mime.references import NONE, WIDTH

A, B, C, D = (bytes([n]) * WIDTH for n in range(1, 5))
IDS = st.lists(st.sampled_from([NONE, A, B, C, D]), min_size=1, max_size=8).map(b"".join)


def key(id: bytes, subject: str = "lunch") -> int:
    [one] = thread_keys(subject, id, 10)
    return one


class ThreadKeyTests(SynchronousTestCase):
    def test_what_is_answered_comes_first_and_the_message_itself_last(self) -> None:
        self.assertEqual(thread_keys("lunch", D + A + B + C, 10), (key(C), key(B), key(A), key(D)))

    def test_the_subject_counts(self) -> None:
        self.assertNotEqual(key(A), key(A, "dinner"))
        self.assertNotEqual(key(A), key(A, ""))

    def test_without_any_id_there_is_none(self) -> None:
        self.assertEqual(thread_keys("lunch", NONE, 10), ())
        self.assertEqual(thread_keys("lunch", NONE + A, 10), (key(A),))

    def test_an_id_counts_once(self) -> None:
        self.assertEqual(thread_keys("lunch", A + B + A, 10), (key(A), key(B)))

    def test_of_many_the_oldest_and_the_latest_count(self) -> None:
        ids = [bytes([n]) * WIDTH for n in range(1, 101)]
        keys = thread_keys("lunch", D + b"".join(ids), 5)
        self.assertEqual(keys, (*map(key, ids[:-4:-1]), key(ids[0]), key(D)))

    def test_it_is_the_base_subject_without_regard_to_case(self) -> None:
        one, other = (
            analyse(b"Message-ID: <a@b>\r\nSubject: %b\r\n\r\n" % subject)
            for subject in (b"Mittagessen", b"Re: [list] =?utf-8?q?MITTAGESSEN?= (fwd)")
        )
        self.assertEqual(
            thread_keys(one.order.subject, one.ids, 5),
            thread_keys(other.order.subject, other.ids, 5),
        )

    @given(st.text(), IDS, st.integers(2, 6))
    def test_anything(self, subject: str, ids: bytes, most: int) -> None:
        keys = thread_keys(subject, ids, most)
        self.assertLessEqual(len(keys), most)
        self.assertEqual(len(set(keys)), len(keys))
        for each in keys:
            self.assertTrue(-(2**63) <= each < 2**63)

    def test_what_utf8_can_not_say(self) -> None:
        self.assertEqual(len(thread_keys("\ud800", A, 5)), 1)
