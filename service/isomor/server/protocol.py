"""One protocol class for the port. What comes first on a connection decides who gets it: a WebSocket, or Sanic.

A WebSocket upgrade is taken before Sanic has made its task for the connection, and again between two requests of a
connection that is kept alive: then Sanic's task is ended, and its transport goes to picows.
"""

from __future__ import annotations

import math
import time
from typing import Any, Final

from sanic.compat import Header
from sanic.exceptions import SanicException
from sanic.http import Stage
from sanic.models.server_types import ConnInfo
from sanic.server.protocols.websocket_protocol import WebSocketProtocol

from ..errors import ApiError
from .connection import WsConnection
from .handshake import (
    Head,
    check_origin,
    check_websocket,
    is_websocket,
    parse_head,
    refusal,
    wants_websocket,
)
from .websocket import attach
from .worker import Worker

_LONGEST_HEAD: Final = 16 * 1024

# While the server stops, whoever has just connected may say so long what it wants.
_GRACE: Final = 1.0


class IsomorProtocol(WebSocketProtocol):
    """Sanic's protocol, with a look at each request before Sanic sees it.

    `worker` is set on a subclass by `bound_to`: Sanic makes the instances, and hands on nothing of ours. `requests` is
    how many have begun on this connection.
    """

    __slots__ = ("_head_timer", "_opened", "_taken", "requests")

    worker: Worker

    def connection_made(self, transport: Any) -> None:
        """As in Sanic, but for the task: that is made when a request is Sanic's."""
        transport.set_write_buffer_limits(low=16384, high=65536)
        self.connections.add(self)
        self.transport = transport
        self.recv_buffer = bytearray()
        self.conn_info = ConnInfo(transport, unix=self._unix)
        self._taken = False
        self._opened = time.monotonic()
        self.requests = 0
        self.request_handler = self._handle
        # Sanic's own clocks tick from its task on; a peer that says nothing, or never ends its head, is ours to end.
        self._head_timer = self.loop.call_later(self.request_timeout, self.abort)

    async def _handle(self, request: Any) -> None:
        """As in Sanic, but that no route or middleware of the user's ends the server: sys.exit passes event loops."""
        self.requests += 1
        if self.worker.draining and self.http is not None:
            self.http.keep_alive = False  # a proxy that keeps connections would go on sending calls here
        try:
            await self.app.handle_request(request)
        except (SystemExit, KeyboardInterrupt) as error:
            said = RuntimeError(f"{request.method} {request.path} raised {error!r}")
            await self.app.handle_exception(request, said, run_middleware=False)  # it may have been middleware

    def data_received(self, data: bytes) -> None:
        """A piece of a request: a look where it begins one, then Sanic's."""
        if self._task is None:
            self.recv_buffer += data
            self._look_first()
        elif self._is_between_requests():
            self.recv_buffer += data
            self._time = time.monotonic()
            if not self._is_ours():
                data = bytes(self.recv_buffer)
                self.recv_buffer.clear()
                super().data_received(data)  # type: ignore[no-untyped-call]
        else:
            super().data_received(data)  # type: ignore[no-untyped-call]

    def _is_ours(self) -> bool:
        """Whether the request in the buffer is an upgrade that was taken, or may yet turn out to be one."""
        buffer = bytes(self.recv_buffer)
        if not buffer.startswith(b"GET "[: len(buffer)]):
            return False
        if b"\r\n\r\n" not in buffer:
            return len(buffer) < _LONGEST_HEAD
        return wants_websocket(buffer) and self._upgrade(buffer)

    def _look_first(self) -> None:
        if self._is_ours():
            return
        self._head_timer.cancel()
        self._time = time.monotonic()
        self._task = self.loop.create_task(self.connection_task())  # type: ignore[no-untyped-call]

    def _is_between_requests(self) -> bool:
        http = self.http
        return self.websocket is None and http is not None and http.stage is Stage.IDLE

    def _upgrade(self, buffer: bytes) -> bool:
        """Take the connection, if the request is an upgrade of ours; answer it, one way or the other."""
        raw, end, rest = buffer.partition(b"\r\n\r\n")
        head = parse_head(raw) if end else None
        if head is None or not is_websocket(head):
            return False
        try:
            key = check_websocket(head)
            host = head.get("host")
            if self.conn_info is not None and self.worker.trusts(self.conn_info.client_ip):
                host = head.get("x-forwarded-host") or host
            check_origin(dict(head.headers), host, self.worker.config, websocket=True)
            if self.worker.draining:
                raise ApiError.of("UNAVAILABLE", "The server is stopping; connect again.")
            request = self._request(head, raw)
        except SanicException:
            return False  # for its URL, which Sanic knows how to refuse
        except ApiError as error:
            transport = self._let_go()
            transport.write(refusal(error))
            transport.close()
            return True
        request = self._request(head, raw)
        connection = WsConnection(self.worker, request)
        attach(self._let_go(), connection, key, rest, self.worker.config.max_message_size)
        return True

    def _request(self, head: Head, raw: bytes) -> Any:
        request = self.request_class(
            url_bytes=head.target.encode(),
            headers=Header(head.headers),
            head=raw,
            version=head.version.removeprefix("HTTP/"),
            method=head.method,
            transport=self.transport,  # type: ignore[arg-type]
            app=self.app,
        )
        request.conn_info = self.conn_info
        return request

    def _let_go(self) -> Any:
        """Part from Sanic: from now on it neither counts, times nor closes this connection."""
        self._taken = True
        self._head_timer.cancel()
        self.connections.discard(self)
        transport = self.transport
        if self._callback_check_timeouts is not None:
            self._callback_check_timeouts.cancel()
        if self._task is not None:
            self._task.cancel()
        return transport

    def close(self, timeout: float | None = None) -> None:
        """As in Sanic, unless the connection is no longer Sanic's."""
        if not self._taken:
            super().close(timeout)

    def close_if_idle(self) -> bool:
        """Close it unless a request is under way; then the answer says that it is the last."""
        if self._taken:
            return False
        http = self.http
        if http is not None and http.stage is not Stage.IDLE:
            http.keep_alive = False
            return False
        # A request may be on the way, or not be read yet, and a proxy would not send that again.
        since = self._opened if self._task is None else self._time if self.recv_buffer else -math.inf
        if time.monotonic() - since < _GRACE:
            return False
        self._head_timer.cancel()
        self.close()
        return True

    def connection_lost(self, exc: Exception | None) -> None:
        """As in Sanic."""
        if hasattr(self, "_head_timer"):
            self._head_timer.cancel()
            super().connection_lost(exc)  # type: ignore[no-untyped-call]


def bound_to(worker: Worker) -> type[IsomorProtocol]:
    """The protocol class for one worker."""
    return type("IsomorProtocol", (IsomorProtocol,), {"worker": worker, "__slots__": ()})
