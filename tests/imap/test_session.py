"""CAPABILITY, NOOP, LOGOUT, ID (RFC 2971), NAMESPACE (RFC 2342), STARTTLS, LOGIN, AUTHENTICATE (RFC 4959)."""

from __future__ import annotations

from base64 import b64encode
from typing import ClassVar

from tests.imap.transcript import IMAPCase
from tests.transcript import Client
from twisted_duck.imap.factory import IMAP4Factory
from twisted_duck.limits import Limits

BEFORE = "IMAP4rev1 IMAP4rev2 STARTTLS AUTH=PLAIN AUTH=LOGIN SASL-IR LITERAL- ID IDLE ENABLE APPENDLIMIT=67108864"
AFTER = (
    "IMAP4rev1 IMAP4rev2 LITERAL+ ID IDLE ENABLE NAMESPACE CHILDREN UNSELECT UIDPLUS"
    " CONDSTORE QRESYNC BINARY MULTIAPPEND MOVE REPLACE LIST-EXTENDED LIST-STATUS SPECIAL-USE"
    " CREATE-SPECIAL-USE XLIST STATUS=SIZE QUOTA QUOTA=RES-STORAGE SAVEDATE PREVIEW OBJECTID"
    " ESEARCH SEARCHRES WITHIN PARTIAL SORT SORT=DISPLAY ESORT"
    " THREAD=ORDEREDSUBJECT THREAD=REFERENCES I18NLEVEL=1 COMPRESS=DEFLATE"
    " APPENDLIMIT=67108864"
)
PLAIN = b64encode(b"\0alice\0wonderland").decode()


class GreetingTests(IMAPCase):
    def test_greeting_says_what_can_be_done(self) -> None:
        client = Client(self.factory)
        greeting = client.heard().decode()
        client.disconnect()
        session = client.protocol.session.id
        self.assertEqual(
            greeting, f"* OK [CAPABILITY {BEFORE}] Twisted Duck is ready, session {session}\r\n"
        )


class AnyStateTests(IMAPCase):
    log_in = False

    def test_capability_before_and_after_login(self) -> None:
        self.transcript(f"""
            C: a1 CAPABILITY
            S: * CAPABILITY {BEFORE}
            S: a1 OK CAPABILITY completed
            C: a2 LOGIN alice wonderland
            S: a2 OK [CAPABILITY {AFTER}] LOGIN completed
            C: a3 CAPABILITY
            S: * CAPABILITY {AFTER}
            S: a3 OK CAPABILITY completed
        """)

    def test_noop_and_id_need_no_login(self) -> None:
        self.transcript("""
            C: a1 NOOP
            S: a1 OK NOOP completed
            C: a2 ID NIL
            S: * ID ("name" "Twisted Duck" "version" "...")
            S: a2 OK ID completed
            C: a3 ID ("name" "sodr" "os" NIL)
            S: * ID (...)
            S: a3 OK ID completed
        """)

    def test_logout_says_bye_then_ok_then_closes(self) -> None:
        self.transcript("""
            C: a1 LOGOUT
            S: * BYE until next time
            S: a1 OK LOGOUT completed
            C: a2 NOOP
        """)
        self.assertTrue(self.client().transport.closed)
        self.assertEqual(self.client().protocol.session.closeReason, "logout")

    def test_nothing_behind_a_logout_is_run(self) -> None:
        self.client().send(b"a1 LOGOUT\r\na2 NOOP\r\n")
        self.assertNotIn(b"a2", self.client().heard())

    def test_command_names_have_no_case(self) -> None:
        self.transcript("""
            C: a1 nOOp
            S: a1 OK NOOP completed
        """)


class LoginTests(IMAPCase):
    log_in = False

    def test_quoted_and_literal_strings(self) -> None:
        self.transcript("""
            C: a1 LOGIN {5}
            S: + go ahead
            C: alice {10}
            S: + go ahead
            C: wonderland
            S: a1 OK [CAPABILITY ...] LOGIN completed
        """)

    def test_literals_without_waiting(self) -> None:
        self.client().send(b'a1 LOGIN "alice" {10+}\r\nwonderland\r\na2 NOOP\r\n')
        self.transcript("""
            S: a1 OK [CAPABILITY ...] LOGIN completed
            S: a2 OK NOOP completed
        """)

    def test_wrong_password(self) -> None:
        self.transcript("""
            C: a1 LOGIN alice wonderlamb
            S: a1 NO [AUTHENTICATIONFAILED] wrong name or password
            C: a2 SELECT INBOX
            S: a2 BAD SELECT is not allowed in the state Not Authenticated
            C: a3 LOGIN alice wonderland
            S: a3 OK ...
        """)

    def test_third_failure_ends_the_connection(self) -> None:
        self.assertEqual(Limits().failed_logins, 3)
        self.transcript(f"""
            C: a1 LOGIN alice x
            S: a1 NO [AUTHENTICATIONFAILED] ...
            C: a2 LOGIN "" ""
            S: a2 NO [AUTHENTICATIONFAILED] ...
            C: a3 AUTHENTICATE PLAIN {b64encode(b"bob" + bytes(1) + b"alice" + bytes(1) + b"x").decode()}
            S: a3 NO [AUTHENTICATIONFAILED] one user cannot log in as another
            S: * BYE too many failed logins
        """)
        self.assertTrue(self.client().transport.closed)

    def test_only_once(self) -> None:
        self.transcript("""
            C: a1 LOGIN alice wonderland
            S: a1 OK ...
            C: a2 LOGIN alice wonderland
            S: a2 BAD LOGIN is not allowed in the state Authenticated
            C: a3 AUTHENTICATE PLAIN
            S: a3 BAD AUTHENTICATE is not allowed in the state Authenticated
        """)

    def test_session_knows_the_user(self) -> None:
        self.client().say("a1 LOGIN alice wonderland")
        session = self.client().protocol.session
        self.assertEqual((session.user, session.state), ("alice", "Authenticated"))


class AuthenticateTests(IMAPCase):
    log_in = False

    def test_plain(self) -> None:
        self.transcript(f"""
            C: a1 AUTHENTICATE PLAIN
            S: + ...
            C: {PLAIN}
            S: a1 OK [CAPABILITY {AFTER}] AUTHENTICATE completed
        """)

    def test_empty_challenge_has_its_space(self) -> None:
        self.client().send(b"a1 AUTHENTICATE PLAIN\r\n")
        self.assertEqual(self.client().heard(), b"+ \r\n")

    def test_plain_with_initial_response(self) -> None:
        self.transcript(f"""
            C: a1 authenticate plain {PLAIN}
            S: a1 OK ...
        """)

    def test_login(self) -> None:
        self.transcript("""
            C: a1 AUTHENTICATE LOGIN
            S: + VXNlcm5hbWU6
            C: YWxpY2U=
            S: + UGFzc3dvcmQ6
            C: d29uZGVybGFuZA==
            S: a1 OK ...
        """)

    def test_login_with_the_name_as_initial_response(self) -> None:
        self.transcript("""
            C: a1 AUTHENTICATE LOGIN YWxpY2U=
            S: + UGFzc3dvcmQ6
            C: d29uZGVybGFuZA==
            S: a1 OK ...
        """)

    def test_cancelled(self) -> None:
        self.transcript("""
            C: a1 AUTHENTICATE PLAIN
            S: + ...
            C: *
            S: a1 BAD the exchange was cancelled
            C: a2 NOOP
            S: a2 OK NOOP completed
        """)

    def test_not_base64(self) -> None:
        self.transcript("""
            C: a1 AUTHENTICATE PLAIN
            S: + ...
            C: a2 NOOP
            S: a1 BAD that is not base64
            C: a3 AUTHENTICATE PLAIN =x
            S: a3 BAD ...
            C: a4 AUTHENTICATE PLAIN abc
            S: a4 BAD that is not base64...
        """)

    def test_base64_that_is_not_plain(self) -> None:
        self.transcript("""
            C: a1 AUTHENTICATE PLAIN =
            S: a1 BAD PLAIN takes ...
        """)

    def test_no_tls_begins_within_it(self) -> None:
        self.transcript("""
            C: a1 AUTHENTICATE PLAIN
            S: + ...
            C: a2 STARTTLS
            S: a1 BAD that is not base64
        """)
        self.assertIsNone(self.client().transport.startedTLS)

    def test_unknown_mechanism(self) -> None:
        self.transcript("""
            C: a1 AUTHENTICATE GSSAPI
            S: a1 NO [CANNOT] the mechanism is not supported; these are: PLAIN LOGIN
        """)

    def test_endless_response(self) -> None:
        client = self.client()
        client.send(b"a1 AUTHENTICATE PLAIN\r\n")
        client.send(b"A" * 10_000)
        self.transcript("""
            S: + ...
            S: a1 BAD the response to a challenge is too long
            S: * BYE the response to a challenge is too long
        """)


class ClearConnectionTests(IMAPCase):
    log_in = False

    options: ClassVar = {"cleartextAuth": "loopback", "tls": "context"}

    def test_no_password_goes_over_it(self) -> None:
        self.transcript(f"""
            C: a1 CAPABILITY
            S: * CAPABILITY IMAP4rev1 IMAP4rev2 STARTTLS LOGINDISABLED SASL-IR LITERAL- ID IDLE ...
            S: a1 OK ...
            C: a2 LOGIN alice wonderland
            S: a2 NO [PRIVACYREQUIRED] ...
            C: a3 AUTHENTICATE PLAIN {PLAIN}
            S: a3 NO [PRIVACYREQUIRED] ...
            C: a4 AUTHENTICATE LOGIN
            S: a4 NO [PRIVACYREQUIRED] ...
        """)

    def test_from_this_machine_it_may(self) -> None:
        for host in ("127.0.0.1", "127.8.8.8", "::1", "::ffff:127.0.0.1"):
            client = Client(self.factory, host)
            self.assertIn(b"AUTH=PLAIN", client.heard())
            self.assertIn("a1 OK", client.say("a1 LOGIN alice wonderland")[0])
            client.disconnect()

    def test_never_means_never(self) -> None:
        factory = IMAP4Factory(self.portal, clock=self.clock)
        client = Client(factory, "127.0.0.1")
        self.assertIn(b" LOGINDISABLED ", client.heard())
        self.assertIn("PRIVACYREQUIRED", client.say("a1 LOGIN alice wonderland")[0])
        client.disconnect()


class StartTLSTests(IMAPCase):
    log_in = False

    options: ClassVar = {"tls": "context"}

    def start_tls(self) -> Client:
        client = self.client()
        client.say("a1 STARTTLS")
        client.protocol.handshakeCompleted()
        return client

    def test_handshake_follows_the_answer(self) -> None:
        self.transcript("""
            C: a1 STARTTLS
            S: a1 OK begin TLS negotiation now
        """)
        self.assertEqual(self.client().transport.startedTLS, "context")
        self.assertFalse(self.client().protocol.session.secure)

    def test_what_came_in_clear_behind_it_is_forgotten(self) -> None:
        client = self.client()
        client.send(b"a1 STARTTLS\r\na2 NOOP\r\na3 LOGIN {5")
        client.protocol.handshakeCompleted()
        client.send(b"b1 NOOP\r\n")
        self.assertEqual(
            client.heard(), b"a1 OK begin TLS negotiation now\r\nb1 OK NOOP completed\r\n"
        )

    def test_afterwards_passwords_may_be_sent_and_it_is_not_offered_again(self) -> None:
        self.start_tls()
        self.assertTrue(self.client().protocol.session.secure)
        self.transcript("""
            C: a1 CAPABILITY
            S: * CAPABILITY IMAP4rev1 IMAP4rev2 AUTH=PLAIN AUTH=LOGIN SASL-IR ...
            S: a1 OK ...
            C: a2 STARTTLS
            S: a2 BAD TLS is active already
            C: a3 LOGIN alice wonderland
            S: a3 OK ...
            C: a4 STARTTLS
            S: a4 BAD STARTTLS is not allowed in the state Authenticated
        """)

    def test_there_may_be_none(self) -> None:
        factory = IMAP4Factory(self.portal, clock=self.clock)
        client = Client(factory)
        self.assertNotIn(b"STARTTLS", client.heard())
        self.assertEqual(client.say("a1 STARTTLS"), ["a1 BAD there is no TLS to be had here"])
        client.disconnect()


class NamespaceTests(IMAPCase):
    def test_one_personal_namespace(self) -> None:
        self.transcript("""
            C: a1 NAMESPACE
            S: * NAMESPACE (("" "/")) NIL NIL
            S: a1 OK NAMESPACE completed
        """)

    def test_extensions_that_are_not_there_are_no_commands(self) -> None:
        self.transcript("""
            C: a1 ENABLE X-NOTHING
            S: * ENABLED
            S: a1 OK ENABLE completed
            C: a2 FROBNICATE
            S: a2 BAD FROBNICATE is no command, before octet ...
        """)
