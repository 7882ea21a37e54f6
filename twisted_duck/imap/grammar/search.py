"""SEARCH and UID SEARCH: RFC 3501 §6.4.4, §6.4.8."""

from __future__ import annotations

from attrs import frozen

from twisted_duck.search import SearchKey


@frozen
class Search:
    """`key` is the whole search; `charset` the one the client named, its strings are decoded."""

    key: SearchKey
    charset: str | None = None
    uid: bool = False
