"""Black-box tests: a real `isomor serve` process, and clients that speak to it over real sockets.

    def test_add(serve):
        server = serve({"add.py": "async def add(a: int, b: int) -> int: return a + b"})
        assert server.call("add", 1, 2) == 3
        with server.ws() as ws:
            assert ws.call("add", 1, 2) == 3

Every wait here ends when its condition holds, and fails at a deadline that is far away: a slow machine is no fault.
"""

from __future__ import annotations

import base64
import fcntl
import json
import os
import random
import signal as signals
import socket
import ssl
import struct
import subprocess
import sys
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from functools import cache
from http.cookiejar import CookieJar, DefaultCookiePolicy
from pathlib import Path
from tempfile import gettempdir
from types import TracebackType
from typing import Any, Self

import httpx
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

REPOSITORY = Path(__file__).resolve().parent.parent
DEADLINE = 30.0

# What no run of the server may leave in its log, whatever a test does to it.
NEVER_IN_LOG = (
    "exception was never retrieved",
    "was destroyed but it is pending",
    "was never awaited",
    "ResourceWarning",
    "Exception ignored in",
    "Fatal Python error",
)


def wait_until(
    condition: Callable[[], Any], what: str = "the condition", timeout: float = DEADLINE, *, pause: float = 0.01
) -> Any:
    """The first true value of `condition()`, which is asked again after `pause` seconds.

    Raises:
        AssertionError: if there was none before the deadline.
    """
    end = time.monotonic() + timeout
    while not (value := condition()):
        if time.monotonic() > end:
            raise AssertionError(f"waited {timeout:g} s in vain for {what}")
        time.sleep(pause)
    return value


# Below those that the system gives to connections (32768 and up): nobody gets a port while its server is away.
_PORTS = range(20_000, 32_000)
_given: set[int] = set()


@cache
def _locks() -> int:
    """The file in which every process that tests locks the ports it has given away; its locks end with a process."""
    return os.open(Path(gettempdir()) / f"isomor-test-ports-{os.getuid()}", os.O_RDWR | os.O_CREAT, 0o600)


def _give(port: int) -> bool:
    with suppress(OSError), socket.socket() as probe:
        probe.bind(("127.0.0.1", port))
        fcntl.lockf(_locks(), fcntl.LOCK_EX | fcntl.LOCK_NB, 1, port)
        _given.add(port)
        return True
    return False


def free_port(count: int = 1) -> int:
    """A port that nobody listens on, the first of `count` in a row. None is given twice, also not to another process.

    A port that is merely free would not do: tests run side by side, and a server takes a while to listen.
    """
    for first in random.sample(_PORTS[: len(_PORTS) - count], 1000):
        ports = range(first, first + count)
        if _given.isdisjoint(ports) and all(_give(port) for port in ports):
            return first
    raise AssertionError("all ports are in use")


def write_files(folder: Path, files: Mapping[str, str | bytes]) -> None:
    """Write `{"lib/db.py": source}` under `folder`."""
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)


def environment(env: Mapping[str, str] | None = None) -> dict[str, str]:
    """This process's environment without what would configure isomor, and with `env`."""
    clean = {key: value for key, value in os.environ.items() if not key.startswith("ISOMOR")}
    return clean | {"PYTHONUNBUFFERED": "1", "PYTHONWARNINGS": "always::ResourceWarning"} | dict(env or {})


def isomor(
    *args: str, cwd: Path, env: Mapping[str, str] | None = None, timeout: float = DEADLINE
) -> subprocess.CompletedProcess[str]:
    """Run a command of `isomor` to its end: returncode, stdout, stderr."""
    process = subprocess.Popen(
        [sys.executable, "-m", "isomor", *args],
        cwd=cwd,
        env=environment(env),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        stdout, stderr = process.communicate(timeout=timeout)
    finally:
        _kill_group(process.pid)
        process.wait()
    return subprocess.CompletedProcess(process.args, process.returncode, stdout, stderr)


def processes_of(group: int) -> list[str]:
    """The living processes of a process group, one line each."""
    if not Path("/proc/self/stat").exists():  # not Linux: only whether there is one
        try:
            os.killpg(group, 0)
        except (ProcessLookupError, PermissionError):
            return []
        return [f"process group {group}"]
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with suppress(OSError):
                # After the name, which may hold anything: state, parent, group.
                state, _, pgrp = (entry / "stat").read_text().rpartition(")")[2].split()[:3]
                if int(pgrp) == group and state not in "ZX":
                    command = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
                    found.append(f"{entry.name} {state} {command}")
    return found


def _kill_group(group: int) -> None:
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(group, signals.SIGKILL)


class ServerExited(AssertionError):
    """The server ended before it was ready."""

    def __init__(self, code: int, log: str) -> None:
        super().__init__(f"the server ended with exit code {code} before it was ready; its log:\n{log}")
        self.code = code
        self.log = log


class CallFailed(Exception):
    """The answer to a call was an error."""

    def __init__(self, message: str, code: str | None, status: int | None, details: Any, error_id: str | None) -> None:
        super().__init__(f"{code} ({status}): {message} {details or ''}")
        self.message = message
        self.code = code
        self.status = status
        self.details = details
        self.error_id = error_id


class Server:
    """`isomor serve` as a process of its own, in a session of its own.

    Args:
        folder: its working directory; written to.
        api: files of the api folder, name to source; or a folder that is there already.
        env: variables, such as `{"ISOMOR_WS": ".*"}`; none of `ISOMOR_*` is inherited.
        yaml: the text of `config/isomor.yaml`.
        files: other files, under `folder`.
        args: further arguments of `isomor serve`.
        port: where to listen; a free one by default.
        trust: a certificate (PEM) to trust; the server is then spoken to over TLS.
    """

    def __init__(
        self,
        folder: Path,
        api: Mapping[str, str | bytes] | Path,
        *,
        env: Mapping[str, str] | None = None,
        yaml: str | None = None,
        files: Mapping[str, str | bytes] | None = None,
        args: Iterable[str] = (),
        port: int | None = None,
        trust: Path | None = None,
    ) -> None:
        self.folder = folder
        self.host, self.port = "127.0.0.1", port or free_port()
        self.env = {"ISOMOR_HOST": self.host, "ISOMOR_PORT": str(self.port), **(env or {})}
        self.args = list(args)
        self.ssl = ssl.create_default_context(cafile=trust) if trust else None
        secure = "s" if trust else ""
        self.url = f"http{secure}://{self.host}:{self.port}"
        self.ws_url = f"ws{secure}://{self.host}:{self.port}"
        self.process: subprocess.Popen[bytes] | None = None
        # Nothing is kept from one request to the next: no connection (it would outlive its test), and no cookie.
        self.http = httpx.Client(
            base_url=self.url,
            timeout=DEADLINE,
            trust_env=False,
            verify=self.ssl or False,
            limits=httpx.Limits(max_keepalive_connections=0),
            cookies=CookieJar(DefaultCookiePolicy(allowed_domains=[])),
        )
        folder.mkdir(parents=True, exist_ok=True)
        if isinstance(api, Path):
            self.api = api
            self.env.setdefault("ISOMOR_SRC_FOLDER", str(api))
        else:
            self.api = folder / "api"
            self.api.mkdir(exist_ok=True)
            write_files(self.api, api)
        write_files(folder, files or {})
        if yaml is not None:
            write_files(folder, {"config/isomor.yaml": yaml})

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self.close()
        else:
            self.kill()
            self.http.close()

    # The process

    def start(self, wait: bool = True) -> Self:
        """Start it, also once more after an end; by default return when it is ready.

        Raises:
            ServerExited: if it ended before that.
        """
        assert self.process is None or self.process.poll() is not None, "it is running"
        with self._log_path.open("ab") as log:
            size = log.tell()
            self.process = subprocess.Popen(
                [sys.executable, "-m", "isomor", "serve", *self.args],
                cwd=self.folder,
                env=environment(self.env),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        if wait:
            try:
                wait_until(self._is_ready, "the server to be ready")
                if (workers := int(self.env.get("ISOMOR_WORKERS", "1"))) > 1:  # so far the first one has answered
                    said = f"{workers} workers are ready"
                    wait_until(lambda: said in self._log_path.read_bytes()[size:].decode(), "all workers to be ready")
            except ServerExited:
                raise
            except BaseException as error:
                self.kill()
                error.add_note(f"its log:\n{self.log}")
                raise
        return self

    def _is_ready(self) -> bool:
        assert self.process is not None
        code = self.process.poll()
        if code is not None:
            self._assert_alone()
            raise ServerExited(code, self.log)
        try:
            return self.http.get("/health/ready").status_code == 200
        except httpx.TransportError:
            return False

    @property
    def _log_path(self) -> Path:
        return self.folder / "server.log"

    @property
    def log(self) -> str:
        """What it has printed so far, both streams."""
        return self._log_path.read_text(errors="replace") if self._log_path.exists() else ""

    def wait_for_log(self, text: str) -> str:
        """Wait until `text` stands in the log; the whole log."""
        wait_until(lambda: text in self.log, f"{text!r} in the log")
        return self.log

    @property
    def pid(self) -> int:
        assert self.process is not None
        return self.process.pid

    @property
    def running(self) -> bool:
        return self.process is not None and self.process.poll() is None

    def signal(self, signal: int = signals.SIGTERM) -> None:
        """Send a signal to the main process."""
        assert self.process is not None
        self.process.send_signal(signal)

    def wait(self, timeout: float = DEADLINE) -> int:
        """Wait for its end, and for that of its children; its exit code."""
        assert self.process is not None
        try:
            code = self.process.wait(timeout)
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError(f"the server did not end; its log:\n{self.log}") from None
        self._assert_alone()
        return code

    def stop(self, signal: int = signals.SIGTERM, timeout: float = DEADLINE) -> int:
        """Ask it to end, and wait for that; its exit code."""
        self.signal(signal)
        return self.wait(timeout)

    def kill(self) -> None:
        """End it and its children at once. Nothing happens where it has ended."""
        if self.process is not None:
            _kill_group(self.process.pid)
            self.process.wait()

    def close(self) -> None:
        """The end of its test: if it is still running, SIGTERM ends it in order, with exit code 0."""
        self.http.close()
        if self.running:
            code = self.stop()
            assert code == 0, f"exit code {code} on SIGTERM; its log:\n{self.log}"
        elif self.process is not None:
            self._assert_alone()
        for text in NEVER_IN_LOG:
            assert text not in self.log, f"{text!r} in the server's log:\n{self.log}"

    def _assert_alone(self) -> None:
        """No child outlives the main process."""
        try:
            wait_until(lambda: not processes_of(self.pid), "the server's children to end", timeout=10)
        except AssertionError as error:
            left = processes_of(self.pid)
            _kill_group(self.pid)
            error.add_note(f"left: {left}; its log:\n{self.log}")
            raise

    # Clients

    def path(self, name: str) -> str:
        """The path of a function of the api folder."""
        return f"/isomor/{self.env.get('ISOMOR_MODULE_NAME', 'api')}/{name}"

    def post(self, name: str, *args: Any, **options: Any) -> httpx.Response:
        """Call over HTTP; the response as it came. `options` are those of `httpx.post`."""
        return self.http.post(self.path(name), json={"args": args}, **options)

    def get(self, name: str, **options: Any) -> httpx.Response:
        """Call over HTTP with GET; the response as it came. `options` are those of `httpx.get`."""
        return self.http.get(self.path(name), **options)

    def call(self, name: str, *args: Any, **options: Any) -> Any:
        """Call over HTTP; its result.

        Raises:
            CallFailed: if the answer was an error.
        """
        response = self.post(name, *args, **options)
        body = response.json()
        if response.status_code == 200:
            assert body.keys() == {"result"}, body
            return body["result"]
        raise CallFailed(
            body["error"], body.get("code"), response.status_code, body.get("details"), body.get("errorId")
        )

    def ws(self, path: str = "/isomor/ws", **options: Any) -> WebSocket:
        """A WebSocket. `options` are those of `websockets.sync.client.connect`, and `module`."""
        options.setdefault("ssl", self.ssl)
        options.setdefault("module", self.env.get("ISOMOR_MODULE_NAME", "api"))
        return WebSocket(self.ws_url + path, **options)

    def raw(self) -> RawConnection:
        """A bare connection, to send any bytes on."""
        return RawConnection(self.host, self.port, self.ssl)

    def raw_ws(self, path: str = "/isomor/ws", headers: Mapping[str, str] | None = None) -> RawWebSocket:
        """A WebSocket whose frames are made by hand."""
        return RawWebSocket(self.raw(), path, headers)


class WebSocket:
    """A WebSocket client of isomor's protocol. What is not waited for is kept, in the order it came."""

    def __init__(self, url: str, *, module: str = "api", **options: Any) -> None:
        options = {"proxy": None, "compression": None, "max_size": None, "ping_interval": None} | options
        self.module = module
        self._open = ExitStack()
        self.socket = self._open.enter_context(connect(url, open_timeout=DEADLINE, **options))
        self.inbox: deque[dict[str, Any]] = deque()
        self._next_id = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self, code: int = 1000, reason: str = "") -> None:
        """Close it, with the handshake."""
        self.socket.close(code, reason)
        self._open.close()

    def send(self, message: Any) -> None:
        """Send a value as JSON; bytes and str as they are."""
        self.socket.send(message if isinstance(message, (str, bytes)) else json.dumps(message))

    def send_call(
        self, name: str, *args: Any, call_id: int | str | None = None, cookie: str | None = None
    ) -> int | str:
        """Send a call without waiting; its id."""
        if call_id is None:
            self._next_id += 1
            call_id = self._next_id
        message: dict[str, Any] = {"action": "API", "id": call_id}
        message |= {"urlPath": f"/isomor/{self.module}/{name}", "args": args}
        if cookie is not None:
            message["cookie"] = cookie
        self.send(message)
        return call_id

    def cancel(self, call_id: int | str) -> None:
        """Ask for the end of a call; it still has its answer."""
        self.send({"action": "CANCEL", "id": call_id})

    def receive(self, matches: Callable[[dict[str, Any]], bool] = lambda _: True, what: str = "a message") -> Any:
        """The first message that matches, of those that came and those to come; the others stay.

        Raises:
            websockets.exceptions.ConnectionClosed: if the connection ends before that.
            AssertionError: if there is none before the deadline.
        """
        for index, message in enumerate(self.inbox):
            if matches(message):
                del self.inbox[index]
                return message
        end = time.monotonic() + DEADLINE
        while True:
            try:
                message = json.loads(self.socket.recv(timeout=max(0.0, end - time.monotonic())))
            except TimeoutError:
                raise AssertionError(f"waited in vain for {what}; had {list(self.inbox)[:20]}") from None
            if matches(message):
                return message
            self.inbox.append(message)

    def answer(self, call_id: int | str | None) -> dict[str, Any]:
        """The message that answers the call, result or error."""
        return self.receive(
            lambda m: m["action"] in ("API_RES", "API_ERR") and m["id"] == call_id and type(m["id"]) is type(call_id),
            f"an answer to {call_id!r}",
        )

    def result(self, call_id: int | str) -> Any:
        """The result of the call.

        Raises:
            CallFailed: if the answer was an error.
        """
        answer = self.answer(call_id)
        if answer["action"] == "API_RES":
            return answer["payload"]
        raise CallFailed(
            answer["payload"], answer.get("code"), answer.get("status"), answer.get("details"), answer.get("errorId")
        )

    def call(self, name: str, *args: Any, cookie: str | None = None) -> Any:
        """Call; its result.

        Raises:
            CallFailed: if the answer was an error.
        """
        return self.result(self.send_call(name, *args, cookie=cookie))

    def push(self, topic: str | None = None) -> Any:
        """The payload of the next push; of the next to `topic`, where one is named."""
        return self.receive(lambda m: m["action"] == "PUSH" and (topic is None or m.get("topic") == topic), "a push")[
            "payload"
        ]

    def config(self) -> dict[str, Any]:
        """The payload of the next CONF."""
        return self.receive(lambda m: m["action"] == "CONF", "CONF")["payload"]

    def ping(self) -> None:
        """Send isomor's PING and wait for PONG: all that was sent before it has been read."""
        self.send({"action": "PING"})
        self.receive(lambda m: m["action"] == "PONG", "PONG")

    def wait_closed(self) -> int:
        """Wait until the server closes the connection; the close code, 1006 where it sent none."""
        end = time.monotonic() + DEADLINE
        while True:
            try:
                self.inbox.append(json.loads(self.socket.recv(timeout=max(0.0, end - time.monotonic()))))
            except TimeoutError:
                raise AssertionError("waited in vain for the connection to be closed") from None
            except ConnectionClosed as closed:
                return closed.rcvd.code if closed.rcvd else 1006


@dataclass
class RawResponse:
    """An HTTP response as it came: header names in lower case, repeated ones in a row."""

    status: int
    headers: list[tuple[str, str]]
    body: bytes

    def header(self, name: str) -> str | None:
        return next((value for key, value in self.headers if key == name), None)

    def json(self) -> Any:
        return json.loads(self.body)


class RawConnection:
    """A TCP (or TLS) connection with a buffer: any bytes out, exact reads in."""

    def __init__(self, host: str, port: int, context: ssl.SSLContext | None = None, *, source: str = "") -> None:
        """`source` is the address to come from, where it matters."""
        self.socket: socket.socket = socket.create_connection(
            (host, port), timeout=DEADLINE, source_address=(source, 0) if source else None
        )
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if context:
            self.socket = context.wrap_socket(self.socket, server_hostname=host)
        self.buffer = b""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close it, in order."""
        self.socket.close()

    def reset(self) -> None:
        """End it with a TCP reset, as a peer that crashed does."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.close()

    def send(self, data: bytes) -> None:
        self.socket.sendall(data)

    def request(self, method: str, path: str, body: bytes = b"", headers: Mapping[str, str] | None = None) -> None:
        """Send a request; Host and (where there is a body) Content-Length are added."""
        fields = {"Host": "localhost"} | ({"Content-Length": str(len(body))} if body else {}) | dict(headers or {})
        head = f"{method} {path} HTTP/1.1\r\n" + "".join(f"{name}: {value}\r\n" for name, value in fields.items())
        self.send(head.encode() + b"\r\n" + body)

    def _fill(self) -> bool:
        """Read more; whether there was any."""
        try:
            data = self.socket.recv(65536)
        except ConnectionResetError:
            data = b""
        except TimeoutError:
            raise AssertionError(f"waited in vain for bytes; had {self.buffer[:200]!r}") from None
        self.buffer += data
        return bool(data)

    def read(self, size: int) -> bytes:
        """Just so many bytes.

        Raises:
            EOFError: if the connection ends before that.
        """
        while len(self.buffer) < size:
            if not self._fill():
                raise EOFError(self.buffer)
        data, self.buffer = self.buffer[:size], self.buffer[size:]
        return data

    def read_until(self, mark: bytes) -> bytes:
        """All up to and with `mark`.

        Raises:
            EOFError: if the connection ends before that.
        """
        while (at := self.buffer.find(mark)) < 0:
            if not self._fill():
                raise EOFError(self.buffer)
        return self.read(at + len(mark))

    def read_to_end(self) -> bytes:
        """All until the peer closes."""
        while self._fill():
            pass
        data, self.buffer = self.buffer, b""
        return data

    def response(self, method: str = "POST") -> RawResponse:
        """The next response; `method` is the request's, for a response to HEAD has no body.

        Raises:
            EOFError: if the connection ends before that.
        """
        head = self.read_until(b"\r\n\r\n").decode("latin-1").split("\r\n")
        status = int(head[0].split()[1])
        headers = [(name.lower(), value.strip()) for name, _, value in (line.partition(":") for line in head[1:-2])]
        response = RawResponse(status, headers, b"")
        if method == "HEAD" or status < 200 or status in (204, 304):
            return response
        if "chunked" in (response.header("transfer-encoding") or ""):
            while size := int(self.read_until(b"\r\n").split(b";")[0], 16):
                response.body += self.read(size)
                self.read(2)
            self.read_until(b"\r\n")
        elif (length := response.header("content-length")) is not None:
            response.body = self.read(int(length))
        else:
            response.body = self.read_to_end()
        return response


CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0, 1, 2, 8, 9, 10


@dataclass
class Frame:
    """A WebSocket frame as it came."""

    opcode: int
    payload: bytes
    fin: bool = True
    rsv: int = 0


def frame(
    opcode: int, payload: bytes = b"", *, fin: bool = True, rsv: int = 0, mask: bool = True, form: int | None = None
) -> bytes:
    """The bytes of a frame, right or wrong.

    Args:
        opcode: 0 to 15.
        payload: unmasked.
        fin: whether it ends its message.
        rsv: the three reserved bits, 0 to 7.
        mask: whether it is masked, as a client's frames must be.
        form: how the length is written: 7, 16 or 64 bits; by default the shortest that holds it.
    """
    size = len(payload)
    form = form or (7 if size < 126 else 16 if size < 65536 else 64)
    head = bytes([fin << 7 | rsv << 4 | opcode])
    bit = mask << 7
    match form:
        case 7:
            head += bytes([bit | size])
        case 16:
            head += bytes([bit | 126]) + struct.pack("!H", size)
        case 64:
            head += bytes([bit | 127]) + struct.pack("!Q", size)
        case _:
            raise ValueError(f"form={form}: 7, 16 or 64")
    if not mask:
        return head + payload
    key = b"\x37\xfa\x21\x3d"
    repeated = key * (size // 4 + 1)
    masked = int.from_bytes(payload, "big") ^ int.from_bytes(repeated[:size], "big")
    return head + key + masked.to_bytes(size, "big")


class RawWebSocket:
    """A WebSocket whose frames are made by hand, on a connection that it owns.

    Raises:
        AssertionError: if the server does not switch protocols.
    """

    def __init__(self, connection: RawConnection, path: str, headers: Mapping[str, str] | None = None) -> None:
        self.connection = connection
        fields = {
            "Host": "localhost",
            "Connection": "Upgrade",
            "Upgrade": "websocket",
            "Sec-WebSocket-Version": "13",
            "Sec-WebSocket-Key": base64.b64encode(os.urandom(16)).decode(),
        }
        connection.request("GET", path, headers=fields | dict(headers or {}))
        self.handshake = connection.response("GET")
        if self.handshake.status != 101:
            connection.close()
            raise AssertionError(f"no upgrade: {self.handshake}")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.connection.close()

    def send(self, opcode: int, payload: bytes = b"", **options: Any) -> None:
        """Send a frame; `options` are those of `frame`."""
        self.send_bytes(frame(opcode, payload, **options))

    def send_bytes(self, data: bytes) -> None:
        """Send bytes that need not be a frame."""
        with suppress(BrokenPipeError, ConnectionResetError):  # the server may have had enough
            self.connection.send(data)

    def send_json(self, message: Any) -> None:
        self.send(TEXT, json.dumps(message).encode())

    def receive(self) -> Frame:
        """The next frame.

        Raises:
            EOFError: if the connection ends before that.
        """
        first, second = self.connection.read(2)
        size = second & 127
        if size == 126:
            (size,) = struct.unpack("!H", self.connection.read(2))
        elif size == 127:
            (size,) = struct.unpack("!Q", self.connection.read(8))
        assert not second & 128, "a server's frames are not masked"
        return Frame(first & 15, self.connection.read(size), bool(first & 128), first >> 4 & 7)

    def receive_json(self) -> Any:
        """The next text message."""
        received = self.receive()
        assert received.opcode == TEXT, received
        assert received.fin, received
        return json.loads(received.payload)

    def wait_closed(self) -> int:
        """Read on to the close frame; its code, 1005 where it has none, 1006 where there was no close frame."""
        while True:
            try:
                received = self.receive()
            except EOFError:
                return 1006
            if received.opcode == CLOSE:
                return struct.unpack("!H", received.payload[:2])[0] if received.payload else 1005
