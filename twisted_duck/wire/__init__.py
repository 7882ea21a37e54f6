"""What the protocols share of the wire: bytes in any pieces into lines, literals, headers, and back.

Language plane: no I/O.  What is too long is discarded without losing where the next thing begins.

    framing      lines, counted octets, and IMAP commands with literals
    lines        lines for people
    dotstuff     multi-line answers and mail data (RFC 1939 §3, RFC 5321 §4.5.2)
    proxy        the PROXY protocol
"""
