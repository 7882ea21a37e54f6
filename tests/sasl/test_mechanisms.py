"""Each mechanism's exchanges, as transcripts of decoded challenges and responses."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from twisted_duck.errors import AuthenticationFailed, BadSyntax
from twisted_duck.sasl import MECHANISMS, Challenge, Credentials


class PlainTests(SynchronousTestCase):
    def plain(self, message: bytes) -> object:
        return MECHANISMS["PLAIN"]().start(message)

    def test_initial_response(self) -> None:
        """RFC 4616 §4, the first example."""
        self.assertEqual(
            self.plain(b"\0tim\0tanstaaftanstaaf"), Credentials("tim", "tanstaaftanstaaf")
        )

    def test_without_an_initial_response_the_client_is_asked_by_an_empty_challenge(self) -> None:
        mechanism = MECHANISMS["PLAIN"]()
        self.assertEqual(mechanism.start(None), Challenge(b""))
        self.assertEqual(mechanism.step(b"\0tim\0secret"), Credentials("tim", "secret"))

    def test_identity_that_is_the_name_is_accepted(self) -> None:
        self.assertEqual(self.plain(b"tim\0tim\0secret"), Credentials("tim", "secret"))

    def test_another_identity_is_refused(self) -> None:
        """RFC 4616 §4, the second example: Kurt may not act for Ursel here."""
        self.assertRaises(AuthenticationFailed, self.plain, b"Ursel\0Kurt\0xipj3plmq")

    def test_text_is_kept_as_it_was_sent(self) -> None:
        """No normalisation: composed and decomposed stay apart, spaces stay."""
        for name, password in (("j\u00f6rg", " \u00e4\u00a0b "), ("jo\u0308rg", "a\u0308")):
            message = f"\0{name}\0{password}".encode()
            self.assertEqual(self.plain(message), Credentials(name, password))

    def test_wrong_number_of_fields(self) -> None:
        for message in (b"", b"tim", b"tim\0secret", b"\0tim\0sec\0ret", b"\0\0\0\0"):
            self.assertRaises(BadSyntax, self.plain, message)

    def test_empty_name_or_password(self) -> None:
        for message in (b"\0\0secret", b"\0tim\0", b"\0\0"):
            self.assertRaises(AuthenticationFailed, self.plain, message)

    def test_what_is_not_utf8_is_refused(self) -> None:
        for message in (b"\0j\xf6rg\0secret", b"\0tim\0\xff", b"\0tim\0\xed\xa0\x80"):
            self.assertRaises(AuthenticationFailed, self.plain, message)

    @given(st.binary())
    def test_any_bytes_give_credentials_or_a_declared_error(self, message: bytes) -> None:
        try:
            step = self.plain(message)
        except (BadSyntax, AuthenticationFailed):
            return
        self.assertIsInstance(step, Credentials)


class LoginTests(SynchronousTestCase):
    def test_name_and_password_are_asked_for(self) -> None:
        mechanism = MECHANISMS["LOGIN"]()
        self.assertEqual(mechanism.start(None), Challenge(b"Username:"))
        self.assertEqual(mechanism.step(b"tim"), Challenge(b"Password:"))
        self.assertEqual(mechanism.step(b"secret"), Credentials("tim", "secret"))

    def test_initial_response_is_the_name(self) -> None:
        mechanism = MECHANISMS["LOGIN"]()
        self.assertEqual(mechanism.start(b"tim"), Challenge(b"Password:"))
        self.assertEqual(mechanism.step(b"secret"), Credentials("tim", "secret"))

    def test_empty_not_utf8_or_nul_is_refused(self) -> None:
        for name, password in (
            (b"", b"x"),
            (b"tim", b""),
            (b"\xff", b"x"),
            (b"t\0m", b"x"),
            (b"tim", b"\0"),
        ):
            mechanism = MECHANISMS["LOGIN"]()
            mechanism.start(name)
            self.assertRaises(AuthenticationFailed, mechanism.step, password)


class TableTests(SynchronousTestCase):
    def test_a_mechanism_that_shows_the_password_needs_privacy(self) -> None:
        self.assertEqual(
            [(name, cls.name, cls.needs_privacy) for name, cls in MECHANISMS.items()],
            [("PLAIN", "PLAIN", True), ("LOGIN", "LOGIN", True)],
        )

    def test_a_password_is_never_in_a_repr(self) -> None:
        self.assertEqual(repr(Credentials("tim", "secret")), "Credentials(name='tim')")
