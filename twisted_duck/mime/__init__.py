"""Messages as bytes with a map: part tree, headers, ENVELOPE, BODYSTRUCTURE, search text.

Language plane: pure functions from bytes to values. Nothing here fails on any input; what is broken
in a message is described as well as it can be, and its bytes are never changed.
"""
