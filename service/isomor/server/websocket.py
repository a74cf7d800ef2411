"""picows on a transport that is there already. All that leans on picows's inner class stands here.

`WSProtocol` is not part of picows's public interface: its minor version is pinned, and a test fails when its
constructor changes. It is used as `picows.ws_connect` itself uses it behind a proxy.
"""

from __future__ import annotations

import asyncio
import logging
from typing import Any, Final

from picows import WSAutoPingStrategy, WSListener, WSTransport
from picows.picows import WSProtocol  # type: ignore[attr-defined]

logger = logging.getLogger("isomor")


class _Log:
    """A logger for picows, whose errors are what peers do wrong, and no news; its exceptions are our own faults."""

    def isEnabledFor(self, _level: int) -> bool:  # noqa: N802 - logging's own name
        return False

    def exception(self, message: str, *args: object, **_options: Any) -> None:
        logger.exception(f"a WebSocket failed: {message}", *args)

    def log(self, *_: Any, **_options: Any) -> None:
        pass

    debug = info = warning = error = critical = log


_logger: Final = _Log()

# picows reads into a buffer of this size, and doubles it where a message does not fit; it never shrinks it.
READ_BUFFER: Final = 2048

_NOBODY: Final = asyncio.Protocol()
_KEY: Final = "dGhlIHNhbXBsZSBub25jZQ=="


def attach(transport: asyncio.Transport, listener: WSListener, key: str, rest: bytes, most: int) -> None:
    """Give the transport to picows, which answers the handshake.

    Args:
        transport: a stream, of TCP or TLS, with its request head read.
        listener: what gets the frames.
        key: the handshake's Sec-WebSocket-Key.
        rest: what came behind the handshake's head.
        most: the most bytes that a frame may have.
    """
    protocol = _protocol(listener, most)
    transport.set_protocol(_NOBODY)  # uvloop keeps the last protocol that was none of buffers alive
    transport.set_protocol(protocol)
    protocol.connection_made(_Behind(transport))
    _feed(protocol, _canonical_head(key) + rest)


def renew(transport: asyncio.Transport, listener: WSListener, most: int) -> None:
    """Begin anew with a small read buffer, unseen by the peer; only between two frames, with nothing read beyond."""
    protocol = _protocol(listener, most)
    behind = _Behind(transport)
    transport.set_protocol(protocol)
    protocol.connection_made(behind)
    behind.silent = True
    _feed(protocol, _canonical_head(_KEY))
    behind.silent = False


def stream_of(transport: WSTransport) -> asyncio.Transport:
    """The stream beneath a WebSocket that `attach` has made."""
    behind: Any = transport.underlying_transport
    stream: asyncio.Transport = behind.transport
    return stream


class _Behind:
    """The transport as picows sees it: without its socket's options, and, if `silent`, without what it writes.

    picows sets and asks for six options of each new socket, to log them. They are as they should be (uvloop and asyncio
    switch Nagle's algorithm off), and asking takes as long as all the rest of a new connection.
    """

    __slots__ = ("silent", "transport")

    def __init__(self, transport: asyncio.Transport) -> None:
        self.transport = transport
        self.silent = False

    def __getattr__(self, name: str) -> Any:
        return getattr(self.transport, name)

    def write(self, data: bytes) -> None:
        if not self.silent:
            self.transport.write(data)

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        found = self.transport.get_extra_info(name, default)
        return _Socket(found.fileno()) if name == "socket" else found


class _Socket:
    """A socket's number, and nothing that can be asked of it."""

    __slots__ = ("_number",)

    def __init__(self, number: int) -> None:
        self._number = number

    def fileno(self) -> int:
        return self._number

    def setsockopt(self, *_: Any) -> None:
        pass

    def getsockopt(self, *_: Any) -> int:
        return 0


def _protocol(listener: WSListener, most: int) -> Any:
    return WSProtocol(
        None,  # host_port: a client's
        None,  # ws_path: a client's
        False,  # is_client_side
        lambda _request: listener,
        _logger,
        True,  # disconnect_on_exception
        None,  # websocket_handshake_timeout: the handshake is complete
        False,  # enable_auto_ping: see WsConnection.check_peer
        25,  # auto_ping_idle_timeout
        25,  # auto_ping_reply_timeout
        WSAutoPingStrategy.PING_WHEN_IDLE,
        False,  # enable_auto_pong: reserved bits are looked at first
        most,  # max_frame_size
        None,  # extra_headers
        READ_BUFFER,
    )


def _canonical_head(key: str) -> bytes:
    # In place of the client's: picows reads less than the RFC allows, such as one token in Connection only.
    return (
        "GET / HTTP/1.1\r\nHost: isomor\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        f"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {key}\r\n\r\n"
    ).encode()


def _feed(protocol: Any, data: bytes) -> None:
    """Hand bytes to picows as if they had come from the socket."""
    while data:
        buffer = protocol.get_buffer(-1)
        size = min(len(buffer), len(data))
        buffer[:size] = data[:size]
        protocol.buffer_updated(size)
        data = data[size:]
