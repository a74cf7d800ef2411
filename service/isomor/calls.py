"""One call in, one answer out. The core behind both transports: it knows no sockets and no Sanic.

Every call is a task of its own, so that time-outs, task groups and context variables work as anywhere, and nothing
leaks from one call into another. A call is settled once: by its answer, its time-out, or its cancellation.
"""

from __future__ import annotations

import asyncio
import inspect
import logging
import secrets
import sys
import time
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

import msgspec

from .context import Context
from .errors import ApiError, BusUnavailable, ConnectionClosed
from .functions import Function
from .loader import Registry
from .logs import hide
from .messages import encode
from .metrics.recorder import Metrics
from .signature import Transport
from .stragglers import Stragglers
from .threads import Threads
from .unsendable import Unsendable, code_of_the_users

logger = logging.getLogger("isomor")
access_logger = logging.getLogger("isomor.access")

T = TypeVar("T")

# Called once for each call, with its JSON or its error, the other being None.
Answer = Callable[["Call", bytes | None, ApiError | None], None]


if sys.version_info >= (3, 12):

    def start_task(loop: asyncio.AbstractEventLoop, coroutine: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        """A task that has run up to its first wait already: 1 µs in place of 5."""
        return asyncio.Task(coroutine, loop=loop, eager_start=True)

else:

    def start_task(loop: asyncio.AbstractEventLoop, coroutine: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        """A task, which begins in the next turn of the loop: before Python 3.12 it cannot at once."""
        return loop.create_task(coroutine)


def _text(error: BaseException) -> str:
    try:
        return hide(f"{type(error).__name__}: {error}")
    except BaseException:  # its own __str__ fails
        return type(error).__name__


class Call:
    """A call that is running.

    Attributes:
        function: what was called.
        ctx: the context that it runs in.
        settled: whether it has been answered.
    """

    __slots__ = ("_answer", "_began", "_calls", "_task", "_timer", "ctx", "function", "key", "settled")

    def __init__(self, calls: Calls, function: Function, ctx: Context, answer: Answer, key: Any) -> None:
        self.function = function
        self.ctx = ctx
        self.settled = False
        self.key = key
        self._calls = calls
        self._answer = answer
        self._task: asyncio.Task[None] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._began = time.perf_counter()

    def settle(self, payload: bytes | None, error: ApiError | None) -> None:
        """Answer it, unless that has been done."""
        if self.settled:
            return
        self.settled = True
        if self._timer is not None:
            self._timer.cancel()
        self._calls._ended(self, error)
        self._answer(self, payload, error)

    def cancel(self, error: ApiError | None = None) -> None:
        """Answer it with `error` (CANCELLED where there is none), and cancel what runs.

        The answer does not wait: a function may take its time to wind up, and a thread cannot be stopped.
        """
        self.settle(None, error or ApiError.of("CANCELLED", f"{self.function.name} was cancelled."))
        if self._task is not None:
            self._task.cancel()
            self._calls._stragglers.look()

    def _time_out(self) -> None:
        seconds = self._calls.timeout
        message = f"{self.function.name} took longer than {seconds:g} s and was cancelled."
        self.cancel(ApiError.over("call_timeout", "TIMEOUT", message))


class Calls:
    """Runs calls. One for each worker, on its event loop.

    Attributes:
        registry: what can be called; replaced as a whole by a reload.
        running: the calls that are not answered yet.
        draining: whether new calls are refused, since the server is about to stop.
        timeout: seconds that a call may take; 0: for ever.
        metrics: where calls are counted; None: nowhere.
    """

    def __init__(
        self,
        registry: Registry,
        *,
        timeout: float,
        threads: int,
        debug: bool,
        access_log: bool,
        thread_queue: int = 1000,
        metrics: Metrics | None = None,
    ) -> None:
        self.registry = registry
        self.timeout = timeout
        self.metrics = metrics
        self.running: set[Call] = set()
        self.draining = False
        self._loop = asyncio.get_running_loop()
        self._executor = Threads(threads, thread_queue)
        self._debug = debug
        self._access_log = access_log
        self._tasks: set[asyncio.Task[None]] = set()
        self._all_done = asyncio.Event()
        self._stragglers = Stragglers(self._loop, self._tasks, self._thread_ids)

    def start(
        self,
        function: Function,
        raw: msgspec.Raw,
        ctx: Context,
        answer: Answer,
        *,
        key: Any = None,
        made_for: str | None = None,
        last: bool = False,
    ) -> Call:
        """Call `function`; `answer` is called once, perhaps before this returns.

        Args:
            function: as `registry.find` gave it.
            raw: its arguments, a JSON array.
            ctx: the context of this call.
            answer: what gets the outcome.
            key: anything by which the caller knows its call.
            made_for: the hash of the signature that the client was made for, where it says.
            last: whether it is taken while draining too: its caller could not know.
        """
        call = Call(self, function, ctx, answer, key)
        self.running.add(call)
        if self.draining and not last:
            call.settle(None, ApiError.of("UNAVAILABLE", "The server is stopping; call again."))
            return call
        task = start_task(self._loop, self._run(call, raw, made_for))
        if not task.done():
            call._task = task
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
            if self.timeout > 0 and not call.settled:
                call._timer = self._loop.call_later(self.timeout, call._time_out)
        return call

    async def _run(self, call: Call, raw: msgspec.Raw, made_for: str | None) -> None:
        try:
            before_call = self.registry.hooks.before_call
            if before_call is not None and inspect.isawaitable(waiting := before_call(call.ctx)):
                await waiting
            function = call.function
            args = function.decode(raw, made_for)
            if function.bare is not None:
                result = await function.bare(*args)
            else:
                result = await function.run(args, call.ctx, self._executor)
            payload = encode(result, "result")
        except ApiError as error:
            call.settle(None, error)
        except BusUnavailable as error:
            logger.warning("%s could not push: %s", call.function.name, error)
            call.settle(None, ApiError.of("UNAVAILABLE", "The push could not be delivered; call again."))
        except ConnectionClosed:
            call.settle(None, ApiError.of("CANCELLED", "The connection was closed."))  # nobody is there to hear it
        except BaseException as error:
            # Nothing that user code raises ends the server: neither SystemExit nor a stray CancelledError.
            if not call.settled:
                call.settle(None, self.internal(error, call.function.name))
            elif not isinstance(error, asyncio.CancelledError):
                logger.warning("%s failed after it was cancelled", call.function.name, exc_info=error)
        else:
            call.settle(payload, None)

    def refused(self, path: str, transport: Transport, error: ApiError) -> None:
        """Count a call of the function at `path`, if there is one, that is answered by `error` and never begins."""
        if self.metrics is not None:
            function = self.registry.functions.get(path)
            self.metrics.refused(function.name if function is not None else "", transport, error.code)
            if error.limit is not None:
                self.metrics.met(error.limit)

    def met(self, limit: str | None) -> None:
        """Count that a limit was met, named by its setting; None: none was."""
        if self.metrics is not None and limit is not None:
            self.metrics.met(limit)

    def internal(self, error: BaseException, name: str) -> ApiError:
        """Log what went wrong under an id of its own, and give the error that tells the client that id alone."""
        error_id = secrets.token_hex(8)
        if isinstance(error, Unsendable):  # its own traceback has nothing of the user's
            logger.error("%s failed, errorId %s: %s", name, error_id, error, exc_info=code_of_the_users(error))
        else:
            logger.error("%s failed, errorId %s", name, error_id, exc_info=error)
        message = _text(error) if self._debug else "Something went wrong on the server."
        answer = ApiError.of("INTERNAL", message)
        answer.error_id = error_id
        return answer

    def _ended(self, call: Call, error: ApiError | None) -> None:
        self.running.discard(call)
        if self.draining and not self.running:
            self._all_done.set()
        if self.metrics is not None:
            took = time.perf_counter() - call._began
            self.metrics.ended(call.function.name, call.ctx.type, error.code if error else "OK", took)
            if error is not None and error.limit is not None:
                self.metrics.met(error.limit)
        if self._access_log:
            access_logger.info(
                "%s %s %s %.1f ms",
                call.ctx.type,
                call.function.name,
                error.code if error else "OK",
                (time.perf_counter() - call._began) * 1000,
                extra={"call": call.function.name, "transport": call.ctx.type, "code": error.code if error else "OK"},
            )

    def _thread_ids(self) -> list[int]:
        return [thread.ident or 0 for thread in self._executor._threads]

    @property
    def waiting_for_threads(self) -> int:
        """How many calls of plain functions wait for a thread."""
        return self._executor.waiting

    async def drain(self, seconds: float) -> None:
        """Refuse new calls, and wait for the running ones, at most so long; then cancel them, answered UNAVAILABLE."""
        self.draining = True
        try:
            async with asyncio.timeout(seconds):
                while self.running:
                    self._all_done.clear()
                    await self._all_done.wait()
        except TimeoutError:
            logger.warning("%d calls did not end within %g s and are cancelled", len(self.running), seconds)
            for call in list(self.running):
                call.cancel(ApiError.of("UNAVAILABLE", "The server stopped before the call had ended."))

    async def close(self) -> None:
        """Cancel what still runs, and let go of the threads."""
        self._stragglers.stop()
        for task in list(self._tasks):
            task.cancel()
        if self._tasks:
            await asyncio.wait(list(self._tasks), timeout=1)
        self._executor.shutdown(wait=False, cancel_futures=True)
