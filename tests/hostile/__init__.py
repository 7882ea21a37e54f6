"""Messages and commands that were made to cost much.

The tests have them in a size that leaves room for other tests; `python -m tests.hostile` (`tox -e hostile`) has them in full, in
a server process, and prints the figures of docs/security.md.
"""
