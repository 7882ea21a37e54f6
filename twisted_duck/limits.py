"""Every bound of the server: the number, its unit, and where it comes from.

A number that a stranger can make grow has its bound here and nowhere else.  One frozen instance is passed to whoever
needs it (`Limits(message=10 * MIB)`); an administrator changes single fields in the `[limits]` table of the configuration.
"""

from __future__ import annotations

import inspect
from typing import Final

import attrs

from twisted_duck.arguments import check_kind

KIB = 1024
MIB = 1024 * KIB

#: What a bound may be, by how its kind is written.
_KINDS = {"int": (int, "a whole number"), "float": (int | float, "a number")}


@attrs.frozen
class Limits:
    """Raises TypeError for what is no number, and ValueError for one below 0."""

    # --- wire ---------------------------------------------------------------------------------------------------------
    #: Bytes in one line before login: a LOGIN with long names fits, a flood does not.
    line_before_login: int = 8 * KIB
    #: Bytes in one line after login: RFC 7162 §4 asks for at least 8,192; large UID sets need more.
    line_after_login: int = 64 * KIB
    #: Bytes of one command before login, literals included (two literals of LOGIN).
    command_before_login: int = 8 * KIB
    #: Bytes of one command after login, literals that are held in memory included (SEARCH strings, mailbox names).
    command_after_login: int = 256 * KIB
    #: Literals in one command: SEARCH with many strings; a message given to APPEND is not counted.
    literals_per_command: int = 100
    #: Bytes of what a client sent ahead that wait while a command is worked on; then reading stops.  Before login, and in
    #: LMTP, which has none: `early`.
    pipeline: int = 256 * KIB
    #: Bytes that what arrives compressed becomes at a time (RFC 4978): a read of a socket; then others have their turn.
    inflation: int = 64 * KIB
    #: Levels of NOT, OR and parentheses in a SEARCH: `OR a OR b OR c d` has one a word; MongoDB takes 100 of its own.
    search_depth: int = 64
    #: Keys in one SEARCH: each may have to look at every message.
    search_keys: int = 1_000
    #: Criteria of one SORT: there are nine.
    sort_criteria: int = 20
    #: Bytes of what one SORT or THREAD compares, all of which is held until it is done: half a million messages, some
    #: 50,000 with the longest of subjects and names.
    sort_memory: int = 128 * MIB
    #: Messages that are not there, and that those of one THREAD refer to: 200 bytes each.
    thread_missing: int = 250_000
    #: Items in one FETCH: each may be a slice of the message, so that one line could ask for it thousands of times.
    fetch_items: int = 256
    #: Bytes of a non-synchronising literal that is not a message (LITERAL-, RFC 7888 §5).
    literal_minus: int = 4096

    # --- messages -----------------------------------------------------------------------------------------------------
    #: Bytes of one message: APPENDLIMIT (RFC 7889), SIZE (RFC 1870).
    message: int = 64 * MIB
    #: Messages of one APPEND (RFC 3502): each that is long has a temporary file of its own.
    append_messages: int = 64
    #: Bytes of an APPEND, of each of which so many nobody is asked whether there is a mailbox and room for them before they are
    #: sent: to ask takes longer than to receive them, and who stores them asks in any case.
    append_unasked: int = 64 * KIB
    #: Messages of APPENDs of one connection that are begun and not answered; their octets, and those of the commands around them,
    #: are bounded by `pipeline`.
    appends_ahead: int = 64
    #: Bytes of the messages of one APPEND together, where there are several: they become one transaction.
    append: int = 64 * MIB
    #: Bytes of an arriving message that are held in memory before it goes to a temporary file.
    spool_memory: int = 256 * KIB

    # --- MIME ---------------------------------------------------------------------------------------------------------
    #: Levels of nesting that are taken apart; a deeper part is kept as it is (real mail has fewer than ten).
    mime_depth: int = 100
    #: Parts of one message that are told apart; the last one keeps the rest.  Each has up to 90 bytes of BODYSTRUCTURE besides
    #: `mime_structure`, which stays below what clients read as one line.
    mime_parts: int = 5_000
    #: Fields of one header that are looked at for ENVELOPE and BODYSTRUCTURE.
    mime_fields: int = 10_000
    #: Bytes of one such field; real ones with thousands of recipients have less.
    mime_field: int = 256 * KIB
    #: Bytes of a boundary: RFC 2046 §5.1.1 allows 70, some writers use more.
    mime_boundary: int = 256
    #: Bytes of strings in ENVELOPE, BODYSTRUCTURE and BODY each; what does not fit becomes NIL or is left out.
    #: Each is sent in one line, with up to 90 bytes of parentheses and NILs for each part besides, and Python's imaplib
    #: breaks off at a line of 1,000,000 bytes; all three are stored in one 16 MiB document.
    mime_structure: int = 256 * KIB
    #: Bytes of address fields that are read for ENVELOPE, those of embedded messages included: some 5,000 recipients.
    #: To read a byte of them takes up to two microseconds.
    mime_addresses: int = 256 * KIB
    #: Characters of header and of text, each, that are kept ready for SEARCH; beyond, a message is read again.
    mime_search: int = 1 * MIB
    #: Message IDs by which a message is put into a thread when it arrives, its own and those of what it answers: each is asked
    #: for, and has an entry in an index.
    thread_keys: int = 20
    #: Characters of a preview (RFC 8970 §3.3: 200, and never more than 256).
    preview: int = 200
    #: Characters of a part that are read for a preview: style sheets of newsletters stand in front and have some 50 KiB.
    preview_text: int = 128 * KIB
    #: Parts that are looked at for a preview: plain text that says nothing, and HTML beside it.
    preview_parts: int = 4
    #: Characters of a subject or a name by which SORT and THREAD compare: lines have less, and all are held at once.
    mime_sort_key: int = 500
    #: Bytes of an address field in which its first address is looked for, to SORT by.
    mime_sort_address: int = 4 * KIB
    #: Messages that a message refers to by its References field, for THREAD; eight bytes each.  The longest discussions
    #: have some hundred levels.
    mime_references: int = 100

    # --- accounts -----------------------------------------------------------------------------------------------------
    #: Mailboxes of one user: LIST walks them all.
    mailboxes: int = 5_000
    #: Names a user may be subscribed to, whether or not they exist.
    subscriptions: int = 10_000
    #: Bytes of a mailbox name in UTF-8: it is part of an index key.
    mailbox_name: int = 1_000
    #: Mailbox patterns in one LIST (RFC 5258): all are compared to a name at once, at a cost that grows a little with each.
    list_patterns: int = 100
    #: Characters of all patterns of one LIST together, the reference counted with each: a hundred names of 40.  A name
    #: has a thousand at most; up to here a step of the comparison takes at most twice as long as with a single pattern.
    list_pattern: int = 4 * KIB
    #: Levels of a mailbox name.
    mailbox_depth: int = 32
    #: Flags and keywords of one message.
    flags_per_message: int = 64
    #: Bytes of one keyword.
    keyword: int = 128
    #: Different keywords in one mailbox: they are all listed in FLAGS.
    keywords_per_mailbox: int = 1_000

    # --- storage ------------------------------------------------------------------------------------------------------
    #: Days that expunges are remembered: a client that comes back later is told all that is not there (RFC 7162 §3.2).
    tombstone_days: int = 30
    #: Messages that one change of a STORE writes, or that one of a MOVE or an EXPUNGE takes out of a mailbox; with more, it is
    #: several, each whole in itself.
    #: MongoDB takes 250 microseconds a message that is moved, and a transaction is to be over in seconds: with 20,000 it had
    #: 5, and at 50,000 what had changed was more than the embedded one's cache holds.
    messages_per_change: int = 5_000
    #: Bytes of what is known of the messages that are appended for one user, in one process, and not stored yet: the others wait
    #: to be looked at.  It is what two transactions of usual messages have, and room for four of any size.
    appending: int = 16 * MIB
    #: Messages from which on a STORE is a sweep: one document is written before it is answered, and those of the messages
    #: later, at 60 to 90 microseconds each.  For fewer that is not worth a second transaction.
    sweep_from: int = 200
    #: Messages of one sweep: to find out what becomes of them, and to put that into an index, is a microsecond for each, in which nobody
    #: else is served.
    sweep_most: int = 50_000
    #: Ranges of UIDs of one sweep, and sweeps of one mailbox: everybody who reads its messages' flags looks at all of them.
    sweep_ranges: int = 16
    sweeps: int = 16
    #: Seconds from a sweep until it is folded into the messages, together with those that came meanwhile (sooner if there are half
    #: as many as a mailbox may have: behind those a STORE would write all its messages before it is answered); what is
    #: expunged by then need not be.
    sweep_rest: int = 10
    #: Bytes of the indexes of mailboxes that nobody has open: four million messages.
    index_cache: int = 64 * MIB
    #: Bytes of what is remembered of messages, in a process: what was told of some 25,000 of them by FETCH, and what searches have
    #: found.  With the index of a mailbox of a million messages it is less than 40 MiB.
    message_cache: int = 24 * MIB

    # --- connections --------------------------------------------------------------------------------------------------
    #: Seconds for a TLS handshake: a few round trips, on the worst of lines.
    tls_handshake: int = 30
    #: Seconds for a PROXY header: the proxy sends it with the connection.
    proxy_header: int = 5
    #: Bytes of a PROXY header, version 2: one with every extension HAProxy sends takes some hundred.
    proxy_header_size: int = 4 * KIB
    #: Seconds that `onConnect` may take; the client waits for its greeting.
    on_connect: int = 10
    #: Seconds that `onAuthenticated` may take; the client waits for the answer to its login.
    on_authenticated: int = 10
    #: Seconds that `onClose` may take: then nobody waits for it any more.
    on_close: int = 10
    #: Bytes that are read at a time of what a client sends before it may, or before it has logged in, and of commands in LMTP;
    #: where so many wait, reading stops: so it is less than twice that of each client, and two reads for the longest command.
    early: int = 4 * KIB
    #: Seconds that live connections have at shutdown to finish what they are at; then they are cut.
    shut_down: int = 10

    # --- policies -----------------------------------------------------------------------------------------------------
    #: Networks whose rate of connections is remembered, for each mask: 220 bytes each, 32 MiB for three masks.
    rate_entries: int = 50_000
    #: Networks from which wrong passwords came, and as many bans: 500 bytes each, 10 MiB together.
    ban_entries: int = 10_000
    #: Seconds that a policy waits for what processes share, while the client waits for its greeting.
    policy_answer: int = 2

    # --- sessions -----------------------------------------------------------------------------------------------------
    #: Seconds without a command after login (RFC 3501 §5.4: at least 30 minutes).
    idle_after_login: int = 30 * 60
    #: Seconds without a command in POP3, after login (RFC 1939 §3: at least 10 minutes).
    pop3_idle: int = 10 * 60
    #: Octets of a POP3 command with its line end (RFC 2449 §4); AUTH may have `line_before_login`.
    pop3_line: int = 255
    #: Bytes of a header that is held to be rewritten for a POP3 client without UTF8; of longer ones the eight-bit octets
    #: become question marks.  To rewrite addresses takes up to two microseconds a byte, and nobody else is served meanwhile.
    pop3_header: int = 16 * KIB
    #: Messages of INBOX that a POP3 client is shown, the newest ones: their sizes are read at every login.
    pop3_messages: int = 100_000
    #: Bytes of messages that are read ahead for a POP3 client that takes one after the other, and held until it has them.
    pop3_ahead: int = 256 * KIB
    #: The same of all POP3 connections of a process: a hundred that are busy.  Those that come later have theirs read one by one.
    pop3_ahead_of_all: int = 25 * MIB
    #: Seconds for which a POP3 client that has stopped in the middle has read ahead what comes next, twice that at the most.
    pop3_held: float = 15
    #: Seconds without a command or mail data in LMTP (RFC 5321 §4.5.3.2.7: at least 5 minutes).
    lmtp_idle: int = 5 * 60
    #: Octets of an LMTP command without its line end: 512 (RFC 5321 §4.5.3.1.4), and long paths in UTF-8.
    lmtp_line: int = 2 * KIB
    #: Recipients of one message (RFC 5321 §4.5.3.1.8: at least 100); with more, a client sends the message again.
    lmtp_recipients: int = 100
    #: Recipients that are looked for before it is their turn, as they were sent in one piece, of all LMTP connections of a process: 3 KiB
    #: each, while they are looked for.  Where there are so many, the others are looked for one by one.
    lmtp_ahead_of_all: int = 1_000
    #: Recipients whose users are asked for in one question to the database: 250 KiB of addresses at the most.
    resolved_at_once: int = 100
    #: Addresses that mail was taken for within the last second, whose users are known: 10 KiB each at the most, 1 KiB as a rule.
    owners_remembered: int = 1_000
    #: Recipients that one connection delivers a message to at a time: each is a transaction.
    lmtp_deliveries: int = 10
    #: Bytes of a message's header in which the mark of spam is looked for; real ones have less.
    lmtp_header: int = 256 * KIB
    #: Seconds in which a client must take something of an answer that waits for it.
    reading: int = 5 * 60
    #: Seconds for the last words to reach a client; then the connection is cut.
    farewell: int = 10
    #: Seconds from connection to login, counted absolutely.
    login: int = 60
    #: Bad commands in a row before the connection is ended.
    bad_commands: int = 50
    #: Wrong passwords on one connection before it is ended.
    failed_logins: int = 3
    #: Seconds between keep-alives during IDLE, so that NAT boxes keep the connection.
    idle_keepalive: int = 120
    #: Passwords that are checked at once: each takes a core for 50 ms and 19 MiB.
    hashing_threads: int = 2
    #: Logins that may wait for their turn to be checked: two hundred clients come back at once where a server was started
    #: again, and the last one waits about six seconds.
    hashing_queue: int = 250
    #: Users whose passwords were good within the last minute, and are not hashed again for it: 400 bytes each.
    verified_passwords: int = 20_000
    #: Wrong passwords for one user from one address, within `throttle_window`, before no more are looked at.
    throttle_failures: int = 10
    #: Seconds from the first wrong password until they are all forgotten.
    throttle_window: int = 5 * 60
    #: Pairs of user and address whose wrong passwords are counted (about 300 bytes each).
    throttle_entries: int = 20_000

    def __attrs_post_init__(self) -> None:
        for field in attrs.fields(Limits):
            given = getattr(self, field.name)
            kind, wanted = _KINDS[str(field.type)]
            good = isinstance(given, kind) and not isinstance(given, bool)
            check_kind(field.name, given, good, wanted)
            if not given >= 0:
                raise ValueError(f"{field.name} must be 0 or more, not {given!r}")


class _Source:
    """Has `help(Limits)` show what stands above: each field's unit and reason is the comment in front of it."""

    def __get__(self, instance: object, owner: type) -> str:
        try:
            return inspect.getsource(owner)
        except OSError:
            return "The comments in the source of this module have the units."


Limits.__doc__ = _Source()  # type: ignore[assignment]

#: What holds where nobody has said anything else.
DEFAULTS: Final = Limits()
