"""What strangers send to keep a server from its work, and what it costs: figures of a real `twistd duckmail` process.

Each test names its bound.  Here they run with few connections; `tox -e floods` has as many as `docs/security.md` says, and
prints what was measured.
"""
