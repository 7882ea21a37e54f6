"""Hashes, and how many are worked on at once."""

from __future__ import annotations

from threading import Lock

from twisted.internet import reactor
from twisted.internet.defer import CancelledError, Deferred, gatherResults
from twisted.trial.unittest import SynchronousTestCase, TestCase

from tests.auth.support import WEAK, Reactor, Threads
from twisted_duck.auth.passwords import (
    DEFAULT,
    Argon2Parameters,
    PasswordHasher,
    hash_password,
    needs_rehash,
    verify_password,
)
from twisted_duck.errors import Corruption, Unavailable
from twisted_duck.limits import Limits

GOOD = "correct horse"


class HashTests(SynchronousTestCase):
    def test_a_hash_says_its_parameters_and_has_its_own_salt(self) -> None:
        one, two = hash_password(GOOD), hash_password(GOOD)
        self.assertTrue(one.startswith("$argon2id$v=19$m=19456,t=2,p=1$"), one)
        self.assertNotEqual(one, two)
        self.assertTrue(verify_password(GOOD, one))
        self.assertFalse(verify_password("Correct horse", one))

    def test_a_hash_of_another_program_is_verified(self) -> None:
        """The test vector `argon2id` of the reference implementation (m=256, t=2, p=1)."""
        encoded = (
            "$argon2id$v=19$m=256,t=2,p=1$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4"
        )
        self.assertTrue(verify_password("password", encoded))
        self.assertFalse(verify_password("passwore", encoded))

    def test_passwords_are_utf8_and_may_be_long(self) -> None:
        for password in ("пароль", "x" * 100_000):
            self.assertTrue(verify_password(password, hash_password(password, WEAK)))

    def test_other_parameters_want_a_new_hash(self) -> None:
        weak = hash_password(GOOD, WEAK)
        self.assertTrue(needs_rehash(weak))
        self.assertFalse(needs_rehash(weak, WEAK))
        self.assertEqual(Argon2Parameters.of(hash_password(GOOD)), DEFAULT)

    def test_what_is_no_hash_is_corruption_not_a_wrong_password(self) -> None:
        for encoded in (
            "",
            "secret",
            "$2b$12$abc",
            "$argon2id$v=19$m=8,t=0,p=1$c29tZXNhbHQ$c29tZXNhbHQ",
        ):
            self.assertRaises(Corruption, verify_password, GOOD, encoded)


class HasherTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.threads = Threads(at_once=False)
        limits = Limits(hashing_threads=2, hashing_queue=3)
        self.hasher = PasswordHasher(Reactor(self.threads), limits, WEAK)
        self.encoded = hash_password(GOOD, WEAK)

    def verify(self, password: str = GOOD) -> Deferred[bool]:
        return Deferred.fromCoroutine(self.hasher.verify(password, self.encoded))

    def test_two_at_once_the_others_in_their_order(self) -> None:
        checks = [self.verify(GOOD if n % 2 else "wrong") for n in range(5)]
        for in_threads in (2, 2, 2, 2, 1):
            self.assertEqual(len(self.threads.jobs), in_threads)
            self.threads.run(1)
        self.assertEqual(
            [self.successResultOf(c) for c in checks], [False, True, False, True, False]
        )

    def test_in_threads_of_its_own_where_there_are_some(self) -> None:
        own = Threads(at_once=False)
        hasher = PasswordHasher(Reactor(self.threads), Limits(), WEAK, own)  # type: ignore[arg-type]
        check = Deferred.fromCoroutine(hasher.verify(GOOD, self.encoded))
        self.assertEqual((len(own.jobs), self.threads.jobs), (1, []))
        own.run()
        self.assertTrue(self.successResultOf(check))

    def test_a_full_queue_is_unavailable_at_once(self) -> None:
        checks = [self.verify() for _ in range(5)]
        self.failureResultOf(self.verify(), Unavailable)
        self.threads.run(1)
        checks.append(self.verify())
        while self.threads.jobs:
            self.threads.run()
        self.assertEqual([self.successResultOf(c) for c in checks], [True] * 6)

    def test_going_away_while_waiting_leaves_the_queue(self) -> None:
        running = [self.verify(), self.verify()]
        for _ in range(10):
            waiting = self.verify()
            waiting.cancel()
            self.failureResultOf(waiting, CancelledError)
        self.threads.run()
        self.assertEqual(self.threads.jobs, [])
        self.assertEqual([self.successResultOf(c) for c in running], [True, True])

    def test_going_away_while_hashing_keeps_the_turn_until_the_thread_is_done(self) -> None:
        for _ in range(2):
            check = self.verify()
            check.cancel()
            self.failureResultOf(check, CancelledError)
        third = self.verify()
        self.assertEqual(len(self.threads.jobs), 2)
        self.threads.run()
        self.assertEqual(len(self.threads.jobs), 1)
        self.threads.run()
        self.assertTrue(self.successResultOf(third))

    def test_nobody_is_hashed_and_wrong(self) -> None:
        check = Deferred.fromCoroutine(self.hasher.verify(GOOD, None))
        self.assertEqual(len(self.threads.jobs), 1)
        self.threads.run()
        self.assertFalse(self.successResultOf(check))

    def test_an_error_gives_the_turn_back(self) -> None:
        for _ in range(3):
            check = Deferred.fromCoroutine(self.hasher.verify(GOOD, "nonsense"))
            self.threads.run()
            self.failureResultOf(check, Corruption)

    def test_refused_when_its_turn_has_come_nothing_is_hashed(self) -> None:
        def refuse() -> None:
            raise Unavailable("no")

        for _ in range(3):
            check = Deferred.fromCoroutine(self.hasher.verify(GOOD, self.encoded, first=refuse))
            self.failureResultOf(check, Unavailable)
        self.assertEqual(self.threads.jobs, [])


class ThreadTests(TestCase):
    """With the threads of the real reactor."""

    async def test_real_threads(self) -> None:
        hasher = PasswordHasher(reactor, Limits(hashing_threads=2), WEAK)
        encoded = await hasher.hash(GOOD)
        self.assertTrue(await hasher.verify(GOOD, encoded))
        self.assertFalse(await hasher.verify("wrong", encoded))

    async def test_never_more_than_two_at_once(self) -> None:
        hasher = PasswordHasher(reactor, Limits(hashing_threads=2), WEAK)
        lock, running, most = Lock(), 0, 0

        def work() -> None:
            nonlocal running, most
            with lock:
                running += 1
                most = max(most, running)
            hash_password(GOOD)
            with lock:
                running -= 1

        await gatherResults([Deferred.fromCoroutine(hasher._run(work)) for _ in range(8)])
        self.assertEqual(most, 2)
