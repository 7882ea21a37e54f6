"""Whether somebody exists can't be told from how long a login takes that fails."""

from __future__ import annotations

import argparse
from typing import ClassVar

from benchmarks.logins import Logins, Refused
from tests.clients.server import PASSWORD, USER
from tests.floods.support import FULL, FloodCase

_DISABLED = "bob"
#: What a login may take more than another, or less: in short only a hash that is missing is seen.
_MOST = 0.02 if FULL else 0.4


class SameTimeTests(FloodCase):
    """By what the server takes of the processor: it waits for nothing else that differs."""

    #: Rounds, two logins of each kind.
    counts: ClassVar = (5, 300)

    async def test_an_unknown_and_a_disabled_user_take_what_a_wrong_password_takes_within_2_percent(
        self,
    ) -> None:
        await self.duckmail("user", "add", _DISABLED, "--password", PASSWORD)
        await self.duckmail("user", "disable", _DISABLED)
        found = await self.blocking(self.measure)
        for kind in ("unknown user", "disabled user"):
            ratio = found[kind].ratio
            what = f"{kind}: of the CPU of a wrong password"
            if FULL:
                print(f"\n    {what}: {ratio.median:.3f} ({ratio.low:.3f} to {ratio.high:.3f})")
            self.assertLessEqual(abs(ratio.median - 1), _MOST, f"{what}: {ratio}")

    def measure(self) -> dict[str, Refused]:
        given = argparse.Namespace(
            host="127.0.0.1",
            port=self.server.ports["imap"],
            user=USER,
            password=PASSWORD,
            disabled=_DISABLED,
            pid=self.growth().pid,
            tries=self.count,
        )
        return Logins(given).alike()
