"""Wiring and life of one worker: from the configuration and the functions to a port that answers, and back."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import gc
import inspect
import logging
import math
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable
from typing import Final

import uvloop
from sanic import Sanic
from sanic.application.constants import ServerStage
from sanic.application.state import ApplicationServerInfo
from sanic.http import Http
from sanic.http.constants import HTTP
from sanic.server.async_server import AsyncioServer

from ..calls import Calls
from ..config import Config
from ..errors import StartupError
from ..loader import Registry, where
from ..metrics.recorder import Metrics
from ..push.bus import Bus, LocalBus
from ..push.hub import Hub, set_current
from ..stacks import chain, place, suspended
from . import http, pages
from .client_pages import mount_client
from .protocol import bound_to
from .reload import Load, watch
from .request import request_class
from .sockets import BACKLOG, is_awaited, tls_context
from .watchdog import Watchdog, run
from .worker import App, Worker

logger = logging.getLogger("isomor")

# WebSockets are closed so many at a time, so that their clients do not all come back at once.
_BATCH: Final = 100
_BATCH_PAUSE: Final = 0.02

_YEAR: Final = 365 * 24 * 3600

# How many of the functions that do not end the log names.
_MOST_NAMED: Final = 10


def serve(
    config: Config,
    registry: Registry,
    sock: socket.socket,
    on_ready: Callable[[], None],
    *,
    lifeline: int | None = None,
    reload: Load | None = None,
    metrics: Metrics | None = None,
) -> bool:
    """Serve until SIGTERM or SIGINT, then drain. Returns when all is let go.

    Args:
        config: the settings.
        registry: what to serve.
        sock: the listening socket.
        on_ready: called when it serves.
        lifeline: a descriptor that closes when the parent of several workers ends.
        reload: loads the api folder anew, in watch mode.
        metrics: where things are counted; None: nowhere.

    Returns:
        Whether it ended to be started anew, since startup has changed.

    Raises:
        StartupError: if `startup(app)` fails.
        ConfigError: if Redis refuses us for good.
    """
    runner = asyncio.Runner(loop_factory=uvloop.new_event_loop, debug=False)
    loop = runner.get_loop()
    watchdog = Watchdog(loop, config.logging.blocked_seconds, config.server.drain_seconds)
    server = Server(config, registry, metrics)
    try:
        with sock:
            restart = run(loop, _serve(server, config, sock, on_ready, lifeline, reload, watchdog))
    except BaseException:
        runner.close()
        watchdog.stop()
        raise
    watchdog.quiet = True
    left = _what_is_left(loop)
    if left and not restart:
        # Python would wait for them for ever. Their callers have been answered.
        shown = "; ".join(left[:_MOST_NAMED]) + ("; …" if len(left) > _MOST_NAMED else "")
        logger.warning("functions that do not end are left behind: %d of them, at %s", len(left), shown)
        logging.shutdown()
        sys.stdout.flush()
        os._exit(0)
    if not restart:
        runner.close()
    watchdog.stop()
    return restart


def _what_is_left(loop: asyncio.AbstractEventLoop) -> list[str]:
    """Where user code still runs: in threads, or in tasks that swallow their cancellation."""

    async def wind_up() -> set[asyncio.Task[None]]:
        tasks = asyncio.all_tasks() - {asyncio.current_task()}
        for task in tasks:
            task.cancel()
        if not tasks:
            return set()
        _, pending = await asyncio.wait(tasks, timeout=1)
        return pending

    stuck = loop.run_until_complete(wind_up())
    threads = [thread for thread in threading.enumerate() if thread.name.startswith("isomor_")]
    until = time.monotonic() + 1
    for thread in threads:
        thread.join(max(until - time.monotonic(), 0))  # one that idles takes a moment to end
    alive = [chain(thread.ident or 0) for thread in threads if thread.is_alive()]
    return [place(frames) for frames in [*map(suspended, stuck), *alive]]


async def _end_user_tasks() -> None:
    """Cancel the background tasks of user code, while what they use is still there, and wait a moment."""
    tasks = [task for task in asyncio.all_tasks() if not task.get_name().startswith("isomor ")]
    tasks = [task for task in tasks if task is not asyncio.current_task()]
    for task in tasks:
        task.cancel()
    if tasks:
        await asyncio.wait(tasks, timeout=1)


async def _serve(
    server: Server,
    config: Config,
    sock: socket.socket,
    on_ready: Callable[[], None],
    lifeline: int | None,
    reload: Load | None,
    watchdog: Watchdog,
) -> bool:
    stop = asyncio.Event()
    restart = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, _on_signal, stop)
        watchdog.hear(number)
    if lifeline is not None:
        loop.add_reader(lifeline, _on_orphaned, loop, lifeline, stop)
    await server.start(sock)
    watcher = None
    if reload is not None:

        def start_anew() -> None:
            restart.set()
            stop.set()

        watcher = asyncio.create_task(watch(config.api.folder, server.worker, reload, start_anew, watchdog.hushed))
    try:
        on_ready()
        watchdog.quiet = False
        await stop.wait()
    finally:
        if watcher is not None:
            watcher.cancel()
        await server.stop()
    return restart.is_set()


def _on_orphaned(loop: asyncio.AbstractEventLoop, lifeline: int, stop: asyncio.Event) -> None:
    loop.remove_reader(lifeline)
    logger.error("the parent process has ended: stopping")
    stop.set()


def _on_signal(stop: asyncio.Event) -> None:
    if stop.is_set():
        logger.warning("a second signal: stopping at once")
        os._exit(1)
    stop.set()


class Server:
    """One worker's server. `worker` is there from `start` on."""

    def __init__(self, config: Config, registry: Registry, metrics: Metrics | None) -> None:
        self._config = config
        self._metrics = metrics
        self._registry = registry
        self._server: AsyncioServer | None = None
        self.worker: Worker

    async def start(self, sock: socket.socket) -> None:
        """Run `startup(app)`, then listen.

        Raises:
            StartupError: if `startup(app)` fails.
            ConfigError: if Redis refuses us for good.
        """
        config = self._config
        self._sock = sock
        calls = Calls(
            self._registry,
            timeout=config.call_timeout,
            threads=config.threads,
            thread_queue=config.max_thread_queue,
            debug=config.debug,
            access_log=config.logging.access,
            metrics=self._metrics,
        )
        hub = Hub(make_bus(config), self._metrics)
        app = self._make_app()
        self.worker = Worker(config, app, calls, hub)
        await hub.start()
        set_current(hub)
        try:
            await self._run_startup(app)
            # Sanic would let no head be larger than a body may be.
            Http.set_header_max_size(app.config.REQUEST_MAX_HEADER_SIZE)
            self.worker.context = contextvars.copy_context()
            self._mount(app)
            tls = tls_context(config)
            self._server = await app.create_server(
                sock=sock,
                protocol=bound_to(self.worker),
                backlog=BACKLOG,
                ssl=tls,
                return_asyncio_server=True,
                debug=False,
                asyncio_server_kwargs={
                    "start_serving": False,
                    "ssl_handshake_timeout": config.server.head_timeout if tls is not None else None,
                },
            )
            assert self._server is not None
            self.worker.requesting = self._server.connections
            await self._server.startup()
            await self._server.before_start()
            if not config.watch:
                # What is there now stays: the collector need not look through it for each few thousand connections.
                gc.collect()
                gc.freeze()
            await self._server.start_serving()  # accepts from here on: who came before has waited
            await self._server.after_start()
        except BaseException:
            set_current(None)
            await hub.stop()
            await calls.close()
            raise

    def _make_app(self) -> App:
        config = self._config
        static = pages.StaticFolder(config.server.static_folder) if config.server.static_folder else None
        app: App = Sanic(
            "isomor",
            configure_logging=False,
            error_handler=http.Errors(lambda: self.worker, static, home="/console" if config.docs.enabled else None),
            request_class=request_class(lambda: self.worker),
        )
        # Sanic notes this only where it runs its own processes. Without, it sends an empty alt-svc header, and what
        # `app.add_task` is given in startup would only begin after it.
        info = ApplicationServerInfo(settings={"version": HTTP.VERSION_1, "port": 0}, stage=ServerStage.SERVING)
        app.state.server_info.append(info)
        app.config.REQUEST_TIMEOUT = config.server.request_timeout
        app.config.REQUEST_MAX_SIZE = config.max_message_size
        app.config.REQUEST_MAX_HEADER_SIZE = config.server.max_header_size
        app.config.RESPONSE_TIMEOUT = max(60, math.ceil(config.call_timeout) + 5) if config.call_timeout else _YEAR
        app.config.ACCESS_LOG = False
        app.config.FALLBACK_ERROR_FORMAT = "json"
        return app

    def _mount(self, app: App) -> None:
        if self._config.client.enabled:
            mount_client(app, lambda: self.worker)
        http.mount(app, lambda: self.worker)
        pages.mount_health(app, lambda: self.worker)
        if self._config.docs.enabled:
            from .console_page import mount_console
            from .describe_pages import mount_describe

            mount_describe(app, lambda: self.worker)
            mount_console(app, client=self._config.client.enabled)
        if self._metrics is not None:
            from .metrics_page import mount_metrics  # what is switched off is not even imported

            mount_metrics(app, self.worker, self._metrics)

    async def _run_startup(self, app: App) -> None:
        startup = self._registry.hooks.startup
        if startup is None:
            return
        try:
            outcome = startup(app)
            if inspect.isawaitable(outcome):
                await outcome
        except BaseException as error:
            if isinstance(error, asyncio.CancelledError):
                raise
            raise StartupError(f"startup failed: {where(error, self._config.api.folder)}") from error

    async def stop(self) -> None:
        """Drain, then let go: not ready, no new connections, running calls end, WebSockets are told to come back."""
        worker, server = self.worker, self._server
        assert server is not None
        worker.draining = True
        logger.info("stopping: %d calls are running", len(worker.calls.running))
        until = worker.loop.time() + self._config.server.drain_seconds
        await self._stop_listening(server)
        closing = asyncio.create_task(self._close_websockets(until + 1))
        await worker.calls.drain(until - worker.loop.time())
        await closing
        await self._let_requests_end(server, until)
        await worker.calls.drain(0)  # what connections that had just come in have begun since
        await self._let_requests_end(server, until + 1)
        await server.before_stop()
        await _end_user_tasks()
        set_current(None)
        worker.idle.stop()
        worker.pings.stop()
        worker.admission.close()
        for connection in list(worker.connections):
            connection.abort()
        for protocol in list(server.connections):
            protocol.abort()
        await worker.hub.stop()
        await worker.calls.close()
        await server.after_stop()
        logger.info("stopped")

    async def _stop_listening(self, server: AsyncioServer) -> None:
        """Close the port, once all who have connected already are let in: the kernel would reset them."""
        until = self.worker.loop.time() + 1
        with contextlib.suppress(Exception):
            while is_awaited(self._sock) and self.worker.loop.time() < until:  # noqa: ASYNC110 - no event tells
                await asyncio.sleep(0)
            server.close()

    async def _close_websockets(self, until: float) -> None:
        """Close each once it has no call running, in small batches, until all have said goodbye or time is up."""
        connections, loop = self.worker.connections, self.worker.loop
        while connections and loop.time() < until:
            calm = [connection for connection in connections if not (connection.busy or connection.closed)]
            for connection in calm[:_BATCH]:
                connection.restart()
            await asyncio.sleep(_BATCH_PAUSE)

    async def _let_requests_end(self, server: AsyncioServer, until: float) -> None:
        """Wait for requests that Sanic answers, for as long as calls may take to end."""
        while True:
            for protocol in list(server.connections):
                protocol.close_if_idle()
            if not server.connections or self.worker.loop.time() > until:
                return
            await asyncio.sleep(_BATCH_PAUSE)


def make_bus(config: Config) -> Bus:
    """The bus that the configuration asks for."""
    if config.redis.url is None:
        return LocalBus()
    from ..push.redis_bus import RedisBus

    redis = config.redis
    assert redis.url is not None
    return RedisBus(redis.url, prefix=redis.prefix, outage_buffer_seconds=redis.outage_buffer_seconds)
