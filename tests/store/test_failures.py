"""What is told of a command that the database refused."""

from __future__ import annotations

from pymongo.errors import ConnectionFailure
from twisted.trial.unittest import SynchronousTestCase

from twisted_duck import errors
from twisted_duck.store.failures import CommandFailed, is_transient, translate
from twisted_duck.store.uri import parse


def failed(code: int, *labels: str) -> CommandFailed:
    return CommandFailed("insert", {"code": code, "errmsg": "words", "errorLabels": labels})


class TranslationTests(SynchronousTestCase):
    def test_what_may_pass_is_told_as_such_and_what_will_not_is_not(self) -> None:
        for failure, told in (
            (ConnectionFailure("lost"), errors.Unavailable),
            (failed(14031), errors.Unavailable),
            (failed(13), errors.NotAllowed),
            (failed(11000), errors.AlreadyExists),
            # More than fits into a share of the cache: in several parts it does.
            (failed(388), errors.TooMany),
            (failed(9), errors.ServerError),
        ):
            self.assertIs(type(translate(failure)), told, failure)
        logged = self.flushLoggedErrors()
        self.assertEqual(logged, [])

    def test_a_missing_right_is_no_wrong_password(self) -> None:
        for uri, code, told in (
            (
                "mongodb://ro:secret@h/duck",
                13,
                "the user 'ro' may not do that in the database 'duck': ",
            ),
            ("mongodb://h/duck", 13, "the database 'duck' is for those who log in"),
            ("mongodb://ro:secret@h/duck", 18, "refuses the server's credentials"),
        ):
            error = translate(CommandFailed("find", {"code": code}, parse(uri)))
            self.assertIn(told, str(error))
            self.assertNotIn("secret", str(error))
            # Which is nothing for a client.
            self.assertNotIn("duck", error.message)
            self.assertNotIn("ro", error.message.split())

    def test_only_what_the_server_says_can_be_tried_again_is(self) -> None:
        self.assertTrue(is_transient(failed(112, "TransientTransactionError")))
        self.assertTrue(is_transient(failed(251)))
        self.assertTrue(is_transient(ConnectionFailure("lost")))
        self.assertFalse(is_transient(failed(388)))
        self.assertFalse(is_transient(failed(14031)))
