"""What an administrator has to put right before the service can run."""

from __future__ import annotations


class Fault(Exception):
    """`str(fault)` is one line: what is wrong, where, and what to do.  No traceback adds anything to it."""
