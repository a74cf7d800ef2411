"""Notices when the event loop stands still, and says who holds it up; and ends the process where it never goes on.

A thread asks the loop for a sign of life a few times in a second. That costs nothing for each call, and works where the
loop cannot help itself: an `async def` that computes, sleeps or waits without `await` stops everybody.
"""

from __future__ import annotations

import _thread
import asyncio
import contextlib
import logging
import math
import os
import signal
import threading
import time
from collections import Counter
from collections.abc import Coroutine, Iterator
from types import CodeType, FrameType
from typing import Any, Final, NamedTuple, TypeVar

from ..calls import Calls
from ..stacks import chain, place, users

logger = logging.getLogger("isomor")

T = TypeVar("T")

_SHORTEST: Final = 0.05
_MOST_PAUSE: Final = 0.5

# What a loop that is held up gets beyond `server.drain_seconds`, once it is asked to stop.
_GRACE: Final = 2.0

# What the last lines of the log get to be written.
_LAST_WORDS: Final = 1.0


def run(loop: asyncio.AbstractEventLoop, coroutine: Coroutine[Any, Any, T]) -> T:
    """What `coroutine` returns or raises. Nothing that other tasks and callbacks raise ends the loop before that.

    A task of the user's own that calls `sys.exit` would: SystemExit and KeyboardInterrupt pass through event loops.
    """
    task = loop.create_task(coroutine, name="isomor server")
    while True:
        try:
            return loop.run_until_complete(task)
        except (SystemExit, KeyboardInterrupt) as error:
            if task.done():
                raise
            logger.error("a task outside of any call raised %r; the server goes on", error, exc_info=error)


class _Found(NamedTuple):
    what: object  # a call, or the frame of what is none
    name: str
    where: str


class _One:
    """What has been seen to run on the loop without a pause: one call, or one callback."""

    def __init__(self, what: object, name: str, began: float, due: float) -> None:
        """It runs since `began`; speak of it after `due` seconds."""
        self.what = what
        self.began = began
        self.due = due
        self._name = name
        self._told = False

    def tell(self, where: str) -> None:
        """Say that it blocks the loop, now at `where`."""
        passed = time.monotonic() - self.began
        logger.warning(
            "%s blocks the event loop, for %.1f s so far, at %s: nobody else is served meanwhile; "
            "await what takes long, or write it as plain def, which runs in a thread",
            self._name,
            passed,
            where,
        )
        self.due = passed * 2
        self._told = True

    def tell_end(self) -> None:
        """Say for how long it has blocked the loop, where that was spoken of."""
        if self._told:
            passed = time.monotonic() - self.began
            logger.warning("%s has blocked the event loop for %.1f s", self._name, passed)


class Watchdog:
    """See the module. To be made on the loop's thread.

    Attributes:
        quiet: whether it does not warn, as while the user's startup runs.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, seconds: float, drain_seconds: float) -> None:
        """Warn after `seconds` (0: never); end the process where it still hangs when it should have drained."""
        self.quiet = True
        self._loop = loop
        self._seconds = max(seconds, _SHORTEST) if seconds > 0 else math.inf
        self._patience = drain_seconds + _GRACE
        self._ident = threading.get_ident()
        self._asked = 0  # how often it was asked to stop
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="isomor-watchdog", daemon=True)
        self._thread.start()

    def hear(self, number: int) -> None:
        """Note a signal that the loop has a handler for, even where the loop does not get to it."""
        handler: Any = signal.getsignal(number)

        def note(got: int, frame: FrameType | None) -> None:
            self._asked += 1
            with contextlib.suppress(RuntimeError):  # there may be as many threads as there can be
                if self._asked == 1:
                    _thread.start_new_thread(self._see_it_end, ())  # takes no lock that what was interrupted may hold
                elif self._asked == 2:
                    _thread.start_new_thread(_end_soon, ())
            handler(got, frame)

        # The loop has set SA_RESTART; Python's own `signal` does not, so that `note` runs where a write blocks, too.
        signal.signal(number, note)

    @contextlib.contextmanager
    def hushed(self) -> Iterator[None]:
        """Be quiet meanwhile, as while a reload loads modules: that blocks the loop, and is no function's fault."""
        self.quiet, before = True, self.quiet
        try:
            yield
        finally:
            self.quiet = before

    def stop(self) -> None:
        """Look no more."""
        self._over.set()
        self._thread.join(1)

    def _sign(self) -> threading.Event | None:
        """What is set once the loop turns; None where it is closed."""
        sign = threading.Event()
        try:
            self._loop.call_soon_threadsafe(sign.set)
        except RuntimeError:
            return None
        return sign

    def _run(self) -> None:
        while not self._over.wait(min(self._seconds / 2, _MOST_PAUSE)):
            began = time.monotonic()
            if (sign := self._sign()) is None:
                return
            if not sign.wait(_SHORTEST):
                self._held_up(sign, began)

    def _held_up(self, sign: threading.Event, began: float) -> None:
        """Follow the loop until it turns again: what runs on it is looked at a few times before anything is said."""
        seen: Counter[str] = Counter()
        each, due_all = None, self._seconds
        pause = min(max(self._seconds / 4, _SHORTEST), _MOST_PAUSE)
        while not self._over.is_set():
            now = time.monotonic()
            found = None
            if self.quiet:
                began = now
            elif (found := self._who()) is not None:
                if each is None or found.what is not each.what:
                    # What is seen for the first time may have begun just now; what is seen at first has not.
                    if each is not None:
                        each.tell_end()
                    each = _One(found.what, found.name, now if seen else began, self._seconds)
                seen[found.name] += 1
                if now - each.began >= each.due:
                    each.tell(found.where)
                    due_all = max(due_all, 2 * (now - began))
                elif now - began >= due_all:
                    logger.warning(
                        "the event loop has been busy for %.1f s with many calls, lately in %s: nobody else is served "
                        "meanwhile; each of them is short, and plain def would run it in a thread",
                        now - began,
                        seen.most_common(1)[0][0],
                    )
                    due_all = 2 * (now - began)
            del found  # it holds a frame, and that its variables
            if sign.wait(pause):
                break
        if each is not None:
            each.tell_end()

    def _who(self) -> _Found | None:
        """Whose code holds the loop up, and at which line; None where the loop itself is waiting."""
        frames = _on_loop(chain(self._ident))
        if not frames:
            return None  # the whole process had no time
        for frame in frames:
            if frame.f_code is _CALL:
                call = frame.f_locals["call"]
                return _Found(call, call.function.name, place(frames))
        own = users(frames)
        outermost = own[-1] if own else frames[-1]
        return _Found(outermost, outermost.f_code.co_qualname, place(frames))

    def _see_it_end(self) -> None:
        """End the process where it was asked to stop, and the loop does not get to it: twice, or in all its time.

        On a thread of its own, from the first signal on. What counts is how long the loop has not turned: an orderly
        stop may take longer, in which it does turn.
        """
        while not self._over.wait(_SHORTEST):
            began = time.monotonic()
            if (sign := self._sign()) is None:
                return
            while not sign.wait(_SHORTEST):
                if self._asked > 1 or time.monotonic() - began > self._patience:
                    self._end()

    def _end(self) -> None:
        found = self._who()
        if found is not None:
            _thread.start_new_thread(_end_soon, ())
            logger.error("%s blocks the event loop, at %s: ending without waiting for it", found.name, found.where)
            logging.shutdown()
            os._exit(1)


def _end_soon() -> None:
    """End the process in a second, whatever else is to be done: where nobody reads the log, writing to it blocks."""
    time.sleep(_LAST_WORDS)
    os._exit(1)


_CALL: Final[CodeType] = Calls._run.__code__


def _on_loop(frames: list[FrameType]) -> list[FrameType]:
    """Those of a thread's frames, the innermost first, that the loop has called."""
    for index, frame in enumerate(frames):
        if frame.f_code is run.__code__:
            return frames[:index]
    return []
