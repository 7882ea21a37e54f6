"""The commands on a real store: what they say, what they do, and with which status they end."""

from __future__ import annotations

import mailbox as stdlib_mailbox
import re
from pathlib import Path
from typing import Any

from twisted.internet import reactor
from twisted.internet.defer import CancelledError, Deferred
from twisted.trial.unittest import SynchronousTestCase, TestCase

from tests import mongo
from tests.cli.support import DATE, Said, mail, put
from twisted_duck import errors
from twisted_duck.auth.passwords import verify_password
from twisted_duck.cli import console, parser, run
from twisted_duck.cli.commands import check as check_command
from twisted_duck.cli.importing import Importer
from twisted_duck.store.checker import Finding
from twisted_duck.store.store import MailStore


class CommandCase(TestCase):
    """`duck(...)` runs a command on a database of the test's own."""

    async def setUp(self) -> None:
        self.uri = await mongo.database(self)
        self.path = Path(self.mktemp())

    async def duck(
        self, *words: str, typed: str = "", terminal: bool = False, status: int = 0
    ) -> Said:
        said = Said()
        arguments = parser().parse_args([*words, "--mongo", self.uri])
        with said.listening(typed, terminal):
            self.assertEqual(await run(reactor, arguments), status, said.err)
        return said

    async def fails(self, *words: str, typed: str = "", terminal: bool = False) -> str:
        """The one line that is said about it."""
        said = await self.duck(*words, typed=typed, terminal=terminal, status=console.FAILED)
        self.assertEqual(said.out, "")
        (line,) = said.err.splitlines()
        return line

    async def store(self) -> MailStore:
        store = MailStore(self.uri, reactor=reactor)
        await store.open()
        self.addCleanup(lambda: Deferred.fromCoroutine(store.close()))
        return store


class AddressTests(CommandCase):
    async def test_addresses(self) -> None:
        await self.duck("user", "add", "tim@example.org", "--password", "secret")
        said = await self.duck("address", "add", "TIM@example.org", "Info@Example.org")
        self.assertEqual(said.out, "user TIM@example.org has the address info@example.org\n")
        await self.duck("address", "add", "tim@example.org", "*@example.net")
        listed = (
            "*@example.net\ttim@example.org\n"
            "info@example.org\ttim@example.org\n"
            "tim@example.org\ttim@example.org\n"
        )
        self.assertEqual((await self.duck("address", "list")).out, listed)
        self.assertEqual((await self.duck("address", "list", "Tim@example.org")).out, listed)
        said = await self.duck("address", "remove", "INFO@example.org")
        self.assertEqual(said.out, "the address info@example.org was removed\n")
        for words, why in [
            (("add", "tim@example.org", "*@example.net"), "is tim@example.org's already"),
            (("add", "tim@example.org", "no address"), "is not a mail address"),
            (("add", "tom", "x@example.org"), "there is no user 'tom'"),
            (("remove", "info@example.org"), "is nobody's"),
            (("remove", "tim@example.org"), "is the name of the user"),
            (("list", "tom"), "there is no user 'tom'"),
        ]:
            self.assertIn(why, await self.fails("address", *words))

    async def test_domains(self) -> None:
        said = await self.duck("domain", "alias", "Example.net", "example.org")
        self.assertEqual(said.out, "example.net is an alias of example.org\n")
        self.assertEqual((await self.duck("domain", "list")).out, "example.net\texample.org\n")
        self.assertIn("already", await self.fails("domain", "alias", "example.net", "b.example"))
        said = await self.duck("domain", "unalias", "example.net")
        self.assertEqual(said.out, "example.net is no alias any more\n")
        self.assertEqual((await self.duck("domain", "list")).out, "")


class BanTests(CommandCase):
    async def ban(self, *networks: str) -> None:
        store = await self.store()
        for seconds, network in enumerate(networks, 60):
            await store.bans.ban(network, "20 wrong passwords", seconds)

    async def test_listed_in_the_order_in_which_they_end(self) -> None:
        self.assertEqual((await self.duck("bans", "list")).out, "")
        await self.ban("2001:db8::/64", "192.0.2.1/32")
        said = await self.duck("bans", "list")
        end = r"\t20 wrong passwords\t[-\d]{10} [:\d]{8} UTC\n"
        self.assertRegex(said.out, re.compile(rf"2001:db8::/64{end}192\.0\.2\.1/32{end}\Z"))
        self.assertEqual(said.err, "")

    async def test_lifted(self) -> None:
        await self.ban("192.0.2.1/32", "192.0.2.2/32", "198.51.100.7/32", "2001:db8::/64")
        for given, lifted in [
            ("::ffff:198.51.100.7", ["198.51.100.7/32"]),
            ("2001:db8::ffff", ["2001:db8::/64"]),
            # The host's address in place of the network's.
            ("192.0.2.9/24", ["192.0.2.1/32", "192.0.2.2/32"]),
        ]:
            said = await self.duck("bans", "lift", given)
            lines = "".join(f"the ban of {network} was lifted\n" for network in lifted)
            self.assertEqual((said.out, said.err), (lines, ""))
        self.assertEqual((await self.duck("bans", "list")).out, "")

    async def test_what_can_not_be_lifted(self) -> None:
        await self.ban("192.0.2.1/32")
        for given, why in [
            ("192.0.2.2", "192.0.2.2 is not banned; nothing was changed"),
            ("ada", "'ada' is no address and no network"),
            ("192.0.2.0/33", "'192.0.2.0/33' is no address and no network"),
        ]:
            self.assertEqual(await self.fails("bans", "lift", given), f"duckmail: {why}")
        self.assertIn("192.0.2.1", (await self.duck("bans", "list")).out)


class UserTests(CommandCase):
    async def test_add_list_and_show(self) -> None:
        said = await self.duck("user", "add", "tim@example.org", "--password", "secret")
        self.assertEqual(said.out, "user tim@example.org was made\n")
        await self.duck("user", "add", "ann", "--password", "secret")
        said = await self.duck("user", "list")
        self.assertEqual(said.out, "ann\tactive\t0 B\tnone\ntim@example.org\tactive\t0 B\tnone\n")
        said = await self.duck("user", "show", "TIM@example.org")
        self.assertRegex(
            said.out,
            re.compile(
                r"name:    tim@example\.org\nstate:   active\nscram:   yes\ncreated: [-\d]{10} [:\d]{8} UTC\n"
                r"mail:    0 B\nquota:   none\nmailboxes:\n"
                r"(  \w+: 0 messages, 0 unseen\n){6}\Z"
            ),
        )
        self.assertEqual(said.err, "")

    async def test_whether_a_user_can_log_in_by_scram_where_that_is_wanted(self) -> None:
        file = self.path / "duckmail.toml"
        put(file, b"[auth]\nscram = false\n")
        config = ("--config", str(file))
        await self.duck("user", "add", "tim", "--password", "secret", *config)
        self.assertNotIn("scram:", (await self.duck("user", "show", "tim", *config)).out)
        said = await self.duck("user", "show", "tim")
        self.assertIn("\nscram:   from the next login by password on\n", said.out)
        await self.duck("user", "passwd", "tim", "--password", "secret")
        said = await self.duck("user", "show", "tim")
        self.assertIn("\nscram:   yes\n", said.out)

    async def logs_in(self, password: str) -> bool:
        record = await (await self.store()).users.find("tim")
        assert record is not None
        assert record.password_hash is not None
        return verify_password(password, record.password_hash)

    async def test_a_password_from_standard_input(self) -> None:
        await self.duck("user", "add", "tim", typed="  sécret \nnot this\n")
        self.assertTrue(await self.logs_in("  sécret "))

    async def test_a_password_typed_twice(self) -> None:
        typed = iter(["one", "one"])
        self.patch(console, "getpass", lambda prompt: next(typed))
        await self.duck("user", "add", "tim", terminal=True)
        self.assertTrue(await self.logs_in("one"))

    async def test_two_passwords_that_differ(self) -> None:
        typed = iter(["one", "two"])
        self.patch(console, "getpass", lambda prompt: next(typed))
        self.assertIn("differ", await self.fails("user", "add", "tim", terminal=True))
        self.assertEqual((await self.duck("user", "list")).out, "")

    async def test_passwords_nobody_could_log_in_with(self) -> None:
        for password in ("", "a\0b", "\udcff"):
            line = await self.fails("user", "add", "tim", "--password", password)
            self.assertTrue(line.startswith("duckmail: "), line)

    async def test_another_password(self) -> None:
        await self.duck("user", "add", "tim", "--password", "old")
        await self.duck("user", "passwd", "tim", typed="new\n")
        self.assertEqual([await self.logs_in("old"), await self.logs_in("new")], [False, True])

    async def test_disable_and_enable(self) -> None:
        await self.duck("user", "add", "tim", "--password", "secret")
        await self.duck("user", "disable", "tim")
        self.assertEqual((await self.duck("user", "list")).out, "tim\tdisabled\t0 B\tnone\n")
        await self.duck("user", "enable", "tim")
        self.assertEqual((await self.duck("user", "list")).out, "tim\tactive\t0 B\tnone\n")

    async def test_uidvalidity_of_one_and_of_all(self) -> None:
        for name in ("ann", "tim"):
            await self.duck("user", "add", name, "--password", "secret")
        store = await self.store()

        async def told(name: str) -> int:
            return (await (await store.account(name)).status("INBOX")).uidvalidity

        first = [await told("ann"), await told("tim")]
        said = await self.duck("user", "uidvalidity", "Tim")
        self.assertEqual(said.out, "6 mailboxes of 1 user have new UIDVALIDITYs\n")
        second = [await told("ann"), await told("tim")]
        self.assertEqual([second[0] == first[0], second[1] > first[1]], [True, True])
        said = await self.duck("user", "uidvalidity", "--all")
        self.assertEqual(said.out, "12 mailboxes of 2 users have new UIDVALIDITYs\n")
        self.assertGreater(await told("ann"), first[0])
        self.assertGreater(await told("tim"), second[1])
        self.assertIn("nobody", await self.fails("user", "uidvalidity", "nobody"))
        for wrong in ((), ("tim", "--all")):
            with self.assertRaises(SystemExit):
                await self.duck("user", "uidvalidity", *wrong)

    async def test_delete_asks(self) -> None:
        await self.duck("user", "add", "tim", "--password", "secret")
        for typed in ("\n", "no\n", "", "yes please\n"):
            self.assertIn(
                "nothing was changed",
                (
                    await self.duck("user", "delete", "tim", typed=typed, terminal=True, status=1)
                ).err,
            )
        self.assertIn("--yes", await self.fails("user", "delete", "tim", typed="yes\n"))
        self.assertEqual((await self.duck("user", "list")).out, "tim\tactive\t0 B\tnone\n")
        said = await self.duck("user", "delete", "tim", typed="y\n", terminal=True)
        self.assertIn("Delete user tim and all the user's mail? [y/N]", said.err)
        self.assertEqual((await self.duck("user", "list")).out, "")

    async def test_delete_without_asking(self) -> None:
        await self.duck("user", "add", "tim", "--password", "secret")
        await self.duck("user", "delete", "--yes", "tim")
        self.assertEqual((await self.duck("user", "list")).out, "")

    async def test_a_user_there_is_and_one_there_is_not(self) -> None:
        await self.duck("user", "add", "tim", "--password", "secret")
        self.assertIn("already", await self.fails("user", "add", "Tim", "--password", "x"))
        self.assertIn("name", await self.fails("user", "add", "a b", "--password", "x"))
        for words in (
            ["show", "ann"],
            ["disable", "ann"],
            ["enable", "ann"],
            ["delete", "--yes", "ann"],
            ["delete", "ann"],
            ["passwd", "ann", "--password", "x"],
        ):
            self.assertIn("ann", await self.fails("user", *words))


class MailTests(CommandCase):
    async def setUp(self) -> None:
        await super().setUp()
        await self.duck("user", "add", "tim", "--password", "secret")

    def maildir(self) -> Path:
        put(self.path / "cur/1.a:2,FS", b"Subject: x\n\nbody\n")
        put(self.path / "new/2.b", b"Subject: y\n\nbare CR \r8 bit \xff\n")
        put(self.path / ".Work.2024/cur/3.c:2,a", b"Subject: z\n\n")
        put(self.path / ".Work.2024/dovecot-keywords", b"0 Blue\n")
        return self.path

    async def account(self) -> Any:
        return await (await self.store()).account("tim")

    async def test_import_twice(self) -> None:
        path = str(self.maildir())
        said = await self.duck("import", "maildir", path, "--user", "tim")
        self.assertEqual(
            said.out, "3 messages imported into 2 mailboxes, 0 imported before, 0 skipped\n"
        )
        self.assertEqual(said.err, "")
        said = await self.duck("import", "maildir", path, "--user", "tim")
        self.assertEqual(
            said.out, "0 messages imported into 2 mailboxes, 3 imported before, 0 skipped\n"
        )
        account = await self.account()
        self.assertEqual(
            await mail(account),
            [
                (b"Subject: x\r\n\r\nbody\r\n", {"\\Seen", "\\Flagged"}, DATE),
                (b"Subject: y\r\n\r\nbare CR \r8 bit \xff\r\n", set(), DATE),
            ],
        )
        self.assertEqual(
            await mail(account, "Work/2024"), [(b"Subject: z\r\n\r\n", {"Blue"}, DATE)]
        )

    async def test_two_imports_at_the_same_time(self) -> None:
        """Whichever is first with a message, it is there once."""
        for number in range(300):
            put(self.path / f"cur/{1000 + number}.a:2,", b"%d" % number)
        words = ["import", "maildir", str(self.path), "--user", "tim", "--mongo", self.uri]
        with Said().listening():
            works = [
                Deferred.fromCoroutine(run(reactor, parser().parse_args(words))) for _ in range(2)
            ]
            self.assertEqual([await work for work in works], [0, 0])
        found = [data for data, _, _ in await mail(await self.account())]
        self.assertEqual(sorted(found), sorted(b"%d" % number for number in range(300)))

    async def test_an_import_with_a_bad_message(self) -> None:
        put(self.maildir() / "cur/4.nul", b"\0")
        said = await self.duck("import", "maildir", str(self.path), "--user", "tim", status=3)
        self.assertEqual(
            said.out, "3 messages imported into 2 mailboxes, 0 imported before, 1 skipped\n"
        )
        self.assertIn("4.nul: skipped: ", said.err)

    async def test_an_import_that_is_interrupted_goes_on_the_next_time(self) -> None:
        path = str(self.maildir())
        run_import = Importer.run

        async def interrupted(self: Importer, source: Any, name: str) -> None:
            if name != "INBOX":
                raise CancelledError
            await run_import(self, source, name)

        self.patch(Importer, "run", interrupted)
        said = await self.duck("import", "maildir", path, "--user", "tim", status=130)
        self.assertEqual(
            said.out, "so far: 2 messages imported into 1 mailbox, 0 imported before, 0 skipped\n"
        )
        self.assertIn("run the same command again", said.err)
        self.patch(Importer, "run", run_import)
        said = await self.duck("import", "maildir", path, "--user", "tim")
        self.assertEqual(
            said.out, "1 message imported into 2 mailboxes, 2 imported before, 0 skipped\n"
        )

    async def test_a_maildir_goes_out_as_it_came_in(self) -> None:
        await self.duck(
            "import", "maildir", str(self.maildir()), "--user", "tim", "--mailbox", "Old"
        )
        out = Path(self.mktemp())
        said = await self.duck("export", "maildir", str(out), "--user", "tim", "--mailbox", "Old")
        self.assertEqual(said.out, "3 messages exported from 3 mailboxes, 0 skipped\n")
        self.assertEqual(self.files(out), self.files(self.path))

    def files(self, path: Path) -> list[tuple[str, bytes, str, float]]:
        """Folder, bytes, flags and date of the files in a Maildir."""
        return sorted(
            (
                file.parent.parent.relative_to(path).name,
                file.read_bytes(),
                file.name.partition(":2,")[2],
                file.stat().st_mtime,
            )
            for directory in ("cur", "new")
            for file in path.rglob(f"{directory}/*")
        )

    async def test_export_of_everything(self) -> None:
        await self.duck("import", "maildir", str(self.maildir()), "--user", "tim")
        for form in ("maildir", "mbox"):
            out = Path(self.mktemp())
            said = await self.duck("export", form, str(out), "--user", "tim")
            self.assertEqual(said.out, "3 messages exported from 8 mailboxes, 0 skipped\n")
            await self.duck("user", "add", form, "--password", "secret")
            await self.duck("import", form, str(out), "--user", form)
            there = await (await self.store()).account(form)
            for name in ("INBOX", "Work/2024", "Sent"):
                self.assertEqual(await mail(there, name), await mail(await self.account(), name))

    async def test_what_is_exported_other_programs_read(self) -> None:
        await self.duck("import", "maildir", str(self.maildir()), "--user", "tim")
        maildir, mbox = Path(self.mktemp()), Path(self.mktemp())
        await self.duck("export", "maildir", str(maildir), "--user", "tim")
        await self.duck("export", "mbox", str(mbox), "--user", "tim", "--mailbox", "inbox")
        reader = stdlib_mailbox.Maildir(maildir)
        self.assertEqual(sorted(each["Subject"] for each in reader), ["x", "y"])
        self.assertEqual(len(reader.get_folder("Work.2024")), 1)
        found = stdlib_mailbox.mbox(mbox)
        self.assertEqual(
            [(each["Subject"], each.get_flags()) for each in found], [("x", "ROF"), ("y", "O")]
        )
        found.close()

    async def test_nothing_is_overwritten(self) -> None:
        path = self.maildir()
        for form in ("maildir", "mbox"):
            self.assertIn("not empty", await self.fails("export", form, str(path), "--user", "tim"))
        file = put(self.path / "file")
        line = await self.fails("export", "mbox", str(file), "--user", "tim", "--mailbox", "INBOX")
        self.assertIn("exists already", line)

    async def test_what_is_not_there(self) -> None:
        path = str(self.path)
        self.assertIn("not a Maildir", await self.fails("import", "maildir", path, "--user", "tim"))
        self.assertIn("No such file", await self.fails("import", "mbox", path, "--user", "tim"))
        self.assertIn(
            "no user 'ann'",
            await self.fails("import", "maildir", str(self.maildir()), "--user", "ann"),
        )
        self.assertIn(
            "no user 'ann'", await self.fails("export", "mbox", path + "x", "--user", "ann")
        )
        self.assertIn(
            "'Nowhere'",
            await self.fails("export", "mbox", path + "x", "--user", "tim", "--mailbox", "Nowhere"),
        )


class CheckTests(CommandCase):
    async def test_a_store_in_which_nothing_is_wrong(self) -> None:
        await self.duck("user", "add", "tim", "--password", "secret")
        said = await self.duck("check", "--contents")
        self.assertEqual(
            said.out, "0 messages of 1 user: 0 things are wrong, 0 repaired, 0 pieces of garbage\n"
        )

    async def test_a_wrong_counter_is_found_and_repaired(self) -> None:
        await self.duck("user", "add", "tim", "--password", "secret")
        store = await self.store()
        await store.mongo.run(
            {"update": "users", "updates": [{"q": {"name": "tim"}, "u": {"$set": {"used": 7}}}]}
        )
        said = await self.duck("check", status=3)
        self.assertTrue(
            said.out.startswith("used\ttim: mail is counted as 7 bytes and has 0\n"), said.out
        )
        said = await self.duck("check", "--repair")
        self.assertTrue(
            said.out.startswith("used\ttim: mail is counted as 7 bytes and has 0\trepaired\n"),
            said.out,
        )
        self.assertIn("1 thing is wrong, 1 repaired", said.out)
        await self.duck("check")

    async def test_garbage_is_no_fault(self) -> None:
        async def check(*args: Any, **options: Any) -> Any:
            yield Finding("body-unused", "tim: body 1 is of no message", garbage=True)

        self.patch(check_command, "check", check)
        said = await self.duck("check")
        self.assertEqual(
            said.out, "0 messages of 0 users: 0 things are wrong, 0 repaired, 1 piece of garbage\n"
        )
        said = await self.duck("check", "--garbage")
        self.assertTrue(said.out.startswith("body-unused\ttim: body 1 is of no message\n"))


class FaultTests(SynchronousTestCase):
    """Whatever goes wrong is one line, without a traceback."""

    def fail_with(self, error: BaseException, *words: str) -> tuple[int, str]:
        async def handler(reactor: object, arguments: object) -> int:
            raise error

        arguments = parser().parse_args(["check", *words])
        arguments.handler = handler
        said = Said()
        with said.listening():
            status = self.successResultOf(Deferred.fromCoroutine(run(None, arguments)))
        return status, said.err

    def test_errors_we_know(self) -> None:
        for error, line in (
            (errors.Unavailable("the database is away"), "duckmail: the database is away\n"),
            (console.CommandError("no\nsuch\x1b[1m thing"), "duckmail: no such?[1m thing\n"),
            (FileNotFoundError(2, "No such file", "/x"), "duckmail: /x: No such file\n"),
            (OSError("odd"), "duckmail: odd\n"),
        ):
            self.assertEqual(self.fail_with(error), (1, line))

    def test_a_fault_of_ours(self) -> None:
        status, said = self.fail_with(KeyError("x"))
        self.assertEqual(status, 1)
        self.assertEqual(
            said, "duckmail: a fault of duckmail: KeyError: 'x' (--debug shows where)\n"
        )

    def test_with_debug_it_has_its_traceback(self) -> None:
        self.assertIn("Traceback", self.fail_with(KeyError("x"), "--debug")[1])

    def test_interrupted(self) -> None:
        self.assertEqual(self.fail_with(CancelledError()), (130, "duckmail: interrupted\n"))


class StoreChoiceTests(TestCase):
    async def duck(self, *words: str) -> tuple[int, str]:
        said = Said()
        with said.listening():
            status = await run(reactor, parser().parse_args(words))
        return status, said.err

    async def test_no_store_is_made_by_looking_for_one(self) -> None:
        path = Path(self.mktemp())
        status, said = await self.duck("user", "list", "--data-dir", str(path))
        self.assertEqual(status, 1)
        self.assertIn(f"there is no mail store in {path.absolute()}", said)
        self.assertFalse(path.exists())

    async def test_the_configuration_file_of_the_server(self) -> None:
        file = put(Path(self.mktemp()), b'[mongo]\nuri = "mongodb://127.0.0.1:1/x?replicaSet=rs"\n')
        status, said = await self.duck("user", "list", "--config", str(file), "--mongo", "x")
        self.assertEqual((status, said.count("\n")), (1, 1))
        self.assertIn("--mongo must be a MongoDB URI", said)
        file.write_bytes(b"mongo = 1\n")
        status, said = await self.duck("user", "list", "--config", str(file))
        self.assertEqual((status, said.count("\n")), (1, 1))
        self.assertIn("[mongo]", said)
