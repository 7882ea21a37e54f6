"""Text in header fields: encoded words (RFC 2047), and charsets by name.

Charsets come from a fixed table, so that no name in a message makes Python look for a module or run a codec
that is not a character set.
"""

from __future__ import annotations

import binascii
import codecs
import re
import string
from encodings.aliases import aliases
from functools import lru_cache
from typing import Final

_WORD = re.compile(rb"=\?([^?*\s]++)(?:\*[^?\s]*+)?\?([bBqQ])\?([^?]*+)\?=")
_CODEC = re.compile(
    r"ascii|latin_1|utf_(?:7|8|16|32)(?:_[bl]e)?|iso8859_\d+|cp\d+|koi8_[rtu]|gb\w+|big5\w*|euc_\w+|shift_\w+"
    r"|iso2022_\w+|hz|johab|mac_\w+|tis_620|ptcp154|hp_roman8|kz1048"
)
_BASE64: Final = frozenset(string.ascii_letters.encode() + string.digits.encode() + b"+/=")
#: To be taken out by `bytes.translate`, which goes through what is full of them ten times as fast as a pattern.
NOT_BASE64: Final = bytes(set(range(256)) - _BASE64)
MARKED: Final = {
    "utf_16": (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE),
    "utf_32": (codecs.BOM_UTF32_LE, codecs.BOM_UTF32_BE),
}
"""Charsets whose byte order is told by a mark at the start, and the marks."""


def _charsets() -> dict[str, str]:
    table = {name: codec for name, codec in aliases.items() if _CODEC.fullmatch(codec)}
    table.update({codec: codec for codec in table.values()})
    extra = {"x_sjis": "cp932", "gb2312": "gb18030", "gbk": "gb18030", "ks_c_5601_1987": "cp949"}
    extra |= {"euc_kr": "cp949", "windows_874": "cp874", "x_gbk": "gb18030", "shift_jis": "cp932"}
    extra |= {
        "iso_8859_8_i": "iso8859_8",
        "iso_8859_6_i": "iso8859_6",
        "x_mac_cyrillic": "mac_cyrillic",
    }
    return table | extra


_CHARSETS: Final = _charsets()
#: Names of at most so many bytes are looked up once, and so many of them.
_SHORT: Final = 32
_REMEMBERED: Final = 128


def codec(charset: bytes) -> str | None:
    """The name of Python's codec for the MIME charset, None for one that is not known."""
    return _codec(charset) if len(charset) > _SHORT else _usual_codec(charset)


def _codec(charset: bytes) -> str | None:
    name = charset.decode("latin-1").strip(" '\"").lower()
    return _CHARSETS.get(
        name.replace("-", "_").replace(".", "_").replace(" ", "_").replace(":", "_")
    )


_usual_codec = lru_cache(_REMEMBERED)(_codec)


def decode_bytes(data: bytes, charset: bytes) -> str:
    """`data` as text; where the charset is not known or does not fit, as `guess` has it."""
    name = codec(charset)
    if name is None or name == "ascii":
        return guess(data)
    return data.decode(ordered(name, data), "replace")


def ordered(name: str, start: bytes) -> str:
    """The codec `name` for text that begins with `start`: without a mark it is big-endian (RFC 2781 §4.3)."""
    marks = MARKED.get(name)
    return name if marks is None or start.startswith(marks) else f"{name}_be"


def guess(data: bytes) -> str:
    """`data` as UTF-8 if it is that, else as Latin-1: no byte is lost."""
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        return data.decode("latin-1")


def decode_words(value: bytes) -> str:
    """The unfolded value of a field with its encoded words decoded; raw 8-bit text is guessed.

    White space between two encoded words is dropped (RFC 2047 §6.2), and the bytes of neighbours in one charset
    are decoded together, since some writers cut characters in two.
    """
    if value.find(b"=?") < 0:
        return guess(value)
    out: list[str] = []
    pending: list[bytes] = []
    charset = b""
    last = 0
    for match in _WORD.finditer(value):
        between = value[last : match.start()]
        this = match[1].lower()
        if pending and (this != charset or between.strip()):
            out.append(decode_bytes(b"".join(pending), charset))
            pending = []
        if between.strip() or last == 0:
            out.append(guess(between))
        charset = this
        pending.append(_unquoted(match[3]) if match[2] in b"qQ" else base64_bytes(match[3]))
        last = match.end()
    if pending:
        out.append(decode_bytes(b"".join(pending), charset))
    out.append(guess(value[last:]))
    return "".join(out)


def _unquoted(data: bytes) -> bytes:
    return binascii.a2b_qp(data, header=True)


def base64_bytes(data: bytes) -> bytes:
    """What `data` says in base64, whatever else is in it; each run that ends in padding stands for itself."""
    return b"".join(_base64_run(run.translate(None, NOT_BASE64)) for run in data.split(b"=") if run)


def _base64_run(run: bytes) -> bytes:
    if len(run) % 4 == 1:
        run = run[:-1]
    return binascii.a2b_base64(run + b"=" * (-len(run) % 4))
