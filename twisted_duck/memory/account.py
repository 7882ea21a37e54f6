"""A session of a user of the in-memory store."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from zope.interface import implementer

from twisted_duck.errors import (
    AlreadyExists,
    Cannot,
    HasChildren,
    NonExistent,
    TooBig,
    TooMany,
    TryCreate,
    UseConflict,
)
from twisted_duck.interfaces import (
    ICasemapAccount,
    ICondstoreAccount,
    ICreateSpecialUseAccount,
    IImportAccount,
    IMoveAccount,
    IMultiAppendAccount,
    IObjectIDAccount,
    IQuotaAccount,
    IReplaceAccount,
    IUIDPlusAccount,
)
from twisted_duck.memory.mailbox import MemoryMailbox
from twisted_duck.memory.model import Mailbox, User
from twisted_duck.names import INBOX, check_name, is_beneath
from twisted_duck.values import (
    DELETED,
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
)
class MemoryAccount:
    """A session of one user."""

    delimiter = DELIMITER

    def __init__(self, user: User) -> None:
        self._user = user
        self.name = user.name

    async def mailboxes(self) -> list[MailboxInfo]:
        mine = self._user.mailboxes
        found = [MailboxInfo(name, True, mailbox.special_use) for name, mailbox in mine.items()]
        virtual = self._user.levels() - mine.keys()
        return found + [MailboxInfo(name, selectable=False, exists=False) for name in virtual]

    async def subscriptions(self) -> frozenset[str]:
        return frozenset(self._user.subscriptions)

    async def create(self, name: str, special_use: str | None = None) -> str:
        user = self._user
        if name in user.mailboxes:
            raise AlreadyExists("the mailbox exists already")
        if special_use is not None:
            for other, mailbox in user.mailboxes.items():
                if mailbox.special_use == special_use:
                    raise UseConflict(f"{other} is the mailbox for {special_use} already")
        missing = user.check_new(name)
        user.check_room(1 + len(missing))
        for above in missing:
            user.add(above)
        return user.add(name, special_use).id

    async def delete(self, name: str) -> None:
        user = self._user
        if name == INBOX:
            raise Cannot("INBOX cannot be deleted")
        if name not in user.mailboxes and name in user.levels():
            raise HasChildren("the mailbox has children")
        mailbox = user.get(name)
        del user.mailboxes[name]
        mailbox.gone = True
        mailbox.notify()

    async def rename(self, name: str, new_name: str) -> None:
        user = self._user
        inbox = name == INBOX
        moving = {
            old: new_name + old[len(name) :]
            for old in user.mailboxes
            if old == name or (is_beneath(old, name) and not inbox)
        }
        if not moving:
            raise NonExistent("there is no such mailbox")
        if new_name in user.mailboxes or new_name in user.levels():
            raise AlreadyExists("there is a mailbox of that name already")
        if is_beneath(new_name, name) and not inbox:
            raise Cannot("a mailbox cannot be moved below itself")
        missing = user.check_new(new_name)
        for new in moving.values():
            check_name(new, user.limits)
        user.check_room(len(missing) + inbox)
        if inbox:
            self._empty(user.mailboxes[INBOX], user.add(new_name))
        else:
            renamed = {new: user.mailboxes.pop(old) for old, new in moving.items()}
            for new, mailbox in renamed.items():
                mailbox.name = new
            user.mailboxes.update(renamed)
        for above in missing:
            user.add(above)

    @staticmethod
    def _empty(source: Mailbox, target: Mailbox) -> None:
        uids = list(source.index.uids)
        if uids:
            target.commit(arriving=source.living(uids))
            source.commit(leaving=uids)

    async def subscribe(self, name: str) -> None:
        subscriptions, most = self._user.subscriptions, self._user.limits.subscriptions
        if name not in subscriptions and len(subscriptions) >= most:
            raise TooMany(f"a user may be subscribed to {most} mailboxes")
        subscriptions.add(name)

    async def unsubscribe(self, name: str) -> None:
        self._user.subscriptions.discard(name)

    async def status(self, name: str) -> MailboxStatus:
        return _status(self._user.get(name))

    async def statuses(
        self, names: Iterable[str], wanted: frozenset[StatusWant] = frozenset()
    ) -> dict[str, MailboxStatus]:
        mine = self._user.mailboxes
        return {name: _status(mine[name]) for name in names if name in mine}

    async def quota(self) -> Quota:
        return Quota(self._user.used, self._user.quota)

    async def select(self, name: str, readonly: bool) -> MemoryMailbox:
        return MemoryMailbox(self._user, self._user.get(name), readonly)

    async def check_append(self, name: str, size: int, others: int = 0) -> None:
        self._user.get(name, TryCreate)
        if size > self._user.limits.message:
            raise TooBig(f"a message may have {self._user.limits.message} bytes")
        self._user.check_quota(size + others)

    async def imported(self, name: str, keys: Iterable[bytes]) -> set[bytes]:
        return self._user.get(name).imported.intersection(keys)

    async def append(self, name: str, messages: Sequence[AppendMessage]) -> AppendResult:
        user = self._user
        mailbox = user.get(name, TryCreate)
        keys = [message.key for message in messages if message.key is not None]
        if mailbox.imported.intersection(keys) or len(set(keys)) < len(keys):
            raise AlreadyExists("some of the messages were imported before")
        arriving = [user.receive(message) for message in messages]
        user.check_flags(mailbox, (flags for _, flags in arriving))
        user.check_quota(sum(message.content.size for message, _ in arriving))
        uids = mailbox.commit(arriving=arriving) if arriving else []
        mailbox.imported.update(keys)
        return AppendResult(mailbox.index.uidvalidity, uids)

    async def logout(self) -> None:
        """There is nothing to give back."""


def _status(mailbox: Mailbox) -> MailboxStatus:
    index = mailbox.index
    return MailboxStatus(
        messages=len(index),
        recent=sum(uid >= index.first_recent for uid in index.uids),
        uidnext=index.uidnext,
        uidvalidity=index.uidvalidity,
        unseen=index.unseen,
        deleted=index.deleted,
        size=mailbox.size,
        highest_modseq=index.highest_modseq,
        mailbox_id=mailbox.id,
        deleted_size=mailbox.size_of(index.with_flag(DELETED)),
    )
