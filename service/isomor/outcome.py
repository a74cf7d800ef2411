"""What `push`, `join`, `leave` and `set_ws_config` return: they take effect when called, awaiting is optional."""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
import logging
import threading
from collections.abc import Awaitable, Callable, Generator
from functools import partial
from typing import Any, Final

from .errors import ConnectionClosed
from .notices import Notices

logger = logging.getLogger("isomor")
_notices = Notices(logger)  # a loop that pushes to a connection that is gone must not fill the disk

# Of what threads ask of the loop, so much may wait there; then the next one that asks waits too.
_MOST_WAITING: Final = 256
_LONGEST_WAIT: Final = 1.0

# Whoever fails more often in one turn of the loop does so without end: nothing else can stop it.
_MOST_FAILURES: Final = 100_000

_places = threading.BoundedSemaphore(_MOST_WAITING)


class _Failures:
    """How much has failed in this turn of the event loop. In threads nothing is counted: they hold nobody up."""

    def __init__(self) -> None:
        self._loop: asyncio.AbstractEventLoop | None = None  # whose turn it is
        self._number = 0

    def count(self, what: str, error: Exception) -> None:
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            return
        if self._loop is not loop:
            self._loop, self._number = loop, 0
            loop.call_soon(self._turned)
        self._number += 1
        if self._number > _MOST_FAILURES:
            said = f"{what}: {_MOST_FAILURES:,} have failed without an await; await each push, which raises what failed"
            raise RuntimeError(said) from error

    def _turned(self) -> None:
        self._loop = None


_failures = _Failures()


class Outcome(Awaitable[None]):
    """What `push`, `join`, `leave` and `set_ws_config` return. They have taken effect, or failed, when they return.

    Awaiting it waits while the receiver is behind (back-pressure) and raises what went wrong. In a thread, `wait` does
    the same. Doing neither is fine: a failure is then logged.
    """

    __slots__ = ()

    def __await__(self) -> Generator[Any, None, None]:
        return
        yield

    def wait(self, timeout: float | None = None) -> None:
        """Block this thread until it is done; not for the event loop's thread.

        Args:
            timeout: seconds; None waits for ever.

        Raises:
            TimeoutError: if it is not done in time.
            RuntimeError: on the event loop's thread, where it would have to block: await it there.
        """


class Failed(Outcome):
    """An outcome that is a failure: raised where somebody asks, else logged."""

    __slots__ = ("_error", "_what")

    def __init__(self, what: str, error: Exception) -> None:
        """`what` has failed by `error`.

        Raises:
            RuntimeError: on the event loop, where that much has failed in this turn of it: nothing else ends a loop
                that asks for what fails, without an await.
        """
        _failures.count(what, error)
        self._what = what
        self._error: Exception | None = error

    def _take(self) -> Exception:
        error, self._error = self._error, None
        return error or ConnectionClosed(f"{self._what} has failed, as was said before")

    def __await__(self) -> Generator[Any, None, None]:
        raise self._take()
        yield

    def wait(self, timeout: float | None = None) -> None:
        raise self._take()

    def __del__(self) -> None:
        if getattr(self, "_error", None) is not None:
            assert self._error is not None
            _tell(self._what, self._error)


class Started(Outcome):
    """An outcome that is still to come: of the bus, or of what another thread asked of the event loop."""

    __slots__ = ("_future", "_seen", "_what")

    def __init__(self, what: str, future: concurrent.futures.Future[None] | asyncio.Future[None]) -> None:
        self._what = what
        self._future = future
        self._seen = False
        future.add_done_callback(_retrieve)  # type: ignore[arg-type]

    def __await__(self) -> Generator[Any, None, None]:
        self._seen = True
        future = self._future
        if isinstance(future, concurrent.futures.Future):
            future = asyncio.wrap_future(future)
        # Cancelling whoever waits must not cancel what others may wait for too.
        return (yield from asyncio.shield(future).__await__())

    def wait(self, timeout: float | None = None) -> None:
        self._seen = True
        if isinstance(self._future, concurrent.futures.Future):
            self._future.result(timeout)
        elif not self._future.done():
            raise RuntimeError(f"{self._what}: wait() would block the event loop; await it instead")
        else:
            self._future.result()

    def __del__(self) -> None:
        if not getattr(self, "_seen", True):
            # Nobody can ask any more. Where it is not done yet, it is logged once it is.
            with contextlib.suppress(RuntimeError):  # the loop is closed
                self._future.add_done_callback(partial(_log_failure, self._what))


def _retrieve(future: asyncio.Future[None]) -> None:
    # Marks the exception as seen, so that asyncio does not complain in its own words.
    if not future.cancelled():
        future.exception()


def _log_failure(what: str, future: asyncio.Future[None]) -> None:
    error = None if future.cancelled() else future.exception()
    if error is not None:
        _tell(what, error)


def _tell(what: str, error: BaseException) -> None:
    level = logging.INFO if isinstance(error, ConnectionClosed) else logging.WARNING
    kind = f"{what.partition('(')[0]} that nobody awaited ({type(error).__name__})"
    _notices(level, kind, "%s failed, and nobody awaited it: %s", what, error)


DONE = Outcome()


def from_thread(loop: asyncio.AbstractEventLoop, what: str, action: Callable[[], Awaitable[None]]) -> Outcome:
    """Run `action` on the loop's thread, in the order of the calls, and follow its outcome from this one.

    A thread that asks faster than the loop does it waits: what is asked would fill the memory. It does not wait for
    ever, since the loop may be waiting for this very thread.
    """
    future: concurrent.futures.Future[None] = concurrent.futures.Future()

    async def follow(outcome: Awaitable[None]) -> None:
        try:
            await outcome
        except BaseException as error:
            future.set_exception(error)
        else:
            future.set_result(None)

    held = _places.acquire(timeout=_LONGEST_WAIT)

    def run() -> None:
        if held:
            _places.release()
        try:
            outcome = action()
        except Exception as error:
            future.set_exception(error)
            return
        task = loop.create_task(follow(outcome))
        _following.add(task)
        task.add_done_callback(_following.discard)

    try:
        loop.call_soon_threadsafe(run)
    except RuntimeError:  # the loop is closed: the server has stopped
        if held:
            _places.release()
        return Failed(what, ConnectionClosed(f"{what}: the server has stopped"))
    return Started(what, future)


_following: set[asyncio.Task[None]] = set()
