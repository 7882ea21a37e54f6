"""What somebody might hope is taken for something else than text."""

from __future__ import annotations

#: Each has `mark` in it, so that it is found again wherever it went.
MARK = "zzz"

TOKENS = tuple(
    text.replace("@", MARK)
    for text in (
        "@\r\n* BYE @injected",
        "@\r@injected",
        "@\n@injected",
        "@\n+OK @injected",
        "@\0@",
        "@{5}",
        "@{5+}",
        '@"@',
        "@\\",
        '@\\"',
        "@)",
        "(@",
        "@]",
        "$where@",
        "$gt.@",
        "@.dotted.@",
        "@.$.@",
        "$@",
        "%s%n@",
        "{session.limits}@{0.__class__}",
        "@\x1b[31m",
        "@\x7f\x85\u2028\u2029",
        "@ü\u202e",
        "../@",
        "<@>",
        "@,@",
        ";@=1",
    )
)
