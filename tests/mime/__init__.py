"""Tests of `twisted_duck.mime`."""
