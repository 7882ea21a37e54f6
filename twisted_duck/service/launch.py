"""Run as a program between the service and `mongod`: `launch.py PARENT SIGNAL PROGRAM [ARGUMENT...]`.

What the program must inherit can only be set in the process that becomes it: files that are its
owner's alone, a session of its own (Ctrl-C in a terminal goes to the whole group, and mail is still
being written then), and, on Linux, a signal when its parent dies, by whatever death.

Imports the standard library only, and little of it: the interpreter is started without `site`.
"""

from __future__ import annotations

import ctypes
import os
import sys

PR_SET_PDEATHSIG = 1

#: What a shell answers for a program that it found and could not run.
CANNOT_RUN = 126


def main(parent: int, death_signal: int, command: list[str]) -> int:
    os.umask(0o077)
    os.setsid()
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, death_signal)
        if os.getppid() != parent:
            return CANNOT_RUN
    try:
        os.execv(command[0], command)
    except OSError as error:
        print(f"{command[0]}: {error.strerror}", file=sys.stderr)
    return CANNOT_RUN


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3:]))
