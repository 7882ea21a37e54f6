"""RFC 3501 §6.4.3, §6.4.6 to §6.4.8; RFC 4315; RFC 6851."""

from attrs import evolve

from tests.imap.grammar.support import GrammarCase
from twisted_duck.errors import TooMany
from twisted_duck.imap.grammar import Copy, Expunge, Move, Store
from twisted_duck.limits import Limits
from twisted_duck.sequence import STAR, SequenceSet

ONE = SequenceSet.of(1)
DELETED = frozenset({"\\Deleted"})


class Stores(GrammarCase):
    limits = evolve(Limits(), keyword=10, flags_per_message=3)

    def test_store(self) -> None:
        self.check_values(
            {
                "STORE 2:4 +FLAGS (\\Deleted)": Store(SequenceSet(((2, 4),)), "add", DELETED),
                "STORE 1 FLAGS ()": Store(ONE, "replace", frozenset()),
                "STORE 1 -FLAGS \\DELETED": Store(ONE, "remove", DELETED),
                "STORE 1 +flags.silent (\\deleted)": Store(ONE, "add", DELETED, silent=True),
                "STORE 1 (unchangedsince 9223372036854775807) FLAGS ()": Store(
                    ONE, "replace", frozenset(), unchanged_since=2**63 - 1
                ),
                "STORE 1 FLAGS \\Seen \\Draft": Store(
                    ONE, "replace", frozenset({"\\Seen", "\\Draft"})
                ),
                "UID STORE * FLAGS.SILENT ($Junk)": Store(
                    SequenceSet.of(STAR), "replace", frozenset({"$Junk"}), silent=True, uid=True
                ),
            }
        )

    def test_keywords_keep_their_first_spelling(self) -> None:
        self.check_values(
            {"STORE 1 FLAGS (Work WORK work)": Store(ONE, "replace", frozenset({"Work"}))}
        )

    def test_refused(self) -> None:
        self.check_refused(
            {
                "STORE 1": "FLAGS, +FLAGS or -FLAGS",
                "STORE 1 FLAGS": "flags",
                "STORE 1 FLAGS ": "a flag",
                "STORE 1 *FLAGS ()": "FLAGS, +FLAGS or -FLAGS",
                "STORE 1 ++FLAGS ()": "can't be stored",
                "STORE 1 LABELS ()": "LABELS can't be stored",
                "STORE 1 FLAGS (\\Recent)": "\\Recent is no flag that can be set",
                "STORE 1 FLAGS (\\*)": "the name of a system flag",
                "STORE 1 FLAGS (\\Foo)": "\\Foo is no flag that can be set",
                "STORE 1 FLAGS (\\)": "the name of a system flag",
                "STORE 1 FLAGS (a]b)": "a flag, or ')'",
                'STORE 1 FLAGS ("a")': "a flag",
                "STORE 1 FLAGS (ü)": "a flag",
                "STORE 1 FLAGS ( a)": "a flag",
                "STORE 1 FLAGS ((a))": "a flag",
                "STORE 1 FLAGS (a": "a flag, or ')'",
                "STORE 1 () FLAGS ()": "a modifier",
                "STORE 1 (UNCHANGEDSINCE) FLAGS ()": "a modseq",
                "STORE 1 (UNCHANGEDSINCE -1) FLAGS ()": "a modseq",
                "STORE 1 (UNCHANGEDSINCE 9223372036854775808) FLAGS ()": "a modseq",
                "STORE 1 (UNCHANGEDSINCE 1 UNCHANGEDSINCE 2) FLAGS ()": "stands there twice",
                "STORE 1 (CHANGEDSINCE 1) FLAGS ()": "CHANGEDSINCE is no modifier",
                "STORE 1 (UNCHANGEDSINCE 1)": "FLAGS, +FLAGS or -FLAGS",
            }
        )

    def test_flags_are_bounded(self) -> None:
        self.assertRaises(TooMany, self.parse, "a STORE 1 FLAGS (keywordkey1)")
        self.assertRaises(TooMany, self.parse, "a STORE 1 FLAGS (a b c d)")
        self.parse("a STORE 1 FLAGS (keywordkey b A a B b)")


class Copies(GrammarCase):
    def test_copy_move_expunge(self) -> None:
        two = SequenceSet(((2, 4), (7, STAR)))
        self.check_values(
            {
                "COPY 2:4,7:* MEETING": Copy(two, "MEETING"),
                "UID COPY 1 inbox": Copy(ONE, "INBOX", uid=True),
                "MOVE 1 {3}\r\nfoo": Move(ONE, "foo"),
                "uid move 1 foo": Move(ONE, "foo", uid=True),
                "EXPUNGE": Expunge(),
                "UID EXPUNGE 1": Expunge(ONE),
            }
        )
        self.check_refused(
            {
                "COPY 1": "a mailbox name",
                "COPY inbox 1": "a message number",
                "EXPUNGE 1": "end of the command",
                "UID EXPUNGE": "a set of UIDs",
                "UID": "a space and a command",
                "UID NOOP": "UID NOOP is no command",
                "UID UID FETCH 1 FLAGS": "UID UID is no command",
            }
        )

    def test_a_huge_set_costs_its_length(self) -> None:
        numbers = ",".join(f"{n}:*" for n in range(1, 20_001))
        value = self.parse(f"a UID EXPUNGE {numbers}").value
        assert isinstance(value, Expunge) and value.uids is not None
        self.assertEqual(len(value.uids.ranges), 20_000)
        self.assertEqual(value.uids.against(2**32 - 1).ranges, ((1, 2**32 - 1),))
