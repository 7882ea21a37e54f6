"""UTF8=ACCEPT: names in UTF-8, 8 bits in quoted strings, and messages with UTF-8 headers (RFC 6855)."""

from __future__ import annotations

from typing import Any, ClassVar

from tests.imap.transcript import IMAPCase
from tests.transcript import Client
from twisted_duck.imap.commands import append


class OfferedCase(IMAPCase):
    options: ClassVar[dict[str, Any]] = {**IMAPCase.options, "utf8": True}


class EnabledCase(OfferedCase):
    def enter(self, client: Client) -> None:
        super().enter(client)
        client.say("x3 ENABLE UTF8=ACCEPT")


class EnableTests(OfferedCase):
    def test_is_advertised_after_login_and_enabled(self) -> None:
        self.assertIn(" UTF8=ACCEPT ", self.client().say("a0 CAPABILITY")[0])
        self.transcript("""
            C: a1 ENABLE utf8=accept
            S: * ENABLED UTF8=ACCEPT
            S: a1 OK ENABLE completed
            C: a2 ENABLE UTF8=ONLY
            S: * ENABLED
            S: a2 OK ENABLE completed
        """)

    def test_has_nothing_to_do_with_modseqs(self) -> None:
        self.deliver("INBOX", b"x")
        self.transcript(r"""
            C: a1 SELECT INBOX
            S: ...
            S: a1 OK ...
            C: a2 ENABLE UTF8=ACCEPT
            S: * ENABLED UTF8=ACCEPT
            S: a2 OK ENABLE completed
            C: a3 FETCH 1 FLAGS
            S: * 1 FETCH (FLAGS (\Recent))
            S: a3 OK FETCH completed
            C: a4 ENABLE CONDSTORE UTF8=ACCEPT
            S: * ENABLED CONDSTORE UTF8=ACCEPT
            S: * OK [HIGHESTMODSEQ 2] highest modseq
            S: a4 OK ENABLE completed
            C: a5 FETCH 1 FLAGS
            S: * 1 FETCH (UID 1 FLAGS (\Recent) MODSEQ (2))
            S: a5 OK FETCH completed
        """)

    def test_is_for_one_connection(self) -> None:
        self.do("create", "Entwürfe")
        self.transcript("""
            C: a1 ENABLE UTF8=ACCEPT
            S: ...
            S: a1 OK ...
            C: a2 LIST "" Ent*
            S: * LIST (\\HasNoChildren) "/" "Entwürfe"
            S: a2 OK ...
            C2: b1 LIST "" Ent*
            S2: * LIST (\\HasNoChildren) "/" Entw&APw-rfe
            S2: b1 OK ...
        """)


class NameTests(EnabledCase):
    def test_every_answer_and_every_command(self) -> None:
        self.transcript(r"""
            C: a1 CREATE "Büro/R&D"
            S: a1 OK ...
            C: a2 SUBSCRIBE "Büro/R&D"
            S: a2 OK SUBSCRIBE completed
            C: a3 LIST "" "B*"
            S: * LIST (\HasChildren) "/" "Büro"
            S: * LIST (\HasNoChildren) "/" "Büro/R&D"
            S: a3 OK LIST completed
            C: a4 LIST "Büro/" %
            S: * LIST (\HasNoChildren) "/" "Büro/R&D"
            S: a4 OK LIST completed
            C: a5 LSUB "" "*ü*"
            S: * LSUB () "/" "Büro/R&D"
            S: a5 OK LSUB completed
            C: a6 STATUS "Büro/R&D" (MESSAGES)
            S: * STATUS "Büro/R&D" (MESSAGES 0)
            S: a6 OK STATUS completed
            C: c1 GETQUOTAROOT "Büro/R&D"
            S: * QUOTAROOT "Büro/R&D"
            S: c1 OK ...
            C: c2 LIST "" "Büro/*" RETURN (STATUS (MESSAGES))
            S: * LIST (\HasNoChildren) "/" "Büro/R&D"
            S: * STATUS "Büro/R&D" (MESSAGES 0)
            S: c2 OK ...
            C: a7 RENAME "Büro/R&D" "日本\"語\\"
            S: a7 OK RENAME completed
            C: a8 LIST "" "日*"
            S: * LIST (\HasNoChildren) "/" "日本\"語\\"
            S: a8 OK LIST completed
            C: a9 SELECT {11+}
            C: 日本"語\
            S: ...
            S: a9 OK [READ-WRITE] SELECT completed
            C: b1 APPEND "Büro" {1+}
            C: x
            S: b1 OK [APPENDUID ...
            C: c3 SELECT "Büro"
            S: ...
            S: c3 OK ...
            C: c4 COPY 1 "日本\"語\\"
            S: c4 OK [COPYUID ...
            C: c5 MOVE 1 "日本\"語\\"
            S: * OK [COPYUID ...
            S: * 1 EXPUNGE
            S: c5 OK MOVE completed
            C: c6 UNSELECT
            S: c6 OK ...
            C: b2 DELETE "Büro"
            S: b2 OK DELETE completed
        """)
        self.assertIn('日本"語\\', {info.name for info in self.do("mailboxes")})

    def test_modified_utf7_is_a_name_like_any_other(self) -> None:
        self.transcript(r"""
            C: a1 CREATE B&APw-ro
            S: a1 OK ...
            C: a2 LIST "" B*
            S: * LIST (\HasNoChildren) "/" B&APw-ro
            S: a2 OK LIST completed
            C: a3 CREATE "a & b"
            S: a3 OK ...
        """)
        self.log_in = False
        self.transcript(r"""
            C2: b0 LOGIN alice wonderland
            S2: b0 OK ...
            C2: b1 LIST "" B*
            S2: * LIST (\HasNoChildren) "/" B&-APw-ro
            S2: b1 OK LIST completed
        """)

    def test_what_is_not_utf8_is_bad(self) -> None:
        client = self.client()
        for line in (
            b'SELECT "\xff"',
            b'LIST "" "\xc3"',
            b"STATUS {1+}\r\n\xe9 (MESSAGES)",
            b'CREATE "\xed\xa0\x80"',
            b'ENABLE "\xc0\x80"',
            b"CREATE \xc3\xa9",
        ):
            client.send(b"a1 %b\r\n" % line)
            heard = client.heard()
            self.assertTrue(heard.startswith(b"a1 BAD "), (line, heard))
        client.say("a2 SELECT INBOX")
        client.send(b'a3 SEARCH SUBJECT "\xe9"\r\n')
        self.assertTrue(client.heard().startswith(b"a3 BAD "))

    def test_names_that_may_not_be(self) -> None:
        for name in ("a\x01b", "a\x85b", "a\u2028b", "a\u2029b", "a\x7fb"):
            client = self.client()
            client.send(f'a1 CREATE "{name}"\r\n'.encode())
            self.assertEqual(
                client.heard(), b"a1 NO [CANNOT] mailbox name contains a control character\r\n"
            )


class SearchTests(EnabledCase):
    selected = "INBOX"

    def setUp(self) -> None:
        super().setUp()
        self.deliver("INBOX", "Subject: Grüße\r\n\r\nHallo\r\n".encode(), b"Subject: x\r\n\r\n")

    def test_a_search_is_in_utf8_and_names_no_charset(self) -> None:
        self.transcript("""
            C: a1 SEARCH SUBJECT "grüße"
            S: * SEARCH 1
            S: a1 OK SEARCH completed
            C: a2 SEARCH CHARSET UTF-8 SUBJECT "grüße"
            S: a2 BAD with UTF8=ACCEPT a search names no charset...
            C: a3 UID SEARCH CHARSET US-ASCII ALL
            S: a3 BAD with UTF8=ACCEPT a search names no charset...
        """)


class QuotedBeforeTests(OfferedCase):
    """Without ENABLE all is as it was."""

    def test_names_are_modified_utf7(self) -> None:
        self.transcript("""
            C: a1 CREATE "Büro"
            S: a1 NO [CANNOT] mailbox name is not modified UTF-7 at octet 2
            C: a2 APPEND INBOX UTF8 (~{1}
            S: a2 BAD UTF8=ACCEPT has to be enabled first...
        """)


class AppendTests(EnabledCase):
    def test_headers_in_utf8(self) -> None:
        message = "From: Jürgen <jürgen@exämple.org>\r\nSubject: Grüße\r\n\r\n"
        size = len(message.encode())
        client = self.client()
        client.send(
            f"a1 APPEND INBOX (\\Seen) UTF8 (~{{{size}+}}\r\n{message})\r\n"
            f"a2 APPEND INBOX utf8 (~{{{size}+}}\r\n{message}) () UTF8 (~{{1+}}\r\nx)\r\n"
            # RFC 9755 does without the item.
            f"a3 APPEND INBOX {{{size}+}}\r\n{message}\r\n"
            f"a4 APPEND INBOX ~{{{size}+}}\r\n{message}\r\n".encode()
        )
        self.transcript("""
            S: a1 OK [APPENDUID ... 1] APPEND completed
            S: a2 OK [APPENDUID ... 2:3] APPEND completed
            S: a3 OK [APPENDUID ... 4] APPEND completed
            S: a4 OK [APPENDUID ... 5] APPEND completed
            C: b1 SELECT INBOX
            S: ...
            S: b1 OK ...
        """)
        client.send(b"b2 FETCH 2 (BODY.PEEK[] ENVELOPE)\r\n")
        self.assertEqual(
            client.heard().decode(),
            f"* 2 FETCH (BODY[] {{{size}}}\r\n{message} ENVELOPE (NIL {{7}}\r\nGrüße"
            " (({7}\r\nJürgen NIL {7}\r\njürgen {12}\r\nexämple.org))"
            " (({7}\r\nJürgen NIL {7}\r\njürgen {12}\r\nexämple.org))"
            " (({7}\r\nJürgen NIL {7}\r\njürgen {12}\r\nexämple.org))"
            " NIL NIL NIL NIL NIL))\r\nb2 OK FETCH completed\r\n",
        )

    def test_replacement_in_utf8(self) -> None:
        self.deliver("INBOX", b"x")
        self.client().say("x4 SELECT INBOX")
        self.client().send("a1 REPLACE 1 INBOX UTF8 (~{5+}\r\nA: é)\r\n".encode())
        self.assertIn(b"a1 OK REPLACE completed", self.client().heard())

    def test_not_the_grammar(self) -> None:
        for item in (
            "UTF8 ({3+}\r\nabc)",
            "UTF8 (~{3+}\r\nabc",
            "UTF8(~{3+}\r\nabc)",
            "UTF8 ~{3+}\r\nabc",
        ):
            client = self.client()
            client.send(f"a1 APPEND INBOX {item}\r\na2 NOOP\r\n".encode())
            heard = client.heard()
            self.assertTrue(heard.startswith(b"a1 BAD "), (item, heard))
            self.assertTrue(heard.endswith(b"a2 OK NOOP completed\r\n"), (item, heard))
        self.assertEqual(self.do("status", "INBOX").messages, 0)


class NotEnabledAppendTests(OfferedCase):
    """Who has not enabled it must not send such headers (§4)."""

    def answer(self, message: bytes) -> bytes:
        client = self.client()
        client.send(b"a1 APPEND INBOX {%d+}\r\n%b\r\n" % (len(message), message))
        return client.heard()

    def test_8bit_header_is_refused(self) -> None:
        for message in (
            "Subject: Grüße\r\n\r\nx".encode(),
            b"A: b\r\nSubject: \xff\n\nx",
            b"A: b\r\n \xff",
            b"\xff",
            b"A: " + b"x" * 70_000 + b"\xff\r\n\r\n",
        ):
            self.assertEqual(
                self.answer(message),
                b"a1 NO the header has 8-bit characters in it: UTF8=ACCEPT has to be enabled first\r\n",
            )
        self.assertEqual(self.do("status", "INBOX").messages, 0)

    def test_8bit_body_is_not(self) -> None:
        for message in (
            b"Subject: x\r\n\r\n\xff",
            b"Subject: x\n\n\xff",
            b"Subject: x\r\n\n\xff",
            b"\r\n\xff",
            b"\n\xff",
        ):
            self.assertIn(b"a1 OK [APPENDUID", self.answer(message))


class NotOfferedTests(IMAPCase):
    """Unless an administrator wants it: then headers are taken as they come."""

    def test_it_is_not_there(self) -> None:
        self.assertNotIn("UTF8=ACCEPT", self.client().say("a0 CAPABILITY")[0])
        self.transcript("""
            C: a1 ENABLE UTF8=ACCEPT
            S: * ENABLED
            S: a1 OK ENABLE completed
            C: a2 APPEND INBOX {12+}
            C: Subject: ü
            S: a2 OK [APPENDUID ...
        """)

    def test_no_header_is_looked_at_for_it(self) -> None:
        """It may have 64 MiB, and the reactor would wait."""
        self.patch(append, "has_8bit", None)
        self.transcript("""
            C: a1 APPEND INBOX {1+}
            C: x
            S: a1 OK ...
        """)
