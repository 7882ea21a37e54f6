"""Line ends: CRLF in mail, LF in the files that programs on Unix keep it in.

A file whose first line ends in CRLF is mail as it is, and not a byte of it is changed.  In any other each LF that has no
CR before it becomes CRLF, and nothing else changes.  Mail is written with LF where reading gives it back exactly,
and as it is where not.  So what is written comes back byte for byte, but for a message whose first line ends in a bare
LF: that is what a file with LF looks like, and it comes back with CRLF.
"""

from __future__ import annotations

import re

_BARE_LF = re.compile(rb"(?<!\r)\n")


def to_mail(data: bytes) -> bytes:
    """The mail that a file has."""
    first = data.find(b"\n")
    if first < 0 or data[first - 1 : first] == b"\r":
        return data
    return _BARE_LF.sub(b"\r\n", data)


def to_file(data: bytes) -> bytes:
    """The file that mail is written to."""
    unix = data.replace(b"\r\n", b"\n")
    return unix if to_mail(unix) == data else data
