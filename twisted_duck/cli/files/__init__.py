"""Mail in files, Maildir and mbox: read for `duckmail import`, written by `duckmail export`.

Nothing here knows of the store.  Both formats come as `source.SourceMailbox`es, and are written through a `Writer` of
the same shape; `lines` says what is done to line ends, `folders` to names.  What is written here and read again is the
same message, byte for byte, with its flags and its date to the second, except that an mbox can't show the lack of a
final line end, and that neither can tell bare LFs alone from CRLFs (`lines`).
"""
