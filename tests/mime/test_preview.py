"""What a list of messages shows of a message."""

from __future__ import annotations

import time
from base64 import b64encode

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from tests.mime.corpus import OWN
from twisted_duck.limits import Limits
from twisted_duck.mime.message import analyse
from twisted_duck.mime.preview import preview
from twisted_duck.mime.scan import scan


def message(kind: str, text: str, more: str = "") -> bytes:
    header = f"Subject: x\r\nContent-Type: {kind}; charset=utf-8\r\n{more}\r\n"
    return (header + text.replace("\n", "\r\n")).encode("utf-8", "surrogatepass")


def multipart(subtype: str, *parts: bytes) -> bytes:
    head = f"Content-Type: multipart/{subtype}; boundary=b\r\n\r\n".encode()
    return head + b"".join(b"--b\r\n" + part + b"\r\n" for part in parts) + b"--b--\r\n"


def of(data: bytes, limits: Limits = Limits()) -> str:
    return preview(data, scan(data, limits), limits)


def plain(text: str) -> str:
    return of(message("text/plain", text))


def page(text: str) -> str:
    return of(message("text/html", text))


class PlainTests(SynchronousTestCase):
    def test_white_space_is_put_together(self) -> None:
        self.assertEqual(
            plain("\n\n Hello  \t Ada,\n\n\nhow are\u00a0you?\n"), "Hello Ada, how are you?"
        )

    def test_it_is_decoded(self) -> None:
        encoded = b64encode("Grüße aus Köln".encode("latin-1"))
        header = (
            b"Content-Type: text/plain; charset=iso-8859-1\r\nContent-Transfer-Encoding: base64"
        )
        self.assertEqual(of(header + b"\r\n\r\n" + encoded), "Grüße aus Köln")
        self.assertEqual(of(b"Subject: raw\r\n\r\nK\xc3\xb6ln"), "Köln")

    def test_quotes_and_what_introduces_them_are_left_out(self) -> None:
        reply = "Yes, at noon.\n\nOn Mon, 3 Feb 2020 at 10:00, Bob <bob@example.org>\nwrote:\n\n> When?\n>> ?\n\nAda\n"
        self.assertEqual(plain(reply), "Yes, at noon. Ada")
        below = "Am 3.2.2020 schrieb Bob:\n> When?\n\nAt noon.\n> Where?\nThere.\n"
        self.assertEqual(plain(below), "At noon. There.")

    def test_what_the_writer_says_before_a_quote_stays(self) -> None:
        self.assertEqual(
            plain("This is the sentence:\n> To be\nRight?"), "This is the sentence: Right?"
        )

    def test_a_message_that_only_quotes_shows_that(self) -> None:
        self.assertEqual(plain("On 3 Feb Bob wrote:\n> When?\n> > Then.\n"), "When? Then.")

    def test_signatures_are_left_out(self) -> None:
        self.assertEqual(plain("Hello.\n-- \nAda Lovelace\n+44 20\n"), "Hello.")
        self.assertEqual(plain("-- \nAda\n"), "")

    def test_ornaments_are_left_out(self) -> None:
        self.assertEqual(plain("=====\n* * * * *\nNews\n-----\n:-)"), "News :-)")

    def test_a_message_that_is_passed_on_follows_what_is_said_of_it(self) -> None:
        passed_on = "-------- Forwarded Message --------\nSubject: Fwd\n\nLook\n"
        self.assertEqual(plain("See below.\n\n" + passed_on), "See below.")
        self.assertEqual(plain(passed_on), "Subject: Fwd Look")
        self.assertEqual(plain("Fine.\n\n-----Original Message-----\nFrom: Bob\n"), "Fine.")

    def test_encrypted(self) -> None:
        self.assertEqual(
            plain("-----BEGIN PGP MESSAGE-----\n\nhQEMA\n-----END PGP MESSAGE-----"), ""
        )
        parts = (
            b"Content-Type: application/pgp-encrypted\r\n\r\nVersion: 1",
            b"Content-Type: application/octet-stream\r\n\r\nhQ",
        )
        self.assertEqual(of(multipart("encrypted", *parts)), "")
        self.assertEqual(of(b"Content-Type: application/pkcs7-mime\r\n\r\nMII"), "")

    def test_signed(self) -> None:
        signed = "-----BEGIN PGP SIGNED MESSAGE-----\nHash: SHA256\n\nIt is me.\n-----BEGIN PGP SIGNATURE-----\n\niQ\n"
        self.assertEqual(plain(signed), "It is me.")

    def test_it_ends_between_words(self) -> None:
        shown = plain("word " * 100)
        self.assertEqual(shown, ("word " * 40).strip())
        self.assertEqual(plain("a" * 160 + " " + "b" * 100), "a" * 160)

    def test_it_has_two_hundred_characters_at_most(self) -> None:
        self.assertEqual(plain("語" * 300), "語" * 200)
        self.assertEqual(plain("a" * 200), "a" * 200)
        self.assertEqual(plain("a" * 201), "a" * 200)

    def test_no_character_is_cut_from_its_marks(self) -> None:
        self.assertEqual(plain("e" * 200 + "\u0301" * 5), "e" * 199)
        self.assertEqual(plain("\u0301" * 500), "\u0301")

    def test_what_can_not_be_seen_is_left_out(self) -> None:
        self.assertEqual(plain("a\0b\x07\u200b\u202ec \u200c\u00a0\u034f \u200d d"), "abc d")
        self.assertEqual(plain("می\u200cخواهم"), "می\u200cخواهم")

    def test_what_utf8_can_not_say(self) -> None:
        data = b"Content-Type: text/plain; charset=utf-7\r\n\r\na +2AA- b"
        of(data).encode()


class HTMLTests(SynchronousTestCase):
    def test_tags_are_left_out(self) -> None:
        self.assertEqual(
            page("<p>Hello <b>A</b>da,</p><div>how<br>are&nbsp;you?</div>"),
            "Hello Ada, how are you?",
        )
        self.assertEqual(page("<table><tr><td>a</td><td>b</td></tr></table>"), "a b")

    def test_entities(self) -> None:
        self.assertEqual(
            page("a &lt;b&gt; &amp;amp; &#233;&#xe9; &euro; &nonsense; &"),
            "a <b> &amp; éé € &nonsense; &",
        )
        self.assertEqual(page(f"a &#{'9' * 5000}; b &#x{'f' * 5000}; c"), "a \ufffd b \ufffd c")

    def test_what_is_not_text(self) -> None:
        text = "<html><head><title>T</title><STYLE type='a>b'>p {} <p>no</STYLE ></head><!-- a > b --><script>if (a<b) '<p>'</script>yes<![endif]>"
        self.assertEqual(page(text), "yes")
        self.assertEqual(page("<style>never closed"), "")
        self.assertEqual(page("a<!-- never closed"), "a")

    def test_signs_that_are_no_tags(self) -> None:
        self.assertEqual(page("1 < 2 <3 a<= b </> <- c"), "1 < 2 <3 a<= b </> <- c")

    def test_broken_tags(self) -> None:
        self.assertEqual(page("a <b title='x>y</b> <i>z</i>"), "a y z")
        self.assertEqual(page("a <img src=x"), "a")
        self.assertEqual(page('a <img alt="x > y"> b'), "a b")

    def test_quotes(self) -> None:
        reply = (
            "<div>Yes.</div><div class=gmail_quote><div>On 3 Feb, Bob &lt;bob@example.org&gt; wrote:<br></div>"
            "<blockquote>When?<blockquote>x</blockquote>y</blockquote></div><p>Ada</p>"
        )
        self.assertEqual(page(reply), "Yes. Ada")
        self.assertEqual(page("<blockquote>all</blockquote></blockquote>"), "all")


class PartsTests(SynchronousTestCase):
    def test_the_first_text_that_says_something(self) -> None:
        text, markup = message("text/plain", "plain"), message("text/html", "<p>html")
        blank = message("text/plain", " \n\n")
        picture = b"Content-Type: image/png\r\n\r\nPNG"
        self.assertEqual(of(multipart("alternative", text, markup)), "plain")
        self.assertEqual(of(multipart("alternative", blank, markup)), "html")
        self.assertEqual(of(multipart("mixed", picture, markup)), "html")
        self.assertEqual(of(multipart("mixed", picture)), "")
        self.assertEqual(of(message("text/calendar", "BEGIN:VCALENDAR")), "")

    def test_attachments_say_nothing(self) -> None:
        attached = message(
            "text/plain", "log", "Content-Disposition: attachment; filename=x.txt\r\n"
        )
        self.assertEqual(of(multipart("mixed", attached, message("text/plain", "hi"))), "hi")
        self.assertEqual(of(multipart("mixed", attached)), "")

    def test_an_embedded_message(self) -> None:
        inside = b"Content-Type: message/rfc822\r\n\r\nSubject: y\r\n\r\ninside"
        self.assertEqual(of(multipart("mixed", inside)), "inside")

    def test_some_parts_are_looked_at(self) -> None:
        blank = [message("text/plain", "")] * Limits().preview_parts
        self.assertEqual(of(multipart("mixed", *blank, message("text/plain", "late"))), "")
        self.assertEqual(
            of(multipart("mixed", *blank[1:], message("text/plain", "in time"))), "in time"
        )

    def test_so_much_of_a_part_is_read(self) -> None:
        most = Limits().preview_text
        self.assertEqual(page("<b>" * (most // 3 + 1) + "x"), "")
        self.assertEqual(page("<b>" * (most // 3) + "x"), "x")

    def test_it_is_computed_when_a_message_arrives(self) -> None:
        for path in sorted(OWN.glob("*.eml")):
            data = path.read_bytes()
            self.assertEqual(analyse(data).preview, of(data))


class HostileTests(SynchronousTestCase):
    def test_nothing_takes_more_than_linear_time(self) -> None:
        size = Limits().preview_text
        for unit in (
            "<a '",
            "<a '>",
            "<a \"'>",
            "</",
            "<!",
            "<!--",
            "<a",
            "<",
            "&",
            "&#",
            ">",
            "\u200c ",
            "- ",
            "<p>:\n",
            "--",
            "<b>\n>",
            "&#1",
        ):
            for kind in ("text/html", "text/plain"):
                for end in ("", '"', ">", "'>"):
                    text = unit * (size // len(unit)) + end
                    data = message(kind, text)
                    began = time.process_time()
                    shown = of(data)
                    self.assertLess(time.process_time() - began, 2.0, (unit, kind, end))
                    self.assertLessEqual(len(shown), 200)

    @given(st.text(alphabet="<>/!?-'\"&#;:=\n >abpx12\u200d\u0301", max_size=300))
    def test_anything(self, text: str) -> None:
        for kind in ("text/html", "text/plain"):
            shown = of(message(kind, text))
            self.assertLessEqual(len(shown), 200)
            self.assertNotRegex(shown, r"[\x00-\x1f]|  |^ | $")
