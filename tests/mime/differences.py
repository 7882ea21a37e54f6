"""Where our answers are not Dovecot's, and why (`tests.mime.test_corpus`).

Each entry is a reason, then what differs for it: the name of a message and the answers, or a search and the messages
that only one of the two finds. An entry that no longer differs fails the test, as does a difference not listed.
"""

from __future__ import annotations

from typing import Final

Reasons = list[tuple[str, dict[str, str]]]

#: On the large corpus.
REASONS: Final[Reasons] = [
    (
        "The message ends in a lone CR, which Dovecot drops when the message arrives. RFC 3501 "
        "§6.3.11 has the literal appended as it is and gives no leave to alter it: every byte "
        "counts and comes back.",
        {
            "0720cbc1989d": "BODY[1] BODY[TEXT] BODY[] body bodystructure rfc822_size",
            "11bc032d58dd": "BODY[1.MIME] BODY[HEADER] BODY[] rfc822_size",
        },
    ),
    (
        "The same, and all its line ends are lone CRs, so that it is one Date field from "
        "beginning to end. RFC 5322 §2.2 has no CR in a field; ENVELOPE shows each as one "
        "space, Dovecot several as one.",
        {
            "7dbb4292c141": "BODY[1.MIME] BODY[HEADER] BODY[] FIELDS envelope rfc822_size",
        },
    ),
    (
        'RFC 3501 §6.4.5: "the blank line is included in all header fetches, except in the case '
        'of a message which has no body and no blank line". These have none; Dovecot makes one '
        "up.",
        {
            "058339c32a5c": "FIELDS",
            "0a277ecc6912": "FIELDS",
            "11bc032d58dd": "FIELDS",
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
        "Content-Type without a type, a subtype or the slash between them. RFC 2045 §5.2 "
        "recommends text/plain in US-ASCII; Dovecot has an empty type, and no lines.",
        {
            "4c4f4fbb817a": "body bodystructure",
            "6084fbd60fde": "body bodystructure",
            "ba8d77d6c9c6": "body bodystructure",
        },
    ),
    (
        "A multipart type and then continuation lines that are no parameters (meant as fields). "
        "So there is no boundary, which RFC 2046 §5.1.1 requires, and by RFC 2045 §5.2 the "
        "message is text/plain, which can be read; Dovecot has an empty type.",
        {
            "2427434c071c": "body bodystructure",
            "7bc8fa511efd": "body bodystructure",
            "ac867f0ee5c5": "body bodystructure",
            "b469939ff26e": "body bodystructure",
            "e6ccf1bc4a94": "body bodystructure",
        },
    ),
    (
        "A multipart type without a boundary, which RFC 2046 §5.1.1 requires: the field is "
        "invalid, and by RFC 2045 §5.2 the message is text/plain. So its text can be read and "
        "found, where Dovecot shows an empty part (of a delivery report of 4 KB).",
        {
            "475f64e3c927": "BODY[1.MIME] BODY[1] body bodystructure",
            "5c5f8a0e1118": "BODY[1.MIME] BODY[1] body bodystructure",
            'BODY "http"': "475f64e3c927",
            'BODY "unsubscribe"': "475f64e3c927",
            'TEXT "the"': "475f64e3c927",
        },
    ),
    (
        "An empty boundary is none: RFC 2046 §5.1.1 has 1 to 70 characters. For Dovecot each "
        "line that begins with two hyphens is a delimiter.",
        {
            "b61b91d224fd": "BODY[1.1] BODY[1.MIME] BODY[1] body bodystructure",
        },
    ),
    (
        "A boundary with = or ? in it that is not in quotes (RFC 2045 §5.1 wants them). Dovecot "
        "takes what is before that character; it finds the parts since that is the beginning of "
        "each delimiter, and an empty one after the last. We take what was meant, up to the "
        "semicolon.",
        {
            "4456f52f754d": "body bodystructure",
            "8bd22e5290dd": "body bodystructure",
            "a59bf59bbc14": "body bodystructure",
        },
    ),
    (
        "The same between apostrophes, which are part of the value (RFC 2045 §5.1): neither of "
        "us finds a delimiter.",
        {
            "899c3c8c9464": "bodystructure",
        },
    ),
    (
        "The same for the name of a file: with / and with parentheses, which in the middle of a "
        "word are no comment anyone meant (RFC 2045 §5.1, RFC 5322 §3.2.2).",
        {
            "579d971aef01": "body bodystructure",
            "c755f93b34f5": "bodystructure",
        },
    ),
    (
        "The same for a charset in quotes that have backslashes before them: neither answer is "
        "a charset (RFC 2045 §5.1), ours is what stands there.",
        {
            "d27c4d5980d4": "body bodystructure",
        },
    ),
    (
        "A parameter list with an empty parameter, or with one that has no value (against RFC "
        "2045 §5.1). Those after it can be read all the same: the boundary, and so the parts. "
        "Dovecot shows an empty part.",
        {
            "6b418c28661e": "BODY[1.1] BODY[1.MIME] BODY[1] BODY[2.MIME] BODY[2] body bodystructure",
            'TEXT "the"': "fc4b89627aaf",
            "fc4b89627aaf": "BODY[1.MIME] BODY[1] BODY[2.MIME] BODY[2] body bodystructure",
        },
    ),
    (
        "RFC 2231 §4.1: in a parameter of several pieces, those without an asterisk are not "
        "percent-encoded. Put together under a name with an asterisk they have to be; Dovecot "
        "leaves a space and quotes in it.",
        {
            "a792f6cd2b49": "body bodystructure",
        },
    ),
    (
        "The same; also an unquoted value with a space, of which Dovecot drops the rest (RFC "
        "2045 §5.1), and the line end after an embedded message (RFC 2046 §5.1.1, see below).",
        {
            "dab3b2b706b1": "body bodystructure",
        },
    ),
    (
        'RFC 3501 §7.4.2: body language is "a string or parenthesized list giving the body '
        'language value as defined in [LANGUAGE-TAGS]", which is Content-Language. Dovecot '
        "leaves it out where there is no Content-Type field.",
        {
            "165ec1659678": "bodystructure",
            "4ed6c9aa9ee0": "bodystructure",
            "7247595d308d": "bodystructure",
            "99798841db2f": "bodystructure",
        },
    ),
    (
        "Boundaries that differ after their first 80 bytes only. RFC 2046 §5.1.1 has the whole "
        "boundary compared, and the longest that fits is meant.",
        {
            "6c5eed53a632": "BODY[1.1] BODY[1] BODY[2.MIME] BODY[2] body bodystructure",
        },
    ),
    (
        "The message ends in a delimiter line, cut off there. A body part is what follows a "
        "delimiter line (RFC 2046 §5.1.1); nothing follows, and an empty part at the end would "
        "be of no use.",
        {
            "08a9042dd3a5": "body bodystructure",
            "58692166f1ea": "body bodystructure",
        },
    ),
    (
        'RFC 2046 §5.1.1: "The CRLF preceding the boundary delimiter line is conceptually '
        'attached to the boundary". For the end of an embedded message Dovecot counts it as '
        "part of the body: 2 bytes and 1 line.",
        {
            "06a2a39b6c32": "body bodystructure",
            "167e514682b9": "BODY[2] body bodystructure",
            "1a8432074d6e": "body bodystructure",
            "57523c492928": "body bodystructure",
            "5e6bd879b286": "BODY[2] body bodystructure",
            "67258c8ab3ce": "body bodystructure",
            "6771037a66e0": "BODY[2] body bodystructure",
            "7097e0e6cd8d": "BODY[2] body bodystructure",
            "764d22152e42": "BODY[2] body bodystructure",
            "9e843593ce6e": "BODY[2] body bodystructure",
            "ac1be7b70bdf": "BODY[2] body bodystructure",
            "dab3b2b706b1": "BODY[2]",
        },
    ),
    (
        "The same in three places, and a part of the type BINARY, which has no subtype: "
        "text/plain (RFC 2045 §5.2).",
        {
            "bb4d24015520": "body bodystructure",
        },
    ),
    (
        "The same for the end of a multipart inside a multipart: Dovecot has the line end, 2 "
        "bytes, in BODY[...] of the inner one.",
        {
            "1ba0e4b3f722": "BODY[1.1] BODY[1]",
            "35f3cc5fe191": "BODY[1.1] BODY[1]",
            "3ea4d4154d72": "BODY[1]",
            "478e9c9630eb": "BODY[1]",
            "557689cf13e7": "BODY[1]",
            "67d6de1c1b46": "BODY[1]",
            "76aa8682f5ab": "BODY[1]",
            "77ff40c54242": "BODY[1.1] BODY[1]",
            "89b09366c2ef": "BODY[1]",
            "a36c7596e09e": "BODY[1]",
            "a3a68b6cc11c": "BODY[1]",
            "ad34a0c93af7": "BODY[1.1] BODY[1]",
            "ae87bca0cd3d": "BODY[1]",
            "c3c510a538a5": "BODY[2]",
            "c69132d28593": "BODY[1]",
            "c755f93b34f5": "BODY[1]",
            "ca89ac36eab8": "BODY[2]",
            "d7402f2205f6": "BODY[1.1] BODY[1]",
            "d7b427ac5297": "BODY[1]",
            "db71aa5b55b3": "BODY[1]",
            "e3e9c5fd835c": "BODY[1]",
            "ee1fe963c1a3": "BODY[2]",
            "ee20a84bd8ad": "BODY[1]",
            "f672cc0a4628": "BODY[1]",
            "f7d73fab2439": "BODY[2]",
        },
    ),
    (
        "A display name with @ in it, before the address in angle brackets. The brackets make "
        "the address (RFC 5322 §3.4, name-addr) and what is before them is the name; Dovecot "
        "takes the name for the address.",
        {
            "6f8fc719de02": "envelope",
            "e163ccbde079": "body bodystructure",
        },
    ),
    (
        "No white space between words and quoted strings in a display name: none is shown (RFC "
        "5322 §3.2.2, only white space is that). Dovecot adds some, also within an encoded "
        "word.",
        {
            "16d91b48dbbe": "envelope",
            "d9b3693df76b": "envelope",
            "f7c1a1f65d74": "envelope",
        },
    ),
    (
        "Addresses and groups after a group, with no comma between. RFC 5322 §3.4 "
        "(address-list) lets a group stand anywhere, and none of the recipients should be lost; "
        "Dovecot stops after the first group.",
        {
            "dab3b2b706b1": "envelope",
            "f9c507231688": "envelope",
        },
    ),
    (
        "An address after a word, without angle brackets (against RFC 5322 §3.4). It can be "
        "read, and so RFC 3501 §7.4.2 has a mailbox and host to show; Dovecot takes all of it "
        "for a name.",
        {
            "09d4a534de26": "envelope",
            'FROM "com"': "09d4a534de26",
        },
    ),
    (
        "Square brackets around name and address (against RFC 5322 §3.4). The address in it is "
        "shown, as RFC 3501 §7.4.2 asks; Dovecot shows none.",
        {
            "a51596bc0d45": "envelope",
            "ffafe3366868": "envelope",
        },
    ),
    (
        "A mailbox with brackets or a colon in it (against RFC 5322 §3.4.1). RFC 3501 §7.4.2 "
        "wants mailbox and host, and these are what is before and after the @; Dovecot writes "
        "an error into the answer.",
        {
            "6320050c58a7": "envelope",
            "fe48b94372d7": "envelope",
        },
    ),
    (
        "The Subject field stands there twice, which RFC 5322 §3.6 forbids. We show the first, "
        "which is what programs find when they look for a field; Dovecot the last.",
        {
            "5ddde93c5d54": "envelope",
            "a6d35436dcb7": "envelope",
        },
    ),
    (
        "An embedded message in base64, which RFC 2046 §5.2.1 forbids. RFC 3501 §6.4.4: the "
        "word is in the body of the message, and a reader who opens that part sees it.",
        {
            'BODY "http"': "6771037a66e0 9e843593ce6e",
        },
    ),
    (
        'RFC 3501 §6.4.4: SENTSINCE asks if the Date is "within or later than the specified '
        'date". These are of 1967 to 1969, which Dovecot takes for the far future.',
        {
            "SENTSINCE 1-Jan-2010": "0eeb5947b59c 44bfa26b6611 7a03d558ab37",
        },
    ),
    (
        'RFC 3501 §6.4.4: "disregarding time and timezone". The time of one can not be read, '
        "and the year of the other is 3609; the days can be compared, Dovecot does not.",
        {
            "SENTSINCE 1-Jan-2010": "1262ecaa442d 8bd22e5290dd",
        },
    ),
    (
        "Raw Latin-1 in the Subject (against RFC 5322 §2.2). RFC 3501 §6.4.4 wants what is in "
        "the field found; read as Latin-1 it is what the writer meant, and Dovecot finds "
        "nothing.",
        {
            'CHARSET UTF-8 SUBJECT "Frösche"': "309e59a8ff65 5567362ea46b 7a1cf190d3e2 b67df94699e2 e2a4a0077821",
        },
    ),
    (
        'The Content-Transfer-Encoding is "plain". RFC 2045 §6.4 calls such a part '
        "application/octet-stream, since nobody can decode it. It need not be: the word stands "
        "in the body as it is (RFC 3501 §6.4.4).",
        {
            'TEXT "the"': "28ea7766ed7d",
        },
    ),
]

#: On `tests/messages`.
OWN_REASONS: Final[Reasons] = [
    (
        "Bare LF, which Dovecot sends as CRLF. RFC 3501 §6.3.11 has the literal appended as it "
        "is: what was put in comes out, byte for byte.",
        {
            "bare-lf": "BODY[1.MIME] BODY[2.MIME] BODY[HEADER] BODY[TEXT] BODY[] FIELDS rfc822_size",
            "mixed-line-ends": "BODY[HEADER] BODY[TEXT] BODY[] FIELDS rfc822_size",
        },
    ),
    (
        "The message ends in a lone CR, which Dovecot drops; RFC 3501 §6.3.11, as above.",
        {
            "ends-in-bare-cr": "BODY[1] BODY[TEXT] BODY[] body bodystructure rfc822_size",
        },
    ),
    (
        'RFC 3501 §6.4.5: no blank line is included "in the case of a message which has no body '
        'and no blank line". Dovecot makes one up, and where the last line is cut off its end.',
        {
            "header-cut-in-line": "FIELDS",
            "header-without-blank-line": "FIELDS",
        },
    ),
    (
        "Content-Type without a subtype: text/plain (RFC 2045 §5.2), and so its text is found. "
        "Dovecot has an empty subtype and does not search it.",
        {
            'TEXT "the"': "bad-content-type",
            "bad-content-type": "body bodystructure",
        },
    ),
    (
        "A multipart without a boundary (RFC 2046 §5.1.1) is text/plain (RFC 2045 §5.2), and "
        "can be read.",
        {
            "no-boundary": "BODY[1.MIME] BODY[1] body bodystructure",
        },
    ),
    (
        "RFC 2046 §5.1.1: the line end before the delimiter belongs to it, also at the end of "
        "an embedded message. Being encoded, against RFC 2046 §5.2.1, it is not taken apart: "
        "there is no header in it to fetch (RFC 3501 §6.4.5), and Dovecot sends the base64 as "
        "one.",
        {
            "encoded-message": "BODY[1.HEADER] BODY[1] body bodystructure",
        },
    ),
    (
        "RFC 2231 §4.1: put together under a name with an asterisk, all pieces have to be "
        "percent-encoded; Dovecot leaves a space in it.",
        {
            "parameters": "bodystructure",
        },
    ),
    (
        "An angle bracket or a quotation mark that is never closed (against RFC 5322 §3.4). RFC "
        "3501 §7.4.2 has mailbox and host to show; Dovecot writes an error into the answer, or "
        "nothing.",
        {
            "broken-addresses": "envelope",
        },
    ),
    (
        "Obsolete syntax: white space around the dots of an address (RFC 5322 §4.4, obs-domain) "
        "and empty places in a list of them (obs-addr-list), which are no addresses.",
        {
            "obsolete-addresses": "envelope",
        },
    ),
    (
        "RFC 2045 §6.8: other characters among base64 are ignored, and so the word is found.",
        {
            'BODY "http"': "broken-base64",
        },
    ),
    (
        "Raw Latin-1 in the Subject (against RFC 5322 §2.2). RFC 3501 §6.4.4 wants what is in "
        "the field found; Dovecot finds nothing.",
        {
            'CHARSET UTF-8 SUBJECT "Frösche"': "raw-latin1-header",
        },
    ),
]
