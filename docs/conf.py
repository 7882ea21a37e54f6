"""Sphinx: `tox -e docs` makes docs/_build."""

from twisted_duck import __version__

project = "Twisted Duck"
author = "The Twisted Duck developers"
version = release = __version__
extensions = ["myst_parser"]
#: Pages link to the sections of others.
myst_heading_anchors = 2
exclude_patterns = ["_build"]
html_theme = "alabaster"
