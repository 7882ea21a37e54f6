"""By what a message finds the others of its conversation when it arrives (THREADID: RFC 8474 §5.2).

Two messages belong together if one refers to the other, or both to a third one, and their base subjects are the same: who
answers and changes the subject begins something new.  So a message has a key for each Message ID that it has or refers to,
which stands for that ID under that subject; messages with a key in common are of one thread.
"""

from __future__ import annotations

from hashlib import blake2b

from twisted_duck.mime.references import NONE, split


def thread_keys(subject: str, ids: bytes, most: int) -> tuple[int, ...]:
    """The keys of a message, signed numbers of 64 bits: for the message it answers first, for what that answered next ...,
    for itself last.

    @param subject: its base subject, in the form that is compared (`Order.subject`)
    @param ids: its own ID and those of the messages it refers to, as `references.ids` has them
    @param most: how many keys there are at most; of the references the oldest one and the latest ones count
    """
    own, *references = split(ids)
    if references:
        latest = references[:0:-1][: max(most - 2, 0)]
        named = list(dict.fromkeys([*latest, references[0], own]))
    else:
        named = [own]
    mark = blake2b(subject.encode("utf-8", "surrogatepass"), digest_size=16).digest()
    return tuple([_key(mark, id) for id in named if id != NONE])


def _key(subject: bytes, id: bytes) -> int:
    return int.from_bytes(blake2b(subject + id, digest_size=8).digest(), "big", signed=True)
