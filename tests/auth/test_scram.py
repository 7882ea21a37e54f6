"""Logging in by SCRAM through a portal: who may, what is told, and to whom."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from attrs import evolve
from twisted.internet.defer import Deferred, succeed
from twisted.trial.unittest import SynchronousTestCase

from tests.auth.support import FEW, WEAK, Account, Directory, Reactor, ScramDirectory, Threads
from tests.sasl.client import ScramClient
from twisted_duck import errors
from twisted_duck.auth import IScramCredentials, ScramCredentials, log_in, make_portal
from twisted_duck.auth.checker import LoginThrottled, UserDisabled, WrongPassword
from twisted_duck.auth.passwords import Argon2Parameters
from twisted_duck.auth.verifiers import ITERATIONS, are_current, find_verifier, make_verifiers
from twisted_duck.interfaces import IAccount
from twisted_duck.limits import Limits
from twisted_duck.outflow import ConnectionOver
from twisted_duck.policies import Bans
from twisted_duck.policies.masks import Mask
from twisted_duck.sasl import Credentials, Scram
from twisted_duck.session import Session

ADDRESS = "192.0.2.1"


class ScramCase(SynchronousTestCase):
    """Tim and ann, who is disabled, have the password "secret" and verifiers; old has no verifiers."""

    def setUp(self) -> None:
        self.directory = ScramDirectory()
        for name in ("Tim", "ann"):
            self.directory.add(name, "secret", disabled=name == "ann")
            self.directory.add_verifiers(name, "secret")
        self.directory.add("old", "secret")
        self.threads = Threads()
        self.reactor = Reactor(self.threads)
        self.told: list[tuple[str, str, str | None]] = []
        self.make_portal()

    def make_portal(self, **options: Any) -> None:
        async def account_for(name: str) -> Account:
            return Account(name)

        options = {"login_failed": self.note, "parameters": WEAK} | options
        self.portal = make_portal(
            self.directory,
            account_for,
            self.reactor,
            Limits(throttle_failures=3),
            scram=FEW,
            **options,
        )

    def note(self, session: Session, name: str, password: str | None) -> None:
        self.told.append((session.remoteAddress, name, password))

    def scram(
        self,
        name: str,
        password: str,
        scheme: str = "SCRAM-SHA-256",
        ask: Callable[[ScramClient, bytes], Any] | None = None,
    ) -> Deferred[Any]:
        hash = scheme.removeprefix("SCRAM-").replace("-", "").lower()
        self.client = client = ScramClient(hash, name, password)
        exchange = Scram(scheme, "server", {})
        exchange.begin(client.first)
        self.challenges: list[bytes] = []

        def answer(challenge: bytes) -> Any:
            self.challenges.append(challenge)
            return ask(client, challenge) if ask else succeed(client.final(challenge))

        credentials = ScramCredentials(exchange, Session("IMAP", remoteAddress=ADDRESS), answer)
        self.exchange = exchange
        return Deferred.fromCoroutine(
            log_in(self.portal, credentials, credentials.session, IAccount)
        )

    def plain(self, name: str, password: str) -> Deferred[Any]:
        session = Session("IMAP", remoteAddress=ADDRESS)
        return Deferred.fromCoroutine(
            log_in(self.portal, Credentials(name, password), session, IAccount)
        )


class LoginTests(ScramCase):
    def test_the_right_password(self) -> None:
        for scheme in ("SCRAM-SHA-256", "SCRAM-SHA-1"):
            _, avatar, _ = self.successResultOf(self.scram("tim", "secret", scheme))
            self.assertEqual(avatar.name, "Tim")
            self.assertTrue(self.client.verify(self.exchange.final))
        self.assertEqual(self.told, [])

    def test_nothing_is_hashed_for_it(self) -> None:
        self.threads.at_once = False
        self.successResultOf(self.scram("tim", "secret"))
        self.assertEqual(self.threads.jobs, [])

    def test_a_disabled_user_is_told_so_only_with_a_good_proof(self) -> None:
        self.failureResultOf(self.scram("ann", "wrong"), WrongPassword)
        self.failureResultOf(self.scram("ann", "secret"), UserDisabled)

    def test_a_database_that_is_away_is_no_wrong_password(self) -> None:
        self.directory.away = True
        self.failureResultOf(self.scram("tim", "secret"), errors.Unavailable)
        self.assertEqual(self.told, [])

    def test_a_client_that_is_lost_in_the_middle(self) -> None:
        def lost(client: ScramClient, challenge: bytes) -> Any:
            raise ConnectionOver

        self.failureResultOf(self.scram("tim", "secret", ask=lost), ConnectionOver)
        self.assertEqual(self.flushLoggedErrors(), [])
        self.assertEqual(self.told, [])

    def test_a_broken_verifier_is_no_wrong_password(self) -> None:
        self.directory.users["tim"] = evolve(self.directory.users["tim"], verifiers=("secret",))
        self.failureResultOf(self.scram("tim", "secret"), errors.Corruption)

    def test_who_takes_it(self) -> None:
        """It is offered where a directory keeps verifiers, and only if that is wanted."""
        self.assertIn(IScramCredentials, self.portal.listCredentialsInterfaces())
        self.directory = Directory()  # type: ignore[assignment]
        self.make_portal()
        self.assertNotIn(IScramCredentials, self.portal.listCredentialsInterfaces())
        self.failureResultOf(self.scram("tim", "secret"), errors.Unavailable)
        portal = make_portal(ScramDirectory(), Account, self.reactor, parameters=WEAK)  # type: ignore[arg-type]
        self.assertNotIn(IScramCredentials, portal.listCredentialsInterfaces())


class SecrecyTests(ScramCase):
    def test_nobody_can_tell_who_exists(self) -> None:
        """A user, one without verifiers, and nobody: the same kind of challenge, and the same words at the end."""
        seen = set()
        for name in ("tim", "old", "nobody"):
            failure = self.failureResultOf(self.scram(name, "wrong"), WrongPassword)
            [challenge] = self.challenges
            nonce, salt, count = challenge.split(b",")
            seen.add((failure.value.message, nonce, len(salt), count))
        self.assertEqual(len(seen), 1)

    def test_a_salt_stays_the_same_in_every_spelling(self) -> None:
        for name in ("tim", "old", "nobody"):
            salts = set()
            for spelling in (name, name.upper(), name):
                self.scram(spelling, "wrong").addErrback(lambda _: None)
                salts.update(challenge.split(b",")[1] for challenge in self.challenges)
            self.assertEqual(len(salts), 1, name)

    def test_nobody_gets_in_as_a_user_without_verifiers(self) -> None:
        for name in ("old", "nobody"):
            self.failureResultOf(self.scram(name, "secret"), WrongPassword)


class CountTests(ScramCase):
    def test_failures_of_both_kinds_close_the_door(self) -> None:
        self.failureResultOf(self.scram("tim", "1"), WrongPassword)
        self.failureResultOf(self.plain("tim", "2"), WrongPassword)
        self.failureResultOf(self.scram("TIM", "3"), WrongPassword)
        self.failureResultOf(self.scram("tim", "secret"), LoginThrottled)
        self.assertEqual(self.challenges, [])
        self.failureResultOf(self.plain("tim", "secret"), LoginThrottled)

    def test_as_they_do_for_somebody_who_does_not_exist(self) -> None:
        for _ in range(3):
            self.failureResultOf(self.scram("nobody", "1"), WrongPassword)
        self.failureResultOf(self.scram("nobody", "1"), LoginThrottled)

    def test_proofs_that_come_at_the_same_time_count_one_by_one(self) -> None:
        """All six were let in before the first proof came; three are looked at."""
        waiting: list[Callable[[], None]] = []

        def later(client: ScramClient, challenge: bytes) -> Deferred[bytes]:
            answer: Deferred[bytes] = Deferred()
            waiting.append(lambda: answer.callback(client.final(challenge)))
            return answer

        logins = [self.scram("tim", password, ask=later) for password in "12345"]
        logins.append(self.scram("tim", "secret", ask=later))
        for each in waiting:
            each()
        kinds = [self.failureResultOf(login).type for login in logins]
        self.assertEqual(kinds, [WrongPassword] * 3 + [LoginThrottled] * 3)

    def test_an_exchange_without_a_proof_counts_for_nothing(self) -> None:
        def cancelled(client: ScramClient, challenge: bytes) -> Any:
            raise errors.BadSyntax("the exchange was cancelled")

        for _ in range(5):
            self.failureResultOf(self.scram("tim", "secret", ask=cancelled), errors.BadSyntax)
        self.successResultOf(self.scram("tim", "secret"))
        self.assertEqual(self.told, [])

    def test_whoever_counts_wrong_passwords_is_told_of_the_proof_and_of_no_password(self) -> None:
        self.failureResultOf(self.scram("tim", "wrong"))
        self.failureResultOf(self.scram("nobody", "wrong"))
        self.assertEqual(self.told, [(ADDRESS, "Tim", None), (ADDRESS, "nobody", None)])

    def test_bans_count_a_user_once_however_often_a_proof_is_wrong(self) -> None:
        """One old password makes other proofs each time."""
        bans = Bans(Mask(32, 64, 2), clock=self.reactor)
        self.make_portal(login_failed=bans.loginFailed)
        for _ in range(3):
            self.failureResultOf(self.scram("tim", "wrong"), WrongPassword)
        self.assertEqual(bans.bans(), [])
        self.failureResultOf(self.scram("nobody", "wrong"), WrongPassword)
        self.assertEqual(len(bans.bans()), 1)


class StoringTests(ScramCase):
    def test_a_login_by_password_stores_them(self) -> None:
        self.failureResultOf(self.plain("old", "wrong"), WrongPassword)
        self.assertEqual(self.directory.users["old"].verifiers, ())
        self.successResultOf(self.plain("old", "secret"))
        self.successResultOf(self.scram("old", "secret", "SCRAM-SHA-1"))
        stored = self.directory.users["old"].verifiers
        self.successResultOf(self.plain("old", "secret"))
        self.assertEqual(self.directory.users["old"].verifiers, stored)

    def test_together_with_a_better_hash(self) -> None:
        self.make_portal(parameters=Argon2Parameters(memory=16, iterations=1, lanes=1))
        self.successResultOf(self.plain("old", "secret"))
        record = self.directory.users["old"]
        self.assertIn("$m=16,", record.password_hash or "")
        self.assertTrue(are_current(record.verifiers, FEW))

    def test_with_the_count_that_is_wanted_now(self) -> None:
        record = self.directory.users["tim"]
        stored = make_verifiers("secret", {"SCRAM-SHA-256": 5, "SCRAM-SHA-1": 5})
        self.directory.users["tim"] = evolve(record, verifiers=stored)
        self.successResultOf(self.plain("tim", "secret"))
        self.assertTrue(are_current(self.directory.users["tim"].verifiers, FEW))

    def test_a_password_without_a_prepared_form_has_none(self) -> None:
        self.directory.add("old", "sec\x07ret")
        self.successResultOf(self.plain("old", "sec\x07ret"))
        self.assertEqual(self.directory.users["old"].verifiers, ())

    def test_each_has_a_salt_of_its_own(self) -> None:
        stored = [*make_verifiers("secret", FEW), *make_verifiers("secret", FEW)]
        self.assertEqual(len({each.split("$")[1] for each in stored}), 4)

    def test_they_are_in_no_repr(self) -> None:
        self.assertNotIn("SCRAM", repr(self.directory.users["tim"]))

    def test_a_guess_costs_as_much_as_the_clients_there_are_put_up_with(self) -> None:
        self.assertEqual(dict(ITERATIONS), {"SCRAM-SHA-256": 65_536, "SCRAM-SHA-1": 65_536})
        verifier = find_verifier(make_verifiers("secret", {"SCRAM-SHA-256": 4096}), "SCRAM-SHA-256")
        assert verifier is not None
        self.assertEqual((verifier.iterations, len(verifier.salt)), (4096, 16))
        self.assertIsNone(find_verifier((), "SCRAM-SHA-1"))
