"""What every implementation of `twisted_duck.interfaces` must do: mixins of tests.

A store's own test module says how an account is made and inherits the rest:

    class MemoryStoreTests(StoreContract, TestCase):
        async def make_account(self, name, quota=None): ...

`StoreContract` is everything; an implementation without the extensions takes the classes it can keep.
The tests order two sessions by awaiting one after the other; nothing sleeps.
"""

from tests.contract.base import LIMITS, Contract
from tests.contract.extensions import ExtensionsContract
from tests.contract.imports import ImportsContract
from tests.contract.limits import LimitsContract
from tests.contract.messages import MessagesContract
from tests.contract.names import NamesContract
from tests.contract.objects import ObjectsContract
from tests.contract.searching import SearchContract
from tests.contract.sharing import SharingContract

__all__ = [
    "LIMITS",
    "Contract",
    "ExtensionsContract",
    "ImportsContract",
    "LimitsContract",
    "MessagesContract",
    "NamesContract",
    "ObjectsContract",
    "SearchContract",
    "SharingContract",
    "StoreContract",
]


class StoreContract(
    NamesContract,
    MessagesContract,
    SearchContract,
    SharingContract,
    ExtensionsContract,
    ObjectsContract,
    ImportsContract,
    LimitsContract,
):
    """All of it: what the in-memory store and the MongoDB store must pass."""
