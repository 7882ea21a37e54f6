"""Modified UTF-7 (RFC 3501 §5.1.3)."""

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from twisted_duck.errors import Cannot
from twisted_duck.imap import utf7

PAIRS = [
    ("", b""),
    ("INBOX", b"INBOX"),
    ("Entwürfe", b"Entw&APw-rfe"),
    ("R&D", b"R&-D"),
    ("&&", b"&-&-"),
    ("~peter/mail/台北/日本語", b"~peter/mail/&U,BTFw-/&ZeVnLIqe-"),
    ("台北日本語", b"&U,BTF2XlZyyKng-"),
    ("&ä&", b"&-&AOQ-&-"),
    ("🦆", b"&2D7dhg-"),
    ("tab\there", b"tab&AAk-here"),
    ("\x7f", b"&AH8-"),
    ("ÿÿÿ", b"&AP8A,wD,-"),
]

REFUSED = {
    "8 bit": "Entwürfe".encode(),
    "control character": b"a\tb",
    "NUL": b"a\0b",
    "shift without end": b"a&AOQ",
    "ampersand alone": b"R&D",
    "ampersand at the end": b"a&",
    "slash in base64": b"&AP8A/w-",
    "padding": b"&AOQ=-",
    "not base64": b"&A*Q-",
    "half a character": b"&AA-",
    "one digit of base64": b"&A-",
    "lone high surrogate": b"&2D4-",
    "lone low surrogate": b"&3YY-",
    "printable ASCII encoded": b"&AGE-",
    "ampersand encoded": b"&ACY-",
    "printable ASCII among other text": b"&AOQAYQ-",
    "two shifts side by side": b"&U,BTFw-&ZeVnLIqe-",
    "bits left over": b"&AOR-",
}


class UTF7(SynchronousTestCase):
    def test_both_ways(self) -> None:
        for name, encoded in PAIRS:
            with self.subTest(name=name):
                self.assertEqual(utf7.encode(name), encoded)
                self.assertEqual(utf7.decode(encoded), name)

    def test_refused(self) -> None:
        for why, encoded in REFUSED.items():
            with self.subTest(why=why):
                error = self.assertRaises(Cannot, utf7.decode, encoded)
                self.assertIn("mailbox name", error.message)

    @given(st.text())
    def test_every_name_comes_back(self, name: str) -> None:
        self.assertEqual(utf7.decode(utf7.encode(name)), name)

    @given(st.binary() | st.text("&-AOQa,").map(str.encode))
    def test_what_is_accepted_has_one_spelling(self, encoded: bytes) -> None:
        try:
            name = utf7.decode(encoded)
        except Cannot:
            return
        self.assertEqual(utf7.encode(name), encoded)
