"""IMAP: RFC 3501 with what extends it; `capability` lists that.

The way of a command:

    connection bytes -> reading -> grammar -> protocol -> commands -> interfaces
                                                             |
                 connection bytes <- outflow <- responses <- selection (view)

    reading      a connection's bytes to commands: literals, limits, messages on their way in
    grammar/     a command's bytes to its value, a module a family (RFC 3501 §9)
    protocol     one command after another: is it allowed here, and who does it
    commands/    what each command does (RFC 3501 §6)
    selection    the mailbox that a client has selected
    view         what the client was told of it: sequence numbers, and which news may go when (§7.4.1)
    responses    values to bytes (§7)
    capability   what is offered, when, and what it needs
    enabled      what the client has switched on
    resync       what a client that comes back has missed (RFC 7162)
    listing      which names LIST and LSUB name
    utf7         how those names are written (§5.1.3)
    factory      what an application puts behind an endpoint
"""
