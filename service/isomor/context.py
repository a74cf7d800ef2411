"""What a function sees of its call: who asks, by which transport, and the way back to them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Coroutine, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Literal

from .messages import CallId
from .outcome import Outcome

if TYPE_CHECKING:  # Sanic takes most of the time that `import isomor` would take, and commands do without
    from sanic.cookies.response import SameSite
    from sanic.request import Request


@dataclass(frozen=True, slots=True)
class WsConfig:
    """What a client is told of how to call over WebSocket."""

    with_cookie: bool = False


# What `set_ws_default_config` says; sent to every connection that opens after it was said.
_default_ws_config: list[WsConfig] = [WsConfig()]


def set_ws_default_config(config: WsConfig | None = None, *, with_cookie: bool = False) -> None:
    """From now on, tell every new WebSocket connection so. Meant for `startup`.

    Args:
        config: the whole configuration, or
        with_cookie: whether clients send their readable cookies with every call.
    """
    _default_ws_config[0] = config or WsConfig(with_cookie=with_cookie)


def ws_default_config() -> WsConfig:
    """The configuration that new connections are told."""
    return _default_ws_config[0]


class Connection(ABC):
    """A WebSocket connection, as functions see it: `ctx.ws`."""

    __slots__ = ()

    @property
    @abstractmethod
    def id(self) -> str:
        """A name for this connection that no one can guess; `push(payload, to=id)` reaches it from anywhere."""

    @property
    @abstractmethod
    def req(self) -> Request:
        """The request that opened this connection."""

    @abstractmethod
    def close(self, code: int = 1000, reason: str = "") -> None:
        """Close it, with a close code (1000; 1012, for clients to come back; 3000 to 4999) and a reason.

        The reason has at most 123 bytes.

        Raises:
            ValueError: if the code or the reason cannot be sent.
        """

    @abstractmethod
    def push(self, payload: Any, call_id: CallId) -> Outcome: ...

    @abstractmethod
    def set_config(self, config: WsConfig) -> Outcome: ...

    @abstractmethod
    def join(self, topic: str) -> Outcome: ...

    @abstractmethod
    def leave(self, topic: str) -> Outcome: ...

    @abstractmethod
    def spawn(self, coroutine: Coroutine[Any, Any, Any], key: str | None) -> None: ...


class Context:
    """A call, by either transport.

    Attributes:
        type: `"http"` or `"ws"`.
        function: the name of the function called; empty in `on_connect`.
    """

    type: Literal["http", "ws"]
    function: str

    @property
    def req(self) -> Request:
        """The request: of this call over HTTP, of the handshake over WebSocket."""
        raise NotImplementedError

    @property
    def cookies(self) -> Mapping[str, str]:
        """The cookies that came with this call, by name."""
        raise NotImplementedError


@dataclass(slots=True)
class HttpResponse:
    """What an HTTP answer carries beside the result: `ctx.res`."""

    secure_request: bool = False
    headers: dict[str, str] = field(default_factory=dict)
    cookies: list[str] = field(default_factory=list)
    _status: int = 200

    @property
    def status(self) -> int:
        """The status of a result, 200 where nothing is said; an error has its own (raise `ApiError`).

        Raises:
            ValueError: when it is set to something that is no final status, 200 to 599.
        """
        return self._status

    @status.setter
    def status(self, status: int) -> None:
        if type(status) is not int or not 200 <= status <= 599:
            raise ValueError(f"ctx.res.status = {status!r}: give a whole number from 200 to 599")
        self._status = status

    def set_cookie(
        self,
        name: str,
        value: str,
        *,
        max_age: int | None = None,
        expires: datetime | None = None,
        path: str = "/",
        domain: str | None = None,
        secure: bool | None = None,
        http_only: bool = False,
        same_site: SameSite | None = "lax",
    ) -> None:
        """Set a cookie (RFC 6265 section 4.1).

        Args:
            name: the cookie's name.
            value: its value.
            max_age: seconds that it lives; None with no `expires`: until the browser closes.
            expires: a moment with a time zone, in place of `max_age`.
            path: the paths that it is sent to.
            domain: the domain that it is sent to; None: this host alone.
            secure: whether it is sent over https alone; None: as the request came.
            http_only: whether scripts cannot read it.
            same_site: `"lax"`, `"strict"`, `"none"` (which browsers take with `secure` alone), or None.

        Raises:
            ValueError: for a name, value or attribute that no cookie can have.
        """
        from sanic.cookies.response import Cookie
        from sanic.exceptions import ServerError

        if expires is not None:
            if expires.tzinfo is None:
                raise ValueError(f"set_cookie expires={expires!r}: give a datetime with a time zone")
            expires = expires.astimezone(UTC)  # Sanic writes the hour it is given and calls it GMT
        for what, text in (("name", name), ("path", path), ("domain", domain)):
            if text and any(char in text for char in ";\r\n\0"):
                raise ValueError(f"set_cookie {what}={text!r}: it has a character that no cookie can have")
        try:
            cookie = Cookie(
                name,
                value,
                path=path,
                domain=domain,
                secure=self.secure_request if secure is None else secure,
                max_age=max_age,
                expires=expires,
                httponly=http_only,
                samesite=same_site,
            )
            # Sanic writes an empty value as two quotation marks, and reads them as two.
            self.cookies.append(str(cookie) if value else str(cookie).replace('=""', "=", 1))
        except (ServerError, KeyError, TypeError, ValueError) as error:
            raise ValueError(f"set_cookie name={name!r}: {error}") from None

    def delete_cookie(self, name: str, path: str = "/", domain: str | None = None) -> None:
        """Make the browser forget a cookie; `path` and `domain` must be those that it was set with."""
        self.set_cookie(name, "", max_age=0, path=path, domain=domain)


def _parse(header: str) -> dict[str, str]:
    from sanic.cookies.request import parse_cookie

    return {name: values[0] for name, values in parse_cookie(header).items()}


class HttpContext(Context):
    """A call over HTTP.

    Attributes:
        res: what the answer carries beside the result: `status`, `headers`, `set_cookie`, `delete_cookie`.
    """

    type = "http"

    __slots__ = ("_req", "function", "res")

    def __init__(self, function: str, req: Request, res: HttpResponse) -> None:
        self.function = function
        self._req = req
        self.res = res

    @property
    def req(self) -> Request:
        return self._req

    @property
    def cookies(self) -> Mapping[str, str]:
        return _parse(self._req.headers.get("cookie", ""))


class WsContext(Context):
    """A call over WebSocket.

    Attributes:
        ws: the connection: its `id`, and `close`.
    """

    type = "ws"

    __slots__ = ("_cookie", "_id", "function", "ws")

    def __init__(self, function: str, ws: Connection, call_id: CallId = None, cookie: str | None = None) -> None:
        self.function = function
        self.ws = ws
        self._id = call_id
        self._cookie = cookie

    @property
    def req(self) -> Request:
        return self.ws.req

    @property
    def cookies(self) -> Mapping[str, str]:
        """The cookies that the client sent with this call, which it does where `with_cookie` is on; else none.

        Those of the handshake, HttpOnly ones included, are `ctx.req.cookies`.
        """
        return _parse(self._cookie) if self._cookie else {}

    def push(self, payload: Any) -> Outcome:
        """Push to the connection that called, and to nobody else.

        Awaiting waits while the connection's outbox is over half full.

        Raises (where awaited; else logged):
            ConnectionClosed: if it is gone.
            TypeError, ValueError: if the payload has no form in JSON.
        """
        return self.ws.push(payload, self._id)

    def set_ws_config(self, config: WsConfig | None = None, *, with_cookie: bool = False) -> Outcome:
        """Tell this connection's client whether to send its readable cookies with every call.

        Raises (where awaited; else logged):
            ConnectionClosed: if it is gone.
        """
        return self.ws.set_config(config or WsConfig(with_cookie=with_cookie))

    def join(self, topic: str) -> Outcome:
        """From now on, this connection gets what is pushed to `topic`. Joining twice is joining once.

        Raises (where awaited; else logged):
            ConnectionClosed: if it is gone.
            BusUnavailable: if Redis could not be had; the topic is then not joined.
            ApiError: TOO_MANY_TOPICS, if it has joined `ws.max_topics` others already.
            ValueError: if the topic is not a string of 1 to 256 characters.
        """
        return self.ws.join(topic)

    def leave(self, topic: str) -> Outcome:
        """This connection gets nothing more of `topic`. Leaving what was not joined does nothing."""
        return self.ws.leave(topic)

    def spawn(self, coroutine: Coroutine[Any, Any, Any], key: str | None = None) -> None:
        """Run `coroutine` as a task that ends with the connection.

        Args:
            coroutine: what to run. If it fails, that is logged.
            key: a second one with the same key replaces the first.

        Raises:
            ConnectionClosed: if the connection is gone. The coroutine is then not begun.
            ApiError: TOO_MANY_TASKS, if `ws.max_tasks` of its tasks run already. In a thread, both are logged instead.
        """
        self.ws.spawn(coroutine, key)
