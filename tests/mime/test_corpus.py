"""Every message of the corpora, every answer."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from tests.mime.answers import PureAnswers
from tests.mime.corpus import OWN, Comparison, Difference, compare, large, own
from tests.mime.differences import REASONS

_ABBREVIATED = {"FIELDS": "BODY[HEADER.FIELDS (FROM TO SUBJECT DATE MESSAGE-ID)]"}


def listed() -> set[Difference]:
    return {
        Difference(name, _ABBREVIATED.get(key, key))
        for _reason, entries in REASONS
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
        result = compare(corpus, PureAnswers(corpus.messages))
        known = listed()
        print(report("large corpus", result, len(known)))
        self.assertEqual(sorted(result.differences - known), [], "not listed")
        self.assertEqual(sorted(known - result.differences), [], "listed, but equal")

    def test_each_listed_difference_has_one_reason_that_names_a_section(self) -> None:
        entries = [entry for _reason, group in REASONS for entry in group.items()]
        self.assertEqual(sum(len(keys.split()) for _name, keys in entries), len(listed()))
        for reason, _group in REASONS:
            self.assertRegex(reason, r"RFC \d+ §\d|see above")
