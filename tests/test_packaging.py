"""What the wheel carries: the package, and the plugin by which `twistd` finds it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import ClassVar

from twisted.trial.unittest import SynchronousTestCase

ROOT = Path(__file__).parent.parent
SOURCES = ("pyproject.toml", "setup.cfg", "README.md", "LICENSE", "twisted", "twisted_duck")

#: Where the checkout itself is installed, it must not stand in for the wheel.
_ALONE = f"import sys; sys.path[:] = [path for path in sys.path if path != {str(ROOT)!r}]\n"

_HELP = _ALONE + "from twisted.scripts.twistd import run; run()"

_PLUGINS = (
    _ALONE
    + """
from twisted.application.service import IServiceMaker
from twisted.plugin import getPlugins
[plugin] = [p for p in getPlugins(IServiceMaker) if p.tapname == "duckmail"]
print(plugin.module)
print(sorted({"txmongo", "pymongo", "bson", "twisted_duck"} & set(sys.modules)))
"""
)


class WheelTests(SynchronousTestCase):
    site: ClassVar[Path | None] = None

    def setUp(self) -> None:
        self.tmp = Path(self.mktemp()).absolute()
        self.tmp.mkdir(parents=True)
        if WheelTests.site is None:
            WheelTests.site = self._installed()

    def _installed(self) -> Path:
        """A folder into which the wheel was installed; without what it depends on, which is here already."""
        source = self.tmp / "source"
        source.mkdir()
        for name in SOURCES:
            copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
            copy(ROOT / name, source / name)
        self.python("-m", "pip", "wheel", "-q", "--no-deps", "--no-build-isolation", str(source))
        [wheel] = self.tmp.glob("*.whl")
        site = self.tmp / "site"
        with zipfile.ZipFile(wheel) as archive:
            archive.extractall(site)
        return site

    def python(self, *argv: str, **env: str) -> str:
        """Run Python where nothing of the checkout is in sight."""
        run = subprocess.run(
            [sys.executable, *argv],
            cwd=self.tmp,
            env={**os.environ, "PYTHONPATH": "", **env},
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )
        self.assertEqual(run.returncode, 0, run.stdout + run.stderr)
        return run.stdout

    def test_twistd_lists_it(self) -> None:
        said = self.python("-c", _HELP, "--help", PYTHONPATH=str(self.site))
        self.assertRegex(said, r"(?m)^ +duckmail +A mail server")

    def test_listing_imports_nothing(self) -> None:
        """Who lists the plugins of all packages has not asked for a database driver."""
        said = self.python("-c", _PLUGINS, PYTHONPATH=str(self.site)).splitlines()
        self.assertEqual(said, ["twisted_duck.service.maker", "[]"])

    def test_every_module_is_in_it(self) -> None:
        assert self.site is not None
        for folder in ("twisted_duck", "twisted"):
            ours = {p.relative_to(ROOT) for p in (ROOT / folder).rglob("*.py")}
            carried = {p.relative_to(self.site) for p in (self.site / folder).rglob("*.py")}
            self.assertEqual(carried, ours)
        self.assertTrue((self.site / "twisted_duck/py.typed").exists())

    def test_it_is_no_part_of_twisteds_package(self) -> None:
        """An `__init__.py` in either folder would hide Twisted, or its plugins."""
        assert self.site is not None
        self.assertFalse((self.site / "twisted/__init__.py").exists())
        self.assertFalse((self.site / "twisted/plugins/__init__.py").exists())
