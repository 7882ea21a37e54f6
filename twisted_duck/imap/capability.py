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
    #: One line for docs/protocols.md: what it is here, what was decided.
    about: str
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
    Capability(
        "IMAP4rev1",
        "RFC 3501",
        "What every client knows, with CHECK, LSUB, the RFC822 items, \\Recent and RECENT",
    ),
    # Who knows nothing else looks for it in the greeting, when there is no account that could be asked.
    Capability(
        "IMAP4rev2",
        "RFC 9051",
        (
            "Beside rev1, switched on by ENABLE IMAP4rev2; before login there is no account to ask, so a "
            "client looks again after it"
        ),
        needs=(IUIDPlusAccount, IMoveAccount, ISizeAccount),
    ),
    Capability(
        "STARTTLS",
        "RFC 3501 §6.2.1",
        "Where there is a certificate and no TLS yet; what was received ahead of the handshake is forgotten",
        "before login",
        condition=lambda now: now.can_start_tls,
    ),
    Capability(
        "LOGINDISABLED",
        "RFC 3501 §6.2.3",
        "Where passwords would go over a clear line and the configuration does not allow that",
        "before login",
        condition=lambda now: not now.may_authenticate,
    ),
    Capability(
        "AUTH",
        "RFC 3501 §6.2.2",
        (
            "PLAIN and LOGIN where passwords may be sent; SCRAM-SHA-256 and SCRAM-SHA-1 where verifiers "
            "are kept, with -PLUS where TLS has something to bind to"
        ),
        "before login",
        values=lambda now: now.mechanisms,
    ),
    Capability(
        "SASL-IR", "RFC 4959", "A SASL exchange begins with AUTHENTICATE itself", "before login"
    ),
    # Before login small literals may come unasked for, after login any.
    Capability(
        "LITERAL-", "RFC 7888", "Literals of up to 4096 octets may come unasked for", "before login"
    ),
    Capability(
        "LITERAL+",
        "RFC 7888",
        "Literals of any size may come unasked for; one that is refused is read and forgotten",
        "after login",
    ),
    Capability(
        "ID",
        "RFC 2971",
        "The server's name and version; nothing depends on what a client says of itself",
    ),
    Capability(
        "IDLE",
        "RFC 2177",
        "Changes are told as they happen, whichever process made them",
    ),
    # Some clients ask what there is before login, and never again.
    Capability(
        "ENABLE",
        "RFC 5161",
        "Shown before login as well, since some clients ask once; the list is the same before and after ENABLE",
    ),
    Capability(
        "NAMESPACE",
        "RFC 2342",
        "One personal namespace without a prefix, `/` between the levels",
        "after login",
    ),
    Capability(
        "CHILDREN", "RFC 3348", "LIST always tells \\HasChildren or \\HasNoChildren", "after login"
    ),
    Capability("UNSELECT", "RFC 3691", "CLOSE without its expunge", "after login"),
    Capability(
        "UIDPLUS", "RFC 4315", "APPENDUID, COPYUID and UID EXPUNGE", "after login", IUIDPlusAccount
    ),
    Capability(
        "CONDSTORE",
        "RFC 7162 §3.1",
        (
            "One modseq for each message; names of entries in SEARCH MODSEQ are taken and make no "
            "difference; UNCHANGEDSINCE is part of the write itself"
        ),
        "after login",
        ICondstoreAccount,
    ),
    Capability(
        "QRESYNC",
        "RFC 7162 §3.2",
        "Expunges are remembered for 30 days; who comes back later is told of every UID that is not there",
        "after login",
        ICondstoreAccount,
    ),
    Capability(
        "BINARY",
        "RFC 3516",
        "FETCH decodes base64 and quoted-printable in pieces; APPEND takes a literal8 if there is no NUL in it",
        "after login",
    ),
    Capability(
        "UTF8=ACCEPT",
        "RFC 6855",
        (
            "Off unless the configuration has it (`imap.utf8`): headers with 8 bits must then be refused "
            "from who has not enabled it, and old mail has them"
        ),
        "after login",
        condition=lambda now: now.utf8,
    ),
    Capability(
        "MULTIAPPEND",
        "RFC 3502",
        "All messages of one APPEND come as one change, or none does",
        "after login",
        IMultiAppendAccount,
    ),
    Capability(
        "MOVE",
        "RFC 6851",
        "One change in both mailboxes; COPYUID is told ahead of the expunges",
        "after login",
        IMoveAccount,
    ),
    Capability(
        "REPLACE",
        "RFC 8508",
        "A message comes and another goes as one change, within a mailbox or between two",
        "after login",
        IReplaceAccount,
    ),
    Capability(
        "LIST-EXTENDED",
        "RFC 5258",
        "Selection and return options, several patterns, CHILDINFO; no mailbox is remote",
        "after login",
    ),
    Capability(
        "LIST-STATUS", "RFC 5819", "STATUS of all that is listed, asked for at once", "after login"
    ),
    Capability(
        "SPECIAL-USE",
        "RFC 6154",
        "A new account has Drafts, Sent, Junk, Trash and Archive, and each says so",
        "after login",
        ISpecialUseAccount,
    ),
    Capability(
        "CREATE-SPECIAL-USE",
        "RFC 6154 §3",
        "One use for a mailbox, and one mailbox for a use",
        "after login",
        ICreateSpecialUseAccount,
    ),
    # For clients that are older than SPECIAL-USE.
    Capability(
        "XLIST",
        "Gmail",
        "For clients that are older than SPECIAL-USE: LIST with the names that Gmail gave the uses",
        "after login",
        ISpecialUseAccount,
    ),
    Capability(
        "STATUS=SIZE",
        "RFC 8438",
        "What RFC822.SIZE adds up to, exactly; STATUS DELETED is told as well",
        "after login",
        ISizeAccount,
    ),
    Capability(
        "QUOTA",
        "RFC 9208",
        (
            "One quota root, named by the empty string, for all mailboxes of a user who has a quota; only "
            "administrators set it"
        ),
        "after login",
        IQuotaAccount,
    ),
    Capability(
        "QUOTA=RES-STORAGE",
        "RFC 9208 §5.1",
        "In units of 1024 octets, rounded up; STATUS DELETED-STORAGE is told as well",
        "after login",
        IQuotaAccount,
    ),
    Capability(
        "SAVEDATE",
        "RFC 8514",
        "When a message came into its mailbox; NIL in a mailbox that can't tell",
        "after login",
    ),
    Capability(
        "PREVIEW",
        "RFC 8970",
        "The beginning of what a message says, made when it arrives: LAZY waits for nothing else",
        "after login",
    ),
    Capability(
        "OBJECTID",
        "RFC 8474",
        (
            "Copies keep their EMAILID and THREADID; a message joins the thread of what it answers if the "
            "base subject is the same"
        ),
        "after login",
        IObjectIDAccount,
    ),
    Capability("ESEARCH", "RFC 4731", "RETURN (MIN MAX ALL COUNT)", "after login"),
    Capability("SEARCHRES", "RFC 5182", "RETURN (SAVE), and `$` for what was found", "after login"),
    Capability("WITHIN", "RFC 5032", "OLDER and YOUNGER, to the second", "after login"),
    Capability(
        "PARTIAL",
        "RFC 9394",
        "RETURN (PARTIAL ...) and UID FETCH (PARTIAL ...); CONTEXT, which it comes from, is left out",
        "after login",
    ),
    Capability(
        "SORT",
        "RFC 5256",
        "Strings compare by i;unicode-casemap; what one SORT may hold in memory is bounded",
        "after login",
    ),
    Capability("SORT=DISPLAY", "RFC 5957", "DISPLAYFROM and DISPLAYTO", "after login"),
    Capability(
        "ESORT",
        "RFC 5267 §3",
        "RETURN for SORT; of RFC 5267 this alone, CONTEXT is left out",
        "after login",
    ),
    Capability("THREAD=ORDEREDSUBJECT", "RFC 5256", "By base subject", "after login"),
    Capability(
        "THREAD=REFERENCES",
        "RFC 5256",
        "By Message-ID, References and In-Reply-To, gathered under one subject",
        "after login",
    ),
    Capability(
        "I18NLEVEL=1",
        "RFC 5255 §4",
        "SEARCH, SORT and THREAD compare by i;unicode-casemap, whatever is in the mailbox",
        "after login",
        ICasemapAccount,
    ),
    Capability(
        "COMPRESS",
        "RFC 4978",
        "DEFLATE both ways, flushed after each answer, inflated a piece at a time; not shown once it is on",
        "after login",
        condition=lambda now: not now.is_compressing,
        values=lambda now: ("DEFLATE",),
    ),
    Capability(
        "APPENDLIMIT",
        "RFC 7889",
        "The same for every mailbox",
        values=lambda now: (now.limits.message,),
    ),
)


def capabilities(now: Circumstances) -> list[str]:
    """What CAPABILITY answers."""
    return [name for capability in TABLE for name in capability.shown(now)]
