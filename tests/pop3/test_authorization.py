"""AUTHORIZATION (RFC 1939 §4): greeting, USER and PASS, AUTH, STLS, what is refused."""

from __future__ import annotations

from base64 import b64encode
from typing import Any, ClassVar

from tests.pop3.transcript import POP3Case
from tests.transcript import Client
from twisted_duck import __version__, errors
from twisted_duck.limits import Limits
from twisted_duck.memory import MemoryAccount, MemoryStore
from twisted_duck.memory.mailbox import MemoryMailbox

PLAIN = b64encode(b"\0alice\0wonderland").decode()


def encoded(text: str) -> str:
    return b64encode(text.encode()).decode()


class AuthorizationCase(POP3Case):
    log_in = False


class GreetingTests(AuthorizationCase):
    def test_greeting_names_the_session_and_offers_no_apop(self) -> None:
        client = Client(self.factory)
        self.clients[""] = client
        session = client.protocol.session
        self.assertEqual(
            client.heard().decode(), f"+OK Twisted Duck is ready, session {session.id}\r\n"
        )
        self.assertEqual((session.protocol, session.state), ("POP3", "AUTHORIZATION"))
        self.assertEqual((session.remoteAddress, session.remotePort), ("192.0.2.1", 50000))

    def test_quit_says_good_bye(self) -> None:
        self.transcript("""
            C: QUIT
            S: +OK ...
            S: (closed)
        """)
        self.assertEqual(self.client().protocol.session.closeReason, "logout")
        self.assertEqual(self.client().protocol.session.state, "AUTHORIZATION")


class PasswordTests(AuthorizationCase):
    def test_user_and_pass(self) -> None:
        self.transcript("""
            C: USER alice
            S: +OK ...
            C: PASS wonderland
            S: +OK 2 messages (81 octets)
            C: STAT
            S: +OK 2 81
        """)
        session = self.client().protocol.session
        self.assertEqual((session.state, session.user), ("TRANSACTION", "alice"))

    def test_a_password_with_spaces_is_taken_as_it_is(self) -> None:
        self.store.add_user("bob", " b o b ")
        self.transcript("""
            C: USER bob
            S: +OK ...
            C: PASS  b o b
            S: -ERR [AUTH] ...
            C: user bob
            S: +OK ...
            C+ pass  b o b
            C:
            S: -ERR [AUTH] ...
        """)
        client = self.clients["2"] = Client(self.factory)
        client.say("USER bob")
        self.assertEqual(client.say("PASS  b o b ")[0][:4], "+OK ")

    def test_wrong_password_and_unknown_user_get_the_same_answer(self) -> None:
        client = self.client()
        client.say("USER alice")
        wrong = client.say("PASS looking-glass")
        client.say("USER nobody")
        self.assertEqual(wrong, client.say("PASS looking-glass"))
        self.assertEqual(wrong, ["-ERR [AUTH] wrong name or password"])

    def test_after_a_wrong_password_user_comes_first(self) -> None:
        self.transcript("""
            C: PASS wonderland
            S: -ERR USER comes before PASS
            C: USER alice
            S: +OK ...
            C: PASS looking-glass
            S: -ERR [AUTH] ...
            C: PASS wonderland
            S: -ERR USER comes before PASS
        """)

    def test_three_wrong_passwords_end_the_connection(self) -> None:
        self.transcript("""
            C: USER alice
            S: +OK ...
            C: PASS 1
            S: -ERR [AUTH] ...
            C: AUTH PLAIN AGFsaWNlADI=
            S: -ERR [AUTH] ...
            # alice as bob
            C: AUTH PLAIN Ym9iAGFsaWNlAHdvbmRlcmxhbmQ=
            S: -ERR [AUTH] one user cannot log in as another
            S: (closed)
        """)
        self.assertEqual(self.client().protocol.session.closeReason, "too many failed logins")

    def test_a_name_that_is_not_utf8_is_a_wrong_one(self) -> None:
        client = self.client()
        client.send(b"USER \xff\r\nPASS x\r\n")
        self.assertIn(b"-ERR [AUTH]", client.heard())

    def test_our_own_failure_is_sys_temp_and_no_wrong_password(self) -> None:
        def fail(*arguments: object) -> object:
            raise errors.Unavailable("the database is away")

        self.patch(MemoryStore, "requestAvatarId", fail)
        for _ in range(4):
            self.transcript("""
                C: USER alice
                S: +OK ...
                C: PASS wonderland
                S: -ERR [SYS/TEMP] the database is away
            """)


class MaildropTests(AuthorizationCase):
    def test_a_maildrop_that_cannot_be_opened_ends_the_connection(self) -> None:
        logouts: list[object] = []

        async def logout(account: MemoryAccount) -> None:
            logouts.append(account)

        self.patch(MemoryAccount, "logout", logout)
        self.break_(MemoryAccount, "select", errors.Unavailable("the database is away"))
        self.transcript("""
            C: USER alice
            S: +OK ...
            C: PASS wonderland
            S: -ERR [SYS/TEMP] the database is away
            S: (closed)
        """)
        self.assertEqual(len(logouts), 1)

    def test_a_bug_is_logged_and_not_told(self) -> None:
        self.break_(MemoryAccount, "select", ValueError("secret"))
        self.transcript("""
            C: USER alice
            S: +OK ...
            C: PASS wonderland
            S: -ERR [SYS/TEMP] something is broken on our side; it has been logged
            S: (closed)
        """)
        self.assertEqual(len(self.flushLoggedErrors(ValueError)), 1)


class NewestFirstTests(AuthorizationCase):
    limits = Limits(pop3_messages=1)

    def test_no_more_messages_than_the_bound_are_shown_and_they_are_the_newest(self) -> None:
        self.transcript("""
            C: AUTH PLAIN AGFsaWNlAHdvbmRlcmxhbmQ=
            S: +OK 1 messages (40 octets)
            C: TOP 1 0
            S: +OK ...
            S: Subject: two
            S:
            S: .
            C: DELE 1
            S: +OK ...
            C: QUIT
            S: +OK ...
        """)
        self.assertEqual(self.count(), 1)


class AuthTests(AuthorizationCase):
    def test_plain_with_initial_response(self) -> None:
        self.transcript(f"""
            C: AUTH PLAIN {PLAIN}
            S: +OK 2 messages (81 octets)
            C: NOOP
            S: +OK ...
        """)

    def test_plain_with_a_challenge(self) -> None:
        self.transcript(f"""
            C: auth plain
            S: +...
            C: {PLAIN}
            S: +OK ...
        """)

    def test_login(self) -> None:
        self.transcript(f"""
            C: AUTH LOGIN
            S: + {encoded("Username:")}
            C: {encoded("alice")}
            S: + {encoded("Password:")}
            C: {encoded("wonderland")}
            S: +OK ...
        """)

    def test_cancelled(self) -> None:
        self.transcript(f"""
            C: AUTH LOGIN
            S: + ...
            C: *
            S: -ERR the exchange was cancelled
            C: AUTH PLAIN {PLAIN}
            S: +OK ...
        """)

    def test_what_is_not_base64_or_not_known(self) -> None:
        self.transcript("""
            C: AUTH LOGIN
            S: + ...
            C: STAT
            S: + ...
            C: not base64
            S: -ERR that is not base64
            C: AUTH PLAIN !
            S: -ERR the initial response is not base64
            C: AUTH CRAM-MD5
            S: -ERR the mechanism is not supported; these are: PLAIN LOGIN
            C: AUTH
            S: -ERR the name of a mechanism was expected
        """)

    def test_auth_lines_may_be_longer_than_other_lines(self) -> None:
        self.store.add_user("bob", "b" * 600)
        response = b64encode(b"\0bob\0" + b"b" * 600).decode()
        self.assertTrue(len(response) > 255)
        self.transcript(f"""
            C: AUTH PLAIN {response}
            S: +OK 0 messages (0 octets)
            C2: AUTH PLAIN
            S2: +...
            C2: {response}
            S2: +OK 0 messages (0 octets)
        """)

    def test_a_response_beyond_the_bound_ends_the_connection(self) -> None:
        client = self.client()
        self.transcript(f"""
            C: AUTH PLAIN
            S: +...
            C: {"A" * 8193}
            S: -ERR the response to a challenge is too long
        """)
        self.assertTrue(client.transport.closed)


class RefusedTests(AuthorizationCase):
    def test_apop(self) -> None:
        self.transcript("""
            C: APOP alice c4c9334bac560ecc979e58001b3e22fb
            S: -ERR there is no APOP here
        """)

    def test_what_needs_a_maildrop(self) -> None:
        for command in ("STAT", "LIST", "UIDL", "RETR 1", "TOP 1 0", "DELE 1", "RSET", "NOOP"):
            name = command.split(" ", 1)[0]
            self.transcript(f"""
                C: {command}
                S: -ERR {name} is not allowed in the state AUTHORIZATION
            """)

    def test_a_line_of_255_octets_is_read_and_a_longer_one_is_not(self) -> None:
        self.transcript(f"""
            C: USER {"a" * 248}
            S: +OK ...
            C: USER {"a" * 249}
            S: -ERR the line is too long
            C: USER alice
            S: +OK ...
        """)

    def test_a_line_beyond_the_bound_ends_the_connection_before_login_only(self) -> None:
        self.transcript(f"""
            C1: AUTH PLAIN {PLAIN}
            S1: +OK ...
            C1: NOOP {"a" * 8193}
            S1: -ERR the line is too long
            C1: NOOP
            S1: +OK still here
            C2: USER {"a" * 8193}
            S2: -ERR the line is too long
        """)
        self.assertTrue(self.client("2").transport.closed)

    def test_fifty_errors_in_a_row_end_the_connection(self) -> None:
        client = self.client()
        for _ in range(49):
            self.assertEqual(client.say("XYZZY"), ["-ERR that is no command of this server"])
        client.say("CAPA")
        for _ in range(49):
            client.say("STAT")
        self.clock.advance(0)
        self.assertFalse(client.transport.closed)
        self.assertEqual(len(client.say("LIST x")), 1)
        self.assertTrue(client.transport.closed)
        self.assertEqual(client.protocol.session.closeReason, "too many bad commands")

    def test_fifty_errors_sent_at_once(self) -> None:
        client = self.client()
        client.send(b"XYZZY\r\n" * 1000)
        self.clock.pump([0] * 10)
        self.assertEqual(client.heard().count(b"\r\n"), 50)
        self.assertTrue(client.transport.closed)


class CapabilityTests(AuthorizationCase):
    def test_before_and_after_login(self) -> None:
        """All of these are told in both states (RFC 2449 §6, RFC 5034 §3)."""
        shown = f"""
            C: CAPA
            S: +OK ...
            S: TOP
            S: UIDL
            S: RESP-CODES
            S: AUTH-RESP-CODE
            S: PIPELINING
            S: USER
            S: SASL PLAIN LOGIN
            S: UTF8
            S: LOGIN-DELAY 0
            S: EXPIRE NEVER
            S: IMPLEMENTATION Twisted-Duck-{__version__}
            S: .
        """
        self.transcript(shown)
        self.transcript(f"""
            C: UTF8
            S: +OK ...
            C: AUTH PLAIN {PLAIN}
            S: +OK ...
        """)
        self.transcript(shown)

    def test_stls_without_tls(self) -> None:
        self.transcript("""
            C: STLS
            S: -ERR there is no TLS to be had here
        """)


class PrivacyTests(AuthorizationCase):
    """`cleartextAuth="never"`, the default: a password in clear is refused before it is sent."""

    tls = object()
    options: ClassVar[dict[str, Any]] = {"tls": tls}

    def capabilities(self, client: Client) -> list[str]:
        return client.say("CAPA")[1:-1]

    def test_in_clear(self) -> None:
        self.transcript(f"""
            C: USER alice
            S: -ERR send no password over a clear connection: use TLS
            C: PASS wonderland
            S: -ERR send no password over a clear connection: use TLS
            C: AUTH PLAIN {PLAIN}
            S: -ERR send no password over a clear connection: use TLS
            C: AUTH LOGIN
            S: -ERR send no password over a clear connection: use TLS
        """)
        shown = self.capabilities(self.client())
        self.assertIn("STLS", shown)
        self.assertNotIn("USER", shown)
        self.assertFalse([each for each in shown if each.startswith("SASL")])

    def test_stls_and_what_was_sent_behind_it_in_clear(self) -> None:
        client = self.client()
        client.send(b"STLS\r\nXYZZY\r\nUSER mallory\r\n")
        self.assertEqual(client.heard(), b"+OK begin TLS negotiation now\r\n")
        self.assertIs(client.transport.startedTLS, self.tls)
        client.protocol.handshakeCompleted()
        self.assertEqual(client.heard(), b"")
        self.transcript("""
            C: PASS wonderland
            S: -ERR USER comes before PASS
            C: STLS
            S: -ERR TLS is active already
            C: USER alice
            S: +OK ...
            C: PASS wonderland
            S: +OK ...
            C: STLS
            S: -ERR STLS is not allowed in the state TRANSACTION
        """)
        self.assertTrue(client.protocol.session.secure)
        self.assertNotIn("STLS", self.capabilities(client))


class NameInClearTests(AuthorizationCase):
    options: ClassVar[dict[str, Any]] = {"tls": object(), "cleartextAuth": "always"}

    def test_no_tls_begins_within_auth(self) -> None:
        self.transcript("""
            C: AUTH PLAIN
            S: +...
            C: STLS
            S: -ERR ...
        """)
        self.assertIsNone(self.client().transport.startedTLS)

    def test_a_name_given_in_clear_is_forgotten_by_stls(self) -> None:
        self.transcript("""
            C: USER alice
            S: +OK ...
            C: STLS
            S: +OK ...
            C: PASS wonderland
            S: -ERR USER comes before PASS
        """)


class LoopbackTests(AuthorizationCase):
    options: ClassVar[dict[str, Any]] = {"cleartextAuth": "loopback"}

    def test_only_this_machine_may_send_passwords_in_clear(self) -> None:
        for host, answer in [
            ("127.0.0.1", "+OK"),
            ("::1", "+OK"),
            ("::ffff:127.0.0.1", "+OK"),
            ("192.0.2.1", "-ERR"),
            ("", "-ERR"),
        ]:
            client = self.clients[host] = Client(self.factory, host)
            client.heard()
            self.assertEqual(client.say("USER alice")[0].split(" ")[0], answer, host)


class MailboxTests(AuthorizationCase):
    def test_the_mailbox_is_closed_and_the_account_left_exactly_once(self) -> None:
        calls: list[str] = []
        for owner, method in ((MemoryMailbox, "close"), (MemoryAccount, "logout")):

            async def note(*arguments: object, method: str = method) -> None:
                calls.append(method)

            self.patch(owner, method, note)
        client = self.client()
        client.say(f"AUTH PLAIN {PLAIN}")
        client.say("QUIT")
        self.assertEqual(calls, ["close", "logout"])
        client.disconnect()
        self.assertEqual(calls, ["close", "logout"])
