"""The factory an application puts behind an endpoint."""

from __future__ import annotations

import socket
from typing import Any, Unpack

from twisted_duck.arguments import check_kind
from twisted_duck.factory import ConnectionFactory, Options
from twisted_duck.interfaces import IDelivery
from twisted_duck.lmtp.protocol import LMTPProtocol, Settings
from twisted_duck.lmtp.spam import SpamMark
from twisted_duck.room import Room


class LMTPFactory(ConnectionFactory):
    """Takes mail for the users of a store by LMTP.

    LMTP has no authentication: whoever can connect can deliver.  Put it behind an endpoint that only the mail server
    reaches, a UNIX socket or the loopback.

    @param delivery: provides L{twisted_duck.interfaces.IDelivery}
    @param hostname: what the server calls itself; the name of this machine by default
    @param spamHeader: the header field that marks spam, as C{"X-Spam-Flag: YES"}, see
        L{twisted_duck.lmtp.spam.SpamMark}; None if nothing does.  Raises ValueError where it is no field
    @param options: L{Options}: C{tls}, C{limits}, C{clock}, C{onConnect}, C{onClose}, C{onDeadline}
    """

    protocol = LMTPProtocol

    def __init__(
        self,
        delivery: Any,
        *,
        hostname: str | None = None,
        spamHeader: str | None = None,
        **options: Unpack[Options],
    ) -> None:
        check_kind("delivery", delivery, IDelivery.providedBy(delivery), "a provider of IDelivery")
        super().__init__(**options)
        self._settings = Settings(
            **self._common,
            delivery=delivery,
            hostname=hostname or socket.gethostname(),
            room=Room(self.limits.lmtp_ahead_of_all),
            spam=None if spamHeader is None else SpamMark.parse(spamHeader),
        )

    def make_protocol(self) -> LMTPProtocol:
        protocol = LMTPProtocol(self._settings)
        protocol.factory = self
        return protocol
