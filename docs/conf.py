"""Sphinx: `tox -e docs` makes docs/_build."""

from twisted_duck import __version__

project = "Twisted Duck"
author = "The Twisted Duck developers"
version = release = __version__
extensions = ["myst_parser"]
exclude_patterns = ["_build"]
html_theme = "alabaster"
