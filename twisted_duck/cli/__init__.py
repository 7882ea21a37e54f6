"""`duckmail`: users, addresses, bans, import, export and check, on the command line.

    commands/    what each takes, its help, and what it does with the store
    importing    from files into an account
    exporting    from an account into files
    files/       Maildir and mbox
    stores       which store, and how it is opened
    console      what is said and asked

Results go to standard output, all else to standard error; `console` has the exit statuses.
"""

from __future__ import annotations

import argparse
import os
import sys
import traceback
from collections.abc import Sequence
from typing import Any, NoReturn

from twisted.internet import task
from twisted.internet.defer import CancelledError, Deferred
from twisted.logger import ILogObserver, LogEvent, globalLogBeginner, textFileLogObserver
from zope.interface import provider

from twisted_duck import __version__
from twisted_duck.cli import console
from twisted_duck.cli.commands import address, bans, check, domain, export, import_, user
from twisted_duck.cli.parser import Parser
from twisted_duck.errors import DuckError
from twisted_duck.service.fault import Fault

__all__ = ["main", "parser", "run"]


def parser() -> Parser:
    """The whole command line."""
    top = Parser(
        prog=console.PROGRAM,
        description="Administers the mail store that 'twistd duckmail' serves.",
        epilog="'duckmail COMMAND --help' tells more of each.",
    )
    top.add_argument("--version", action="version", version=f"Twisted Duck {__version__}")
    commands = top.add_subparsers(title="Commands", metavar="COMMAND", required=True)
    for each in (user, address, domain, bans, import_, export, check):
        each.add_to(commands)
    return top


async def run(reactor: Any, arguments: argparse.Namespace) -> int:
    """Do what was parsed; the exit status.  Whatever goes wrong is one line on standard error."""
    try:
        status: int = await arguments.handler(reactor, arguments)
        sys.stdout.flush()
    except (Fault, DuckError) as error:
        console.complain(str(error))
    except CancelledError:
        console.complain("interrupted")
        return console.INTERRUPTED
    except BrokenPipeError:
        console.stop_writing()
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        console.complain(f"{where}{error.strerror or error}")
    except Exception as error:  # noqa: BLE001 - the last one that could say it in one line
        console.complain(
            f"a fault of {console.PROGRAM}: {type(error).__name__}: {error} (--debug shows where)"
        )
        if arguments.debug:
            traceback.print_exc()
    else:
        return status
    return console.FAILED


async def _react(reactor: Any, arguments: argparse.Namespace) -> NoReturn:
    """Within the reactor: being interrupted cancels the command, and waits until it has cleaned up."""
    work = Deferred.fromCoroutine(run(reactor, arguments))
    over: Deferred[None] = Deferred()

    def interrupt() -> Deferred[None]:
        work.cancel()
        return over

    trigger = reactor.addSystemEventTrigger("before", "shutdown", interrupt)
    try:
        status = await work
    finally:
        over.callback(None)
    if status != console.INTERRUPTED:
        reactor.removeSystemEventTrigger(trigger)
    raise SystemExit(status)


def _have_streams() -> None:
    """Where a standard stream is closed, Python has None for it."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, mode, encoding="utf-8"))  # noqa: SIM115 - for good


@provider(ILogObserver)
def _ignore(event: LogEvent) -> None:
    """What goes wrong is said by the command itself."""


def main(argv: Sequence[str] | None = None) -> NoReturn:
    """The console script."""
    _have_streams()
    arguments = parser().parse_args(argv)
    # Without an observer of its own, Twisted's log shows tracebacks on standard error.
    observer = textFileLogObserver(sys.stderr) if arguments.debug else _ignore
    globalLogBeginner.beginLoggingTo([observer], redirectStandardIO=False)
    try:
        task.react(lambda reactor: Deferred.fromCoroutine(_react(reactor, arguments)))
    except KeyboardInterrupt:
        # While something was asked for, before the reactor ran.
        console.complain("interrupted")
        raise SystemExit(console.INTERRUPTED) from None
