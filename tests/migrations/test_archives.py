"""What earlier states wrote, opened by this one."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from tests.migrations import claims


class FirstTests(claims.ArchiveTests):
    """Before there were SORT, THREAD and previews, and verifiers for SCRAM."""

    archive = "1-first"


class ThreadsTests(claims.ArchiveTests):
    archive = "1-threads"


class FieldsTests(claims.ArchiveTests):
    """The first of version 2."""

    archive = "2-fields"


class SweepsTests(claims.ArchiveTests):
    """The first of version 3; its STOREs are still to be folded (made with DUCKMAIL_TEST_SWEEPS=60)."""

    archive = "3-sweeps"


class CompletenessTests(SynchronousTestCase):
    def test_no_archive_is_left_out(self) -> None:
        there = {path.name.split(".")[0] for path in claims.ARCHIVES.glob("*.bson.gz")}
        known = {FirstTests, ThreadsTests, FieldsTests, SweepsTests}
        self.assertEqual(there, {case.archive for case in known})
