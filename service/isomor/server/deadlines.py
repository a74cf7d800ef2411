"""Deadlines of many connections with one timer, and without touching a timer when a message passes."""

from __future__ import annotations

import asyncio
import heapq
from collections.abc import Callable
from itertools import count
from typing import Generic, TypeVar

T = TypeVar("T")


class Deadlines(Generic[T]):
    """Looks at each item when it may be due; what has happened since is read then, not reported as it happens.

    So a message costs nothing here, and an item costs one step of a heap in each of its periods.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, check: Callable[[T], float | None]) -> None:
        """`check` gives the moment to look at the item again, on the loop's clock, or None to drop it."""
        self._loop = loop
        self._check = check
        self._heap: list[tuple[float, int, T]] = []
        self._number = count()  # no two entries compare equal, so items are never compared
        self._timer: asyncio.Handle | None = None
        self._timer_due = 0.0  # not asked of the timer: what is due at once has none on uvloop, but a plain handle

    def add(self, when: float, item: T) -> None:
        """Look at `item` at `when`, on the loop's clock."""
        heapq.heappush(self._heap, (when, next(self._number), item))
        self._arm()

    def stop(self) -> None:
        """Forget everything."""
        self._heap.clear()
        self._arm()

    def _arm(self) -> None:
        first = self._heap[0][0] if self._heap else None
        if self._timer is not None:
            if first is not None and self._timer_due <= first:
                return  # it fires early at the worst, and is then set anew
            self._timer.cancel()
            self._timer = None
        if first is not None:
            self._timer, self._timer_due = self._loop.call_at(first, self._run), first

    def _run(self) -> None:
        self._timer = None
        now = self._loop.time()
        while self._heap and self._heap[0][0] <= now:
            _, _, item = heapq.heappop(self._heap)
            again = self._check(item)
            if again is not None:
                # Never in the past: a check that is never content must not keep the loop here.
                heapq.heappush(self._heap, (max(again, now + 0.001), next(self._number), item))
        self._arm()
