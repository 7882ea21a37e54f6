"""How often each policy has refused somebody, for the log."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from twisted.logger import Logger

from twisted_duck.policies import Policy

#: Seconds between two lines.
PERIOD = 60


class Refusals:
    """Adds up what policies have refused; those that go are to be counted a last time before."""

    log = Logger()

    def __init__(self) -> None:
        self._total: Counter[str] = Counter()
        #: Since the last line.
        self._new: Counter[str] = Counter()
        self._seen: dict[Policy, int] = {}

    def count(self, policies: Iterable[Policy]) -> None:
        """Take note of what these have refused since they were here last; the others are forgotten."""
        seen = {policy: policy.refused for policy in policies}
        for policy, refused in seen.items():
            self._new[policy.name] += refused - self._seen.get(policy, 0)
        self._seen = seen

    def report(self) -> None:
        """A line, if there is anything new."""
        new = +self._new
        if new:
            self._total += new
            self._new.clear()
            self.log.info(
                "refused lately: {new}; since the start: {total}",
                new=_words(new),
                total=_words(self._total),
            )

    def sum_up(self) -> None:
        """The last line, if there was anything at all."""
        self._total += self._new
        self._new.clear()
        if self._total:
            self.log.info("refused since the start: {total}", total=_words(self._total))


def _words(counts: Counter[str]) -> str:
    return ", ".join(f"{count:,} by {name}" for name, count in counts.most_common())
