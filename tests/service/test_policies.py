"""`[[policy]]` tables: what they make, and what each mistake says."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

from twisted.internet.defer import maybeDeferred
from twisted.internet.task import Clock

from tests.policies.support import PolicyCase
from tests.service import hooks
from tests.service.support import Memory, directory
from twisted_duck.errors import ConnectionRefused, NotWelcome, TooManyConnections
from twisted_duck.limits import Limits
from twisted_duck.policies import (
    Bans,
    ConnectionLimit,
    ConnectionRate,
    Networks,
    Policies,
    Policy,
    SharedBans,
    SharedRate,
    UserLimit,
)
from twisted_duck.service.fault import Fault
from twisted_duck.service.policies import (
    DEFAULT_POLICIES,
    Made,
    PolicyParts,
    PolicyTable,
    make_policies,
    read_policies,
)
from twisted_duck.session import Session


class Case(PolicyCase):
    def setUp(self) -> None:
        super().setUp()
        self.base = directory(self)
        self.parts = PolicyParts(Limits(), self.clock, Memory())

    def tables(self, text: str) -> tuple[PolicyTable, ...]:
        return read_policies(tomllib.loads(text)["policy"], self.base)

    def make(self, text: str, before: Made = ()) -> Made:
        return make_policies(self.tables(text), self.parts, before)

    def one(self, text: str) -> Any:
        [(_, policy)] = self.make(f"[[policy]]\n{text}")
        return policy


class MakingTests(Case):
    def test_kinds(self) -> None:
        (self.base / "bad.txt").write_text("192.0.2.7  # one")
        for text, kind in [
            ('kind = "networks"\ndeny_file = "bad.txt"', Networks),
            ('kind = "networks"\nallow = ["192.0.2.0/24", "loopback"]', Networks),
            ('kind = "connection-limit"', ConnectionLimit),
            ('kind = "user-limit"\nmost = 3', UserLimit),
            ('kind = "connection-rate"\nmasks = [{ most = 2 }]\nseconds = 1.5', ConnectionRate),
            ('kind = "connection-rate"\nshared = true', SharedRate),
            ('kind = "bans"\nmask = { ipv4 = 24, ipv6 = 48, most = 5 }\nwindow = 60', Bans),
            ('kind = "bans"\nshared = true\nseconds = 60\ntrusted = ["private"]', SharedBans),
            ('kind = "bans"\nshared = false', Bans),
        ]:
            self.assertIs(type(self.one(text)), kind, text)

    def test_arguments(self) -> None:
        (self.base / "bad.txt").write_text("192.0.2.7  # one")
        policy = self.one('kind = "networks"\nname = "friends"\ndeny_file = "bad.txt"')
        self.refused(policy, "192.0.2.7", NotWelcome)
        self.admitted(policy, "192.0.2.8")
        self.assertEqual(policy.name, "friends")

        policy = self.one(
            """
            kind = "connection-limit"
            masks = [{ most = 1 }, { ipv4 = 24, ipv6 = 56, most = 2 }]
            trusted = ["loopback", "198.51.100.0/24"]
            """
        )
        self.admitted(policy, "192.0.2.1")
        self.refused(policy, "192.0.2.1")
        self.admitted(policy, "192.0.2.2")
        self.refused(policy, "192.0.2.3")
        for trusted in ("127.0.0.1", "::1", "198.51.100.3"):
            for _ in range(3):
                self.admitted(policy, trusted)

        policy = self.one('kind = "bans"\nmask = { most = 1 }\nseconds = 60')
        policy.loginFailed(self.session(), "alice", "x")
        self.refused(policy, kind=ConnectionRefused)
        self.clock.advance(60)
        self.admitted(policy)

    def test_an_allowed_file_that_is_empty_lets_in_nobody(self) -> None:
        (self.base / "good.txt").write_text("")
        policy = self.one('kind = "networks"\nallow_file = "good.txt"')
        self.refused(policy, kind=NotWelcome)

    def test_some_protocols(self) -> None:
        policy = self.one('kind = "connection-limit"\nmasks = [{most = 1}]\nprotocols = ["pop3"]')
        for _ in range(3):
            self.admitted(policy)
        pop3 = [Session("POP3", remoteAddress="192.0.2.1") for _ in range(2)]
        self.successResultOf(maybeDeferred(policy.onConnect, pop3[0]))
        connected = maybeDeferred(policy.onConnect, pop3[1])
        self.failureResultOf(connected, TooManyConnections)
        self.assertEqual(policy.refused, 1)
        policy.onClose(pop3[0])
        self.successResultOf(maybeDeferred(policy.onConnect, pop3[1]))

    def test_all_hooks_for_some_protocols(self) -> None:
        policy = self.one('kind = "user-limit"\nmost = 1\nprotocols = ["pop3"]')
        for protocol, other in [("IMAP", None), ("POP3", TooManyConnections)]:
            one, two = (Session(protocol, user="alice") for _ in range(2))
            self.assertIs(policy.adopt(one), protocol == "POP3")
            authenticated = maybeDeferred(policy.onAuthenticated, two)
            if other:
                self.failureResultOf(authenticated, other)
            else:
                self.successResultOf(authenticated)
            policy.onUnauthenticated(one)
            self.successResultOf(maybeDeferred(policy.onAuthenticated, two))
        policy = self.one('kind = "bans"\nmask = { most = 1 }\nprotocols = ["pop3"]')
        policy.loginFailed(self.session(), "alice", "x")
        policy.loginFailed(Session("POP3", remoteAddress="192.0.2.2"), "alice", "x")
        with self.assertRaises(ConnectionRefused):
            policy._policy.onConnect(self.session("192.0.2.2"))
        policy._policy.onConnect(self.session())

    def test_a_delay(self) -> None:
        policy = self.one(
            'kind = "connection-limit"\nmasks = [{ most = 1 }]\ndelay = 3\nprotocols = ["imap"]'
        )
        self.admitted(policy)
        connected = maybeDeferred(policy.onConnect, self.session())
        self.clock.advance(2.9)
        self.assertNoResult(connected)
        self.clock.advance(0.1)
        self.successResultOf(connected)
        self.assertEqual((policy.refused, policy.name), (1, "connection limit (delayed)"))

    def test_the_default(self) -> None:
        """Nobody on this machine or in a private network is ever kept out, and no mail server."""
        policies = Policies(*(each for _, each in make_policies(DEFAULT_POLICIES, self.parts)))
        for address in ("127.0.0.1", "::1", "10.1.2.3", "172.17.0.1", "fd00::1"):
            for n in range(300):
                policies.loginFailed(self.session(address), "alice", str(n))
                self.admitted(policies, address)
        for _ in range(200):
            self.admitted(policies, "192.0.2.1")
        self.refused(policies, "192.0.2.1")
        mail = Session("LMTP", remoteAddress="192.0.2.1")
        self.successResultOf(maybeDeferred(policies.onConnect, mail))
        for n in range(20):
            policies.loginFailed(self.session("198.51.100.1"), "alice", str(n))
        self.refused(policies, "198.51.100.1", ConnectionRefused)


class OwnCodeTests(Case):
    def test_hooks(self) -> None:
        hooks.seen.clear()
        policy = self.one(
            """
            call = "tests.service.hooks:connect"
            on_authenticated = "tests.service.hooks:authenticated"
            on_close = "tests.service.hooks:close"
            """
        )
        session = self.admitted(policy)
        self.successResultOf(maybeDeferred(policy.onAuthenticated, session))
        policy.onClose(session)
        self.assertEqual([each[0] for each in hooks.seen], ["connect", "authenticated", "close"])
        self.assertEqual(policy.name, "connect")

    def test_one_hook(self) -> None:
        policy = self.one('on_authenticated = "tests.service.hooks:sunday"\nname = "calendar"')
        session = self.admitted(policy)
        authenticated = maybeDeferred(policy.onAuthenticated, session)
        self.failureResultOf(authenticated, ConnectionRefused)
        self.assertEqual((policy.refused, policy.name), (1, "calendar"))

    def test_what_makes_a_policy(self) -> None:
        for text, most in [
            ('call = "tests.service.hooks:Quota"', 1),
            ('call = "tests.service.hooks:Quota"\narguments = { most = 3 }', 3),
            ('call = "tests.service.hooks:quota"\narguments = { most = 4 }', 4),
            ('call = "tests.service.hooks:instance"', 7),
        ]:
            policy = self.one(text)
            self.assertIsInstance(policy, hooks.Quota)
            self.assertEqual((policy.most, policy.name), (most, "quota"))


class AgainTests(Case):
    """The same tables, or others, when the configuration is read again."""

    def test_what_has_not_changed_stays(self) -> None:
        same = """
            [[policy]]
            kind = "bans"
            [[policy]]
            kind = "connection-limit"
            delay = 1
            protocols = ["imap"]
            [[policy]]
            call = "tests.service.hooks:Quota"
        """
        before = [policy for _, policy in self.make(same)]
        made = self.make(same)
        after = [policy for _, policy in self.make(same, made)]
        self.assertEqual(after, [policy for _, policy in made])
        self.assertNotEqual(after, before)
        turned = "[[policy]]\nkind = 'user-limit'\n[[policy]]\nkind = 'bans'"
        self.assertIs(self.make(turned, made)[1][1], made[0][1])

    def test_what_has_changed_is_made_anew(self) -> None:
        made = self.make("[[policy]]\nkind = 'user-limit'\nmost = 1")
        other = self.make("[[policy]]\nkind = 'user-limit'\nmost = 2", made)
        self.assertIsNot(other[0][1], made[0][1])

    def test_two_that_are_alike_stay_two(self) -> None:
        one = "[[policy]]\nkind = 'user-limit'\n"
        made = self.make(one)
        first, second = (policy for _, policy in self.make(one * 2, made))
        self.assertIs(first, made[0][1])
        self.assertIsNot(second, first)

    def test_files_are_read_again(self) -> None:
        text = "[[policy]]\nkind = 'networks'\ndeny_file = 'bad.txt'"
        (self.base / "bad.txt").write_text("192.0.2.1")
        made = self.make(text)
        self.refused(made[0][1], kind=NotWelcome)
        (self.base / "bad.txt").write_text("192.0.2.2")
        self.admitted(self.make(text, made)[0][1])


class MistakeTests(Case):
    def mistake(self, text: str) -> str:
        error = self.assertRaises(ValueError, self.tables, f"[[policy]]\n{text}")
        self.assertNotIn("\n", str(error))
        return str(error)

    def test_tables(self) -> None:
        known = "networks, connection-limit, user-limit, connection-rate, bans"
        for text, said in [
            ("most = 3", f'1: kind (one of {known}) or call = "package.module:name" must be there'),
            ("kind = 'bnas'", "1 (bnas): unknown kind bnas; did you mean bans?"),
            ("kind = 'qqq'", f"1 (qqq): unknown kind qqq; there are {known}"),
            ("kind = 3", f"1: unknown kind 3; there are {known}"),
            ("kind = 'bans'\nsceonds = 3", "1 (bans): unknown key sceonds; did you mean seconds?"),
            ("kind = 'bans'\nqqq = 3", "1 (bans): unknown key qqq; remove it"),
            (
                "kind = 'bans'\ncall = 'a:b'",
                "1 (bans): kind and call are both there; remove one",
            ),
            (
                "kind = 'bans'\nseconds = 0",
                "1 (bans): seconds must be above 0 and at most 1,099,511,627,776 seconds",
            ),
            (
                "kind = 'bans'\nwindow = 'x'",
                "1 (bans): window must be a number of seconds above 0",
            ),
            (
                "kind = 'bans'\nmask = 3",
                "1 (bans): mask must be written { ipv4 = 24, ipv6 = 56, most = 250 }",
            ),
            (
                "kind = 'bans'\nmask = { ipv4 = 24 }",
                "1 (bans): mask must say how many: { ipv4 = 24, ipv6 = 56, most = 250 }",
            ),
            (
                "kind = 'bans'\nmask = { ipv6 = 129, most = 1 }",
                "1 (bans): mask ipv6 must be from 0 to 128, the length of a network's prefix",
            ),
            (
                "kind = 'bans'\nmask = { ipv4 = 1.5, most = 1 }",
                "1 (bans): mask ipv4 must be a whole number",
            ),
            (
                "kind = 'bans'\nmask = { mots = 1 }",
                "1 (bans): mask unknown key mots; did you mean most?",
            ),
            (
                "kind = 'connection-limit'\nmasks = []",
                "1 (connection-limit): masks must be a list, as"
                " [{ most = 50 }, { ipv4 = 24, ipv6 = 56, most = 250 }]",
            ),
            ("kind = 'networks'\nallow = []", "1 (networks): allow must not be empty"),
            (
                "kind = 'networks'\nallow = '192.0.2.1'",
                "1 (networks): allow must be a list of networks, as"
                ' ["192.0.2.0/24", "2001:db8::/32"]',
            ),
            (
                "kind = 'networks'\nallow = ['lopback']",
                "1 (networks): allow has 'lopback', which is no network ('lopback' does not appear to be"
                " an IPv4 or IPv6 network) and none of 'loopback', 'private'",
            ),
            (
                "kind = 'bans'\nprotocols = ['smtp']",
                "1 (bans): protocols must be a list of some of 'imap', 'pop3', 'lmtp'",
            ),
            ("call = 'x'", '1: call must name a callable, as "package.module:name"'),
            (
                "call = 'no.such:x'",
                "1: call no.such:x cannot be imported: ModuleNotFoundError: No module named 'no'",
            ),
            (
                "call = 'tests.service.hooks:x'",
                "1: call tests.service.hooks:x cannot be imported: AttributeError:"
                " module 'tests.service.hooks' has no attribute 'x'",
            ),
            (
                "call = 'tests.service.hooks:not_callable'",
                "1: call tests.service.hooks:not_callable is neither a callable nor a policy",
            ),
            (
                "call = 'tests.service.hooks:Quota'\narguments = 3",
                "1: arguments must be a table, as { database = 'ldap://localhost' }",
            ),
        ]:
            self.assertEqual(self.mistake(text), said)

    def test_which_one(self) -> None:
        text = "kind = 'bans'\n[[policy]]\nkind = 'bans'\nx = 1"
        self.assertTrue(self.mistake(text).startswith("2 (bans): "))

    def test_no_tables(self) -> None:
        for value in ({"kind": "bans"}, "bans", [1]):
            error = self.assertRaises(ValueError, read_policies, value, Path())
            self.assertEqual(str(error), "must be one or more tables, each written [[policy]]")
        self.assertEqual(read_policies([], Path()), ())

    def test_what_cannot_be_made(self) -> None:
        (self.base / "bad.txt").write_text("# none\n192.0.2.1/x")
        for text, said in [
            (
                "kind = 'networks'",
                "policy 1 (networks): allow, deny, allow_file or deny_file must be there",
            ),
            (
                "kind = 'networks'\ndeny_file = 'no.txt'",
                f"policy 1 (networks): cannot read {self.base}/no.txt: No such file or directory",
            ),
            (
                "kind = 'networks'\ndeny_file = 'bad.txt'",
                f"policy 1 (networks): {self.base}/bad.txt, line 2: '192.0.2.1/x' does not appear to be"
                " an IPv4 or IPv6 network",
            ),
            (
                "call = 'tests.service.hooks:nothing'\narguments = {}",
                "policy 1: call made a NoneType, which is no twisted_duck.policies.Policy",
            ),
            (
                "call = 'tests.service.hooks:broken'\narguments = {}",
                "policy 1: LookupError: no such quota",
            ),
            (
                "call = 'tests.service.hooks:Quota'\narguments = { less = 1 }",
                "policy 1: TypeError: Quota.__init__() got an unexpected keyword argument 'less'",
            ),
            (
                "call = 'tests.service.hooks:Quota'\non_close = 'tests.service.hooks:close'",
                "policy 1: call makes a policy, which has its own onClose and onAuthenticated",
            ),
            (
                "on_close = 'tests.service.hooks:close'\narguments = {}",
                "policy 1: arguments are for what call names, which must be there",
            ),
        ]:
            error = self.assertRaises(Fault, self.make, f"[[policy]]\n{text}")
            self.assertTrue(str(error).startswith(said.partition("'")[0]), str(error))
            self.assertEqual(str(error).replace('"', "'"), said)
            self.assertNotIn("\n", str(error))

    def test_a_policy_is_one(self) -> None:
        self.assertIsInstance(self.one("kind = 'bans'"), Policy)
        self.assertIsInstance(self.clock, Clock)
