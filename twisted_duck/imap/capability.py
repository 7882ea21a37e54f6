"""The one table of what the server can do, and when it says so.

A capability is shown if and only if it works to the letter in that state, on that connection, with that account.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Literal

import attrs
from zope.interface.interface import InterfaceClass

from twisted_duck.interfaces import (
    ICasemapAccount,
    ICondstoreAccount,
    ICreateSpecialUseAccount,
    IMoveAccount,
    IMultiAppendAccount,
    IObjectIDAccount,
    IQuotaAccount,
    IReplaceAccount,
    ISizeAccount,
    ISpecialUseAccount,
    IUIDPlusAccount,
)
from twisted_duck.limits import Limits

#: Before login a client needs to know how to log in; the rest is told with the answer to that.
When = Literal["always", "before login", "after login"]


@attrs.frozen
class Circumstances:
    """What decides which capabilities are shown."""

    #: The avatar, or None before login.
    account: Any = None
    #: Whether STARTTLS would work now.
    can_start_tls: bool = False
    #: Whether passwords may be sent now.
    may_authenticate: bool = True
    #: SASL mechanisms that may be used now, in the order they are shown.
    mechanisms: tuple[str, ...] = ()
    #: Whether COMPRESS was given.
    is_compressing: bool = False
    #: Whether UTF8=ACCEPT is wanted.
    utf8: bool = False
    limits: Limits = attrs.field(factory=Limits)


def _interfaces(
    needs: InterfaceClass | tuple[InterfaceClass, ...] | None,
) -> tuple[InterfaceClass, ...]:
    if needs is None:
        return ()
    return needs if isinstance(needs, tuple) else (needs,)


@attrs.frozen
class Capability:
    name: str
    #: Where it is defined.
    rfc: str
    when: When = "always"
    #: What the account must provide, where there is one already: one interface, or several.
    needs: tuple[InterfaceClass, ...] = attrs.field(default=(), converter=_interfaces)
    #: A further condition.
    condition: Callable[[Circumstances], bool] | None = None
    #: For a capability that comes as `NAME=value`, once for each value.
    values: Callable[[Circumstances], Iterable[object]] | None = None

    def shown(self, now: Circumstances) -> list[str]:
        """As it stands in the list: nothing, the name, or the name with each value."""
        if not self._shows(now):
            return []
        if self.values is None:
            return [self.name]
        return [f"{self.name}={value}" for value in self.values(now)]

    def _shows(self, now: Circumstances) -> bool:
        logged_in = now.account is not None
        if self.when != "always" and logged_in != (self.when == "after login"):
            return False
        if logged_in and not all(each.providedBy(now.account) for each in self.needs):
            return False
        return self.condition is None or self.condition(now)


TABLE: tuple[Capability, ...] = (
    Capability("IMAP4rev1", "RFC 3501"),
    # Who knows nothing else looks for it in the greeting, when there is no account that could be asked.
    Capability("IMAP4rev2", "RFC 9051", needs=(IUIDPlusAccount, IMoveAccount, ISizeAccount)),
    Capability(
        "STARTTLS", "RFC 3501 §6.2.1", "before login", condition=lambda now: now.can_start_tls
    ),
    Capability(
        "LOGINDISABLED",
        "RFC 3501 §6.2.3",
        "before login",
        condition=lambda now: not now.may_authenticate,
    ),
    Capability(
        "AUTH",
        "RFC 3501 §6.2.2",
        "before login",
        values=lambda now: now.mechanisms,
    ),
    Capability("SASL-IR", "RFC 4959", "before login"),
    # Before login small literals may come unasked for, after login any.
    Capability("LITERAL-", "RFC 7888", "before login"),
    Capability("LITERAL+", "RFC 7888", "after login"),
    Capability("ID", "RFC 2971"),
    Capability("IDLE", "RFC 2177"),
    # Some clients ask what there is before login, and never again.
    Capability("ENABLE", "RFC 5161"),
    Capability("NAMESPACE", "RFC 2342", "after login"),
    Capability("CHILDREN", "RFC 3348", "after login"),
    Capability("UNSELECT", "RFC 3691", "after login"),
    Capability("UIDPLUS", "RFC 4315", "after login", IUIDPlusAccount),
    Capability("CONDSTORE", "RFC 7162 §3.1", "after login", ICondstoreAccount),
    Capability("QRESYNC", "RFC 7162 §3.2", "after login", ICondstoreAccount),
    Capability("BINARY", "RFC 3516", "after login"),
    Capability("UTF8=ACCEPT", "RFC 6855", "after login", condition=lambda now: now.utf8),
    Capability("MULTIAPPEND", "RFC 3502", "after login", IMultiAppendAccount),
    Capability("MOVE", "RFC 6851", "after login", IMoveAccount),
    Capability("REPLACE", "RFC 8508", "after login", IReplaceAccount),
    Capability("LIST-EXTENDED", "RFC 5258", "after login"),
    Capability("LIST-STATUS", "RFC 5819", "after login"),
    Capability("SPECIAL-USE", "RFC 6154", "after login", ISpecialUseAccount),
    Capability("CREATE-SPECIAL-USE", "RFC 6154 §3", "after login", ICreateSpecialUseAccount),
    # For clients that are older than SPECIAL-USE.
    Capability("XLIST", "Gmail", "after login", ISpecialUseAccount),
    Capability("STATUS=SIZE", "RFC 8438", "after login", ISizeAccount),
    Capability("QUOTA", "RFC 9208", "after login", IQuotaAccount),
    Capability("QUOTA=RES-STORAGE", "RFC 9208 §5.1", "after login", IQuotaAccount),
    Capability("SAVEDATE", "RFC 8514", "after login"),
    Capability("PREVIEW", "RFC 8970", "after login"),
    Capability("OBJECTID", "RFC 8474", "after login", IObjectIDAccount),
    Capability("ESEARCH", "RFC 4731", "after login"),
    Capability("SEARCHRES", "RFC 5182", "after login"),
    Capability("WITHIN", "RFC 5032", "after login"),
    Capability("PARTIAL", "RFC 9394", "after login"),
    Capability("SORT", "RFC 5256", "after login"),
    Capability("SORT=DISPLAY", "RFC 5957", "after login"),
    Capability("ESORT", "RFC 5267 §3", "after login"),
    Capability("THREAD=ORDEREDSUBJECT", "RFC 5256", "after login"),
    Capability("THREAD=REFERENCES", "RFC 5256", "after login"),
    Capability("I18NLEVEL=1", "RFC 5255 §4", "after login", ICasemapAccount),
    Capability(
        "COMPRESS",
        "RFC 4978",
        "after login",
        condition=lambda now: not now.is_compressing,
        values=lambda now: ("DEFLATE",),
    ),
    Capability("APPENDLIMIT", "RFC 7889", values=lambda now: (now.limits.message,)),
)


def capabilities(now: Circumstances) -> list[str]:
    """What CAPABILITY answers."""
    return [name for capability in TABLE for name in capability.shown(now)]
