"""What stands in front of a protocol, any Twisted protocol: who comes in, from where, and what is said when one doesn't.

Theory of operation
===================

Each of these is a factory around a factory, and does one thing.  They are put together in the order in which the bytes of
a connection are read:

    ProxyFactory            takes a PROXY header off, and from there on the client is who the header says it is
    TLSMemoryBIOFactory     Twisted's own: TLS from the first byte
    GuardedFactory          waits for the handshake, asks `onConnect`, and tells `onClose`

    endpoint.listen(ProxyFactory(TLSMemoryBIOFactory(tls, False, GuardedFactory(factory, onConnect, onClose)), networks))

Any of them can be left out, and an endpoint that brings TLS with it (`ssl:993`) may stand in front of a GuardedFactory.
STARTTLS is the protocol's affair and passes through.

**A passage.**  ProxyFactory and GuardedFactory make a `Passage` for each connection: a protocol that has nobody behind it
at first.  It holds what arrives, a bounded amount, and writes nothing.  When the time has come, the protocol that is to
serve the connection is made, connected to a `View` of the transport, and given what was held; from there on the passage
passes on what happens, and costs one call for each chunk.  A protocol that is not let in is never made: there is nothing
it could have said or counted.

The view is the transport in everything that can be asked of it, the interfaces it provides and those it acquires by
`startTLS` included, but for what the passage knows better (the addresses behind a proxy) and what it counts (octets).  One
promise of a transport takes some care: a protocol that pauses it before it was given what had been held gets that only
when it resumes.

**A guarded connection** is in one of five phases:

    HANDSHAKE   the transport is TLS, and the handshake is not done     limits.tls_handshake, then cut off
    ASKING      `onConnect` was called, and has not answered            limits.on_connect, then refused, or let in
    SERVING     the protocol has it
    LEAVING     refused; the client was told, if its protocol is known  limits.farewell, then cut off
    OVER        the transport is gone

`onClose` is called on the way to OVER if and only if `onConnect` was called (or would have been, where there is none);
there is no other way to OVER, and it is left by none.  An answer of `onConnect` that comes in any phase but ASKING changes
nothing.  Whoever ends ASKING cancels the Deferred, so that a hook that waits for a database is told that nobody waits for
it; one that goes on regardless is on its own.

While nothing is read because of the bound on what is held, a client that goes away is not noticed before the deadline.
"""

from twisted_duck.guard.guarded import GuardedFactory
from twisted_duck.guard.proxy import ProxyFactory

__all__ = ["GuardedFactory", "ProxyFactory"]
