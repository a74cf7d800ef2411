"""A whole server in this process, and transports without a socket."""

from __future__ import annotations

import asyncio
import logging
import tempfile
from collections.abc import Coroutine
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from harness import write_files
from sanic.server.protocols.base_protocol import SanicProtocol

from isomor import config as configuration
from isomor.loader import load
from isomor.server.app import Server
from isomor.server.protocol import IsomorProtocol, bound_to
from isomor.server.sockets import bind

API = {
    "add.py": "async def add(a: int, b: int = 10) -> int:\n    return a + b\n",
    "echo.py": "async def echo(value=None):\n    return value\n",
    "fails.py": "from isomor import ApiError\n\nasync def fails() -> None:\n    raise ApiError('no')\n",
    "push.py": "from isomor import WsContext\n\nasync def push(ctx: WsContext, value=0):\n    ctx.push(value)\n",
    "close.py": "from isomor import WsContext\n\nasync def close(ctx: WsContext) -> None:\n    ctx.ws.close(4000)\n",
}
MOST = 4096  # bytes of a message


class Faults(logging.Handler):
    """What the server logs as its own fault."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.found: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.found.append(self.format(record))


class House:
    """The server's worker, the loop that it runs on, and what it has complained of."""

    def __init__(self) -> None:
        folder = Path(tempfile.mkdtemp(prefix="fuzz-"))
        write_files(folder / "api", API)
        environ = {"ISOMOR_WS": ".*", "ISOMOR_PORT": "0", "ISOMOR_HOST": "127.0.0.1"}
        environ |= {"ISOMOR_MAX_MESSAGE_SIZE": str(MOST), "ISOMOR_WS_PING_SECONDS": "0", "ISOMOR_WS_TIMEOUT": "0"}
        self.config = configuration.load_config(environ=environ, cwd=folder).config
        self.loop = asyncio.new_event_loop()
        self.faults = Faults()
        for name in ("isomor", "asyncio", "sanic.error", "sanic.root"):
            logging.getLogger(name).addHandler(self.faults)
        self.loop.set_exception_handler(lambda _loop, context: self.faults.found.append(str(context)))
        import isomor

        registry = load(
            self.config.api.folder,
            module_name=self.config.api.module_name,
            ws_pattern=self.config.ws.pattern,
            namespace=vars(isomor),
        )
        self.server = Server(self.config, registry, None)
        self.run(self.server.start(bind(self.config, 0)))
        self.worker = self.server.worker

    def run(self, coroutine: Coroutine[Any, Any, None]) -> None:
        self.loop.run_until_complete(coroutine)
        assert not self.faults.found, self.faults.found

    def protocol(self, **changed: Any) -> Any:
        """The class of its protocol, with some attributes changed."""
        return type("Fuzzed", (bound_to(self.worker),), {"__slots__": (), **changed})

    def connect(self, protocol_class: Any) -> tuple[IsomorProtocol, Wire]:
        """A connection to the server."""
        protocol = protocol_class(loop=self.loop, app=self.worker.app, connections=set())
        wire = Wire(protocol)
        protocol.connection_made(wire)
        return protocol, wire


class Wire(asyncio.Transport):
    """A transport that is fed by hand, keeps what is written, and ends as one of a socket does."""

    def __init__(self, protocol: SanicProtocol) -> None:
        super().__init__()
        self.protocol: Any = protocol
        self.written = bytearray()
        self.closing = self.lost = self.ended = False

    def feed(self, data: bytes) -> None:
        """Bytes of the peer, as a loop would hand them on."""
        while data and not self.closing:
            if not hasattr(self.protocol, "get_buffer"):
                self.protocol.data_received(data)
                return
            buffer = self.protocol.get_buffer(-1)
            assert len(buffer) <= 64 * 1024, f"a read buffer of {len(buffer)} bytes"
            size = min(len(buffer), len(data))
            assert size, "a read buffer without room"
            buffer[:size] = data[:size]
            data = data[size:]
            self.protocol.buffer_updated(size)

    def lose(self) -> None:
        """The end of the connection."""
        if not self.lost:
            self.closing = self.lost = True
            self.protocol.connection_lost(None)

    def write(self, data: Any) -> None:
        assert not self.ended, f"written behind the end: {bytes(data)!r}"
        if not self.closing:
            self.written += data

    def close(self) -> None:
        self.closing = True

    abort = close

    def is_closing(self) -> bool:
        return self.closing

    def can_write_eof(self) -> bool:
        return True

    def write_eof(self) -> None:
        self.ended = True

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        # No number of a socket leads past it, as with TLS.
        known = {"ssl_object": SimpleNamespace(context=None), "socket": self, "peername": ("127.0.0.1", 1)}
        return known.get(name, default)

    def fileno(self) -> int:
        return -1

    def set_protocol(self, protocol: Any) -> None:
        self.protocol = protocol

    def get_protocol(self) -> Any:
        return self.protocol

    def get_write_buffer_size(self) -> int:
        return 0

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        pass

    def pause_reading(self) -> None:
        pass

    def resume_reading(self) -> None:
        pass

    def is_reading(self) -> bool:
        return True
