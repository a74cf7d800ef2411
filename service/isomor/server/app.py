"""Wiring and life of one worker: from the configuration and the functions to a port that answers, and back."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import inspect
import logging
import math
import os
import signal
import socket
import ssl
import threading
from collections.abc import Callable
from typing import Final

import uvloop
from sanic import Request, Sanic
from sanic.server.async_server import AsyncioServer

from ..calls import Calls
from ..config import Config
from ..errors import ConfigError, StartupError
from ..loader import Registry, where
from ..push.bus import Bus, LocalBus
from ..push.hub import Hub, set_current
from . import http, pages
from .protocol import bound_to
from .reload import watch
from .worker import App, Worker

logger = logging.getLogger("isomor")

BACKLOG: Final = 4096

# WebSockets are closed so many at a time, so that their clients do not all come back at once.
_BATCH: Final = 100
_BATCH_PAUSE: Final = 0.02

_YEAR: Final = 365 * 24 * 3600


def bind(config: Config, port: int, *, shared: bool = False) -> socket.socket:
    """A listening socket.

    Args:
        config: the settings.
        port: what to listen on; 0 takes a free one.
        shared: whether other sockets of this user may listen there too.

    Raises:
        ConfigError: if the address cannot be had.
    """
    host = config.server.host
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0][0]
        sock = socket.create_server((host, port), family=family, backlog=BACKLOG, reuse_port=shared)
    except OSError as error:
        why = error.strerror or str(error)
        in_use = "stop what uses it, or take another by ISOMOR_PORT"
        fix = in_use if error.errno == errno.EADDRINUSE else "check server.host and server.port"
        raise ConfigError([f"server.host={host!r}, server.port={port}: cannot listen there: {why}; {fix}"]) from None
    sock.setblocking(False)
    return sock


def reserve(config: Config) -> socket.socket:
    """A socket that keeps the port for several workers, and takes no connection itself.

    Raises:
        ConfigError: if the address cannot be had.
    """
    with bind(config, config.server.port) as probe:  # a port that others share already must not be joined unseen
        family, address = probe.family, probe.getsockname()
    sock = socket.socket(family, socket.SOCK_STREAM)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    sock.bind(address)
    return sock


def serve(
    config: Config,
    registry: Registry,
    sock: socket.socket,
    on_ready: Callable[[], None],
    *,
    lifeline: int | None = None,
    reload: Callable[[], Registry] | None = None,
) -> bool:
    """Serve until SIGTERM or SIGINT, then drain. Returns when all is let go.

    Args:
        config: the settings.
        registry: what to serve.
        sock: the listening socket.
        on_ready: called when it serves.
        lifeline: a descriptor that closes when the parent of several workers ends.
        reload: loads the api folder anew, in watch mode.

    Returns:
        Whether it ended to be started anew, since startup has changed.

    Raises:
        StartupError: if `startup(app)` fails.
        ConfigError: if Redis refuses us for good.
    """
    with sock, asyncio.Runner(loop_factory=uvloop.new_event_loop, debug=False) as runner:
        restart = runner.run(_serve(config, registry, sock, on_ready, lifeline, reload))
    left = [thread.name for thread in threading.enumerate() if thread.name.startswith("isomor_")]
    if left:
        # Python would wait for them for ever. Their callers have been answered.
        logger.warning("%d functions still run in threads and are left behind", len(left))
        logging.shutdown()
        os._exit(0)
    return restart


async def _serve(
    config: Config,
    registry: Registry,
    sock: socket.socket,
    on_ready: Callable[[], None],
    lifeline: int | None,
    reload: Callable[[], Registry] | None,
) -> bool:
    stop = asyncio.Event()
    restart = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, _on_signal, stop)
    if lifeline is not None:
        loop.add_reader(lifeline, _on_orphaned, loop, lifeline, stop)
    server = Server(config, registry)
    await server.start(sock)
    watcher = None
    if reload is not None:

        def start_anew() -> None:
            restart.set()
            stop.set()

        watcher = asyncio.create_task(watch(config.api.folder, server.worker, reload, start_anew))
    try:
        on_ready()
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

    def __init__(self, config: Config, registry: Registry) -> None:
        self._config = config
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
        calls = Calls(
            self._registry,
            timeout=config.call_timeout,
            threads=config.threads,
            debug=config.debug,
            access_log=config.logging.access,
        )
        hub = Hub(make_bus(config))
        app = self._make_app()
        self.worker = Worker(config, app, calls, hub)
        await hub.start()
        set_current(hub)
        try:
            await self._run_startup(app)
            self._mount(app)
            self._server = await app.create_server(
                sock=sock,
                protocol=bound_to(self.worker),
                backlog=BACKLOG,
                ssl=_tls(config),
                return_asyncio_server=True,
                debug=False,
                asyncio_server_kwargs={"start_serving": False},
            )
            assert self._server is not None
            await self._server.startup()
            await self._server.before_start()
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
            error_handler=http.Errors(lambda: self.worker, static),
            request_class=_request_class(lambda: self.worker),
        )
        app.config.REQUEST_MAX_SIZE = config.max_message_size
        app.config.RESPONSE_TIMEOUT = max(60, math.ceil(config.call_timeout) + 5) if config.call_timeout else _YEAR
        app.config.ACCESS_LOG = False
        app.config.FALLBACK_ERROR_FORMAT = "json"
        return app

    def _mount(self, app: App) -> None:
        http.mount(app, lambda: self.worker)
        pages.mount_health(app, lambda: self.worker)

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
        with contextlib.suppress(Exception):
            server.close()
        closing = asyncio.create_task(self._close_websockets())
        await worker.calls.drain(self._config.server.drain_seconds)
        await closing
        await self._let_requests_end(server)
        await server.before_stop()
        set_current(None)
        worker.idle.stop()
        worker.pings.stop()
        for connection in list(worker.connections):
            connection.abort()
        for protocol in list(server.connections):
            protocol.abort()
        await worker.hub.stop()
        await worker.calls.close()
        await server.after_stop()
        logger.info("stopped")

    async def _close_websockets(self) -> None:
        """Close each once it has no call running, in small batches, until all have said goodbye or time is up."""
        connections, loop = self.worker.connections, self.worker.loop
        until = loop.time() + self._config.server.drain_seconds + 1
        while connections and loop.time() < until:
            calm = [connection for connection in connections if not (connection.busy or connection.closed)]
            for connection in calm[:_BATCH]:
                connection.restart()
            await asyncio.sleep(_BATCH_PAUSE)

    async def _let_requests_end(self, server: AsyncioServer) -> None:
        """Wait for requests that Sanic answers, for as long as calls may take to end."""
        until = self.worker.loop.time() + self._config.server.drain_seconds
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


def _tls(config: Config) -> ssl.SSLContext | None:
    if config.server.tls_cert is None or config.server.tls_key is None:
        return None
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.set_alpn_protocols(["http/1.1"])
    try:
        context.load_cert_chain(config.server.tls_cert, config.server.tls_key)
    except (ssl.SSLError, OSError) as error:
        raise ConfigError([f"server.tls_cert, server.tls_key: they cannot be used: {error}"]) from None
    return context


def _request_class(worker_of: Callable[[], Worker]) -> type[Request]:
    """Sanic's request, which believes X-Forwarded-* of trusted proxies, and of nobody else."""

    class IsomorRequest(Request):
        __slots__ = ()

        def _forwarded(self, name: str) -> str:
            peer = super().ip
            return self.headers.get(name, "") if peer and worker_of().trusts(peer) else ""

        @property
        def ip(self) -> str:
            """The client's address: the last in X-Forwarded-For that is no trusted proxy."""
            hops = [hop.strip() for hop in self._forwarded("x-forwarded-for").split(",") if hop.strip()]
            worker = worker_of()
            for hop in reversed(hops):
                if not worker.trusts(hop):
                    return hop
            return hops[0] if hops else super().ip

        @property
        def scheme(self) -> str:
            said = self._forwarded("x-forwarded-proto").strip().lower()
            return said if said in ("http", "https", "ws", "wss") else super().scheme

        @property
        def host(self) -> str:
            return self._forwarded("x-forwarded-host").strip() or self.headers.get("host", "")

    return IsomorRequest
