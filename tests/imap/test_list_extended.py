"""LIST-EXTENDED: RFC 5258."""

from __future__ import annotations

from tests.imap.transcript import IMAPCase


class ExtendedCase(IMAPCase):
    """A few mailboxes, some of them subscribed to, as is something that is not there."""

    made: tuple[str, ...] = ("Fruit", "Fruit/Apple", "Fruit/Banana", "Tofu", "Veg/Corn/Baby")
    subscribed: tuple[str, ...] = ("INBOX", "Fruit/Banana", "Fruit/Peach", "Veg", "Veg/Corn/Baby")

    def setUp(self) -> None:
        super().setUp()
        for name in ("Archive", "Drafts", "Junk", "Sent", "Trash"):
            self.do("delete", name)
        for name in self.do("subscriptions"):
            self.do("unsubscribe", name)
        for name in self.made:
            self.do("create", name)
        for name in self.subscribed:
            self.do("subscribe", name)


class SelectionTests(ExtendedCase):
    def setUp(self) -> None:
        super().setUp()
        # A level without a mailbox of its own.
        self.do("delete", "Veg/Corn")

    def test_subscribed_names_whether_they_exist_or_not(self) -> None:
        self.transcript(r"""
            C: A02 LIST (SUBSCRIBED) "" "*"
            S: * LIST (\HasNoChildren \Subscribed) "/" INBOX
            S: * LIST (\HasNoChildren \Subscribed) "/" Fruit/Banana
            S: * LIST (\NonExistent \HasNoChildren \Subscribed) "/" Fruit/Peach
            S: * LIST (\HasChildren \Subscribed) "/" Veg
            S: * LIST (\HasNoChildren \Subscribed) "/" Veg/Corn/Baby
            S: A02 OK LIST completed
            C: A03 LIST (SUBSCRIBED) "" %
            S: * LIST (\HasNoChildren \Subscribed) "/" INBOX
            S: * LIST (\HasChildren \Subscribed) "/" Veg
            S: A03 OK LIST completed
        """)

    def test_children_and_levels_that_are_no_mailboxes(self) -> None:
        self.transcript(r"""
            C: A03 LIST () "" "%" RETURN (CHILDREN)
            S: * LIST (\HasNoChildren) "/" INBOX
            S: * LIST (\HasChildren) "/" Fruit
            S: * LIST (\HasNoChildren) "/" Tofu
            S: * LIST (\HasChildren) "/" Veg
            S: A03 OK LIST completed
            C: A04 LIST () "" Veg/%
            S: * LIST (\NonExistent \HasChildren) "/" Veg/Corn
            S: A04 OK LIST completed
            # Who does not know RFC 5258 is told what it does know.
            C: A05 LIST "" Veg/%
            S: * LIST (\Noselect \HasChildren) "/" Veg/Corn
            S: A05 OK LIST completed
        """)

    def test_nothing_is_remote(self) -> None:
        self.transcript(r"""
            C: A04 LIST (REMOTE) "" "F%"
            S: * LIST (\HasChildren) "/" Fruit
            S: A04 OK LIST completed
            C: A05 LIST (REMOTE SUBSCRIBED) "" "*n*a"
            S: * LIST (\HasNoChildren \Subscribed) "/" Fruit/Banana
            S: A05 OK LIST completed
        """)

    def test_to_be_told_of_subscriptions_is_not_to_be_told_of_more_names(self) -> None:
        self.transcript(r"""
            C: A06 LIST "" "Fruit*" RETURN (SUBSCRIBED)
            S: * LIST (\HasChildren) "/" Fruit
            S: * LIST (\HasNoChildren) "/" Fruit/Apple
            S: * LIST (\HasNoChildren \Subscribed) "/" Fruit/Banana
            S: A06 OK LIST completed
            C: A07 LIST "" "Fruit*" RETURN ()
            S: * LIST (\HasChildren) "/" Fruit
            S: * LIST (\HasNoChildren) "/" Fruit/Apple
            S: * LIST (\HasNoChildren) "/" Fruit/Banana
            S: A07 OK LIST completed
        """)

    def test_several_patterns_name_each_once(self) -> None:
        self.transcript(r"""
            C: B LIST "" ("INBOX" "Tofu" "Fruit/%" "F*a")
            S: * LIST (\HasNoChildren) "/" INBOX
            S: * LIST (\HasNoChildren) "/" Fruit/Apple
            S: * LIST (\HasNoChildren) "/" Fruit/Banana
            S: * LIST (\HasNoChildren) "/" Tofu
            S: B OK LIST completed
        """)

    def test_an_empty_pattern_names_nothing(self) -> None:
        self.transcript(r"""
            C: a1 LIST "" ""
            S: * LIST (\Noselect) "/" ""
            S: a1 OK LIST completed
            C: a2 LIST () "" ""
            S: a2 OK LIST completed
            C: a3 LIST "" ("" Tofu)
            S: * LIST (\HasNoChildren) "/" Tofu
            S: a3 OK LIST completed
            C: a4 LIST "" "" RETURN ()
            S: a4 OK LIST completed
        """)

    def test_what_is_not_known_is_bad(self) -> None:
        self.transcript("""
            C: a1 LIST (RECURSIVEMATCH) "" *
            S: a1 BAD RECURSIVEMATCH needs ...
            C: a2 LIST (REMOTE RECURSIVEMATCH) "" *
            S: a2 BAD ...
            C: a3 LIST (MYRIGHTS) "" *
            S: a3 BAD ...
            C: a4 LIST "" * RETURN (MYRIGHTS)
            S: a4 BAD ...
        """)

    def test_more_patterns_than_there_may_be(self) -> None:
        patterns = " ".join(["*"] * (self.limits.list_patterns + 1))
        self.transcript(f"""
            C: a1 LIST "" ({patterns})
            S: a1 NO [LIMIT] ...
        """)

    def test_names_that_need_an_encoding(self) -> None:
        self.do("subscribe", "Entwürfe/alt")
        self.transcript(r"""
            C: a1 LIST (SUBSCRIBED RECURSIVEMATCH) "" Ent%
            S: * LIST (\NonExistent \HasNoChildren) "/" Entw&APw-rfe ("CHILDINFO" ("SUBSCRIBED"))
            S: a1 OK LIST completed
        """)


class RecursiveTests(ExtendedCase):
    """RFC 5258 §5, example 8."""

    made = ("Foo/Bar", "Foo/Baz", "Moo")
    subscribed = ("Foo/Baz",)

    def test_a_child_is_subscribed_to(self) -> None:
        self.transcript(r"""
            C: C02 LIST (SUBSCRIBED) "" "%"
            S: C02 OK LIST completed
            C: C04 LIST (SUBSCRIBED RECURSIVEMATCH) "" "%"
            S: * LIST (\HasChildren) "/" Foo ("CHILDINFO" ("SUBSCRIBED"))
            S: C04 OK LIST completed
        """)

    def test_and_so_is_the_level_itself(self) -> None:
        self.do("subscribe", "Foo")
        self.transcript(r"""
            C: C04 LIST (SUBSCRIBED RECURSIVEMATCH) "" "%"
            S: * LIST (\HasChildren \Subscribed) "/" Foo ("CHILDINFO" ("SUBSCRIBED"))
            S: C04 OK LIST completed
        """)

    def test_the_level_does_not_exist(self) -> None:
        self.do("delete", "Foo")
        self.transcript(r"""
            C: C04 LIST (SUBSCRIBED RECURSIVEMATCH) "" "%"
            S: * LIST (\NonExistent \HasChildren) "/" Foo ("CHILDINFO" ("SUBSCRIBED"))
            S: C04 OK LIST completed
        """)

    def test_neither_does_the_child(self) -> None:
        for name in ("Foo/Bar", "Foo/Baz"):
            self.do("delete", name)
        self.transcript(r"""
            C: a3 LIST (SUBSCRIBED RECURSIVEMATCH) "" Foo RETURN (CHILDREN)
            S: * LIST (\HasNoChildren) "/" Foo ("CHILDINFO" ("SUBSCRIBED"))
            S: a3 OK LIST completed
        """)

    def test_only_other_names_are_subscribed_to(self) -> None:
        self.do("unsubscribe", "Foo/Baz")
        self.transcript(r"""
            C: C04 LIST (SUBSCRIBED RECURSIVEMATCH) "" "%"
            S: C04 OK LIST completed
        """)
        for name in ("Foo", "Moo"):
            self.do("subscribe", name)
        self.transcript(r"""
            C: C05 LIST (SUBSCRIBED RECURSIVEMATCH) "" "%" RETURN (CHILDREN)
            S: * LIST (\HasChildren \Subscribed) "/" Foo
            S: * LIST (\HasNoChildren \Subscribed) "/" Moo
            S: C05 OK LIST completed
        """)


class ChildrenThatMatchTests(ExtendedCase):
    """RFC 5258 §5, example 9: a level is told of if the answer would not show what is beneath it."""

    made = ("foo2/bar1", "foo2/bar2", "baz2/bar2", "baz2/bar22", "eps2/mamba", "qux2/bar2")
    subscribed = (*made, "eps2")

    def test_levels_whose_children_are_in_the_answer_are_left_out(self) -> None:
        self.do("delete", "qux2")
        self.transcript(r"""
            C: D03 LIST (RECURSIVEMATCH SUBSCRIBED) "" "*2"
            S: * LIST (\HasNoChildren \Subscribed) "/" baz2/bar2
            S: * LIST (\HasNoChildren \Subscribed) "/" baz2/bar22
            S: * LIST (\HasChildren \Subscribed) "/" eps2 ("CHILDINFO" ("SUBSCRIBED"))
            S: * LIST (\HasChildren) "/" foo2 ("CHILDINFO" ("SUBSCRIBED"))
            S: * LIST (\HasNoChildren \Subscribed) "/" foo2/bar2
            S: * LIST (\HasNoChildren \Subscribed) "/" qux2/bar2
            S: D03 OK LIST completed
        """)
