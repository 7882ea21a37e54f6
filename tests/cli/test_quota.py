"""`duckmail user quota`."""

from __future__ import annotations

from tests.cli.support import Said
from tests.cli.test_commands import CommandCase
from twisted_duck.cli import parser
from twisted_duck.errors import OverQuota


class QuotaTests(CommandCase):
    async def add_tim(self) -> None:
        await self.duck("user", "add", "tim", "--password", "secret")

    async def test_set_and_lifted(self) -> None:
        await self.add_tim()
        for given, told in [
            ("5G", "5.0 GiB"),
            ("1536k", "1.5 MiB"),
            ("2 TiB", "2.0 TiB"),
            ("1000", "1000 B"),
            ("0", "0 B"),
        ]:
            said = await self.duck("user", "quota", "tim", given)
            self.assertEqual(said.out, f"user tim may have {told} of mail, and has 0 B\n")
            self.assertEqual((await self.duck("user", "list")).out, f"tim\tactive\t0 B\t{told}\n")
            self.assertIn(f"\nquota:   {told}\n", (await self.duck("user", "show", "tim")).out)
        account = await (await self.store()).account("tim")
        with self.assertRaises(OverQuota):
            await account.check_append("INBOX", 1)
        said = await self.duck("user", "quota", "TIM", "none")
        self.assertEqual(said.out, "user tim has no quota\n")
        self.assertEqual((await self.duck("user", "list")).out, "tim\tactive\t0 B\tnone\n")
        await account.check_append("INBOX", 1)

    async def test_what_is_no_size(self) -> None:
        for given in ("much", "1.5G", "5GB", "5PiB", "", str(2**63), "٣"):
            said = Said()
            with said.listening(), self.assertRaises(SystemExit) as ended:
                parser().parse_args(["user", "quota", "tim", given])
            self.assertEqual(ended.exception.code, 2)
            self.assertIn("is no size: give 500M", said.err)

    async def test_of_nobody(self) -> None:
        self.assertIn("there is no user 'tom'", await self.fails("user", "quota", "tom", "5G"))
