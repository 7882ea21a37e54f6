"""Run as a program: `mongo_keeper.py DIRECTORY PROGRAM [ARGUMENT...]` keeps a `mongod` for a test run.

Its standard input is the test run's life: it ends when the run ends, however that happens (Ctrl-C,
kill -9, an exception), and then the server is killed and the directory removed.
"""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys


def main(directory: str, command: list[str]) -> None:
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    server = subprocess.Popen(command, stdin=subprocess.DEVNULL)
    try:
        sys.stdin.buffer.read()
    finally:
        server.kill()
        server.wait()
        shutil.rmtree(directory, ignore_errors=True)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
