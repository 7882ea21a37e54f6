"""Where our answers are not Dovecot's, and why (`tests.mime.test_corpus`).

Each entry is a reason, then what differs for it: the name of a message and the answers, or a search and the messages
that only one of the two finds. An entry that no longer differs fails the test, as does a difference not listed.
"""

from __future__ import annotations

from typing import Final

REASONS: Final[list[tuple[str, dict[str, str]]]] = [
    (
        "The message ends in a lone CR, which Dovecot drops when the message arrives. RFC "
        "3501 §6.4.5 and RFC 5322 give no leave to alter it: every byte counts and comes "
        "back. (One of them has lone CRs as its line ends, which are part of a line.)",
        {
            "0720cbc1989d": "BODY[1] BODY[TEXT] BODY[] body bodystructure rfc822_size",
            "11bc032d58dd": "BODY[1.MIME] FIELDS BODY[HEADER] BODY[] rfc822_size",
            "7dbb4292c141": "BODY[1.MIME] FIELDS BODY[HEADER] BODY[] envelope rfc822_size",
        },
    ),
    (
        "RFC 3501 §6.4.5: the blank line belongs to every header that is fetched, except "
        "where the message has no body and no blank line. These have none; Dovecot makes one "
        "up.",
        {
            "058339c32a5c": "FIELDS",
            "0a277ecc6912": "FIELDS",
            "1d618176eb6b": "FIELDS",
            "3c3ad4f1f378": "FIELDS",
            "490112c87f10": "FIELDS",
            "519a40a4032e": "FIELDS",
            "52a342bdb2ef": "FIELDS",
            "551ce8baf358": "FIELDS",
            "780b590e8233": "FIELDS",
            "7bc8fa511efd": "FIELDS",
            "8e4621379786": "FIELDS",
            "9337e82d54e6": "FIELDS",
            "954c91a905f9": "FIELDS",
            "971fe171c21b": "FIELDS",
            "9850a2c25fed": "FIELDS",
            "a5fd19d091fa": "FIELDS",
            "b4fa9f0ccb26": "FIELDS",
            "c38c20734a0d": "FIELDS",
            "dedb48a09003": "FIELDS",
            "e6ccf1bc4a94": "FIELDS",
            "e78f29e86f8f": "FIELDS",
        },
    ),
    (
        "Content-Type has no readable type, or is a multipart type with text after it that is "
        "no parameter. RFC 2045 §5.2: such a part is text/plain in US-ASCII.",
        {
            "2427434c071c": "body bodystructure",
            "4c4f4fbb817a": "body bodystructure",
            "6084fbd60fde": "body bodystructure",
            "7bc8fa511efd": "body bodystructure",
            "ac867f0ee5c5": "body bodystructure",
            "b469939ff26e": "body bodystructure",
            "ba8d77d6c9c6": "body bodystructure",
            "e6ccf1bc4a94": "body bodystructure",
        },
    ),
    (
        "A multipart type without its boundary, which RFC 2046 §5.1.1 requires, breaks the "
        "syntax; by RFC 2045 §5.2 it is text/plain, and then its text can be read and found. "
        "Dovecot shows an empty part instead. The empty boundary counts as none (RFC 2046 "
        "§5.1.1: 1 to 70 characters).",
        {
            "475f64e3c927": "BODY[1.MIME] BODY[1] body bodystructure",
            "5c5f8a0e1118": "BODY[1.MIME] BODY[1] body bodystructure",
            'BODY "http"': "475f64e3c927",
            'BODY "unsubscribe"': "475f64e3c927",
            'TEXT "the"': "475f64e3c927",
            "b61b91d224fd": "BODY[1.1] BODY[1.MIME] BODY[1] body bodystructure",
        },
    ),
    (
        "An unquoted parameter value with characters that need quotes (RFC 2045 §5.1: = / "
        "spaces). The grammar gives it no meaning; Dovecot stops there, we take what was "
        "plainly meant: up to the semicolon. For a boundary that decides whether the parts "
        "are found.",
        {
            "4456f52f754d": "body bodystructure",
            "899c3c8c9464": "bodystructure",
            "8bd22e5290dd": "body bodystructure",
            "a59bf59bbc14": "body bodystructure",
        },
    ),
    (
        "The same for names of files, where in an unquoted value parentheses are a comment "
        "(RFC 2045 §5.1, RFC 5322 §3.2.2).",
        {
            "579d971aef01": "body bodystructure",
            "c755f93b34f5": "bodystructure",
        },
    ),
    (
        "A charset of quotes and backslashes, unquoted (RFC 2045 §5.1): kept as written "
        "rather than shown as empty.",
        {
            "d27c4d5980d4": "body bodystructure",
        },
    ),
    (
        "A parameter list with an empty parameter or one without value: the ones after it are "
        "still readable, as RFC 2045 §5.1 has each parameter stand by itself. So the boundary "
        "is found, and the parts.",
        {
            "6b418c28661e": (
                "BODY[1.1] BODY[1.MIME] BODY[1] BODY[2.MIME] BODY[2] body bodystructure"
            ),
            'TEXT "the"': "fc4b89627aaf",
            "fc4b89627aaf": "BODY[1.MIME] BODY[1] BODY[2.MIME] BODY[2] body bodystructure",
        },
    ),
    (
        "RFC 2231 §4.1: in a parameter of several pieces, those without an asterisk are not "
        "percent-encoded. Put together under a name with an asterisk they have to be. (In one "
        "of them also: a line end before a delimiter, see below.)",
        {
            "a792f6cd2b49": "body bodystructure",
            "dab3b2b706b1": "body bodystructure",
        },
    ),
    (
        "RFC 3501 §7.4.2: body language is what Content-Language says (RFC 3282). Dovecot "
        "leaves it out here.",
        {
            "165ec1659678": "bodystructure",
            "4ed6c9aa9ee0": "bodystructure",
            "7247595d308d": "bodystructure",
            "99798841db2f": "bodystructure",
        },
    ),
    (
        "Boundaries that differ after their first 80 bytes only. RFC 2046 §5.1.1 has the "
        "whole boundary compared.",
        {
            "6c5eed53a632": "BODY[1.1] BODY[1] BODY[2.MIME] BODY[2] body bodystructure",
        },
    ),
    (
        "The message ends in a delimiter line, cut off there. A body part is what follows a "
        "delimiter line (RFC 2046 §5.1.1); nothing follows.",
        {
            "08a9042dd3a5": "body bodystructure",
            "58692166f1ea": "body bodystructure",
        },
    ),
    (
        "A display name that looks like an address, before the address in angle brackets: it "
        "is the name (RFC 5322 §3.4, name-addr). Dovecot takes it for the address.",
        {
            "e163ccbde079": "body bodystructure",
        },
    ),
    (
        "RFC 2046 §5.1.1: the line end before a delimiter line belongs to the delimiter, also "
        "where the part that ends there is itself a multipart or a message. Dovecot counts it "
        "as part of the body (2 bytes, in BODYSTRUCTURE also 1 line).",
        {
            "06a2a39b6c32": "body bodystructure",
            "167e514682b9": "BODY[2] body bodystructure",
            "1a8432074d6e": "body bodystructure",
            "1ba0e4b3f722": "BODY[1.1] BODY[1]",
            "35f3cc5fe191": "BODY[1.1] BODY[1]",
            "3ea4d4154d72": "BODY[1]",
            "478e9c9630eb": "BODY[1]",
            "557689cf13e7": "BODY[1]",
            "57523c492928": "body bodystructure",
            "5e6bd879b286": "BODY[2] body bodystructure",
            "67258c8ab3ce": "body bodystructure",
            "6771037a66e0": "BODY[2] body bodystructure",
            "67d6de1c1b46": "BODY[1]",
            "7097e0e6cd8d": "BODY[2] body bodystructure",
            "764d22152e42": "BODY[2] body bodystructure",
            "76aa8682f5ab": "BODY[1]",
            "77ff40c54242": "BODY[1.1] BODY[1]",
            "89b09366c2ef": "BODY[1]",
            "9e843593ce6e": "BODY[2] body bodystructure",
            "a36c7596e09e": "BODY[1]",
            "a3a68b6cc11c": "BODY[1]",
            "ac1be7b70bdf": "BODY[2] body bodystructure",
            "ad34a0c93af7": "BODY[1.1] BODY[1]",
            "ae87bca0cd3d": "BODY[1]",
            "bb4d24015520": "body bodystructure",
            "c3c510a538a5": "BODY[2]",
            "c69132d28593": "BODY[1]",
            "c755f93b34f5": "BODY[1]",
            "ca89ac36eab8": "BODY[2]",
            "d7402f2205f6": "BODY[1.1] BODY[1]",
            "d7b427ac5297": "BODY[1]",
            "dab3b2b706b1": "BODY[2]",
            "db71aa5b55b3": "BODY[1]",
            "e3e9c5fd835c": "BODY[1]",
            "ee1fe963c1a3": "BODY[2]",
            "ee20a84bd8ad": "BODY[1]",
            "f672cc0a4628": "BODY[1]",
            "f7d73fab2439": "BODY[2]",
        },
    ),
    (
        "White space between words in a display name was not there, so none is shown (RFC "
        "5322 §3.2.5: a phrase is words; only folding white space is space). Dovecot inserts "
        "it, and so breaks encoded words.",
        {
            "16d91b48dbbe": "envelope",
            "d9b3693df76b": "envelope",
            "f7c1a1f65d74": "envelope",
        },
    ),
    (
        "A group need not be last: addresses and groups follow it (RFC 5322 §3.4, address- "
        "list). Dovecot stops after the first.",
        {
            "dab3b2b706b1": "envelope",
            "f9c507231688": "envelope",
        },
    ),
    (
        "Not an address of RFC 5322 §3.4. RFC 3501 §7.4.2 wants the parts of an address all "
        "the same: what is shown keeps every mailbox and host that can be read, where Dovecot "
        "shows placeholders.",
        {
            "09d4a534de26": "envelope",
            "6320050c58a7": "envelope",
            "6f8fc719de02": "envelope",
            "a51596bc0d45": "envelope",
            "fe48b94372d7": "envelope",
            "ffafe3366868": "envelope",
        },
    ),
    (
        "The Subject field stands there twice, which RFC 5322 §3.6 forbids. We show the "
        "first, as readers of mail do; Dovecot the last.",
        {
            "5ddde93c5d54": "envelope",
            "a6d35436dcb7": "envelope",
        },
    ),
    (
        "RFC 3501 §6.4.4: BODY is a string in the body of the message, and all after the "
        "header is its body (RFC 5322 §2.1): headers of parts, headers of embedded messages, "
        "and an embedded message in base64. Dovecot leaves them out of this search.",
        {
            'BODY "http"': (
                "6771037a66e0 9e843593ce6e"
            ),
        },
    ),
    (
        "Found in a message whose From is no address, see above: the search is of the text of "
        "the field (RFC 3501 §6.4.4).",
        {
            'FROM "com"': "09d4a534de26",
        },
    ),
    (
        "RFC 3501 §6.4.4: SENTSINCE compares the day of the Date field and disregards time "
        "and zone, so it is of no matter that one time cannot be read. Dovecot gives that "
        "message no date, nor one of the year 3609, and takes days before 1970 for far in the "
        "future.",
        {
            "SENTSINCE 1-Jan-2010": (
                "0eeb5947b59c 1262ecaa442d 44bfa26b6611 7a03d558ab37 8bd22e5290dd"
            ),
        },
    ),
    (
        "Raw Latin-1 in a header field (against RFC 5322 §2.2). RFC 3501 §6.4.4 says nothing "
        "of it; it is more useful to find what a reader would see.",
        {
            'CHARSET UTF-8 SUBJECT "Frösche"': (
                "309e59a8ff65 5567362ea46b 7a1cf190d3e2 b67df94699e2 e2a4a0077821"
            ),
        },
    ),
    (
        "The Content-Transfer-Encoding is not known. RFC 2045 §6.4 lets such a part not be "
        "decoded; the text as it stands is in the body (RFC 3501 §6.4.4), and is found.",
        {
            'TEXT "the"': "28ea7766ed7d",
        },
    ),
]
