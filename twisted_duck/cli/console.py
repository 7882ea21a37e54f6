"""What the command says and asks: results on standard output, everything else on standard error."""

from __future__ import annotations

import os
import sys
from getpass import getpass
from shutil import get_terminal_size
from types import TracebackType

from tqdm import tqdm

from twisted_duck.service.fault import Fault

#: Exit statuses; 2 is argparse's, for a command line that makes no sense.
OK = 0
#: It could not be done; one line on standard error says why.
FAILED = 1
#: It was done, but not for everything, or not everything is as it should be; standard error says what.
INCOMPLETE = 3
#: As shells have it for a program ended by SIGINT.
INTERRUPTED = 130

PROGRAM = "duckmail"


class CommandError(Fault):
    """The command can't be done as it was given."""


def say(text: str) -> None:
    print(text)


def complain(text: str) -> None:
    """One line on standard error, whatever a name in it may contain; a progress bar is drawn anew below it."""
    line = "".join(c if c.isprintable() else "?" for c in text.replace("\n", " "))
    encoding = sys.stderr.encoding or "ascii"
    tqdm.write(f"{PROGRAM}: {line}".encode(encoding, "replace").decode(encoding), file=sys.stderr)


def interactive() -> bool:
    return sys.stdin.isatty()


def ask_password(user: str, given: str | None) -> str:
    """The password that was given, or typed twice, or the first line of standard input.

    Fails with CommandError for one that nobody could log in with.
    """
    if given is not None:
        password = given
    elif interactive():
        password = getpass(f"New password for {user}: ")
        if getpass("The same again: ") != password:
            raise CommandError("the two passwords differ; nothing was changed")
    else:
        password = sys.stdin.readline().rstrip("\r\n")
    if not password:
        raise CommandError("the password is empty; nothing was changed")
    try:
        password.encode()
    except UnicodeEncodeError:
        raise CommandError("the password is not UTF-8; nothing was changed") from None
    if "\0" in password:
        raise CommandError("a password can't have a NUL; nothing was changed")
    return password


def confirm(question: str, option: str) -> None:
    """Fails with CommandError unless it is answered with yes.  `option` answers it on the command line."""
    if not interactive():
        raise CommandError(
            f"standard input is no terminal to ask on; give {option} if you are sure"
        )
    print(f"{question} [y/N] ", end="", flush=True, file=sys.stderr)
    if sys.stdin.readline().strip().lower() not in ("y", "yes"):
        raise CommandError("nothing was changed")


class Progress:
    """A bar with rate and time left, on a standard error that is a terminal; else nothing."""

    def __init__(self, total: int, unit: str = "messages") -> None:
        width = os.get_terminal_size(sys.stderr.fileno()).columns if sys.stderr.isatty() else 0
        usual = get_terminal_size()
        # No thread that looks whether the bar stands still.
        tqdm.monitor_interval = 0
        self._bar = tqdm(
            total=total,
            unit=" " + unit,
            file=sys.stderr,
            disable=not sys.stderr.isatty(),
            # A terminal that does not know how large it is says 0.
            ncols=None if width else usual.columns,
            nrows=None if width else usual.lines,
            dynamic_ncols=bool(width),
            ascii=not (sys.stderr.encoding or "").lower().startswith("utf"),
        )

    def __enter__(self) -> Progress:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._bar.close()

    def at(self, name: str) -> None:
        """What is worked on now."""
        self._bar.set_description_str(name, refresh=False)

    def step(self, steps: int) -> None:
        self._bar.update(steps)

    def say(self, text: str) -> None:
        """A line of the result, with the bar drawn anew below it."""
        self._bar.write(text, file=sys.stdout)


def size(number: int) -> str:
    """1536 -> '1.5 KiB'."""
    amount, unit = float(number), "B"
    for larger in ("KiB", "MiB", "GiB", "TiB"):
        if amount < 1024:
            break
        amount, unit = amount / 1024, larger
    return f"{amount:.0f} {unit}" if unit == "B" else f"{amount:.1f} {unit}"


def count(number: int, singular: str, plural: str | None = None) -> str:
    """1 -> '1 message', 1234 -> '1,234 messages'."""
    return f"{number:,} {singular if number == 1 else plural or singular + 's'}"


def stop_writing() -> None:
    """Whoever read standard output has gone: let Python not trip over it again at its end."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
