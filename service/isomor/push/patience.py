"""Deadlines that a blocked event loop does not eat up, and how long to wait before trying again.

A user's function may hold the loop for seconds. That is no outage of Redis: all timers would be due at once, before
anything that arrived meanwhile is read, and a healthy connection would be torn down, losing messages.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Coroutine
from typing import Any, Final, TypeVar

T = TypeVar("T")

SLICES: Final = 5
MOST_BACKOFF: Final = 1.0
_CLEANUP_SECONDS: Final = 1.0


async def within(seconds: float, coroutine: Coroutine[Any, Any, T]) -> T:
    """What `coroutine` returns or raises, if it ends in time. It runs in a task, which is gone when this returns.

    The time runs in slices, of which a blocked loop takes at most one.

    Raises:
        TimeoutError: if it did not; it has been cancelled.
    """
    task = asyncio.create_task(coroutine, name="isomor bus step")
    try:
        for _ in range(SLICES):
            await asyncio.wait((task,), timeout=seconds / SLICES)
            if task.done():
                return task.result()
        raise TimeoutError(f"no answer within {seconds:.3g} s")
    finally:
        await end(task)


async def is_set_within(event: asyncio.Event, seconds: float) -> bool:
    """Wait for an event, for at most `seconds`: whether it is set."""
    try:
        async with asyncio.timeout(seconds):
            await event.wait()
    except TimeoutError:
        pass
    return event.is_set()


async def end(*tasks: asyncio.Task[Any]) -> None:
    """Cancel tasks and wait, not for ever, until they have cleaned up. What they raise is dropped."""
    open_tasks = [task for task in tasks if not task.done()]
    for task in tasks:
        if task in open_tasks:
            task.add_done_callback(_drop)  # here, as whoever waits below may be cancelled, too
            task.cancel()
        else:
            _drop(task)
    if open_tasks:
        await asyncio.wait(open_tasks, timeout=_CLEANUP_SECONDS)


def _drop(task: asyncio.Task[Any]) -> None:
    if not task.cancelled():
        task.exception()  # read, so that asyncio does not complain


async def first_end(*coroutines: Coroutine[Any, Any, None]) -> None:
    """Run them side by side until one ends; raise what it raised. None of them is left running."""
    tasks = [asyncio.create_task(coroutine, name="isomor bus part") for coroutine in coroutines]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in tasks:
            if task in done:
                task.result()
    finally:
        await end(*tasks)


class Backoff:
    """Seconds until the next attempt: doubling, bounded, with jitter so that a fleet does not march in step."""

    def __init__(self, first: float = 0.01, most: float = MOST_BACKOFF) -> None:
        self._first = first
        self._most = most
        self._failures = 0

    def reset(self) -> None:
        """It worked."""
        self._failures = 0

    def next(self) -> float:
        """It failed once more: how long to wait."""
        delay = min(self._most, self._first * 2.0 ** min(self._failures, 16))
        self._failures += 1
        return delay * random.uniform(0.5, 1.0)


class LoopClock:
    """Seconds as the event loop lives them: one tick counts at most double, however long the loop was held up.

    It ticks only while somebody wants it to, and stands still otherwise.
    """

    def __init__(self, tick: float, on_tick: Callable[[], bool]) -> None:
        """`on_tick` is called with every tick; the clock stops when it returns false."""
        self.now = 0.0
        self._tick_seconds = tick
        self._on_tick = on_tick
        self._last = 0.0
        self._timer: asyncio.TimerHandle | None = None

    def run(self) -> None:
        """Tick, if it does not yet."""
        if self._timer is None:
            loop = asyncio.get_running_loop()
            self._last = loop.time()
            self._timer = loop.call_later(self._tick_seconds, self._tick, loop)

    def stop(self) -> None:
        """Tick no more."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _tick(self, loop: asyncio.AbstractEventLoop) -> None:
        passed = loop.time() - self._last
        self.now += min(passed, 2 * self._tick_seconds)
        self._timer = None
        if self._on_tick():
            self.run()
