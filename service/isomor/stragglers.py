"""Calls that go on though they were cancelled: named in the log, since nothing else tells of them.

Their callers have been answered. A task that swallows CancelledError and a thread, which cannot be stopped, go on all
the same, and hold what they hold. They are looked for together and in intervals, however many calls are cancelled.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Collection, Iterable
from functools import partial
from typing import Final

from .stacks import in_pool, place, suspended

logger = logging.getLogger("isomor")

# What was cancelled may take from one to two of these to wind up before the log speaks of it.
SECONDS: Final = 2.0


class Stragglers:
    """See the module. One for each worker; on the event loop's thread."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        tasks: Collection[asyncio.Task[None]],
        threads: Callable[[], Iterable[int]],
    ) -> None:
        """Look at the `tasks` of calls, and at the pool's `threads`, as they are."""
        self._loop = loop
        self._tasks = tasks
        self._threads = threads
        self._timer: asyncio.TimerHandle | None = None
        self._seen: set[asyncio.Task[None]] = set()
        self._named: set[asyncio.Task[None]] = set()
        self._told: dict[str, int] = {}  # in how many threads a function was said to go on

    def look(self) -> None:
        """A call was cancelled: see, in a while, whether it has ended."""
        if self._timer is None:
            self._timer = self._loop.call_later(SECONDS, self._look)

    def stop(self) -> None:
        """Look no more."""
        if self._timer is not None:
            self._timer.cancel()

    def _look(self) -> None:
        self._timer = None
        cancelled = {task for task in self._tasks if task.cancelling()}
        for task in (cancelled & self._seen) - self._named:
            frames = suspended(task)
            name = frames[-1].f_locals["call"].function.name if frames else "a function"
            said = "%s goes on after it was cancelled, at %s: let CancelledError pass"
            logger.warning(said, name, place(frames))
            self._named.add(task)
            task.add_done_callback(partial(self._ended, name))
        self._seen = cancelled
        if self._look_at_threads() or cancelled:
            self.look()

    def _ended(self, name: str, task: asyncio.Task[None]) -> None:
        self._named.discard(task)
        logger.info("%s has ended, which went on after it was cancelled", name)

    def _look_at_threads(self) -> bool:
        """Name the functions in threads whose calls have been cancelled; whether there are any."""
        inside = in_pool(self._threads())
        # By the very list of its arguments, which a call and its thread share: others may call the same meanwhile.
        wanted = {id(_args(task)) for task in self._tasks if not task.cancelling()} if inside else set()
        found: dict[str, list[str]] = {}
        for name, args, where in inside:
            if id(args) not in wanted:
                found.setdefault(name, []).append(where)
        left = {name: len(places) for name, places in found.items()}
        for name, count in left.items():
            if count > self._told.get(name, 0):
                said = (
                    "%s goes on after it was cancelled, at %s: threads cannot be stopped, and it holds %d of them; "
                    "give whatever it waits for a time-out of its own"
                )
                logger.warning(said, name, found[name][0], count)
        for name in self._told.keys() - left.keys():
            logger.info("%s has ended, which went on after it was cancelled", name)
        self._told = left
        return bool(left)


def _args(task: asyncio.Task[None]) -> object:
    """The list of a call's arguments, once it is decoded."""
    frame = getattr(task.get_coro(), "cr_frame", None)
    return frame.f_locals.get("args") if frame is not None else None
