"""Who speaks another protocol to us is told apart by the first octets, and nobody else is."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from twisted_duck.wire.strangers import stranger


class StrangerTests(SynchronousTestCase):
    def test_those_who_speak_something_else(self) -> None:
        for data, language in (
            (b"\x16", "TLS"),
            (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", "TLS"),
            (b"GET / HTTP/1.1\r\nHost: mail.example.org\r\n\r\n", "HTTP"),
            (b"POST /a?b=c HTTP/1.0\nX: y\n", "HTTP"),
            (b"CONNECT mail.example.org:143 HTTP/1.1\r\n", "HTTP"),
            (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "HTTP"),
        ):
            with self.subTest(data=data):
                self.assertEqual(stranger(data), language)

    def test_those_who_do_not(self) -> None:
        for data in (
            b"",
            b"GET NOOP\r\n",
            b"GET LOGIN alice wonderland\r\n",
            b"a1 LOGIN x {10+}\r\nGET / HTTP/1.1\r\n",
            b"MAIL FROM:<> HTTP/1.1 x\r\n",
            b"LHLO x\r\n",
            b"USER a\r\n",
            b"\r\nGET / HTTP/1.1\r\n",
        ):
            with self.subTest(data=data):
                self.assertIsNone(stranger(data))
