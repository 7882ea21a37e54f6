"""All that the store needs to know of a message when it arrives, each computed once."""

from __future__ import annotations

import datetime
from collections.abc import Iterator

from twisted_duck.light import light
from twisted_duck.limits import DEFAULTS, Limits
from twisted_duck.mime.date import sent
from twisted_duck.mime.form import Encoding
from twisted_duck.mime.head import read_head, search_lines
from twisted_duck.mime.order import order
from twisted_duck.mime.preview import preview
from twisted_duck.mime.references import ids
from twisted_duck.mime.scan import Data, PartTree, scan_with_heads
from twisted_duck.mime.structure import structure
from twisted_duck.mime.text import Searchable, fold, searchable
from twisted_duck.values import Order


@light
class Leaf:
    """The body of a part that has no parts: `data[start:end]`, and whether it is said to be base64."""

    start: int
    end: int
    base64: bool


@light
class Analysis:
    """`envelope`, `bodystructure` and `body` are the bytes that FETCH sends (RFC 3501 §7.4.2).

    `sent_date` is the day the Date field names, None without one.
    """

    tree: PartTree
    envelope: bytes
    bodystructure: bytes
    body: bytes
    sent_date: datetime.date | None
    searchable: Searchable
    #: What SORT and THREAD compare.
    order: Order
    #: The message's own ID and those it refers to (`twisted_duck.mime.references`).
    ids: bytes
    #: The beginning of what it says (`twisted_duck.mime.preview`).
    preview: str

    @property
    def leaves(self) -> Iterator[Leaf]:
        """They are in the order of the message and do not overlap."""
        return (
            Leaf(part.body, part.end, part.encoding is Encoding.BASE64)
            for part in self.tree.leaves()
        )


def analyse(data: Data, limits: Limits = DEFAULTS) -> Analysis:
    """Read the message `data`, bytes or a mapped file, once. Never fails."""
    tree, heads = scan_with_heads(data, limits)
    lists = structure(tree, heads, limits)
    fields = heads[0].fields
    dates = fields.get(b"date")
    day, moment = sent(dates[0]) if dates else (None, None)
    texts: dict[int, str] = {}
    shown = preview(data, tree, limits, heads, texts)
    return Analysis(
        tree,
        lists.envelope,
        lists.bodystructure,
        lists.body,
        day,
        searchable(data, tree, limits, heads, texts),
        order(fields, moment, limits),
        ids(fields, limits.mime_references),
        shown,
    )


def behind(fields: bytes, analysis: Analysis, limits: Limits = DEFAULTS) -> Analysis:
    """What `analyse` would say of a message with `fields` in front of it, without reading it again.

    `fields` are whole fields of a header that ENVELOPE and BODYSTRUCTURE are not made of, as Return-Path, and few.
    The first line of the message does not count as a continuation of them, even where it begins with a space.
    """
    by = len(fields)
    most = limits.mime_search
    searchable = analysis.searchable
    lines = read_head(fields, limits).lines
    header = fold("".join(search_lines(fields)) if lines is None else lines) + searchable.header
    return Analysis(
        tree=analysis.tree.behind(by),
        envelope=analysis.envelope,
        bodystructure=analysis.bodystructure,
        body=analysis.body,
        sent_date=analysis.sent_date,
        searchable=Searchable(
            header[:most], searchable.text, searchable.truncated or len(header) > most
        ),
        order=analysis.order,
        ids=analysis.ids,
        preview=analysis.preview,
    )
