"""Clients that Debian packages bring.  The modules' names keep them out of `trial tests`, which asks for nothing that
pip cannot install; `tox -e clients` runs them.
"""
