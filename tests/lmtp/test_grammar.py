"""One line into one LMTP command."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from twisted_duck.errors import BadSyntax
from twisted_duck.lmtp import grammar
from twisted_duck.lmtp.address import Address
from twisted_duck.lmtp.grammar import Bdat, Lhlo, Mail, Rcpt, Vrfy, parse

ANNA = Address("anna", "example.org")


class ParseTests(SynchronousTestCase):
    def test_every_command(self) -> None:
        for line, command in [
            ("LHLO mail.example.org", Lhlo("mail.example.org")),
            ("lhlo my_host", Lhlo("my_host")),
            ("LHLO [192.0.2.1]", Lhlo("[192.0.2.1]")),
            ("LHLO [IPv6:2001:db8::1] ", Lhlo("[IPv6:2001:db8::1]")),
            ("MAIL FROM:<anna@example.org>", Mail(ANNA)),
            ("mail from:<>", Mail(None)),
            ("MAIL FROM:<> SIZE=0", Mail(None, 0)),
            (
                "MAIL FROM:<anna@example.org> body=8bitmime SIZE=1000 SMTPUTF8",
                Mail(ANNA, 1000, "8BITMIME", True),
            ),
            ("MAIL FROM:<anna@example.org> BODY=7BIT", Mail(ANNA, None, "7BIT")),
            (
                "MAIL FROM:<änna@exämple.org> SMTPUTF8",
                Mail(Address("änna", "exämple.org"), utf8=True),
            ),
            ("RCPT TO:<anna@example.org>", Rcpt(ANNA)),
            ("rcpt to:<änna@example.org>", Rcpt(Address("änna", "example.org"))),
            ("RCPT TO:<postMASTER>", Rcpt(Address("postMASTER", None))),
            ("RCPT TO:<@a.example,@b.example:anna@example.org>", Rcpt(ANNA)),
            ("RCPT TO:<@[192.0.2.1]:anna@example.org>", Rcpt(ANNA)),
            ("RCPT TO:<anna@[192.0.2.1]>", Rcpt(Address("anna", "[192.0.2.1]"))),
            ("DATA", grammar.Data()),
            ("BDAT 0 LAST", Bdat(0, True)),
            ("bdat 1000", Bdat(1000, False)),
            ("RSET ", grammar.Rset()),
            ("NOOP", grammar.Noop()),
            ("NOOP whatever", grammar.Noop()),
            ("VRFY anna", Vrfy("anna")),
            ("QUIT", grammar.Quit()),
        ]:
            self.assertEqual(parse(line.encode()), command, line)

    def test_local_parts(self) -> None:
        for written, local in [
            ("a.b+c=d/e", "a.b+c=d/e"),
            ("!#$%&'*+-/=?^_`{|}~", "!#$%&'*+-/=?^_`{|}~"),
            ('"anna"', "anna"),
            ('"anna b"', "anna b"),
            ('"a@b>"', "a@b>"),
            (r'"a\"b\\"', 'a"b' + "\\"),
            (r'"\a"', "a"),
            ('".."', ".."),
            ("用户", "用户"),
        ]:
            command = parse(f"RCPT TO:<{written}@example.org>".encode())
            self.assertEqual(command, Rcpt(Address(local, "example.org")), written)

    def refused(self, code: str, *lines: str | bytes) -> None:
        for line in lines:
            with self.assertRaises(BadSyntax, msg=line) as caught:
                parse(line if isinstance(line, bytes) else line.encode())
            self.assertEqual(caught.exception.smtp, code, line)

    def test_what_is_no_command(self) -> None:
        self.refused(
            "500 5.5.2", "", " ", "HELO a", "EHLO a", "EXPN a", "DATA\t", "NOOP \0", "RSET\r"
        )
        self.refused("500 5.5.2", b"VRFY \xff", "VRFY a\x85b", "RCPT TO:<a\nb@example.org>")

    def test_arguments_that_are_none(self) -> None:
        self.refused(
            "501 5.5.4", "LHLO", "LHLO a b", "LHLO -a", "LHLO a.", "LHLO .a", "LHLO exämple.org"
        )
        self.refused("501 5.5.4", "LHLO [1.2.3]", "LHLO [IPv6:1]", "LHLO [x:y]", "LHLO [1.2.3.4")
        self.refused("501 5.5.4", f"LHLO {'a' * 64}.example", f"LHLO {'a.' * 130}a")
        self.refused("501 5.5.4", "DATA now", "RSET 1", "QUIT 1", "VRFY")
        self.refused("501 5.5.4", "BDAT", "BDAT x", "BDAT -1", "BDAT 1 FIRST", "BDAT 1  LAST")
        self.refused("501 5.5.4", "BDAT 1LAST", "BDAT " + "9" * 19)

    def test_paths_that_are_none(self) -> None:
        for keyword, nobody in (("MAIL FROM:", True), ("RCPT TO:", False)):
            for path in [
                "",
                "a@b.example",
                "<a@b.example",
                "<a@b.example>x",
                " <a@b.example>",
                "< a@b.example>",
                "<a@>",
                "<@b.example>",
                "<a>",
                "<a@b@c.example>",
                "<a b@c.example>",
                "<.a@b.example>",
                "<a.@b.example>",
                "<a..b@c.example>",
                '<"@b.example>',
                '<""@b.example>',
                '<"a"b@c.example>',
                '<"a\\"@b.example>',
                "<a@-b.example>",
                "<a@b-.example>",
                "<a@b..example>",
                "<a@[999.1.1.1]>",
                "<@a.example:>",
                "<@a.example,b.example:c@d.example>",
                "<a@b.example>  SIZE=1",
                *([] if nobody else ["<>"]),
            ]:
                self.refused("501 5.5.4", f"{keyword}{path}")
        self.refused("501 5.5.4", "MAIL <a@b.example>", "MAIL FROM <a@b.example>", "MAIL", "RCPT")
        self.refused("501 5.5.4", "MAIL FROM:<postmaster>", "RCPT FROM:<a@b.example>")

    def test_parameters(self) -> None:
        mail = "MAIL FROM:<a@b.example> "
        self.refused("501 5.5.4", mail + "SIZE", mail + "SIZE=", mail + "SIZE=x", mail + "SIZE=-1")
        self.refused("501 5.5.4", mail + "SIZE=1 SIZE=1", mail + "SIZE=" + "1" * 21)
        self.refused("501 5.5.4", mail + "BODY=BINARYMIME", mail + "BODY", mail + "SMTPUTF8=1")
        self.refused("501 5.5.4", mail + "=1", mail + "A==", mail + "A  B", mail + "-A")
        self.refused("555 5.5.4", mail + "RET=FULL", mail + "AUTH=<>", mail + "SIZE=1 X")
        self.refused("555 5.5.4", "RCPT TO:<a@b.example> NOTIFY=NEVER")
        self.refused("550 5.6.7", "MAIL FROM:<ä@b.example>", "MAIL FROM:<a@ä.example> SIZE=1")

    @given(
        st.binary()
        | st.builds(
            bytes.__add__,
            st.sampled_from([b"MAIL FROM:", b"RCPT TO:", b"LHLO ", b"BDAT "]),
            st.text('<>@.:,"\\[]a1 =-ä').map(str.encode),
        )
    )
    def test_nothing_but_bad_syntax_comes_of_other_bytes(self, line: bytes) -> None:
        try:
            parse(line)
        except BadSyntax as error:
            self.assertRegex(error.smtp, r"\A5\d\d 5\.\d\.\d\Z")

    @given(st.text(st.characters(min_codepoint=32, exclude_characters="\x7f"), min_size=1))
    def test_an_address_is_read_as_it_was_written(self, local: str) -> None:
        address = Address(local, "example.org")
        try:
            command = parse(f"RCPT TO:<{address}>".encode("utf-8", "surrogatepass"))
        except BadSyntax:
            # C1 controls, and halves of characters.
            self.assertFalse(local.isascii())
            return
        self.assertEqual(command, Rcpt(address))

    def test_long_lines_take_no_time(self) -> None:
        for local in ('"' + "\\\\" * 100_000, "a." * 100_000, "ä" * 100_000 + "@" + "a-" * 100_000):
            with self.assertRaises(BadSyntax):
                parse(f"RCPT TO:<{local}".encode())
