"""Messages put together from parts that are known: every part number must lead back to its bytes.

The numbers are given out here as RFC 3501 §6.4.5 has them, while the message is written and without any parsing.
"""

from __future__ import annotations

from attrs import frozen
from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from twisted_duck.mime.scan import scan
from twisted_duck.mime.section import Section, SectionText, locate

#: Lines that are nearly delimiters, or nearly the end of a header.
LINE = st.sampled_from(
    [b"text", b"", b"--", b"-- ", b"--b", b" --b0--", b"X: y", b"--b-", b"-", b"a\rb", b"--B1"]
)
CONTENT = st.lists(LINE, max_size=4)


@frozen
class Text:
    lines: list[bytes]


@frozen
class Message:
    content: Text | Message | Multipart


@frozen
class Multipart:
    parts: list[Text | Message | Multipart]
    preamble: bool
    epilogue: bool
    #: Whether its parts may leave out their headers: then they are text, or in a digest messages.
    digest: bool


Node = Text | Message | Multipart
NODE: st.SearchStrategy[Node] = st.recursive(
    CONTENT.map(Text),
    lambda inner: st.one_of(
        inner.map(Message),
        st.builds(
            Multipart,
            st.lists(inner, min_size=1, max_size=3),
            st.booleans(),
            st.booleans(),
            st.booleans(),
        ),
    ),
    max_leaves=12,
)
Found = dict[tuple[tuple[int, ...], SectionText | None], bytes]


class Writer:
    """Writes a message and notes what each section of it is."""

    def __init__(self, end: bytes) -> None:
        self.end = end
        self.boundaries = 0
        self.found: Found = {}

    def message(self, node: Node, path: tuple[int, ...]) -> bytes:
        """A whole message; `path` is the number of the part that holds it, () for that which is sent."""
        fields, content = self.content(node, path, True)
        header = b"Subject: s" + self.end + fields + self.end
        self.found[path, "HEADER"] = header
        self.found[path, "TEXT"] = content
        self.found[path, None] = header + content
        if not isinstance(node, Multipart):
            self.found[(*path, 1), None] = content
            self.found[(*path, 1), "MIME"] = header
        return header + content

    def content(self, node: Node, path: tuple[int, ...], whole: bool) -> tuple[bytes, bytes]:
        """The fields and the body of `node`, which is all of the message `path`, or else the part `path`."""
        end = self.end
        if isinstance(node, Text):
            return b"", end.join(node.lines)
        if isinstance(node, Message):
            inside = self.message(node.content, (*path, 1) if whole else path)
            return b"Content-Type: message/rfc822" + end, inside
        boundary = b"b%d" % self.boundaries
        self.boundaries += 1
        written = [b"preamble" + end] if node.preamble else []
        for number, part in enumerate(node.parts, 1):
            inner = (*path, number)
            fields, content = self.content(part, inner, False)
            if isinstance(part, Text):
                # Said where the default is another, and left out where it is not.
                fields = b"Content-Type: text/plain" + end if node.digest else b""
            elif isinstance(part, Message) and node.digest:
                fields = b""
            self.found[inner, None] = content
            self.found[inner, "MIME"] = fields + end
            written.append(b"--" + boundary + end + fields + end + content + end)
        written.append(b"--" + boundary + b"--" + (end + b"epilogue" if node.epilogue else b""))
        kind = b"digest" if node.digest else b"mixed"
        head = b"Content-Type: multipart/" + kind + b"; boundary=" + boundary + end
        return head, b"".join(written)


class ComposedTests(SynchronousTestCase):
    @settings(max_examples=400)
    @given(NODE, st.sampled_from([b"\r\n", b"\n"]))
    def test_each_part_number_leads_to_the_part(self, node: Node, end: bytes) -> None:
        writer = Writer(end)
        data = writer.message(node, ())
        tree = scan(data)
        for (path, text), wanted in writer.found.items():
            place = locate(tree, Section(path, text))
            assert place is not None, (path, text, data)
            self.assertEqual(data[slice(*place)], wanted, (path, text, data))

    @settings(max_examples=200)
    @given(NODE)
    def test_no_other_part_number_leads_anywhere(self, node: Node) -> None:
        writer = Writer(b"\r\n")
        tree = scan(writer.message(node, ()))
        for path, _text in list(writer.found):
            for other in (*path, 0), (*path, 4), (*path, 1), (*path, 1, 1):
                for text in (None, *SECTION_TEXTS):
                    if (other, text) not in writer.found:
                        self.assertIsNone(locate(tree, Section(other, text)), (other, text))


SECTION_TEXTS: tuple[SectionText, ...] = ("HEADER", "TEXT", "MIME")
