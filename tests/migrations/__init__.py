"""Data that earlier states of this program wrote, and that every later one has to go on with.

`archives/` has a database of each (`archive.py`), filled by that state itself with `mail.py`, and what it told of it then.
A state whose documents look new gets an archive of its own before it is released:

    python -m tests.migrations.make NAME MONGODB-URI
"""
