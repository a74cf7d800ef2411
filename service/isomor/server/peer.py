"""A WebSocket connection as functions see it, `ctx.ws`: its id, what is pushed to it, its topics and its tasks.

Functions run on the event loop or in threads; what they ask takes effect on the loop's thread, in their order.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any, Protocol

from sanic.request import Request

from .. import messages
from ..context import Connection, WsConfig
from ..errors import ApiError, CloseCode, ConnectionClosed
from ..messages import CallId
from ..outcome import DONE, Failed, Outcome, from_thread
from ..push.hub import RUNAWAY, check_topic
from .outbox import Outbox, Pushed
from .request import Handshake
from .worker import Worker

logger = logging.getLogger("isomor")


class Ending(Protocol):
    """What can end a connection."""

    def end(self, code: int, reason: str = "") -> None:
        """End it, with a code and a reason (RFC 6455 section 7.4)."""


class Peer(Connection):
    """See the module. It is also what the hub knows of a connection."""

    __slots__ = (
        "_ending", "_handshake", "_id", "_pushed", "_request", "_tasks", "_topics", "_worker", "closed",
        "enqueue_shared",
    )  # fmt: skip

    def __init__(self, worker: Worker, handshake: Handshake, outbox: Outbox, ending: Ending) -> None:
        """`ending` is what `close` uses."""
        self.closed = False
        self.enqueue_shared: Callable[[bytes], None] = outbox.add_shared
        self._worker = worker
        self._handshake = handshake
        self._request: Request | None = None
        self._pushed = Pushed(outbox)
        self._ending: Ending | None = ending
        self._id: str | None = None
        self._topics: set[str] | None = None  # most connections never join one, and there may be thousands
        self._tasks: dict[asyncio.Task[Any], str | None] | None = None

    def enqueue(self, frame: bytes) -> None:
        """Take a frame for the next write; see `Member`."""
        self._pushed.outbox.add(frame)

    def disconnected(self) -> None:
        """The connection is gone: so are its topics and its tasks."""
        self.closed = True
        self._ending = None  # which holds this peer: both go now, not when garbage is collected
        self._worker.hub.remove(self, self._topics or (), self._id)
        self._topics = None
        for task in list(self._tasks or ()):
            task.cancel()

    def close(self, code: int = 1000, reason: str = "") -> None:
        if code not in (CloseCode.OK, CloseCode.SERVICE_RESTART) and not 3000 <= code <= 4999:
            said = "give 1000, 1012 (come back), or 3000 to 4999 (RFC 6455 section 7.4.2)"
            raise ValueError(f"close(code={code!r}): {said}")
        if len(reason.encode()) > 123:
            raise ValueError(f"close(reason={reason!r}): at most 123 bytes")
        if threading.get_ident() == self._worker.thread:
            self._end(code, reason)
        else:
            self._worker.loop.call_soon_threadsafe(self._end, code, reason)

    def _end(self, code: int, reason: str) -> None:
        if self._ending is not None:
            self._ending.end(code, reason)

    @property
    def id(self) -> str:
        if self._id is None:
            self._id = self._worker.hub.new_id()
            if threading.get_ident() == self._worker.thread:
                self._worker.hub.name(self)  # now: the next thing may be a push to it
            else:
                self._worker.loop.call_soon_threadsafe(self._worker.hub.name, self)
        return self._id

    @property
    def req(self) -> Request:
        if self._request is None:
            self._request = self._handshake.request(self._worker.app)
        return self._request

    def push(self, payload: Any, call_id: CallId) -> Outcome:
        try:
            frame = messages.text_frame(messages.push_message(messages.encode(payload), None, call_id))
        except ValueError as error:  # Unsendable is one
            return Failed("ctx.push", error)
        return self._on_loop("ctx.push", lambda: self._push_to_caller(frame))

    def _push_to_caller(self, frame: bytes) -> Outcome:
        metrics = self._worker.metrics
        if metrics is not None:
            metrics.pushed("caller")
            metrics.delivered(0 if self.closed else 1)
        return self._push(frame)

    def _push(self, frame: bytes) -> Outcome:
        if self.closed:
            return self._gone("ctx.push")
        if self._pushed.outbox.queued > RUNAWAY:
            raise RuntimeError(f"ctx.push: over {RUNAWAY >> 20} MiB were pushed without an await; await each push")
        self.enqueue(frame)
        return self._pushed

    def set_config(self, config: WsConfig) -> Outcome:
        frame = messages.text_frame(messages.conf_message(config.with_cookie))
        return self._on_loop("set_ws_config", lambda: self._push(frame))

    def join(self, topic: str) -> Outcome:
        try:
            check_topic(topic)
        except ValueError as error:
            return Failed("ctx.join", error)
        return self._on_loop("ctx.join", lambda: self._join(topic))

    def _join(self, topic: str) -> Outcome:
        if self.closed:
            return self._gone("ctx.join")
        if self._topics is None:
            self._topics = set()
        most = self._worker.config.ws.max_topics
        if len(self._topics) >= most and topic not in self._topics:
            # Those that the bus could not be had for were never joined.
            self._topics = {each for each in self._topics if self._worker.hub.has_joined(self, each)}
            if len(self._topics) >= most:
                self._worker.calls.met("ws.max_topics")
                said = f"This connection has joined {most} topics, all that ws.max_topics allows: leave one first."
                return Failed("ctx.join", ApiError.of("TOO_MANY_TOPICS", said))
        self._topics.add(topic)
        return self._worker.hub.join(self, topic)

    def leave(self, topic: str) -> Outcome:
        return self._on_loop("ctx.leave", lambda: self._leave(topic))

    def _leave(self, topic: str) -> Outcome:
        if self._topics is not None:
            self._topics.discard(topic)
        self._worker.hub.leave(self, topic)
        return DONE

    def _on_loop(self, what: str, action: Any) -> Outcome:
        if threading.get_ident() == self._worker.thread:
            outcome: Outcome = action()
            return outcome
        return from_thread(self._worker.loop, what, action)

    def _gone(self, what: str) -> Outcome:
        return Failed(what, ConnectionClosed(f"{what}: the connection is closed"))

    def spawn(self, coroutine: Coroutine[Any, Any, Any], key: str | None) -> None:
        if threading.get_ident() != self._worker.thread:
            outcome = from_thread(self._worker.loop, "ctx.spawn", partial(self._spawn, coroutine, key))
            if isinstance(outcome, Failed):  # the server has stopped, and nothing will begin it
                coroutine.close()
        else:
            self._spawn(coroutine, key)

    def _spawn(self, coroutine: Coroutine[Any, Any, Any], key: str | None) -> Outcome:
        if self.closed:
            coroutine.close()
            raise ConnectionClosed("ctx.spawn: the connection is closed")
        if self._tasks is None:
            self._tasks = {}
        replaced = [task for task, other in self._tasks.items() if other == key] if key is not None else []
        ending = sum(not task.cancelling() for task in replaced)
        most = self._worker.config.ws.max_tasks
        if len(self._tasks) - ending >= most:
            coroutine.close()
            said = f"ctx.spawn: {most} tasks of this connection run already, which is ws.max_tasks"
            self._worker.calls.met("ws.max_tasks")
            raise ApiError.of("TOO_MANY_TASKS", f"{said}; end some, or give those that replace each other one key.")
        for task in replaced:
            task.cancel()
        task = self._worker.loop.create_task(_contained(coroutine))
        self._tasks[task] = key
        task.add_done_callback(self._tasks.pop)
        return DONE


async def _contained(coroutine: Coroutine[Any, Any, Any]) -> None:
    """Run user code so that nothing it raises ends the server: SystemExit would pass through the event loop."""
    try:
        await coroutine
    except (ConnectionClosed, GeneratorExit):
        pass  # the end of a connection is the end of what it spawned
    except asyncio.CancelledError:
        raise
    except BaseException as error:
        logger.error("a task of ctx.spawn failed", exc_info=error)
