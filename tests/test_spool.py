"""Where an arriving message is kept."""

from __future__ import annotations

import mmap
import os
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from twisted_duck.limits import Limits
from twisted_duck.spool import Spool

LIMITS = Limits(spool_memory=1_000)


class SpoolTests(SynchronousTestCase):
    def spool(self) -> Spool:
        self.directory = Path(self.mktemp())
        self.directory.mkdir()
        spool = Spool(LIMITS, str(self.directory))
        self.addCleanup(spool.close)
        return spool

    def test_what_was_written_is_read(self) -> None:
        for size in (0, 1, 999, 1_000, 1_001, 5_000):
            data = bytes(n % 251 + 1 for n in range(size))
            spool = self.spool()
            for at in range(0, size, 77):
                spool.write(data[at : at + 77])
            spool.finish()
            self.assertEqual(spool.size, size)
            self.assertEqual(bytes(spool.data), data)
            self.assertEqual(spool.data[size // 3 : size // 2], data[size // 3 : size // 2])

    def test_long_message_is_a_mapped_file_that_has_no_name(self) -> None:
        spool = self.spool()
        spool.write(b"x" * 1_000)
        spool.write(memoryview(b"y"))
        spool.finish()
        self.assertIsInstance(spool.data, mmap.mmap)
        self.assertEqual(os.listdir(self.directory), [])
        self.assertEqual(spool.data.find(b"y"), 1_000)

    def test_long_message_has_one_descriptor(self) -> None:
        before = len(os.listdir("/proc/self/fd"))
        for _ in range(5):
            spool = self.spool()
            spool.write(b"x" * 2_000)
            spool.finish()
        self.assertEqual(len(os.listdir("/proc/self/fd")), before + 5)

    def test_short_message_is_in_memory(self) -> None:
        spool = self.spool()
        spool.write(b"x" * 1_000)
        spool.finish()
        self.assertIsInstance(spool.data, bytes)

    def test_nul_is_noticed_wherever_it_is(self) -> None:
        for before in (0, 500, 3_000):
            spool = self.spool()
            spool.write(b"x" * before)
            self.assertFalse(spool.has_nul)
            spool.write(memoryview(b"a\0b"))
            spool.write(b"x")
            self.assertTrue(spool.has_nul)

    def test_data_is_there_from_finish_to_close(self) -> None:
        for size in (10, 5_000):
            spool = self.spool()
            spool.write(b"x" * size)
            self.assertRaises(ValueError, lambda spool=spool: spool.data)  # type: ignore[misc]
            spool.finish()
            self.assertEqual(len(spool.data), size)
            spool.close()
            spool.close()
            self.assertRaises(ValueError, lambda spool=spool: spool.data)  # type: ignore[misc]

    def test_finish_twice_loses_nothing(self) -> None:
        for size in (10, 5_000):
            spool = self.spool()
            spool.write(b"x" * size)
            spool.finish()
            spool.finish()
            self.assertEqual(len(spool.data), size)

    def test_nothing_is_written_after_finish(self) -> None:
        for size in (10, 5_000):
            spool = self.spool()
            spool.write(b"x" * size)
            spool.finish()
            self.assertRaises(ValueError, spool.write, b"more")
            self.assertEqual((spool.size, len(spool.data)), (size, size))

    def test_close_while_it_is_written(self) -> None:
        for size in (10, 5_000):
            spool = self.spool()
            spool.write(b"x" * size)
            spool.close()
            self.assertRaises(ValueError, lambda spool=spool: spool.data)  # type: ignore[misc]

    def test_of_bytes(self) -> None:
        self.assertEqual(Spool.of(b"abc").data, b"abc")
        self.assertEqual(Spool.of(b"").data, b"")
        long = Spool.of(b"x" * 1_001, LIMITS)
        self.addCleanup(long.close)
        self.assertIsInstance(long.data, mmap.mmap)
