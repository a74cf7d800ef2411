"""What all connections of one worker share."""

from __future__ import annotations

import asyncio
import contextvars
import threading
from collections.abc import Callable, Collection
from typing import TYPE_CHECKING, Any

from sanic import Sanic

from ..calls import Calls
from ..config import Config
from ..push.hub import Hub
from .admission import Admission
from .deadlines import Deadlines
from .descriptors import room
from .forwarded import Proxies
from .origins import Gate
from .outbox import Flusher
from .rate import Rate

if TYPE_CHECKING:
    from .connection import WsConnection

App = Sanic[Any, Any]


class Worker:
    """One event loop's worth of server.

    Attributes:
        config: the settings.
        app: the Sanic app.
        calls: runs calls.
        hub: knows who has joined what.
        connections: every open WebSocket.
        loop: the event loop.
        thread: the loop's thread, by its identifier.
        flusher: writes what connections have queued.
        idle: closes connections that idle.
        pings: finds dead peers.
        draining: whether the server is about to stop.
        gate: who is let in.
        proxies: whose X-Forwarded-* headers are believed.
        metrics: where things are counted; None: nowhere.
        max_depth: how deeply JSON may be nested (`max_json_depth`).
        requesting: every open connection that is no WebSocket.
        admission: who may connect.
        rate: how many calls a connection may make in a second; None: as many as it likes.
        context: the context variables as startup has left them.
    """

    def __init__(self, config: Config, app: App, calls: Calls, hub: Hub) -> None:
        self.config = config
        self.app = app
        self.calls = calls
        self.hub = hub
        self.metrics = calls.metrics
        self.gate = Gate(config)
        self.proxies = Proxies(config.server.trusted_proxies)
        self.max_depth = config.max_json_depth
        self.rate = Rate.of(config)
        self.connections: set[WsConnection] = set()
        self.requesting: Collection[object] = ()
        self.admission = Admission(config, room(config), self.proxies.trusts, calls.met, self.connections)
        self.loop = asyncio.get_running_loop()
        self.thread = threading.get_ident()
        self.flusher = Flusher(self.loop)
        self.idle: Deadlines[WsConnection] = Deadlines(self.loop, lambda connection: connection.check_idle())
        self.pings: Deadlines[WsConnection] = Deadlines(self.loop, lambda connection: connection.check_peer())
        self.draining = False
        self.context = contextvars.copy_context()

    def outside(self, action: Callable[[], None]) -> None:
        """Do it outside of the call that has just ended: what it begins does not see that call's context variables."""
        self.context.copy().run(action)
