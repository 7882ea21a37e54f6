"""The factory an application puts behind an endpoint."""

from __future__ import annotations

from typing import Unpack

from twisted.cred.portal import Portal
from twisted.logger import Logger

from twisted_duck.arguments import check_choice
from twisted_duck.factory import LoginFactory, LoginOptions
from twisted_duck.pop3.inbox import DeleteAction
from twisted_duck.pop3.protocol import POP3Protocol, Settings
from twisted_duck.room import Room

#: RFC 1939 §3: an inactivity timer must not be shorter.
_SHORTEST_IDLE = 10 * 60


class POP3Factory(LoginFactory):
    """Serves the INBOXes of a cred portal's avatars by POP3, as L{LoginFactory} has it.

    The realm may answer with an avatar for L{twisted.mail.interfaces.IMailboxPOP3}, too: then this is served, nothing is
    moved to the trash, and RETR sets no flag.

    @param deleteAction: what QUIT does with messages marked by DELE: C{"delete"}, or C{"trash"} to move them to the
        mailbox that is \\Trash
    @param retrSetsSeen: whether RETR sets \\Seen
    @param options: L{LoginOptions}: C{tls}, C{limits}, C{clock}, C{cleartextAuth}, C{onConnect}, C{onClose},
        C{onDeadline}, C{onAuthenticated}
    """

    log = Logger()
    protocol = POP3Protocol

    def __init__(
        self,
        portal: Portal,
        *,
        deleteAction: DeleteAction = "delete",
        retrSetsSeen: bool = False,
        **options: Unpack[LoginOptions],
    ) -> None:
        check_choice("deleteAction", deleteAction, DeleteAction)
        super().__init__(portal, **options)
        if self.limits.pop3_idle < _SHORTEST_IDLE:
            self.log.warn(
                "a POP3 client may be idle for {least} s (RFC 1939), and {seconds} s are set",
                least=_SHORTEST_IDLE,
                seconds=self.limits.pop3_idle,
            )
        self._settings = Settings(
            **self._common,
            delete_action=deleteAction,
            retr_sets_seen=retrSetsSeen,
            room=Room(self.limits.pop3_ahead_of_all),
        )

    def make_protocol(self) -> POP3Protocol:
        protocol = POP3Protocol(self._settings)
        protocol.factory = self
        return protocol
