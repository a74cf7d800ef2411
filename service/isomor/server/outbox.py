"""What waits to be written to one connection, bounded in bytes (`ws.max_outbox_bytes`).

Everything queued within one turn of the loop, answers and pushes, leaves in one write. A reader that is behind delays
nobody: what it does not read waits here, and once that is too much, the connection is closed.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Generator
from typing import Any, Final, Protocol

from ..errors import ConnectionClosed
from ..outcome import Outcome
from .direct import number_of_socket, write

logger = logging.getLogger("isomor")

# An awaited push lets others run at least after so many bytes.
_TURN: Final = 64 * 1024


class Flusher:
    """Writes, at the end of each turn of the loop, what outboxes have queued in it."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop
        self._dirty: list[Outbox] = []

    def add(self, outbox: Outbox) -> None:
        """Flush `outbox` at the end of this turn."""
        if not self._dirty:
            self.loop.call_soon(self._flush)
        self._dirty.append(outbox)

    def _flush(self) -> None:
        dirty, self._dirty = self._dirty, []
        now = self.loop.time()
        for outbox in dirty:
            try:
                outbox.flush(now)
            except Exception:  # one connection's trouble is not the others'
                logger.exception("writing to a connection failed")
                outbox.stream.abort()


class Reader(Protocol):
    """Who reads what leaves an outbox."""

    def too_slow(self) -> None:
        """More waits for it than may."""


class Outbox:
    """See the module. There is one for each connection, hence no object in it before it is needed.

    Attributes:
        stream: the transport.
        queued: how many bytes were queued in this turn of the loop.
        last_write: when something was written last, on the loop's clock.
    """

    __slots__ = (
        "_closed", "_flusher", "_frames", "_limit", "_most", "_paused", "_reader", "_socket", "_waiters", "last_write",
        "queued", "stream",
    )  # fmt: skip

    def __init__(self, stream: asyncio.Transport, flusher: Flusher, limit: int, reader: Reader) -> None:
        """Queue for `stream`; `reader` is told once, where more than `limit` bytes wait for it."""
        self.stream = stream
        self._flusher = flusher
        self._reader: Reader | None = reader
        self._frames: list[bytes] = []
        self.queued = 0
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
        if not self._frames:
            self._flusher.add(self)
        self._frames.append(frame)
        self.queued += len(frame)

    def flush(self, now: float) -> None:
        """Write what is queued, unless too much of what was written before still waits; `now` on the loop's clock."""
        frames = self._frames
        if self._closed or not frames:
            return
        data = frames[0] if len(frames) == 1 else b"".join(frames)
        frames.clear()
        self.queued = 0
        behind = self.stream.get_write_buffer_size()
        if behind > self._most:
            logger.info("a connection reads too slowly: %d bytes wait, ws.max_outbox_bytes is %d", behind, self._limit)
            self._tell()
            return
        if behind <= self._limit // 2:
            # A burst within one turn, or one large answer, may exceed the limit: it counts once more follows it.
            self._most = max(self._limit, behind + len(data))
        self.last_write = now
        write(self.stream, self._socket, data)

    def urgent(self, frame: bytes) -> None:
        """Write a control frame now, ahead of what is queued; it is no message, and does not count as one."""
        if self._closed:
            return
        if self.stream.get_write_buffer_size() > self._most:
            self._tell()  # it pings, and does not read
        else:
            write(self.stream, self._socket, frame)

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
