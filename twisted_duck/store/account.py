"""IAccount: what one user, logged in once, can do with the mail."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence

from bson.objectid import ObjectId
from twisted.internet.defer import DeferredLock
from zope.interface import implementer

from twisted_duck import errors
from twisted_duck.interfaces import (
    ICasemapAccount,
    ICondstoreAccount,
    ICreateSpecialUseAccount,
    IImportAccount,
    IMoveAccount,
    IMultiAppendAccount,
    IObjectIDAccount,
    IQuotaAccount,
    IRecallingAccount,
    IReplaceAccount,
    IUIDPlusAccount,
)
from twisted_duck.limits import Limits
from twisted_duck.names import INBOX, check_name
from twisted_duck.store import hierarchy
from twisted_duck.store.arrival import THREAD_FROM
from twisted_duck.store.connection import Mongo
from twisted_duck.store.driver import Document
from twisted_duck.store.folding import Folder
from twisted_duck.store.incoming import allowed, needed
from twisted_duck.store.mailbox import StoreMailbox, retried
from twisted_duck.store.opened import Opened, Registry
from twisted_duck.store.schema import IMPORTS, MAILBOXES, SUBSCRIPTIONS, USERS
from twisted_duck.store.status import statuses, told_id
from twisted_duck.store.transaction import MAJORITY
from twisted_duck.store.writers import Writer
from twisted_duck.values import (
    DELIMITER,
    AppendMessage,
    AppendResult,
    MailboxInfo,
    MailboxStatus,
    Quota,
    StatusWant,
)


@implementer(
    ICreateSpecialUseAccount,
    IObjectIDAccount,
    IQuotaAccount,
    IReplaceAccount,
    IUIDPlusAccount,
    IMoveAccount,
    IMultiAppendAccount,
    ICasemapAccount,
    ICondstoreAccount,
    IImportAccount,
    IRecallingAccount,
)
class StoreAccount:
    """See L{twisted_duck.interfaces.IAccount}; everything fails with Unavailable, too."""

    delimiter = DELIMITER

    def __init__(
        self,
        mongo: Mongo,
        registry: Registry,
        writer: Writer,
        name: str,
        limits: Limits,
        discard: Callable[[ObjectId, ObjectId], None],
        folder: Folder,
    ) -> None:
        self.name = name
        self._mongo = mongo
        self._registry = registry
        self._writer = writer
        self._user = writer.user
        self._limits = limits
        #: Called with the user and the box of messages that are garbage now.
        self._discard = discard
        self._folder = folder
        #: Of APPENDs that are begun before others are done.
        self._in_order = DeferredLock()

    # --- names --------------------------------------------------------------------------------------------------------

    async def mailboxes(self) -> list[MailboxInfo]:
        found = await self._mongo.find(
            MAILBOXES, {"user": self._user}, projection={"_id": 0, "path": 1, "use": 1}
        )
        known = {each["path"]: each.get("use") for each in found}
        virtual = hierarchy.levels(known) - known.keys()
        return [
            *(MailboxInfo(path, True, use) for path, use in known.items()),
            *(MailboxInfo(path, selectable=False, exists=False) for path in virtual),
        ]

    async def subscriptions(self) -> frozenset[str]:
        found = await self._mongo.find(
            SUBSCRIPTIONS, {"user": self._user}, projection={"_id": 0, "path": 1}
        )
        return frozenset(each["path"] for each in found)

    async def create(self, name: str, special_use: str | None = None) -> str:
        async with self._writer.turn():
            return told_id(
                await hierarchy.create(self._mongo, self._user, name, self._limits, special_use)
            )

    async def delete(self, name: str) -> None:
        _check_findable(name, errors.NonExistent)
        async with self._writer.turn():
            gone = await hierarchy.delete(self._mongo, self._user, name)
        self._registry.lose(gone["_id"])
        self._discard(self._user, gone["box"])

    async def rename(self, name: str, new_name: str) -> None:
        _check_findable(name, errors.NonExistent)
        check_name(new_name, self._limits)
        if name == INBOX:
            await retried(self._mongo, self._writer, lambda: self._give_away_inbox(new_name))
            return
        async with self._writer.turn():
            await hierarchy.rename(self._mongo, self._user, name, new_name, self._limits)
        self._registry.renamed(self._user)

    async def _give_away_inbox(self, new_name: str) -> None:
        """Needs the UIDs that go: sessions that have INBOX open, here and elsewhere, see them expunged."""
        opened = await self._enter(INBOX)
        try:
            heir = await hierarchy.give_away_inbox(
                self._mongo, opened.place, opened.index.uids, new_name, self._limits
            )
            if sweeps := heir.get("sweeps"):
                self._folder.soon(self._user, heir["_id"], len(sweeps))
            await opened.follow()
        finally:
            self._registry.leave(opened)

    async def subscribe(self, name: str) -> None:
        check_name(name, self._limits)
        async with self._writer.turn():
            await hierarchy.subscribe(self._mongo, self._user, name, self._limits)

    async def unsubscribe(self, name: str) -> None:
        _check_findable(name, errors.NonExistent)
        await self._mongo.run(
            {
                "delete": SUBSCRIPTIONS,
                "deletes": [{"q": {"user": self._user, "path": name}, "limit": 1}],
                "writeConcern": MAJORITY,
            }
        )

    # --- mailboxes ----------------------------------------------------------------------------------------------------

    async def status(self, name: str) -> MailboxStatus:
        found = (await self.statuses([name], frozenset({"recent", "deleted_size"}))).get(name)
        if found is None:
            raise errors.NonExistent("there is no such mailbox")
        return found

    async def statuses(
        self, names: Sequence[str], wanted: frozenset[StatusWant] = frozenset()
    ) -> dict[str, MailboxStatus]:
        findable = [name for name in names if _is_text(name)]
        return await statuses(self._mongo, self._user, findable, wanted)

    async def _find(
        self, name: str, error: type[errors.NonExistent] = errors.NonExistent
    ) -> Document:
        _check_findable(name, error)
        found = await self._mongo.find_one(MAILBOXES, {"user": self._user, "path": name})
        if found is None:
            raise error("there is no such mailbox")
        return found

    async def select(self, name: str, readonly: bool) -> StoreMailbox:
        return self._mailbox(await self._enter(name), readonly)

    def recall(self, name: str, readonly: bool) -> StoreMailbox | None:
        opened = self._registry.recall(self._user, name, readonly)
        return None if opened is None else self._mailbox(opened, readonly)

    def _mailbox(self, opened: Opened, readonly: bool) -> StoreMailbox:
        return StoreMailbox(
            self._mongo,
            self._registry,
            self._writer,
            opened,
            readonly,
            self._limits,
            self._discard,
            self._folder,
        )

    def _enter(
        self, name: str, error: type[errors.NonExistent] = errors.NonExistent
    ) -> Awaitable[Opened]:
        """See `Registry.open`."""
        _check_findable(name, error)
        return self._registry.open(self._user, name, error)

    async def quota(self) -> Quota:
        user = await self._mongo.find_one(
            USERS, {"_id": self._user}, projection={"used": 1, "quota": 1}
        )
        if user is None:
            raise errors.NonExistent("the user does not exist any more")
        return Quota(user["used"], user.get("quota"))

    # --- APPEND -------------------------------------------------------------------------------------------------------

    async def check_append(self, name: str, size: int, others: int = 0) -> None:
        _check_findable(name, errors.TryCreate)
        if size > self._limits.message:
            raise errors.TooBig(f"a message may have {self._limits.message} bytes")
        mailbox = await self._mongo.find_one(
            MAILBOXES, {"user": self._user, "path": name}, projection={"_id": 1}
        )
        if mailbox is None:
            raise errors.TryCreate("there is no such mailbox")
        quota, more = await self.quota(), size + others
        if more > 0 and quota.limit is not None and quota.used + more > quota.limit:
            raise errors.OverQuota("there is not enough room left")

    async def append(self, name: str, messages: Sequence[AppendMessage]) -> AppendResult:
        _check_findable(name, errors.TryCreate)
        if not messages:
            return AppendResult((await self._find(name, errors.TryCreate))["uidvalidity"], ())
        size = needed(messages, self._limits)
        async with self._writer.room(size):
            # To look at a short message takes no waiting, so that it would overtake a long one that came before.
            async with self._in_order:
                coming = await allowed(
                    self._mongo, self._registry, self._user, name, messages, self._limits
                )
                if not (self._writer.is_idle and coming.sums.bytes <= THREAD_FROM):
                    await coming.arrivals()
                # Else the database need not wait for that: what is so short is looked at without waiting, for it has no blobs.
                appended = self._writer.append(name, coming)
            done = await appended
        return AppendResult(done.uidvalidity, range(done.first, done.first + done.count))

    async def imported(self, name: str, keys: Sequence[bytes]) -> set[bytes]:
        mailbox = await self._find(name)
        found = await self._mongo.find(
            IMPORTS,
            {"user": self._user, "mailbox": mailbox["_id"], "key": {"$in": list(keys)}},
            projection={"_id": 0, "key": 1},
        )
        return {each["key"] for each in found}

    async def logout(self) -> None:
        """There is nothing to give back: mailboxes are closed by themselves."""


def _is_text(name: str) -> bool:
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


def _check_findable(name: str, error: type[errors.NonExistent]) -> None:
    """No mailbox is named by what is not text: it can't even be asked for."""
    if not _is_text(name):
        raise error("there is no such mailbox")
