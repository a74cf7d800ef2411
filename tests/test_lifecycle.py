"""How a server starts and stops: failures at the start, the hooks, and what SIGTERM means to whom it meets."""

from __future__ import annotations

import json
import signal
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from harness import TEXT, CallFailed, RawConnection, RawResponse, Server, frame, isomor, wait_until, write_files

JSON = {"Content-Type": "application/json"}
ALL = {"ISOMOR_WS": ".*"}
API = {
    "add.py": "async def add(a: int, b: int) -> int:\n    return a + b\n",
    # Both say that they have begun, and end when there is a file of that name.
    "hold.py": """
import asyncio
from pathlib import Path

async def hold(file: str) -> str:
    Path(file + ".begun").touch()
    while not Path(file).exists():
        await asyncio.sleep(0.01)
    return "held"
""",
    "hold_thread.py": """
import time
from pathlib import Path

def hold_thread(file: str) -> str:
    Path(file + ".begun").touch()
    while not Path(file).exists():
        time.sleep(0.01)
    return "held"
""",
    "stubborn.py": """
import asyncio
from pathlib import Path
from isomor import Context, WsContext

async def swallow() -> None:
    while True:
        try:
            await asyncio.sleep(3600)
        except asyncio.CancelledError:
            pass

tasks = []

async def stubborn(ctx: Context, how: str, file: str) -> None:
    Path(file + ".begun").touch()
    if how == "call":
        await swallow()
    elif how == "task":
        tasks.append(asyncio.create_task(swallow()))
    elif isinstance(ctx, WsContext):
        ctx.spawn(swallow())
""",
}


class Gate:
    """A file that functions wait for."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "gate"

    def __str__(self) -> str:
        return str(self.path)

    def wait_begun(self) -> None:
        wait_until(Path(f"{self.path}.begun").exists, "the call to begin")

    def open(self) -> None:
        self.path.touch()


@pytest.fixture
def gate(tmp_path: Path) -> Iterator[Gate]:
    made = Gate(tmp_path)
    yield made
    made.open()  # whatever waits is let go


@pytest.fixture
def gates(tmp_path: Path) -> list[Gate]:
    folders = [tmp_path / str(number) for number in range(3)]
    for folder in folders:
        folder.mkdir()
    return [Gate(folder) for folder in folders]


def post(connection: RawConnection, name: str, *args: Any) -> None:
    connection.request("POST", f"/isomor/api/{name}", json.dumps({"args": args}).encode(), JSON)


def get(connection: RawConnection, path: str) -> RawResponse:
    connection.request("GET", path)
    return connection.response("GET")


# ---- Failures at the start ---------------------------------------------------------------------------------------

BROKEN = {
    "startup.py raises": (
        {"startup.py": "\n\ndef startup(app):\n    x = 1\n    raise ValueError('the reason')\n"},
        ["startup.py", "5", "ValueError", "the reason"],
    ),
    "startup.py raises, async": (
        {
            "startup.py": "import asyncio\n\nasync def startup(app):\n"
            "    await asyncio.sleep(0)\n"
            "    raise KeyError('reason')\n"
        },
        ["startup.py", "5", "KeyError", "reason"],
    ),
    "startup/__init__.py raises in a module of its own": (
        {
            "startup/__init__.py": "from .db import connect\n\ndef startup(app):\n    connect()\n",
            "startup/db.py": "def connect():\n    raise ConnectionError('no database')\n",
        },
        ["startup/db.py", "2", "ConnectionError", "no database"],
    ),
    "startup exits": (
        {"startup.py": "import sys\n\ndef startup(app):\n    sys.exit('enough')\n"},
        ["startup.py", "4", "SystemExit", "enough"],
    ),
    "startup exits with 0": (
        {"startup.py": "import sys\n\ndef startup(app):\n    sys.exit(0)\n"},
        ["startup.py", "4", "SystemExit"],
    ),
    "startup.py cannot be imported": (
        {"startup.py": "\nimport no_such_module_anywhere\n"},
        ["startup.py", "2", "no_such_module_anywhere"],
    ),
    "startup.py is no Python": (
        {"startup.py": "def startup(app):\n    return (\n"},
        ["startup.py", "2", "SyntaxError"],
    ),
    "a function cannot be imported": (
        {"broken.py": "import os\n\nos.no_such_thing\n\ndef broken(): ...\n"},
        ["broken.py", "3", "AttributeError", "no_such_thing"],
    ),
    "a listener of the user's own raises": (
        {
            "startup.py": "def startup(app):\n"
            "    @app.before_server_start\n"
            "    async def before(app):\n"
            "        raise ValueError('the listener')\n"
        },
        ["startup.py", "4", "ValueError", "the listener"],
    ),
}


@pytest.mark.parametrize("what", BROKEN)
def test_a_start_that_fails_says_where_and_why(tmp_path, what):
    files, said = BROKEN[what]
    write_files(tmp_path / "api", {"add.py": API["add.py"]} | files)
    ended = isomor("serve", cwd=tmp_path, env={"ISOMOR_PORT": "0", "ISOMOR_HOST": "127.0.0.1"})
    assert ended.returncode == 1, ended
    for text in said:
        assert text in ended.stderr + ended.stdout, ended
    for text in ("never retrieved", "never awaited", "still running", "Unclosed"):
        assert text not in ended.stderr, ended


def test_all_faults_are_told_at_once(tmp_path):
    files = {
        "one.py": "def other(): ...\n",
        "two.py": "def two(*, a): ...\n",
        "three.py": "import nothing_of_the_kind\n",
    }
    write_files(tmp_path / "api", files)
    ended = isomor("serve", cwd=tmp_path, env={"ISOMOR_PORT": "0"})
    assert ended.returncode == 1
    for name in files:
        assert name in ended.stderr
    assert "Traceback" not in ended.stderr


def test_a_port_that_is_taken(serve, tmp_path):
    server = serve(API)
    write_files(tmp_path / "api", API)
    ended = isomor("serve", cwd=tmp_path, env={"ISOMOR_PORT": str(server.port), "ISOMOR_HOST": server.host})
    assert ended.returncode == 1
    assert str(server.port) in ended.stderr
    assert "Traceback" not in ended.stderr
    assert server.call("add", 1, 2) == 3


def test_the_same_port_can_be_had_again_at_once(serve):
    server = serve(API, env=ALL)
    for _ in range(2):
        with server.ws() as ws:
            ws.call("add", 1, 2)
            assert server.stop() == 0
        server.start()
    assert server.call("add", 1, 2) == 3


def test_nobody_is_served_before_startup_has_ended(serve, gate):
    startup = f"""
import asyncio
from pathlib import Path

async def startup(app) -> None:
    Path("{gate}.begun").touch()
    while not Path("{gate}").exists():
        await asyncio.sleep(0.01)
    app.ctx.ready = True
"""
    ready = "from isomor import Context\n\ndef ready(ctx: Context) -> bool:\n    return ctx.req.app.ctx.ready\n"
    server = serve({"startup.py": startup, "ready.py": ready}, wait=False)
    gate.wait_begun()
    with server.raw() as connection:  # who comes now waits
        post(connection, "ready")
        gate.open()
        assert connection.response().json() == {"result": True}


def test_sigterm_while_startup_runs(serve, gate):
    startup = f"""
import asyncio
from pathlib import Path

async def startup(app) -> None:
    Path("{gate}.begun").touch()
    while not Path("{gate}").exists():
        await asyncio.sleep(0.01)
"""
    server = serve(API | {"startup.py": startup}, wait=False)
    gate.wait_begun()
    server.signal()
    gate.open()
    assert server.wait() == 0


# ---- Hooks -------------------------------------------------------------------------------------------------------

HOOKS = """
import asyncio
from isomor import ApiError

PREFIX
def before_call(ctx):
    who = ctx.req.headers.get("x-who")
    if who == "mallory":
        raise ApiError("é: go away", code="SIGN_IN", status=401, details={"at": "/login"})
    if who == "broken":
        raise ValueError("s3cret")
    if who == "exits":
        raise SystemExit("s3cret")

PREFIX
def on_connect(ctx):
    kind = ctx.req.headers.get("x-connect")
    if kind == "refused":
        raise ApiError("é: go away", code="SIGN_IN", status=401)
    if kind == "long":
        raise ApiError("é" * 200)
    if kind == "close":
        ctx.ws.close(4001, "by the hook")
    if kind == "broken":
        raise ValueError("s3cret")
"""


@pytest.fixture(scope="module", params=["sync", "async"])
def hooked(request: pytest.FixtureRequest, serve_module) -> Server:
    prefix = "async " if request.param == "async" else ""
    return serve_module(API | {"startup.py": HOOKS.replace("PREFIX\n", prefix)}, env=ALL)


def test_before_call_refuses_as_it_says(hooked):
    for who, code, status, message in (
        ("mallory", "SIGN_IN", 401, "é: go away"),
        ("broken", "INTERNAL", 500, None),
        ("exits", "INTERNAL", 500, None),
    ):
        with hooked.ws(additional_headers={"x-who": who}) as ws:
            for call in (ws.call, lambda *args, who=who: hooked.call(*args, headers={"x-who": who})):
                for args in ((1, 2), ("x",)):  # it is asked before the arguments are looked at
                    with pytest.raises(CallFailed) as caught:
                        call("add", *args)
                    error = caught.value
                    assert (error.code, error.status) == (code, status)
                    assert message in (None, error.message)
                    assert "s3cret" not in error.message
                    assert error.details == ({"at": "/login"} if who == "mallory" else None)
    with hooked.ws() as ws:
        assert ws.call("add", 1, 2) == 3
    assert hooked.call("add", 1, 2) == 3
    assert hooked.post("none").status_code == 404


def test_on_connect_refuses_as_it_says(hooked):
    for kind, code, reason in (
        ("refused", 1008, "é: go away"),
        ("long", 1008, "é" * 61),
        ("close", 4001, "by the hook"),
        ("broken", 1011, None),
    ):
        with hooked.ws(additional_headers={"x-connect": kind}) as ws:
            assert ws.wait_closed() == code
            if reason is not None:
                assert ws.socket.close_reason == reason
            assert "s3cret" not in (ws.socket.close_reason or "")
    with hooked.ws() as ws:
        assert ws.call("add", 1, 2) == 3


SLOW_CONNECT = """
import asyncio
from pathlib import Path
from isomor import ApiError, WsContext

async def on_connect(ctx: WsContext) -> None:
    file = ctx.req.headers.get("x-gate")
    if file:
        Path(file + ".begun").touch()
        while not Path(file).exists():
            await asyncio.sleep(0.01)
        await ctx.push("welcome")
        if ctx.req.headers.get("x-refuse"):
            raise ApiError("no")
"""
COUNTED = "count = 0\n\nasync def counted() -> int:\n    global count\n    count += 1\n    return count\n"


@pytest.fixture(scope="module")
def slow_connect(serve_module) -> Server:
    return serve_module(API | {"startup.py": SLOW_CONNECT, "counted.py": COUNTED}, env=ALL)


def test_calls_wait_for_on_connect(slow_connect, gate):
    with slow_connect.ws(additional_headers={"x-gate": str(gate)}) as ws:
        ids = [ws.send_call("add", number, 1) for number in range(500)]
        gate.wait_begun()
        with slow_connect.ws() as other:
            assert other.call("add", 1, 2) == 3
        gate.open()
        assert ws.receive()["payload"] == "welcome"
        assert [ws.result(call_id) for call_id in ids] == [number + 1 for number in range(500)]


def test_a_call_that_waits_for_on_connect_is_cancelled(slow_connect, gate):
    with slow_connect.raw_ws(headers={"x-gate": str(gate)}) as ws:
        call = {"action": "API", "urlPath": "/isomor/api/counted"}
        messages = [call | {"id": 1}, call | {"id": 2}, {"action": "CANCEL", "id": 1}]
        ws.send_bytes(b"".join(frame(TEXT, json.dumps(message).encode()) for message in messages))
        gate.wait_begun()
        gate.open()
        got = [ws.receive_json() for _ in range(3)]
    assert sorted(message["action"] for message in got) == ["API_ERR", "API_RES", "PUSH"]
    assert next(message for message in got if message["action"] == "API_ERR")["code"] == "CANCELLED"
    assert next(message for message in got if message["action"] == "API_RES")["id"] == 2


def test_calls_of_who_is_refused_never_run(slow_connect, gate):
    before = slow_connect.call("counted")
    with slow_connect.ws(additional_headers={"x-gate": str(gate), "x-refuse": "1"}) as ws:
        ws.send_call("counted")
        gate.wait_begun()
        gate.open()
        assert ws.wait_closed() == 1008
        assert [message["action"] for message in ws.inbox] == ["PUSH"]
    assert slow_connect.call("counted") == before + 1


def test_who_leaves_while_on_connect_runs(slow_connect, gate):
    before = slow_connect.call("counted")
    ws = slow_connect.raw_ws(headers={"x-gate": str(gate)})
    ws.send_json({"action": "API", "id": 1, "urlPath": "/isomor/api/counted"})
    gate.wait_begun()
    ws.connection.reset()
    with slow_connect.ws() as other:
        assert other.call("counted") == before + 1
    gate.open()
    # A call that was read goes on without its caller; one that was not is lost with the connection.
    assert slow_connect.call("counted") in (before + 2, before + 3)
    assert "ERROR" not in slow_connect.log


def test_on_connect_that_takes_too_long(serve, gate):
    server = serve(API | {"startup.py": SLOW_CONNECT}, env=ALL | {"ISOMOR_CALL_TIMEOUT": "0.3"})
    with server.ws(additional_headers={"x-gate": str(gate)}) as ws:
        ws.send_call("add", 1, 2)
        assert ws.wait_closed() == 1011
    with server.ws() as ws:
        assert ws.call("add", 1, 2) == 3


# ---- The end -----------------------------------------------------------------------------------------------------


def refuses_connections(server: Server) -> bool:
    try:
        with server.raw() as connection:
            connection.request("GET", "/health/live", headers={"Connection": "close"})
            return connection.read_to_end() == b""
    except ConnectionError:
        return True


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_running_calls_are_answered_and_others_told_to_come_back(serve, gates, number):
    server = serve(API, env=ALL | {"ISOMOR_SERVER_DRAIN_SECONDS": "60"})
    with ExitStack() as stack:
        busy, idle, other = (stack.enter_context(server.ws()) for _ in range(3))
        http, kept, alive, fresh = (stack.enter_context(server.raw()) for _ in range(4))
        call_id = busy.send_call("hold", str(gates[0]))
        post(http, "hold", str(gates[1]))
        thread_id = other.send_call("hold_thread", str(gates[2]))
        for gate in gates:
            gate.wait_begun()
        assert get(kept, "/health/ready").status == 200
        assert get(fresh, "/isomor/api/add").status == 422
        server.signal(number)
        assert idle.wait_closed() == 1012
        # It drains: nobody new comes in, and who is there already is told so.
        wait_until(lambda: refuses_connections(server), "new connections to be refused")
        response = get(kept, "/health/ready")
        assert response.status == 503
        assert response.json() == {"status": "not ready", "because": ["draining"]}
        assert get(alive, "/health/live").status == 200
        post(fresh, "add", 1, 2)
        response = fresh.response()
        assert (response.status, response.json()["code"]) == (503, "UNAVAILABLE")
        # A proxy that keeps its connections has to ask elsewhere from now on.
        assert response.header("connection") == "close"
        assert fresh.read_to_end() == b""
        late = busy.answer(busy.send_call("add", 1, 2))
        assert (late["code"], late["status"]) == ("UNAVAILABLE", 503)
        # And what runs is answered.
        gates[0].open()
        assert busy.result(call_id) == "held"
        assert busy.wait_closed() == 1012
        gates[2].open()
        assert other.result(thread_id) == "held"
        assert other.wait_closed() == 1012
        assert server.running
        gates[1].open()
        assert http.response().json() == {"result": "held"}
        assert http.read_to_end() == b""
        assert kept.read_to_end() == b""
    assert server.wait() == 0


def test_who_had_connected_before_is_heard_once(serve, gate):
    """A proxy does not send a call elsewhere once it has sent it here."""
    server = serve(API, env=ALL)
    with server.ws() as busy, server.raw() as fresh:
        call_id = busy.send_call("hold", str(gate))
        gate.wait_begun()
        server.signal()
        wait_until(lambda: refuses_connections(server), "new connections to be refused")
        post(fresh, "add", 1, 2)
        response = fresh.response()
        assert (response.status, response.json(), response.header("connection")) == (200, {"result": 3}, "close")
        assert fresh.read_to_end() == b""
        gate.open()
        assert busy.result(call_id) == "held"
    assert server.wait() == 0


def test_who_waits_to_be_let_in_as_it_stops_is_answered(serve):
    server = serve(API, env=ALL)
    with ExitStack() as stack:
        server.signal(signal.SIGSTOP)
        waiting = [stack.enter_context(server.raw()) for _ in range(300)]
        for connection in waiting:
            post(connection, "add", 1, 2)
        server.signal(signal.SIGTERM)
        server.signal(signal.SIGCONT)
        assert [connection.response().json() for connection in waiting] == [{"result": 3}] * 300
    assert server.wait() == 0


@pytest.mark.parametrize("name", ["hold", "hold_thread"])
def test_calls_that_do_not_end_in_time_are_answered_unavailable(serve, gates, name):
    server = serve(API, env=ALL | {"ISOMOR_SERVER_DRAIN_SECONDS": "0.3"})
    with server.ws() as ws, server.raw() as http:
        call_id = ws.send_call(name, str(gates[0]))
        post(http, name, str(gates[1]))
        for gate in gates[:2]:
            gate.wait_begun()
        server.signal()
        answer = ws.answer(call_id)
        assert (answer["code"], answer["status"]) == ("UNAVAILABLE", 503)
        response = http.response()
        assert (response.status, response.json()["code"]) == (503, "UNAVAILABLE")
        assert ws.wait_closed() == 1012
        # Even though a thread never ends, as it does here until the test is over.
        assert server.wait() == 0
        for gate in gates:
            gate.open()


@pytest.mark.parametrize("how", ["call", "task", "spawn"])
def test_what_swallows_its_cancellation_does_not_hold_the_exit(serve, gate, how):
    server = serve(API, env=ALL | {"ISOMOR_SERVER_DRAIN_SECONDS": "0.2"})
    with server.ws() as ws:
        call_id = ws.send_call("stubborn", how, str(gate))
        gate.wait_begun()
        if how != "call":
            ws.result(call_id)
        server.signal()
        assert ws.wait_closed() == 1012
    assert server.wait() == 0


def test_a_second_signal_ends_it_at_once(serve, gate):
    server = serve(API, env=ALL | {"ISOMOR_SERVER_DRAIN_SECONDS": "600", "ISOMOR_CALL_TIMEOUT": "0"})
    with server.ws() as ws:
        ws.send_call("hold_thread", str(gate))
        gate.wait_begun()
        server.signal()
        server.wait_for_log("stopping")
        assert server.running
        server.signal()
        assert server.wait() == 1
        assert ws.wait_closed() == 1006


def test_many_idle_connections_are_all_told(serve):
    server = serve(API, env=ALL)
    sockets = [server.raw_ws() for _ in range(350)]
    server.signal()
    try:
        for ws in sockets:
            assert ws.wait_closed() == 1012
            ws.send(8, b"\x03\xf4")
            assert ws.connection.read_to_end() == b""
    finally:
        for ws in sockets:
            ws.connection.close()
    assert server.wait() == 0


def test_peers_that_do_not_say_goodbye_do_not_hold_the_exit(serve):
    server = serve(API, env=ALL | {"ISOMOR_SERVER_DRAIN_SECONDS": "0.2"})
    with ExitStack() as stack:
        silent = stack.enter_context(server.raw_ws())
        half = stack.enter_context(server.raw())
        half.send(
            b"POST /isomor/api/add HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 50\r\n\r\n{"
        )
        head = stack.enter_context(server.raw())
        head.send(b"GET /isomor/api/add HTTP/1.1\r\n")
        nothing = stack.enter_context(server.raw())
        with server.ws() as ws:
            ws.call("add", 1, 2)  # all that came before has arrived
        server.signal()
        assert silent.wait_closed() == 1012
        assert server.wait() == 0
        for connection in (head, nothing):
            assert connection.read_to_end() == b""


def test_routes_of_the_users_own_are_answered_too(serve, gate):
    startup = f"""
import asyncio
from pathlib import Path
from sanic.response import text

def startup(app) -> None:
    @app.get("/slow")
    async def slow(request):
        Path("{gate}.begun").touch()
        while not Path("{gate}").exists():
            await asyncio.sleep(0.01)
        return text("slow")
"""
    server = serve(API | {"startup.py": startup})
    with server.raw() as connection:
        connection.request("GET", "/slow")
        gate.wait_begun()
        server.signal()
        server.wait_for_log("stopping")
        gate.open()
        assert connection.response("GET").body == b"slow"
        assert connection.read_to_end() == b""
    assert server.wait() == 0


def test_a_large_answer_is_sent_whole(serve, gate):
    big = """
import asyncio
from pathlib import Path

async def big(file: str) -> str:
    Path(file + ".begun").touch()
    while not Path(file).exists():
        await asyncio.sleep(0.01)
    return "x" * 12_000_000
"""
    server = serve({"big.py": big}, env=ALL)
    with server.raw_ws() as ws:
        ws.send_json({"action": "API", "id": 1, "urlPath": "/isomor/api/big", "args": [str(gate)]})
        gate.wait_begun()
        server.signal()
        gate.open()
        assert len(ws.receive_json()["payload"]) == 12_000_000
        assert ws.wait_closed() == 1012
        ws.send(8, b"\x03\xf4")
    assert server.wait() == 0


def test_a_large_answer_over_http_is_sent_whole(serve, gate):
    big = """
import asyncio
from pathlib import Path

async def big(file: str) -> str:
    Path(file + ".begun").touch()
    while not Path(file).exists():
        await asyncio.sleep(0.01)
    return "x" * 12_000_000
"""
    server = serve({"big.py": big})
    with server.raw() as connection:
        post(connection, "big", str(gate))
        gate.wait_begun()
        server.signal()
        gate.open()
        server.wait_for_log("stopping")
        assert len(connection.response().json()["result"]) == 12_000_000
    assert server.wait() == 0
