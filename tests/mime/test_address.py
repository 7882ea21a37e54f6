"""Addresses of RFC 5322, current and obsolete, and what is none."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from tests.mime.corpus import large, own
from twisted_duck.mime import address
from twisted_duck.mime.address import GROUP_END, Address, addresses, by_tokens
from twisted_duck.mime.header import fields, unfold

A = Address
#: What address fields are put together from, right or wrong.
_PIECES = [
    *b'a b.c @ < > , ; : . " "x\\ty" "\\\\" ( ) (c) [ ] [192.0.2.1] \\ \xe9 \0'.split(),
    *(b" ", b"\t", b"\r\n ", b"\x0b", b'"x y"', b'" q "', b"J. S", b"a " * 998, b"a" * 998),
    *(b"<a@b>", b"a@b, ", b"<a@b>, ", b'"N" <c@d>,'),
]


class AddressTests(SynchronousTestCase):
    def check(self, raw: bytes, *expected: Address) -> None:
        self.assertEqual(list(addresses(raw)), list(expected), raw)

    def test_mailboxes(self) -> None:
        joe = A(None, None, b"joe", b"example.org")
        self.check(b" joe@example.org\r\n", joe)
        self.check(b"<joe@example.org>", joe)
        self.check(
            b'"Joe Q. Public" <joe@example.org>', A(b"Joe Q. Public", None, b"joe", b"example.org")
        )
        self.check(
            b"Joe\r\n Public <joe@example.org>", A(b"Joe Public", None, b"joe", b"example.org")
        )
        self.check(b'"Joe \\"Q\\"" <joe@example.org>', A(b'Joe "Q"', None, b"joe", b"example.org"))
        self.check(
            b"joe@example.org (Joe (Q) Public)", A(b"Joe (Q) Public", None, b"joe", b"example.org")
        )
        self.check(b'"odd local"@[192.0.2.1]', A(None, None, b"odd local", b"[192.0.2.1]"))
        self.check(b"=?utf-8?q?J=C3=B6rg?= <j@x>", A(b"=?utf-8?q?J=C3=B6rg?=", None, b"j", b"x"))
        self.check(b"J\xc3\xb6rg <j@x>", A(b"J\xc3\xb6rg", None, b"j", b"x"))

    def test_lists_and_groups(self) -> None:
        self.check(b"a@x, b@y", A(None, None, b"a", b"x"), A(None, None, b"b", b"y"))
        self.check(
            b"undisclosed-recipients:;", A(None, None, b"undisclosed-recipients", None), GROUP_END
        )
        self.check(
            b"a@x, Group One: b@y, C <c@z>;, d@x",
            A(None, None, b"a", b"x"),
            A(None, None, b"Group One", None),
            A(None, None, b"b", b"y"),
            A(b"C", None, b"c", b"z"),
            GROUP_END,
            A(None, None, b"d", b"x"),
        )
        self.check(b"G: a@x", A(None, None, b"G", None), A(None, None, b"a", b"x"), GROUP_END)

    def test_obsolete_syntax(self) -> None:
        self.check(
            b"<@a.example,@b.example:joe@x>", A(None, b"@a.example,@b.example", b"joe", b"x")
        )
        self.check(b", ,a@x,,", A(None, None, b"a", b"x"))
        self.check(b"joe . public @ example . org", A(None, None, b"joe.public", b"example.org"))
        self.check(b"a@x; b@y", A(None, None, b"a", b"x"), A(None, None, b"b", b"y"))

    def test_what_is_no_address(self) -> None:
        self.check(b"")
        self.check(b" , ;")
        self.check(b"postmaster", A(None, None, b"postmaster", b""))
        self.check(b"Mary Smith", A(b"Mary Smith", None, b"", b""))
        self.check(b"Mary mary@x", A(b"Mary", None, b"mary", b"x"))
        self.check(b"<>", A(None, None, b"", b""))
        self.check(b"Joe <joe@x", A(b"Joe", None, b"joe", b"x"))
        self.check(b"joe@x>", A(None, None, b"joe", b"x"))
        self.check(b'"Joe <joe@x>', A(b'"Joe', None, b"joe", b"x"))
        self.check(b"joe@x (never closed", A(b"never closed", None, b"joe", b"x"))
        self.check(b"joe@x Joe Public", A(None, None, b"joe", b"x"))
        self.check(b'joe@x"Joe Public"', A(None, None, b"joe", b"x"))
        self.check(b"joe@x mary@y", A(None, None, b"joe", b"x"))
        self.check(b"joe@x.org. example@y", A(None, None, b"joe", b"x.org.example"))
        self.check(b"joe@x <>", A(None, None, b"joe", b"x"))
        self.check(b"Joe Public <>", A(b"Joe Public", None, b"", b""))
        self.check(b"joe@x <mary@y>", A(b"joe@x", None, b"mary", b"y"))
        self.check(b"[Joe P. <joe@x>]", A(b"[Joe P.", None, b"joe", b"x"))

    @given(st.one_of(st.binary(), st.text('ab .,:;<>@"()\\[]\n').map(str.encode)))
    def test_anything_has_groups_in_pairs(self, raw: bytes) -> None:
        depth = 0
        for one in addresses(raw):
            if one.host is None:
                depth += 1 if one.mailbox is not None else -1
                self.assertIn(depth, (0, 1))
            else:
                self.assertIsNotNone(one.mailbox)
        self.assertEqual(depth, 0)

    @given(st.lists(st.sampled_from(_PIECES)).map(b"".join))
    def test_in_one_step_it_is_what_the_tokens_say(self, raw: bytes) -> None:
        self.assertEqual(list(addresses(raw)), list(by_tokens(unfold(raw))))

    def test_fields_of_real_mail_are_what_their_tokens_say(self) -> None:
        for corpus in filter(None, (own(), large())):
            for message in corpus.messages.values():
                for field in fields(message):
                    raw = message[field.value : field.end]
                    self.assertEqual(list(addresses(raw)), list(by_tokens(unfold(raw))))

    def test_of_what_is_common_no_tokens_are_made(self) -> None:
        self.patch(address, "by_tokens", None)
        joe = A(None, None, b"joe", b"example.org")
        self.check(b'joe@example.org, "Joe \\"P.\\"" <j@p>', joe, A(b'Joe "P."', None, b"j", b"p"))
        self.check(
            b"J\xc3\xb6 P. \r\n <j@p>,<j@p>",
            A(b"J\xc3\xb6 P.", None, b"j", b"p"),
            A(None, None, b"j", b"p"),
        )

    def test_hostile_fields_end(self) -> None:
        """Each would take hours if a step were not linear."""
        for raw in (
            b"(" * 50_000,
            b'"\\' * 30_000,
            b'"a' * 30_001,
            b"<@a," * 20_000,
            b"a@b:" * 20_000,
            b"a " * 30_000,
            b"[" * 50_000,
            b"<" * 30_000,
            b"a:;" * 20_000,
        ):
            for _ in addresses(raw):
                pass
