"""What the server says when it starts."""

from __future__ import annotations

import re

from tests.clients.server import ServerTestCase


class StartTests(ServerTestCase):
    async def test_says_where_it_listens_and_nothing_of_the_driver(self) -> None:
        said = [re.sub(r"^\S+ \[\S+\] ", "", line) for line in self.server.log.splitlines()]
        for name, title in (("imap", "IMAP"), ("imaps", "IMAP with TLS")):
            self.assertIn(f"{title} on 127.0.0.1:{self.server.ports[name]}", said)
        self.assertEqual([line for line in said if re.search("mongo|Traceback", line, re.I)], [])
