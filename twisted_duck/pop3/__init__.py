"""POP3: RFC 1939 with what extends it."""
