"""Ready-made hooks: who may connect, how many, how often.

A policy has the two methods that a guard calls, and some for protocols that tell of logins:

    onConnect(session)          fails with ConnectionRefused, or answers, now or later: then the client may come in
    beforeLogin(session)        likewise, when somebody wants to log in, before a password is looked at
    onAuthenticated(session)    likewise, when the credentials were found good and before the client is told
    onUnauthenticated(session)  that login did not come about after all
    onRefused(session)          that connection is not let in, by this policy or another: give back what it took, now
    onClose(session)            it is over; called for whoever `onConnect` was called for, refused or not
    loginFailed(session, user, password)    that password was wrong
    adopt(session)              that connection was there before the policy was, which counts it all the same

    policy = Policies(Networks(deny=["198.51.100.0/24"]), ConnectionRate(), ConnectionLimit())
    GuardedFactory(factory, policy.onConnect, policy.onClose)

`Policies` asks them from left to right.  The first one that refuses decides; the ones to the left of it, which had let the
client in, are told at once by `onRefused`, so that a connection that was refused takes nothing from anybody.

**What a policy remembers is bounded**, however many addresses come:

    ConnectionLimit, UserLimit      what is connected now, and so has a file descriptor: 700 octets each in three masks
    ConnectionRate                  `limits.rate_entries` networks for each mask
    Bans                            `limits.ban_entries` networks, and as many bans
    Networks                        what the administrator wrote

What was touched longest ago goes first when a table is full.

`SharedBans` and `SharedRate` hold over several processes; the others ask no database.  What the two have in there goes by
itself when its time is over, and is bounded by what can come in that time (`twisted_duck.store.bans` says how much).

**A mask** makes one customer out of many addresses.  It has a length for IPv4 and one for IPv6, where a household has a
/64 at the least and often a /56, and a university a /32: limits are best given for three widths, each larger than the one
before.  Whoever has no network address (a UNIX socket) is nobody's neighbour and is not limited.

Policies refuse new connections; those that are there are never ended.  Each refusal is logged, with the policy and its
reason, and counted in `refused`.
"""

from twisted_duck.policies.bans import Bans
from twisted_duck.policies.base import Hooks, Policies, Policy
from twisted_duck.policies.delay import Delay
from twisted_duck.policies.limits import ConnectionLimit, UserLimit
from twisted_duck.policies.masks import Mask
from twisted_duck.policies.networks import Networks
from twisted_duck.policies.only import Only
from twisted_duck.policies.rate import ConnectionRate
from twisted_duck.policies.shared import SharedBans, SharedRate
from twisted_duck.values import Ban

__all__ = [
    "Ban",
    "Bans",
    "ConnectionLimit",
    "ConnectionRate",
    "Delay",
    "Hooks",
    "Mask",
    "Networks",
    "Only",
    "Policies",
    "Policy",
    "SharedBans",
    "SharedRate",
    "UserLimit",
]
