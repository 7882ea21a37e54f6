"""SEARCH as `IMAP4Server` has parsed it, as one of our search trees."""

from __future__ import annotations

import re
from typing import Any

from twisted.mail.imap4 import IllegalQueryError

from twisted_duck.errors import ClientError
from twisted_duck.imap.grammar import Literal, Search, parse
from twisted_duck.search import SearchKey

_PLAIN = re.compile(rb"[!#$&'+,\-./0-9:;<=>?@A-Z^_`a-z|}~*]+\Z")


def search_key(query: list[Any]) -> SearchKey:
    """The tree for a list of words, which are bytes or lists in their turn.

    It is written out again, for our own grammar to read: the server does not tell keys from strings.  Raises
    IllegalQueryError for what is no search.
    """
    parts: list[bytes | Literal] = [b"x SEARCH CHARSET UTF-8"]
    waiting: list[Any] = [iter(query)]
    fresh = False
    while waiting:
        word = next(waiting[-1], None)
        if word is None:
            waiting.pop()
            if waiting:
                parts.append(b")")
            fresh = False
            continue
        if not fresh:
            parts.append(b" ")
        fresh = isinstance(word, list)
        if fresh:
            parts.append(b"(")
            waiting.append(iter(word))
        elif _PLAIN.match(word):
            parts.append(word)
        else:
            parts.append(Literal.of(word))
    try:
        search = parse(parts).value
    except ClientError as error:
        raise IllegalQueryError(str(error)) from error
    assert isinstance(search, Search)
    return search.key
