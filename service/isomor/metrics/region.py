"""A worker's numbers in memory that the other workers can read: doubles at fixed places, each with its key beside it.

A region is only ever added to: first the row, then the length that makes it count, so that who reads never sees half a
row. Its numbers outlive the worker: one that takes a dead one's place goes on where that has stopped.
"""

from __future__ import annotations

import json
import mmap
import os
import tempfile
import zlib
from collections.abc import Iterator
from typing import Final

from .table import BOUNDS, METRICS

# Address space, not memory: the system gives a page once something is written to it.
REGION_BYTES: Final = 16 * 1024 * 1024

# Words of the head: which table the region was made by, how many words are in use, and the process that writes it.
_STAMP, _USED, _PID, _HEAD = 0, 1, 2, 3
# Words before a row's key: the checksum and the length of the key, and how many numbers follow it.
_CHECK, _LENGTH, _SIZE, _ROW = 0, 1, 2, 3

# What is kept for the rows that stand for all others, once the region is full.
_RESERVE: Final = 1024

_TABLE: Final = float(zlib.crc32(repr((METRICS, BOUNDS)).encode()))

Key = tuple[str, ...]  # the metric's name and the values of its labels


class Region:
    """See the module. One process writes, on one thread; any may read.

    Attributes:
        values: the numbers, by their place.
    """

    def __init__(self, memory: memoryview) -> None:
        """A view of `memory`, bytes whose length is a multiple of 8: zeros, or a region that is there already."""
        self._bytes = memory
        self.values = memory.cast("d")
        self._words = len(self.values)

    def begin(self) -> None:
        """Make it ours to write. What an earlier worker has counted stays, if it counted by the same table."""
        if self.values[_STAMP] != _TABLE:
            self.values[_USED] = _HEAD
            self.values[_STAMP] = _TABLE
        self.values[_PID] = 0.0

    @property
    def pid(self) -> int:
        """The process that writes it and serves; 0: none yet."""
        return int(self.values[_PID])

    @pid.setter
    def pid(self, pid: int) -> None:
        self.values[_PID] = pid

    @property
    def alive(self) -> bool:
        """Whether the process that writes it is there. One that has died is, until its parent has noticed."""
        pid = self.pid
        if not pid or self.values[_STAMP] != _TABLE:
            return False
        try:
            os.kill(pid, 0)
        except OSError:
            return False
        return True

    def add(self, key: Key, size: int, *, reserved: bool = False) -> int | None:
        """The place of the first of `size` new numbers, all 0; None where there is no room.

        Args:
            key: what they are called, for those who read.
            size: how many.
            reserved: whether to take of what is kept for the rows that stand for all others.
        """
        values = self.values
        text = json.dumps(key).encode()
        at = int(values[_USED])
        first = at + _ROW + (len(text) + 7) // 8
        end = first + size
        if end > self._words - (0 if reserved else min(_RESERVE, self._words // 2)):
            return None
        values[at + _CHECK] = zlib.crc32(text)
        values[at + _LENGTH] = len(text)
        values[at + _SIZE] = size
        self._bytes[(at + _ROW) * 8 : (at + _ROW) * 8 + len(text)] = text
        for place in range(first, end):
            values[place] = 0.0  # a worker may have been killed just here
        values[_USED] = end
        return first

    def rows(self, at: int = _HEAD) -> Iterator[tuple[Key, int, int, int]]:
        """The rows from `at` on: key, place of the first number, how many numbers, and where the next row begins."""
        values = self.values
        if values[_STAMP] != _TABLE:
            return  # nobody has begun it, or a worker of another version
        used = int(values[_USED])
        while at < used:
            length, size = int(values[at + _LENGTH]), int(values[at + _SIZE])
            text = bytes(self._bytes[(at + _ROW) * 8 : (at + _ROW) * 8 + length])
            if zlib.crc32(text) != values[at + _CHECK] or not text:
                return  # not every processor shows writes in their order: it will be there next time
            first = at + _ROW + (length + 7) // 8
            at = first + size
            yield tuple(json.loads(text)), first, size, at


def alone(size: int = REGION_BYTES) -> Region:
    """The region of a process that has no others beside it."""
    return Region(memoryview(mmap.mmap(-1, size)))


def make_file(count: int) -> int:
    """The descriptor of a new file without a name, for the regions of `count` workers; to be closed by the caller.

    Raises:
        OSError: if there is no room for one anywhere.
    """
    try:
        descriptor = os.memfd_create("isomor-metrics")  # it needs no folder that can be written to
    except (AttributeError, OSError):
        with tempfile.TemporaryFile() as file:
            descriptor = os.dup(file.fileno())
    try:
        os.ftruncate(descriptor, count * REGION_BYTES)
    except OSError:
        os.close(descriptor)
        raise
    return descriptor


def open_file(descriptor: int, count: int) -> list[Region]:
    """The regions in a file that `make_file` has made. The descriptor is closed."""
    try:
        memory = memoryview(mmap.mmap(descriptor, count * REGION_BYTES))
    finally:
        os.close(descriptor)
    return [Region(memory[start : start + REGION_BYTES]) for start in range(0, count * REGION_BYTES, REGION_BYTES)]
