"""Names of mailboxes as names of folders."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from twisted_duck.cli.files.folders import decode_level, decode_maildir, encode_maildir

LEVEL = st.text(st.characters(exclude_characters="/\0", exclude_categories=["Cs"]), min_size=1)


class FolderTests(SynchronousTestCase):
    def test_levels_are_dots(self) -> None:
        self.assertEqual(encode_maildir(("Work", "2024")), ".Work.2024")
        self.assertEqual(decode_maildir(".Work.2024"), ("Work", "2024"))

    def test_modified_utf7_and_a_dot_that_is_no_level(self) -> None:
        for level, name in (
            ("Entwürfe", ".Entw&APw-rfe"),
            ("日本語", ".&ZeVnLIqe-"),
            ("R&D", ".R&-D"),
            ("v1.2", ".v1&AC4-2"),
            ("...", ".&AC4-&AC4-&AC4-"),
        ):
            self.assertEqual(encode_maildir((level,)), name)
            self.assertEqual(decode_maildir(name), (level,))

    def test_folders_of_other_programs(self) -> None:
        self.assertEqual(decode_level("Entwürfe"), "Entwürfe")
        self.assertEqual(decode_level("A&A-"), "A&A-")
        self.assertEqual(decode_level("a&AC8-b"), "a&AC8-b")
        self.assertEqual(decode_level("caf\udce9"), "caf\ufffd")

    @given(st.lists(LEVEL, min_size=1).map(tuple))
    def test_every_name_comes_back(self, levels: tuple[str, ...]) -> None:
        folder = encode_maildir(levels)
        self.assertNotIn("/", folder)
        self.assertEqual(decode_maildir(folder), levels)
