"""RFC 9208 §4.1."""

from __future__ import annotations

from tests.imap.grammar.support import GrammarCase
from twisted_duck.imap.grammar import GetQuota, GetQuotaRoot, SetQuota


class Quotas(GrammarCase):
    def test_values(self) -> None:
        self.check_values(
            {
                'GETQUOTA ""': GetQuota(b""),
                "GETQUOTA {4}\r\nroot": GetQuota(b"root"),
                "GETQUOTAROOT inbox": GetQuotaRoot("INBOX"),
                "GETQUOTAROOT Entw&APw-rfe": GetQuotaRoot("Entwürfe"),
                'SETQUOTA "" (storage 512 MESSAGE 0)': SetQuota(
                    b"", (("STORAGE", 512), ("MESSAGE", 0))
                ),
                'SETQUOTA "" ()': SetQuota(b"", ()),
            }
        )

    def test_refused(self) -> None:
        self.check_refused(
            {
                "GETQUOTA": "a quota root",
                "GETQUOTAROOT": "a mailbox name",
                "SETQUOTA x": "'('",
                "SETQUOTA x STORAGE 5": "a resource",
                "SETQUOTA x (STORAGE)": "a limit",
                "SETQUOTA x (STORAGE -1)": "a limit",
                "SETQUOTA x (STORAGE 9223372036854775808)": "a limit has to be from 0",
                "SETQUOTA x (STORAGE 5": "a resource, or ')'",
            }
        )
