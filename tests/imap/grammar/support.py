"""Tables of commands as they stand in the RFC, and commands written from their values."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import TypeAlias

from twisted.trial.unittest import SynchronousTestCase

from twisted_duck import search as keys
from twisted_duck.errors import BadSyntax
from twisted_duck.imap import grammar, utf7
from twisted_duck.limits import Limits
from twisted_duck.values import UIDSet
from twisted_duck.wire.framing import (
    NEED_DATA,
    CommandFramer,
    FrameLimits,
    LiteralData,
    Text,
)

Parts: TypeAlias = Sequence[bytes | grammar.Literal]


def parts_of(command: str | bytes | Parts) -> Parts:
    """A command as text, its literals written as they are on the wire, or its parts."""
    if isinstance(command, str):
        command = command.encode()
    return cut(command + b"\r\n") if isinstance(command, bytes) else command


def cut(wire: bytes) -> list[bytes | grammar.Literal]:
    """The parts of one command, by way of the framer."""
    framer = CommandFramer(FrameLimits(10**6, 10**6, 1000))
    framer.feed(wire)
    parts: list[bytes | grammar.Literal] = []
    binary = False
    while (event := framer.next_event()) is not NEED_DATA:
        match event:
            case Text(text, literal):
                parts.append(text)
                if literal is not None:
                    framer.accept()
                    binary = literal.binary
            case LiteralData(data):
                parts.append(grammar.Literal.of(data, binary=binary))
    return parts


class GrammarCase(SynchronousTestCase):
    limits = Limits()

    def parse(self, command: str | bytes | Parts) -> grammar.Command:
        return grammar.parse(parts_of(command), self.limits)

    def check_values(self, table: Mapping[str | bytes, object]) -> None:
        """Each line, behind a tag, means the value."""
        for line, value in table.items():
            with self.subTest(line=line):
                wire = b"a1 " + (line.encode() if isinstance(line, str) else line)
                command = self.parse(wire)
                self.assertEqual(command.tag, b"a1")
                self.assertEqual(command.value, value)

    def check_refused(self, table: Mapping[str | bytes, str]) -> None:
        """Each line, behind a tag, is BAD, for this reason and under this tag."""
        for line, why in table.items():
            with self.subTest(line=line):
                wire = b"a1 " + (line.encode() if isinstance(line, str) else line)
                error = self.assertRaises(BadSyntax, self.parse, wire)
                self.assertEqual(error.tag, b"a1")
                self.assertIn(why, error.message)


# --- values to bytes --------------------------------------------------------------------------------

_ATOM = re.compile(rb"[!#$&'+,\-./0-9:;<=>?@A-Z\[^_`a-z|}~]+")
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


def wire_of(command: grammar.Command) -> bytes:
    """The command as a client could send it, without its last CRLF."""
    return b" ".join([command.tag, command.name.encode(), *arguments(command.value)])


def string(data: bytes) -> bytes:
    if re.search(rb"[\r\n\x80-\xff]", data):
        return b"{%d+}\r\n%b" % (len(data), data)
    return b'"%b"' % re.sub(rb'(["\\])', rb"\\\1", data)


def astring(data: bytes) -> bytes:
    return data if _ATOM.fullmatch(data) else string(data)


def mailbox(name: str) -> bytes:
    return astring(utf7.encode(name))


def group(items: Iterable[bytes]) -> bytes:
    return b"(%b)" % b" ".join(items)


def flag_list(flags: Iterable[str]) -> bytes:
    return group(flag.encode() for flag in flags)


def arguments(value: object) -> list[bytes]:
    match value:
        case grammar.Login(user, password):
            return [astring(user), astring(password)]
        case grammar.Select(name, _, condstore, known):
            return [mailbox(name), *select_parameters(condstore, known)]
        case (
            grammar.Delete(name)
            | grammar.GetQuotaRoot(name)
            | grammar.Subscribe(name)
            | grammar.Unsubscribe(name)
        ):
            return [mailbox(name)]
        case grammar.Authenticate(mechanism, initial):
            response = [] if initial is None else [base64.b64encode(initial) or b"="]
            return [mechanism.encode(), *response]
        case grammar.Id(pairs):
            texts = [b"NIL" if each is None else text(each) for pair in pairs for each in pair]
            return [group(texts) if texts else b"NIL"]
        case grammar.Enable(names):
            return [name.encode() for name in names]
        case grammar.Compress():
            return [b"DEFLATE"]
        case grammar.GetQuota(root):
            return [astring(root)]
        case grammar.Create(name, uses):
            return [mailbox(name), b"(USE %b)" % flag_list(uses)]
        case grammar.SetQuota(root, limits):
            pairs = [b"%b %d" % (resource.encode(), limit) for resource, limit in limits]
            return [astring(root), group(pairs)]
        case grammar.Rename(source, target):
            return [mailbox(source), mailbox(target)]
        case grammar.List(reference, patterns, True, select, give, status):
            options = [option.value.encode() for option in give]
            if status:
                options.append(b"STATUS " + group(item.value.encode() for item in status))
            return [
                group(option.value.encode() for option in select),
                mailbox(reference),
                group(string(utf7.encode(pattern)) for pattern in patterns),
                b"RETURN " + group(options),
            ]
        case (
            grammar.List(reference, (pattern,))
            | grammar.Lsub(reference, pattern)
            | grammar.XList(reference, pattern)
        ):
            return [mailbox(reference), string(utf7.encode(pattern))]
        case grammar.Status(name, items):
            return [mailbox(name), group(item.value.encode() for item in items)]
        case grammar.Store(chosen, mode, flags, silent, _, since):
            sign = {"add": b"+", "remove": b"-", "replace": b""}[mode]
            item = sign + b"FLAGS" + (b".SILENT" if silent else b"")
            modifiers = [] if since is None else [b"(UNCHANGEDSINCE %d)" % since]
            return [chosen.to_bytes(), *modifiers, item, flag_list(flags)]
        case grammar.Copy(chosen, name) | grammar.Move(chosen, name):
            return [chosen.to_bytes(), mailbox(name)]
        case grammar.Expunge(uids):
            return [] if uids is None else [uids.to_bytes()]
        case grammar.Fetch(chosen, wanted, _, since, gone, page):
            modifiers = [] if since is None else [b"CHANGEDSINCE %d" % since]
            modifiers += [b"VANISHED"] if gone else []
            modifiers += [] if page is None else [b"PARTIAL " + page.to_bytes()]
            after = [group(modifiers)] if modifiers else []
            return [chosen.to_bytes(), group(map(fetch_item, wanted)), *after]
        case grammar.Search(key, charset, _, returns):
            named = [] if charset is None else [b"CHARSET", charset.encode()]
            return [*returned(returns), *named, search_key(key)]
        case grammar.Sort(criteria, key, charset, _, returns):
            by = group(
                (b"REVERSE " if each.reverse else b"") + each.name.encode() for each in criteria
            )
            return [*returned(returns), by, charset.encode(), search_key(key)]
        case grammar.Thread(algorithm, key, charset):
            return [algorithm.encode(), charset.encode(), search_key(key)]
        case grammar.Append(name, messages):
            return [mailbox(name), *(word for message in messages for word in arrival(message))]
        case grammar.Replace(replaced, name, message):
            return [replaced.to_bytes(), mailbox(name), *arrival(message)]
        case _:
            return []


def text(value: str) -> bytes:
    return string(value.encode("utf-8", "surrogateescape"))


def uid_set(uids: UIDSet) -> bytes:
    return b",".join(b"%d:%d" % each for each in uids.ranges)


def select_parameters(condstore: bool, known: grammar.Known | None) -> list[bytes]:
    parameters = [b"CONDSTORE"] if condstore else []
    if known is not None:
        words = [b"%d %d" % (known.uidvalidity, known.modseq)]
        if known.uids is not None:
            words.append(uid_set(known.uids))
        if known.numbers:
            words.append(group(map(uid_set, (known.numbers, known.uids_of_numbers))))
        parameters.append(b"QRESYNC " + group(words))
    return [group(parameters)] if parameters else []


def returned(returns: grammar.Returns | None) -> list[bytes]:
    if returns is None:
        return []
    names = {"least": b"MIN", "greatest": b"MAX", "all": b"ALL", "count": b"COUNT", "save": b"SAVE"}
    options = [name for field, name in names.items() if getattr(returns, field)]
    if returns.partial is not None:
        options.append(b"PARTIAL " + returns.partial.to_bytes())
    return [b"RETURN", group(options)]


def arrival(message: grammar.AppendArgument) -> list[bytes]:
    moment = message.date and message.date.strftime(
        f'"%d-{_MONTHS[message.date.month - 1]}-{message.date.year:04} %H:%M:%S %z"'
    )
    date = [] if moment is None else [moment.encode()]
    data = message.literal.data or b""
    mark = b"~" if message.literal.binary else b""
    return [flag_list(message.flags), *date, b"%b{%d+}\r\n%b" % (mark, len(data), data)]


def fetch_item(item: grammar.FetchItem) -> bytes:
    match item:
        case grammar.Attribute():
            return item.value.encode()
        case grammar.BinarySize():
            return item.response_name
        case grammar.FetchBinary(_, partial, peek):
            name = item.response_name.partition(b"<")[0]
            name = name.replace(b"BINARY[", b"BINARY.PEEK[") if peek else name
            return name + (b"<%d.%d>" % (partial.start, partial.count) if partial else b"")
        case grammar.FetchBody(_, label, partial, peek):
            name = label.replace(b"BODY[", b"BODY.PEEK[", 1) if peek else label
            return name + (b"<%d.%d>" % (partial.start, partial.count) if partial else b"")


def day(date: object) -> bytes:
    assert hasattr(date, "day") and hasattr(date, "month") and hasattr(date, "year")
    return f"{date.day}-{_MONTHS[date.month - 1]}-{date.year:04}".encode()


def search_key(key: keys.SearchKey) -> bytes:
    match key:
        case keys.And(inside):
            return group(map(search_key, inside))
        case keys.Or(left, right):
            return b"OR %b %b" % (search_key(left), search_key(right))
        case keys.Not(inner):
            return b"NOT " + search_key(inner)
        case keys.HasFlag(flag) if flag.startswith("\\"):
            return flag[1:].upper().encode()
        case keys.HasFlag(flag):
            return b"KEYWORD " + flag.encode()
        case keys.SequenceNumbers(chosen):
            return chosen.to_bytes()
        case keys.UIDs(chosen):
            return b"UID " + chosen.to_bytes()
        case keys.ModSeq(least):
            return b"MODSEQ %d" % least
        case keys.InternalDate(operator, date):
            return b"%b %b" % (operator.upper().encode(), day(date))
        case keys.SaveDate(operator, date):
            return b"SAVED%b %b" % (operator.upper().encode(), day(date))
        case keys.EmailID(id) | keys.ThreadID(id):
            return b"%b %b" % (type(key).__name__.upper().encode(), id.encode())
        case keys.SentDate(operator, date):
            return b"SENT%b %b" % (operator.upper().encode(), day(date))
        case keys.Size(operator, number) | keys.Within(operator, number):
            return b"%b %d" % (operator.upper().encode(), number)
        case keys.Header(name, text):
            return b"HEADER %b %b" % (astring(name.encode()), astring(text.encode()))
        case keys.Body(text) | keys.Text(text):
            return b"%b %b" % (type(key).__name__.upper().encode(), astring(text.encode()))
        case _:
            return type(key).__name__.upper().encode()
