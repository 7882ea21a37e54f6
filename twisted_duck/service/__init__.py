"""Configuration, the embedded MongoDB and the wiring: the only package that knows every other."""
