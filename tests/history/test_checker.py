"""The checker finds what is wrong, each kind of it, and nothing in what is right."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import attrs
from twisted.trial.unittest import SynchronousTestCase

from tests.history.checker import check, doubles, late
from tests.history.record import (
    Appended,
    Copied,
    Delivered,
    Event,
    Expunged,
    Fault,
    Found,
    Outcome,
    Record,
    Shown,
    Stored,
)
from tests.history.summary import away, summary

NONE: frozenset[str] = frozenset()
SEEN = frozenset({"\\Seen"})
FLAGGED = frozenset({"\\Flagged"})


def event(kind: Any, began: float, **more: Any) -> Any:
    """One that was done, within half a second, if `more` says nothing else."""
    given = {
        "client": "c",
        "server": "s",
        "user": "ada",
        "began": began,
        "ended": began + 0.5,
        "outcome": Outcome.DONE,
        "answer": "",
        **more,
    }
    return kind(**given)


def delivered(began: float, message: str, outcome: Outcome = Outcome.DONE) -> Event:
    made: Event = event(Delivered, began, message=message, outcome=outcome)
    return made


def appended(began: float, uids: Sequence[int], *names: str, **more: Any) -> Event:
    made: Event = event(
        Appended,
        began,
        **{
            "mailbox": "Sent",
            "names": names,
            "flags": NONE,
            "validity": 7,
            "uids": tuple(uids),
            **more,
        },
    )
    return made


def stored(began: float, flags: frozenset[str], modseq: int, **more: Any) -> Event:
    made: Event = event(
        Stored,
        began,
        **{"mailbox": "Sent", "uid": 1, "message": "a", "flags": flags, "modseq": modseq, **more},
    )
    return made


def copied(began: float, new_uid: int, *, move: bool, **more: Any) -> Event:
    made: Event = event(
        Copied,
        began,
        **{
            "mailbox": "Sent",
            "uid": 1,
            "message": "a",
            "flags": NONE,
            "destination": "Archive",
            "move": move,
            "validity": 7,
            "new_uid": new_uid,
            **more,
        },
    )
    return made


def expunged(began: float, **more: Any) -> Event:
    made: Event = event(Expunged, began, **{"mailbox": "Sent", "uid": 1, "message": "a", **more})
    return made


def shown(began: float, flags: frozenset[str], **more: Any) -> Event:
    made: Event = event(
        Shown,
        began,
        **{"mailbox": "Sent", "validity": 7, "uid": 1, "message": "a", "flags": flags, **more},
    )
    return made


def there(message: str, uid: int, mailbox: str = "Sent", **more: Any) -> Found:
    return Found(
        **{
            "user": "ada",
            "mailbox": mailbox,
            "validity": 7,
            "uid": uid,
            "message": message,
            "digest": f"digest of {message}",
            "flags": NONE,
            "modseq": 1,
            **more,
        }
    )


def record_of(*events: Event) -> Record:
    record = Record(list(events))
    for each in events:
        for name in each.messages:
            record.digests[each.user, name] = f"digest of {name}"
    return record


class CheckerTests(SynchronousTestCase):
    def check(self, kinds: set[str], events: Sequence[Event], found: Sequence[Found]) -> None:
        problems = check(record_of(*events), found)
        self.assertEqual(
            {problem.kind for problem in problems}, kinds, "\n".join(map(str, problems))
        )

    # --- what is right ------------------------------------------------------------------------------------------------

    def test_what_is_as_it_was_answered_is_right(self) -> None:
        events = [
            delivered(1, "x"),
            appended(1, [1], "a"),
            appended(2, [2, 3], "b", "c"),
            stored(3, SEEN, 5),
            stored(4, FLAGGED, 6),
            copied(5, 1, move=False, flags=FLAGGED),
            copied(6, 2, move=True, uid=2, message="b"),
            expunged(7, uid=3, message="c"),
        ]
        found = [
            there("x", 1, "INBOX"),
            there("a", 1, flags=FLAGGED, modseq=6),
            there("a", 1, "Archive", flags=FLAGGED),
            there("b", 2, "Archive"),
        ]
        self.check(set(), events, found)

    def test_what_was_tried_again_after_a_4xx_is_there_once(self) -> None:
        self.check(
            set(),
            [delivered(1, "x", Outcome.LATER), delivered(2, "x")],
            [there("x", 1, "INBOX")],
        )

    def test_a_lost_connection_may_make_a_double_which_is_counted(self) -> None:
        events = [delivered(1, "x", Outcome.UNKNOWN), delivered(2, "x")]
        for count in (1, 2):
            found = [there("x", uid, "INBOX") for uid in range(1, count + 1)]
            self.check(set(), events, found)
            self.assertEqual(doubles(record_of(*events), found), count - 1)

    def test_a_change_of_unknown_outcome_may_be_made_or_not(self) -> None:
        first = appended(1, [1], "a")
        unknown = Outcome.UNKNOWN
        stays, copy = there("a", 1), there("a", 1, "Archive")
        for change, states in {
            stored(2, SEEN, 0, outcome=unknown): ([stays], [there("a", 1, flags=SEEN)]),
            copied(2, 0, move=False, outcome=unknown): ([stays], [stays, copy]),
            copied(2, 0, move=True, outcome=unknown): ([stays], [copy]),
            expunged(2, outcome=unknown): ([stays], []),
        }.items():
            for state in states:
                self.check(set(), [first, change], state)

    # --- what is lost, or there too often -----------------------------------------------------------------------------

    def test_a_lost_message(self) -> None:
        self.check({"lost"}, [delivered(1, "x")], [])
        self.check({"lost"}, [appended(1, [1], "a")], [])
        self.check({"lost"}, [appended(1, [1, 2], "a", "b")], [there("a", 1)])
        self.check({"lost"}, [appended(1, [1], "a"), copied(2, 1, move=False)], [there("a", 1)])
        self.check({"lost"}, [appended(1, [1], "a"), copied(2, 1, move=True)], [])

    def test_a_message_lost_between_the_ends_of_a_move_of_unknown_outcome(self) -> None:
        move = copied(2, 0, move=True, outcome=Outcome.UNKNOWN)
        self.check({"lost"}, [appended(1, [1], "a"), move], [])
        self.check(
            {"double"}, [appended(1, [1], "a"), move], [there("a", 1), there("a", 1, "Archive")]
        )

    def test_a_double(self) -> None:
        two = [there("x", 1, "INBOX"), there("x", 2, "INBOX")]
        self.check({"double"}, [delivered(1, "x")], two)
        # A 4xx said that nothing was stored.
        self.check({"double"}, [delivered(1, "x", Outcome.LATER), delivered(2, "x")], two)
        self.check({"double"}, [appended(1, [1], "a")], [there("a", 1), there("a", 2)])

    def test_what_was_refused(self) -> None:
        for outcome in (Outcome.LATER, Outcome.NEVER):
            self.check({"refused"}, [delivered(1, "x", outcome)], [there("x", 1, "INBOX")])
            append = appended(1, [], "a", outcome=outcome)
            self.check({"refused"}, [append], [there("a", 1)])

    def test_half_of_an_append(self) -> None:
        append = appended(1, [], "a", "b", outcome=Outcome.UNKNOWN)
        self.check(set(), [append], [there("a", 1), there("b", 2)])
        self.check({"half"}, [append], [there("a", 1)])

    def test_other_bytes(self) -> None:
        self.check({"changed"}, [delivered(1, "x")], [there("x", 1, "INBOX", digest="another")])

    def test_what_nobody_sent(self) -> None:
        self.check({"invented", "misplaced"}, [], [there("x", 1)])

    def test_a_message_in_another_mailbox(self) -> None:
        self.check({"lost", "misplaced"}, [delivered(1, "x")], [there("x", 1, "Sent")])

    def test_an_expunged_message_that_is_there(self) -> None:
        events = [appended(1, [1], "a"), expunged(2)]
        self.check({"undead", "refused"}, events, [there("a", 1)])

    def test_a_moved_message_that_is_still_there(self) -> None:
        events = [appended(1, [1], "a"), copied(2, 1, move=True)]
        found = [there("a", 1), there("a", 1, "Archive")]
        self.check({"undead", "double", "refused"}, events, found)

    # --- UIDs and modseqs ---------------------------------------------------------------------------------------------

    def test_a_reused_uid(self) -> None:
        events = [appended(1, [1], "a"), expunged(2), delivered(3, "x")]
        moved = copied(4, 1, move=True, mailbox="INBOX", message="x", destination="Sent")
        self.check({"reused", "order", "undead"}, [*events, moved], [there("x", 1)])

    def test_a_uid_that_was_told_as_that_of_another_message(self) -> None:
        events = [appended(1, [1], "a"), delivered(1, "x"), shown(2, NONE, message="x")]
        self.check({"reused"}, events, [there("a", 1), there("x", 1, "INBOX")])

    def test_a_message_under_another_uid(self) -> None:
        self.check({"lost"}, [appended(1, [1], "a")], [there("a", 2)])

    def test_a_uid_below_one_that_was_told_before(self) -> None:
        found = [there("a", 2), there("b", 1)]
        self.check({"order"}, [appended(1, [2], "a"), appended(2, [1], "b")], found)
        # Those that were asked for at the same time may have any order.
        self.check(set(), [appended(1, [2], "a"), appended(1.2, [1], "b")], found)

    def test_a_modseq_that_does_not_grow(self) -> None:
        first = appended(1, [1], "a")
        found = [there("a", 1, flags=FLAGGED, modseq=5)]
        self.check({"order"}, [first, stored(2, SEEN, 6), stored(3, FLAGGED, 5)], found)

    def test_a_modseq_that_is_not_the_one_that_was_told(self) -> None:
        found = [there("a", 1, flags=SEEN, modseq=9)]
        self.check({"modseq"}, [appended(1, [1], "a"), stored(2, SEEN, 5)], found)

    def test_another_uidvalidity(self) -> None:
        self.check({"validity"}, [appended(1, [1], "a")], [there("a", 1, validity=8)])

    # --- flags --------------------------------------------------------------------------------------------------------

    def test_a_missing_flag(self) -> None:
        stores = [appended(1, [1], "a"), stored(2, SEEN, 5)]
        self.check({"flags"}, stores, [there("a", 1, modseq=5)])

    def test_flags_from_before_the_last_store(self) -> None:
        stores = [appended(1, [1], "a"), stored(2, SEEN, 5), stored(3, FLAGGED, 6)]
        self.check({"flags", "modseq"}, stores, [there("a", 1, flags=SEEN, modseq=5)])

    def test_flags_of_a_store_that_was_refused(self) -> None:
        refused = stored(2, SEEN, 0, outcome=Outcome.LATER)
        self.check({"flags"}, [appended(1, [1], "a"), refused], [there("a", 1, flags=SEEN)])

    def test_flags_that_an_append_or_a_copy_did_not_bring(self) -> None:
        append = appended(1, [1], "a", flags=SEEN)
        self.check({"flags"}, [append], [there("a", 1)])
        copy = copied(2, 1, move=True, flags=SEEN)
        self.check({"flags"}, [append, copy], [there("a", 1, "Archive")])

    def test_flags_of_a_delivery(self) -> None:
        self.check({"flags"}, [delivered(1, "x")], [there("x", 1, "INBOX", flags=SEEN)])


class LateTests(SynchronousTestCase):
    def late(self, *events: Event) -> int:
        return len(late(record_of(*events)))

    def test_what_was_shown_in_time(self) -> None:
        self.assertEqual(self.late(stored(1, SEEN, 5), shown(2, SEEN)), 0)
        self.assertEqual(self.late(stored(1, SEEN, 5), shown(1.2, NONE)), 0)
        again = stored(2, FLAGGED, 0, outcome=Outcome.UNKNOWN)
        for flags in (SEEN, FLAGGED):
            self.assertEqual(self.late(stored(1, SEEN, 5), again, shown(9, flags)), 0)

    def test_flags_from_before_a_store_that_was_acknowledged(self) -> None:
        self.assertEqual(self.late(stored(1, SEEN, 5), shown(2, NONE)), 1)

    def test_a_message_that_was_removed_before(self) -> None:
        self.assertEqual(self.late(expunged(1), shown(2, NONE)), 1)


class SummaryTests(SynchronousTestCase):
    def test_how_long_nobody_was_answered(self) -> None:
        record = record_of(*(delivered(at, f"m{at}") for at in (1, 2, 3, 7, 8, 9, 10, 16, 17)))
        record.faults += [Fault("kill", 3.7, "one"), Fault("step down", 9.6, "two")]
        gaps = away(record)
        self.assertEqual(gaps.keys(), {"kill", "step down"})
        self.assertAlmostEqual(gaps["kill"][0], 3.8)
        self.assertAlmostEqual(gaps["step down"][0], 6.0)

    def test_what_is_printed(self) -> None:
        events = [delivered(1, "x", Outcome.UNKNOWN), delivered(2, "x")]
        found = [there("x", uid, "INBOX") for uid in (1, 2)]
        lines = list(summary(record_of(*events), found, 0))
        self.assertIn("Delivered: 1 done, 0 later, 0 never, 1 unknown", lines)
        self.assertIn("2 messages in the end; doubles by lost connections: 1", lines)

    def test_the_record_of_a_message_is_that_of_its_user_and_the_faults(self) -> None:
        record = record_of(
            delivered(1, "x"), delivered(2, "y"), attrs.evolve(delivered(3, "x"), user="bob")
        )
        record.faults.append(Fault("kill", 2.5, "server-1"))
        lines = record.lines("ada", ["x"])
        self.assertEqual(len(lines), 2)
        self.assertIn("c at s: ada Delivered(message='x') done", lines[0])
        self.assertIn("kill: server-1", lines[1])
