"""Addresses in their compared form, and whose mail is for whom."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from twisted_duck.addresses import (
    AddressRules,
    Form,
    Owners,
    Wanted,
    compared_domain,
    form,
    form_of_name,
)
from twisted_duck.errors import Cannot


class FormTests(SynchronousTestCase):
    def test_spellings_of_one_address(self) -> None:
        for spellings in (
            ("Ada@Example.ORG", "ada@example.org", "ADA@EXAMPLE.ORG"),
            ("a@b\u00fccher.example", "a@XN--BCHER-kva.example", "a@BU\u0308CHER.example"),
            ("jos\u00e9@example.org", "jose\u0301@example.org", "JOS\u00c9@example.org"),
            ("a@example.org", "a@example\uff0eorg", "a@example\u3002org"),
        ):
            self.assertEqual(len({form(each).key for each in spellings}), 1, spellings)

    def test_different_addresses(self) -> None:
        keys = [
            form(each).key
            for each in (
                "a@strasse.example",
                "a@stra\u00dfe.example",
                "a@example.org",
                "a@xn--example-.org",
                "a@xn--example.org",
                "a.b@example.org",
                "ab@example.org",
            )
        ]
        self.assertEqual(len(set(keys)), len(keys), keys)

    def test_a_domain_keeps_its_sharp_s(self) -> None:
        self.assertEqual(compared_domain("xn--strae-oqa.example"), "stra\u00dfe.example")

    def test_dots_count_in_domains(self) -> None:
        self.assertEqual(form("a.b.c@d.e"), Form("a.b.c@d.e", "abc@d.e"))

    def test_the_address_that_a_name_is(self) -> None:
        self.assertEqual(form_of_name("Ada@Example.org").key, "ada@example.org")
        self.assertEqual(form_of_name("Ada.L"), Form("ada.l", "ada.l"))

    def test_what_is_no_address(self) -> None:
        for address in (
            *("", "a", "@", "a@", "@b", "a@b..c", "a@.b", "a b@c", "a@b c", "a@b\n", "a\0@b"),
            *(
                "a@b,c",
                "a@<b>",
                "\ud800@b",
                "a@\ud800",
                "a" * 250 + "@b.de",
                "\u00e9" * 130 + "@b.de",
            ),
        ):
            self.assertRaises(Cannot, form, address)

    @given(st.text(max_size=300))
    def test_a_form_is_its_own_form(self, text: str) -> None:
        try:
            kept = form(text)
        except Cannot:
            return
        self.assertEqual(form(kept.key), kept)

    @given(st.text(max_size=300))
    def test_a_domains_form_is_its_own_form(self, text: str) -> None:
        kept = compared_domain(text)
        if kept is not None:
            self.assertEqual(compared_domain(kept), kept)

    @given(
        st.text(st.characters(codec="utf-8", exclude_categories=["C", "Z", "P", "S"]), min_size=1)
    )
    def test_an_a_label_is_its_u_label(self, text: str) -> None:
        kept = compared_domain(text)
        if kept is None or kept.isascii() or "." in kept:
            return
        label = "xn--" + kept.encode("punycode").decode()
        if len(label) <= 63:
            self.assertEqual(compared_domain(label.upper()), kept)


class ChoiceTests(SynchronousTestCase):
    THERE = (
        ("ada.l@example.org", "ada"),
        ("bob@example.org", "bob"),
        ("bob+lists@example.org", "lists"),
        ("e.ve@example.org", "eve"),
        ("ev.e@example.org", "mallory"),
        ("*@example.org", "all"),
        ("ada.l@other.example", "namesake"),
        ("carol@target.example", "carol"),
        ("*@target.example", "target"),
    )

    def whose(
        self, local: str, domain: str | None, alias_of: str | None = None, dots: bool = True
    ) -> str | None:
        wanted = Wanted.of(local, domain, AddressRules(ignore_dots=dots))
        if wanted is None:
            return None
        return Owners((form(address), user) for address, user in self.THERE).choose(
            wanted.candidates(alias_of)
        )

    def test_the_first_that_is_somebodys(self) -> None:
        for local, user in [
            ("ada.l", "ada"),
            ("ADA.L", "ada"),
            ("adal", "ada"),
            ("a.d.a.l", "ada"),
            ("ada.l+news", "ada"),
            ("ad.al+news+more", "ada"),
            ("bob+", "bob"),
            ("bob+news", "bob"),
            ("bob+lists", "lists"),
            ("b.ob+lists", "lists"),
            ("+lists", "all"),
            ("nobody", "all"),
            ("*", "all"),
            ("two words", "all"),
        ]:
            self.assertEqual(self.whose(local, "EXAMPLE.org"), user, local)

    def test_dots_that_count(self) -> None:
        self.assertEqual(self.whose("ada.l+x", "example.org", dots=False), "ada")
        self.assertEqual(self.whose("adal", "example.org", dots=False), "all")

    def test_two_users_who_differ_in_a_dot(self) -> None:
        """Each gets what is surely for each; what may be for both is for neither."""
        self.assertEqual(self.whose("e.ve", "example.org"), "eve")
        self.assertEqual(self.whose("ev.e+x", "example.org"), "mallory")
        self.assertEqual(self.whose("eve", "example.org"), "all")

    def test_an_alias(self) -> None:
        self.assertEqual(self.whose("carol", "alias.example", "target.example"), "carol")
        self.assertEqual(self.whose("x", "alias.example", "target.example"), "target")
        self.assertEqual(self.whose("bob", "example.org", "target.example"), "bob")
        self.assertEqual(self.whose("carol", "example.org", "target.example"), "carol")
        self.assertEqual(self.whose("x", "example.org", "target.example"), "all")

    def test_nobody(self) -> None:
        for local, domain in [
            ("ada.l", "example.com"),
            ("ada.l", "sub.example.org"),
            ("postmaster", None),
            ("a" * 300, "other.example"),
        ]:
            self.assertIsNone(self.whose(local, domain))

    @given(st.text(max_size=80), st.text(max_size=80), st.booleans())
    def test_anything_may_be_asked_for(self, local: str, domain: str, dots: bool) -> None:
        self.whose(local, domain, None, dots)
