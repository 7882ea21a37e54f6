"""RFC 3501 §6.3, §6.4.1, §6.4.2; RFC 3691; RFC 7889."""

from tests.imap.grammar.support import GrammarCase
from twisted_duck.errors import Cannot
from twisted_duck.imap.grammar import (
    Check,
    Close,
    Create,
    Delete,
    List,
    Lsub,
    Rename,
    Select,
    Status,
    StatusItem,
    Subscribe,
    Unselect,
    Unsubscribe,
)


class Mailboxes(GrammarCase):
    def test_by_name(self) -> None:
        self.check_values(
            {
                "SELECT INBOX": Select("INBOX"),
                "SELECT inBox": Select("INBOX"),
                'EXAMINE "inbox/Lists"': Select("INBOX/Lists", readonly=True),
                "CREATE owatagusiam/": Create("owatagusiam"),
                "CREATE owatagusiam/blurdybloop": Create("owatagusiam/blurdybloop"),
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
                "SELECT a b": "end of the command",
                "SELECT a (CONDSTORE)": "end of the command",
                "SELECT a*": "end of the command",
                "RENAME a": "a mailbox name",
                "SELECT {2}\r\na\0": "NUL",
            }
        )

    def test_names_are_modified_utf7_or_refused(self) -> None:
        for line in ("a SELECT R&D", 'a SELECT "Entwürfe"', "a LIST &AGE- *", "a LIST x &AGE-"):
            self.assertRaises(Cannot, self.parse, line)

    def test_list(self) -> None:
        self.check_values(
            {
                'LIST "" *': List("", ("*",)),
                "LIST foo/ %": List("foo/", ("%",)),
                'LIST "" ""': List("", ("",)),
                'LIST "" "b%r*"': List("", ("b%r*",)),
                "LIST {0}\r\n {1}\r\n*": List("", ("*",)),
                'LIST "" a]%': List("", ("a]%",)),
                'LIST "" &AOQ-%': List("", ("ä%",)),
                'LIST "" inbox': List("", ("inbox",)),
                'LSUB "#news." "comp.mail.*"': Lsub("#news.", "comp.mail.*"),
            }
        )
        self.check_refused(
            {
                'LIST ""': "a mailbox pattern",
                "LIST * *": "a reference",
                'LIST "" (a b)': "a mailbox pattern",
                'LIST (SUBSCRIBED) "" *': "a reference",
                'LIST "" * RETURN (CHILDREN)': "end of the command",
            }
        )

    def test_status(self) -> None:
        every = tuple(StatusItem)
        self.check_values(
            {
                "STATUS blurdybloop (UIDNEXT messages)": Status(
                    "blurdybloop", (StatusItem.UIDNEXT, StatusItem.MESSAGES)
                ),
                "STATUS inbox (UNSEEN UNSEEN)": Status("INBOX", (StatusItem.UNSEEN,)),
                f"STATUS x ({' '.join(item.value for item in every)})": Status("x", every),
            }
        )
        self.check_refused(
            {
                "STATUS x": "'('",
                "STATUS x ()": "a status item",
                "STATUS x MESSAGES": "'(' and a status item",
                "STATUS x (MESSAGES": "a status item, or ')'",
                "STATUS x (MESSAGES )": "a status item",
                "STATUS x (FOO)": "FOO is no status item",
            }
        )
