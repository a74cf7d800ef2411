"""picows on a transport that is there already. All that leans on picows's inner class stands here.

picows reads frames, where more comes in than a message now and then, and writes nothing: it would end a connection in
its own way, before what came ahead of a wrong frame is answered, and without hearing what its peer still sends.

`WSProtocol` is not part of picows's public interface: its minor version is pinned, and a test fails when its
constructor changes. It is used as `picows.ws_connect` itself uses it behind a proxy.
"""

from __future__ import annotations

import asyncio
import logging
from typing import Any, Final, Protocol

from picows import WSAutoPingStrategy
from picows.picows import WSProtocol  # type: ignore[attr-defined]

from ..errors import CloseCode
from .frames import read_message

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

# uvloop keeps the methods of a transport's last protocol of each kind, and all that hangs on them, until they are
# overwritten.
_NOBODY: Final = asyncio.Protocol()
_NO_PARSER: Final = asyncio.BufferedProtocol()

# Each of them costs a microsecond or two more here; to make picows, some thirty.
_FEW: Final = 16

# What picows is shown in place of the client's handshake, which has been read and answered: it reads less than the RFC
# allows, such as one token in Connection only.
_HEAD: Final = (
    b"GET / HTTP/1.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
)


class Listener(Protocol):
    """What gets frames, as picows's `WSListener` does, and hears of faults."""

    def on_fault(self, code: int, reason: str) -> None:
        """A frame was wrong, or its listener failed; the frames before it may not have been delivered yet."""

    def on_pong(self) -> None:
        """An empty pong has come, and nothing else."""

    def on_message(self, text: str) -> None:
        """A whole message has come, in one frame, and nothing else."""

    def on_ws_disconnected(self, transport: Any) -> None:
        """The connection is gone."""

    def pause_writing(self) -> None:
        """See `asyncio.BaseProtocol`."""

    def resume_writing(self) -> None:
        """See `asyncio.BaseProtocol`."""


def attach(transport: asyncio.Transport, listener: Listener, most: int, rest: bytes) -> None:
    """Hand the frames that come in to `listener`.

    Args:
        transport: a stream, of TCP or TLS, whose handshake has been answered.
        listener: what gets the frames, and hears what else happens.
        most: the most bytes that a frame may have.
        rest: what came behind the handshake's head.
    """
    transport.set_protocol(asleep := _Asleep(transport, listener, most))
    if rest:
        asleep.data_received(rest)


def sleep(transport: asyncio.Transport, listener: Listener, most: int) -> None:
    """Let go of what has read so far, until more comes in; only between two frames, with nothing read beyond."""
    if not isinstance(transport.get_protocol(), _Deaf):
        transport.set_protocol(_NO_PARSER)
        transport.set_protocol(_Asleep(transport, listener, most))


def let_go(transport: asyncio.Transport) -> None:
    """Keep nothing of a connection that is gone: uvloop's TLS would keep its parser, and that the rest."""
    transport.set_protocol(_NO_PARSER)


def deafen(transport: asyncio.Transport) -> None:
    """Read on, but for nothing; what has been read already is still delivered."""
    if not transport.is_closing() and not isinstance(transport.get_protocol(), _Deaf):
        transport.set_protocol(_Deaf(transport.get_protocol()))


def stop_hearing(transport: asyncio.Transport) -> None:
    """Say no more, and read on, but for nothing, until the peer closes the connection too.

    To close it while the peer still sends would reset it, and take away what it has not read yet: the close frame
    (RFC 6455 section 7.1.1).
    """
    if transport.is_closing():
        return
    deafen(transport)
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


class _Asleep(asyncio.Protocol):
    """Reads the little that comes in on most connections, in place of picows.

    Its parser and its buffer take 6 kB, and as long to make as a connection; most connections join a topic and then
    idle, and many open at once where a server has restarted. So it is made when there is more to read than an empty
    pong, or a message that comes by itself.
    """

    __slots__ = ("_listener", "_messages", "_most", "_transport")

    def __init__(self, transport: asyncio.Transport, listener: Listener, most: int) -> None:
        self._transport = transport
        self._listener = listener
        self._most = most
        self._messages = 0

    def data_received(self, data: bytes) -> None:
        if len(data) == 6 and data.startswith(b"\x8a\x80"):
            self._listener.on_pong()
        elif self._messages < _FEW and (text := read_message(data, self._most)) is not None:
            self._messages += 1
            try:
                self._listener.on_message(text)
            except Exception as error:
                _logger.exception("%r", error)
                self._listener.on_fault(CloseCode.INTERNAL_ERROR, "")
        else:
            self._wake(data)

    def _wake(self, data: bytes) -> None:
        protocol = _protocol(self._listener, self._most)
        self._transport.set_protocol(_NOBODY)
        self._transport.set_protocol(protocol)
        protocol.connection_made(_Behind(self._transport, self._listener))
        _feed(self._transport, _HEAD)
        _feed(self._transport, data)

    def eof_received(self) -> bool:
        return False

    def pause_writing(self) -> None:
        self._listener.pause_writing()

    def resume_writing(self) -> None:
        self._listener.resume_writing()

    def connection_lost(self, error: Exception | None) -> None:
        self._listener.on_ws_disconnected(None)


class _Behind:
    """The transport as picows sees it: without its socket's options, and with no way out.

    picows sets and asks for six options of each new socket, to log them. They are as they should be (uvloop and asyncio
    switch Nagle's algorithm off), and asking takes as long as all the rest of a new connection. And it takes the stream
    for TLS: else it would write past its transport.
    """

    __slots__ = ("_listener", "_transport")

    def __init__(self, transport: asyncio.Transport, listener: Listener) -> None:
        self._transport = transport
        self._listener = listener

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)

    def write(self, data: bytes) -> None:
        if not data.startswith(b"HTTP/"):  # the answer to `_HEAD`; all else that picows says by itself is a close frame
            self._listener.on_fault(int.from_bytes(data[2:4]), data[4:].decode())

    def close(self) -> None:
        """As picows would, soon after a fault; how it ends is the listener's to say."""

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        if name == "ssl_object":
            return self
        found = self._transport.get_extra_info(name, default)
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


def _protocol(listener: Listener, most: int) -> Any:
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


def _feed(transport: asyncio.Transport, data: bytes) -> None:
    """Hand bytes to the transport's protocol, and to what replaces it meanwhile, as if they came from the socket."""
    while data:
        protocol: Any = transport.get_protocol()
        if isinstance(protocol, _Asleep):
            protocol.data_received(data)
            return
        buffer = protocol.get_buffer(-1)
        size = min(len(buffer), len(data))
        buffer[:size] = data[:size]
        protocol.buffer_updated(size)
        data = data[size:]
