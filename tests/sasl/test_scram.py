"""SCRAM: the exchanges of the RFCs, and what is wrong with others."""

from __future__ import annotations

from base64 import b64decode, b64encode

from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from tests.sasl.client import ScramClient
from twisted_duck.errors import AuthenticationFailed, BadSyntax, Cannot, Corruption
from twisted_duck.sasl import SCRAM, Scram, Verifier
from twisted_duck.sasl.saslprep import saslprep

EXPORTER = {"tls-exporter": (b"exported",), "tls-server-end-point": (b"certificate",)}
PENCIL = Verifier.of("SCRAM-SHA-256", "pencil", b"0123456789abcdef", 4096)


def server(mechanism: str = "SCRAM-SHA-256", bindings: object = ()) -> Scram:
    return Scram(mechanism, "3rfcNHYJY1ZVvWVs7j", dict(bindings))  # type: ignore[call-overload]


class ExampleTests(SynchronousTestCase):
    def transcript(self, mechanism: str, nonce: str, verifier: Verifier, *lines: bytes) -> None:
        first, challenge, final, verdict = lines
        scram = Scram(mechanism, nonce, {})
        scram.begin(first)
        self.assertEqual(scram.username, "user")
        self.assertEqual(scram.challenge(verifier), challenge)
        self.assertTrue(scram.prove(final))
        self.assertEqual(scram.final, verdict)

    def test_sha1(self) -> None:
        """RFC 5802 §5."""
        self.transcript(
            "SCRAM-SHA-1",
            "3rfcNHYJY1ZVvWVs7j",
            Verifier.of("SCRAM-SHA-1", "pencil", b64decode("QSXCR+Q6sek8bf92"), 4096),
            b"n,,n=user,r=fyko+d2lbbFgONRv9qkxdawL",
            b"r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,s=QSXCR+Q6sek8bf92,i=4096",
            b"c=biws,r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,p=v0X8v3Bz2T0CJGbJQyF0X+HI4Ts=",
            b"v=rmF9pqV8S7suAoZWja4dJRkFsKQ=",
        )

    def test_sha256(self) -> None:
        """RFC 7677 §3."""
        self.transcript(
            "SCRAM-SHA-256",
            "%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0",
            Verifier.of("SCRAM-SHA-256", "pencil", b64decode("W22ZaJ0SNY7soEsUEjb6gQ=="), 4096),
            b"n,,n=user,r=rOprNGfwEbeRWgbNEkqO",
            b"r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096",
            b"c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0"
            b",p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=",
            b"v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=",
        )


class ExchangeTests(SynchronousTestCase):
    def good(self, scram: Scram, client: ScramClient, verifier: Verifier = PENCIL) -> bool:
        scram.begin(client.first)
        good = scram.prove(client.final(scram.challenge(verifier)))
        if good:
            self.assertTrue(client.verify(scram.final))
        return good

    def test_wrong_password(self) -> None:
        self.assertFalse(self.good(server(), ScramClient("sha256", "user", "Pencil")))

    def test_no_password_fits_what_is_pretended(self) -> None:
        verifier = Verifier.pretended("SCRAM-SHA-256", b"seed", 4096)
        self.assertFalse(self.good(server(), ScramClient("sha256", "user", "pencil"), verifier))

    def test_what_is_pretended_looks_like_a_verifier_and_does_not_change(self) -> None:
        one, same, other = (
            Verifier.pretended("SCRAM-SHA-256", seed, 4096) for seed in (b"a", b"a", b"b")
        )
        self.assertEqual(one, same)
        self.assertNotEqual(one.salt, other.salt)
        self.assertNotEqual(one.salt, Verifier.pretended("SCRAM-SHA-1", b"a", 4096).salt)
        self.assertEqual(
            [len(getattr(one, name)) for name in ("salt", "stored_key", "server_key")],
            [len(getattr(PENCIL, name)) for name in ("salt", "stored_key", "server_key")],
        )

    def test_a_name_with_comma_equals_sign_and_letters_of_any_kind(self) -> None:
        scram = server()
        scram.begin(ScramClient("sha256", "a,b=c=2C=3D2Cö", "pencil").first)
        self.assertEqual(scram.username, "a,b=c=2C=3D2Cö")

    def test_extensions_are_passed_over_and_are_part_of_what_is_proven(self) -> None:
        client = ScramClient("sha256", "user", "pencil")
        client.bare += b",x=anything,y=else"
        self.assertTrue(self.good(server(), client))

    def test_the_user_may_act_for_itself_and_for_nobody_else(self) -> None:
        self.assertTrue(
            self.good(server(), ScramClient("sha256", "user", "pencil", header=b"n,a=user,"))
        )
        self.assertRaises(AuthenticationFailed, server().begin, b"n,a=other,n=user,r=abc")

    def test_every_type_of_channel_binding_that_the_channel_has(self) -> None:
        for kind, [data] in EXPORTER.items():
            header = f"p={kind},,".encode()
            client = ScramClient("sha256", "user", "pencil", header=header, binding=data)
            self.assertTrue(self.good(server("SCRAM-SHA-256-PLUS", EXPORTER), client))

    def test_one_of_several_values(self) -> None:
        for data in (b"one", b"two"):
            client = ScramClient("sha256", "user", "pencil", header=b"p=tls-unique,,", binding=data)
            scram = server("SCRAM-SHA-256-PLUS", {"tls-unique": (b"one", b"two")})
            self.assertTrue(self.good(scram, client))

    def test_another_channel(self) -> None:
        """Somebody in between has one channel to the client and another one to the server."""
        for data in (b"theirs", b""):
            client = ScramClient(
                "sha256", "user", "pencil", header=b"p=tls-exporter,,", binding=data
            )
            scram = server("SCRAM-SHA-256-PLUS", EXPORTER)
            scram.begin(client.first)
            final = client.final(scram.challenge(PENCIL))
            self.assertRaises(AuthenticationFailed, scram.prove, final)

    def test_a_header_that_is_not_the_one_of_the_first_message(self) -> None:
        scram, client = server(), ScramClient("sha256", "user", "pencil")
        scram.begin(client.first)
        client.header = b"y,,"
        final = client.final(scram.challenge(PENCIL))
        self.assertRaises(AuthenticationFailed, scram.prove, final)

    def test_a_client_that_was_shown_no_plus_where_there_is_one(self) -> None:
        """RFC 5802 §6: a downgrade."""
        self.assertRaises(AuthenticationFailed, server(bindings=EXPORTER).begin, b"y,,n=user,r=abc")
        server().begin(b"y,,n=user,r=abc")
        server(bindings=EXPORTER).begin(b"n,,n=user,r=abc")

    def test_binding_and_mechanism_go_together(self) -> None:
        plus = "SCRAM-SHA-256-PLUS"
        for mechanism, first in (
            (plus, b"n,,n=user,r=abc"),
            (plus, b"y,,n=user,r=abc"),
            (plus, b"p=tls-unique,,n=user,r=abc"),
            ("SCRAM-SHA-256", b"p=tls-exporter,,n=user,r=abc"),
        ):
            self.assertRaises(AuthenticationFailed, server(mechanism, EXPORTER).begin, first)

    def test_another_nonce(self) -> None:
        for nonce in (b"fyko+d2lbbFgONRv9qkxdawL", b"3rfcNHYJY1ZVvWVs7j", b"x"):
            scram, client = server(), ScramClient("sha256", "user", "pencil")
            scram.begin(client.first)
            _, rest = scram.challenge(PENCIL).split(b",", 1)
            final = client.final(b"r=" + nonce + b"," + rest)
            self.assertRaises(AuthenticationFailed, scram.prove, final)

    def test_a_proof_of_another_length(self) -> None:
        for proof in (b"YQ==", b64encode(bytes(20)), b64encode(bytes(64))):
            scram, client = server(), ScramClient("sha256", "user", "pencil")
            scram.begin(client.first)
            unproven, _, _ = client.final(scram.challenge(PENCIL)).rpartition(b",p=")
            self.assertFalse(scram.prove(unproven + b",p=" + proof))

    def test_malformed_first_messages(self) -> None:
        for message in (
            b"",
            b"n,,",
            b"n,n=user,r=abc",
            b"z,,n=user,r=abc",
            b"p,,n=user,r=abc",
            b"n,,n=,r=abc",
            b"n,,n=user,r=",
            b"n,,n=user,r=a\x7f",
            b"n,,n=user,r=a b",
            b"n,,r=abc,n=user",
            b"n,,n=us=er,r=abc",
            b"n,,n=user=,r=abc",
            b"n,,n=us=2cer,r=abc",
            b"n,,n=us\0er,r=abc",
            b"n,,m=must,n=user,r=abc",
            b"n,,n=user,r=abc,",
            b"n,,n=user,r=abc\n",
        ):
            self.assertRaises(BadSyntax, server().begin, message)
        self.assertRaises(AuthenticationFailed, server().begin, b"n,,n=\xff,r=abc")

    def test_malformed_last_messages(self) -> None:
        for message in (b"", b"*", b"c=biws,r=abc", b"c=biws,r=abc,p=", b"r=abc,c=biws,p=YQ=="):
            scram = server()
            scram.begin(b"n,,n=user,r=abc")
            scram.challenge(PENCIL)
            self.assertRaises(BadSyntax, scram.prove, message)
        for message in (b"c=biw,r=%b,p=YQ==", b"c=biws,r=%b,p=Y"):
            scram = server()
            scram.begin(b"n,,n=user,r=abc")
            scram.challenge(PENCIL)
            self.assertRaises(BadSyntax, scram.prove, message % b"abc3rfcNHYJY1ZVvWVs7j")

    @given(st.binary() | st.text().map(lambda text: f"n,,n={text},r=abc".encode()))
    def test_any_bytes_are_taken_or_refused_by_a_declared_error(self, message: bytes) -> None:
        for mechanism in SCRAM:
            try:
                server(mechanism, EXPORTER).begin(message)
            except (BadSyntax, AuthenticationFailed):
                pass

    @given(st.binary() | st.binary().map(lambda data: b"c=biws,r=abc3rfcNHYJY1ZVvWVs7j,p=" + data))
    def test_no_other_bytes_are_a_proof(self, message: bytes) -> None:
        scram = server()
        scram.begin(b"n,,n=user,r=abc")
        scram.challenge(PENCIL)
        try:
            self.assertFalse(scram.prove(message))
        except (BadSyntax, AuthenticationFailed):
            pass


class VerifierTests(SynchronousTestCase):
    def test_there_and_back(self) -> None:
        for scheme in ("SCRAM-SHA-1", "SCRAM-SHA-256"):
            verifier = Verifier.of(scheme, "pencil", b"salt", 1)
            self.assertTrue(verifier.encoded.startswith(f"{scheme}$1:c2FsdA==$"))
            self.assertEqual(Verifier.parse(verifier.encoded), verifier)

    def test_what_is_none(self) -> None:
        good = PENCIL.encoded
        for text in (
            "",
            good[:-2],
            good.replace("SHA-256", "MD5"),
            good.replace("$4096:", "$0:"),
            good.replace("$4096:", "$99999999999:"),
            good + "\n",
            "$argon2id$v=19$m=8,t=1,p=1$abc$abc",
        ):
            self.assertRaises(Corruption, Verifier.parse, text)

    def test_keys_are_in_no_repr(self) -> None:
        self.assertNotIn("key", repr(PENCIL))
        self.assertNotEqual(repr(PENCIL), repr(evolve(PENCIL, iterations=1)))


class PreparationTests(SynchronousTestCase):
    def test_the_examples(self) -> None:
        """RFC 4013 §3."""
        for text, prepared in (
            ("I\u00adX", "IX"),
            ("user", "user"),
            ("USER", "USER"),
            ("\u00aa", "a"),
            ("\u2168", "IX"),
        ):
            self.assertEqual(saslprep(text), prepared)
        for text in ("\u0007", "\u0627\u0031"):
            self.assertRaises(Cannot, saslprep, text)

    def test_spaces_and_both_ways_to_write_an_umlaut(self) -> None:
        self.assertEqual(saslprep("o\u0308\u00a0x y"), "\u00f6 x y")

    def test_letters_younger_than_unicode_3_2_stay(self) -> None:
        self.assertEqual(saslprep("\U0001f986"), "\U0001f986")

    def test_nothing_is_left(self) -> None:
        self.assertRaises(Cannot, saslprep, "\u00ad")

    def test_from_right_to_left(self) -> None:
        self.assertEqual(saslprep("\u0627\u0031\u0628"), "\u0627\u0031\u0628")
        self.assertRaises(Cannot, saslprep, "\u0627a\u0628")

    @given(st.text())
    def test_any_text_is_prepared_once_or_refused(self, text: str) -> None:
        try:
            prepared = saslprep(text)
        except Cannot:
            return
        self.assertEqual(saslprep(prepared), prepared)
