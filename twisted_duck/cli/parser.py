"""The command line: what all commands share of it, and how their help looks."""

from __future__ import annotations

import argparse
import re
import sys
import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from twisted_duck.service.config import SETTINGS

#: Settings that say which store is meant.
_STORE = ("data_dir", "mongo.uri", "mongo.mongod")

EXIT_STATUS = {
    0: "it was done",
    1: "it could not be done; one line on standard error says why",
    2: "the command line makes no sense",
}


class _Formatter(argparse.RawDescriptionHelpFormatter):
    """Keeps the line ends of descriptions and examples; wraps at 80 columns, or fewer on a narrow terminal."""

    def __init__(self, prog: str) -> None:
        super().__init__(prog, max_help_position=26)
        self._width = min(self._width, 78)

    def _format_action(self, action: argparse.Action) -> str:
        if isinstance(action, argparse._SubParsersAction):
            # The commands alone, without a line that says that they are commands.
            return "".join(map(self._format_action, self._iter_indented_subactions(action)))
        return super()._format_action(action)


class Parser(argparse.ArgumentParser):
    """One command's."""

    def __init__(self, **arguments: Any) -> None:
        super().__init__(formatter_class=_Formatter, allow_abbrev=False, **arguments)
        self._positionals.title = "Arguments"
        self._optionals.title = "Options"

    def parse_known_args(  # type: ignore[override]
        self, args: Sequence[str] | None = None, namespace: argparse.Namespace | None = None
    ) -> tuple[argparse.Namespace, list[str]]:
        """What is not known is an error of the command that does not know it, and not of the whole line."""
        words = sys.argv[1:] if args is None else list(args)
        if self._subparsers is not None and words:
            option = words[0].partition("=")[0]
            if option.startswith("-") and option not in self._option_string_actions:
                self.error(f"{option}: options stand behind COMMAND")
        known, rest = super().parse_known_args(words, namespace)
        if rest:
            self.error(f"unrecognized arguments: {' '.join(rest)}")
        return known, rest


def described(
    commands: Any,
    name: str,
    summary: str,
    description: str,
    examples: str,
    statuses: dict[int, str] | None = None,
) -> Parser:
    """A command's parser with the help that belongs to it."""
    status = {**EXIT_STATUS, **(statuses or {})}
    lines = "\n".join(f"  {number}  {meaning}" for number, meaning in sorted(status.items()))
    parser: Parser = commands.add_parser(
        name,
        help=summary,
        description=_paragraphs(description),
        epilog=f"Examples:\n{textwrap.indent(_dedented(examples), '  ')}\n\nExit status:\n{lines}",
    )
    return parser


def group(commands: Any, name: str, summary: str, description: str) -> Any:
    """A command that has commands."""
    parser: Parser = commands.add_parser(
        name,
        help=summary,
        description=_paragraphs(description),
        epilog=f"'duckmail {name} COMMAND --help' tells more of each.",
    )
    return parser.add_subparsers(title="Commands", metavar="COMMAND", required=True)


def add_store_options(parser: Parser) -> None:
    """Which store: the same words, and the same file, as `twistd duckmail` takes."""
    options = parser.add_argument_group(
        "Which store",
        textwrap.fill(
            "Without any of these it is the embedded MongoDB in the default data directory. That of a server"
            " that runs on the data directory is used; if there is none it is started for as long as the"
            " command runs.",
            76,
        ),
    )
    options.add_argument(
        "--config",
        type=Path,
        metavar="FILE",
        help="Read these settings from the configuration file of the server (TOML); options win over it.",
    )
    metavars = {"data_dir": "DIR", "mongo.uri": "URI", "mongo.mongod": "PROGRAM"}
    for setting in SETTINGS:
        if setting.key in _STORE:
            options.add_argument(
                f"--{setting.option}",
                dest=setting.key,
                metavar=metavars[setting.key],
                default=argparse.SUPPRESS,
                help=setting.help.replace("%", "%%"),
            )
    options.add_argument(
        "--debug",
        action="store_true",
        help="Show what happens inside, with tracebacks, on standard error.",
    )


def store_settings(arguments: argparse.Namespace) -> dict[str, Any]:
    """What was given of `add_store_options`, by the keys of the settings."""
    return {key: value for key, value in vars(arguments).items() if key in _STORE}


def _dedented(text: str) -> str:
    return textwrap.dedent(text).strip("\n")


def _paragraphs(text: str) -> str:
    """Paragraphs, wrapped; one that is indented is left as it is."""
    found = re.split(r"\n[ \t]*\n", _dedented(text))
    return "\n\n".join(p if p.startswith(" ") else textwrap.fill(p, 78) for p in found)
