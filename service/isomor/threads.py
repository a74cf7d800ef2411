"""The threads that run the functions written with plain `def`, and a bound on how many calls wait for one."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, TypeVar

from .errors import ApiError

T = TypeVar("T")


class Threads(ThreadPoolExecutor):
    """A pool that refuses what it could not begin for long, in place of letting it wait until it times out."""

    def __init__(self, threads: int, queue: int) -> None:
        """At most `threads` calls run at once (`threads`), and at most `queue` more wait (`max_thread_queue`)."""
        super().__init__(threads, thread_name_prefix="isomor")
        self._queue = queue
        self._most = threads + queue
        self._pending = 0
        self._pending_lock = threading.Lock()

    def submit(self, fn: Callable[..., T], /, *args: Any, **kwargs: Any) -> Future[T]:
        """As in the executor.

        Raises:
            ApiError: UNAVAILABLE, if all threads are busy and the queue is full.
        """
        # What was cancelled while a thread ran it goes on, and counts until the thread is free. What was cancelled
        # before that counts no longer, but lies in the queue until a thread has thrown it away.
        with self._pending_lock:
            if self._pending >= self._most or self._work_queue.qsize() >= self._most:
                said = f"All threads are busy, and {self._queue} calls wait (max_thread_queue); call again later."
                raise ApiError.over("max_thread_queue", "UNAVAILABLE", said)
            self._pending += 1
        try:
            future = super().submit(fn, *args, **kwargs)
        except BaseException:
            self._ended(None)
            raise
        future.add_done_callback(self._ended)
        return future

    def _ended(self, _future: Future[Any] | None) -> None:
        with self._pending_lock:
            self._pending -= 1

    @property
    def waiting(self) -> int:
        """How many calls wait for a thread."""
        return self._work_queue.qsize()
