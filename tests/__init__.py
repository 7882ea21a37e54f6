"""Tests; the tree mirrors `twisted_duck`.

With DUCKMAIL_TEST_SWEEPS every STORE is a sweep that can be one (`twisted_duck.store.sweeps`), and is folded after so many
seconds: 0 folds while the test goes on, 60 leaves all as it is.
"""

import os

from hypothesis import HealthCheck, settings

from twisted_duck import limits
from twisted_duck.limits import Limits

# How long an example takes is the machine's affair.
settings.register_profile("untimed", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("untimed")


def _sweep(rest: int) -> None:
    names = Limits.__init__.__code__.co_varnames[1 : Limits.__init__.__code__.co_argcount]
    defaults = dict(zip(names, Limits.__init__.__defaults__ or (), strict=True))
    defaults.update(sweep_from=1, sweep_rest=rest)
    Limits.__init__.__defaults__ = tuple(defaults.values())
    # Nobody else has imported it yet.
    limits.DEFAULTS = Limits()  # type: ignore[misc]


if "DUCKMAIL_TEST_SWEEPS" in os.environ:
    _sweep(int(os.environ["DUCKMAIL_TEST_SWEEPS"]))
