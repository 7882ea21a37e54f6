"""Mail in MongoDB: the only package that imports txmongo, bson and pymongo.

What holds at every moment, whatever process is killed when:

* Everything of a user carries `user`, and every query names it.  `users`, `addresses` and `blobs` are nobody's, and so is
  what the policies of all processes share (`bans`, `rates`).
* A mailbox has one counter, `modseq`.  Every change to a mailbox is one transaction that takes the next value from the
  mailbox's document, and UIDs with it, and writes all that belongs to the change: messages, tombstone, the mailbox's
  counters, the user's `used` bytes.  So who reads modseq M in a snapshot sees every change up to M and nothing half done.
* The `_id` of a mailbox is never used for another set of messages; UIDs in it never fall.
* A body never changes once it is written; messages refer to it by `_id`, which is the EMAILID.  A blob is known by the
  SHA-256 of its bytes, and never changes either.
* Nothing counts references.  What cannot be reached is garbage, and `collector` removes it later.

The way of a change: `account` or `mailbox` (what was asked) -> `changes` (what is written) -> `transaction` ->
`connection` (commands, retries) -> `driver` (txmongo).  The way of an arriving message before that: `arrival` (analysis) -> `rope` (segments) ->
`blobs`.  What a process knows of an open mailbox is in `opened`; `stream` wakes it.
"""
