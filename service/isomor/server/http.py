"""Calls over HTTP, as Sanic's handlers: `POST` and `GET /isomor/<module>/<name>`, and how every error is answered."""

from __future__ import annotations

import asyncio
import hashlib
import logging
from typing import Any, Final

from sanic import HTTPResponse, Request
from sanic.exceptions import MethodNotAllowed, NotFound, SanicException
from sanic.handlers import ErrorHandler
from sanic.headers import format_http1_response

from .. import messages
from ..calls import Call
from ..config import Config
from ..context import HttpContext, HttpResponse
from ..errors import STATUS, ApiError
from ..functions import Function
from .cors import joined
from .worker import App, Worker

logger = logging.getLogger("isomor")

CALLS_ROUTE: Final = "isomor_calls"
TOO_LATE: Final = "The request did not come whole in time (server.head_timeout, server.request_timeout); send it again."

_JSON: Final = "application/json"
_BY_STATUS: Final = {
    status: code
    for code, status in STATUS.items()
    if code not in ("ERROR", "HTTP_REQUIRED", "TOO_MANY_TOPICS", "TOO_MANY_TASKS")
}


def mount(app: App, worker_of: Any) -> None:
    """Add the route of calls to `app`; `worker_of()` is the worker, once there is one."""

    async def handle(request: Request, path: str) -> HTTPResponse:
        return await _Handler(worker_of(), request).answer()

    methods = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]
    app.add_route(handle, "/isomor/<path:path>", methods=methods, name=CALLS_ROUTE, strict_slashes=True)


def methods_of(function: Function, config: Config) -> str:
    """The methods that a function is called by, as in an Allow header."""
    by_get = function.cached is not None or config.security.get_calls == "all"
    return "GET, HEAD, POST, OPTIONS" if by_get else "POST, OPTIONS"


class _Handler:
    """One request to a function."""

    def __init__(self, worker: Worker, request: Request) -> None:
        self.worker = worker
        self.request = request
        self.allowed = ""

    async def answer(self) -> HTTPResponse:
        self.request.ctx.isomor_counted = True  # here, whatever comes of it
        try:
            self._check_origin()
            response = await self._dispatch()
        except ApiError as error:
            self.worker.calls.refused(self.request.path, "http", error)
            response = error_response(error)
            if error.code == "METHOD_NOT_ALLOWED":
                response.headers["allow"] = self.allowed
        return response

    def _check_origin(self) -> None:
        request = self.request
        secure = request.scheme in ("https", "wss")
        self.worker.gate.check(joined(request, "origin"), joined(request, "sec-fetch-site"), request.host, secure)

    async def _dispatch(self) -> HTTPResponse:
        request = self.request
        function = self.worker.calls.registry.functions.get(request.path)
        if function is None:
            raise ApiError.of("NOT_FOUND", "There is no such function.")
        self.allowed = allowed = methods_of(function, self.worker.config)
        if request.method == "OPTIONS":
            return HTTPResponse(status=204, headers={"allow": allowed})
        if request.method not in allowed.split(", "):
            message = f"{function.name} is called by {allowed.replace(', OPTIONS', '')}."
            raise ApiError.of("METHOD_NOT_ALLOWED", message)
        self.worker.calls.registry.find(request.path, "http")
        protocol: Any = request.protocol
        protocol.take_call()
        sent = self._body() if request.method == "POST" else self._query(function)
        return await self._call(function, sent)

    def _body(self) -> messages.HttpCall:
        request = self.request
        if request.body:
            kind, _, parameters = request.headers.get("content-type", "").partition(";")
            charset = parameters.strip().lower().removeprefix("charset=").strip('"')
            if kind.strip().lower() != _JSON or charset not in ("", "utf-8"):
                raise ApiError.of("UNSUPPORTED_MEDIA_TYPE", f"Send the arguments as {_JSON}.")
        return messages.decode_http_call(request.body, self.worker.max_depth)

    def _query(self, function: Function) -> messages.HttpCall:
        args = self.request.args.get("args")
        if args is None:
            return messages.HttpCall()
        if function.cached is None:
            message = f"{function.name} is not marked @cached: POST the arguments, and GET only without any."
            raise ApiError.of("METHOD_NOT_ALLOWED", message)
        return messages.HttpCall(messages.decode_query_args(args, self.worker.max_depth), self.request.args.get("hash"))

    async def _call(self, function: Function, sent: messages.HttpCall) -> HTTPResponse:
        request = self.request
        secure = request.scheme in ("https", "wss")
        ctx = HttpContext(function.name, request, HttpResponse(secure_request=secure))
        outcome: asyncio.Future[bytes] = self.worker.loop.create_future()

        def settled(_call: Call, payload: bytes | None, error: ApiError | None) -> None:
            if outcome.done():
                return  # the request is gone
            if payload is not None:
                outcome.set_result(payload)
            else:
                outcome.set_exception(error or ApiError.of("INTERNAL", ""))

        # Who had connected before we began to stop is heard once: a proxy would not send its request again elsewhere.
        protocol: Any = request.protocol
        first = protocol.requests == 1
        call = self.worker.calls.start(function, sent.args, ctx, settled, made_for=sent.hash, last=first)
        try:
            payload = await outcome
        except ApiError as error:
            return _with_context(error_response(error), ctx.res, keep_status=True)
        except asyncio.CancelledError:
            if self.worker.config.cancel_on_disconnect:
                call.cancel()
            raise
        body = messages.result_body(payload)
        headers = {}
        if request.method != "POST":
            headers["etag"] = f'"{hashlib.blake2b(body, digest_size=12).hexdigest()}"'
            headers["cache-control"] = function.cached.header if function.cached else "private, no-cache"
            if _matches(request.headers.get("if-none-match", ""), headers["etag"]) and ctx.res.status == 200:
                return _with_context(HTTPResponse(status=304, headers=headers), ctx.res, keep_status=True)
        if ctx.res.status in (204, 205, 304):  # which have no body (RFC 9110 section 15)
            return _with_context(HTTPResponse(headers=headers), ctx.res, keep_status=False)
        return _with_context(HTTPResponse(body, headers=headers, content_type=_JSON), ctx.res, keep_status=False)


def _matches(header: str, etag: str) -> bool:
    """If-None-Match (RFC 9110 section 13.1.2): weak comparison."""
    tags = [tag.strip().removeprefix("W/") for tag in header.split(",")]
    return etag in tags or "*" in tags


def _with_context(response: HTTPResponse, res: HttpResponse, *, keep_status: bool) -> HTTPResponse:
    """What the function said of its answer: cookies and headers on errors too, the status on results alone."""
    response.headers.update(res.headers)
    for cookie in res.cookies:
        response.headers.add("Set-Cookie", cookie)
    if not keep_status:
        response.status = res.status
    return response


def result_response(payload: bytes) -> HTTPResponse:
    """The answer over HTTP that is the result `payload`, JSON, and nothing else."""
    return HTTPResponse(messages.result_body(payload), content_type=_JSON)


def wire(response: HTTPResponse, extra: dict[str, str], keep_alive: bool) -> bytes:
    """All bytes of `response`, with `extra` headers, as Sanic would send them."""
    body = response.body or b""
    response.headers.update(extra)
    response.headers["content-length"] = len(body)
    response.headers["connection"] = "keep-alive" if keep_alive else "close"
    return format_http1_response(response.status, response.processed_headers) + body


def error_response(error: ApiError) -> HTTPResponse:
    """The answer over HTTP that is `error`."""
    response = HTTPResponse(messages.error_body(error), status=error.status, content_type=_JSON)
    if error.code == "UPGRADE_REQUIRED":
        response.headers["upgrade"] = "websocket"
    if error.code in ("TOO_MANY_CALLS", "UNAVAILABLE"):
        response.headers["retry-after"] = "1"
    response.headers["cache-control"] = "no-store"
    return response


class Errors(ErrorHandler):
    """Answers whatever goes wrong in Sanic or in the user's own routes, in our form; nothing internal leaks."""

    def __init__(self, worker_of: Any, static: Any, home: str | None) -> None:
        super().__init__()
        self._worker_of = worker_of
        self._static = static
        self._home = home  # where `/` leads, if nothing else is there

    async def _file(self, request: Request) -> HTTPResponse:
        try:
            response: HTTPResponse = await self._static.serve(request)
        except ApiError as error:
            return error_response(error)
        return response

    def _refuse(self, request: Request, error: ApiError) -> HTTPResponse:
        """Answer by `error`, and count it where it ends a call that has not come to us: by middleware, or its size."""
        calls = self._worker_of().calls
        if request.path in calls.registry.functions and not hasattr(request.ctx, "isomor_counted"):
            calls.refused(request.path, "http", error)
        else:
            calls.met(error.limit)
        return error_response(error)

    def default(self, request: Request, exception: Exception) -> Any:
        if isinstance(exception, ApiError):
            return self._refuse(request, exception)
        if isinstance(exception, asyncio.CancelledError):
            return error_response(ApiError.of("CANCELLED", "The client has gone."))  # which nobody will read
        if not isinstance(exception, SanicException):
            error = self._worker_of().calls.internal(exception, f"{request.method} {request.path}")
            return self._refuse(request, error)
        if isinstance(exception, NotFound) and request.method in ("GET", "HEAD"):
            if self._static is not None:
                return self._file(request)
            # Here and not as a route: one of the user's that takes any path, such as `app.static("/", …)`, comes first.
            if self._home is not None and request.path == "/":
                return HTTPResponse(status=302, headers={"location": self._home, "cache-control": "no-store"})
        status = exception.status_code
        if not 400 <= status <= 599:
            return super().default(request, exception)
        if status == 413 and "header" in str(exception):
            status = 431
        code = _BY_STATUS.get(status, "BAD_MESSAGE" if status < 500 else "INTERNAL")
        # What a route of the user's own says with a 4xx is meant for the client.
        message = _SAID.get(code) or (str(exception) if status < 500 else "") or "The request cannot be answered."
        error = ApiError(message, code, status)
        error.limit = _LIMITS.get(code)
        response = self._refuse(request, error)
        response.headers.update(getattr(exception, "headers", None) or {})
        if isinstance(exception, MethodNotAllowed):
            ours = request.path in self._worker_of().calls.registry.functions
            response.headers.update({"allow": "GET, HEAD, POST, OPTIONS"} if ours else exception.headers)
        return response


_LIMITS: Final = {"TOO_LARGE": "max_message_size", "HEADERS_TOO_LARGE": "server.max_header_size"}
_SAID: Final = {
    "REQUEST_TIMEOUT": TOO_LATE,
    "TOO_LARGE": "The request is larger than max_message_size.",
    "HEADERS_TOO_LARGE": "The request's headers are larger than server.max_header_size.",
    "UNAVAILABLE": "The server cannot answer now.",
    "INTERNAL": "Something went wrong on the server.",
}
