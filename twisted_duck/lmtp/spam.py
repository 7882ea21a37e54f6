"""Mail that a filter on the way has marked as spam."""

from __future__ import annotations

import re

from attrs import field, frozen

from twisted_duck.limits import Limits
from twisted_duck.mime.header import select, selector, unfold
from twisted_duck.mime.scan import Data

#: A field's name (RFC 5322 §2.2), and after it perhaps a value.
_MARK = re.compile(r"([!-9;-~]+)(?:[ \t]*:(.*))?")
_BLANK_LINE = re.compile(rb"\n\r?\n")
#: What a filter says that says nothing but yes or no.
_YES = "yes"


@frozen
class SpamMark:
    """The header field that says so: `X-Spam-Flag: YES`.

    A field with this name is the mark if its value begins with this one, as a word of its own and without regard to case:
    `Yes` is found in `X-Spam-Status: Yes, score=9.5`, too.  Without a value it is `Yes`.
    """

    name: bytes
    value: bytes
    _pattern: re.Pattern[bytes] = field(init=False, eq=False, repr=False)

    def __attrs_post_init__(self) -> None:
        object.__setattr__(self, "_pattern", selector([self.name]))

    @classmethod
    def parse(cls, text: str) -> SpamMark:
        """Raises ValueError."""
        found = _MARK.fullmatch(text.strip())
        if found is None or not text.isascii() or not text.strip().isprintable():
            raise ValueError(
                "must be the name of a header field and its value, as X-Spam-Flag: YES"
            )
        value = (found[2] or "").strip() or _YES
        return cls(found[1].lower().encode(), value.lower().encode())

    def is_on(self, message: Data, limits: Limits) -> bool:
        """Whether the message has it, as far as its header is looked at."""
        if message[:2] == b"\r\n" or message[:1] == b"\n":
            return False
        most = min(len(message), limits.lmtp_header)
        end = _BLANK_LINE.search(message, 0, most)
        header = message[: end.start() + 1 if end else most]
        found = select(header, self._pattern, limits.mime_fields, limits.mime_field)
        return any(self._says_yes(value) for values in found.values() for value in values)

    def _says_yes(self, value: bytes) -> bool:
        said = unfold(value).lower()
        follows = said[len(self.value) : len(self.value) + 1]
        return said.startswith(self.value) and not follows.isalnum()
