"""User functions that go wrong: whoever called is answered, everybody else is served, and the log says who it was."""

from __future__ import annotations

import json
import os
import re
import select
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from harness import TEXT, CallFailed, Server, WebSocket, environment, frame, wait_until

API: dict[str, str] = {
    "hello.py": "async def hello() -> str: return 'hello'",
    "hello_thread.py": "def hello_thread() -> str: return 'hello'",
    # ---- Blocks the loop
    "lib/slow.py": "import time\ndef compute(seconds): time.sleep(seconds)",
    "blocks.py": """
from .lib.slow import compute
async def blocks(seconds: float) -> None:
    compute(seconds)
""",
    "spins.py": """
import time
async def spins(seconds: float) -> None:
    until = time.monotonic() + seconds
    while time.monotonic() < until: pass
""",
    "blocks_later.py": """
import asyncio
from .lib.slow import compute
async def of_its_own(seconds): compute(seconds)
async def blocks_later(seconds: float) -> None:
    task = asyncio.create_task(of_its_own(seconds))
    await asyncio.wait([task])
""",
    "blocks_spawned.py": """
from isomor import WsContext
from .lib.slow import compute
async def blocks_spawned(ctx: WsContext, seconds: float) -> None:
    async def work(): compute(seconds)
    ctx.spawn(work())
""",
    # ---- Never returns
    "never.py": """
import asyncio
ended = []
async def never() -> None:
    try:
        await asyncio.Event().wait()
    finally:
        ended.append(1)
""",
    "ended.py": "from . import never\nasync def ended() -> int: return len(never.ended)",
    "_gate.py": "import threading\ngate = threading.Event()",
    "close_gate.py": "from ._gate import gate\nasync def close_gate() -> None: gate.clear()",
    "open_gate.py": "from ._gate import gate\nasync def open_gate() -> None: gate.set()",
    "never_thread.py": """
from ._gate import gate
def never_thread() -> None:
    gate.wait(600)
""",
    "swallows.py": """
import asyncio
from ._gate import gate
async def swallows() -> str:
    while not gate.is_set():
        try:
            await asyncio.sleep(0.05)
        except asyncio.CancelledError:
            pass
    return "too late"
""",
    "fails_late.py": """
import asyncio
async def fails_late() -> None:
    try:
        await asyncio.sleep(600)
    finally:
        raise SystemExit("as it wound up")
""",
    "cancels_itself.py": """
import asyncio
async def cancels_itself() -> None:
    asyncio.current_task().cancel()
    await asyncio.sleep(600)
""",
    "cancels_and_returns.py": """
import asyncio
async def cancels_and_returns() -> str:
    asyncio.current_task().cancel()
    return "returned"
""",
    # ---- Returns too much, or what cannot be sent
    "big.py": """
from __future__ import annotations
from typing import Any
TEXT = "x" * 1_000_000
async def big(megabytes: int, parts: bool) -> Any:
    return [TEXT] * megabytes if parts else TEXT * megabytes
""",
    "big_thread.py": "def big_thread(megabytes: int) -> str: return 'x' * (megabytes * 1_000_000)",
    "rubbish.py": """
from __future__ import annotations
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any
@dataclass
class Item:
    name: str
    price: Any
class Foo: pass
class Broken:
    def __str__(self): raise RuntimeError("no text")
class Mute(Exception):
    def __str__(self): raise SystemExit("no text")
class Lazy(Sequence):
    def __len__(self): return 3
    def __getitem__(self, index): raise KeyError("s3cret")
def recurse(): return recurse()
def failing(depth): raise ExceptionGroup("s3cret", [ValueError("s3cret"), KeyError("s3cret")])
async def coroutine(): return 1
def make(kind: str) -> Any:
    if kind == "decimal": return {"items": [Item("a", 1), Item("b", Decimal("NaN"))]}
    if kind == "set": return {"tags": {Foo()}}
    if kind == "generator": return (number for number in ())
    if kind == "circle":
        circle = [1]
        circle.append(circle)
        return circle
    if kind == "broken": return [Broken()]
    if kind == "lazy": return [Lazy()]
    if kind == "recursion": return recurse()
    if kind == "group": return failing(0)
    if kind == "mute": raise Mute
    if kind == "huge": raise ValueError("x" * 100_000_000)
    if kind == "lines": raise ValueError("x\\n" * 1_000_000)
    if kind == "memory": return bytearray(1 << 60)
    if kind == "chain":
        error = None
        for number in range(10_000):
            new = ValueError(str(number))
            new.__cause__, error = error, new
        raise error
async def rubbish(kind: str) -> Any: return make(kind)
""",
    "rubbish_thread.py": """
from typing import Any
from .rubbish import make
def rubbish_thread(kind: str) -> Any: return make(kind)
""",
    # ---- Pushes and spawns without end
    "floods.py": """
from __future__ import annotations
from isomor import WsContext, push
async def floods(ctx: WsContext, how: str) -> None:
    if how == "topic": await ctx.join("flood")
    if how == "gone": ctx.ws.close()
    while True:
        if how == "topic": push("x" * 1000, topic="flood")
        elif how == "all": push("x" * 1000)
        elif how == "bad": ctx.push(object())
        elif how == "no topic": ctx.join("")
        else: ctx.push("x" * 1000)
""",
    "floods_thread.py": """
from __future__ import annotations
from isomor import WsContext, push
from ._gate import gate
def floods_thread(ctx: WsContext, how: str) -> None:
    if how == "topic": ctx.join("flood").wait()
    while not gate.is_set():
        if how == "topic": push("x" * 1000, topic="flood")
        else: ctx.push("x" * 1000)
""",
    "_count.py": "ended = []",
    "tasks_ended.py": "from . import _count\nasync def tasks_ended() -> int: return len(_count.ended)",
    "spawns.py": """
from __future__ import annotations
import asyncio
from isomor import WsContext
from ._count import ended
async def work() -> None:
    try:
        await asyncio.sleep(600)
    finally:
        ended.append(1)
async def spawns(ctx: WsContext, key: str | None = None) -> None:
    for _ in range(100_000):
        ctx.spawn(work(), key=key)
        await asyncio.sleep(0)
""",
    "spawns_thread.py": """
from isomor import WsContext
from .spawns import work
def spawns_thread(ctx: WsContext) -> None:
    for _ in range(1000):
        ctx.spawn(work())
    ctx.push("all asked for").wait()
""",
    "spawn_fails.py": """
from isomor import WsContext
async def spawn_fails(ctx: WsContext, how: str) -> None:
    async def work() -> None:
        raise {"exit": SystemExit(3), "interrupt": KeyboardInterrupt(), "generator": GeneratorExit(), "own": Own()}[how]
    ctx.spawn(work())
class Own(BaseException): pass
""",
    # ---- Ends the server
    "exits_in_task.py": """
from __future__ import annotations
import asyncio, sys, signal
done = []
async def leaves(how: str) -> None:
    await asyncio.sleep(0)
    if how == "SystemExit": sys.exit(3)
    raise KeyboardInterrupt
def read(task):
    done.append(type(task.exception()).__name__)
async def exits_in_task(how: str, where: str) -> list[str]:
    done.clear()
    loop = asyncio.get_running_loop()
    if where == "task":
        task = asyncio.create_task(leaves(how))
        task.add_done_callback(read)
        await asyncio.wait([task])
    elif where == "gather":
        await asyncio.gather(leaves(how))
    elif where == "group":
        async with asyncio.TaskGroup() as group:
            group.create_task(leaves(how))
    elif where == "thread":
        await asyncio.to_thread(sys.exit)
    else:
        loop.call_later(0.001, sys.exit)
        await asyncio.sleep(0.01)
    await asyncio.sleep(0)
    return done
""",
}

ENVIRONMENT = {
    "ISOMOR_LOGGING_BLOCKED_SECONDS": "0.2",
    "ISOMOR_CALL_TIMEOUT": "0.5",
    "ISOMOR_THREADS": "4",
    "ISOMOR_WS_MAX_TASKS": "50",
}

WAYS = ["plain", "sanic", "ws"]


@pytest.fixture(scope="module")
def server(serve_module: Callable[..., Server]) -> Server:
    return serve_module(API, env=ENVIRONMENT)


@pytest.fixture
def other(server: Server) -> Iterator[WebSocket]:
    """Somebody else, who is connected all the while and is served before and after."""
    with server.ws() as ws:
        assert ws.call("hello") == "hello"
        yield ws
        assert ws.call("hello") == "hello"
        assert server.call("hello") == "hello"


Way = Callable[..., Any]


@pytest.fixture(params=WAYS)
def way(request: pytest.FixtureRequest, server: Server) -> Iterator[Way]:
    """Calls by one of the ways that there are: HTTP without Sanic, HTTP by Sanic, WebSocket."""
    if request.param == "ws":
        with server.ws() as ws:
            yield ws.call
    elif request.param == "plain":
        yield server.call
    else:  # what says `close` is left to Sanic
        yield lambda name, *args: server.call(name, *args, headers={"connection": "close"})


def fails(way: Way, name: str, *args: Any) -> CallFailed:
    with pytest.raises(CallFailed) as caught:
        way(name, *args)
    return caught.value


# ---- The loop stands still ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "who", "where"),
    [
        ("blocks", "blocks", "api/lib/slow.py:2, in compute"),
        ("spins", "spins", "api/spins.py:5, in spins"),
        ("blocks_later", "of_its_own", "api/lib/slow.py:2, in compute"),
        ("blocks_spawned", "blocks_spawned.<locals>.work", "api/lib/slow.py:2, in compute"),
    ],
)
def test_who_blocks_the_loop_is_named_while_it_does_and_after(server, other, name, who, where):
    before = len(server.log)
    with server.ws() as ws:

        def is_told() -> bool:
            """After one more block: through one, the watchdog may get no time on a busy machine."""
            ws.send_call(name, 0.5)  # which may well take longer than calls may
            assert ws.call("hello") == "hello"
            return f"{who} has blocked the event loop for " in server.log[before:]

        wait_until(is_told, "the end in the log", pause=0.1)
        log = server.log[before:]
    while_it_did = rf"WARNING {re.escape(who)} blocks the event loop, for \d+\.\d s so far, at {re.escape(where)}: "
    assert re.search(while_it_did, log)
    assert "plain def" in log


def test_who_does_not_block_it_is_not_named(server, other):
    before = len(server.log)
    assert server.call("hello_thread") == "hello"
    fails(server.call, "never")
    assert "blocks the event loop" not in server.log[before:]


def test_many_short_calls_in_one_turn_are_not_taken_for_one_that_blocks(serve):
    server = serve({"spins.py": API["spins.py"]}, env={"ISOMOR_LOGGING_BLOCKED_SECONDS": "0.5"})
    with server.raw_ws() as raw:
        calls = [
            {"action": "API", "id": number, "urlPath": "/isomor/api/spins", "args": [0.01]} for number in range(120)
        ]
        raw.send_bytes(b"".join(frame(TEXT, json.dumps(call).encode()) for call in calls))
        log = server.wait_for_log("the event loop has been busy for ")
        for _ in calls:
            raw.receive_json()
    assert "s with many calls, lately in spins: nobody else is served" in log
    assert not re.search("spins (blocks|has blocked) the event loop", server.log)


@pytest.mark.parametrize("number", [1, 2])
def test_a_loop_that_never_goes_on_does_not_outlive_its_drain(serve, number):
    """Asked to stop once, it gets as long as draining may take; asked twice, no time at all."""
    env = {"ISOMOR_SERVER_DRAIN_SECONDS": "0" if number == 1 else "600", "ISOMOR_LOGGING_BLOCKED_SECONDS": "0.2"}
    server = serve({"spins.py": API["spins.py"]}, env=env)
    with server.raw() as raw:
        raw.request("POST", "/isomor/api/spins", b'{"args":[3600]}', {"Content-Type": "application/json"})
        server.wait_for_log("spins blocks the event loop, for ")
        server.signal(signal.SIGTERM)
        if number == 2:
            wait_until(lambda: server.signal() or not server.running, "its end")  # two at once are one
        assert server.wait() == 1
    assert "spins blocks the event loop, at api/spins.py:5, in spins: ending without waiting for it" in server.log


@pytest.mark.parametrize("number", [1, 2])
def test_a_log_that_nobody_reads_does_not_hold_up_the_end(serve, number):
    """A full pipe blocks whoever logs, with the lock of the log held: nobody can log any more."""
    shouts = "import logging\nasync def shouts() -> None:\n    while True: logging.warning('x' * 10_000)"
    env = {"ISOMOR_SERVER_DRAIN_SECONDS": "0" if number == 1 else "600"}
    server = serve({"shouts.py": shouts}, start=False, env=env)
    reader, writer = os.pipe()
    with open(reader, "rb"), open(writer, "wb") as log:
        command = [sys.executable, "-m", "isomor", "serve"]
        server.process = subprocess.Popen(
            command,
            cwd=server.folder,
            env=environment(server.env),
            stdout=subprocess.DEVNULL,
            stderr=log,
            start_new_session=True,
        )
        wait_until(lambda: responds(server), "the server")
        with server.raw() as raw:
            raw.request("POST", "/isomor/api/shouts", b"", {"Content-Type": "application/json"})
            wait_until(lambda: not select.select([], [log], [], 0)[1], "the pipe to be full")
            server.signal(signal.SIGTERM)
            if number == 2:
                wait_until(lambda: server.signal() or not server.running, "its end")
            assert server.wait() == 1


def responds(server: Server) -> bool:
    try:
        return server.http.get("/health/ready").status_code == 200
    except httpx.TransportError:
        return False


def test_a_stop_in_which_the_loop_turns_is_not_cut_short(serve):
    """All of it takes longer than a loop that stands still is given, and what blocks the loop in it does not."""
    startup = """
import time
def startup(app):
    @app.after_server_stop
    async def save(_): time.sleep(2.5); print("all was saved", flush=True)
"""
    api = {"never.py": API["never.py"], "hello.py": API["hello.py"], "startup.py": startup}
    server = serve(api, env={"ISOMOR_SERVER_DRAIN_SECONDS": "1.5"})
    with server.ws() as ws:
        call = ws.send_call("never")
        assert ws.call("hello") == "hello"  # so the call before it has begun
        server.signal(signal.SIGTERM)
        assert ws.answer(call)["code"] == "UNAVAILABLE"
        assert server.wait() == 0
    assert "all was saved" in server.log


# ---- What never returns ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["never", "swallows", "never_thread", "fails_late"])
def test_what_never_returns_is_answered_timeout_and_others_go_on(server, other, way, name):
    ended = server.call("ended")
    error = fails(way, name)
    assert (error.code, error.status) == ("TIMEOUT", 504)
    assert error.message == f"{name} took longer than 0.5 s and was cancelled."
    assert other.call("hello") == "hello"
    if name == "never":
        assert server.call("ended") == ended + 1
    elif name == "fails_late":
        server.wait_for_log("fails_late failed after it was cancelled")
    else:
        server.call("open_gate")
        server.call("close_gate")


def test_what_goes_on_after_it_was_cancelled_is_named_and_so_is_its_end(serve):
    server = serve(API, env=ENVIRONMENT)
    assert fails(server.call, "swallows").code == "TIMEOUT"
    assert fails(server.call, "never_thread").code == "TIMEOUT"
    log = server.wait_for_log("swallows goes on after it was cancelled, at ")
    assert re.search(r"WARNING swallows goes on .* at api/swallows.py:\d+, in swallows: let CancelledError pass", log)
    log = server.wait_for_log("never_thread goes on after it was cancelled, at ")
    assert re.search(r"WARNING never_thread goes on .*, at api/never_thread.py:4, in never_thread: .* holds 1 of", log)
    server.call("open_gate")
    for name in ("swallows", "never_thread"):
        server.wait_for_log(f"{name} has ended, which went on after it was cancelled")


def test_a_thread_that_goes_on_is_named_while_others_call_the_same_function(serve):
    """Those that wait for a thread, and those that run and are still wanted, do not hide it."""
    api = {name: API[name] for name in ("_gate.py", "open_gate.py", "never_thread.py", "hello.py")}
    server = serve(api, env={"ISOMOR_THREADS": "2", "ISOMOR_CALL_TIMEOUT": "0"})
    with server.ws() as ws, server.ws() as others:
        first = ws.send_call("never_thread")
        assert ws.call("hello") == "hello"  # so it has got its thread
        wanted = [others.send_call("never_thread") for _ in range(4)]
        ws.cancel(first)
        assert ws.answer(first)["code"] == "CANCELLED"
        log = server.wait_for_log("never_thread goes on after it was cancelled, at ")
        assert "it holds 1 of them" in log
        others.call("open_gate")
        assert [others.answer(call)["action"] for call in wanted] == ["API_RES"] * 4
        server.wait_for_log("never_thread has ended, which went on after it was cancelled")


def test_threads_that_never_return_hold_up_what_needs_a_thread_alone(serve):
    server = serve(API, env=ENVIRONMENT)
    with server.ws() as ws:
        calls = [ws.send_call("never_thread") for _ in range(5)]
        for call in calls:
            assert ws.answer(call)["code"] == "TIMEOUT"
        assert fails(ws.call, "hello_thread").code == "TIMEOUT"
        assert ws.call("hello") == server.call("hello") == "hello"
        ws.call("open_gate")
        assert ws.call("hello_thread") == "hello"


def test_what_is_left_behind_as_the_server_stops_is_named(serve):
    server = serve(API, env=ENVIRONMENT | {"ISOMOR_SERVER_DRAIN_SECONDS": "0"})
    assert fails(server.call, "swallows").code == "TIMEOUT"
    assert fails(server.call, "never_thread").code == "TIMEOUT"
    assert server.stop() == 0
    assert re.search(r"left behind: 2 of them, at .*api/swallows.py:\d+, in swallows", server.log)
    assert "api/never_thread.py:4, in never_thread" in server.log


def test_a_function_that_cancels_its_own_task(server, other, way):
    assert fails(way, "cancels_itself").code == "INTERNAL"
    server.wait_for_log("cancels_itself failed, errorId ")
    assert way("cancels_and_returns") == "returned"


# ---- What would end the server -----------------------------------------------------------------------------------


@pytest.mark.parametrize("how", ["SystemExit", "KeyboardInterrupt"])
@pytest.mark.parametrize("where", ["task", "gather", "group"])
def test_a_task_of_the_users_own_that_would_end_the_server(server, other, how, where):
    if where == "task":
        assert server.call("exits_in_task", how, where) == [how]
    else:
        assert fails(server.call, "exits_in_task", how, where).code == "INTERNAL"
    server.wait_for_log(f"outside of any call raised {how}(")


@pytest.mark.parametrize("where", ["callback", "thread"])
def test_a_callback_that_would_end_the_server(server, other, where):
    if where == "callback":
        assert server.call("exits_in_task", "", where) == []
    else:
        assert fails(server.call, "exits_in_task", "", where).code == "INTERNAL"


# ---- What cannot be sent, and what cannot even be said ------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        ("decimal", "result[key 0][1].price: Decimal NaN has no form in JSON"),
        ("set", "result[key 0]: set of api.rubbish.Foo has no form in JSON"),
        ("generator", "result: generator has no form in JSON; return what it gives"),
        ("circle", "result[1]: a circle (list within itself: it is result too) has no form in JSON"),
        ("broken", "result[0]: api.rubbish.Broken has no form in JSON"),
        ("lazy", "result[0]: api.rubbish.Lazy has no form in JSON (KeyError was raised on the way)"),
        ("recursion", "RecursionError: maximum recursion depth exceeded"),
        ("group", "ExceptionGroup: s3cret (2 sub-exceptions)"),
        ("mute", "api.rubbish.Mute"),
        ("huge", "ValueError: xxxxx"),
        ("lines", "ValueError: x"),
        ("memory", "MemoryError"),
        ("chain", "ValueError: 9999"),
    ],
)
def test_a_result_or_an_error_out_of_order(server, other, way, kind, said):
    # Of the ways, one for each kind of function is enough: from there on all are one.
    name = "rubbish" if way != server.call else "rubbish_thread"
    before = len(server.log)
    error = fails(way, name, kind)
    assert (error.code, error.message) == ("INTERNAL", "Something went wrong on the server.")
    wait_until(lambda: said in server.log[before:], f"{said!r} in the log")
    log = server.log[before:]
    assert f"{name} failed, errorId {error.error_id}" in log
    assert len(log) < 200_000, "the log of one error"


# ---- A hundred megabytes -----------------------------------------------------------------------------------------


def memory(server: Server) -> int:
    """What the server's process holds, in megabytes."""
    status = Path(f"/proc/{server.pid}/status").read_text()
    return int(re.search(r"VmRSS:\s+(\d+) kB", status)[1]) // 1000


def test_a_hundred_megabytes_are_sent_and_let_go(server, other, way):
    before = memory(server)
    result = way("big", 100, False)
    assert len(result) == result.count("x") == 100_000_000
    wait_until(lambda: memory(server) < before + 150, "the memory to come back")


def test_a_hundred_megabytes_in_parts_and_of_a_thread(serve):
    server = serve(API)  # where calls have more time than elsewhere here
    before = memory(server)
    assert server.call("big", 100, True) == ["x" * 1_000_000] * 100
    assert server.call("big_thread", 100).count("x") == 100_000_000
    wait_until(lambda: memory(server) < before + 150, "the memory to come back")


def test_others_are_answered_while_a_hundred_megabytes_wait_for_their_reader(server, other):
    body = b'{"args":[100,false]}'
    with server.raw_ws() as slow, server.raw() as slower:
        slow.send_json({"action": "API", "id": 1, "urlPath": "/isomor/api/big", "args": [100, False]})
        slower.request("POST", "/isomor/api/big", body, {"Content-Type": "application/json"})
        assert slower.read(15) == b"HTTP/1.1 200 OK"  # and no more
        assert slow.connection.read(2)[0] == 0x81
        for _ in range(10):
            assert other.call("hello") == server.call("hello_thread") == "hello"


# ---- Pushes without end ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("how", ["caller", "topic"])
def test_a_loop_that_pushes_without_an_await_ends(server, other, how):
    """It would never let the event loop go: so the push itself fails, in the end."""
    before = len(server.log)
    with server.raw_ws() as raw:
        raw.send_json({"action": "API", "id": 1, "urlPath": "/isomor/api/floods", "args": [how]})
        wait_until(lambda: "MiB were pushed without an await; await each push" in server.log[before:], "its end")
    assert "floods failed, errorId " in server.log[before:]


def test_a_loop_that_pushes_to_everyone_without_an_await_ends(server):
    """Whoever does not read on is closed as too slow, and may come back."""
    before = len(server.log)
    with server.raw_ws() as raw:
        raw.send_json({"action": "API", "id": 1, "urlPath": "/isomor/api/floods", "args": ["all"]})
        wait_until(lambda: "MiB were pushed without an await; await each push" in server.log[before:], "its end")
    assert server.call("hello") == "hello"


@pytest.mark.parametrize("how", ["bad", "no topic", "gone"])
def test_a_loop_of_what_fails_without_an_await_ends(server, other, how):
    before = len(server.log)
    with server.raw_ws() as raw:
        raw.send_json({"action": "API", "id": 1, "urlPath": "/isomor/api/floods", "args": [how]})
        wait_until(lambda: "100,000 have failed without an await; await each push" in server.log[before:], "its end")
    assert server.log[before:].count("nobody awaited it") <= 20


@pytest.mark.parametrize("how", ["caller", "topic"])
def test_a_thread_that_pushes_without_end_is_bounded(server, other, how):
    """Its connection is closed as too slow, and what it pushes then is dropped; the log does not fill up."""
    before, size = memory(server), len(server.log)
    with server.raw_ws() as raw:
        raw.send_json({"action": "API", "id": 1, "urlPath": "/isomor/api/floods_thread", "args": [how]})
        server.wait_for_log("floods_thread goes on after it was cancelled")
        assert other.call("hello") == "hello"
        server.call("open_gate")
        server.wait_for_log("floods_thread has ended")
        server.call("close_gate")
    assert memory(server) < before + 400
    assert server.log[size:].count("nobody awaited it") <= 20


# ---- Tasks without end -------------------------------------------------------------------------------------------


def test_tasks_without_end_are_refused_and_end_with_their_connection(server, other):
    before = server.call("tasks_ended")
    with server.ws() as ws:
        error = fails(ws.call, "spawns")
        assert (error.code, error.status) == ("TOO_MANY_TASKS", 429)
        assert "50 tasks of this connection run already, which is ws.max_tasks; end some" in error.message
        assert server.call("tasks_ended") == before
    wait_until(lambda: server.call("tasks_ended") == before + 50, "its tasks to end")


def test_tasks_that_replace_each_other_are_not_refused(server, other):
    with server.ws() as ws:
        assert fails(ws.call, "spawns", "key").code == "TIMEOUT"  # it would go on to a hundred thousand


def test_tasks_of_a_thread_without_end_are_refused(server, other):
    before = server.call("tasks_ended")
    with server.ws() as ws:
        ws.send_call("spawns_thread")
        assert ws.push() == "all asked for"
        server.wait_for_log("ctx.spawn failed, and nobody awaited it: ctx.spawn: 50 tasks of this connection run")
    wait_until(lambda: server.call("tasks_ended") == before + 50, "its tasks to end")


@pytest.mark.parametrize("how", ["exit", "interrupt", "generator", "own"])
def test_a_spawned_task_that_would_end_the_server(server, other, how):
    with server.ws() as ws:
        ws.call("spawn_fails", how)
        assert ws.call("hello") == "hello"
