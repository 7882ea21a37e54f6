"""What SORT and THREAD compare, of messages that were stored before it was kept."""

from __future__ import annotations

from tests.store.base import StoreTestCase, simple
from twisted_duck.mime.message import analyse
from twisted_duck.store.schema import MESSAGES

THREADED = (
    b"Subject: Re: pond\r\nFrom: al@x\r\nMessage-ID: <a@x>\r\nReferences: <b@x>\r\n"
    b"Date: 1 Jan 2020 10:00:00 +0000\r\n\r\nquack\r\n"
)


class OldMessagesTests(StoreTestCase):
    async def test_their_headers_are_read_again(self) -> None:
        store = await self.make_store()
        ada = await self.make_user(store)
        contents = [THREADED, simple(1), b"", simple(2)]
        uids = await self.put(ada, "INBOX", *contents)
        await store.mongo.run(
            {
                "update": MESSAGES,
                "updates": [
                    {
                        "q": {"uid": {"$in": uids[:3]}},
                        "u": {"$unset": {"order": 1, "ids": 1}},
                        "multi": True,
                    }
                ],
            }
        )
        mailbox = await ada.select("INBOX", True)
        for wanted in (["order", "ids"], ["order"], ["ids"]):
            brought = [
                message
                async for batch in mailbox.fetch(uids, frozenset(wanted))
                for message in batch
            ]
            expected = map(analyse, contents)
            for message, kept in zip(brought, expected, strict=True):
                self.assertEqual(message.order, kept.order if "order" in wanted else None)
                self.assertEqual(message.ids, kept.ids if "ids" in wanted else None)
