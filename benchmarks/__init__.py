"""Benchmarks of any IMAP, POP3 or LMTP server: see README.md."""
