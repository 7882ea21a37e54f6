"""IDelivery over users in memory."""

from __future__ import annotations

from zope.interface import implementer

from twisted_duck.addresses import AddressRules
from twisted_duck.errors import Cannot, Disabled, NonExistent, TooBig
from twisted_duck.interfaces import IDelivery
from twisted_duck.limits import Limits
from twisted_duck.memory.addresses import MemoryAddresses
from twisted_duck.memory.model import User
from twisted_duck.names import INBOX
from twisted_duck.spool import Spool
from twisted_duck.values import Recipient


@implementer(IDelivery)
class MemoryDelivery:
    """See L{twisted_duck.interfaces.IDelivery}."""

    def __init__(self, addresses: MemoryAddresses, rules: AddressRules, limits: Limits) -> None:
        self._addresses = addresses
        self._rules = rules
        self._limits = limits

    async def resolve(self, local: str, domain: str | None, size: int) -> Recipient:
        user = self._addresses.find(local, domain, self._rules)
        if user is None:
            raise NonExistent("there is nobody of that address here")
        if user.disabled:
            raise Disabled("this user gets no mail at present")
        user.check_quota(size)
        return Recipient(user, user.name)

    async def prepare(self, content: Spool) -> bytes:
        if content.has_nul:
            raise Cannot("the message contains a NUL")
        if content.size > self._limits.message:
            raise TooBig(f"a message may have {self._limits.message} bytes")
        return bytes(content.data)

    async def deliver(self, recipient: Recipient, message: bytes, trace: bytes, junk: bool) -> str:
        user = recipient.user
        assert isinstance(user, User)
        junks = [name for name, each in user.mailboxes.items() if each.special_use == "\\Junk"]
        name = junks[0] if junk and junks else INBOX
        mailbox = user.get(name)
        data = trace + message
        user.check_quota(len(data))
        mailbox.commit(arriving=[(user.keep(data, user.clock()), frozenset())])
        return name
