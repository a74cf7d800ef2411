"""One protocol class for the port. What comes first decides who gets it: a plain call, a WebSocket, or Sanic.

Plain calls are answered from here. A WebSocket upgrade is taken before Sanic has made its task for the connection, and
again between two requests of a connection that is kept alive: then Sanic's task is ended, and its transport goes to
picows. A request that does not come whole in time ends its connection, however its bytes are spread.
"""

from __future__ import annotations

import math
import time
from typing import Any, Final

from httptools import HttpParserInvalidURLError, parse_url
from sanic.exceptions import RequestTimeout
from sanic.http import Http, Stage
from sanic.models.server_types import ConnInfo
from sanic.server.protocols.websocket_protocol import WebSocketProtocol

from ..calls import Call
from ..errors import ApiError
from .connection import WsConnection
from .cors import is_preflight, preflight
from .direct import number_of_socket, write
from .forwarded import Seen
from .handshake import (
    Head,
    acceptance,
    check_websocket,
    is_websocket,
    parse_head,
    refusal,
    wants_websocket,
)
from .http import TOO_LATE, methods_of
from .origins import check_host, is_address
from .plain_calls import CONTEXT, KnownHead, PlainCall, PlainCalls
from .request import Handshake
from .strict_http import StrictHttp
from .websocket import attach
from .worker import Worker

# Probes ask for these by any name; Prometheus asks each process by its address.
_ASKED_BY_ANY_NAME: Final = ("/health/live", "/health/ready")
_ASKED_BY_ADDRESS: Final = "/metrics"

# While the server stops, whoever has just connected may say so long what it wants.
_GRACE: Final = 1.0

# Who was told that its request came too late may take so long to hear of it.
_LINGER: Final = 1.0


class IsomorProtocol(WebSocketProtocol):
    """Sanic's protocol, with a look at each request before Sanic sees it.

    `worker` is set on a subclass by `bound_to`: Sanic makes the instances, and hands on nothing of ours. `requests` is
    how many have begun on this connection.
    """

    __slots__ = (
        "_began", "_call", "_clock", "_full_at", "_last", "_needed", "_socket", "_taken", "_trusted", "requests",
    )  # fmt: skip

    # Sanic's methods have no types, and `untyped_calls_exclude` does not reach them by way of a subclass: hence what
    # mypy is told to ignore below.

    HTTP_CLASS = StrictHttp

    worker: Worker
    plain: PlainCalls

    def connection_made(self, transport: Any) -> None:
        """As in Sanic, but for the task: that is made when a request is Sanic's."""
        if self.worker.admission.refuses(transport, len(self.connections)):
            return
        transport.set_write_buffer_limits(low=16384, high=65536)
        self.connections.add(self)
        self.transport = transport
        self.recv_buffer = bytearray()
        self.conn_info = ConnInfo(transport, unix=self._unix)
        self._taken = False
        self._trusted = self.worker.proxies.trusts(self.conn_info.client_ip)
        self._call: Call | None = None
        self._last: KnownHead | None = None
        self._needed = 0
        self._socket: int | None = None
        self._time = self._began = time.monotonic()
        self.requests = 0
        self._full_at = 0.0  # of `Rate`
        self._clock = self.loop.call_later(self._patience(), self._tick)

    @property
    def request_handler(self) -> Any:
        """What Sanic hands a request to. As an attribute, a method of ours would make a circle of garbage."""
        return self._handle

    @request_handler.setter
    def request_handler(self, handler: Any) -> None:
        """Sanic sets its own; ours stands."""

    async def _handle(self, request: Any) -> None:
        """As in Sanic, but that no route or middleware of the user's ends the server: sys.exit passes event loops."""
        self.requests += 1
        if self.worker.draining and self.http is not None:
            self.http.keep_alive = False  # a proxy that keeps connections would go on sending calls here
        try:
            if not await self._answers_at_the_door(request):
                await self.app.handle_request(request)
        except (SystemExit, KeyboardInterrupt) as error:
            said = RuntimeError(f"{request.method} {request.path} raised {error!r}")
            await self.app.handle_exception(request, said, run_middleware=False)  # it may have been middleware
        self._began = time.monotonic()  # the next one may be there already, and Sanic goes on by itself

    async def _answers_at_the_door(self, request: Any) -> bool:
        """Answer what no route or middleware is to see: a host that is not ours, and preflights of allowed origins.

        A preflight carries no cookie and no token, so that middleware which asks for one would refuse it.
        """
        gate = self.worker.gate
        asked_by_address = request.path == _ASKED_BY_ADDRESS and is_address(request.host)
        if gate.hosts and request.path not in _ASKED_BY_ANY_NAME and not asked_by_address:
            try:
                check_host(request.host, gate.hosts)
            except ApiError as error:
                await self.app.handle_exception(request, error, run_middleware=False)
                return True
        if not is_preflight(gate, request):
            return False
        function = self.worker.calls.registry.functions.get(request.path)
        methods = methods_of(function, self.worker.config) if function is not None else None
        response = await request.respond(preflight(request, methods))
        await response.send(end_stream=True)
        return True

    def data_received(self, data: bytes) -> None:
        """A piece of a request: a look where it begins one, then Sanic's."""
        if not self._is_between_requests():
            since = self._time
            super().data_received(data)  # type: ignore[no-untyped-call]
            http = self.http
            if http is not None and http.stage in (Stage.HANDLER, Stage.RESPONSE) and not http.request_body:
                self._time = since  # that more is asked for does not say that what was answered is read
            return
        self._time = time.monotonic()
        if not self.recv_buffer:
            self._began = self._time
            self._read(data)
            return
        self.recv_buffer += data
        if len(self.recv_buffer) >= self._needed:
            self._read_buffer()
        self._set_reading()

    def eof_received(self) -> None:
        """The peer says no more: close it as any other, so that it does not wait for ever to read what it asked for."""
        self.close()

    def _is_between_requests(self) -> bool:
        """Whether a request may begin here."""
        if self.transport is None or self.transport.is_closing():
            return False
        if self._task is None:
            return True
        http = self.http
        if http is None or self.websocket is not None:
            return False
        # Sanic is done with a request when it has made room for the next. Until then a handler may go on, and what
        # comes may be the body, not read yet, of a request that was refused.
        return http.stage is Stage.IDLE and http.keep_alive and getattr(http, "request", http) is None

    def _read_buffer(self) -> None:
        assert self.transport is not None
        if self.recv_buffer and self._call is None and self._can_write.is_set() and not self.transport.is_closing():
            data = bytes(self.recv_buffer)
            self.recv_buffer.clear()
            self._read(data)
            self._set_reading()

    def _set_reading(self) -> None:
        """Read on, unless enough waits behind a call, or for the peer to read what it was answered."""
        if self._taken or self.transport is None or self.transport.is_closing():
            return
        if len(self.recv_buffer) < self.app.config.REQUEST_BUFFER_SIZE or len(self.recv_buffer) < self._needed:
            self.transport.resume_reading()
        else:
            self.transport.pause_reading()

    def _read(self, data: bytes) -> None:
        """Take the requests in `data`: calls that are plain, or a WebSocket; from anything else on it is Sanic's.

        What is not whole waits in `recv_buffer` until that has `_needed` bytes.
        """
        at = self._needed = 0
        while at < len(data) and self._call is None and self._can_write.is_set():
            plain = None if self.worker.draining else self.plain.read(data, at, self._trusted, self._last)
            if type(plain) is PlainCall:
                at = plain.end
                self._last = plain.head
                self._start(plain)
                continue
            rest = data[at:]
            self._needed = plain - at if type(plain) is int else self._look_for_upgrade(rest)
            if self._taken:
                return
            if not self._needed:
                if self._task is None:
                    self.recv_buffer += rest
                    self._task = self.loop.create_task(self.connection_task())  # type: ignore[no-untyped-call]
                else:
                    super().data_received(rest)  # type: ignore[no-untyped-call]
                return
            break
        if at < len(data):
            self.recv_buffer += data[at:]

    def _look_for_upgrade(self, data: bytes) -> int:
        """Take the connection if the request is an upgrade; else say how much must have come to tell, 0: it is none."""
        if not data.startswith(b"GET "[: len(data)]):
            return 0
        end = data.find(b"\r\n\r\n")
        if (len(data) if end < 0 else end) >= Http.HEADER_MAX_SIZE:
            return 0  # Sanic refuses it
        if end < 0:
            return len(data) + 1
        if wants_websocket(data):
            self._upgrade(data)
        return 0

    def take_call(self) -> None:
        """Count a call for the rate of this connection. A proxy's carry the calls of many clients, and have none.

        Raises:
            ApiError: TOO_MANY_CALLS.
        """
        if self.worker.rate is not None and not self._trusted:
            self._full_at = self.worker.rate.take(self._full_at, self.loop.time())

    def _start(self, plain: PlainCall) -> None:
        self.requests += 1
        if self.worker.rate is not None:
            try:
                self.take_call()
            except ApiError as error:
                self.worker.calls.refused(plain.head.function.path, "http", error)
                self._began = self._time
                assert self.transport is not None
                self.transport.write(self.plain.answer(None, error, keep_alive=True))
                return
        sent = plain.sent
        call = self.worker.calls.start(plain.head.function, sent.args, CONTEXT, self._answer, made_for=sent.hash)
        if not call.settled:
            self._call = call

    def _answer(self, call: Call, payload: bytes | None, error: ApiError | None) -> None:
        """Answer a plain call, and go on with what has come in behind it."""
        waited, self._call = self._call is call, None
        if self.transport is None or self.transport.is_closing():
            return
        self._time = self._began = time.monotonic()
        if self.worker.draining:  # its proxy would go on sending calls here
            self.transport.write(self.plain.answer(payload, error, keep_alive=False))
            self.close()
        else:
            if payload is not None:
                if self._socket is None:
                    self._socket = number_of_socket(self.transport)
                behind = self.transport.get_write_buffer_size()
                write(self.transport, self._socket, self.plain.result(payload), behind)
            else:
                self.transport.write(self.plain.answer(payload, error, keep_alive=True))
            if waited:
                self.worker.outside(self._read_buffer)

    def resume_writing(self) -> None:
        """The peer reads again what it was answered: so are its requests."""
        super().resume_writing()  # type: ignore[no-untyped-call]
        if self._is_between_requests():
            self._read_buffer()

    def _tick(self) -> None:
        """End a connection where a request does not come whole in time, or none comes."""
        now = time.monotonic()
        due, limit = self._due()
        if now < due:
            # What comes meanwhile may be due earlier, and does not touch the timer.
            self._clock = self.loop.call_later(min(due - now, self._patience()), self._tick)
            return
        if limit is not None:
            self.worker.calls.met(limit)
        if not self._is_between_requests():
            self._clock = self.loop.call_later(_LINGER, self.close)  # Sanic would wait for the rest even then
            if self.http is not None and self._task is not None:  # answered as in Sanic's own check_timeouts
                self.http.exception = RequestTimeout(TOO_LATE)
                self._task.cancel()
            return
        # Who has sent nothing asked nothing: some browsers connect beforehand, and would take this for an answer.
        if self.recv_buffer and self._can_write.is_set() and self.transport is not None:
            self.transport.write(self.plain.answer(None, ApiError.of("REQUEST_TIMEOUT", TOO_LATE), keep_alive=False))
        self.close()

    def _due(self) -> tuple[float, str | None]:
        """When this connection is ended, unless something happens, and the limit that it has met then."""
        head = self._began + min(self.worker.config.server.head_timeout, self.request_timeout), "server.head_timeout"
        whole = self._began + self.request_timeout, "server.request_timeout"
        if self._call is not None or self.transport is None:
            return math.inf, None
        if self._is_between_requests():
            if self.recv_buffer:
                return whole if b"\r\n\r\n" in self.recv_buffer else head
            return (self._time + self.keep_alive_timeout, None) if self.requests else head
        http = self.http
        if http is None or self.websocket is not None:
            return math.inf, None
        if http.stage is Stage.REQUEST:
            return head
        # A body that Sanic waits for, or throws away; one that a route reads by itself is that route's to wait for.
        if http.request_body and http.request_max_size != math.inf:
            route = http.request.route if http.request is not None else None
            if http.stage is Stage.IDLE or (http.stage is Stage.HANDLER and route and not route.extra.ignore_body):
                return whole
        return math.inf, None

    def _patience(self) -> float:
        head = self.worker.config.server.head_timeout
        return float(max(0.1, min(head, self.request_timeout, self.keep_alive_timeout)))  # which may be 0

    def check_timeouts(self) -> None:
        """As in Sanic, to which a connection idles while a plain call runs."""
        if self._call is not None:
            self._time = time.monotonic()
        super().check_timeouts()  # type: ignore[no-untyped-call]

    def _upgrade(self, buffer: bytes) -> None:
        """Take the connection, if the request is an upgrade of ours; answer it, one way or the other."""
        raw, end, rest = buffer.partition(b"\r\n\r\n")
        head = parse_head(raw) if end else None
        if head is None or not is_websocket(head):
            return
        try:
            key = check_websocket(head)
            self._check_origin(head)
            if self.worker.draining:
                raise ApiError.of("UNAVAILABLE", "The server is stopping; connect again.")
            parse_url(head.target.encode())
            handshake = Handshake(raw, self.transport)
            if self._trusted and self.worker.admission.each:
                self.worker.admission.enter(handshake.address(self.worker))
        except HttpParserInvalidURLError:
            return  # Sanic knows how to refuse that
        except ApiError as error:
            assert self.transport is not None
            self.transport.write(refusal(error))
            self.close()  # for good after a while, whether the peer reads that or not: so it stays Sanic's till then
            self._taken = True
            return
        transport = self._let_go()
        transport.write(acceptance(key))
        attach(transport, WsConnection(self.worker, handshake, transport), self.worker.config.max_message_size, rest)

    def _check_origin(self, head: Head) -> None:
        worker = self.worker
        scheme = "wss" if worker.config.server.tls_cert else "ws"
        seen = worker.proxies.seen(Seen("", scheme, head.get("host")), self._trusted, head.get)
        origin = head.get("origin")
        # Browsers always send Origin here; of Sec-Fetch-Site some have thought that ws: is another site than http:.
        worker.gate.check(origin, "" if origin else head.get("sec-fetch-site"), seen.host, seen.secure)

    def _let_go(self) -> Any:
        """Part from Sanic: from now on it neither counts, times nor closes this connection."""
        self._taken = True
        self._clock.cancel()
        self.connections.discard(self)
        transport: Any = self.transport
        transport.resume_reading()
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
        if self._call is not None:
            return False
        if b"\r\n\r\n" in self.recv_buffer and self._can_write.is_set() and self._is_between_requests():
            self._read_buffer()  # it is Sanic's from here on, and waits for the rest of its body
            return False
        # A request may be on the way, or not be read yet, and a proxy would not send that again.
        since = self._began if not self.requests else self._time if self.recv_buffer else -math.inf
        if time.monotonic() - since < _GRACE:
            return False
        self.close()
        return True

    def connection_lost(self, exc: Exception | None) -> None:
        """As in Sanic; and a plain call that runs is cancelled, where `cancel_on_disconnect` says so."""
        if hasattr(self, "_clock"):
            self._clock.cancel()
            if self.worker.admission.each and self.conn_info is not None:
                self.worker.admission.leave(self.conn_info.client_ip)
            super().connection_lost(exc)  # type: ignore[no-untyped-call]
            if self._call is not None and self.worker.config.cancel_on_disconnect:
                self._call.cancel()


def bound_to(worker: Worker) -> type[IsomorProtocol]:
    """The protocol class for one worker."""
    return type("IsomorProtocol", (IsomorProtocol,), {"worker": worker, "plain": PlainCalls(worker), "__slots__": ()})
