"""GETQUOTA, GETQUOTAROOT, SETQUOTA: RFC 9208, and RFC 2087 before it.

All mailboxes of a user share one quota root, if the user has a quota at all: the one that is named by the empty string.
"""

from __future__ import annotations

from twisted_duck.errors import BadSyntax, NonExistent, NoPermission
from twisted_duck.imap import grammar, responses
from twisted_duck.imap.commands.base import Connection, Done
from twisted_duck.interfaces import IQuotaAccount
from twisted_duck.values import Quota

ROOT = b""
_UNIT = 1024


async def get_quota(connection: Connection, command: grammar.GetQuota) -> Done:
    """RFC 9208 §4.1.1."""
    quota = await _quota(connection)
    if command.root != ROOT or quota.limit is None:
        raise NonExistent("there is no such quota root")
    _say(connection, quota.used, quota.limit)
    return Done("GETQUOTA completed")


async def get_quota_root(connection: Connection, command: grammar.GetQuotaRoot) -> Done:
    """RFC 9208 §4.1.2."""
    quota = await _quota(connection)
    roots = () if quota.limit is None else (ROOT,)
    connection.send(responses.quota_roots(command.mailbox, roots, utf8=connection.enabled.utf8))
    if quota.limit is not None:
        _say(connection, quota.used, quota.limit)
    return Done("GETQUOTAROOT completed")


async def set_quota(connection: Connection, command: grammar.SetQuota) -> Done:
    """RFC 9208 §4.1.3: QUOTASET is not advertised."""
    await _quota(connection)
    raise NoPermission("only an administrator can set a quota")


async def _quota(connection: Connection) -> Quota:
    if not IQuotaAccount.providedBy(connection.account):
        raise BadSyntax("there are no quotas here")
    quota: Quota = await connection.account.quota()
    return quota


def _say(connection: Connection, used: int, limit: int) -> None:
    # Both rounded up: what fits into the bytes fits into the units, too.
    connection.send(responses.quota(ROOT, [("STORAGE", -(-used // _UNIT), -(-limit // _UNIT))]))
