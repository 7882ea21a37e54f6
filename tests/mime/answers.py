"""What `twisted_duck.mime` answers, in the form that `tests.mime.corpus` compares."""

from __future__ import annotations

import datetime
import re
from collections.abc import Callable, Collection, Mapping
from typing import Any, get_args

from tests.mime.wire import check_body, check_envelope, parse
from twisted_duck.mime.message import Analysis, analyse
from twisted_duck.mime.scan import PartTree
from twisted_duck.mime.section import Section, SectionText, filter_header, locate
from twisted_duck.mime.text import fold

_SECTION = re.compile(r"BODY\[((?:\d+\.?)*)([A-Z.]*)(?: \((.*)\))?\]")


class PureAnswers:
    """Each message is analysed once; sections are found through the stored form of the tree."""

    def __init__(self, messages: Mapping[str, bytes]) -> None:
        self._messages = messages
        self._analyses = {name: analyse(data) for name, data in messages.items()}
        self._trees = {
            name: PartTree.unpack(one.tree.pack()) for name, one in self._analyses.items()
        }

    def size(self, name: str) -> int:
        return len(self._messages[name])

    def list_of(self, name: str, item: str) -> Any:
        value = parse(getattr(self._analyses[name], item))
        if item == "envelope":
            check_envelope(value)
        else:
            check_body(value, item == "bodystructure")
        return value

    def section(self, name: str, section: str) -> bytes | None:
        wanted = read_section(section)
        place = locate(self._trees[name], wanted)
        if place is None:
            return None
        found = self._messages[name][slice(*place)]
        return filter_header(found, wanted.fields, False) if wanted.fields else found

    def search(self, query: str) -> Collection[str]:
        matches = read_search(query)
        return {name for name, one in self._analyses.items() if matches(one, self._messages[name])}


def read_section(text: str) -> Section:
    match = _SECTION.fullmatch(text)
    assert match is not None, text
    kind: Any = match[2] or None
    assert kind is None or kind in get_args(SectionText), text
    return Section(
        tuple(int(number) for number in match[1].split(".") if number),
        kind,
        tuple((match[3] or "").encode().split()),
    )


def read_search(query: str) -> Callable[[Analysis, bytes], bool]:
    """One of the few kinds of search that the corpora ask for, as a function of a message."""
    words = re.findall(r'"[^"]*"|\S+', query.removeprefix("CHARSET UTF-8 "))
    key, *arguments = (word.strip('"') for word in words)
    if key == "LARGER":
        return lambda one, data: len(data) > int(arguments[0])
    if key == "SENTSINCE":
        day = datetime.datetime.strptime(arguments[0], "%d-%b-%Y").date()
        return lambda one, data: one.sent_date is not None and one.sent_date >= day
    wanted = fold(arguments[-1])
    if key == "BODY":
        return lambda one, data: wanted in one.searchable.text
    if key == "TEXT":
        return lambda one, data: wanted in one.searchable.text or wanted in one.searchable.header
    name = f"{arguments[0] if key == 'HEADER' else key}:".lower()
    return lambda one, data: any(
        line.startswith(name) and wanted in line[len(name) :]
        for line in one.searchable.header.split("\n")
    )
