"""imapflow (npm): IMAP for Node.js; it enables CONDSTORE and QRESYNC by itself, and whatever else it knows."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

from tests.clients.server import PASSWORD, USER, ServerTestCase

#: The newest one whose dependencies ask for no newer Node.js than 20.
IMAPFLOW = "imapflow@1.7.8"
SCRIPT = Path(__file__).with_name("imapflow_session.cjs")


class ImapflowTests(ServerTestCase):
    #: The package comes from the network.
    timeout = 180

    async def test_it_sees_what_others_do_and_what_it_missed(self) -> None:
        there = self.directory / "npm"
        there.mkdir()
        quietly = ("--no-audit", "--no-fund", "--ignore-scripts", "--loglevel=error")
        # It would go on trying for longer than the test may take; so the test can say what was wrong.
        install = ("npm", "install", *quietly, "--fetch-retries=1", "--fetch-retry-mintimeout=1000")
        await self.run_program(*install, "--prefix", str(there), IMAPFLOW)
        script = shutil.copy(SCRIPT, there)
        port, certificate = self.server.ports["imaps"], self.certificate
        done = await self.run_program("node", script, str(port), USER, PASSWORD, str(certificate))
        said = json.loads(done.stdout)

        self.assertLessEqual({"CONDSTORE", "QRESYNC"}, set(said["enabled"]))
        self.assertEqual(said["appended"], [1, 2, 3, 4, 5, 6])
        self.assertEqual(said["exists"], 6)
        highest = said["highest"]
        self.assertEqual(
            said["all"],
            [
                {
                    "seq": number,
                    "uid": number,
                    "flags": [] if number % 2 else ["\\Seen"],
                    "modseq": highest - 6 + number,
                }
                for number in range(1, 7)
            ],
        )
        self.assertEqual(
            said["downloaded"], "From: ada@example.org\r\nSubject: message 2\r\n\r\ntext 2\r\n"
        )
        self.assertEqual(said["searched"], [6])

        second = {"seq": 2, "uid": 2, "flags": ["\\Flagged", "\\Seen"], "modseq": highest + 1}
        self.assertEqual(said["first"], [])
        self.assertEqual(said["second"], ["MODIFIED", "2"])
        self.assertIs(said["misplaced"], False)
        self.assertEqual(said["conditional"], [second])
        self.assertEqual(said["changed"], [second])

        third = {"seq": 3, "uid": 3, "flags": ["\\Flagged"], "modseq": highest + 2}
        self.assertEqual(said["flags"], third)
        self.assertEqual(said["grown"], {"count": 7, "prevCount": 6})
        told = {name: said["vanished"][name] for name in ("uid", "vanished", "earlier")}
        self.assertEqual(told, {"uid": 4, "vanished": True, "earlier": False})

        self.assertIs(said["qresync"], True)
        self.assertEqual(said["missed"]["gone"], [[4, True], [5, True]])
        self.assertEqual([each["uid"] for each in said["missed"]["flags"]], [2, 3, 7])
        self.assertEqual([each["uid"] for each in said["left"]], [1, 2, 3, 6, 7])
