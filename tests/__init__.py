"""Tests; the tree mirrors `twisted_duck`."""
