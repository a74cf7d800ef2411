"""One connection of the load: picows's client, with the books kept."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Callable
from typing import Any

import msgspec
from picows import WSFrame, WSListener, WSMsgType, WSTransport, ws_connect

from .books import ANSWERED, CLOSED, LEFT, REFUSED, Books, Subscription, Topic

_BIND_WITHOUT_PORT = 24  # IP_BIND_ADDRESS_NO_PORT: the port is chosen when connecting, for each peer its own
NARROW = 8192  # the receive buffer of a reader that will stall


class Message(msgspec.Struct):
    action: str
    id: int | None = None
    payload: Any = None
    topic: str | None = None
    code: str | None = None


_decode = msgspec.json.Decoder(Message).decode
_encode = msgspec.json.encode


class Call:
    """A call that has no answer yet. `number` is that of a publish."""

    __slots__ = ("began", "number", "token", "topic")

    def __init__(self, token: str, topic: Topic | None, number: int) -> None:
        self.token = token
        self.topic = topic
        self.number = number
        self.began = time.monotonic()


class Client(WSListener):
    """One connection, from its opening to its end. `worker` is the process that serves it, once it has joined."""

    def __init__(self, books: Books, topics: list[Topic], on_end: Callable[[Client], None]) -> None:
        self.books = books
        self.subscriptions = {topic.name: Subscription(topic) for topic in topics}
        self.pending: dict[int, Call] = {}
        self.worker = 0
        self.code = 1006
        self.joined: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self.ended = False
        self._on_end = on_end
        self._next_id = 1
        self._open = False
        self._lost = CLOSED  # what becomes of calls that have no answer at the end
        self.transport: WSTransport

    async def open(self, port: int, address: str, *, narrow: bool = False) -> None:
        """Connect from this loopback address, and join.

        Raises:
            Exception: if that fails.
        """

        def make(_: Any) -> socket.socket:
            sock = socket.socket()
            sock.setblocking(False)
            sock.setsockopt(socket.IPPROTO_IP, _BIND_WITHOUT_PORT, 1)
            sock.bind((address, 0))
            if narrow:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, NARROW)
            return sock

        url = f"ws://127.0.0.1:{port}/isomor/ws"
        await ws_connect(
            lambda: self, url, socket_factory=make, read_buffer_init_size=2048, websocket_handshake_timeout=20
        )
        self._send(0, "join", list(self.subscriptions))
        self.worker = await self.joined

    @property
    def ready(self) -> bool:
        return self.worker != 0 and not self.ended

    def call(self, token: str, name: str, *args: Any, topic: Topic | None = None, number: int = 0) -> None:
        """Make a call; its token goes first."""
        call_id, self._next_id = self._next_id, self._next_id + 1
        self.pending[call_id] = Call(token, topic, number)
        self._send(call_id, name, token, *args)

    def _send(self, call_id: int, name: str, *args: Any) -> None:
        message = {"action": "API", "id": call_id, "urlPath": f"/isomor/api/{name}", "args": args}
        self.transport.send(WSMsgType.TEXT, _encode(message))

    def close(self) -> None:
        self.transport.send_close(1000)

    def abort(self) -> None:
        """End it, if it was ever open."""
        if self._open:
            self.transport.underlying_transport.abort()

    def leave(self) -> None:
        """End it without waiting for answers."""
        self._lost = LEFT
        self.abort()

    def on_ws_connected(self, transport: WSTransport) -> None:
        self.transport = transport
        self._open = True

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        if frame.msg_type == WSMsgType.CLOSE:
            self.code = int(frame.get_close_code())
            self.ended = True
            transport.send_close(self.code)
            transport.disconnect()
        elif frame.msg_type == WSMsgType.TEXT:
            try:
                message = _decode(frame.get_payload_as_memoryview())
            except msgspec.DecodeError:
                self.books.faults.add("a frame that is no message", f"{frame.get_payload_as_bytes()[:100]!r}")
                return
            if message.action == "PUSH":
                if message.topic in self.subscriptions:
                    self.on_push(message)
                else:
                    self.books.faults.add("a push of a topic that it has not joined", str(message.topic))
            elif message.action == "GAP":
                if message.topic in self.subscriptions:
                    self.books.gaps += 1
                    self.subscriptions[message.topic].on_gap()
            elif message.action in ("API_RES", "API_ERR"):
                self._on_answer(message)

    def on_push(self, message: Message) -> None:
        self.subscriptions[message.topic].on_push(message.payload, self.books)

    def _on_answer(self, message: Message) -> None:
        if message.id == 0:
            if message.action == "API_RES":
                self.joined.set_result(message.payload)
            else:
                self.joined.set_exception(ConnectionError(f"join: {message.code} {message.payload}"))
            return
        call = self.pending.pop(message.id, None)
        if call is None:
            self.books.faults.add("an answer to no call", f"{message.id}: {message.code or message.payload}")
            return
        self.books.latencies.append(time.monotonic() - call.began)
        if message.action == "API_ERR":
            self.books.refusals[message.code] += 1
            self._settle(call, REFUSED, message.code)
        elif message.payload == call.token:
            if call.topic is not None:
                call.topic.acknowledged = max(call.topic.acknowledged, call.number)
            self.books.settle(call.token, ANSWERED, "OK", self.worker)
        else:
            self.books.faults.add("a wrong answer", f"{call.token}: {message.payload!r}")

    def _settle(self, call: Call, outcome: str, code: object) -> None:
        if call.topic is not None:
            call.topic.excused.add(call.number)
            if call.topic.mark is not None and call.number >= call.topic.mark:
                self.books.faults.add(f"a push that {outcome} after all had healed", f"{call.token}: {code}")
        self.books.settle(call.token, outcome, code, self.worker)

    def give_up(self, outcome: str) -> None:
        """What has no answer will have none."""
        for call in self.pending.values():
            self._settle(call, outcome, self.code)
        self.pending.clear()

    def on_ws_disconnected(self, transport: WSTransport) -> None:
        self.ended = True
        if not self.joined.done():
            self.joined.set_exception(ConnectionError(f"closed with {self.code} before it had joined"))
            self.joined.exception()  # it may be nobody's by then
        self.books.closes[f"{self.code} {self.worker}"] += 1
        self.give_up(self._lost)
        self._on_end(self)


class Reader(Client):
    """One that stops to read, and is content with any push."""

    def on_push(self, message: Message) -> None:
        self.books.deliveries += 1

    def stall(self) -> None:
        self.transport.underlying_transport.pause_reading()

    def read_on(self) -> None:
        self.transport.underlying_transport.resume_reading()
