"""The configuration file and the command line: what they mean, and what each mistake says."""

from __future__ import annotations

import contextlib
import io
from pathlib import Path

import attrs
from twisted.trial.unittest import SynchronousTestCase

from tests.service.support import directory
from twisted_duck import __version__
from twisted_duck.limits import Limits
from twisted_duck.service.config import ConfigError, Settings, load
from twisted_duck.service.options import Options
from twisted_duck.service.policies import DEFAULT_POLICIES


class Case(SynchronousTestCase):
    def setUp(self) -> None:
        self.file = directory(self) / "duckmail.toml"

    def load(self, text: str, **options: object) -> Settings:
        self.file.write_text(text)
        return load(self.file, {key.replace("__", "."): value for key, value in options.items()})

    def refused(self, text: str) -> str:
        """The mistake in a file, without the file's name, which it begins with."""
        said = str(self.assertRaises(ConfigError, self.load, text))
        self.assertTrue(said.startswith(str(self.file)), said)
        self.assertNotIn("\n", said)
        return said.removeprefix(str(self.file)).removeprefix(": ")


class FileTests(Case):
    def test_everything(self) -> None:
        settings = self.load(
            """
            data_dir = "data"
            demo = true
            on_deadline = "admit"
            [mongo]
            uri = "mongodb://db/duckmail"
            [listen]
            imap = ["tcp:143", "tcp6:143"]
            imaps = ["tcp:993"]
            [tls]
            certificate = "chain.pem"
            key = "/etc/key.pem"
            [auth]
            cleartext = "loopback"
            scram = false
            cache = 0
            [imap]
            utf8 = true
            [pop3]
            delete = "trash"
            retr_sets_seen = true
            [lmtp]
            starttls = true
            hostname = "mx.example.org"
            spam_header = "X-Spam: Yes"
            ignore_dots = false
            [limits]
            message = 1000
            """
        )
        self.assertEqual(settings.data_dir, self.file.parent / "data")
        self.assertIs(settings.demo, True)
        self.assertEqual(settings.mongo_uri, "mongodb://db/duckmail")
        self.assertEqual(
            [(each.option, each.endpoint, each.tls) for each in settings.listeners],
            [
                ("listen.imap", "tcp:143", False),
                ("listen.imap", "tcp6:143", False),
                ("listen.imaps", "tcp:993", True),
            ],
        )
        self.assertEqual(settings.certificate, self.file.parent / "chain.pem")
        self.assertEqual(settings.key, Path("/etc/key.pem"))
        self.assertEqual(settings.cleartext_auth, "loopback")
        self.assertFalse(settings.scram)
        self.assertEqual(settings.auth_cache, 0)
        self.assertTrue(settings.imap_utf8)
        self.assertEqual((settings.pop3_delete, settings.pop3_retr_sets_seen), ("trash", True))
        self.assertEqual(
            (settings.lmtp_starttls, settings.lmtp_ignore_dots, settings.lmtp_hostname),
            (True, False, "mx.example.org"),
        )
        self.assertEqual(settings.lmtp_spam_header, "X-Spam: Yes")
        self.assertEqual(settings.limits, attrs.evolve(Limits(), message=1000))
        self.assertEqual(settings.on_deadline, "admit")

    def test_nothing(self) -> None:
        """The loopback, ports without privilege, TLS there too, no password in clear."""
        settings = self.load("")
        self.assertEqual(
            [(each.option, each.endpoint) for each in settings.listeners],
            [
                ("the default", "tcp:1143:interface=127.0.0.1"),
                ("the default", "tcp:1993:interface=127.0.0.1"),
                ("the default", "tcp:1110:interface=127.0.0.1"),
                ("the default", "tcp:1995:interface=127.0.0.1"),
            ],
        )
        self.assertIsNone(settings.mongo_uri)
        self.assertEqual(settings.cleartext_auth, "never")
        self.assertTrue(settings.scram)
        self.assertEqual(settings.auth_cache, 60)
        self.assertFalse(settings.imap_utf8)
        self.assertEqual(settings.limits, Limits())

    def test_what_lmtp_may_be_called(self) -> None:
        for name in ("mx", "mx1.example.org", "[192.0.2.1]", "[IPv6:2001:db8::1]"):
            self.assertEqual(self.load(f"[lmtp]\nhostname = '{name}'").lmtp_hostname, name)

    def test_command_line_wins(self) -> None:
        settings = self.load(
            'demo = false\n[listen]\nimap = ["tcp:1"]', demo=True, listen__imap=["tcp:2"]
        )
        self.assertIs(settings.demo, True)
        self.assertEqual(
            [(each.option, each.endpoint) for each in settings.listeners], [("--imap", "tcp:2")]
        )

    def test_an_endpoint_is_the_same_wherever_it_was_written(self) -> None:
        """What needs a start is told at a reload by what is different."""
        written = self.load('[listen]\nimap = ["tcp:143"]').listeners
        given = self.load("", listen__imap=["tcp:143"]).listeners
        self.assertEqual(written, given)

    def test_key_in_the_certificates_file(self) -> None:
        settings = self.load('[tls]\ncertificate = "both.pem"')
        self.assertEqual(settings.key, settings.certificate)

    def test_secrets_are_not_shown(self) -> None:
        settings = self.load('[mongo]\nuri = "mongodb://u:secret@db/"')
        self.assertNotIn("secret", repr(settings))

    def test_unknown_keys(self) -> None:
        for text, said in [
            ("data_dri = 'x'", "unknown key data_dri; did you mean data_dir?"),
            ("[mongo]\nurl = 'x'", "unknown key mongo.url; did you mean mongo.uri?"),
            ("[mnogo]\nuri = 'x'", "unknown key mnogo; did you mean mongo?"),
            ("[limits]\nmesage = 1", "unknown key limits.mesage; did you mean limits.message?"),
            ("imaps = ['tcp:1']", "unknown key imaps; did you mean listen.imaps?"),
            ("qqqqqqqqqq = 1", "unknown key qqqqqqqqqq; remove it"),
        ]:
            self.assertEqual(self.refused(text), said)

    def test_bad_values(self) -> None:
        for text, said in [
            ("demo = 1", "demo must be true or false"),
            ("on_deadline = 'wait'", "on_deadline must be one of 'refuse', 'admit'"),
            ("data_dir = 3", "data_dir must be the name of a file or directory"),
            ("mongo = 'mongodb://db'", "mongo must be a table, written [mongo]"),
            ("[limits]\nmessage = '1'", "limits.message must be a whole number above 0"),
            ("[pop3]\ndelete = 'keep'", "pop3.delete must be one of 'delete', 'trash'"),
            (
                "[lmtp]\nspam_header = 'X Spam'",
                "lmtp.spam_header must be the name of a header field and its value, as X-Spam-Flag: YES",
            ),
            ("[limits]\nmessage = true", "limits.message must be a whole number above 0"),
            (
                "[limits]\nhashing_threads = 1" + "0" * 24,
                "limits.hashing_threads must be at most 1,099,511,627,776",
            ),
            (
                "[listen]\nimap = ['']",
                "listen.imap must not be empty; give a Twisted endpoint string, as tcp:143",
            ),
            *(
                (
                    f"[auth]\ncache = {bad}",
                    "auth.cache must be a number of seconds from 0 to 1,099,511,627,776",
                )
                for bad in ("-1", "true", "nan", "'1'", "1e13")
            ),
            *(
                (
                    f"[lmtp]\nhostname = {bad!r}",
                    "lmtp.hostname must be the name of a host, as mx.example.org, or its address, as [192.0.2.1]",
                )
                for bad in ("a b", "mx.example.org.", "a_b", "ü.example", "192.0.2.1]", "[mx]")
            ),
            *(
                (
                    f"[listen]\nimap = ['tcp:143', '{bad}']",
                    f"listen.imap has '{bad}', and a port is a number from 0 to 65535",
                )
                for bad in (
                    "tcp:99999",
                    "tcp6:-1",
                    "tcp:interface=127.0.0.1:port=65536",
                    "tcp:" + "1" * 20,
                )
            ),
            ("[limits]\nmessage = 0", "limits.message must be a whole number above 0"),
            (
                "[listen]\nimap = 'tcp:1'",
                'listen.imap must be a list of Twisted endpoint strings, as ["tcp:143"]',
            ),
            (
                "[auth]\ncleartext = true",
                "auth.cleartext must be one of 'never', 'loopback', 'always'",
            ),
        ]:
            self.assertEqual(self.refused(text), said)

    def test_bad_uri_is_not_repeated(self) -> None:
        said = self.refused("[mongo]\nuri = 'mongo://user:secret@db'")
        self.assertIn("mongo.uri must be a MongoDB URI", said)
        self.assertNotIn("secret", said)

    def test_not_toml(self) -> None:
        self.assertIn("is not TOML: ", self.refused("data_dir ="))
        self.file.write_bytes(b"\xff")
        self.assertIn("is not TOML", str(self.assertRaises(ConfigError, load, self.file, {})))

    def test_no_file(self) -> None:
        said = str(self.assertRaises(ConfigError, load, Path("/no/such.toml"), {}))
        self.assertEqual(
            said, "cannot read the configuration file /no/such.toml: No such file or directory"
        )

    def test_proxies(self) -> None:
        settings = self.load(
            """
            [listen]
            imaps = ["tcp:993"]
            [proxy]
            networks = ["192.0.2.1", "2001:db8::/32"]
            imaps = ["tcp:10993"]
            lmtp = ["tcp:10024"]
            """
        )
        self.assertEqual(
            [(each.option, each.endpoint, each.tls) for each in settings.listeners],
            [
                ("listen.imaps", "tcp:993", True),
                ("proxy.imaps", "tcp:10993", True),
                ("proxy.lmtp", "tcp:10024", False),
            ],
        )
        self.assertEqual(
            [str(each) for each in settings.proxy_networks], ["192.0.2.1/32", "2001:db8::/32"]
        )

    def test_policies(self) -> None:
        text = """
            [[policy]]
            kind = "connection-limit"
            [[policy]]
            kind = "user-limit"
            most = 3
            delay = 9
            protocols = ["imap", "pop3"]
            """
        limit, users = self.load(text).policies
        self.assertEqual(
            (limit.kind, dict(limit.options), limit.delay), ("connection-limit", {}, None)
        )
        self.assertEqual((dict(users.options), users.delay), ({"most": 3}, 9))
        self.assertEqual(users.protocols, {"IMAP", "POP3"})
        # How a table is the same when it is read again.
        self.assertEqual(self.load(text).policies, (limit, users))
        self.assertEqual(self.load("").policies, DEFAULT_POLICIES)
        self.assertEqual(self.load("policy = []").policies, ())

    def test_bad_policies_and_proxies(self) -> None:
        """What a policy's own table may have wrong is in test_policies."""
        for text, said in [
            ("[[policy]]\nkind = 'bnas'", "policy 1 (bnas): unknown kind bnas; did you mean bans?"),
            (
                "[policy]\nkind = 'bans'",
                "policy must be one or more tables, each written [[policy]]",
            ),
            ("[[polcy]]\nkind = 'bans'", "unknown key polcy; did you mean policy?"),
            (
                "[proxy]\nimap = ['unix:/run/imap']",
                "proxy.imap must not be a UNIX socket: who connects there is in none of the networks",
            ),
            ("[proxy]\nnetwork = []", "unknown key proxy.network; did you mean proxy.networks?"),
        ]:
            self.assertEqual(self.refused(text), said)

    def test_contradictions(self) -> None:
        for text, said in [
            ("[tls]\nkey = 'x'", "tls.certificate is not"),
            ("[mongo]\nuri = 'mongodb://db'\nmongod = 'x'", "both set"),
            ("[proxy]\nimap = ['tcp:1']", "proxy.networks is not set: say where the proxies are"),
            ("[proxy]\nnetworks = ['192.0.2.1']", "nothing listens to proxies: give endpoints"),
            (
                "[listen]\nlmtp = ['tcp:25:interface=127.0.0.1']",
                "listen.lmtp tcp:25:interface=127.0.0.1: ",
            ),
            (
                "[[policy]]\nkind = 'bans'\ndelay = 10",
                "policy 1 (bans): delay must be less than limits.on_connect and"
                " limits.on_authenticated, 10 seconds",
            ),
        ]:
            self.assertIn(said, str(self.assertRaises(ConfigError, self.load, text)))


class OptionsTests(SynchronousTestCase):
    def settings(self, *argv: str) -> Settings:
        options = Options()
        options.parseOptions(argv)
        return options.settings()

    def test_endpoints(self) -> None:
        settings = self.settings("--imap", "tcp:1", "--imaps", "tcp:2", "--imap", "tcp:3")
        self.assertEqual(
            [(each.option, each.endpoint) for each in settings.listeners],
            [("--imap", "tcp:1"), ("--imap", "tcp:3"), ("--imaps", "tcp:2")],
        )

    def test_flags(self) -> None:
        settings = self.settings("--demo", "--allow-cleartext-auth", "--data-dir", "/d")
        self.assertIs(settings.demo, True)
        self.assertEqual(settings.cleartext_auth, "always")
        self.assertEqual(settings.data_dir, Path("/d"))

    def test_bad_value_names_the_option(self) -> None:
        error = self.assertRaises(ConfigError, self.settings, "--mongo", "db1")
        self.assertTrue(str(error).startswith("--mongo must be a MongoDB URI"))

    def test_help(self) -> None:
        """Every option is there, with what it does."""
        text = str(Options())
        for option in ("config", "mongo", "data-dir", "imap", "imaps", "demo", "certificate"):
            self.assertRegex(text, rf"--{option}=? +\S")
        for heading in ("Configuration file", "Examples:", "Exit status:"):
            self.assertIn(heading, text)

    def test_version(self) -> None:
        """Of this project, not of Twisted."""
        said = io.StringIO()
        with contextlib.redirect_stdout(said):
            self.assertRaises(SystemExit, Options().parseOptions, ["--version"])
        self.assertEqual(said.getvalue(), f"Twisted Duck {__version__}\n")

    def test_help_example_is_a_configuration(self) -> None:
        lines = str(Options()).partition("Configuration file")[2].partition("Examples:")[0]
        example = "\n".join(each for each in lines.splitlines() if each.startswith("    "))
        file = directory(self) / "duckmail.toml"
        file.write_text(example)
        settings = load(file, {})
        self.assertEqual((len(settings.listeners), len(settings.policies)), (5, 6))
