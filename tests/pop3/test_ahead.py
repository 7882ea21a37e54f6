"""Reading ahead for a client that takes one message after the other: how often the store is asked, and for how much."""

from __future__ import annotations

from collections.abc import AsyncIterator
from itertools import chain
from typing import Any

from twisted.internet.defer import Deferred

from tests.pop3.transcript import POP3Case
from tests.transcript import Client
from twisted_duck.errors import Unavailable
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
        #: Whether it answers when it is told to, and what it then waits for.
        self.slow = False
        self.waiting: list[Deferred[None]] = []
        original = MemoryMailbox.fetch

        async def fetch(mailbox: MemoryMailbox, uids: Any, wanted: Any) -> AsyncIterator[Any]:
            if "content" in wanted:
                self.asked.append(list(uids))
                if self.slow:
                    self.waiting.append(Deferred())
                    await self.waiting[-1]
            async for batch in original(mailbox, uids, wanted):
                yield batch

        self.patch(MemoryMailbox, "fetch", fetch)

    def retr(self, client: Client, number: int) -> None:
        client.send(b"RETR %d\r\n" % number)
        self.hears(client, number)

    def hears(self, client: Client, number: int) -> None:
        data = MAIL[number - 1]
        self.assertEqual(client.heard(), b"+OK %d octets\r\n%b.\r\n" % (len(data), data))

    @property
    def used(self) -> int:
        """Bytes that all connections have read ahead."""
        left: int = self.factory._settings.room.left
        return self.limits.pop3_ahead_of_all - left

    def client_ahead(self) -> Any:
        """A client that has had two messages, while the next ones are still being read."""
        client = self.client()
        self.retr(client, 1)
        self.slow = True
        client.send(b"RETR 2\r\n")
        self.waiting.pop().callback(None)
        self.hears(client, 2)
        return client

    def test_in_order_twice_as_many_each_time_up_to_half_the_bound(self) -> None:
        client = self.client()
        for number in range(1, 41):
            self.retr(client, number)
        self.assertEqual([len(uids) for uids in self.asked], [1, 2, 4, 5, 5, 5, 5, 5, 5, 3])
        self.assertEqual([uid for uids in self.asked for uid in uids], list(range(1, 41)))

    def test_nothing_is_read_ahead_before_the_second_in_order(self) -> None:
        client = self.client()
        self.retr(client, 1)
        self.assertEqual(self.asked, [[1]])
        self.retr(client, 2)
        self.assertEqual(self.asked, [[1], [2, 3], [4, 5, 6, 7]])

    def test_who_takes_one_has_one_read(self) -> None:
        client = self.client()
        for number in (40, 20, 10, 30):
            self.retr(client, number)
        self.assertEqual(self.asked, [[40], [20], [10], [30]])

    def test_who_goes_on_elsewhere_begins_with_one(self) -> None:
        client = self.client()
        for number in (1, 2, 20, 21):
            self.retr(client, number)
        self.assertEqual(self.asked, [[1], [2, 3], [4, 5, 6, 7], [20], [21, 22], [23, 24, 25, 26]])

    def test_what_was_sent_is_not_held(self) -> None:
        client = self.client()
        for number in (1, 2, 3, 2):
            self.retr(client, number)
        self.assertEqual(self.asked[-1], [2])

    def test_who_leaves_some_out_is_not_made_to_wait(self) -> None:
        client = self.client()
        for number in (1, 2, 5, 7):
            self.retr(client, number)
        self.assertEqual(list(chain.from_iterable(self.asked)), list(range(1, 18)))
        self.assertEqual(self.used, 10 * len(MAIL[0]))

    def test_the_next_are_read_while_others_are_taken(self) -> None:
        client = self.client()
        self.retr(client, 1)
        self.slow = True
        client.send(b"RETR 2\r\n")
        self.assertEqual((client.heard(), self.asked[-1]), (b"", [2, 3]))
        self.waiting.pop().callback(None)
        self.hears(client, 2)
        self.assertEqual(self.asked[-1], [4, 5, 6, 7])
        self.retr(client, 3)
        client.send(b"RETR 4\r\n")
        self.assertEqual((client.heard(), self.asked[-1]), (b"", [4, 5, 6, 7]))
        self.waiting.pop().callback(None)
        self.hears(client, 4)
        self.assertEqual(self.asked[-1], [8, 9, 10, 11, 12])

    def test_what_could_not_be_read_ahead_is_read_again(self) -> None:
        client = self.client_ahead()
        self.waiting.pop().errback(Unavailable("the database is away"))
        self.retr(client, 3)
        self.slow = False
        self.retr(client, 4)
        self.assertEqual(self.asked, [[1], [2, 3], [4, 5, 6, 7], [4]])
        self.assertEqual(self.used, 0)

    def test_half_is_being_taken_while_half_is_read(self) -> None:
        client = self.client()
        for number in range(1, 41):
            self.retr(client, number)
            self.assertLessEqual(self.used, self.limits.pop3_ahead)
        self.assertEqual(self.used, 0)

    def test_all_connections_share_a_bound(self) -> None:
        self.factory._settings.room.left = 3 * len(MAIL[0])
        one, other = self.client("one"), self.client("other")
        for number in (1, 2):
            self.retr(one, number)
        # One and a half messages are left: nothing more goes ahead.
        self.asked.clear()
        for number in (1, 2, 3):
            self.retr(other, number)
        self.assertEqual(self.asked, [[1], [2], [3]])

    def test_who_leaves_gives_it_back(self) -> None:
        client = self.client()
        for number in (1, 2):
            self.retr(client, number)
        self.assertGreater(self.used, 0)
        client.disconnect()
        self.assertEqual(self.used, 0)

    def test_who_leaves_while_it_is_read_gives_it_back(self) -> None:
        client = self.client_ahead()
        self.assertGreater(self.used, 0)
        client.disconnect()
        self.assertEqual(self.used, 0)

    def test_who_stops_gives_it_back(self) -> None:
        client = self.client()
        for number in (1, 2):
            self.retr(client, number)
        self.clock.advance(self.limits.pop3_held)
        self.assertGreater(self.used, 0)
        self.clock.advance(self.limits.pop3_held)
        self.assertEqual(self.used, 0)
        self.retr(client, 3)
        self.assertEqual(self.asked[-1], [3])

    def test_what_has_gone_since_it_was_read_is_not_there(self) -> None:
        client = self.client()
        for number in (1, 2):
            self.retr(client, number)
        self.run_(self.do("select", INBOX, False).remove([3]))
        [answer] = client.say("RETR 3")
        self.assertEqual(answer, "-ERR another session has deleted that message")
        self.retr(client, 4)

    def test_a_message_larger_than_the_bound_is_read_when_it_is_asked_for(self) -> None:
        large = b"Subject: large\r\n\r\n" + b"A long line of some text.\r\n" * 100
        self.deliver(INBOX, large, MAIL[0])
        client = self.client()
        for number in (39, 40):
            self.retr(client, number)
        self.assertEqual(self.asked, [[39], [40]])
        client.send(b"RETR 41\r\n")
        self.assertEqual(client.heard(), b"+OK %d octets\r\n%b.\r\n" % (len(large), large))
        self.assertEqual(self.asked, [[39], [40], [41]])
