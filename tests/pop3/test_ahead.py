"""Reading ahead for a client that takes one message after the other: how often the store is asked, and for how much."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

from tests.pop3.transcript import POP3Case
from tests.transcript import Client
from twisted_duck.limits import Limits
from twisted_duck.memory.mailbox import MemoryMailbox
from twisted_duck.names import INBOX

#: Forty of 42 octets.
MAIL = tuple(b"Subject: message %02d\r\n\r\nThis is its text.\r\n" % number for number in range(40))


class AheadTests(POP3Case):
    messages = MAIL
    limits = Limits(pop3_ahead=10 * len(MAIL[0]))

    def setUp(self) -> None:
        super().setUp()
        #: The UIDs that the store was asked for, for each time.
        self.asked: list[list[int]] = []
        original = MemoryMailbox.fetch

        async def fetch(mailbox: MemoryMailbox, uids: Any, wanted: Any) -> AsyncIterator[Any]:
            if "content" in wanted:
                self.asked.append(list(uids))
            async for batch in original(mailbox, uids, wanted):
                yield batch

        self.patch(MemoryMailbox, "fetch", fetch)

    def retr(self, client: Client, number: int) -> None:
        client.send(b"RETR %d\r\n" % number)
        data = MAIL[number - 1]
        self.assertEqual(client.heard(), b"+OK %d octets\r\n%b.\r\n" % (len(data), data))

    def test_in_order_twice_as_many_each_time_up_to_a_bound(self) -> None:
        client = self.client()
        for number in range(1, 41):
            self.retr(client, number)
        self.assertEqual([len(uids) for uids in self.asked], [1, 2, 4, 8, 10, 10, 5])
        self.assertEqual([uid for uids in self.asked for uid in uids], list(range(1, 41)))

    def test_who_takes_one_has_one_read(self) -> None:
        client = self.client()
        for number in (40, 20, 10, 30):
            self.retr(client, number)
        self.assertEqual(self.asked, [[40], [20], [10], [30]])

    def test_who_goes_on_elsewhere_begins_with_one(self) -> None:
        client = self.client()
        for number in (1, 2, 3, 20, 21, 22):
            self.retr(client, number)
        self.assertEqual(self.asked, [[1], [2, 3], [20], [21, 22]])

    def test_what_was_sent_is_not_held(self) -> None:
        client = self.client()
        for number in (1, 2, 3, 2):
            self.retr(client, number)
        self.assertEqual(self.asked, [[1], [2, 3], [2]])

    def test_what_has_gone_since_it_was_read_is_not_there(self) -> None:
        client = self.client()
        for number in (1, 2):
            self.retr(client, number)
        self.run_(self.do("select", INBOX, False).remove([3]))
        [answer] = client.say("RETR 3")
        self.assertEqual(answer, "-ERR another session has deleted that message")
        self.retr(client, 4)

    def test_a_message_larger_than_the_bound_is_read_alone(self) -> None:
        large = b"Subject: large\r\n\r\n" + b"A long line of some text.\r\n" * 100
        self.deliver(INBOX, large, MAIL[0])
        client = self.client()
        for number in (39, 40):
            self.retr(client, number)
        client.send(b"RETR 41\r\n")
        self.assertEqual(client.heard(), b"+OK %d octets\r\n%b.\r\n" % (len(large), large))
        self.assertEqual(self.asked, [[39], [40], [41]])
