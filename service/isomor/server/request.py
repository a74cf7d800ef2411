"""Sanic's request, which believes X-Forwarded-* of trusted proxies (`server.trusted_proxies`), and of nobody else."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sanic import Request
from sanic.compat import Header
from sanic.exceptions import BadRequest, SanicException
from sanic.models.server_types import ConnInfo

from .cors import joined
from .forwarded import Seen
from .handshake import agrees, is_well_formed, parse_head
from .worker import App, Worker


def request_class(worker_of: Callable[[], Worker]) -> type[Request]:
    """The request class of a worker's app."""

    class IsomorRequest(Request):  # bound to one worker: Sanic makes the instances, and hands on nothing of ours
        __slots__ = ()

        def __init__(self, url_bytes: bytes, headers: Any, *args: Any, **options: Any) -> None:
            try:
                super().__init__(url_bytes, headers, *args, **options)
            except SanicException:
                # Sanic answers a bad URL by a request that has the same URL, and fails once more: no answer at all.
                if headers:
                    raise
                super().__init__(b"*", headers, *args, **options)
            if not is_well_formed(self.head):
                raise BadRequest("The request's head is malformed: see RFC 9112, sections 2.2 and 5.")
            hosts = self.headers.getall("host", ())
            if headers and (len(hosts) > 1 or not agrees(url_bytes.decode("latin-1"), "".join(hosts))):
                raise BadRequest("The request names more than one host: see RFC 9112, section 3.2.")

        @property
        def seen(self) -> Seen:
            """The request as its sender sees it."""
            ip = super().ip
            connected = Seen(ip, super().scheme, self.headers.get("host", ""))
            proxies = worker_of().proxies
            return proxies.seen(connected, proxies.trusts(ip), lambda name: joined(self, name))

        @property
        def ip(self) -> str:
            return self.seen.ip

        @property
        def scheme(self) -> str:
            return self.seen.scheme

        @property
        def host(self) -> str:
            return self.seen.host

    return IsomorRequest


class Handshake:
    """The request that opened a WebSocket, as bytes: few functions ask for it, and there may be thousands."""

    __slots__ = ("_peername", "_raw", "_transport")

    def __init__(self, raw: bytes, transport: Any) -> None:
        """`raw` is its head, which `parse_head` can read."""
        self._raw = raw
        self._transport = transport
        self._peername = transport.get_extra_info("peername")

    def address(self, worker: Worker) -> str:
        """The client's address, as trusted proxies tell it."""
        peer = self._peername[0] if isinstance(self._peername, tuple) else ""
        return self.request(worker.app).ip if worker.proxies.trusts(peer) else peer

    def request(self, app: App) -> Request:
        """The request, as Sanic would have made it."""
        head = parse_head(self._raw)
        assert head is not None
        request = (app.request_class or Request)(
            url_bytes=head.target.encode(),
            headers=Header(head.headers),
            head=self._raw,
            version=head.version.removeprefix("HTTP/"),
            method=head.method,
            transport=self._transport,
            app=app,
        )
        transport: Any = self
        request.conn_info = ConnInfo(transport)
        return request

    def get_extra_info(self, name: str) -> Any:
        """As the transport's, which no longer knows its peer once that has gone."""
        return self._peername if name == "peername" else self._transport.get_extra_info(name)
