"""A mail store and its protocols on Twisted and MongoDB."""

__version__ = "0.1.0"
