"""Which package may import which: the planes, and the order of the packages within them.

A row says what of this project, and what of others, the modules of a package may import besides the
package itself and the standard library.  Imports inside of functions count too.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

import twisted_duck

ROOT = Path(twisted_duck.__file__).parent

#: The ground: values and the contracts, known to every package.
GROUND = {
    "values",
    "light",
    "interfaces",
    "errors",
    "limits",
    "arguments",
    "index",
    "search",
    "sequence",
    "names",
    "matching",
}
LANGUAGE = {"wire", "collation", "mime", "sasl", "predicates", "held", "addresses"}
SESSION = {
    "session",
    "clock",
    "hooks",
    "busy_polling",
    "inactivity",
    "outflow",
    "prompt",
    "reads",
    "room",
    "spool",
}
#: What the protocols share that speak to one client each.
CONNECTION = {"authorization", "connection", "factory", "login"}

#: Package or module -> what it may import of the project, what of others.
RULES: dict[str, tuple[set[str], set[str]]] = {
    "": (set(), set()),
    **{name: (GROUND, {"attrs", "zope"}) for name in GROUND},
    "wire": (GROUND, {"attrs"}),
    "collation": (GROUND, set()),
    "mime": (GROUND | {"wire", "collation"}, {"attrs"}),
    "sasl": (GROUND | {"wire"}, {"attrs"}),
    "addresses": (GROUND, {"attrs"}),
    "predicates": (GROUND | {"mime"}, {"attrs"}),
    "held": (GROUND | {"mime", "predicates"}, {"attrs", "zope"}),
    "imap.utf7": (GROUND, set()),
    "imap.grammar": (GROUND | LANGUAGE | {"imap.utf7"}, {"attrs"}),
    "imap.responses": (GROUND | LANGUAGE | {"imap.utf7", "imap.grammar"}, {"attrs"}),
    "imap.view": (GROUND | LANGUAGE | {"imap.grammar"}, {"attrs"}),
    "imap.sorting": (GROUND | LANGUAGE | {"imap.grammar"}, {"attrs"}),
    "imap.threads": (GROUND | LANGUAGE | {"imap.sorting"}, {"attrs"}),
    "spool": (GROUND, {"attrs"}),
    "guard": (
        GROUND | {"wire", "session", "clock", "hooks", "prompt", "reads"},
        {"attrs", "zope", "twisted"},
    ),
    "policies": (GROUND | {"wire", "session", "clock", "hooks"}, {"attrs", "zope", "twisted"}),
    **{name: (GROUND | SESSION, {"attrs", "zope", "twisted"}) for name in SESSION - {"spool"}},
    **{
        name: (
            GROUND | LANGUAGE | SESSION | CONNECTION | {"auth", "adapters", "guard"},
            {"attrs", "zope", "twisted"},
        )
        for name in CONNECTION
    },
    **{
        name: (
            GROUND | LANGUAGE | SESSION | CONNECTION | {"auth", "adapters", "guard"},
            {"attrs", "zope", "twisted"},
        )
        for name in ("imap", "pop3", "lmtp")
    },
    "pop3.grammar": (GROUND | LANGUAGE, {"attrs"}),
    "pop3.responses": (GROUND | LANGUAGE, {"attrs"}),
    "lmtp.address": (GROUND | LANGUAGE, {"attrs"}),
    "lmtp.grammar": (GROUND | LANGUAGE | {"lmtp.address"}, {"attrs"}),
    "lmtp.responses": (GROUND | LANGUAGE | {"lmtp.address"}, {"attrs"}),
    "lmtp.spam": (GROUND | LANGUAGE, {"attrs"}),
    "auth": (GROUND | LANGUAGE | SESSION, {"attrs", "zope", "twisted", "cryptography"}),
    "adapters": (
        GROUND | LANGUAGE | SESSION | {"imap.view", "imap.grammar", "imap.listing", "pop3.inbox"},
        {"attrs", "zope", "twisted"},
    ),
    "memory": (GROUND | LANGUAGE | SESSION, {"attrs", "zope", "twisted"}),
    "store": (
        GROUND | LANGUAGE | SESSION | {"auth"},
        {"attrs", "zope", "twisted", "txmongo", "bson", "pymongo", "OpenSSL", "service_identity"},
    ),
}
#: They know everything, and nothing knows them; but the driver is the store's alone.
TOP = ("service", "cli")
DRIVER = {"txmongo", "bson", "pymongo", "gridfs"}
#: I/O, clocks and chance in the standard library: not for a module that may not import Twisted either.
OUTSIDE = {
    *(
        "asyncio",
        "concurrent",
        "http",
        "io",
        "logging",
        "multiprocessing",
        "os",
        "pathlib",
        "random",
    ),
    *(
        "secrets",
        "select",
        "selectors",
        "shutil",
        "signal",
        "smtplib",
        "socket",
        "ssl",
        "subprocess",
    ),
    *("tempfile", "threading", "time", "urllib"),
}
#: It is a file, and the language plane is given what it holds.
FILES = {"spool"}


def modules() -> Iterator[tuple[str, Path]]:
    """Every module by its name below `twisted_duck`."""
    for file in sorted(ROOT.rglob("*.py")):
        parts = file.relative_to(ROOT).with_suffix("").parts
        yield ".".join(parts[:-1] if parts[-1] == "__init__" else parts), file


def imports(name: str, file: Path) -> Iterator[str]:
    """Every module that a module imports, by its full name."""
    package = ["twisted_duck", *name.split(".")] if name else ["twisted_duck"]
    if file.name != "__init__.py":
        package = package[:-1]
    for node in ast.walk(ast.parse(file.read_bytes())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            path = ".".join([*base, *filter(None, [node.module])])
            yield from (f"{path}.{alias.name}" for alias in node.names)


def under(name: str, package: str) -> bool:
    return name == package or name.startswith(package + ".")


def rule(name: str) -> str | None:
    """The row for a module: the longest that fits."""
    rows = [row for row in RULES if row == name or (row and under(name, row))]
    return max(rows, key=len, default=None)


def wrong(name: str, imported: str) -> bool:
    """Whether a module must not import another."""
    first, _, rest = imported.partition(".")
    row = rule(name)
    if first in sys.stdlib_module_names:
        pure = row is not None and "twisted" not in RULES[row][1] and row not in FILES
        return pure and first in OUTSIDE
    if imported == "twisted_duck.__version__":
        return False
    if any(under(name, top) for top in TOP):
        return first in DRIVER
    if row is None:
        return True
    ours, others = RULES[row]
    if first != "twisted_duck":
        return first not in others
    return not (under(rest, row) or any(under(rest, each) for each in ours))


class ImportTests(SynchronousTestCase):
    def test_arrows(self) -> None:
        """No arrow between the packages runs the wrong way."""
        self.assertEqual(
            [
                f"{name or '__init__'} imports {imported}"
                for name, file in modules()
                for imported in imports(name, file)
                if wrong(name, imported)
            ],
            [],
        )

    def test_a_wrong_arrow_is_seen(self) -> None:
        for name, imported in [
            ("mime.scan", "twisted.internet.defer"),
            ("mime.date", "time.time"),
            ("imap.grammar.append", "socket"),
            ("imap.grammar.fetch", "twisted_duck.session.Session"),
            ("imap.protocol", "twisted_duck.store.connection.Mongo"),
            ("store.connection", "twisted_duck.service.config.load"),
            ("auth.portal", "bson.ObjectId"),
            ("cli", "pymongo.MongoClient"),
            ("newcomer", "attrs"),
        ]:
            self.assertTrue(wrong(name, imported), f"{name} imports {imported}")

    def test_a_right_arrow_is_allowed(self) -> None:
        for name, imported in [
            ("mime.scan", "twisted_duck.limits.Limits"),
            ("mime.date", "datetime.date"),
            ("spool", "tempfile.TemporaryFile"),
            ("imap.protocol", "twisted_duck.imap.view.View"),
            ("store.driver", "txmongo.connection.ConnectionPool"),
            ("service.server", "twisted_duck.store.direct.connect"),
        ]:
            self.assertFalse(wrong(name, imported), f"{name} imports {imported}")
