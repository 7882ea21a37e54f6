"""RFC 3501 §6.1, §6.2; RFC 2971; RFC 4959; RFC 5161."""

from tests.imap.grammar.support import GrammarCase
from twisted_duck.imap.grammar import (
    Authenticate,
    Capability,
    Enable,
    Id,
    Idle,
    Login,
    Logout,
    Namespace,
    Noop,
    StartTLS,
)


class Session(GrammarCase):
    def test_without_arguments(self) -> None:
        self.check_values(
            {
                "CAPABILITY": Capability(),
                "noop": Noop(),
                "LogOut": Logout(),
                "STARTTLS": StartTLS(),
                "NAMESPACE": Namespace(),
                "IDLE": Idle(),
            }
        )
        self.check_refused({"NOOP x": "end of the command", "NOOP ": "end of the command"})

    def test_login(self) -> None:
        self.check_values(
            {
                "LOGIN fred secret": Login(b"fred", b"secret"),
                'LOGIN "fr ed" "a\\"b\\\\c"': Login(b"fr ed", b'a"b\\c'),
                "LOGIN {4}\r\nfred {3+}\r\na\r\n": Login(b"fred", b"a\r\n"),
                "LOGIN {4}\r\nfred secret": Login(b"fred", b"secret"),
                'LOGIN "" ""': Login(b"", b""),
                'LOGIN "fréd" "pässword"': Login("fréd".encode(), "pässword".encode()),
                "LOGIN fred@example.org pass]word": Login(b"fred@example.org", b"pass]word"),
            }
        )
        self.check_refused(
            {
                "LOGIN": "a user name at octet 9",
                "LOGIN fred": "a password at octet 14",
                "LOGIN  fred x": "a user name at octet 10",
                "LOGIN fred x y": "end of the command",
                'LOGIN "fred x': "quoted string without its end",
                'LOGIN "fr\\ed" x': "quoted string without its end",
                'LOGIN "fr\red" x': "quoted string without its end",
                "LOGIN fréd x": "a password at octet 12",
                "LOGIN fr\red x": "a bare CR is never allowed",
                b"LOGIN fr\0ed x": "NUL is never allowed",
                "LOGIN {3}\r\na\0b x": "NUL can't be in a user name",
                "LOGIN ~{3}\r\nabc x": "binary data",
                "LOGIN fred{3}\r\nabc": "a password",
                "LOGIN {3}\r\nabcd x": "a password",
                "LOGIN NIL": "a password",
                "LOGIN (fred) x": "a user name",
                "LOGIN % x": "a user name",
            }
        )

    def test_passwords_are_not_shown(self) -> None:
        self.assertNotIn("secret", repr(self.parse("a LOGIN fred secret")))
        self.assertNotIn("fred", repr(self.parse("a AUTHENTICATE PLAIN AGZyZWQAc2VjcmV0")))

    def test_authenticate(self) -> None:
        self.check_values(
            {
                "AUTHENTICATE plain": Authenticate("PLAIN"),
                "AUTHENTICATE PLAIN AGZyZWQAc2VjcmV0": Authenticate("PLAIN", b"\0fred\0secret"),
                "AUTHENTICATE PLAIN =": Authenticate("PLAIN", b""),
                "AUTHENTICATE SCRAM-SHA-1 YQ==": Authenticate("SCRAM-SHA-1", b"a"),
            }
        )
        self.check_refused(
            {
                "AUTHENTICATE": "a mechanism",
                "AUTHENTICATE PLAIN ": "base64",
                "AUTHENTICATE PLAIN YQ": "not base64",
                "AUTHENTICATE PLAIN YQ=": "not base64",
                "AUTHENTICATE PLAIN YQ==YQ==": "end of the command",
                "AUTHENTICATE PLAIN *": "base64",
            }
        )

    def test_id(self) -> None:
        self.check_values(
            {
                "ID NIL": Id(),
                "ID ()": Id(),
                'ID ("Name" "Duck" "version" NIL)': Id((("name", "Duck"), ("version", None))),
                'ID ("name" {4}\r\nDuck)': Id((("name", "Duck"),)),
                b'ID ("name" "\xff")': Id((("name", "\ufffd"),)),
            }
        )
        pair = '"a" "b"'
        self.parse(f"a ID ({' '.join([pair] * 30)})")
        self.check_refused(
            {
                "ID": "'(' or NIL",
                "ID x": "a list or NIL",
                'ID ("name")': "a space and a value",
                "ID (name NIL)": "a field name",
                'ID ("name" x)': "a string or NIL",
                f"ID ({' '.join([pair] * 31)})": "RFC 2971",
                f'ID ("{"n" * 31}" NIL)': "RFC 2971",
                f'ID ("n" "{"v" * 1025}")': "RFC 2971",
            }
        )

    def test_enable(self) -> None:
        self.check_values({"ENABLE condstore X-Foo": Enable(("CONDSTORE", "X-FOO"))})
        self.check_refused({"ENABLE": "an extension", "ENABLE x ": "an extension"})
