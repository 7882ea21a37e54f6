"""THREAD's algorithms, RFC 5256 §3."""

from __future__ import annotations

import random
import time

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from twisted_duck.imap.threads import Forest, OrderedSubject, References, Threading
from twisted_duck.mime.references import ids
from twisted_duck.mime.subject import base_subject


async def go_on() -> None:
    pass


class ThreadCase(SynchronousTestCase):
    def grown(self, threads: Threading) -> Forest:
        return self.successResultOf(Deferred.fromCoroutine(threads.forest(go_on)))

    def said(self, threads: Threading, count: int) -> str:
        return "".join(self.grown(threads).say(range(1, count + 1)))

    def put(
        self, threads: Threading, sent: int, subject: str, id: str = "", references: str = ""
    ) -> None:
        base, answers = base_subject(subject)
        named = " ".join(f"<{each}@x>" for each in references.split())
        fields = {b"message-id": [f"<{id}@x>".encode()], b"references": [named.encode()]}
        threads.add(sent, base.upper(), answers, ids(fields, 100))


class PauseTests(ThreadCase):
    def test_others_have_their_turn_whatever_the_threads_look_like(self) -> None:
        for kind in (OrderedSubject, References):
            for subjects in (1, 1_250, 5_000):
                pauses, longest = self.turns(kind(0), 5_000, subjects)
                self.assertGreater(pauses, 20, (kind, subjects))
                # 500 that are sorted are compared nine times each, at most.
                self.assertLess(longest, 500 * 10, (kind, subjects))

    def turns(self, threads: Threading, messages: int, subjects: int) -> tuple[int, int]:
        """How many pauses there were, and the most comparisons between two of them."""
        compared = longest = before = pauses = 0

        class Sent(int):
            def __lt__(self, other: int) -> bool:
                nonlocal compared
                compared += 1
                return int.__lt__(self, other)

        async def pause() -> None:
            nonlocal pauses, longest, before
            pauses += 1
            longest, before = max(longest, compared - before), compared

        chance = random.Random(subjects)
        for number in range(messages):
            subject = f"s{number % subjects}"
            self.put(threads, Sent(chance.randrange(10**6)), subject, str(number))
        self.successResultOf(Deferred.fromCoroutine(threads.forest(pause)))
        return pauses, max(longest, compared - before)


class OrderedSubjectTests(ThreadCase):
    def check(self, messages: list[tuple[int, str]], expected: str) -> None:
        threads = OrderedSubject()
        for sent, subject in messages:
            self.put(threads, sent, subject)
        self.assertEqual(self.said(threads, len(messages)), expected)

    def test_nothing(self) -> None:
        self.check([], "")

    def test_one_subject_is_one_thread_whose_first_message_is_above_the_others(self) -> None:
        self.check([(3, "pond"), (1, "Re: pond"), (2, "fwd: Pond"), (0, "lake")], "(4)(2 (3)(1))")

    def test_two_messages_are_a_line(self) -> None:
        self.check([(1, "pond"), (2, "pond")], "(1 2)")

    def test_the_number_decides_between_equal_dates(self) -> None:
        self.check([(1, "b"), (1, "a"), (1, "a"), (1, "a")], "(1)(2 (3)(4))")

    def test_no_subject_is_a_subject(self) -> None:
        self.check([(1, ""), (2, "Re:")], "(1 2)")


class ReferencesTests(ThreadCase):
    def check(self, messages: list[tuple[int, str, str, str]], expected: str) -> None:
        threads = References(1_000)
        for sent, subject, id, references in messages:
            self.put(threads, sent, subject, id, references)
        self.assertEqual(self.said(threads, len(messages)), expected)

    def test_nothing(self) -> None:
        self.check([], "")

    def test_a_line_in_any_order(self) -> None:
        self.check([(1, "a", "1", ""), (2, "b", "2", "1"), (3, "c", "3", "1 2")], "(1 2 3)")
        self.check([(3, "c", "3", "1 2"), (2, "b", "2", "1"), (1, "a", "1", "")], "(3 2 1)")

    def test_the_example_of_the_response(self) -> None:
        threads = References(10)
        numbers = [2, 3, 6, 4, 23, 44, 7, 96]
        above = {6: "3", 4: "6", 23: "4", 44: "6", 7: "44", 96: "7"}
        for sent, number in enumerate(numbers):
            self.put(threads, sent, f"subject {number}", str(number), above.get(number, ""))
        self.assertEqual("".join(self.grown(threads).say(numbers)), "(2)(3 6 (4 23)(44 7 96))")

    def test_answers_to_what_is_not_there_are_held_together(self) -> None:
        self.check([(1, "a", "1", "gone"), (2, "b", "2", "gone")], "((1)(2))")

    def test_a_single_answer_stands_for_what_is_not_there(self) -> None:
        self.check([(1, "a", "1", "gone away"), (2, "b", "2", "1")], "(1 2)")

    def test_what_is_not_there_in_between_is_left_out(self) -> None:
        self.check(
            [(1, "a", "1", ""), (2, "b", "2", "1 gone"), (3, "c", "3", "1 gone")], "(1 (2)(3))"
        )
        self.check(
            [(2, "b", "2", "top gone"), (3, "c", "3", "top lost"), (4, "d", "4", "top")],
            "((1)(2)(3))",
        )

    def test_siblings_stand_by_their_date(self) -> None:
        self.check(
            [(9, "a", "1", ""), (3, "b", "2", "1"), (2, "c", "3", "1"), (3, "d", "4", "1")],
            "(1 (3)(2)(4))",
        )

    def test_threads_stand_by_the_date_of_the_first_message(self) -> None:
        self.check(
            [(5, "a", "1", ""), (9, "b", "2", "gone"), (4, "c", "3", "gone"), (3, "d", "4", "1")],
            "((3)(2))(1 4)",
        )

    def test_a_link_from_references_is_not_changed_but_by_the_message_itself(self) -> None:
        # 3 says that 2 is below 1; 4 says something else of it, and 2 itself has the last word.
        self.check([(1, "a", "1", ""), (3, "c", "3", "1 2"), (4, "d", "4", "x 2")], "(1 (2)(3))")
        self.check(
            [(1, "a", "1", ""), (3, "c", "3", "1 2"), (5, "e", "5", ""), (2, "b", "2", "5")],
            "(1)(3 4 2)",
        )
        self.check([(1, "a", "1", ""), (3, "c", "3", "1 2"), (2, "b", "2", "")], "(1)(3 2)")

    def test_no_loops(self) -> None:
        self.check([(1, "a", "1", "2"), (2, "b", "2", "1")], "(2 1)")
        # One that names itself last has nothing above it (step 1.B).
        self.check([(1, "a", "1", "1"), (2, "b", "2", "1 2")], "(1)(2)")
        self.check([(1, "a", "1", "3"), (2, "b", "2", "1"), (3, "c", "3", "2")], "(3 1 2)")

    def test_of_messages_with_one_id_the_first_has_it(self) -> None:
        self.check([(1, "a", "1", ""), (2, "b", "1", ""), (3, "c", "3", "1")], "(1 3)(2)")

    def test_messages_without_an_id(self) -> None:
        threads = References(10)
        threads.add(1, "A", False, bytes(8))
        threads.add(2, "B", False, bytes(8))
        self.assertEqual(self.said(threads, 2), "(1)(2)")

    def test_threads_with_one_subject_become_one(self) -> None:
        cases = {
            # A reply goes below what it replies to, whichever comes first.
            "(1 2)": [(1, "pond", "1", ""), (2, "Re: pond", "2", "")],
            "(2 1)": [(1, "Re: pond", "1", ""), (2, "pond", "2", "")],
            # Two that are no replies are held together; so are two replies.
            "((1)(2))": [(1, "pond", "1", ""), (2, "pond", "2", "")],
            "((1)(2)) ": [(1, "re: pond", "1", ""), (2, "re: pond", "2", "")],
            "((1)(2)(3))": [(1, "pond", "1", ""), (2, "pond", "2", ""), (3, "re: pond", "3", "")],
            # No subject says nothing.
            "(1)(2)": [(1, "", "1", ""), (2, "Re:", "2", "")],
        }
        for expected, messages in cases.items():
            with self.subTest(expected=expected):
                self.check(messages, expected.strip())

    def test_threads_of_what_is_not_there_with_one_subject(self) -> None:
        one = [(1, "pond", "1", "gone"), (2, "x", "2", "gone")]
        other = [(3, "pond", "3", "lost"), (4, "y", "4", "lost")]
        self.check(one + other, "((1)(2)(3)(4))")
        self.check([*one, (5, "pond", "5", "")], "((1)(2)(3))")
        self.check([(0, "pond", "5", ""), *one], "((1)(2)(3))")

    def test_three_threads_of_which_the_last_is_the_original(self) -> None:
        self.check(
            [(1, "re: pond", "1", ""), (2, "re: pond", "2", ""), (3, "pond", "3", "")],
            "(3 (1)(2))",
        )

    def test_a_thread_whose_subject_changed_keeps_together(self) -> None:
        self.check(
            [(1, "pond", "1", ""), (2, "lake", "2", "1"), (3, "Re: lake", "3", "")], "(1 2)(3)"
        )


class HostileTests(ThreadCase):
    """What takes the most time."""

    def timed(self, threads: References) -> None:
        began = time.process_time()
        forest = self.grown(threads)
        "".join(forest.say(range(200_000)))
        self.assertLess(time.process_time() - began, 10)

    def test_a_line_of_many_messages(self) -> None:
        for order in ("up", "down", "shuffled"):
            numbers = list(range(50_000))
            if order == "down":
                numbers.reverse()
            elif order == "shuffled":
                random.Random(1).shuffle(numbers)
            threads = References(100_000)
            began = time.process_time()
            for number in numbers:
                self.put(threads, number, f"s{number}", str(number), str(number - 1))
            self.assertLess(time.process_time() - began, 10, order)
            forest = self.grown(threads)
            self.assertEqual(len(forest.roots), 1)
            pieces = [piece for piece in forest.say(numbers) if piece not in "()"]
            self.assertEqual([int(piece) for piece in pieces], list(range(50_000)))

    def test_long_walks_in_search_of_loops(self) -> None:
        threads = References(100_000)
        for number in range(20_000):
            self.put(threads, number, "s", str(number), str(number - 1))
        began = time.process_time()
        for number in range(20_000):
            # Each has something below it already when it is put below the end of the line.
            self.put(threads, 0, "t", f"y{number}", f"x{number}")
            self.put(threads, 0, "t", f"x{number}", "19999")
        self.assertLess(time.process_time() - began, 10)
        self.timed(threads)

    def test_a_line_of_what_is_not_there(self) -> None:
        threads = References(100_000)
        for number in range(30_000):
            self.put(threads, number, f"s{number}", f"m{number}", f"x{number} x{number + 1}")
        self.timed(threads)
        self.assertEqual(len(self.grown(threads).roots), 1)

    def test_more_that_is_not_there_than_is_told_apart_holds_nothing_together(self) -> None:
        threads = References(1)
        for number, reference in enumerate("aabb"):
            self.put(threads, number, f"s{number}", f"m{number}", reference)
        self.assertEqual(self.said(threads, 4), "((1)(2))(3)(4)")
