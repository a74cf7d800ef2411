"""Deadlines of many connections with one timer, and without touching a timer when a message passes."""

from __future__ import annotations

import asyncio
import heapq
from collections.abc import Callable
from itertools import count
from typing import Final, Generic, TypeVar

T = TypeVar("T")

# What was dropped leaves a number behind, until it is due or there are more of those than of others; few do not matter.
_SLACK: Final = 64


class Deadlines(Generic[T]):
    """Looks at each item when it may be due; what has happened since is read then, not reported as it happens.

    So a message costs nothing here, and an item costs one step of a heap in each of its periods.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, check: Callable[[T], float | None]) -> None:
        """`check` gives the moment to look at the item again, on the loop's clock, or None to drop it."""
        self._loop = loop
        self._check = check
        self._heap: list[tuple[float, int]] = []
        self._items: dict[int, T] = {}
        self._numbers = count()
        self._timer: asyncio.Handle | None = None
        self._timer_due = 0.0  # not asked of the timer: what is due at once has none on uvloop, but a plain handle

    def add(self, when: float, item: T) -> int:
        """Look at `item` at `when`, on the loop's clock; the number by which it can be dropped."""
        number = next(self._numbers)
        self._items[number] = item
        heapq.heappush(self._heap, (when, number))
        self._arm()
        return number

    def drop(self, number: int) -> None:
        """Look at it no more, and let go of it now; nothing happens where that was done."""
        if self._items.pop(number, None) is not None and len(self._heap) > 2 * len(self._items) + _SLACK:
            self._heap = [entry for entry in self._heap if entry[1] in self._items]
            heapq.heapify(self._heap)

    def stop(self) -> None:
        """Forget everything."""
        self._heap.clear()
        self._items.clear()
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
            _, number = heapq.heappop(self._heap)
            if (item := self._items.get(number)) is None:
                continue
            again = self._check(item)
            if again is None:
                self._items.pop(number, None)
            elif number in self._items:
                # Never in the past: a check that is never content must not keep the loop here.
                heapq.heappush(self._heap, (max(again, now + 0.001), number))
        self._arm()
