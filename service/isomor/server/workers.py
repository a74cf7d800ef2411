"""Several workers on one port: a parent that starts them, replaces those that die, and stops them together.

Each worker is a fresh process with a listening socket of its own (SO_REUSEPORT): the kernel shares connections out
evenly, while workers on one socket would leave nearly all to whoever wakes first. Sanic's manager is not used: where a
start fails, it kills the whole process group, the shell included.
"""

from __future__ import annotations

import contextlib
import logging
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from typing import Final

from ..metrics.recorder import Metrics
from ..metrics.region import make_file, open_file

logger = logging.getLogger("isomor")

# What a worker is told: the port; the descriptors of the pipe to say ready on, of the parent's lifeline, and of the
# file of metrics, if there is one; which place among the workers is its own, and how many there are.
VARIABLE: Final = "_ISOMOR_WORKER"

_POLL: Final = 0.1
_LONGEST_PAUSE: Final = 30.0
_GRACE: Final = 10.0


class _Worker:
    def __init__(
        self, port: int, lifeline: int, metrics: int, place: int, count: int, arguments: Sequence[str]
    ) -> None:
        self.place = place
        self.ready_pipe, ready = os.pipe()
        self.ready = False
        self.began = time.monotonic()
        environment = os.environ | {VARIABLE: f"{port},{ready},{lifeline},{metrics},{place},{count}"}
        # A session of its own: a Ctrl-C in a terminal reaches the parent alone, which then stops all.
        self.process = subprocess.Popen(
            [sys.executable, "-m", "isomor", *arguments],
            pass_fds=[descriptor for descriptor in (ready, lifeline, metrics) if descriptor >= 0],
            env=environment,
            start_new_session=True,
        )
        os.close(ready)

    def look(self) -> int | None:
        """Note whether it is ready; its exit code, once it has ended."""
        if not self.ready and select.select([self.ready_pipe], [], [], 0)[0]:
            self.ready = os.read(self.ready_pipe, 1) == b"1"
        return self.process.poll()

    def close(self) -> None:
        """Let go of what the parent holds of it."""
        os.close(self.ready_pipe)


def supervise(
    count: int,
    port: int,
    arguments: Sequence[str],
    drain_seconds: float,
    on_ready: Callable[[], None],
    *,
    metrics: bool = True,
) -> int:
    """Run `count` workers until SIGTERM or SIGINT.

    Args:
        count: how many.
        port: what they listen on; this process keeps it bound, so that it stays ours.
        arguments: of the command line, after `isomor`.
        drain_seconds: how long workers take to stop.
        on_ready: called once all of them serve.
        metrics: whether they count, in memory that they share.

    Returns:
        The exit code: 1 where a worker of the first ones could not start, else 0.
    """
    stop: list[int] = []
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda got, _frame: stop.append(got))
    lifeline, held = os.pipe()  # its other end closes when this process ends, however it ends
    counts = _make_file(count) if metrics else -1

    def make(place: int) -> _Worker:
        return _Worker(port, lifeline, counts, place, count, arguments)

    workers = [make(place) for place in range(count)]
    code = 0
    try:
        code = _watch_over(workers, stop, make, on_ready)
    finally:
        _stop(workers, drain_seconds + _GRACE, stop)
        if counts >= 0:
            os.close(counts)
        os.close(lifeline)
        os.close(held)
    return code


def _make_file(count: int) -> int:
    try:
        return make_file(count)
    except OSError as error:
        logger.warning("there are no metrics, for want of memory that workers share: %s", error)
        return -1


def _watch_over(
    workers: list[_Worker], stop: list[int], make: Callable[[int], _Worker], on_ready: Callable[[], None]
) -> int:
    first = set(workers)
    all_ready = False
    pause = 0.0
    again_at: list[tuple[float, int]] = []
    while not stop:
        for worker in list(workers):
            code = worker.look()
            if code is None:
                continue
            workers.remove(worker)
            worker.close()
            if worker in first and not worker.ready:
                return 1  # it has said why itself
            lived = time.monotonic() - worker.began
            pause = min(max(pause * 2, 0.5), _LONGEST_PAUSE) if lived < _LONGEST_PAUSE * 2 else 0.0
            logger.error("worker %d ended with %d; a new one starts in %.1f s", worker.process.pid, code, pause)
            again_at.append((time.monotonic() + pause, worker.place))
        if not all_ready and not again_at and all(worker.ready for worker in workers):
            all_ready = True
            on_ready()
            logger.info("%d workers are ready", len(workers))
        for due in [due for due in again_at if due[0] <= time.monotonic()]:
            again_at.remove(due)
            workers.append(make(due[1]))
        time.sleep(_POLL)
    return 0


def _stop(workers: list[_Worker], seconds: float, stop: list[int]) -> None:
    for worker in workers:
        if worker.process.poll() is None:
            worker.process.send_signal(signal.SIGTERM)
    until = time.monotonic() + seconds
    signals = len(stop)
    for worker in workers:
        while worker.process.poll() is None and time.monotonic() < until and len(stop) <= max(signals, 1):
            time.sleep(_POLL / 2)
        if worker.process.poll() is None:
            logger.warning("worker %d did not stop in time and is killed", worker.process.pid)
            worker.process.kill()
            worker.process.wait()
        worker.close()


class Place:
    """A worker's side: the socket that it accepts on, and how it knows of its parent's end."""

    def __init__(self) -> None:
        told = (int(part) for part in os.environ.pop(VARIABLE).split(","))
        self.port, self._ready, self.lifeline, self._metrics, self._place, self._count = told

    def metrics(self) -> Metrics | None:
        """Where this worker counts; None where there are no metrics."""
        if self._metrics < 0:
            return None
        return Metrics(open_file(self._metrics, self._count), self._place)

    def say_ready(self) -> None:
        """Tell the parent that this worker serves."""
        with contextlib.suppress(OSError):
            os.write(self._ready, b"1")
        os.close(self._ready)
