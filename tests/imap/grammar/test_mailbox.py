"""RFC 3501 §6.3, §6.4.1, §6.4.2; RFC 3691; RFC 7162; RFC 7889."""

from tests.imap.grammar.support import GrammarCase
from twisted_duck.errors import Cannot
from twisted_duck.imap.grammar import (
    Check,
    Close,
    Create,
    Delete,
    Known,
    Rename,
    Select,
    Subscribe,
    Unselect,
    Unsubscribe,
)
from twisted_duck.values import UIDSet


class Mailboxes(GrammarCase):
    def test_by_name(self) -> None:
        self.check_values(
            {
                "SELECT INBOX": Select("INBOX"),
                "SELECT inBox": Select("INBOX"),
                'EXAMINE "inbox/Lists"': Select("INBOX/Lists", readonly=True),
                "CREATE owatagusiam/": Create("owatagusiam"),
                "CREATE owatagusiam/blurdybloop": Create("owatagusiam/blurdybloop"),
                "CREATE a (USE (\\Drafts \\sent))": Create("a", ("\\Drafts", "\\sent")),
                "CREATE a/ (use ())": Create("a"),
                "DELETE {3}\r\nfoo": Delete("foo"),
                "RENAME blurdybloop sarasoop": Rename("blurdybloop", "sarasoop"),
                'RENAME INBOX "old mail"': Rename("INBOX", "old mail"),
                "SUBSCRIBE #news.comp.mail.mime": Subscribe("#news.comp.mail.mime"),
                "UNSUBSCRIBE Entw&APw-rfe": Unsubscribe("Entwürfe"),
                'SELECT ""': Select(""),
                "CHECK": Check(),
                "CLOSE": Close(),
                "UNSELECT": Unselect(),
            }
        )
        self.check_refused(
            {
                "SELECT": "a mailbox name",
                "CREATE a ()": "a modifier",
                "CREATE a (USE)": "'('",
                "CREATE a (USE (Sent))": "a special use",
                "CREATE a (USE (\\Sent)": "a modifier, or ')'",
                "CREATE a (SIZE 5)": "SIZE is no modifier",
                "SELECT a b": "'(' and a modifier",
                "SELECT a ()": "a modifier",
                "SELECT a (FOO)": "FOO is no modifier",
                "SELECT a (CONDSTORE CONDSTORE)": "stands there twice",
                "SELECT a (QRESYNC)": "'('",
                "SELECT a (QRESYNC (1))": "a modseq",
                "SELECT a (QRESYNC (0 1))": "a UIDVALIDITY has to be from 1",
                "SELECT a (QRESYNC (1 0))": "a modseq has to be from 1",
                "SELECT a (QRESYNC (1 9223372036854775808))": "a modseq has to be",
                "SELECT a (QRESYNC (1 1 1:*))": "can't be in this set",
                "SELECT a (QRESYNC (1 1 *))": "can't be in this set",
                "SELECT a (QRESYNC (1 1 1:2 (1:2 5)))": "not as many UIDs",
                "SELECT a (QRESYNC (1 1 1:2 (2,1 5,6)))": "has to ascend",
                "SELECT a (QRESYNC (1 1 1:2 (1,2 6:5)))": "has to ascend",
                "SELECT a (QRESYNC (1 1 1:2 (1,1 5,6)))": "has to ascend",
                "SELECT a (QRESYNC (1 1 1:2 (1)))": "the UIDs of these",
                "SELECT a (QRESYNC (1 1 1:2 ()))": "a message number",
                "SELECT a*": "end of the command",
                "RENAME a": "a mailbox name",
                "SELECT {2}\r\na\0": "NUL",
            }
        )

    def test_what_a_client_knows(self) -> None:
        known = UIDSet(((41, 211), (214, 541)))
        self.check_values(
            {
                "SELECT a (CONDSTORE)": Select("a", condstore=True),
                "EXAMINE a (condstore)": Select("a", readonly=True, condstore=True),
                "SELECT a (QRESYNC (67890007 20050715194045000 41:211,214:541))": Select(
                    "a", known=Known(67890007, 20050715194045000, known)
                ),
                "SELECT a (QRESYNC (1 2) CONDSTORE)": Select(
                    "a", condstore=True, known=Known(1, 2)
                ),
                "SELECT a (QRESYNC (1 2 9,7 (1,3:4 7:8,11)))": Select(
                    "a",
                    known=Known(
                        1,
                        2,
                        UIDSet(((7, 7), (9, 9))),
                        UIDSet(((1, 1), (3, 4))),
                        UIDSet(((7, 8), (11, 11))),
                    ),
                ),
                "SELECT a (QRESYNC (1 2 (5 9)))": Select(
                    "a", known=Known(1, 2, None, UIDSet(((5, 5),)), UIDSet(((9, 9),)))
                ),
            }
        )

    def test_names_are_modified_utf7_or_refused(self) -> None:
        for line in ("a SELECT R&D", 'a SELECT "Entwürfe"'):
            self.assertRaises(Cannot, self.parse, line)
