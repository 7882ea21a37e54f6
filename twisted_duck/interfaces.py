"""The contracts between the planes.

The session plane (protocols) speaks to mail only through these; the MongoDB store, the in-memory store and the adapter
around `twisted.mail` mailboxes provide them.  Methods that say "awaitable" may return a coroutine or a Deferred; they
fail with the errors of `twisted_duck.errors` and nothing else.  Names of mailboxes are decoded text (`str`), with
`INBOX` in that spelling only; `IAccount.delimiter` cuts them into levels.

What an account can do beyond RFC 3501 is said by the optional interfaces it provides; `twisted_duck.imap.capability`
advertises an extension if and only if its interface is provided.
"""

from __future__ import annotations

from zope.interface import Attribute, Interface

# Methods of a zope Interface take no `self`.
# mypy: disable-error-code="no-untyped-def,empty-body,misc"


class IContent(Interface):
    """The bytes of one stored message, byte for byte as they arrived, read in pieces."""

    size = Attribute("int: bytes of the whole message")
    header = Attribute("int: bytes of its header, with the blank line; the body begins there")
    tree = Attribute("twisted_duck.mime.scan.PartTree: where the parts are")

    def peek(start, stop):
        """The bytes `[start, stop)` if they can be had without waiting, else None.

        @rtype: L{bytes} | None
        """

    def chunks(start, stop):
        """The bytes `[start, stop)`, in order, in pieces of at most 256 KiB.

        @rtype: async iterator of L{bytes}
        """


class IDecodedContent(IContent):
    """A message of which some base64 is kept decoded."""

    def decoded(start, stop):
        """What the base64 at `[start, stop)` means, if that is how it is kept, else None.

        @return: `(size, chunks)`: how many bytes that are, and what answers them as L{IContent.chunks} does
        """


class IMailbox(Interface):
    """A mailbox opened by one session (SELECT or EXAMINE).

    All sessions of a process that have the mailbox open share `index`; what this session's client has been told of it
    is the protocol's affair (`twisted_duck.imap.view`).
    """

    name = Attribute("str: its name now; a RENAME changes it")
    mailbox_id = Attribute("str | None: L{twisted_duck.values.MailboxStatus.mailbox_id}")
    readonly = Attribute("bool: opened by EXAMINE")
    index = Attribute("twisted_duck.index.MailboxIndex: shared; its owner keeps it up to date")
    new_keywords = Attribute("bool: whether clients may invent keywords (PERMANENTFLAGS has \\*)")

    def refresh(*, exact=True):
        """Bring `index` up to date with every change committed before this call (RFC 3501 §6.1.2).

        With `exact` false, what other processes committed in the last moment may be left out, so that nobody has to be
        asked: who waits for it is told by `watch`.  Awaitable; fails with MailboxGone.
        """

    def watch(callback):
        """Call `callback()`, once a change, when `index` has moved or the mailbox is gone (then `refresh` says so)."""

    def unwatch(callback):
        """Undo `watch`."""

    def claim_recent():
        """Claim the messages that no session was told of as \\Recent (RFC 3501 §2.3.2).

        Awaitable of `(first, stop)`: this session, and no other, may show UIDs `first <= uid < stop` as \\Recent.
        For a read-only mailbox nothing is claimed, and the range is what a claim would have given.
        """

    def fetch(uids, wanted):
        """The immutable data of messages, in ascending order of UID; those that live no more are left out.

        @param uids: ascending sequence of L{int}
        @param wanted: frozenset of L{twisted_duck.values.FetchWant}
        @rtype: async iterator of lists of L{twisted_duck.values.MessageData}, each list of bounded size
        """

    def store(uids, change):
        """Change flags (RFC 3501 §6.4.6, RFC 7162 §3.1.3), as one change with one modseq; of very many, as several.

        @type change: L{twisted_duck.values.FlagChange}
        Awaitable of L{twisted_duck.values.StoreResult}; `index` holds the change when it has fired.
        """

    def expunge(uids=None):
        """Remove the messages that are \\Deleted, of `uids` (a UIDSet, RFC 4315 §2.1) or of all, as one change.

        Awaitable of the UIDSet that went; `index` holds the change when it has fired.
        """

    def remove(uids):
        """Remove messages whatever their flags, as one change (RFC 1939 §6), of very many as several; those that live no more are
        left out.

        @param uids: ascending sequence of L{int}
        Awaitable of the UIDSet that went; `index` holds the change when it has fired.
        """

    def copy(uids, destination):
        """Copy messages to the mailbox called `destination`, flags and dates kept, all or none (RFC 3501 §6.4.7).

        Awaitable of L{twisted_duck.values.CopyResult} (None from a mailbox that cannot tell); fails with TryCreate.
        Fails with ExpungeIssued if one of the messages lives no more.
        """

    def search(key):
        """The living UIDs that match, ascending.

        @param key: a tree of L{twisted_duck.search} without sequence numbers and \\Recent (the view resolved them).
        Awaitable of a sequence of L{int}.
        """

    def close():
        """The session has left the mailbox (without expunging).  Awaitable."""


class IAccount(Interface):
    """One authenticated user's mail: the avatar of a cred login."""

    name = Attribute("str: the user's name, for log lines")
    delimiter = Attribute("str: one character")

    def mailboxes():
        """Every mailbox, INBOX among them, in no particular order.  Awaitable of a list of MailboxInfo."""

    def subscriptions():
        """Every name subscribed to, whether it exists or not.  Awaitable of a frozenset of L{str}."""

    def create(name):
        """RFC 3501 §6.3.3, missing parents included.

        Awaitable of the new mailbox's `mailbox_id`, L{str} | None; fails with AlreadyExists, Cannot, TooMany.
        """

    def delete(name):
        """RFC 3501 §6.3.4.  A mailbox with children loses its messages and becomes \\Noselect.

        Awaitable; fails with NonExistent, HasChildren, Cannot (INBOX).
        """

    def rename(name, new_name):
        """RFC 3501 §6.3.5: children go with it; INBOX stays and gives its messages away, its children do not move.

        Awaitable; fails with NonExistent, AlreadyExists, Cannot.
        """

    def subscribe(name):
        """RFC 3501 §6.3.6; the name need not exist.  Awaitable; fails with TooMany."""

    def unsubscribe(name):
        """RFC 3501 §6.3.7.  Awaitable."""

    def status(name):
        """Awaitable of L{twisted_duck.values.MailboxStatus}, with everything in it; fails with NonExistent."""

    def statuses(names, wanted=frozenset()):
        """The same for several mailboxes at once (RFC 5819); those that aren't there are left out.

        @param names: sequence of L{str}
        @param wanted: frozenset of L{twisted_duck.values.StatusWant}; what is not asked for may be told as 0
        Awaitable of a dict of L{twisted_duck.values.MailboxStatus} by name.
        """

    def select(name, readonly):
        """Open a mailbox.  Awaitable of an L{IMailbox} whose index is up to date; fails with NonExistent."""

    def check_append(name, size, others=0):
        """Whether a message of `size` bytes could be appended now: asked before its bytes are accepted.

        @param others: bytes of what comes in the same change, less those of what goes in it
        Awaitable; fails with TryCreate, OverQuota, TooBig.
        """

    def append(name, messages):
        """Append L{twisted_duck.values.AppendMessage}s, all or none, as one change (RFC 3501 §6.3.11, RFC 3502).

        It may be called again before it has answered, for what a client has sent ahead: those that are for the same mailbox
        get UIDs in the order of the calls (§5.5).

        Awaitable of L{twisted_duck.values.AppendResult} (None from an account that cannot tell); fails with TryCreate,
        OverQuota, TooBig, Cannot (a NUL).
        """

    def logout():
        """The session is over.  Awaitable."""


class IMaildrop(Interface):
    """What a POP3 session serves: messages that are known by their place in `sizes`, from 0, as long as it is open.

    L{twisted_duck.pop3.inbox.Inbox} makes one of any L{IAccount}'s INBOX.
    """

    sizes = Attribute("sequence of int: the octets of each message, as LIST tells them")

    def unique_id(place):
        """What UIDL tells (RFC 1939 §7): printable, at most 70 characters, the same in every session.

        @rtype: L{str}
        """

    def content(place):
        """Awaitable of L{IContent}; fails with NonExistent where somebody else has removed the message."""

    def set_seen(place):
        """The message has been read, where that is remembered.  Awaitable."""

    def remove(places):
        """UPDATE (RFC 1939 §6): all of the messages go, or it fails and none does, of more than `Limits.messages_per_change` perhaps
        some; those that are gone do not count.

        @param places: ascending sequence of L{int}
        Awaitable.
        """

    def close():
        """The session has left the maildrop.  Awaitable."""


class IMaildropAccount(Interface):
    """An authenticated user who has a maildrop and no mailboxes: an avatar for POP3 and nothing else."""

    name = Attribute("str: the user's name, for log lines")

    def open(limit):
        """Awaitable of an L{IMaildrop} with the newest messages, `limit` of them or fewer."""

    def logout():
        """The session is over.  Awaitable."""


class ISpecialUseAccount(IAccount):
    """`mailboxes()` tells `special_use` (RFC 6154)."""


class ICreateSpecialUseAccount(ISpecialUseAccount):
    def create(name, special_use=None):
        """Like L{IAccount.create}; the mailbox is for `special_use` (RFC 6154 §3).

        @param special_use: one of L{twisted_duck.values.SPECIAL_USES}
        Fails with UseConflict, too, where there is a mailbox for that already.
        """


class ISizeAccount(IAccount):
    """`status` and `statuses` tell `size`, `deleted` and `deleted_size` (RFC 8438, RFC 9051, RFC 9208)."""


class IMailboxIDAccount(IAccount):
    """`create`, `status` and `statuses` tell `mailbox_id`, and its mailboxes have it (RFC 8474 §4)."""


class IObjectIDAccount(IMailboxIDAccount):
    """`fetch` brings the "email id" and the "thread id" of messages, and `search` knows them (RFC 8474 §5, §6).

    Copies have the same as what they were copied from.  Neither ever changes.
    """


class IQuotaAccount(ISizeAccount):
    def quota():
        """What all the mail takes, and may take (RFC 9208).  Awaitable of L{twisted_duck.values.Quota}."""


class IUIDPlusAccount(IAccount):
    """`append` and `copy` tell UIDs, and `expunge` takes a set (RFC 4315)."""


class IMultiAppendAccount(IAccount):
    """`append` of several messages is all or nothing (RFC 3502)."""


class ICasemapAccount(IAccount):
    """`search` in its mailboxes finds whatever contains the text by i;unicode-casemap (RFC 5051, RFC 5255 §4.2)."""


class IMoveAccount(IAccount):
    """Its mailboxes provide L{IMoveMailbox} (RFC 6851)."""


class IMoveMailbox(IMailbox):
    def move(uids, destination):
        """Like `copy`, and the messages leave this mailbox in the same change (RFC 6851 §3.3).

        Awaitable of L{twisted_duck.values.CopyResult}; `index` holds the change when it has fired.
        """


class IReplaceAccount(IAccount):
    """Its mailboxes provide L{IReplaceMailbox} (RFC 8508)."""


class IReplaceMailbox(IMailbox):
    def replace(uid, destination, message):
        """Append a message to the mailbox called `destination`, and remove the message `uid` from this one, as one change.

        @type message: L{twisted_duck.values.AppendMessage}
        Awaitable of L{twisted_duck.values.AppendResult}, of one UID; `index` holds the change when it has fired.  Fails with
        what `append` fails with (OverQuota: by what the mail grows), ReadOnly, and ExpungeIssued where `uid` lives no more.
        """


class ICondstoreAccount(IAccount):
    """Its mailboxes' indexes keep a true modseq per message, and `store` honours `unchanged_since` (RFC 7162 §3.1)."""


class IQResyncMailbox(IMailbox):
    """A mailbox of an L{ICondstoreAccount} that remembers what was expunged (RFC 7162 §3.2).

    For others a client that comes back is told of every UID it knows and that is not there.
    """

    def vanished_since(modseq):
        """The UIDs expunged after `modseq`, and perhaps some that the index does not know to be gone.

        Awaitable of a L{twisted_duck.values.UIDSet}, or None where what is remembered does not reach back so far.
        """


class IRecallingAccount(IAccount):
    """An account that knows mailboxes as they were a moment ago, so that who opens one need not wait for a database."""

    def recall(name, readonly):
        """Like `select`, of what is known without asking anybody: an L{IMailbox}, or None where that is not enough.

        What others changed a moment ago may be missing in it.  Who opens it so does nothing with its messages before a question
        that is asked after this (`refresh`) is answered.
        """


class IRecallingMailbox(IMailbox):
    """A mailbox that remembers what was said of its messages, so that who asks again need not wait for a database."""

    def recall(uids, wanted, what):
        """Like `fetch`, with `said` alone of those messages of which that is known, and what is `wanted` of the others.

        What of these has got a `said` by the time that the next list is asked for may be remembered: it must follow from `what` and
        from what never changes of the message.

        @param what: hashable, of 1 KiB at the most
        @rtype: async iterator of lists of L{twisted_duck.values.MessageData}, each list of bounded size
        """


class IImportAccount(IAccount):
    """It remembers the keys of messages that were imported, whatever becomes of the messages, and takes each key once.

    `append` writes the keys of messages that have one (`AppendMessage.key`) into the same change, and fails with
    AlreadyExists where one of them is known in that mailbox.
    """

    def imported(name, keys):
        """Those of the keys that are known in the mailbox.

        Awaitable of a set of L{bytes}; fails with NonExistent.
        """


class IDelivery(Interface):
    """Takes mail for users who are not logged in: what LMTP serves.

    A message that is for several of them is looked at once (`prepare`), and what it has of attachments is stored once.
    """

    def resolve(local, domain, size):
        """Who gets what is sent to `local@domain`, if the user could get `size` bytes now.

        @param local: L{str}, the local part without quotes
        @param domain: L{str}, or None for Postmaster alone (RFC 5321 §4.5.1)
        Awaitable of L{twisted_duck.values.Recipient}, whose `user` is hashable; fails with NonExistent, Disabled, OverQuota,
        Unavailable.
        """

    def prepare(content):
        """Make a message ready for any number of `deliver`s.

        @type content: L{twisted_duck.spool.Spool}, finished; it must stay open until the last of them is done
        Awaitable of an object that means something to `deliver` only; fails with TooBig, Cannot (a NUL), Unavailable.
        """

    def deliver(recipient, message, trace, junk):
        """Give the user the message, with the bytes `trace` (whole header fields) in front.

        @param message: what `prepare` answered
        @param junk: whether it is spam: then it goes to the mailbox that is \\Junk, if there is one, and not to INBOX
        Awaitable, which fires when the message can't be lost any more; fails with NonExistent, OverQuota, Unavailable.  What it
        answers is the mailbox's name, for the log line "delivered to ada in INBOX" and nothing else: whoever has no mailboxes
        may answer with anything, None as well.
        """


# --- what policies of several processes share; each awaitable fails with ServerError -----------------------------------


class IBans(Interface):
    """Bans, and the failed logins that lead to them, of all processes: what L{twisted_duck.policies.SharedBans} asks.

    A network is L{str}, as `ipaddress` writes it.  All times are those of one clock.
    """

    def secret():
        """The key that failed logins are hashed with, the same for all processes.  Awaitable of L{bytes}."""

    def failed(network, attempt, window):
        """Remember a failed login, for no longer than `window` seconds after the first one of the network.

        @param attempt: L{bytes}, a short hash of what was tried
        Awaitable of how many different ones there were in that time, this one included.
        """

    def ban(network, reason, seconds):
        """Ban a network for so long from now on, and forget what was tried from there.

        Awaitable of L{twisted_duck.values.Ban}.
        """

    def find(network):
        """The ban of exactly this network, if it has one now; asked for each connection, so it waits for
        `limits.policy_answer` seconds at the most.

        Awaitable of L{twisted_duck.values.Ban} | None.
        """

    def all():
        """Those that are in force, the one that ends first in front.  Async iterator of L{twisted_duck.values.Ban}."""

    def lift(network):
        """End the bans of all networks that `network` is a part of, or that are a part of it; forget what was tried
        from there.

        @type network: L{ipaddress.IPv4Network} | L{ipaddress.IPv6Network}
        Awaitable of a list of L{twisted_duck.values.Ban}, those that were in force.
        """


class IRates(Interface):
    """Token buckets of all processes: what L{twisted_duck.policies.SharedRate} asks."""

    def take(buckets):
        """Take a token from each of some buckets, or, where one of them is empty, from none.

        It waits for `limits.policy_answer` seconds at the most.

        @param buckets: sequence of L{twisted_duck.values.Bucket}
        Awaitable of the index of one that is empty, or None: all of them had a token.
        """
