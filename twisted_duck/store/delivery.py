"""IDelivery: mail for users who are not logged in."""

from __future__ import annotations

from bson.objectid import ObjectId
from zope.interface import implementer

from twisted_duck import errors
from twisted_duck.addresses import AddressRules
from twisted_duck.interfaces import IDelivery
from twisted_duck.limits import Limits
from twisted_duck.names import INBOX
from twisted_duck.spool import Spool
from twisted_duck.store.addresses import Addresses
from twisted_duck.store.arrival import Arrival, Reading, arrive_behind, check, read
from twisted_duck.store.coming import Coming
from twisted_duck.store.connection import Mongo
from twisted_duck.store.driver import Document
from twisted_duck.store.schema import MAILBOXES
from twisted_duck.store.turns import Turns
from twisted_duck.store.writers import Writers
from twisted_duck.values import AppendMessage, Recipient


@implementer(IDelivery)
class StoreDelivery:
    """See L{twisted_duck.interfaces.IDelivery}; the users of its recipients are their ids."""

    def __init__(
        self,
        mongo: Mongo,
        writers: Writers,
        addresses: Addresses,
        rules: AddressRules,
        limits: Limits,
    ) -> None:
        self._mongo = mongo
        self._writers = writers
        self._addresses = addresses
        self._rules = rules
        self._limits = limits
        self._turns = Turns(mongo.reactor)

    async def resolve(self, local: str, domain: str | None, size: int) -> Recipient:
        # Mail that comes in numbers comes for the same people.  Nobody is sent away by what may be over.
        user = self._addresses.known_owner(local, domain, self._rules)
        if user is None or _against(user, size) is not None:
            user = await self._addresses.owner(local, domain, self._rules)
        if user is None:
            raise errors.NonExistent("there is nobody of that address here")
        if (fault := _against(user, size)) is not None:
            raise fault
        return Recipient(user["_id"], user["name"])

    async def prepare(self, content: Spool) -> Reading:
        check(AppendMessage(content), self._limits)
        await self._turns.mine()
        reading = await read(content, self._limits, self._mongo.reactor)
        await reading.keep_blobs(self._mongo)
        return reading

    async def deliver(
        self, recipient: Recipient, message: Reading, trace: bytes, junk: bool
    ) -> str:
        assert isinstance(recipient.user, ObjectId)
        arrival = await arrive_behind(message, trace, self._limits, self._mongo.reactor)
        if junk:
            path = await self._junk(recipient.user)
            if path is not None:
                try:
                    await self._append(recipient.user, path, arrival)
                    return path
                except errors.TryCreate:
                    # It was renamed or deleted in between.
                    pass
        try:
            await self._append(recipient.user, INBOX, arrival)
        except errors.TryCreate:
            # By now the address may be another's, which this message is not sent away for: RCPT knows, if it is asked again.
            raise errors.Unavailable("the user has gone meanwhile, try again later") from None
        return INBOX

    async def _append(self, user: ObjectId, path: str, arrival: Arrival) -> None:
        await self._writers.of(user).append(path, Coming.ready([arrival]))

    async def _junk(self, user: ObjectId) -> str | None:
        found = await self._mongo.find_one(
            MAILBOXES, {"user": user, "use": "\\Junk"}, projection={"path": 1}
        )
        return None if found is None else str(found["path"])


def _against(user: Document, size: int) -> errors.DuckError | None:
    """Why this user gets no message of so many bytes."""
    if user["disabled"]:
        return errors.Disabled("this user gets no mail at present")
    if user.get("quota") is not None and user["used"] + size > user["quota"]:
        return errors.OverQuota("there is not enough room left for this user")
    return None
