"""What waits to be written to one connection, bounded in bytes (`ws.max_outbox_bytes`).

Everything queued within one turn of the loop, answers and pushes, leaves in one write. What many connections get leaves
in slices: while a push goes to thousands, calls are read and answered in between, and whatever is pushed meanwhile
joins what still waits, so that it costs no write of its own. A reader that is behind delays nobody: what it does not
read waits here, and once that is too much, the connection is closed.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from collections.abc import Generator
from typing import Any, Final, Protocol

from ..errors import ConnectionClosed
from ..outcome import Outcome
from .direct import number_of_socket, write

logger = logging.getLogger("isomor")

# An awaited push lets others run at least after so many bytes; and with so many, an outbox waits for no slice.
_TURN: Final = 64 * 1024

# What many connections get is written so long in each turn of the loop, in seconds; or, where all else takes longer, as
# long as that, up to a limit. It is looked at the clock after so many writes, of some 5 µs each.
_SLICE: Final = 0.001
_LONGEST_SLICE: Final = 0.02
_STEP: Final = 16


class Flusher:
    """Writes what outboxes have queued: at the end of each turn of the loop, or in slices."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop
        self._due: list[Outbox] = []
        self._shared: deque[Outbox] = deque()
        self._scheduled = False
        self._ended = 0.0  # when the last slice has, while another is to follow

    def add(self, outbox: Outbox) -> None:
        """Flush `outbox` at the end of this turn."""
        self._due.append(outbox)
        self._schedule()

    def add_shared(self, outbox: Outbox) -> None:
        """Flush `outbox` at the end of this turn, or of one that follows soon."""
        self._shared.append(outbox)
        self._schedule()

    def _schedule(self) -> None:
        if not self._scheduled:
            self._scheduled = True
            self.loop.call_soon(self._flush)

    def _flush(self) -> None:
        self._scheduled = False
        now = self.loop.time()
        due, self._due = self._due, []
        for outbox in due:
            outbox.is_due = False
            outbox.flush(now)
        if self._shared:
            self._flush_slice(now)

    def _flush_slice(self, now: float) -> None:
        shared = self._shared
        began = time.perf_counter()  # the loop's own clock stands still within a turn
        else_took = began - self._ended if self._ended else 0.0
        until = began + min(max(_SLICE, else_took), _LONGEST_SLICE)
        while shared:
            for _ in range(min(_STEP, len(shared))):
                outbox = shared.popleft()
                outbox.is_shared = False
                outbox.flush(now)
            if (ended := time.perf_counter()) >= until:
                break
        self._ended = 0.0
        if shared:
            self._ended = ended
            self._schedule()


class Reader(Protocol):
    """Who reads what leaves an outbox."""

    def too_slow(self) -> None:
        """More waits for it than may."""


class Outbox:
    """See the module. There is one for each connection, hence no object in it before it is needed.

    Attributes:
        stream: the transport.
        queued: how many bytes wait for the next write.
        is_due: whether the flusher has it in its list for the end of this turn.
        is_shared: whether the flusher has it among those that it writes in slices.
        last_write: when something was written last, on the loop's clock.
    """

    __slots__ = (
        "_closed", "_flusher", "_frames", "_limit", "_most", "_paused", "_reader", "_socket", "_waiters", "is_due",
        "is_shared", "last_write", "queued", "stream",
    )  # fmt: skip

    def __init__(self, stream: asyncio.Transport, flusher: Flusher, limit: int, reader: Reader) -> None:
        """Queue for `stream`; `reader` is told once, where more than `limit` bytes wait for it."""
        self.stream = stream
        self._flusher = flusher
        self._reader: Reader | None = reader
        self._frames: list[bytes] = []
        self.queued = 0
        self.is_due = False
        self.is_shared = False
        self._limit = limit
        self._most = limit
        self._closed = False
        self._paused = False
        self._socket = number_of_socket(stream)
        self._waiters: list[asyncio.Future[None]] | None = None
        self.last_write = flusher.loop.time()
        stream.set_write_buffer_limits(high=limit // 2, low=limit // 8)

    def add(self, frame: bytes) -> None:
        """Take a frame. Never blocks; after `close`, nothing happens."""
        if self._closed:
            return
        if not self.is_due:
            self.is_due = True
            self._flusher.add(self)
        self._frames.append(frame)
        self.queued += len(frame)

    def add_shared(self, frame: bytes) -> None:
        """Take a frame that many connections get; as `add`, but that it may wait for others."""
        if self._closed:
            return
        if not self.is_shared:
            self.is_shared = True
            self._flusher.add_shared(self)
        self._frames.append(frame)
        self.queued += len(frame)
        if not self.is_due and (self.queued > _TURN or self.queued > self._limit):
            self.is_due = True
            self._flusher.add(self)

    def flush(self, now: float) -> None:
        """Write what is queued, unless too much of what was written before still waits; `now` on the loop's clock."""
        frames = self._frames
        if self._closed or not frames:
            return
        try:
            data = frames[0] if len(frames) == 1 else b"".join(frames)
            frames.clear()
            self.queued = 0
            behind = self.stream.get_write_buffer_size()
            if behind > self._most:
                said = "a connection reads too slowly: %d bytes wait, ws.max_outbox_bytes is %d"
                logger.info(said, behind, self._limit)
                self._tell()
                return
            if behind <= self._limit // 2:
                # A burst within one turn, or one large answer, may exceed the limit: it counts once more follows it.
                most = behind + len(data)
                self._most = most if most > self._limit else self._limit
            self.last_write = now
            write(self.stream, self._socket, data, behind)
        except Exception:  # one connection's trouble is not the others'
            logger.exception("writing to a connection failed")
            self.stream.abort()

    def urgent(self, frame: bytes) -> None:
        """Write a control frame now, ahead of what is queued; it is no message, and does not count as one."""
        if self._closed:
            return
        behind = self.stream.get_write_buffer_size()
        if behind > self._most:
            self._tell()  # it pings, and does not read
        else:
            write(self.stream, self._socket, frame, behind)

    def _tell(self) -> None:
        if self._reader is not None:
            self._reader.too_slow()

    def close(self) -> None:
        """Take nothing more, drop what is queued, and wake who waits for room."""
        self._closed = True
        self._reader = None  # which holds this outbox: both go now, not when garbage is collected
        self._frames.clear()
        self._wake()

    def pause(self) -> None:
        """Over half of the outbox waits for the reader."""
        self._paused = True

    def resume(self) -> None:
        """The reader has caught up."""
        self._paused = False
        self._wake()

    def _wake(self) -> None:
        waiters, self._waiters = self._waiters, None
        for waiter in waiters or ():
            if not waiter.done():
                waiter.set_result(None)

    async def room(self) -> None:
        """Wait while over half of the outbox waits for the reader.

        Raises:
            ConnectionClosed: if the connection is gone, or goes meanwhile.
        """
        if self.queued > _TURN:
            await asyncio.sleep(0)
        while self._paused and not self._closed:
            waiter = self._flusher.loop.create_future()
            if self._waiters is None:
                self._waiters = []
            self._waiters.append(waiter)
            await waiter
        if self._closed:
            raise ConnectionClosed("the connection was closed while a push waited for its reader")


class Pushed(Outcome):
    """A push that is queued. Awaiting it waits for room; one object serves all pushes of a connection."""

    __slots__ = ("outbox",)

    def __init__(self, outbox: Outbox) -> None:
        self.outbox = outbox

    def __await__(self) -> Generator[Any, None, None]:
        return self.outbox.room().__await__()

    def wait(self, timeout: float | None = None) -> None:
        raise RuntimeError("push: wait() would block the event loop; await it instead")
