"""A WebSocket connection (RFC 6455), on picows: messages in, answers and pushes out, and how it ends.

picows parses frames. Left to us, and done here: the size of messages, UTF-8, reserved bits, the close handshake, idle
and dead peers, and how much may wait for a reader that is behind. `frames` joins fragments.

It ends in one of two ways. `end`, in order: the close frame goes out, and the peer has CLOSE_SECONDS to answer it.
`_fail`, after a fault of the peer: the same, but that nothing it sends is read any more (section 7.1.7).
"""

from __future__ import annotations

import asyncio
import logging
from collections import OrderedDict
from typing import Any, Final

from picows import WSFrame, WSListener, WSMsgType, WSTransport

from .. import messages
from ..calls import Call
from ..context import WsConfig, WsContext, ws_default_config
from ..errors import ApiError, CloseCode
from ..messages import CallId, ClientMessage
from .frames import PING, Fragments, TooBig, close_frame, pong_frame
from .outbox import Outbox
from .peer import Peer
from .request import Handshake
from .websocket import deafen, let_go, sleep, stop_hearing
from .worker import Worker

logger = logging.getLogger("isomor")

# How long a peer has to read what waits for it, to answer our close frame, and to close the connection behind it.
CLOSE_SECONDS: Final = 10

# What is larger, in one message or in many at once, leaves a read buffer behind that is not worth keeping.
_LARGE: Final = 64 * 1024


def _number(kind: Any) -> int:
    return int(kind)


# picows's enumerations are plain integers where they arrive.
_TEXT: Final = _number(WSMsgType.TEXT)
_BINARY: Final = _number(WSMsgType.BINARY)
_CONTINUATION: Final = _number(WSMsgType.CONTINUATION)
_PING: Final = _number(WSMsgType.PING)
_PONG: Final = _number(WSMsgType.PONG)
_CLOSE: Final = _number(WSMsgType.CLOSE)

_TOO_BIG: Final = "The message is over max_message_size."
_NOT_UTF8: Final = "The text is not UTF-8."


class WsConnection(WSListener):
    """See the module. All of it runs on the event loop's thread, but for what says otherwise."""

    __slots__ = (
        "_advancing", "_bloated", "_fragments", "_full_at", "_goodbye", "_handshake", "_heard", "_idle", "_opening",
        "_outbox", "_pings", "_quiet", "_reading", "_running", "_stream", "_waiting", "_worker", "closed",
        "last_active", "peer",
    )  # fmt: skip

    def __init__(self, worker: Worker, handshake: Handshake, stream: asyncio.Transport) -> None:
        """Open; the handshake has been answered on `stream`, and `peer` is what functions see of the connection."""
        self.closed = False
        self._stream = stream
        self.last_active = worker.loop.time()
        self._worker = worker
        self._handshake = handshake
        self._running: dict[CallId, Call] = {}
        self._waiting: OrderedDict[CallId, ClientMessage] | None = None  # calls that are read, and not begun yet
        self._advancing = False
        self._opening = True
        self._reading = True
        self._fragments: Fragments | None = None
        self._full_at = 0.0  # of `Rate`
        self._heard = True
        self._bloated = False
        self._quiet = 0  # how many pings have gone out since anything but a pong came
        self._goodbye: tuple[int, asyncio.TimerHandle] | None = None  # the code that was sent, and when it is enough
        self._idle = self._pings = -1  # its numbers among the worker's deadlines
        config = worker.config.ws
        self._outbox = Outbox(stream, worker.flusher, config.max_outbox_bytes, self)
        self.peer = Peer(worker, handshake, self._outbox, self)
        worker.connections.add(self)
        worker.hub.add(self.peer)
        if worker.metrics is not None:
            worker.metrics.opened(len(worker.connections))
        if config.timeout > 0:
            self._idle = worker.idle.add(worker.loop.time() + config.timeout, self)
        if config.ping_seconds > 0:
            self._pings = worker.pings.add(worker.loop.time() + config.ping_seconds, self)
        if ws_default_config() != WsConfig():
            self.peer.set_config(ws_default_config())
        if worker.calls.registry.hooks.on_connect is None:
            self._opening = False
        else:
            self.peer.spawn(self._greet(worker.calls.registry.hooks.on_connect), None)

    async def _greet(self, on_connect: Any) -> None:
        """Run the `on_connect` hook; calls wait until it has let the client in."""
        ctx = WsContext("", self.peer)
        try:
            outcome = on_connect(ctx)
            if asyncio.iscoroutine(outcome) or isinstance(outcome, asyncio.Future):
                async with asyncio.timeout(self._worker.config.call_timeout or None):
                    await outcome
        except ApiError as error:
            self.end(CloseCode.POLICY_VIOLATION, error.message)
        except asyncio.CancelledError:
            if self.closed:
                raise  # the connection has gone meanwhile
            self.end(CloseCode.INTERNAL_ERROR, "The server could not greet this connection.")
        except BaseException as error:
            answer = self._worker.calls.internal(error, "on_connect")
            self.end(CloseCode.INTERNAL_ERROR, f"{answer.message} errorId {answer.error_id}")
        else:
            self._opening = False
            self._worker.outside(self._advance)

    def on_ws_disconnected(self, transport: WSTransport | None) -> None:
        self._close()
        if self._goodbye is not None:
            self._goodbye[1].cancel()
        self._worker.connections.discard(self)
        if self._worker.admission.each:
            self._worker.admission.leave(self._handshake.address(self._worker))
        self._worker.idle.drop(self._idle)
        self._worker.pings.drop(self._pings)
        if self._worker.metrics is not None:
            code = self._goodbye[0] if self._goodbye is not None else 1006
            self._worker.metrics.closed(code, len(self._worker.connections))
        self.peer.disconnected()
        let_go(self._stream)
        self._waiting = None
        if self._worker.config.cancel_on_disconnect:
            for call in list(self._running.values()):
                call.cancel()

    def end(self, code: int, reason: str = "") -> None:
        """Say goodbye, and wait for the peer to do so too, for a while."""
        if self.closed:
            return
        self._outbox.flush(self._worker.loop.time())
        self._hang_up(code, reason)

    def _fail(self, code: int, reason: str) -> None:
        """Say goodbye after a fault, and hear nothing more."""
        if code == CloseCode.MESSAGE_TOO_BIG and not self.closed:
            self._worker.calls.met("max_message_size")
        self.end(code, reason)
        stop_hearing(self._stream)

    def on_fault(self, code: int, reason: str) -> None:
        if code == CloseCode.MESSAGE_TOO_BIG:
            reason = _TOO_BIG
        deafen(self._stream)
        # Not now: picows looks one frame ahead, and the one before the wrong one is still to come.
        self._worker.loop.call_soon(self._fail, code, reason)

    def too_slow(self) -> None:
        """More waits for the peer than may (`ws.max_outbox_bytes`)."""
        self._worker.calls.met("ws.max_outbox_bytes")
        self._hang_up(CloseCode.TOO_SLOW, "Too slow: pushes were waiting to be read.")

    def _hang_up(self, code: int, reason: str) -> None:
        if self.closed:
            return
        self._close()
        self._goodbye = code, self._worker.loop.call_later(CLOSE_SECONDS, self.abort)
        if not self._stream.is_closing():
            self._stream.write(close_frame(code, reason))
        self._set_reading(True)  # to hear the peer's answer

    def _close(self) -> None:
        """From now on, nothing goes out but the goodbye, and functions see it as gone."""
        self.closed = True
        self.peer.closed = True
        self._fragments = None
        self._outbox.close()

    def abort(self) -> None:
        """Drop the connection, without goodbye."""
        self._stream.abort()

    @property
    def busy(self) -> bool:
        """Whether a call of it is running or waiting."""
        return bool(self._running or self._waiting)

    def restart(self) -> None:
        """Close it, since the server restarts: the client is to come back, to another."""
        self.end(CloseCode.SERVICE_RESTART, "The server restarts.")

    def check_idle(self) -> float | None:
        """Close it where no message has passed for `ws.timeout` seconds and no call runs; when to look again."""
        if self.closed:
            return None
        timeout = self._worker.config.ws.timeout
        now = self._worker.loop.time()
        if self.busy:
            return now + timeout
        due = max(self.last_active, self._outbox.last_write) + timeout
        if now < due:
            return due
        self.end(CloseCode.IDLE, "No message passed for a while.")
        return None

    def check_peer(self) -> float | None:
        """Ping the peer; drop it where it has been silent since the last ping. When to look again."""
        if self.closed:
            return None
        if not self._heard and self._reading:
            self.abort()
            return None
        self._heard = False
        self._quiet += 1
        self._outbox.urgent(PING)
        return self._worker.loop.time() + self._worker.config.ws.ping_seconds

    # ---- What comes in -------------------------------------------------------------------------------------------

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        self._heard = True
        kind: Any = frame.msg_type
        if kind != _PONG:
            self._quiet = 0
        if frame.rsv1 or frame.rsv2 or frame.rsv3:
            self._fail(CloseCode.PROTOCOL_ERROR, "A reserved bit is set, and no extension was agreed.")
        elif self.closed:
            if kind == _CLOSE:  # the answer to ours
                self._stream.close()
        elif kind == _TEXT and frame.fin and self._fragments is None:
            try:
                text = frame.get_payload_as_utf8_text()
            except UnicodeDecodeError:
                self._fail(CloseCode.INVALID_TEXT, _NOT_UTF8)
                return
            self._on_text(text)
        elif kind == _PING:
            self._outbox.urgent(pong_frame(frame.get_payload_as_bytes()))
        elif kind == _CLOSE:
            self._on_close(frame)
        elif kind != _PONG:
            self._on_fragment(kind, frame)
        if frame.payload_size + frame.tail_size > _LARGE:
            self._bloated = True
        rests = frame.tail_size == 0 and self._fragments is None and not self.closed
        if rests and (self._bloated or self._quiet > 1):
            self._bloated = False
            sleep(self._stream, self, self._worker.config.max_message_size)

    def on_pong(self) -> None:
        self._heard = True

    def on_message(self, text: str) -> None:
        self._heard = True
        if not self.closed:
            self._on_text(text)

    def _on_close(self, frame: WSFrame) -> None:
        code: Any = frame.get_close_code() if frame.payload_size else CloseCode.OK
        # picows lets some through that no frame may carry (section 7.4).
        if not 1000 <= code <= 4999 or code in (1004, 1005, 1006, 1015):
            self._fail(CloseCode.PROTOCOL_ERROR, f"{int(code)} is no code for a close frame.")
            return
        self.end(code)
        self._stream.close()

    def _on_fragment(self, kind: int, frame: WSFrame) -> None:
        if (kind == _CONTINUATION) != (self._fragments is not None):
            said = "There is no message to continue." if kind == _CONTINUATION else "A message began within another."
            self._fail(CloseCode.PROTOCOL_ERROR, said)
            return
        if kind == _BINARY:
            self._fail(CloseCode.UNSUPPORTED_DATA, "Messages are text: send JSON in a text frame.")
            return
        if self._fragments is None:
            self._fragments = Fragments(self._worker.config.max_message_size)
        try:
            text = self._fragments.add(frame.get_payload_as_bytes(), frame.fin)
        except TooBig:
            self._fail(CloseCode.MESSAGE_TOO_BIG, _TOO_BIG)
        except UnicodeDecodeError:
            self._fail(CloseCode.INVALID_TEXT, _NOT_UTF8)
        else:
            if text is not None:
                self._fragments = None
                self._on_text(text)

    def _on_text(self, text: str) -> None:
        self.last_active = self._worker.loop.time()
        try:
            message = messages.decode_client_message(text, self._worker.max_depth)
        except ApiError as error:
            self._refuse(messages.read_id(text), error)
            return
        action = message.action
        if action == "API":
            if (rate := self._worker.rate) is not None:
                try:
                    self._full_at = rate.take(self._full_at, self.last_active)
                except ApiError as error:
                    self._refuse(message.id, error, message.url_path)
                    return
            if self._opening or len(self._running) >= self._worker.config.ws.max_calls_in_flight:
                if self._reading and not self._opening:
                    self._worker.calls.met("ws.max_calls_in_flight")
                self._let_wait(message)
            else:
                self._start(message)
        elif action == "PING":
            self._outbox.add(messages.text_frame(messages.PONG))
        elif action == "CANCEL":
            self._cancel(message.id)
        else:
            said = f"There is no action {action[:40]!r}: send API, CANCEL or PING."
            self._refuse(message.id, ApiError.of("BAD_MESSAGE", said))

    def _let_wait(self, message: ClientMessage) -> None:
        if self._waiting is None:
            self._waiting = OrderedDict()
        if message.id is None or message.id in self._running or message.id in self._waiting:
            self._refuse_id(message)
        else:
            self._waiting[message.id] = message
        self._set_reading(False)

    def _start(self, message: ClientMessage) -> None:
        call_id = message.id
        if call_id is None or call_id in self._running:
            self._refuse_id(message)
            return
        calls = self._worker.calls
        try:
            function = calls.registry.find(message.url_path, "ws")
        except ApiError as error:
            self._refuse(call_id, error, message.url_path)
            return
        ctx = WsContext(function.name, self.peer, call_id, message.cookie)
        call = calls.start(function, message.args, ctx, self._answer, key=call_id, made_for=message.hash)
        if not call.settled:
            self._running[call_id] = call

    def _answer(self, call: Call, payload: bytes | None, error: ApiError | None) -> None:
        self._running.pop(call.key, None)
        if error is not None:
            self._send_error(call.key, error)
        elif payload is not None:
            self._outbox.add(messages.text_frame(messages.result_message(call.key, payload)))
        if not self._reading:
            self._worker.outside(self._advance)

    def _refuse(self, call_id: CallId, error: ApiError, path: str = "") -> None:
        """Answer a message that leads to no call."""
        self._worker.calls.refused(path, "ws", error)
        self._send_error(call_id, error)

    def _refuse_id(self, message: ClientMessage) -> None:
        said = "A call needs an id." if message.id is None else "A call with this id is running; give each its own."
        self._refuse(message.id, ApiError.of("BAD_MESSAGE", said), message.url_path)

    def _send_error(self, call_id: CallId, error: ApiError) -> None:
        self._outbox.add(messages.text_frame(messages.error_message(call_id, error)))

    def _cancel(self, call_id: CallId) -> None:
        if (call := self._running.get(call_id)) is not None:
            call.cancel()
            return
        if self._waiting and (message := self._waiting.pop(call_id, None)) is not None:
            error = ApiError.of("CANCELLED", "The call was cancelled before it began.")
            self._refuse(call_id, error, message.url_path)
            self._advance()

    def _advance(self) -> None:
        """Start the calls that wait, as far as the cap allows; then read on."""
        if self._advancing or self._opening:
            return  # a call that is settled at once comes back here from within
        self._advancing = True
        most = self._worker.config.ws.max_calls_in_flight
        try:
            while self._waiting and len(self._running) < most:
                self._start(self._waiting.popitem(last=False)[1])
        finally:
            self._advancing = False
        if not self._waiting:
            self._waiting = None
            self._set_reading(True)

    def _set_reading(self, reading: bool) -> None:
        if reading != self._reading and not self._stream.is_closing():
            self._reading = reading
            if reading:
                self._heard = True
                self._stream.resume_reading()
            else:
                self._stream.pause_reading()

    def pause_writing(self) -> None:
        self._outbox.pause()

    def resume_writing(self) -> None:
        self._outbox.resume()
