"""Plain calls over HTTP: read by httptools and answered without Sanic, several times as fast.

A call is plain if it is a `POST` of JSON to a function, at most 64 KiB, whose head leaves nothing open: where it ends,
what it carries, who sent it. All else is Sanic's, errors of the request itself included: this way in only ever says
yes. Where a request ends is therefore never read in two ways (tests/test_plain_calls.py holds both against each
other), and what a plain call is answered is what Sanic's handler in `http` would have said.
"""

from __future__ import annotations

from typing import Final

import httptools
from sanic.http import Http

from .. import messages
from ..context import Context
from ..errors import ApiError
from ..functions import Function
from .forwarded import Seen
from .http import CALLS_ROUTE, error_response, result_response, wire
from .worker import App, Worker

# A body that is longer is not waited for here.
_LARGEST: Final = 64 * 1024

# A page sends the same head with each call of a function that takes as much: what it means is remembered, which saves a
# quarter of the time that a call takes. Long ones are remembered by their own connection alone; and where each differs,
# by an id that a proxy adds, the time is not saved.
_LONGEST_KEPT: Final = 2048
_MOST_KEPT: Final = 1000

_START: Final = b"POST /isomor/"
_JSON: Final = frozenset((b"application/json", b"application/json; charset=utf-8", b"application/json;charset=UTF-8"))
_FOR_SANIC: Final = (b"transfer-encoding", b"expect", b"upgrade")


class KnownHead:
    """The head of a plain call: its bytes, the function that it calls, and how many bytes of body follow.

    It holds as long as `registry` is what can be called.
    """

    __slots__ = ("function", "raw", "registry", "size")

    def __init__(self, raw: bytes, function: Function, size: int, registry: object) -> None:
        self.raw = raw
        self.function = function
        self.size = size
        self.registry = registry


class PlainCall:
    """A plain call: what is called with what, and where in the bytes that were read it ends."""

    __slots__ = ("end", "head", "sent")

    def __init__(self, head: KnownHead, sent: messages.HttpCall, end: int) -> None:
        self.head = head
        self.sent = sent
        self.end = end


class PlainContext(Context):
    """The context of plain calls. No function sees it: those that take a context of HTTP are never called plainly."""

    type = "http"

    __slots__ = ()


CONTEXT: Final = PlainContext()


class _Head:
    """What httptools reads of a head. Its own object for each: a parser keeps its state."""

    __slots__ = ("headers", "lines", "target")

    def __init__(self) -> None:
        self.headers: dict[bytes, bytes] = {}
        self.lines = 2  # the request line, and the empty one at the end
        self.target = b""

    def on_url(self, target: bytes) -> None:
        self.target += target

    def on_header(self, name: bytes, value: bytes) -> None:
        self.lines += 1
        self.headers[name.lower()] = value


class PlainCalls:
    """Tells plain calls from the rest, and writes their answers. One for each worker."""

    def __init__(self, worker: Worker) -> None:
        self._worker = worker
        self._registry: object = None
        self._functions: dict[bytes, Function] = {}
        self._heads: dict[tuple[bytes, bool], KnownHead | None] = {}
        self._largest = 0
        # As in `cors`: a shared cache must not give one origin what another was let have.
        self._cors = {"vary": "Origin"} if worker.gate.varies else {}
        vary = b"vary: Origin\r\n" if self._cors else b""
        self._ok = (
            b"HTTP/1.1 200 OK\r\n" + vary + b"content-length: %d\r\nconnection: keep-alive\r\n"
            b'content-type: application/json\r\n\r\n{"result":%b}'
        )

    def read(self, data: bytes, start: int, trusted: bool, last: KnownHead | None) -> PlainCall | int | None:
        """The plain call at `start` of `data`.

        Args:
            data: what has come in.
            start: where a request begins in it.
            trusted: whether the peer's X-Forwarded-* headers are believed.
            last: the head of the connection's last plain call: most have the same again, and comparing is faster than
                looking for its end.

        Returns:
            The call; or how long all of `data` has to be to tell; or None, where it is not a plain call.
        """
        if last is not None and last.registry is self._worker.calls.registry and data.startswith(last.raw, start):
            return self._read_body(data, last, start + len(last.raw))
        if not data.startswith(_START, start):
            return len(data) + 1 if _START.startswith(data[start : start + len(_START)]) else None
        end = data.find(b"\r\n\r\n", start) + 4
        if (end - 4 if end >= 4 else len(data)) - start >= Http.HEADER_MAX_SIZE:
            return None
        if end < 4:
            return len(data) + 1
        if self._registry is not self._worker.calls.registry:  # at first, and after a reload
            self._begin_anew()
        head = (data[start:end], trusted)
        try:
            known = self._heads[head]
        except KeyError:
            known = self._read_head(*head)
            if len(head[0]) <= _LONGEST_KEPT:
                if len(self._heads) >= _MOST_KEPT:
                    self._heads.clear()
                self._heads[head] = known
        return None if known is None else self._read_body(data, known, end)

    def _read_body(self, data: bytes, head: KnownHead, start: int) -> PlainCall | int | None:
        end = start + head.size
        if len(data) < end:
            return end
        try:
            return PlainCall(head, messages.decode_http_call(data[start:end], self._worker.max_depth), end)
        except ApiError:
            return None

    def _begin_anew(self) -> None:
        registry = self._registry = self._worker.calls.registry
        self._largest = min(_LARGEST, self._worker.app.config.REQUEST_MAX_SIZE)  # as startup has left it
        self._heads = {}
        self._functions = {}
        if registry.hooks.before_call is None:  # which has a context to see
            self._functions = {
                path.encode(): function
                for path, function in registry.functions.items()
                if function.requires != "ws"
                and "http" not in function.accepts
                and _nobody_else_sees(self._worker.app, path)
            }

    def _read_head(self, raw: bytes, trusted: bool) -> KnownHead | None:
        """What a head means; None where it is not that of a plain call."""
        head = _parse(raw)
        function = self._functions.get(head.target) if head is not None else None
        if head is None or function is None:
            return None
        headers = head.headers
        length = headers.get(b"content-length", b"0")
        if not length.isdigit() or len(length) > 7 or (size := int(length)) > self._largest:
            return None
        if size and headers.get(b"content-type") not in _JSON:
            return None
        if headers.get(b"connection", b"keep-alive").lower() != b"keep-alive" or not self._lets_in(headers, trusted):
            return None
        return KnownHead(raw, function, size, self._registry)

    def _lets_in(self, headers: dict[bytes, bytes], trusted: bool) -> bool:
        """Whether the gate lets it in, from no other origin, which the answer would have to speak of."""

        def header(name: str) -> str:
            return headers.get(name.encode(), b"").decode("ascii")

        worker = self._worker
        scheme = "https" if worker.config.server.tls_cert else "http"
        try:
            seen = worker.proxies.seen(Seen("", scheme, header("host")), trusted, header)
            origin, site = header("origin"), header("sec-fetch-site")
            return bool(seen.host) and worker.gate.check(origin, site, seen.host, seen.secure) is None
        except (ApiError, UnicodeDecodeError):
            return False

    def result(self, payload: bytes) -> bytes:
        """The whole answer to a call that went well; `payload` is JSON. The connection stays open."""
        return self._ok % (len(payload) + 11, payload)

    def answer(self, payload: bytes | None, error: ApiError | None, *, keep_alive: bool) -> bytes:
        """The whole answer to any call."""
        return wire(error_response(error) if error else result_response(payload or b""), self._cors, keep_alive)


def _parse(raw: bytes) -> _Head | None:
    """The head, if it leaves nothing open that parsers have been known to read in different ways (RFC 9112)."""
    head = _Head()
    try:
        httptools.HttpRequestParser(head).feed_data(raw)
    except (httptools.HttpParserError, httptools.HttpParserUpgrade):
        return None
    headers = head.headers
    # A header that is there twice, a line that is folded or ends by a bare LF, space behind a value: lines tell.
    if (
        len(headers) + 2 != head.lines
        or raw.count(b"\n") != head.lines
        or raw.find(b" \r\n") >= 0
        or raw.find(b"\t\r\n") >= 0
    ):
        return None
    if any(name in headers for name in _FOR_SANIC) or not raw.startswith(b"POST %b HTTP/1.1\r\n" % head.target):
        return None
    return head


def _nobody_else_sees(app: App, path: str) -> bool:
    """Whether Sanic would hand a call straight to us: no route, middleware or signal of the user's is in the way."""
    try:
        route, _, _ = app.router.get(path, "POST", None)
    except Exception:  # a route of the user's takes the path by other methods, or for other hosts
        return False
    if not route.name.endswith(CALLS_ROUTE) or any(other.requirements for other in app.router.routes):
        return False
    if route.extra.request_middleware or route.extra.response_middleware or not app.config.KEEP_ALIVE:
        return False
    return not any(signal.name.startswith("http.") for signal in app.signal_router.routes)
