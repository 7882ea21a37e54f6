"""GETQUOTA, GETQUOTAROOT, SETQUOTA: RFC 9208 §4.1, which replaced RFC 2087."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from attrs import frozen

from twisted_duck.imap.grammar.cursor import NUMBER64_MAX, Cursor
from twisted_duck.imap.grammar.terms import mailbox, parenthesised


@frozen
class GetQuota:
    """GETQUOTA, RFC 9208 §4.1.1."""

    root: bytes


@frozen
class GetQuotaRoot:
    """GETQUOTAROOT, RFC 9208 §4.1.2: the mailbox need not exist."""

    mailbox: str


@frozen
class SetQuota:
    """SETQUOTA, RFC 9208 §4.1.3: the resources by name, in upper case."""

    root: bytes
    limits: tuple[tuple[str, int], ...]


def get_quota(cursor: Cursor) -> GetQuota:
    cursor.space("a quota root")
    return GetQuota(cursor.astring("a quota root"))


def get_quota_root(cursor: Cursor) -> GetQuotaRoot:
    cursor.space("a mailbox name")
    return GetQuotaRoot(mailbox(cursor))


def set_quota(cursor: Cursor) -> SetQuota:
    cursor.space("a quota root")
    root = cursor.astring("a quota root")
    cursor.space("'('")
    limits = [] if cursor.take(b"()") else parenthesised(cursor, _limit, "a resource")
    return SetQuota(root, tuple(limits))


def _limit(cursor: Cursor) -> tuple[str, int]:
    resource = cursor.keyword("a resource")
    cursor.space("a limit")
    return resource, cursor.number("a limit", 0, NUMBER64_MAX)


PARSERS: Final[dict[str, Callable[[Cursor], object]]] = {
    "GETQUOTA": get_quota,
    "GETQUOTAROOT": get_quota_root,
    "SETQUOTA": set_quota,
}
