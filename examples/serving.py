"""What the other examples share: listening, and stopping so that nobody is cut off in the middle of something."""

from twisted.internet.defer import Deferred, DeferredList, maybeDeferred
from twisted.internet.endpoints import serverFromString

#: Seconds for commands in progress: a factory with hooks needs 20 at the most, one without waits for the slowest.
PATIENCE = 30


async def serve(reactor, listeners, store=None):
    """Listen until the reactor stops; the ports.

    @param listeners: endpoints, and the factory for each
    @param store: it is closed behind the last connection
    """
    ports = []
    factories = [factory for _, factory in listeners]

    def stopping():
        return Deferred.fromCoroutine(stop(reactor, ports, factories, store))

    # For a trigger "before" it, and for no other, the reactor waits.
    reactor.addSystemEventTrigger("before", "shutdown", stopping)
    for endpoint, factory in listeners:
        ports.append(await serverFromString(reactor, endpoint).listen(factory))
    return ports


async def stop(reactor, ports, factories, store=None):
    for port in ports:
        await maybeDeferred(port.stopListening)
    leaving = [factory.shutDown().addTimeout(PATIENCE, reactor) for factory in factories]
    await DeferredList(leaving, consumeErrors=True)
    if store is not None:
        await store.close()
