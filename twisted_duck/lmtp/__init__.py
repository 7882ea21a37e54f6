"""LMTP: RFC 2033 with what extends it."""
