"""A client's picture of a mailbox, and the news that move it."""

from __future__ import annotations

import random

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from twisted_duck.imap.view import ExistsNews, ExpungeNews, FlagsNews, View
from twisted_duck.index import MailboxIndex
from twisted_duck.search import All, And, Not, Or, Recent, SequenceNumbers, UIDs
from twisted_duck.sequence import SAVED, STAR, SequenceSet
from twisted_duck.values import SEEN, Change, Changes, Expunged, UIDSet

SEEN_ONLY = frozenset({SEEN})
NONE: frozenset[str] = frozenset()


class Mailbox:
    """An index with a writer, as a store would move it."""

    def __init__(self, messages: int = 0, history: int = 100) -> None:
        self.index = MailboxIndex(1, history)
        self.uidnext = 1
        self.modseq = 1
        self.move(changed=[self.new() for _ in range(messages)])

    def new(self) -> Change:
        self.uidnext += 1
        return Change(self.uidnext - 1, self.modseq, NONE)

    def move(self, changed: list[Change] | None = None, expunged: list[int] | None = None) -> int:
        gone = [Expunged(self.modseq, UIDSet.of(expunged))] if expunged else []
        self.index.apply(Changes(self.modseq, self.uidnext, 1, changed or [], gone))
        self.modseq += 1
        return self.modseq - 1

    def append(self, count: int = 1) -> int:
        return self.move(changed=[self.new() for _ in range(count)])

    def flag(self, *uids: int, flags: frozenset[str] = SEEN_ONLY) -> int:
        return self.move(changed=[Change(uid, self.modseq, flags) for uid in uids])

    def expunge(self, *uids: int) -> int:
        return self.move(expunged=list(uids))


class NewsTests(SynchronousTestCase):
    def test_nothing_happened(self) -> None:
        self.assertEqual([*View(Mailbox(3).index).news(expunges=True)], [])

    def test_arrivals_are_one_exists(self) -> None:
        box = Mailbox(3)
        view = View(box.index)
        box.append()
        box.append(2)
        self.assertEqual([*view.news(expunges=False)], [ExistsNews(6, 0)])
        self.assertEqual([*view.news(expunges=True)], [])

    def test_numbers_of_expunges_count_what_is_left(self) -> None:
        box = Mailbox(5)
        view = View(box.index)
        box.expunge(2, 4)
        box.expunge(5)
        numbers = [news.number for news in view.news(expunges=True)]
        client = [1, 2, 3, 4, 5]
        for number in numbers:
            del client[number - 1]
        self.assertEqual(client, [1, 3])
        self.assertEqual(len(view), 2)

    def test_expunges_wait_while_they_are_forbidden(self) -> None:
        box = Mailbox(3)
        view = View(box.index)
        box.expunge(1)
        self.assertEqual([*view.news(expunges=False)], [])
        self.assertEqual([view.number(uid) for uid in (1, 2, 3)], [1, 2, 3])
        self.assertEqual([*view.news(expunges=True)], [ExpungeNews(1, 1)])
        self.assertEqual([view.number(uid) for uid in (1, 2, 3)], [None, 1, 2])

    def test_arrivals_are_told_while_expunges_wait(self) -> None:
        box = Mailbox(3)
        view = View(box.index)
        box.expunge(2)
        box.append()
        self.assertEqual([*view.news(expunges=False)], [ExistsNews(4, 0)])
        self.assertEqual(view.number(4), 4)
        self.assertEqual([*view.news(expunges=True)], [ExpungeNews(2, 2)])
        self.assertEqual(view.number(4), 3)

    def test_what_came_and_went_unheard_is_never_told(self) -> None:
        box = Mailbox(1)
        view = View(box.index)
        box.append()
        box.expunge(2)
        self.assertEqual([*view.news(expunges=True)], [])
        self.assertEqual(len(view), 1)

    def test_flags_of_others_are_told_once(self) -> None:
        box = Mailbox(3)
        view = View(box.index)
        box.flag(2)
        modseq = box.flag(2, flags=NONE)
        self.assertEqual([*view.news(expunges=False)], [FlagsNews(2, 2, modseq, NONE)])
        self.assertEqual([*view.news(expunges=False)], [])

    def test_new_messages_are_not_told_as_changed(self) -> None:
        box = Mailbox(1)
        view = View(box.index)
        box.append()
        box.flag(2)
        self.assertEqual([*view.news(expunges=False)], [ExistsNews(2, 0)])

    def test_what_the_client_did_itself_is_not_told(self) -> None:
        box = Mailbox(3)
        view = View(box.index)
        view.knows(box.flag(1, 2))
        self.assertEqual([*view.news(expunges=False)], [])

    def test_what_another_did_before_is_told_though_the_client_changed_it_last(self) -> None:
        box = Mailbox(3)
        view = View(box.index)
        box.flag(1)
        view.knows(box.flag(1, 2))
        self.assertEqual([news.uid for news in view.news(expunges=False)], [1])

    def test_forgotten_steps_are_told_from_the_arrays(self) -> None:
        box = Mailbox(50, history=10)
        view = View(box.index)
        for uid in range(1, 31):
            box.flag(uid)
        box.expunge(*range(31, 51))
        news = [*view.news(expunges=True)]
        self.assertEqual([n.uid for n in news if isinstance(n, FlagsNews)], list(range(1, 31)))
        self.assertEqual(len([n for n in news if isinstance(n, ExpungeNews)]), 20)
        self.assertEqual(len(view), 30)

    def test_news_are_made_when_they_are_asked_for(self) -> None:
        box = Mailbox(2_000)
        view = View(box.index)
        box.flag(*range(1, 1_801))
        news = view.news(expunges=True)
        first = next(news)
        box.expunge(1_500)
        told = [each.uid for each in (first, *news) if isinstance(each, FlagsNews)]
        self.assertEqual(told, [uid for uid in range(1, 1_801) if uid != 1_500])
        self.assertEqual([*view.news(expunges=True)], [ExpungeNews(1_500, 1_500)])

    def test_views_share_the_array_of_the_index(self) -> None:
        box = Mailbox(1000)
        views = [View(box.index) for _ in range(10)]
        box.append()
        box.expunge(5)
        for view in views:
            view.news(expunges=True)
            self.assertIs(view.uids, box.index.uids)

    @settings(max_examples=200)
    @given(st.randoms(use_true_random=False), st.sampled_from([4, 1000]))
    def test_a_client_that_follows_the_news_knows_the_mailbox(
        self, rng: random.Random, history: int
    ) -> None:
        """Whatever happens, and whenever expunges are allowed: in the end the client's picture is the mailbox."""
        box = Mailbox(rng.randrange(6), history)
        view = View(box.index)
        client: list[tuple[int | None, frozenset[str]]] = [(uid, NONE) for uid in box.index.uids]

        def listen(expunges: bool) -> None:
            for news in view.news(expunges=expunges):
                match news:
                    case ExpungeNews(number, uid):
                        self.assertTrue(expunges)
                        self.assertEqual(client[number - 1][0], uid)
                        del client[number - 1]
                    case ExistsNews(exists, _):
                        self.assertGreater(exists, len(client))
                        for number in range(len(client) + 1, exists + 1):
                            uid = view.uid(number)
                            # The client asks for the flags of what is new.
                            row = next(box.index.rows([uid]), None)
                            client.append((uid, row[2] if row else NONE))
                    case FlagsNews(number, uid, _, flags):
                        self.assertEqual(client[number - 1][0], uid)
                        client[number - 1] = (uid, flags)
            self.assertEqual(len(view), len(client))
            self.assertEqual([view.uid(n + 1) for n in range(len(view))], [u for u, _ in client])

        for _ in range(rng.randrange(30)):
            living = list(box.index.uids)
            match rng.randrange(5):
                case 0:
                    box.append(rng.randrange(1, 4))
                case 1 if living:
                    flags = rng.choice([NONE, SEEN_ONLY])
                    box.flag(*rng.sample(living, rng.randrange(1, len(living) + 1)), flags=flags)
                case 2 if living:
                    box.expunge(*rng.sample(living, rng.randrange(1, len(living) + 1)))
                case 3:
                    listen(expunges=False)
                case 4:
                    listen(expunges=True)
        listen(expunges=True)
        self.assertEqual(client, [(uid, flags) for uid, _, flags in box.index.rows(box.index.uids)])


class RecentTests(SynchronousTestCase):
    def test_claims_that_touch_are_one_range(self) -> None:
        view = View(Mailbox(10).index)
        view.add_recent(3, 5)
        view.add_recent(5, 7)
        view.add_recent(9, 9)
        self.assertEqual(view.recent_uids(), [3, 4, 5, 6])
        self.assertEqual(view.count_recent(), 4)
        self.assertEqual([uid for uid in range(1, 11) if view.is_recent(uid)], [3, 4, 5, 6])

    def test_only_messages_that_the_client_knows_count(self) -> None:
        box = Mailbox(2)
        view = View(box.index)
        box.append(2)
        view.add_recent(1, 5)
        self.assertEqual(view.count_recent(), 2)
        self.assertEqual([*view.news(expunges=True)], [ExistsNews(4, 4)])


class SetTests(SynchronousTestCase):
    def setUp(self) -> None:
        box = Mailbox(10)
        box.expunge(2, 3, 7)
        self.view = View(box.index)  # UIDs 1 4 5 6 8 9 10

    def test_numbers_and_uids(self) -> None:
        for numbers, uid, expected in (
            (((1, 3),), False, [1, 4, 5]),
            (((2, 7),), True, [4, 5, 6]),
            (((STAR, STAR),), False, [10]),
            (((STAR, STAR),), True, [10]),
            (((99, STAR),), True, [10]),
            (((3, 1),), False, [1, 4, 5]),
            (((5, 99),), False, [8, 9, 10]),
            (((2, 3),), True, []),
            (((1, 4294967295),), True, [1, 4, 5, 6, 8, 9, 10]),
        ):
            found = self.view.select(SequenceSet(numbers), uid=uid)
            self.assertEqual(found, expected, (numbers, uid))

    def test_what_was_saved_is_the_same_by_number_and_by_uid(self) -> None:
        self.assertEqual(self.view.select(SAVED, uid=True), [])
        self.view.save([8, 4, 5, 10])
        for uid in (True, False):
            self.assertEqual(self.view.select(SAVED, uid=uid), [4, 5, 8, 10])
        self.assertEqual(
            self.view.resolve(Or(SequenceNumbers(SAVED), UIDs(SAVED))),
            Or(
                UIDs(SequenceSet(((4, 5), (8, 8), (10, 10)))),
                UIDs(SequenceSet(((4, 5), (8, 8), (10, 10)))),
            ),
        )
        self.view.save([])
        self.assertEqual(self.view.select(SAVED, uid=True), [])

    def test_what_was_saved_and_is_gone_is_not_in_the_way(self) -> None:
        box = Mailbox(5)
        view = View(box.index)
        view.save([2, 3, 4, 5])
        box.expunge(3)
        box.append()
        self.assertEqual(view.select(SAVED, uid=False), [2, 3, 4, 5])
        view.news(expunges=True)
        self.assertEqual(view.select(SAVED, uid=False), [2, 4, 5])

    def test_an_empty_mailbox_has_no_star(self) -> None:
        view = View(Mailbox(0).index)
        self.assertEqual(view.select(SequenceSet(((1, STAR),)), uid=True), [])
        self.assertEqual(view.select(SequenceSet(((1, STAR),)), uid=False), [])

    def test_searches_name_only_uids(self) -> None:
        self.view.add_recent(8, 11)
        key = And((SequenceNumbers(SequenceSet(((2, 3),))), Not(Recent()), All()))
        resolved = self.view.resolve(key)
        assert isinstance(resolved, And)
        self.assertEqual(resolved.keys[0], UIDs(SequenceSet(((4, 5),))))
        self.assertEqual(resolved.keys[1], Not(UIDs(SequenceSet.of(8, 9, 10))))
        self.assertEqual(resolved.keys[2], All())

    def test_searches_leave_out_what_the_client_does_not_know(self) -> None:
        box = Mailbox(3)
        view = View(box.index)
        box.append()
        resolved = view.resolve(All())
        self.assertEqual(resolved, And((UIDs(SequenceSet(((1, 3),))), All())))
