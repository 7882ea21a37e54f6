"""The factory an application puts behind an endpoint."""

from __future__ import annotations

from typing import Unpack

from twisted.cred.portal import Portal

from twisted_duck.factory import LoginFactory, LoginOptions
from twisted_duck.imap.protocol import IMAP4Protocol, Settings


class IMAP4Factory(LoginFactory):
    """Serves IMAP to the avatars of a cred portal, as L{LoginFactory} has it.

    @param spoolDirectory: where messages above C{limits.spool_memory} are kept while they arrive
    @param utf8: whether UTF8=ACCEPT is offered; then messages with 8-bit characters in their headers, as old ones may be,
        are refused from clients that have not enabled it (RFC 6855 §4)
    @param options: L{LoginOptions}: C{tls}, C{limits}, C{clock}, C{cleartextAuth}, C{onConnect}, C{onClose},
        C{onDeadline}, C{onAuthenticated}
    """

    protocol = IMAP4Protocol

    def __init__(
        self,
        portal: Portal,
        *,
        spoolDirectory: str | None = None,
        utf8: bool = False,
        **options: Unpack[LoginOptions],
    ) -> None:
        super().__init__(portal, **options)
        self._settings = Settings(**self._common, spool_directory=spoolDirectory, utf8=utf8)

    def make_protocol(self) -> IMAP4Protocol:
        protocol = IMAP4Protocol(self._settings)
        protocol.factory = self
        return protocol
