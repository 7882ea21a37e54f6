"""Every message of the corpora, every answer."""

from __future__ import annotations

import re

from twisted.trial.unittest import SynchronousTestCase

from tests.mime.answers import PureAnswers
from tests.mime.corpus import OWN, Comparison, Corpus, Difference, compare, large, own, own_dovecot
from tests.mime.differences import OWN_REASONS, REASONS, Reasons

_ABBREVIATED = {"FIELDS": "BODY[HEADER.FIELDS (FROM TO SUBJECT DATE MESSAGE-ID)]"}


def listed(reasons: Reasons = REASONS) -> set[Difference]:
    return {
        Difference(name, _ABBREVIATED.get(key, key))
        for _reason, entries in reasons
        for name, keys in entries.items()
        for key in keys.split()
    }


def report(title: str, result: Comparison, known: int) -> str:
    return (
        f"\n{title}: {result.messages} messages, {result.compared} answers compared, "
        f"{result.equal} equal, {known} listed differences"
    )


class CorpusTests(SynchronousTestCase):
    def test_own_messages_have_the_expected_answers(self) -> None:
        corpus = own()
        self.assertEqual(set(corpus.messages), {path.stem for path in OWN.glob("*.eml")})
        result = compare(corpus, PureAnswers(corpus.messages))
        print(report("own messages", result, 0))
        self.assertEqual(sorted(result.differences), [])

    def test_large_corpus_differs_from_dovecot_only_where_listed(self) -> None:
        corpus = large()
        if corpus is None:
            print("\nno large corpus beside the checkout: own messages only")
            return
        self.assert_differs_where_listed("large corpus", corpus, REASONS)

    def test_own_messages_differ_from_dovecot_only_where_listed(self) -> None:
        self.assert_differs_where_listed("own messages and Dovecot", own_dovecot(), OWN_REASONS)

    def assert_differs_where_listed(self, title: str, corpus: Corpus, reasons: Reasons) -> None:
        result = compare(corpus, PureAnswers(corpus.messages))
        known = listed(reasons)
        print(report(title, result, len(known)))
        self.assertEqual(sorted(result.differences - known), [], "not listed")
        self.assertEqual(sorted(known - result.differences), [], "listed, but equal")

    def test_each_listed_difference_has_one_reason_that_names_a_section(self) -> None:
        for reasons in (REASONS, OWN_REASONS):
            entries = [entry for _reason, group in reasons for entry in group.items()]
            self.assertEqual(
                sum(len(keys.split()) for _name, keys in entries), len(listed(reasons))
            )
            before = ""
            for reason, _group in reasons:
                self.assertTrue(
                    re.search(r"RFC \d+ §\d", reason)
                    or (reason.startswith("The same") and re.search(r"RFC \d+ §\d", before)),
                    reason,
                )
                before = reason if not reason.startswith("The same") else before
