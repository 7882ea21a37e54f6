"""Writes docs/protocols.md: what the tables of capabilities say, and what no table can say.

    python docs/protocols.py

`tests/test_documentation.py` fails while the page is not what this writes.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from twisted_duck.imap import capability as imap
from twisted_duck.lmtp import capability as lmtp
from twisted_duck.pop3 import capability as pop3

PAGE = Path(__file__).with_name("protocols.md")

TEXT = """\
<!-- Written by docs/protocols.py from the tables of capabilities: change those, and run it again. -->

# What is spoken

Something is advertised where it works to the letter: in that state, on that connection, with that account. Each table
below is the one that the server goes by.

## IMAP

What the account must provide is an interface of `twisted_duck.interfaces`. Accounts of the MongoDB store and of the store in
memory provide them all; an `IAccountIMAP` of an application that is served through `adapters.from_twisted` provides none of
them, and is not told of what it cannot do.

{imap}

### Decisions

* **UNAUTHENTICATE (RFC 8437) and CONTEXT (RFC 5267) are left out.** The first would have to take back everything that a
  connection was allowed and has enabled; the second makes a server keep searches up to date that PARTIAL pages through.
* **ACL, METADATA, NOTIFY, CATENATE, URLAUTH, LANGUAGE, MULTISEARCH and the annotations** are not there: nobody is told that
  they are.
* **STORE and FETCH that meet messages which somebody else expunged** do what they can with the others, and answer `OK
  [EXPUNGEISSUED]`. With UNCHANGEDSINCE, a STORE by numbers of which some messages failed and some are gone answers
  `NO [MODIFIED ...]`, as RFC 7162 §3.1.3 has it. COPY and MOVE by numbers are all or nothing, and answer `NO
  [EXPUNGEISSUED]`; of UIDs, and of what a search has saved, those that are gone are left out.
* **A STORE that changes nothing** of a message leaves its modseq as it is, succeeds, and is told. Of a message that fails
  UNCHANGEDSINCE the flags and the modseq are told, `.SILENT` or not: there is one modseq, so any flag may have been the
  reason.
* **Numbers beyond the last message** are an error (BAD), except in an empty mailbox, where clients ask for `1:*` before they
  look.
* **8-bit headers** go out as they came. They are literals in ENVELOPE and BODYSTRUCTURE, which every client can read. A
  part of type message/global is told like message/rfc822, with its envelope and what is in it, to everybody: the structure
  is made once, when the message arrives.
* **Parameters of MIME fields** in pieces are put together (RFC 2231 §3); their charset and percent signs stay, under the name
  with the asterisk.
* **Names of mailboxes** have no control characters and are in normal form C (RFC 5198). Another form is refused, not
  changed, in either encoding, so there is no OLDNAME; `duckmail import` makes normal names of what it finds. Letters are
  as they are written, except for INBOX.

### IMAP4rev2 beside IMAP4rev1

ENABLE IMAP4rev2 switches this, and nothing else:

* names are in UTF-8 both ways, and so may quoted strings be; those that are not are refused (BAD);
* SEARCH and UID SEARCH are answered by ESEARCH, RETURN or not; a charset can still be named;
* SELECT and EXAMINE tell LIST of the mailbox, with all attributes but \\Subscribed, and neither RECENT nor UNSEEN;
* EXISTS comes without RECENT, no message is told to be \\Recent, and a FETCH that nobody asked for, or that answers STORE,
  has a UID.

The items that IMAP4rev2 has removed are answered to who asks for them: STATUS (RECENT), SEARCH NEW, OLD and RECENT, CHECK,
LSUB, the RFC822 items of FETCH. A session of IMAP4rev2 is the first to hear of a message like any other: the next one does
not see it as \\Recent. What is said to people stays ASCII.

CONDSTORE and QRESYNC are not part of it. UTF8=ACCEPT is not either: who enables that as well can name no charset in a search.
Where it is offered, headers with 8 bits may be appended by who has enabled one of the two.

## POP3

What is shown always can be used after login; "before login" means the AUTHORIZATION state.

{pop3}

* **UPDATE is one change**: all that was deleted goes, or nothing does, and QUIT says so. More than `limits.messages_per_change`
  are several changes: where one fails, QUIT says that not all was deleted (RFC 1939 §6).
* **The maildrop is what was there at login**, with numbers that stay; what arrives later is for the next session.

## LMTP

{lmtp}

* **A reply for each recipient** says what has been committed: a message that was taken can't be lost any more.
* **CR and LF come as CRLF or not at all**, and NUL never: what two programs could read differently is refused.
"""


def table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    lines = [head, tuple("---" for _ in head), *rows]
    return "\n".join(f"| {' | '.join(cell or ' ' for cell in line)} |" for line in lines)


def page() -> str:
    """All of docs/protocols.md."""
    return TEXT.format(
        imap=table(
            ("capability", "source", "shown", "account provides", "here"),
            (
                (
                    f"`{each.name}{'=...' if each.values else ''}`",
                    each.rfc,
                    each.when,
                    ", ".join(f"`{interface.getName()}`" for interface in each.needs),
                    each.about,
                )
                for each in imap.TABLE
            ),
        ),
        pop3=table(
            ("capability", "source", "shown", "here"),
            ((f"`{each.name}`", each.rfc, each.when, each.about) for each in pop3.TABLE),
        ),
        lmtp=table(
            ("keyword", "source", "here"),
            ((f"`{each.name}`", each.rfc, each.about) for each in lmtp.TABLE),
        ),
    )


if __name__ == "__main__":
    PAGE.write_text(page(), "utf-8")
