"""Calls by a real server, over both transports: how many at once, how they end, and what they may raise and return."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from harness import TEXT, CallFailed, Server, WebSocket, frame, wait_until

API = {
    "_state.py": """
import asyncio
import threading
from collections import Counter

running: Counter[str] = Counter()
most: Counter[str] = Counter()
seen: list[str] = []
gate = asyncio.Event()
thread_gate = threading.Event()
lock = threading.Lock()


class Inside:
    def __init__(self, name: str) -> None:
        self.name = name

    def __enter__(self) -> None:
        with lock:
            running[self.name] += 1
            most[self.name] = max(most[self.name], running[self.name])

    def __exit__(self, *_: object) -> None:
        with lock:
            running[self.name] -= 1
""",
    "add.py": "async def add(a: int, b: int) -> int:\n    return a + b\n",
    "echo.py": "async def echo(value=None):\n    return value\n",
    "nap.py": """
import asyncio
from ._state import Inside

async def nap(seconds: float, value: int) -> int:
    with Inside("nap"):
        await asyncio.sleep(seconds)
    return value
""",
    "hold.py": """
import asyncio
from ._state import Inside, gate, seen

async def hold(name: str) -> str:
    with Inside(name):
        try:
            await gate.wait()
        except asyncio.CancelledError:
            seen.append(f"{name} cancelled")
            raise
    seen.append(f"{name} ended")
    return name
""",
    "hold_thread.py": """
from ._state import Inside, seen, thread_gate

def hold_thread(name: str) -> str:
    with Inside(name):
        thread_gate.wait()
    seen.append(f"{name} ended")
    return name
""",
    "stubborn.py": """
import asyncio
from ._state import Inside, gate, seen

async def stubborn(name: str) -> str:
    with Inside(name):
        while not gate.is_set():
            try:
                await gate.wait()
            except asyncio.CancelledError:
                seen.append(f"{name} cancelled")
    seen.append(f"{name} ended")
    return name
""",
    "state.py": """
from typing import Any
from . import _state

async def state() -> dict[str, Any]:
    return {"running": dict(_state.running), "most": dict(_state.most), "seen": list(_state.seen)}
""",
    "open_gates.py": """
from . import _state

async def open_gates() -> None:
    _state.gate.set()
    _state.thread_gate.set()
""",
    "close_gates.py": """
from . import _state

async def close_gates() -> None:
    _state.gate.clear()
    _state.thread_gate.clear()
""",
    "_errors.py": """
import asyncio
from isomor import ApiError


class NoText(Exception):
    def __str__(self) -> str:
        raise RuntimeError("s3cret")

    __repr__ = __str__


class TooMuch(Exception):
    def __init__(self, a: int, b: int) -> None:
        super().__init__("s3cret")


def error(kind: str) -> BaseException:
    return {
        "ValueError": ValueError("s3cret"),
        "KeyError": KeyError("s3cret"),
        "SystemExit": SystemExit("s3cret"),
        "SystemExit 0": SystemExit(0),
        "KeyboardInterrupt": KeyboardInterrupt("s3cret"),
        "GeneratorExit": GeneratorExit("s3cret"),
        "StopIteration": StopIteration("s3cret"),
        "StopAsyncIteration": StopAsyncIteration("s3cret"),
        "CancelledError": asyncio.CancelledError("s3cret"),
        "BaseException": BaseException("s3cret"),
        "BaseExceptionGroup": BaseExceptionGroup("s3cret", [SystemExit("s3cret")]),
        "RecursionError": RecursionError("s3cret"),
        "MemoryError": MemoryError("s3cret"),
        "TimeoutError": TimeoutError("s3cret"),
        "ConnectionResetError": ConnectionResetError("s3cret"),
        "UnicodeDecodeError": UnicodeDecodeError("utf-8", b"s3cret", 0, 1, "s3cret"),
        "surrogate": ValueError("s3cret \\ud800"),
        "no text": NoText(),
        "many arguments": TooMuch(1, 2),
    }[kind]
""",
    "raise_async.py": """
from ._errors import error

async def raise_async(kind: str) -> None:
    raise error(kind)
""",
    "raise_later.py": """
import asyncio
from ._errors import error

async def raise_later(kind: str) -> None:
    await asyncio.sleep(0)
    raise error(kind)
""",
    "raise_sync.py": """
from ._errors import error

def raise_sync(kind: str) -> None:
    raise error(kind)
""",
    "raise_task.py": """
import asyncio
from ._errors import error

async def child(kind: str) -> None:
    raise error(kind)

async def raise_task(kind: str) -> None:
    await asyncio.create_task(child(kind))
""",
    "api_error.py": """
from typing import Any
from isomor import ApiError

async def api_error(message: str, code: str, status: int, details: Any) -> None:
    raise ApiError(message, code=code, status=status, details=details)
""",
    "api_error_sync.py": """
from typing import Any
from isomor import ApiError

def api_error_sync(message: str, code: str, status: int, details: Any) -> None:
    raise ApiError(message, code=code, status=status, details=details)
""",
    "api_error_status.py": """
from isomor import ApiError

async def api_error_status() -> None:
    raise ApiError("x", status=200)
""",
    "give.py": """
import math
from decimal import Decimal
from typing import Any


class Odd:
    pass


def deep() -> list:
    value: list = []
    for _ in range(100_000):
        value = [value]
    return value


def loop() -> list:
    value: list = []
    value.append(value)
    return value


class Bad(list):
    def __iter__(self):
        raise RuntimeError("s3cret")


class BadText(str):
    def __str__(self):
        raise RuntimeError("s3cret")


async def give(kind: str) -> Any:
    return {
        "object": lambda: Odd(),
        "object within": lambda: {"a": [Odd()]},
        "class": lambda: Odd,
        "function": lambda: deep,
        "generator": lambda: (n for n in range(3)),
        "coroutine in a list": lambda: [print],
        "complex": lambda: 1j,
        "nan": lambda: math.nan,
        "infinity": lambda: -math.inf,
        "nan within": lambda: {"a": [1.0, {"b": math.nan}]},
        "decimal nan": lambda: Decimal("NaN"),
        "decimal infinity": lambda: [Decimal("-Infinity")],
        "nan as a key": lambda: {math.nan: 1},
        "tuple as a key": lambda: {(1, 2): 3},
        "object as a key": lambda: {Odd(): 3},
        "surrogate": lambda: "\\ud800",
        "surrogate as a key": lambda: {"\\ud800": 1},
        "deep": deep,
        "loop": loop,
        "exception": lambda: ValueError("s3cret"),
    }[kind]()
""",
    "big.py": "async def big(size: int) -> str:\n    return 'x' * size\n",
    "big_sync.py": "def big_sync(size: int) -> str:\n    return 'x' * size\n",
}
ALL = {"ISOMOR_WS": ".*"}

Call = Callable[..., Any]


@pytest.fixture(scope="module")
def server(serve_module) -> Server:
    return serve_module(API, env=ALL | {"ISOMOR_CALL_TIMEOUT": "15"})


@pytest.fixture(scope="module")
def narrow(serve_module) -> Server:
    """A server with room for three calls of a connection at once, and for two threads."""
    return serve_module(API, env=ALL | {"ISOMOR_WS_MAX_CALLS_IN_FLIGHT": "3", "ISOMOR_THREADS": "2"})


@pytest.fixture(scope="module")
def hasty(serve_module) -> Server:
    """A server that gives a call half a second."""
    return serve_module(API, env=ALL | {"ISOMOR_CALL_TIMEOUT": "0.5"})


@pytest.fixture(scope="module")
def leaving(serve_module) -> Server:
    """A server that cancels a call whose caller has left."""
    return serve_module(API, env=ALL | {"ISOMOR_CANCEL_ON_DISCONNECT": "true"})


@pytest.fixture(autouse=True)
def gates(request: pytest.FixtureRequest) -> Iterator[None]:
    """Every test begins with closed gates, and lets go of what it has held."""
    servers = [request.getfixturevalue(name) for name in ("narrow", "hasty", "leaving") if name in request.fixturenames]
    if not servers:
        servers = [request.getfixturevalue("server")]
    for each in servers:
        each.call("close_gates")
    yield
    for each in servers:
        each.call("open_gates")
        wait_until(lambda each=each: not any(each.call("state")["running"].values()), "what was held to end")


@pytest.fixture
def ws(server: Server) -> Iterator[WebSocket]:
    with server.ws() as opened:
        yield opened


@pytest.fixture(params=["http", "ws"])
def call(request: pytest.FixtureRequest, server: Server) -> Iterator[Call]:
    if request.param == "http":
        yield server.call
    else:
        with server.ws() as opened:
            yield opened.call


def running(server: Server, name: str) -> int:
    return server.call("state")["running"].get(name, 0)


def until_running(server: Server, name: str, count: int = 1) -> None:
    wait_until(lambda: running(server, name) == count, f"{count} of {name} to run")


def until_seen(server: Server, text: str) -> None:
    wait_until(lambda: text in server.call("state")["seen"], text)


def failure(act: Callable[[], Any]) -> CallFailed:
    with pytest.raises(CallFailed) as caught:
        act()
    return caught.value


# ---- How many at once --------------------------------------------------------------------------------------------


def test_a_thousand_calls_at_once_are_all_answered(server, ws):
    ids = [ws.send_call("nap", 0.05 if number % 3 else 0, number) for number in range(1000)]
    answers = [ws.receive(lambda message: message["action"] == "API_RES") for _ in ids]
    assert {answer["id"]: answer["payload"] for answer in answers} == dict(zip(ids, range(1000), strict=True))
    ws.ping()
    assert not ws.inbox
    assert 2 <= server.call("state")["most"]["nap"] <= 256


def test_a_thousand_calls_in_one_packet_are_all_answered(server):
    with server.raw_ws() as ws:
        calls = [
            {"action": "API", "id": f"c{number}", "urlPath": "/isomor/api/add", "args": [number, 1]}
            for number in range(1000)
        ]
        ws.send_bytes(b"".join(frame(TEXT, json.dumps(message).encode()) for message in calls))
        answers = [ws.receive_json() for _ in calls]
    assert {answer["id"]: answer["payload"] for answer in answers} == {f"c{n}": n + 1 for n in range(1000)}


def test_a_fast_call_overtakes_a_slow_one(server, ws):
    slow = ws.send_call("hold", "overtaken")
    assert ws.call("add", 1, 2) == 3
    server.call("open_gates")
    assert ws.result(slow) == "overtaken"


@pytest.mark.parametrize("name", ["hold", "hold_thread"])
def test_no_more_calls_than_max_calls_in_flight_run_at_once(narrow, name):
    key, most = f"{name} bounded", 3 if name == "hold" else 2  # there are but two threads
    with narrow.ws() as ws, narrow.ws() as other:
        ids = [ws.send_call(name, key) for _ in range(20)]
        until_running(narrow, key, most)
        assert other.call("add", 1, 2) == 3  # the cap is each connection's own
        narrow.call("open_gates")
        assert [ws.result(call_id) for call_id in ids] == [key] * 20
    assert narrow.call("state")["most"][key] == most


def test_threads_are_bounded_over_all_connections(narrow):
    sockets = [narrow.ws() for _ in range(4)]
    ids = [ws.send_call("hold_thread", "pool") for ws in sockets]
    until_running(narrow, "pool", 2)
    assert narrow.call("add", 1, 2) == 3  # async functions need none
    narrow.call("open_gates")
    for ws, call_id in zip(sockets, ids, strict=True):
        assert ws.result(call_id) == "pool"
        ws.close()
    assert narrow.call("state")["most"]["pool"] == 2


def test_plain_functions_that_wait_for_a_thread_and_are_cancelled_never_run(narrow):
    with narrow.ws() as ws, narrow.ws() as other:
        held = [ws.send_call("hold_thread", "thief") for _ in range(2)]
        until_running(narrow, "thief", 2)
        waiting = other.send_call("hold_thread", "never")
        other.ping()
        other.cancel(waiting)
        assert other.answer(waiting)["code"] == "CANCELLED"
        narrow.call("open_gates")
        assert [ws.result(call_id) for call_id in held] == ["thief"] * 2
        assert other.call("hold_thread", "after") == "after"
    assert "never" not in narrow.call("state")["most"]


# ---- CANCEL, and ids ---------------------------------------------------------------------------------------------


def test_cancel_of_a_running_call(server, ws):
    call_id = ws.send_call("hold", "c1", call_id="c1")
    until_running(server, "c1")
    ws.cancel(call_id)
    answer = ws.answer("c1")
    assert (answer["action"], answer["code"], answer["status"]) == ("API_ERR", "CANCELLED", 499)
    until_seen(server, "c1 cancelled")
    ws.ping()
    assert not ws.inbox  # one answer, no more


@pytest.mark.parametrize("name", ["hold_thread", "stubborn"])
def test_cancel_is_answered_at_once_where_the_function_cannot_be_stopped(server, ws, name):
    key = f"{name} c2"
    call_id = ws.send_call(name, key)
    until_running(server, key)
    ws.cancel(call_id)
    assert ws.answer(call_id)["code"] == "CANCELLED"
    assert f"{key} ended" not in server.call("state")["seen"]
    # The id is free again, while what had it runs on.
    assert ws.send_call("add", 1, 2, call_id=call_id) == call_id
    assert ws.result(call_id) == 3
    server.call("open_gates")
    until_seen(server, f"{key} ended")
    ws.ping()
    assert not ws.inbox


def test_cancel_of_a_waiting_call(narrow):
    with narrow.raw_ws() as ws:
        calls = [
            {"action": "API", "id": number, "urlPath": "/isomor/api/hold", "args": [f"w{number}"]}
            for number in range(5)
        ]
        messages = [*calls, {"action": "CANCEL", "id": 4}, {"action": "CANCEL", "id": 1}]
        ws.send_bytes(b"".join(frame(TEXT, json.dumps(message).encode()) for message in messages))
        codes = {answer["id"]: answer["code"] for answer in (ws.receive_json(), ws.receive_json())}
        assert codes == {4: "CANCELLED", 1: "CANCELLED"}
        until_running(narrow, "w3")  # it took the place that was left
        narrow.call("open_gates")
        assert {ws.receive_json()["payload"] for _ in range(3)} == {"w0", "w2", "w3"}
        ws.send_json({"action": "API", "id": 9, "urlPath": "/isomor/api/add", "args": [1, 2]})
        assert ws.receive_json()["payload"] == 3
    assert "w4" not in narrow.call("state")["most"]


def test_waiting_calls_have_ids_of_their_own(narrow):
    with narrow.raw_ws() as ws:
        calls = [
            {"action": "API", "id": call_id, "urlPath": "/isomor/api/hold", "args": [f"own{number}"]}
            for number, call_id in enumerate([*range(6), 1, 5, "5", None])
        ]
        messages = [*calls, {"action": "CANCEL", "id": 0}]
        ws.send_bytes(b"".join(frame(TEXT, json.dumps(message).encode()) for message in messages))
        refused = [ws.receive_json() for _ in range(3)]
        assert [(answer["id"], answer["code"]) for answer in refused] == [
            (call_id, "BAD_MESSAGE") for call_id in (1, 5, None)
        ]
        assert ws.receive_json()["code"] == "CANCELLED"
        until_running(narrow, "own3")
        answers = []
        while len(answers) < 6:
            narrow.call("open_gates")
            answers.append(ws.receive_json())
        assert {answer["payload"] for answer in answers} == {"own1", "own2", "own3", "own4", "own5", "own8"}


@pytest.mark.parametrize("call_id", [77, "77", -1, "", None, 2**70])
def test_cancel_of_a_call_that_is_not_there_does_nothing(server, ws, call_id):
    other = ws.send_call("hold", "unharmed")
    until_running(server, "unharmed")
    ws.cancel(call_id)
    ws.ping()
    assert not ws.inbox
    server.call("open_gates")
    assert ws.result(other) == "unharmed"
    ws.cancel(other)  # it has ended
    ws.ping()
    assert not ws.inbox


def test_cancel_reaches_no_other_connection(server, ws):
    call_id = ws.send_call("hold", "mine", call_id=1)
    until_running(server, "mine")
    with server.ws() as other:
        other.cancel(1)
        other.ping()
    server.call("open_gates")
    assert ws.result(call_id) == "mine"


def test_an_id_that_is_running_is_refused_and_the_first_goes_on(server, ws):
    ws.send_call("hold", "first", call_id=5)
    until_running(server, "first")
    ws.send_call("add", 1, 2, call_id=5)
    refused = ws.answer(5)
    assert (refused["action"], refused["code"], refused["status"]) == ("API_ERR", "BAD_MESSAGE", 400)
    assert ws.result(ws.send_call("add", 1, 2, call_id="5")) == 3  # a string is another id
    server.call("open_gates")
    assert ws.result(5) == "first"
    assert ws.result(ws.send_call("add", 2, 2, call_id=5)) == 4  # it is free again


@pytest.mark.parametrize("call_id", [0, -1, 2**53, 2**63, 2**64, 2**70, "", "a" * 64, "é\u0000", "0"])
def test_ids_come_back_as_they_were(ws, call_id):
    ws.send_call("add", 1, 2, call_id=call_id)
    assert ws.answer(call_id) == {"action": "API_RES", "id": call_id, "payload": 3}
    ws.send_call("add", 1, call_id=call_id)
    assert ws.answer(call_id)["code"] == "INVALID_ARGS"


# ---- call_timeout ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["hold", "hold_thread", "stubborn"])
@pytest.mark.parametrize("transport", ["http", "ws"])
def test_a_call_that_takes_too_long_is_answered(hasty, transport, name):
    key = f"{name} {transport}"
    if transport == "http":
        error = failure(lambda: hasty.call(name, key))
    else:
        with hasty.ws() as ws:
            error = failure(lambda: ws.call(name, key))
    assert (error.code, error.status) == ("TIMEOUT", 504)
    assert name in error.message
    seen = hasty.call("state")["seen"]
    assert f"{key} ended" not in seen  # answered although it still runs, or was stopped
    if name != "hold_thread":
        until_seen(hasty, f"{key} cancelled")
    hasty.call("open_gates")
    if name != "hold":
        until_seen(hasty, f"{key} ended")
    assert hasty.call("add", 1, 2) == 3


# ---- What is raised ----------------------------------------------------------------------------------------------

KINDS = [
    "ValueError", "KeyError", "SystemExit", "SystemExit 0", "KeyboardInterrupt", "GeneratorExit", "StopIteration",
    "StopAsyncIteration", "CancelledError", "BaseException", "BaseExceptionGroup", "RecursionError", "MemoryError",
    "TimeoutError", "ConnectionResetError", "UnicodeDecodeError", "surrogate", "no text", "many arguments",
]  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", ["raise_async", "raise_later", "raise_sync"])
def test_whatever_is_raised_is_internal_with_an_id_and_no_text(server, name, kind):
    with server.ws() as ws:
        errors = [failure(lambda: server.call(name, kind)), failure(lambda: ws.call(name, kind))]
    for error in errors:
        assert (error.code, error.status) == ("INTERNAL", 500)
        assert "s3cret" not in f"{error.message} {error.details}"
        assert error.error_id
        server.wait_for_log(error.error_id)
    assert errors[0].error_id != errors[1].error_id
    assert server.running


@pytest.mark.parametrize("kind", ["ValueError", "CancelledError", "GeneratorExit", "BaseException", "TimeoutError"])
def test_whatever_a_task_of_a_function_raises_is_answered(server, kind):
    with server.ws() as ws:
        assert failure(lambda: ws.call("raise_task", kind)).code == "INTERNAL"
    assert failure(lambda: server.call("raise_task", kind)).code == "INTERNAL"


def test_debug_tells_the_text_and_the_type(serve):
    server = serve(API, env=ALL | {"ISOMOR_DEBUG": "true", "ISOMOR_CALL_TIMEOUT": "15"})
    with server.ws() as ws:
        for name in ("raise_async", "raise_sync"):
            for error in (
                failure(lambda name=name: server.call(name, "ValueError")),
                failure(lambda name=name: ws.call(name, "ValueError")),
            ):
                assert error.code == "INTERNAL"
                assert "ValueError" in error.message
                assert "s3cret" in error.message
                assert error.error_id
            assert failure(lambda name=name: server.call(name, "surrogate")).code == "INTERNAL"
            assert failure(lambda name=name: ws.call(name, "surrogate")).code == "INTERNAL"
            assert failure(lambda name=name: server.call(name, "no text")).code == "INTERNAL"
            assert failure(lambda name=name: ws.call(name, "no text")).code == "INTERNAL"


@pytest.mark.parametrize("name", ["api_error", "api_error_sync"])
@pytest.mark.parametrize(
    ("message", "code", "status", "details"),
    [
        ("Not today", "CLOSED", 403, {"until": ["tomorrow"]}),
        ("é😀\n", "code with spaces é", 418, [1, None]),
        ("", "", 400, "text"),
        ("x", "INTERNAL", 500, None),
        ("x", "ERROR", 599, 0),
        ("x", "NOT_FOUND", 404, False),
    ],
)
def test_an_api_error_comes_as_it_was_raised(call, name, message, code, status, details):
    error = failure(lambda: call(name, message, code, status, details))
    assert (error.message, error.code, error.status, error.details) == (message, code, status, details)
    assert error.error_id is None


def test_an_api_error_of_a_status_that_is_none_is_internal(call):
    assert failure(lambda: call("api_error_status")).code == "INTERNAL"


# ---- What is returned --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "kind",
    [
        "object", "object within", "class", "function", "generator", "coroutine in a list", "complex", "nan",
        "infinity", "nan within", "decimal nan", "decimal infinity", "tuple as a key", "object as a key",
        "surrogate", "surrogate as a key", "deep", "loop", "exception",
    ],
)  # fmt: skip
def test_a_result_that_has_no_form_in_json_is_internal(server, call, kind):
    error = failure(lambda: call("give", kind))
    assert (error.code, error.status) == ("INTERNAL", 500)
    server.wait_for_log(error.error_id or "")
    assert call("add", 1, 2) == 3


@pytest.mark.parametrize("name", ["big", "big_sync"])
@pytest.mark.parametrize("size", [0, 100, 65_500, 65_536, 1 << 20, 20 << 20])
def test_a_result_of_any_size_comes(call, name, size):
    assert len(call(name, size)) == size


# ---- Who leaves --------------------------------------------------------------------------------------------------


def leave(server: Server, transport: str, how: str, key: str) -> None:
    """Call `hold`, and leave while it runs."""
    if transport == "http":
        with server.raw() as connection:
            body = json.dumps({"args": [key]}).encode()
            connection.request("POST", server.path("hold"), body, {"Content-Type": "application/json"})
            until_running(server, key)
            if how == "reset":
                connection.reset()
    else:
        ws = server.raw_ws()
        ws.send_json({"action": "API", "id": 1, "urlPath": "/isomor/api/hold", "args": [key]})
        until_running(server, key)
        if how == "reset":
            ws.connection.reset()
        ws.connection.close()


@pytest.mark.parametrize("how", ["closed", "reset"])
@pytest.mark.parametrize("transport", ["http", "ws"])
def test_a_call_goes_on_when_its_caller_leaves(server, transport, how):
    key = f"stays {transport} {how}"
    leave(server, transport, how, key)
    with server.ws() as ws:
        assert ws.call("add", 1, 2) == 3
    server.call("open_gates")
    until_seen(server, f"{key} ended")
    assert f"{key} cancelled" not in server.call("state")["seen"]


@pytest.mark.parametrize("how", ["closed", "reset"])
@pytest.mark.parametrize("transport", ["http", "ws"])
def test_a_call_is_cancelled_when_its_caller_leaves_where_that_is_asked_for(leaving, transport, how):
    key = f"goes {transport} {how}"
    leave(leaving, transport, how, key)
    until_seen(leaving, f"{key} cancelled")
    assert leaving.call("add", 1, 2) == 3


# ---- Exact names only --------------------------------------------------------------------------------------------

NAMES = [
    "", "constructor", "__init__", "__proto__", "__class__", "prototype", "toString", "hasOwnProperty", "startup",
    "before_call", "_state", "_errors", "Add", "ADD", "add ", " add", "add/", "add//", "/add", "./add", "../add",
    "../api/add", "..%2fapi%2fadd", "%2e%2e/api/add", "%2e/add", "%61dd", "a%64d", "add%20", "add%00", "add.py",
    "add.add", "add;x=1", "add%3Fx", "add%2f", "add\\", "*", "lib", "lib.db", "x" * 5000, "ａｄｄ", "add\u0301",
]  # fmt: skip


@pytest.mark.parametrize("name", NAMES, ids=lambda name: repr(name[:20]))
def test_a_name_that_is_none_is_not_found(server, ws, name):
    ws.send({"action": "API", "id": 1, "urlPath": f"/isomor/api/{name}", "args": [1, 2]})
    answer = ws.answer(1)
    assert (answer["code"], answer["status"]) == ("NOT_FOUND", 404)
    if name.isascii() and " " not in name and "\\" not in name:
        with server.raw() as connection:
            headers = {"Content-Type": "application/json"}
            connection.request("POST", f"/isomor/api/{name}", b'{"args":[1,2]}', headers)
            response = connection.response()
            assert response.status == 404, response
            assert response.json()["code"] == "NOT_FOUND"
            connection.request("GET", f"/isomor/api/{name}")
            assert connection.response().status == 404


@pytest.mark.parametrize(
    "path",
    [
        "", "/", "add", "/add", "api/add", "isomor/api/add", "/isomor/api", "/isomor//api/add", "/Isomor/api/add",
        "/isomor/API/add", "/isomor/other/add", "/isomor/api/add?x=1", "/isomor/api/add#x", "/isomor/ws",
        "http://localhost/isomor/api/add", "/isomor/api/api/add",
    ],
)  # fmt: skip
def test_a_path_that_is_no_functions_is_not_found_over_websocket(ws, path):
    ws.send({"action": "API", "id": 1, "urlPath": path, "args": [1, 2]})
    assert ws.answer(1)["code"] == "NOT_FOUND"
    ws.send({"action": "API", "id": 2, "args": [1, 2]})
    assert ws.answer(2)["code"] == "NOT_FOUND"


@pytest.mark.parametrize(
    "path", ["/isomor", "/isomor/", "/isomor/api", "/isomor/api/", "/isomor//api/add", "/isomor/API/add", "/api/add"]
)
def test_a_path_that_is_no_functions_is_not_found_over_http(server, path):
    for method in ("POST", "GET", "PUT", "OPTIONS"):
        with server.raw() as connection:
            connection.request(method, path)
            assert connection.response(method).status == 404, method
