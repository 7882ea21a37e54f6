"""A mail store and its protocols on Twisted and MongoDB."""
