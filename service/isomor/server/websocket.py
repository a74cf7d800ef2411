"""picows on a transport that is there already. All that leans on picows's inner class stands here.

picows reads frames, and writes none but the answer to the handshake: it would end a connection in its own way, before
what came ahead of a wrong frame is answered, and without hearing what its peer still sends.

`WSProtocol` is not part of picows's public interface: its minor version is pinned, and a test fails when its
constructor changes. It is used as `picows.ws_connect` itself uses it behind a proxy.
"""

from __future__ import annotations

import asyncio
import logging
from typing import Any, Final, Protocol

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


class FaultListener(Protocol):
    """What hears of faults."""

    def on_fault(self, code: int, reason: str) -> None:
        """A frame was wrong, or its listener failed; the frames before it may not have been delivered yet."""


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
    transport.set_protocol(protocol)
    protocol.connection_made(_Silent(transport))
    _feed(protocol, _canonical_head(_KEY))


def take(transport: WSTransport, listener: FaultListener) -> asyncio.Transport:
    """The stream beneath a WebSocket that is open: from now on, faults are told to `listener`."""
    behind: Any = transport.underlying_transport
    behind.listener = listener
    stream: asyncio.Transport = behind.transport
    return stream


def stop_hearing(transport: asyncio.Transport) -> None:
    """Say no more, and read on, but for nothing, until the peer closes the connection too.

    To close it while the peer still sends would reset it, and take away what it has not read yet: the close frame
    (RFC 6455 section 7.1.1).
    """
    if transport.is_closing() or isinstance(transport.get_protocol(), _Deaf):
        return
    transport.set_protocol(_Deaf(transport.get_protocol()))
    if transport.can_write_eof():
        transport.write_eof()
    else:
        transport.close()  # TLS says goodbye in its own way


class _Deaf(asyncio.BufferedProtocol):
    """Reads for nothing, and tells the protocol before it what else happens."""

    __slots__ = ("_before",)

    _nothing: Final = bytearray(64 * 1024)

    def __init__(self, before: Any) -> None:
        self._before = before

    def get_buffer(self, _hint: int) -> bytearray:
        return self._nothing

    def buffer_updated(self, _size: int) -> None:
        pass

    def eof_received(self) -> bool:
        return False

    def pause_writing(self) -> None:
        self._before.pause_writing()

    def resume_writing(self) -> None:
        self._before.resume_writing()

    def connection_lost(self, error: Exception | None) -> None:
        self._before.connection_lost(error)


class _Behind:
    """The transport as picows sees it: without its socket's options, and with no way out but the one below.

    picows sets and asks for six options of each new socket, to log them. They are as they should be (uvloop and asyncio
    switch Nagle's algorithm off), and asking takes as long as all the rest of a new connection. And it takes the stream
    for TLS: else it would write past its transport.
    """

    __slots__ = ("listener", "transport")

    def __init__(self, transport: asyncio.Transport) -> None:
        self.transport = transport
        self.listener: FaultListener | None = None

    def __getattr__(self, name: str) -> Any:
        return getattr(self.transport, name)

    def write(self, data: bytes) -> None:
        if self.listener is None:
            self._answer_handshake(data)
        else:  # all that picows says by itself: a close frame
            self.listener.on_fault(int.from_bytes(data[2:4]), data[4:].decode())

    def _answer_handshake(self, data: bytes) -> None:
        self.transport.write(data)

    def close(self) -> None:
        """As picows would, soon after a fault; how it ends is the listener's to say."""

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        if name == "ssl_object":
            return self
        found = self.transport.get_extra_info(name, default)
        return _Socket(found.fileno()) if name == "socket" else found


class _Silent(_Behind):
    """The same where the handshake has been answered."""

    __slots__ = ()

    def _answer_handshake(self, data: bytes) -> None:
        pass


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
