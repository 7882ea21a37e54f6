"""Messages that were made to cost much, each in any size.

`MESSAGES` has for each name a function from a number to a message (CRLF at the ends of its lines, and no NUL: what a server
takes), and the number that the issue, or good sense, asks for.  Twice the number is twice the message.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable
from typing import Final

from attrs import frozen

_KIB: Final = 1024
_MIB: Final = 1024 * _KIB
_TOP: Final = b"From: a@example.org\r\nMessage-ID: <hostile@example.org>\r\nMIME-Version: 1.0\r\n"


@frozen
class Hostile:
    """`make(many)` is the message, about `octets` for each of `many`."""

    make: Callable[[int], bytes]
    many: int

    @property
    def whole(self) -> bytes:
        return self.make(self.many)

    def of_size(self, octets: int) -> bytes:
        """About so long."""
        some = 64
        each = (len(self.make(2 * some)) - len(self.make(some))) / some
        return self.make(max(1, int(octets / each)))


def _message(body: bytes = b"text\r\n", **fields: bytes) -> bytes:
    """Fields by their names, with underscores for hyphens."""
    named = b"".join(
        b"%b: %b\r\n" % (name.replace("_", "-").encode(), value) for name, value in fields.items()
    )
    return _TOP + named + b"\r\n" + body


# --- parts ------------------------------------------------------------------------------------------------------------


def _levels(many: int) -> bytes:
    begun = b"".join(
        b'Content-Type: multipart/mixed; boundary="b%d"\r\n\r\n--b%d\r\n' % (at, at)
        for at in range(many)
    )
    return (
        _TOP
        + begun
        + b"\r\ntext\r\n"
        + b"".join(b"--b%d--\r\n" % at for at in reversed(range(many)))
    )


def _levels_without_end(many: int) -> bytes:
    begun = b'Content-Type: multipart/mixed; boundary="b%d"\r\n\r\n--b%d\r\n'
    return _TOP + b"".join(begun % (at, at) for at in range(many))


def _messages_in_messages(many: int) -> bytes:
    return (
        _TOP + b"Content-Type: message/rfc822\r\n\r\n" * many + b"Subject: inside\r\n\r\ntext\r\n"
    )


def _digests(many: int) -> bytes:
    return _TOP + b"".join(
        b"Content-Type: multipart/digest; boundary=b%d\r\n\r\n--b%d\r\n\r\n" % (at, at)
        for at in range(many)
    )


def _multipart(parts: bytes, kind: bytes = b"mixed") -> bytes:
    return _TOP + b"Content-Type: multipart/%b; boundary=b\r\n\r\n" % kind + parts


def _parts(many: int) -> bytes:
    return _multipart(b"--b\r\n\r\nx\r\n" * many + b"--b--\r\n")


def _parts_without_end(many: int) -> bytes:
    return _multipart(b"--b\r\nContent-Type: text/plain\r\n" * many)


def _parts_with_names(many: int) -> bytes:
    part = b'--b\r\nContent-Type: a/b; name="%d"\r\nContent-ID: <%d@x>\r\n\r\nx\r\n'
    return _multipart(b"".join(part % (at, at) for at in range(many)))


def _messages(many: int) -> bytes:
    return _multipart(b"--b\r\n\r\nSubject: one\r\nTo: a@b, c@d\r\n\r\nx\r\n" * many, b"digest")


def _self_similar(many: int) -> bytes:
    """Each boundary begins with the one around it, and all that stands between is what could be any of them."""
    names = [b"b" * (at + 1) for at in range(60)]
    begun = b"".join(
        b"Content-Type: multipart/mixed; boundary=%b\r\n\r\n--%b\r\n" % (name, name)
        for name in names
    )
    return _TOP + begun + b"\r\n" + b"".join(b"--%b\r\n" % names[at % 60] for at in range(many))


def _almost_boundaries(many: int) -> bytes:
    return _multipart(b"\r\n--" * many)


# --- headers ----------------------------------------------------------------------------------------------------------


def _fields(many: int) -> bytes:
    return b"X-Field: value\r\n" * many + _message(Subject=b"behind all")


def _wanted_fields(many: int) -> bytes:
    return b"To: a@b\r\n" * many + _message()


def _one_field(many: int) -> bytes:
    return _message(X_Long=b"a" * 70 + b"\r\n " + (b"a" * 70 + b"\r\n ") * (many // 74))


def _one_line(many: int) -> bytes:
    return _message(Subject=b"word " * (many // 5))


def _folds(many: int) -> bytes:
    return _message(Subject=b"a\r\n " * many + b"z")


def _without_colon(many: int) -> bytes:
    return b"no field at all\r\n" * many + _message()


def _words(many: int) -> bytes:
    return _message(Subject=b"=?utf-8?q?=C3=A4?= " * many)


def _one_word(many: int) -> bytes:
    return _message(Subject=b"=?utf-8?b?" + b"w6Q=" * many + b"?=")


def _half_words(many: int) -> bytes:
    return _message(Subject=b"=?" * many)


def _charsets(many: int) -> bytes:
    return _message(Subject=b" ".join(b"=?no-such-%d?q?=E4?=" % at for at in range(many)))


def _addresses(many: int) -> bytes:
    return _message(
        To=b",\r\n ".join(b"Name %d <u%d@example.org>" % (at, at) for at in range(many))
    )


def _comments(many: int) -> bytes:
    return _message(To=b"(" * many + b")" * many + b" a@b")


def _comments_side_by_side(many: int) -> bytes:
    return _message(To=b"a" + b"()" * many + b"@b")


def _open_comments(many: int) -> bytes:
    return _message(To=b"(" * many, Content_Type=b"text/plain" + b"(" * many)


def _groups(many: int) -> bytes:
    return _message(Cc=b"".join(b"g%d: a@b;, " % at for at in range(many)))


def _open_groups(many: int) -> bytes:
    return _message(Cc=b"g:" * many)


def _quotes(many: int) -> bytes:
    return _message(To=b'"' + b'\\"' * many)


def _angles(many: int) -> bytes:
    return _message(To=b"<" * many + b"@" * many)


def _pieces(many: int) -> bytes:
    pieces = b"".join(b"; name*%d*=%%41%d" % (at, at) for at in range(many))
    return _message(Content_Type=b"text/plain" + pieces)


def _pieces_backwards(many: int) -> bytes:
    pieces = b"".join(b";\r\n name*%d=a" % at for at in reversed(range(many)))
    return _message(Content_Disposition=b"attachment" + pieces)


def _parameters(many: int) -> bytes:
    return _message(Content_Type=b"text/plain" + b"".join(b"; p%d=v" % at for at in range(many)))


def _long_type(many: int) -> bytes:
    return _message(Content_Type=b"text/" + b"x" * many)


def _spaces(many: int) -> bytes:
    return _message(Content_Type=b"text/plain;" + b" " * many + b"x", Subject=b" " * many + b"x")


def _languages(many: int) -> bytes:
    return _message(Content_Language=b"en," * many)


def _references(many: int) -> bytes:
    return _message(References=b"\r\n ".join(b"<%d@example.org>" % at for at in range(many)))


def _half_references(many: int) -> bytes:
    return _message(References=b"<a" * many, Message_Id=b"<" * many)


def _date(many: int) -> bytes:
    return _message(Date=b"(" * many + b"Mon, " * many + b"1 Jan 2026 00:00:00 +0000")


def _date_spaces(many: int) -> bytes:
    return _message(Date=b"1" + b" -" * many + b" Jan 2026")


def _replies(many: int) -> bytes:
    return _message(Subject=b"Re: [x] " * many)


def _trailers(many: int) -> bytes:
    return _message(Subject=b"[fwd: " * many + b"x" + b"] (fwd)" * many)


# --- bodies -----------------------------------------------------------------------------------------------------------


def _text(many: int) -> bytes:
    return _message(b"words of a text in a line \r\n" * (many // 28))


def _one_line_of_text(many: int) -> bytes:
    return _message(b"word " * (many // 5))


def _base64(many: int) -> bytes:
    return _message(
        b64encode(b"text of any kind " * (3 * many // 68)), Content_Transfer_Encoding=b"base64"
    )


def _base64_padding(many: int) -> bytes:
    return _message(b"QQ==" * (many // 4), Content_Transfer_Encoding=b"base64")


def _quoted_printable(many: int) -> bytes:
    return _message(b"=\r\n" * (many // 3), Content_Transfer_Encoding=b"quoted-printable")


def _quoted_printable_spaces(many: int) -> bytes:
    return _message(b" " * many, Content_Transfer_Encoding=b"quoted-printable")


def _quoted_printable_signs(many: int) -> bytes:
    return _message(
        b"=" * many,
        Content_Type=b"text/plain; charset=no-such",
        Content_Transfer_Encoding=b"quoted-printable",
    )


def _escapes(many: int) -> bytes:
    return _message(b"\x1b$B" * (many // 3), Content_Type=b"text/plain; charset=iso-2022-jp")


def _utf7(many: int) -> bytes:
    return _message(b"+AGE-" * (many // 5), Content_Type=b"text/plain; charset=utf-7")


def _tags(many: int) -> bytes:
    return _message(b"<" * many, Content_Type=b"text/html")


def _attributes(many: int) -> bytes:
    return _message(b"<a b='" * (many // 6), Content_Type=b"text/html")


def _entities(many: int) -> bytes:
    return _message(b"&#" + b"1" * many + b"&amp" * (many // 4), Content_Type=b"text/html")


def _marks(many: int) -> bytes:
    return _message(
        b"a" + "\u0301\u0323".encode() * (many // 4), Content_Type=b"text/plain; charset=utf-8"
    )


def _ligatures(many: int) -> bytes:
    return _message(
        "\ufdfa".encode() * (many // 3),
        Subject="\ufdfa".encode() * (many // 3),
        Content_Type=b"text/plain; charset=utf-8",
    )


def _quoted_lines(many: int) -> bytes:
    return _message(b"> a\r\n" * (many // 5))


MESSAGES: Final = {
    "levels of multipart": Hostile(_levels, 10_000),
    "levels of multipart that do not end": Hostile(_levels_without_end, 10_000),
    "levels of message/rfc822": Hostile(_messages_in_messages, 10_000),
    "levels of multipart/digest": Hostile(_digests, 10_000),
    "parts": Hostile(_parts, 100_000),
    "parts without end": Hostile(_parts_without_end, 100_000),
    "parts with names": Hostile(_parts_with_names, 100_000),
    "messages in a digest": Hostile(_messages, 100_000),
    "boundaries that begin alike": Hostile(_self_similar, 100_000),
    "lines that are almost a boundary": Hostile(_almost_boundaries, 1_000_000),
    "header of short fields": Hostile(_fields, 10 * _MIB // 16),
    "header of address fields": Hostile(_wanted_fields, 10 * _MIB // 9),
    "header of one folded field": Hostile(_one_field, 10 * _MIB),
    "header of one line": Hostile(_one_line, 10 * _MIB),
    "header of folds": Hostile(_folds, 10 * _MIB // 4),
    "header of lines without a colon": Hostile(_without_colon, 10 * _MIB // 17),
    "encoded words": Hostile(_words, 10 * _MIB // 19),
    "one encoded word": Hostile(_one_word, 10 * _MIB // 4),
    "half encoded words": Hostile(_half_words, 10 * _MIB // 2),
    "charsets that do not exist": Hostile(_charsets, 100_000),
    "addresses": Hostile(_addresses, 100_000),
    "nested comments": Hostile(_comments, 100_000),
    "comments side by side": Hostile(_comments_side_by_side, 100_000),
    "comments without end": Hostile(_open_comments, 100_000),
    "groups": Hostile(_groups, 100_000),
    "groups without end": Hostile(_open_groups, 100_000),
    "quotes": Hostile(_quotes, 100_000),
    "angle brackets": Hostile(_angles, 100_000),
    "RFC 2231 pieces": Hostile(_pieces, 20_000),
    "RFC 2231 pieces from the last one": Hostile(_pieces_backwards, 20_000),
    "parameters": Hostile(_parameters, 100_000),
    "long subtype": Hostile(_long_type, _MIB),
    "white space": Hostile(_spaces, _MIB),
    "languages": Hostile(_languages, 100_000),
    "references": Hostile(_references, 100_000),
    "half references": Hostile(_half_references, 100_000),
    "date of comments": Hostile(_date, 100_000),
    "date of hyphens": Hostile(_date_spaces, 100_000),
    "replies to replies": Hostile(_replies, 100_000),
    "forwards of forwards": Hostile(_trailers, 100_000),
    "text": Hostile(_text, 10 * _MIB),
    "text of one line": Hostile(_one_line_of_text, 10 * _MIB),
    "base64 of one line": Hostile(_base64, 10 * _MIB),
    "base64 of padding": Hostile(_base64_padding, 10 * _MIB),
    "quoted-printable of soft line breaks": Hostile(_quoted_printable, 10 * _MIB),
    "quoted-printable of spaces": Hostile(_quoted_printable_spaces, 10 * _MIB),
    "quoted-printable of equals signs": Hostile(_quoted_printable_signs, 10 * _MIB),
    "escapes of ISO 2022": Hostile(_escapes, 10 * _MIB),
    "shifts of UTF-7": Hostile(_utf7, 10 * _MIB),
    "tags that do not end": Hostile(_tags, 10 * _MIB),
    "attributes that do not end": Hostile(_attributes, 10 * _MIB),
    "entities": Hostile(_entities, 10 * _MIB),
    "combining marks": Hostile(_marks, 10 * _MIB),
    "ligatures": Hostile(_ligatures, 5 * _MIB),
    "quotes of quotes": Hostile(_quoted_lines, 10 * _MIB),
}
