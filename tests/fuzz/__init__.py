"""Whatever is read from strangers, given anything: what comes out is a value, or an error of the two trees.

`targets` has what is read, each with what must hold; `test_targets` does some seconds of each, always the same ones, and
whatever was ever found; `tox -e fuzz` does five minutes of each with atheris, which looks for input that goes other ways
through the code:

    python -m tests.fuzz [--seconds 300] [TARGET ...]
"""
