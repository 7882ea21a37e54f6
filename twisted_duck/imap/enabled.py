"""What a client has switched on for the rest of its connection.

RFC 5161; RFC 6855 §3; RFC 7162 §3.1, §3.2.3; RFC 9051 §6.3.1, Appendix A.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import attrs


@attrs.define
class Enabled:
    #: Every FETCH response tells the modseq and the UID.
    condstore: bool = False
    #: And VANISHED stands in place of EXPUNGE.
    qresync: bool = False
    #: IMAP4rev2: SEARCH is answered by ESEARCH, SELECT has LIST, every flag that changes a UID; nothing is \\Recent.
    rev2: bool = False
    #: Names of mailboxes are in UTF-8 both ways, and so may quoted strings be: IMAP4rev2 or UTF8=ACCEPT.
    utf8: bool = False
    #: UTF8=ACCEPT itself: a SEARCH names no charset.
    utf8_accept: bool = False


def _condstore(enabled: Enabled) -> None:
    enabled.condstore = True


def _qresync(enabled: Enabled) -> None:
    enabled.condstore = enabled.qresync = True


def _utf8_accept(enabled: Enabled) -> None:
    enabled.utf8 = enabled.utf8_accept = True


def _rev2(enabled: Enabled) -> None:
    enabled.rev2 = enabled.utf8 = True


#: What ENABLE takes, where the capability of that name is there, as it is spelled there.
EXTENSIONS: Final[dict[str, Callable[[Enabled], None]]] = {
    "CONDSTORE": _condstore,
    "QRESYNC": _qresync,
    "UTF8=ACCEPT": _utf8_accept,
    "IMAP4rev2": _rev2,
}
