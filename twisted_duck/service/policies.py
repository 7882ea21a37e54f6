"""`[[policy]]` tables of the configuration, and the policies that they ask for.

A row of `KINDS` for each `kind`: the keys it has, and how it is made of them.  A table that has `call`, `on_authenticated`
or `on_close` instead of a kind names code of the administrator's own.

When the configuration is read again, a table that has not changed keeps its policy, and with it all that the policy knows;
one that has changed begins anew, but for the connections that are there, which it counts.  Lists of networks are read
again in any case.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any, Protocol

import attrs
from twisted.internet.interfaces import IReactorTime

from twisted_duck.limits import Limits
from twisted_duck.policies import (
    Bans,
    ConnectionLimit,
    ConnectionRate,
    Delay,
    Hooks,
    Mask,
    Networks,
    Only,
    Policy,
    SharedBans,
    SharedRate,
    UserLimit,
)
from twisted_duck.service import reading
from twisted_duck.service.fault import Fault
from twisted_duck.service.protocols import PROTOCOLS
from twisted_duck.service.reading import Read


class Shared(Protocol):
    """What holds for all processes on one store."""

    @property
    def bans(self) -> Any:
        """An `IBans`."""

    @property
    def rates(self) -> Any:
        """An `IRates`."""


@attrs.frozen
class PolicyParts:
    """What a policy may be made of, besides its table."""

    limits: Limits
    clock: IReactorTime
    store: Shared


@attrs.frozen
class PolicyTable:
    """A table that was read and found good as far as that can be done without using it."""

    kind: str
    #: By the kind's keys.
    options: Mapping[str, Any]
    #: Which protocols it is for, as sessions name them; None: all.
    protocols: frozenset[str] | None = None
    #: Seconds that somebody waits instead of being refused.
    delay: float | None = None
    #: For messages: which one of which file it is.
    place: str = attrs.field(default="", eq=False)


@attrs.frozen
class Kind:
    """One `kind`: the keys of its table, and what makes it of them; that fails with ValueError, TypeError or OSError."""

    keys: Mapping[str, Read]
    make: Callable[[Mapping[str, Any], PolicyParts], Policy]
    #: Whether a policy that goes on with the same table goes on with what it knows.
    kept: bool = True


# --- kinds of values --------------------------------------------------------------------------------------------------


def _whole(value: object, base: Path) -> int:
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    raise ValueError("must be a whole number")


def _mask(value: object, base: Path) -> Mask:
    if not isinstance(value, dict):
        raise ValueError("must be written { ipv4 = 24, ipv6 = 56, most = 250 }")
    read = reading.keys(value, {"ipv4": _whole, "ipv6": _whole, "most": reading.bound}, base)
    if "most" not in read:
        raise ValueError("must say how many: { ipv4 = 24, ipv6 = 56, most = 250 }")
    for key, bits in (("ipv4", 32), ("ipv6", 128)):
        if not 0 <= read.get(key, 0) <= bits:
            raise ValueError(f"{key} must be from 0 to {bits}, the length of a network's prefix")
    # One address, or one household.
    return Mask(**({"ipv4": 32, "ipv6": 64} | read))


def _masks(value: object, base: Path) -> tuple[Mask, ...]:
    if not isinstance(value, list) or not value:
        raise ValueError("must be a list, as [{ most = 50 }, { ipv4 = 24, ipv6 = 56, most = 250 }]")
    return tuple(_mask(each, base) for each in value)


def _some_networks(value: object, base: Path) -> Any:
    found = reading.networks(value, base)
    if not found:
        raise ValueError("must not be empty")
    return found


def _protocols(value: object, base: Path) -> frozenset[str]:
    titles = {protocol.name: protocol.title for protocol in PROTOCOLS}
    if not isinstance(value, list) or not value or not all(each in titles for each in value):
        raise ValueError(f"must be a list of some of {', '.join(map(repr, titles))}")
    return frozenset(titles[each] for each in value)


def _imported(value: object, base: Path) -> Any:
    """C{package.module:name}"""
    module, _, name = value.partition(":") if isinstance(value, str) else ("", "", "")
    if not module or not name:
        raise ValueError('must name a callable, as "package.module:name"')
    try:
        found: Any = import_module(module)
        for part in name.split("."):
            found = getattr(found, part)
    except (Exception, SystemExit) as error:
        # Importing runs whatever there is.
        said = str(error).partition("\n")[0]
        raise ValueError(f"{value} cannot be imported: {type(error).__name__}: {said}") from error
    if not callable(found) and not isinstance(found, Policy):
        raise ValueError(f"{value} is neither a callable nor a policy")
    return found


def _arguments(value: object, base: Path) -> dict[str, Any]:
    if isinstance(value, dict):
        return value
    raise ValueError("must be a table, as { database = 'ldap://localhost' }")


# --- the kinds --------------------------------------------------------------------------------------------------------


def _networks(options: Mapping[str, Any], parts: PolicyParts) -> Policy:
    if not options.keys() - {"name"}:
        raise ValueError("allow, deny, allow_file or deny_file must be there")
    arguments = {"allow_file": "allowFile", "deny_file": "denyFile"}
    return Networks(**{arguments.get(key, key): value for key, value in options.items()})


def _connection_limit(options: Mapping[str, Any], parts: PolicyParts) -> Policy:
    return ConnectionLimit(**options)


def _user_limit(options: Mapping[str, Any], parts: PolicyParts) -> Policy:
    return UserLimit(**options)


def _connection_rate(options: Mapping[str, Any], parts: PolicyParts) -> Policy:
    shared, own = _shared(options)
    if shared:
        return SharedRate(parts.store.rates, limits=parts.limits, clock=parts.clock, **own)
    return ConnectionRate(limits=parts.limits, clock=parts.clock, **own)


def _bans(options: Mapping[str, Any], parts: PolicyParts) -> Policy:
    shared, own = _shared(options)
    if shared:
        return SharedBans(parts.store.bans, clock=parts.clock, **own)
    return Bans(limits=parts.limits, clock=parts.clock, **own)


def _shared(options: Mapping[str, Any]) -> tuple[bool, dict[str, Any]]:
    return options.get("shared", False), {k: v for k, v in options.items() if k != "shared"}


def _own_code(options: Mapping[str, Any], parts: PolicyParts) -> Policy:
    call = options.get("call")
    if "arguments" in options and call is None:
        raise ValueError("arguments are for what call names, which must be there")
    makes = "arguments" in options or (inspect.isclass(call) and issubclass(call, Policy))
    if not makes and not isinstance(call, Policy):
        names = {"call": "onConnect", "on_close": "onClose", "on_authenticated": "onAuthenticated"}
        hooks = {names[key]: value for key, value in options.items() if key in names}
        return Hooks(**hooks, name=options.get("name") or _name(next(iter(hooks.values()))))
    if options.keys() & {"on_close", "on_authenticated"}:
        raise ValueError("call makes a policy, which has its own onClose and onAuthenticated")
    policy: Any = call
    if makes and callable(call):
        policy = call(**options.get("arguments", {}))
    if not isinstance(policy, Policy):
        raise ValueError(
            f"call made a {type(policy).__name__}, which is no twisted_duck.policies.Policy"
        )
    policy.name = options.get("name", policy.name)
    return policy


def _name(hook: Any) -> str:
    return str(getattr(hook, "__name__", type(hook).__name__))


_CODE = "code"

KINDS: dict[str, Kind] = {
    "networks": Kind(
        {
            "allow": _some_networks,
            "deny": _some_networks,
            "allow_file": reading.path,
            "deny_file": reading.path,
        },
        _networks,
        kept=False,
    ),
    "connection-limit": Kind({"masks": _masks, "trusted": reading.networks}, _connection_limit),
    "user-limit": Kind({"most": reading.bound}, _user_limit),
    "connection-rate": Kind(
        {
            "masks": _masks,
            "seconds": reading.seconds,
            "trusted": reading.networks,
            "shared": reading.flag,
        },
        _connection_rate,
    ),
    "bans": Kind(
        {
            "mask": _mask,
            "window": reading.seconds,
            "seconds": reading.seconds,
            "trusted": reading.networks,
            "shared": reading.flag,
        },
        _bans,
    ),
}

_OWN_CODE = Kind(
    {
        "call": _imported,
        "on_authenticated": _imported,
        "on_close": _imported,
        "arguments": _arguments,
    },
    _own_code,
)

_COMMON: dict[str, Read] = {
    "name": reading.text,
    "protocols": _protocols,
    "delay": reading.seconds,
}


# --- reading ----------------------------------------------------------------------------------------------------------


def read_policies(value: object, base: Path) -> tuple[PolicyTable, ...]:
    """@raise ValueError: what is wrong, and in which table"""
    if not isinstance(value, list) or not all(isinstance(each, dict) for each in value):
        raise ValueError("must be one or more tables, each written [[policy]]")
    return tuple(_read(number, table, base) for number, table in enumerate(value, 1))


def _read(number: int, table: dict[str, object], base: Path) -> PolicyTable:
    table = dict(table)
    kind = table.pop("kind", None)
    place = f"{number} ({kind})" if isinstance(kind, str) else str(number)
    try:
        found = _kind(kind, table)
        options = reading.keys(table, {**found.keys, **_COMMON}, base)
    except ValueError as error:
        raise ValueError(f"{place}: {error}") from None
    if found is _OWN_CODE:
        kind = _CODE
    return PolicyTable(
        kind=str(kind),
        protocols=options.pop("protocols", None),
        delay=options.pop("delay", None),
        options=options,
        place=f"policy {place}",
    )


def placed(tables: Iterable[PolicyTable], file: Path) -> tuple[PolicyTable, ...]:
    """The same, with messages that name the file that they are in."""
    return tuple(attrs.evolve(table, place=f"{file}: {table.place}") for table in tables)


def _kind(kind: object, table: Mapping[str, object]) -> Kind:
    own_code = table.keys() & {"call", "on_close", "on_authenticated"}
    if kind is None and own_code:
        return _OWN_CODE
    if kind is None:
        known = ", ".join(KINDS)
        raise ValueError(f'kind (one of {known}) or call = "package.module:name" must be there')
    if own_code:
        raise ValueError(f"kind and {min(own_code)} are both there; remove one")
    if not isinstance(kind, str) or kind not in KINDS:
        like = reading.close(str(kind), KINDS)
        advice = f"did you mean {like}?" if like else f"there are {', '.join(KINDS)}"
        raise ValueError(f"unknown kind {kind}; {advice}")
    return KINDS[kind]


_DEFAULT_TRUSTED = ["loopback", "private"]

#: What holds where the configuration says nothing of policies.  Addresses of this machine and of private networks are
#: trusted: behind them may be everybody, by way of a webmail, a container's gateway or a proxy.
DEFAULT_POLICIES = read_policies(
    [
        {
            "kind": "connection-limit",
            "masks": [
                {"ipv4": 32, "ipv6": 64, "most": 200},
                {"ipv4": 24, "ipv6": 56, "most": 500},
            ],
            "trusted": _DEFAULT_TRUSTED,
            "protocols": ["imap", "pop3"],
        },
        {
            "kind": "bans",
            "trusted": _DEFAULT_TRUSTED,
            "protocols": ["imap", "pop3"],
            # Seen and lifted by `duckmail bans`, counted by all processes together.
            "shared": True,
        },
    ],
    Path(),
)


# --- making -----------------------------------------------------------------------------------------------------------

#: Policies, and the tables that they were made of.
Made = Sequence[tuple[PolicyTable, Policy]]


def make_policies(tables: Iterable[PolicyTable], parts: PolicyParts, before: Made = ()) -> Made:
    """
    @param before: those that there are; they stay as they are, whatever happens
    @raise Fault: one cannot be made
    """
    left = list(before)
    made = []
    for table in tables:
        policy = _kept(table, left)
        # Not by its truth: one that remembers nobody yet is empty.
        made.append((table, _make(table, parts) if policy is None else policy))
    return made


def _kept(table: PolicyTable, left: list[tuple[PolicyTable, Policy]]) -> Policy | None:
    for each in left:
        if each[0] == table and KINDS.get(table.kind, _OWN_CODE).kept:
            left.remove(each)
            return each[1]
    return None


def _make(table: PolicyTable, parts: PolicyParts) -> Policy:
    kind = KINDS.get(table.kind, _OWN_CODE)
    try:
        policy = kind.make(table.options, parts)
    except OSError as error:
        said = f"cannot read {error.filename}: {error.strerror}" if error.filename else error
        raise Fault(f"{table.place}: {said}") from error
    except ValueError as error:
        raise Fault(f"{table.place}: {error}") from error
    except (Exception, SystemExit) as error:
        if kind is not _OWN_CODE:
            raise
        said = str(error).partition("\n")[0]
        raise Fault(f"{table.place}: {type(error).__name__}: {said}") from error
    if table.protocols is not None:
        policy = Only(policy, table.protocols)
    if table.delay is not None:
        policy = Delay(policy, table.delay, clock=parts.clock)
    return policy
