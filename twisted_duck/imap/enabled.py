"""What a client has switched on for the rest of its connection (RFC 5161; RFC 7162 §3.1, §3.2.3; RFC 6855 §3)."""

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
    #: IMAP4rev2 (RFC 9051): SEARCH is answered by ESEARCH.
    rev2: bool = False
    #: Names of mailboxes are in UTF-8 both ways, and so may quoted strings be.
    utf8: bool = False


def _condstore(enabled: Enabled) -> None:
    enabled.condstore = True


def _qresync(enabled: Enabled) -> None:
    enabled.condstore = enabled.qresync = True


def _utf8(enabled: Enabled) -> None:
    enabled.utf8 = True


#: What ENABLE takes, where the capability of that name is there.
EXTENSIONS: Final[dict[str, Callable[[Enabled], None]]] = {
    "CONDSTORE": _condstore,
    "QRESYNC": _qresync,
    "UTF8=ACCEPT": _utf8,
}
