"""Every limit of docs/limits.md, by each way in: what is just below it passes, what is above it gets the documented
code and is counted, others do not notice, and who has met it goes on afterwards."""

from __future__ import annotations

import json
import re
import resource
import shlex
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from harness import (
    CONTINUATION,
    DEADLINE,
    REPOSITORY,
    TEXT,
    CallFailed,
    RawConnection,
    RawResponse,
    RawWebSocket,
    Server,
    environment,
    frame,
    wait_until,
    write_files,
)

from isomor.config import SETTINGS
from isomor.errors import ApiError
from isomor.metrics.table import LIMITS
from isomor.server.admission import group_of
from isomor.server.rate import Rate

API = {
    "_gate.py": "import asyncio\n\ngate = asyncio.Event()\n",
    "echo.py": "from typing import Any\n\nasync def echo(value: Any = None) -> Any:\n    return value\n",
    "echo_http.py": """
from typing import Any
from isomor import HttpContext

async def echo_http(ctx: HttpContext, value: Any = None) -> Any:
    return value
""",
    "hold.py": "from ._gate import gate\n\nasync def hold() -> str:\n    await gate.wait()\n    return 'held'\n",
    "hold_http.py": """
from isomor import HttpContext
from ._gate import gate

async def hold_http(ctx: HttpContext) -> str:
    await gate.wait()
    return "held"
""",
    "release.py": "from ._gate import gate\n\nasync def release() -> None:\n    gate.set()\n    gate.clear()\n",
    "never.py": "import asyncio\n\nasync def never() -> None:\n    await asyncio.Event().wait()\n",
    "block.py": """
from typing import Any
from isomor import HttpContext
from ._threads import opened, running

def block(value: Any = None) -> Any:
    running.set()
    opened.wait()
    return value
""",
    "block_http.py": """
from typing import Any
from isomor import HttpContext
from .block import block

def block_http(ctx: HttpContext, value: Any = None) -> Any:
    return block(value)
""",
    "_threads.py": "import threading\n\nopened, running = threading.Event(), threading.Event()\n",
    "wait_running.py": """
import asyncio
from ._threads import running

async def wait_running() -> None:
    while not running.is_set():
        await asyncio.sleep(0.01)
    running.clear()
""",
    "open_threads.py": """
from ._threads import opened

async def open_threads() -> None:
    opened.set()
""",
    "close_threads.py": """
from ._threads import opened

async def close_threads() -> None:
    opened.clear()
""",
    "join.py": """
from isomor import WsContext

async def join(ctx: WsContext, topic: str) -> None:
    await ctx.join(topic)
""",
    "join_in_thread.py": """
from isomor import WsContext

def join_in_thread(ctx: WsContext, topic: str) -> None:
    ctx.join(topic).wait()
""",
    "join_and_forget.py": """
from isomor import WsContext

async def join_and_forget(ctx: WsContext, topic: str) -> None:
    ctx.join(topic)
""",
    "leave.py": """
from isomor import WsContext

async def leave(ctx: WsContext, topic: str) -> None:
    await ctx.leave(topic)
""",
    "publish.py": """
from isomor import push

async def publish(topic: str) -> None:
    await push(topic, topic=topic)
""",
    "large.py": "async def large(size: int) -> str:\n    return 'x' * size\n",
}

# The short way of HTTP calls, and Sanic's.
HTTP = ["echo", "echo_http"]


@pytest.fixture(scope="module")
def server(serve_module: Any) -> Server:
    """A server with low limits."""
    env = {
        "ISOMOR_MAX_MESSAGE_SIZE": "20000",
        "ISOMOR_MAX_JSON_DEPTH": "16",
        "ISOMOR_SERVER_MAX_HEADER_SIZE": "2048",
        "ISOMOR_WS_MAX_CALLS_IN_FLIGHT": "2",
        "ISOMOR_WS_MAX_OUTBOX_BYTES": "64KiB",
        "ISOMOR_WS_MAX_TOPICS": "3",
        "ISOMOR_THREADS": "1",
        "ISOMOR_MAX_THREAD_QUEUE": "2",
    }
    return serve_module(API, env=env)


@pytest.fixture(scope="module")
def small(serve_module: Any) -> Server:
    """Another one, for limits that would be in the others' way."""
    return serve_module(API, env={"ISOMOR_MAX_MESSAGE_SIZE": "200", "ISOMOR_CALL_TIMEOUT": "0.3"})


def hits(server: Server, limit: str) -> float:
    """How often the limit was met so far."""
    text = server.http.get("/metrics").text
    found = re.search(rf'^isomor_limit_hits_total{{limit="{re.escape(limit)}"}} (\S+)$', text, re.MULTILINE)
    assert found, f"there is no metric of {limit}"
    return float(found[1])


@contextmanager
def met(server: Server, limit: str, times: int = 1) -> Iterator[None]:
    """What happens within meets the limit so often, and others are served meanwhile."""
    before = hits(server, limit)
    yield
    wait_until(lambda: hits(server, limit) >= before + times, f"{limit} to be counted")
    assert hits(server, limit) == before + times
    assert server.call("echo", "others") == "others"


def post(name: str, body: bytes, *headers: str) -> bytes:
    head = [f"POST /isomor/api/{name} HTTP/1.1", "Host: localhost", "Content-Type: application/json"]
    return "\r\n".join([*head, f"Content-Length: {len(body)}", *headers, "", ""]).encode() + body


def test_every_limit_is_documented() -> None:
    text = (REPOSITORY / "docs" / "limits.md").read_text()
    documented = dict(re.findall(r"^\| `([a-z_.]+)` \| (\S+) \|", text, re.MULTILINE))
    assert documented == {setting.key: str(setting.default) for setting in SETTINGS if setting.key in LIMITS}
    assert documented.keys() == set(LIMITS)


# ---- Sizes ----------------------------------------------------------------------------------------------------------


def body_of(size: int) -> bytes:
    """A call whose body has so many bytes."""
    return b'{"args":["%b"]}' % (b"x" * (size - 13))


@pytest.mark.parametrize("name", HTTP)
def test_a_body_that_is_too_large(server: Server, name: str) -> None:
    with server.raw() as connection:
        connection.send(post(name, body_of(20000)))
        assert connection.response().json() == {"result": "x" * (20000 - 13)}
        with met(server, "max_message_size"):
            connection.send(post(name, body_of(20001)))
            response = connection.response()
        assert (response.status, response.json()["code"]) == (413, "TOO_LARGE")
    assert server.call(name, 1) == 1


@pytest.mark.parametrize("fragments", [1, 2, 7])
def test_a_message_that_is_too_large(server: Server, fragments: int) -> None:
    def send(size: int) -> None:
        text = json.dumps({"action": "API", "id": 1, "urlPath": "/isomor/api/echo", "args": ["y"]})
        text = text.replace('"y"', f'"{"x" * (size - len(text) + 1)}"')
        assert len(text) == size
        step = size // fragments + 1
        parts = [text[at : at + step].encode() for at in range(0, size, step)]
        for number, part in enumerate(parts):
            ws.send(CONTINUATION if number else TEXT, part, fin=number == len(parts) - 1)

    with server.raw_ws() as ws:
        send(20000)
        assert ws.receive_json()["action"] == "API_RES"
        with met(server, "max_message_size"):
            send(20001)
            assert ws.wait_closed() == 1009
    with server.ws() as again:
        assert again.call("echo", 1) == 1


@pytest.mark.parametrize("name", HTTP)
def test_a_head_that_is_too_large(server: Server, name: str) -> None:
    def request(size: int) -> bytes:
        padding = size - len(post(name, b"", "X: "))
        return post(name, b"", "X: " + "x" * padding)

    with server.raw() as connection:
        connection.send(request(2048))
        assert connection.response().json() == {"result": None}
        with met(server, "server.max_header_size"):
            connection.send(request(2100))
            response = connection.response()
        assert (response.status, response.json()["code"]) == (431, "HEADERS_TOO_LARGE")
        assert connection.read_to_end() == b""
    assert server.call(name, 1) == 1


def test_a_handshake_that_is_too_large(server: Server) -> None:
    with server.raw_ws(headers={"X": "x" * 1700}):
        pass
    with met(server, "server.max_header_size"), pytest.raises(AssertionError, match="431"):
        server.raw_ws(headers={"X": "x" * 2100})


@pytest.mark.parametrize("name", HTTP)
def test_a_body_may_be_smaller_than_a_head(small: Server, name: str) -> None:
    with small.raw() as connection:
        connection.send(post(name, b'{"args":[1]}', "X: " + "x" * 1000))
        assert connection.response().json() == {"result": 1}


def nested(depth: int) -> str:
    return "[" * depth + "]" * depth


@pytest.mark.parametrize("name", HTTP)
def test_json_that_is_nested_too_deeply(server: Server, name: str) -> None:
    """The call's own object and the list of its arguments are two levels."""
    with server.raw() as connection:
        connection.send(post(name, b'{"args":[%b]}' % nested(14).encode()))
        assert connection.response().status == 200
        with met(server, "max_json_depth"):
            connection.send(post(name, b'{"args":[%b]}' % nested(15).encode()))
            response = connection.response()
        assert (response.status, response.json()["code"]) == (400, "BAD_MESSAGE")
        assert "16 levels" in response.json()["error"]
        connection.send(post(name, b'{"args":[1]}'))
        assert connection.response().json() == {"result": 1}


def test_a_message_that_is_nested_too_deeply(server: Server) -> None:
    with server.ws() as ws:
        assert ws.call("echo", json.loads(nested(14))) == json.loads(nested(14))
        with met(server, "max_json_depth"), pytest.raises(CallFailed, match="BAD_MESSAGE"):
            ws.call("echo", json.loads(nested(15)))
        assert ws.call("echo", 1) == 1


# ---- Calls per second ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("per_second", "burst"), [(1, 1), (3, 1), (7, 100), (1000, 3)])
@pytest.mark.parametrize("now", [0.0, 12345.678])
def test_the_bucket(per_second: int, burst: int, now: float) -> None:
    rate = Rate(per_second, burst)

    def calls(at: float) -> int:
        """How many pass at this moment."""
        nonlocal full_at
        for passed in range(10 * burst):
            try:
                full_at = rate.take(full_at, at)
            except ApiError:
                return passed
        raise AssertionError("nothing stops it")

    full_at = 0.0
    assert calls(now) == burst
    assert calls(now) == 0
    for step in range(1, 50):  # one more for each call's worth of time
        assert calls(now + step / per_second) == 1
    assert calls(now + 1000) == burst  # never more, however long it was quiet


PROXY, CLIENT = "127.0.0.1", "127.0.0.2"


@pytest.fixture(scope="module")
def paced(serve_module: Any) -> Server:
    """One call a second, and three at once; who comes from `PROXY` is a proxy."""
    env = {"ISOMOR_MAX_CALLS_PER_SECOND": "1", "ISOMOR_MAX_CALLS_BURST": "3"}
    return serve_module(
        API, env=env | {"ISOMOR_SERVER_TRUSTED_PROXIES": PROXY, "ISOMOR_SERVER_MAX_CONNECTIONS_PER_ADDRESS": "3"}
    )


def connect(server: Server, address: str = CLIENT) -> RawConnection:
    """A connection from another address of this machine."""
    return RawConnection(server.host, server.port, source=address)


@pytest.mark.parametrize("names", [["echo"], ["echo_http"], ["echo", "echo_http"]])
def test_calls_per_second_over_http(paced: Server, names: list[str]) -> None:
    with connect(paced) as connection, connect(paced) as other:
        before = hits(paced, "max_calls_per_second")
        connection.send(b"".join(post(names[number % len(names)], b"") for number in range(8)))
        answers = [connection.response() for _ in range(8)]
        statuses = [answer.status for answer in answers]
        assert statuses[:3] == [200] * 3
        assert 429 in statuses  # a second may have passed, but not so many
        refused = [answer for answer in answers if answer.status != 200]
        assert {(answer.status, answer.json()["code"]) for answer in refused} == {(429, "TOO_MANY_CALLS")}
        assert {answer.header("retry-after") for answer in refused} == {"1"}
        assert hits(paced, "max_calls_per_second") == before + len(refused)
        for name in names:
            other.send(post(name, b"[]"))
            assert other.response().status != 429

        def again() -> bool:
            connection.send(post(names[0], b""))
            return connection.response().status == 200

        wait_until(again, "the bucket to fill")


def test_calls_per_second_over_websocket(paced: Server) -> None:
    with paced.ws() as ws, paced.ws() as other:
        before = hits(paced, "max_calls_per_second")
        answers = [ws.answer(call) for call in [ws.send_call("echo", number) for number in range(8)]]
        assert [answer["action"] for answer in answers[:3]] == ["API_RES"] * 3
        refused = [answer for answer in answers if answer["action"] == "API_ERR"]
        assert refused
        assert {(answer["code"], answer["status"]) for answer in refused} == {("TOO_MANY_CALLS", 429)}
        assert hits(paced, "max_calls_per_second") == before + len(refused)
        assert other.call("echo", 1) == 1
        ws.ping()  # not a call
        wait_until(lambda: ws.answer(ws.send_call("echo", 1))["action"] == "API_RES", "the bucket to fill")


@pytest.mark.parametrize("name", HTTP)
def test_a_proxy_calls_for_many(paced: Server, name: str) -> None:
    with connect(paced, PROXY) as connection:
        connection.send(post(name, b"") * 8)
        assert [connection.response().status for _ in range(8)] == [200] * 8


# ---- Calls ----------------------------------------------------------------------------------------------------------


def test_calls_in_flight(server: Server) -> None:
    with server.ws() as ws, server.ws() as other:
        held = [ws.send_call("hold"), ws.send_call("hold")]
        ws.ping()
        with met(server, "ws.max_calls_in_flight"):
            waiting = [ws.send_call("echo", number) for number in range(5)]
            assert other.call("echo", 1) == 1
        server.call("release")
        assert [ws.result(call) for call in held] == ["held", "held"]
        assert [ws.result(call) for call in waiting] == [0, 1, 2, 3, 4]


def test_a_call_that_takes_too_long(small: Server) -> None:
    with met(small, "call_timeout", 2), small.ws() as ws:
        assert small.post("never").json()["code"] == "TIMEOUT"
        with pytest.raises(CallFailed, match="TIMEOUT"):
            ws.call("never")
        assert ws.call("echo", 1) == 1


@contextmanager
def busy(server: Server) -> Iterator[None]:
    """The only thread runs a call until the end of the block."""
    with server.ws() as ws:
        call = ws.send_call("block", "first")
        server.call("wait_running")
        try:
            yield
        finally:
            server.call("open_threads")
        assert ws.result(call) == "first"
        server.call("close_threads")


def waiting(server: Server) -> float:
    found = re.search(r"^isomor_threads_waiting (\S+)$", server.http.get("/metrics").text, re.MULTILINE)
    assert found
    return float(found[1])


@pytest.mark.parametrize("name", ["block", "block_http"])
def test_calls_that_wait_for_a_thread(server: Server, name: str) -> None:
    with server.raw() as refused, server.ws() as ws, busy(server):
        calls = [ws.send_call("block", number) for number in range(2)]
        wait_until(lambda: waiting(server) == 2)
        with met(server, "max_thread_queue", 2):
            refused.send(post(name, b""))
            response = refused.response()
            with pytest.raises(CallFailed, match="UNAVAILABLE"), server.ws() as other:
                other.call("block")
        assert (response.status, response.json()["code"]) == (503, "UNAVAILABLE")
        assert response.header("retry-after") == "1"
        server.call("open_threads")
        assert [ws.result(call) for call in calls] == [0, 1]
        refused.send(post(name, b'{"args":[1]}'))
        assert refused.response().json() == {"result": 1}


def test_calls_that_are_cancelled_do_not_pile_up_before_the_threads(server: Server) -> None:
    with server.ws() as ws, busy(server):
        for number in range(3):
            call = ws.send_call("block")
            wait_until(lambda number=number: waiting(server) == number + 1)
            ws.cancel(call)
            assert ws.answer(call)["code"] == "CANCELLED"
        with met(server, "max_thread_queue"), pytest.raises(CallFailed, match="UNAVAILABLE"):
            ws.call("block")


@pytest.mark.parametrize("join", ["join", "join_in_thread"])
def test_topics(server: Server, join: str) -> None:
    with server.ws() as ws, server.ws() as other:
        for topic in "abc":
            ws.call(join, topic)
        with met(server, "ws.max_topics"), pytest.raises(CallFailed, match=r"TOO_MANY_TOPICS \(429\).*leave one"):
            ws.call(join, "d")
        ws.call(join, "a")  # which it has joined already
        other.call(join, "d")
        for topic in "abcd":
            server.call("publish", topic)
        assert [ws.push() for _ in "abc"] == ["a", "b", "c"]
        ws.call("leave", "a")
        ws.call(join, "d")
        for topic in "ad":
            server.call("publish", topic)
        assert ws.push() == "d"


def test_a_topic_too_many_that_nobody_awaits_is_logged(server: Server) -> None:
    with server.ws() as ws:
        for topic in "abc":
            ws.call("join", topic)
        with met(server, "ws.max_topics"):
            ws.call("join_and_forget", "d")
        server.wait_for_log("ctx.join failed, and nobody awaited it: This connection has joined 3 topics")


def test_a_reader_that_is_too_slow(server: Server) -> None:
    with server.raw_ws() as ws, met(server, "ws.max_outbox_bytes"):
        before = hits(server, "ws.max_outbox_bytes")
        for number in range(200):  # each in a turn of its own
            ws.send_json({"action": "API", "id": number, "urlPath": "/isomor/api/large", "args": [100_000]})
            if hits(server, "ws.max_outbox_bytes") > before:
                break
        assert ws.wait_closed() == 4008
    with server.ws() as again:
        assert again.call("echo", 1) == 1


# ---- Slow senders ---------------------------------------------------------------------------------------------------

STARTUP = """
from sanic.response import text

def startup(app):
    @app.post("/upload", stream=True)
    async def upload(request):
        size = 0
        while (piece := await request.stream.read()) is not None:
            size += len(piece)
        return text(str(size))
"""


@pytest.fixture(scope="module")
def hasty(serve_module: Any) -> Server:
    """A server that waits for nobody."""
    env = {"ISOMOR_SERVER_HEAD_TIMEOUT": "0.4", "ISOMOR_SERVER_REQUEST_TIMEOUT": "0.8", "ISOMOR_WS_TIMEOUT": "0.8"}
    return serve_module(API | {"startup.py": STARTUP}, env=env)


def trickle(*pieces: tuple[RawConnection, bytes], also: Callable[[], object] = lambda: None) -> None:
    """Send each connection its piece again and again, until the server has answered or closed each."""
    left = dict(pieces)
    for connection in left:
        connection.socket.settimeout(0.01)
    for _ in range(1500):
        also()
        for connection, piece in list(left.items()):
            with suppress(TimeoutError, ConnectionResetError, BrokenPipeError):
                connection.send(piece)
                connection.buffer += connection.socket.recv(65536)
                del left[connection]
                connection.socket.settimeout(DEADLINE)
        if not left:
            return
    raise AssertionError("the server goes on reading")


def is_too_late(connection: RawConnection) -> None:
    """The connection's answer is that, and it is the last."""
    response = connection.response()
    assert (response.status, response.json()["code"]) == (408, "REQUEST_TIMEOUT")
    assert response.header("connection") == "close"
    assert connection.read_to_end() == b""


# What the connection has been answered before, if anything.
FIRST = [b"", post("echo", b""), post("echo_http", b"")]


def begin(stack: ExitStack, server: Server, starts: list[bytes], firsts: list[bytes] = FIRST) -> list[RawConnection]:
    """A connection for each way to have begun before, and each of these starts."""
    connections = []
    for first in firsts:
        for start in starts:
            connection = stack.enter_context(server.raw())
            connections.append(connection)
            if first:
                connection.send(first)
                assert connection.response().status == 200
            connection.send(start)
    return connections


def test_who_sends_nothing(hasty: Server) -> None:
    with met(hasty, "server.head_timeout"), hasty.raw() as connection:
        assert connection.read_to_end() == b""


def test_heads_that_trickle(hasty: Server) -> None:
    starts = [b"POST /isomor/api/echo HTTP/1.1\r\nX: ", b"GET / HTTP/1.1\r\nX: ", b"PUT /isomor/"]
    with met(hasty, "server.head_timeout", 9), ExitStack() as stack:
        connections = begin(stack, hasty, starts)
        trickle(*((connection, b"x") for connection in connections))
        for connection in connections:
            is_too_late(connection)


LARGE = post("echo", b"x" * 90_000).partition(b"\r\n\r\n")[0] + b"\r\n\r\n"
CHUNKED = LARGE.replace(b"Content-Length: 90000", b"Transfer-Encoding: chunked")


def test_bodies_that_trickle(hasty: Server) -> None:
    """Of a plain call, of one that is Sanic's, of one in chunks."""
    starts, pieces = [LARGE.replace(b"90000", b"9000"), LARGE, CHUNKED], [b"x", b"x", b"1\r\nx\r\n"]
    with met(hasty, "server.request_timeout", 9), ExitStack() as stack:
        connections = begin(stack, hasty, starts)
        trickle(*zip(connections, pieces * 3, strict=True))
        for connection in connections:
            is_too_late(connection)


def test_a_body_that_nobody_wants_trickles(hasty: Server) -> None:
    with met(hasty, "server.request_timeout"), hasty.raw() as connection:
        connection.send(LARGE.replace(b"/isomor/api/echo", b"/nowhere"))
        assert connection.response().status == 404
        trickle((connection, b"x"))
        assert connection.buffer + connection.read_to_end() == b""


def test_a_route_that_reads_by_itself_has_its_time_and_so_has_a_call(hasty: Server) -> None:
    with hasty.raw() as upload, hasty.raw() as call, hasty.raw() as late, hasty.raw() as pipelined:
        call.send(post("hold", b""))
        # Its second request begins only once the first has been answered.
        pipelined.send(post("hold_http", b"") + post("echo_http", b"")[:-2])
        upload.send(b"POST /upload HTTP/1.1\r\nHost: x\r\nContent-Length: 9000\r\n\r\n")
        sent = 0

        def go_on() -> None:
            nonlocal sent
            upload.send(b"x")
            sent += 1

        late.send(LARGE)
        trickle((late, b"x"), also=go_on)
        is_too_late(late)
        upload.send(b"x" * (9000 - sent))
        assert upload.response().body == b"9000"
        hasty.call("release")
        assert call.response().json() == {"result": "held"}
        assert pipelined.response().json() == {"result": "held"}
        pipelined.send(b"\r\n")
        assert pipelined.response().json() == {"result": None}


@pytest.mark.parametrize("way", ["fragments", "one frame"])
def test_a_message_that_trickles_is_no_activity(hasty: Server, way: str) -> None:
    with hasty.raw_ws() as ws, hasty.ws() as other:
        if way == "fragments":
            ws.send(TEXT, b'"', fin=False)
            piece = frame(CONTINUATION, b"x", fin=False)
        else:
            ws.send_bytes(frame(TEXT, b"x" * 60_000)[:20])
            piece = b"x"
        trickle((ws.connection, piece), also=other.ping)
        assert ws.wait_closed() == 4000
        assert other.call("echo", 1) == 1


# ---- Connections ----------------------------------------------------------------------------------------------------

MOST = 6


@pytest.fixture(scope="module")
def crowded(serve_module: Any) -> Server:
    """A server that lets few in. By its soft limit, it could not even open files for those."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (100, hard))
    try:
        return serve_module(API, env={"ISOMOR_SERVER_MAX_CONNECTIONS": str(MOST)})
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def get(connection: RawConnection, path: str) -> RawResponse:
    connection.send(f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
    return connection.response("GET")


def values(connection: RawConnection) -> dict[str, float]:
    """The metrics, by a connection that is there already."""
    text = get(connection, "/metrics").body.decode()
    return {name: float(value) for name, value in re.findall(r"^(isomor_\S+) (\S+)$", text, re.MULTILINE)}


def test_connections(crowded: Server) -> None:
    with ExitStack() as stack:
        mine = stack.enter_context(crowded.raw())
        wait_until(lambda: values(mine)["isomor_http_connections"] == 1, "those of before to be gone")
        others = [stack.enter_context(crowded.raw()) for _ in range(2)]
        for connection in others:
            assert get(connection, "/health/live").status == 200
        sockets = [stack.enter_context(crowded.ws()) for _ in range(MOST - 3)]
        found = values(mine)
        assert (found["isomor_http_connections"], found["isomor_connections"]) == (3, MOST - 3)
        hit = 'isomor_limit_hits_total{limit="server.max_connections"}'
        before = found[hit]

        for request in (post("echo", b""), post("echo_http", b""), b"GET /health/ready HTTP/1.1\r\n\r\n"):
            with crowded.raw() as refused:
                refused.send(request)
                response = refused.response()
                assert (response.status, response.json()["code"]) == (503, "UNAVAILABLE")
                assert (response.header("retry-after"), response.header("connection")) == ("1", "close")
                assert refused.read_to_end() == b""
        with pytest.raises(AssertionError, match="503"):
            crowded.raw_ws()
        with crowded.raw() as silent:
            assert silent.read_to_end() == b""
        with crowded.raw() as probe:
            live = get(probe, "/health/live")
            assert (live.status, live.json()) == (200, {"status": "live"})
        assert values(mine)[hit] == before + 6
        assert "6 connections are open, as many as may be (server.max_connections)" in crowded.log
        assert crowded.log.count("as many as may be") == 1

        # All who are in go on; and who leaves, by either transport, makes room.
        for number, ws in enumerate(sockets):
            assert ws.call("echo", number) == number
        for leaves in (sockets[0], others[0]):
            leaves.close()
            wait_until(lambda: sum(open_now(mine)) == MOST - 1)
            stack.enter_context(crowded.ws())
            assert sum(open_now(mine)) == MOST
            with pytest.raises(AssertionError, match="503"):
                crowded.raw_ws()


def open_now(connection: RawConnection) -> tuple[float, float]:
    found = values(connection)
    return found["isomor_http_connections"], found["isomor_connections"]


def test_many_who_are_refused_at_once(crowded: Server) -> None:
    with ExitStack() as stack:
        mine = stack.enter_context(crowded.raw())
        wait_until(lambda: sum(open_now(mine)) == 1, "those of before to be gone")
        for _ in range(MOST - 1):
            stack.enter_context(crowded.ws())
        refused = [stack.enter_context(crowded.raw()) for _ in range(300)]
        for connection in refused:
            with suppress(BrokenPipeError, ConnectionResetError):
                connection.send(post("echo", b""))
        answers = [connection.read_to_end() for connection in refused]
        assert {answer[:12] for answer in answers} <= {b"HTTP/1.1 503", b""}
        assert get(mine, "/health/live").status == 200
        assert sum(open_now(mine)) == MOST
    wait_until(lambda: crowded.post("echo").status_code == 200, "room")


def test_connections_of_an_address(paced: Server) -> None:
    limit = "server.max_connections_per_address"
    with ExitStack() as stack:
        mine = [stack.enter_context(connect(paced, "127.0.0.9")) for _ in range(2)]
        ws = stack.enter_context(RawWebSocket(connect(paced, "127.0.0.9"), "/isomor/ws"))
        for name in HTTP:
            with met(paced, limit), connect(paced, "127.0.0.9") as refused:
                refused.send(post(name, b""))
                response = refused.response()
                assert (response.status, response.json()["code"]) == (429, "TOO_MANY_CALLS")
                assert refused.read_to_end() == b""
        with met(paced, limit), pytest.raises(AssertionError, match="429"):
            RawWebSocket(connect(paced, "127.0.0.9"), "/isomor/ws")
        with connect(paced, "127.0.0.10") as other:
            other.send(post("echo", b""))
            assert other.response().status == 200
        for connection in mine:
            connection.send(post("echo", b""))
            assert connection.response().status == 200

        def again() -> bool:
            with connect(paced, "127.0.0.9") as connection:
                connection.send(post("echo", b""))
                return connection.response().status == 200

        for leaves in (mine[0], ws.connection):
            leaves.close()
            wait_until(again, "room")
        # What was refused in the handshake has left no count behind.
        for _ in range(5):
            with pytest.raises(AssertionError, match=r"400|429"):
                RawWebSocket(connect(paced, "127.0.0.9"), "/isomor/ws", {"Sec-WebSocket-Key": "x"})
        wait_until(again, "room")


def test_connections_of_an_address_behind_a_proxy(paced: Server) -> None:
    def ws(address: str) -> RawWebSocket:
        return RawWebSocket(connect(paced, PROXY), "/isomor/ws", {"X-Forwarded-For": f"evil, {address}, {PROXY}"})

    with ExitStack() as stack:
        mine = [stack.enter_context(ws(address)) for address in ("2001:db8::1", "2001:db8::2", "2001:db8::ffff:1")]
        with met(paced, "server.max_connections_per_address"), pytest.raises(AssertionError, match="429"):
            ws("2001:db8::3")
        stack.enter_context(ws("2001:db8:1::1"))
        stack.enter_context(ws("203.0.113.7"))
        for _ in range(5):  # of the proxy itself, over HTTP: those of many
            connection = stack.enter_context(connect(paced, PROXY))
            connection.send(post("echo", b"", "X-Forwarded-For: 2001:db8::1"))
            assert connection.response().status == 200
        mine[0].connection.close()

        def again() -> bool:
            try:
                stack.enter_context(ws("2001:db8::3"))
            except AssertionError:
                return False
            return True

        wait_until(again, "room")


@pytest.mark.parametrize(
    ("address", "group"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::"),
        ("2001:db8:1:2::9", "2001:db8:1:2::"),
        ("fe80::1%eth0", "fe80::"),
        ("nobody:knows", "nobody:knows"),
        ("", ""),
    ],
)
def test_what_counts_as_one_address(address: str, group: str) -> None:
    assert group_of(address) == group


def test_files_that_the_system_lets_open(tmp_path: Path) -> None:
    write_files(tmp_path, {"api/echo.py": API["echo.py"]})

    def check(connections: str) -> str:
        command = f"ulimit -n 300; exec {shlex.quote(sys.executable)} -m isomor check"
        env = environment({"ISOMOR_SERVER_MAX_CONNECTIONS": connections} if connections else {})
        done = subprocess.run(["sh", "-c", command], cwd=tmp_path, env=env, capture_output=True, text=True, check=True)
        return done.stderr

    said = check("5000")
    for part in ("server.max_connections = 5000", "RLIMIT_NOFILE", "300", "to 225"):
        assert part in said
    assert "max_connections" not in check("")


def test_the_soft_limit_of_open_files_is_raised(crowded: Server) -> None:
    soft, hard = resource.prlimit(crowded.pid, resource.RLIMIT_NOFILE)
    assert soft == MOST + 128
    assert hard == resource.getrlimit(resource.RLIMIT_NOFILE)[1]
