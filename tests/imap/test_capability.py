"""The table of capabilities: CAPABILITY before and after login and ENABLE (RFC 3501 §6.1.1, RFC 5161)."""

from __future__ import annotations

import ast
import re
from pathlib import Path
from typing import Any, ClassVar

from twisted.trial.unittest import SynchronousTestCase

from tests.imap.transcript import IMAPCase
from twisted_duck.imap.capability import TABLE, Circumstances, capabilities
from twisted_duck.imap.enabled import EXTENSIONS
from twisted_duck.memory.account import MemoryAccount
from twisted_duck.store.account import StoreAccount


class TableTests(SynchronousTestCase):
    def test_what_is_advertised_has_its_tests(self) -> None:
        """The RFC of each capability is named by the docstring of a module in this directory."""
        told = "\n".join(
            ast.get_docstring(ast.parse(module.read_text("utf-8"))) or ""
            for module in Path(__file__).parent.glob("test_*.py")
        )
        tested = {int(number) for number in re.findall(r"RFC (\d+)", told)}
        missing = {
            capability.name: number
            for capability in TABLE
            for number in re.findall(r"RFC (\d+)", capability.rfc)
            if int(number) not in tested
        }
        self.assertEqual(missing, {})

    def test_what_can_be_enabled_is_in_the_table(self) -> None:
        self.assertLessEqual(EXTENSIONS.keys(), {capability.name for capability in TABLE})

    def test_accounts_of_both_stores_provide_everything(self) -> None:
        for capability in TABLE:
            for interface in capability.needs:
                for account in (MemoryAccount, StoreAccount):
                    self.assertTrue(
                        interface.implementedBy(account), (interface.getName(), account)
                    )

    def test_no_name_is_shown_twice(self) -> None:
        for account in (None, object()):
            shown = capabilities(Circumstances(account, True, False, ("PLAIN", "LOGIN"), utf8=True))
            self.assertEqual(len(shown), len(set(shown)))


class EnableTests(IMAPCase):
    options: ClassVar[dict[str, Any]] = {**IMAPCase.options, "utf8": True}

    def test_the_list_is_the_same_before_and_after(self) -> None:
        client = self.client()
        before = client.say("a1 CAPABILITY")
        self.assertEqual(
            client.say(f"a2 ENABLE {' '.join(EXTENSIONS)}")[0], f"* ENABLED {' '.join(EXTENSIONS)}"
        )
        self.assertEqual(client.say("a1 CAPABILITY"), before)
        client.say("a3 SELECT INBOX")
        self.assertEqual(client.say("a1 CAPABILITY"), before)
