"""User code as people write it, on a real server, over both transports."""

from __future__ import annotations

import contextlib
import shutil
import subprocess
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import redis
from harness import CallFailed, Server, WebSocket, free_port, wait_until

API: dict[str, str] = {
    "lib/__init__.py": "",
    "lib/kept.py": """
from __future__ import annotations
from typing import Any
contexts: dict[str, Any] = {}
said: list[str] = []
""",
    # ---- asyncio and its friends
    "timeouts.py": """
from __future__ import annotations
import asyncio
async def timeouts() -> list[str]:
    seen = []
    async with asyncio.timeout(60):
        seen.append("in time")
    try:
        async with asyncio.timeout(0.01):
            await asyncio.sleep(60)
    except TimeoutError:
        seen.append("timeout")
    try:
        await asyncio.wait_for(asyncio.Event().wait(), 0.01)
    except TimeoutError:
        seen.append("wait_for")
    done, pending = await asyncio.wait({asyncio.ensure_future(asyncio.sleep(0))}, timeout=60)
    seen.append(f"{len(done)} done")
    assert asyncio.current_task() is not None
    assert asyncio.current_task() in asyncio.all_tasks()
    return seen
""",
    "first_is_timeout.py": """
import asyncio
async def first_is_timeout() -> str:
    async with asyncio.timeout(0) as scope:
        try:
            await asyncio.sleep(60)
        finally:
            name = asyncio.current_task().get_name()
    return name
""",
    "groups.py": """
from __future__ import annotations
import asyncio
async def double(n: int) -> int:
    await asyncio.sleep(0)
    return n * 2
async def groups(numbers: list[int]) -> list[int]:
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(double(n)) for n in numbers]
    gathered = await asyncio.gather(*(double(n) for n in numbers))
    assert [task.result() for task in tasks] == gathered
    return gathered
""",
    "group_fails.py": """
import asyncio
cancelled = []
async def fails():
    raise ValueError("of the group")
async def waits():
    try:
        await asyncio.sleep(60)
    except asyncio.CancelledError:
        cancelled.append(1)
        raise
async def group_fails(caught: bool) -> int:
    try:
        async with asyncio.TaskGroup() as group:
            group.create_task(waits())
            group.create_task(fails())
    except* ValueError:
        if not caught:
            raise
    return len(cancelled)
""",
    "use_anyio.py": """
from __future__ import annotations
import anyio
from anyio import to_thread
async def use_anyio() -> list[str]:
    seen: list[str] = []
    async def child(name: str) -> None:
        await anyio.sleep(0)
        seen.append(name)
    async with anyio.create_task_group() as group:
        group.start_soon(child, "a")
        group.start_soon(child, "b")
    with anyio.CancelScope() as scope:
        scope.cancel()
        await anyio.sleep(60)
    assert scope.cancelled_caught
    with anyio.move_on_after(0.01):
        await anyio.sleep(60)
    try:
        with anyio.fail_after(0.01):
            await anyio.sleep(60)
    except TimeoutError:
        seen.append("fail_after")
    async with anyio.create_task_group() as group:
        group.start_soon(anyio.sleep, 60)
        group.cancel_scope.cancel()
    seen.append(await to_thread.run_sync(lambda: "thread"))
    send, receive = anyio.create_memory_object_stream(1)
    async with send, receive:
        await send.send("stream")
        seen.append(await receive.receive())
    return sorted(seen)
""",
    "fetch_self.py": """
from __future__ import annotations
import httpx, os
from typing import Any
async def fetch_self(name: str, args: list[Any]) -> object:
    async with httpx.AsyncClient(base_url=os.environ["SELF"], trust_env=False) as client:
        response = await client.post(f"/isomor/api/{name}", json={"args": args})
        return response.raise_for_status().json()["result"]
""",
    "fetch_self_sync.py": """
from __future__ import annotations
import httpx, os
from typing import Any
def fetch_self_sync(name: str, args: list[Any]) -> object:
    with httpx.Client(base_url=os.environ["SELF"], trust_env=False) as client:
        return client.post(f"/isomor/api/{name}", json={"args": args}).raise_for_status().json()["result"]
""",
    "use_redis.py": """
from __future__ import annotations
import asyncio
import redis.asyncio
async def use_redis(url: str, key: str) -> list[str]:
    async with redis.asyncio.from_url(url, decode_responses=True) as client:
        async with client.pubsub() as pubsub:
            await pubsub.subscribe(key)
            await client.set(key, "value", ex=60)
            async with client.pipeline() as pipe:
                got, _ = await pipe.get(key).publish(key, "published").execute()
            async with asyncio.timeout(20):
                async for message in pubsub.listen():
                    if message["type"] == "message":
                        return [got, message["data"]]
    return []
""",
    "processes.py": """
import asyncio, sys
async def processes() -> str:
    command = [sys.executable, "-c", "print('child')"]
    process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
    out, _ = await process.communicate()
    return out.decode().strip()
""",
    "loop_in_thread.py": """
import asyncio
async def inner() -> str:
    await asyncio.sleep(0)
    return "own loop"
def loop_in_thread() -> str:
    return asyncio.run(inner())
""",
    "queue_put.py": """
from ._queue import queue
async def queue_put(value: int) -> None:
    await queue.put(value)
""",
    "queue_get.py": """
from ._queue import queue
async def queue_get() -> int:
    return await queue.get()
""",
    "_queue.py": "import asyncio\nqueue: asyncio.Queue[int] = asyncio.Queue()",
    # ---- Context variables
    "_var.py": "from contextvars import ContextVar\nvar: ContextVar[str] = ContextVar('var', default='nothing')",
    "set_var.py": """
from ._var import var
async def set_var(value: str) -> str:
    before = var.get()
    var.set(value)
    return before
""",
    "set_var_sync.py": """
from ._var import var
def set_var_sync(value: str) -> str:
    before = var.get()
    var.set(value)
    return before
""",
    "set_var_and_wait.py": """
from __future__ import annotations
import asyncio
from ._var import var
from ._gate import gate
async def set_var_and_wait(value: str) -> str:
    var.set(value)
    await gate.wait()
    return var.get()
""",
    "_gate.py": "import asyncio\ngate = asyncio.Event()",
    "open_gate.py": "from ._gate import gate\nasync def open_gate() -> None: gate.set()",
    # ---- What goes wrong
    "fails.py": """
import asyncio
from isomor import ApiError
def stop_iteration():
    raise StopIteration
ERRORS = {
    "ValueError": ValueError("s3cret"),
    "SystemExit": SystemExit(3),
    "CancelledError": asyncio.CancelledError(),
    "KeyboardInterrupt": KeyboardInterrupt(),
    "GeneratorExit": GeneratorExit(),
    "ExceptionGroup": ExceptionGroup("s3cret", [ValueError("s3cret")]),
}
async def fails(kind: str) -> None:
    raise ERRORS[kind]
""",
    "fails_sync.py": "from .fails import ERRORS\ndef fails_sync(kind: str) -> None:\n    raise ERRORS[kind]",
    "refuses.py": """
from isomor import ApiError
async def refuses() -> None:
    raise ApiError("Not today", code="CLOSED", status=403, details={"until": "tomorrow"})
""",
    "refuses_sync.py": """
from isomor import ApiError
class Closed(ApiError):
    def __init__(self): super().__init__("Not today", code="CLOSED", status=403, details={"until": "tomorrow"})
def refuses_sync() -> None:
    raise Closed
""",
    "returns_rubbish.py": "async def returns_rubbish() -> object: return object()",
    "returns_nan.py": "async def returns_nan() -> float: return float('nan')",
    # ---- Types
    "greet.py": """
from __future__ import annotations
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING
if TYPE_CHECKING:
    from isomor import Context
@dataclass
class Person:
    name: str
    born: datetime | None = None
    friends: list[Person] = field(default_factory=list)
    def __post_init__(self) -> None:
        if not self.name:
            raise ValueError("a name is not empty")
async def greet(person: Person, ctx: Context, times: int = 1) -> list[Person]:
    assert isinstance(person, Person)
    return [person] * times
""",
    "sign_up.py": """
from __future__ import annotations
from pydantic import BaseModel, Field
class User(BaseModel):
    name: str = Field(min_length=2)
    email: str = Field(pattern="@")
class Account(BaseModel):
    id: int
    user: User
async def sign_up(user: User) -> Account:
    return Account(id=1, user=user)
""",
    # ---- The connection
    "push_thread.py": """
import threading
from isomor import WsContext
def push_thread(ctx: WsContext, count: int, wait: bool) -> None:
    def work() -> None:
        for number in range(count):
            outcome = ctx.push(number)
            if wait:
                outcome.wait(30)
    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
""",
    "push_late.py": """
import threading
from isomor import WsContext
async def push_late(ctx: WsContext) -> str:
    threading.Timer(0.01, lambda: ctx.push("late")).start()
    return "answered"
""",
    "push_sync.py": """
from isomor import WsContext
def push_sync(ctx: WsContext) -> None:
    ctx.push("not waited for")
    ctx.push("waited for").wait()
""",
    "push_many.py": """
from isomor import WsContext
async def push_many(ctx: WsContext, count: int, awaited: bool) -> None:
    for number in range(count):
        outcome = ctx.push(number)
        if awaited:
            await outcome
""",
    "push_big.py": """
from isomor import WsContext
async def push_big(ctx: WsContext, count: int) -> int:
    for number in range(count):
        await ctx.push("x" * 10_000)
    return count
""",
    "push_rubbish.py": """
from isomor import WsContext
async def push_rubbish(ctx: WsContext) -> str:
    try:
        await ctx.push(object())
    except TypeError as error:
        return str(error)
""",
    "push_rubbish_unasked.py": """
from isomor import WsContext
async def push_rubbish_unasked(ctx: WsContext) -> str:
    ctx.push(object())
    return "went on"
""",
    "keep.py": """
from isomor import WsContext
from .lib.kept import contexts
async def keep(ctx: WsContext, name: str) -> str:
    contexts[name] = ctx
    return ctx.ws.id
""",
    "push_kept.py": """
from isomor import ConnectionClosed
from api.lib.kept import contexts
async def push_kept(name: str, payload: str) -> str:
    try:
        await contexts[name].push(payload)
    except ConnectionClosed as error:
        return f"ConnectionClosed: {error}"
    return "pushed"
""",
    "push_kept_sync.py": """
from isomor import ConnectionClosed
from api.lib.kept import contexts
def push_kept_sync(name: str, payload: str) -> str:
    try:
        contexts[name].push(payload).wait(30)
    except ConnectionClosed as error:
        return f"ConnectionClosed: {error}"
    return "pushed"
""",
    "use_kept.py": """
from isomor import ConnectionClosed
from api.lib.kept import contexts
async def use_kept(name: str) -> list[str]:
    ctx = contexts[name]
    async def never() -> None:
        raise AssertionError("it ran")
    failed = []
    for what, act in {
        "join": lambda: ctx.join("topic"),
        "set_ws_config": lambda: ctx.set_ws_config(with_cookie=True),
    }.items():
        try:
            await act()
        except ConnectionClosed:
            failed.append(what)
    try:
        ctx.spawn(never())
    except ConnectionClosed:
        failed.append("spawn")
    await ctx.leave("topic")
    ctx.ws.close()
    ctx.push("nobody awaits this")
    return failed
""",
    "spawn.py": """
from __future__ import annotations
import asyncio
from isomor import WsContext
from api.lib.kept import said
async def spawn(ctx: WsContext, name: str, key: str | None = None) -> None:
    async def work() -> None:
        said.append(f"{name} began")
        try:
            while True:
                await ctx.push(name)
                await asyncio.sleep(0.01)
        finally:
            said.append(f"{name} ended")
    ctx.spawn(work(), key=key)
""",
    "spawn_sync.py": """
from __future__ import annotations
from isomor import WsContext
def spawn_sync(ctx: WsContext) -> None:
    async def work() -> None:
        await ctx.push("from a task of a thread")
    ctx.spawn(work())
""",
    "spawn_fails.py": """
from __future__ import annotations
from isomor import WsContext
async def spawn_fails(ctx: WsContext) -> None:
    async def work() -> None:
        await ctx.push("before")
        raise RuntimeError("the spawned one")
    ctx.spawn(work())
""",
    "said.py": "from .lib import kept\nasync def said() -> list[str]: return list(kept.said)",
    "my_id.py": "from isomor import WsContext\nasync def my_id(ctx: WsContext) -> str: return ctx.ws.id",
    "close.py": """
from isomor import WsContext
async def close(ctx: WsContext, code: int, reason: str) -> None: ctx.ws.close(code, reason)
""",
    "close_plain.py": "from isomor import WsContext\nasync def close_plain(ctx: WsContext) -> None: ctx.ws.close()",
    "close_sync.py": """
from isomor import WsContext
def close_sync(ctx: WsContext) -> None: ctx.ws.close(4321, reason="from a thread")
""",
    "join.py": """
from isomor import WsContext
async def join(ctx: WsContext, topic: str) -> None:
    await ctx.join(topic)
""",
    "join_sync.py": """
from isomor import WsContext
def join_sync(ctx: WsContext, topic: str) -> None: ctx.join(topic).wait(30)
""",
    "join_unawaited.py": """
from isomor import WsContext, push
async def join_unawaited(ctx: WsContext, topic: str) -> None:
    ctx.join(topic)
    push("right after", topic=topic)
""",
    "leave.py": """
from isomor import WsContext
async def leave(ctx: WsContext, topic: str) -> None:
    await ctx.leave(topic)
""",
    "publish.py": """
from __future__ import annotations
from typing import Any
from isomor import push
async def publish(payload: Any, topic: str | None = None, to: str | None = None) -> None:
    await push(payload, topic=topic, to=to)
""",
    "publish_sync.py": """
from __future__ import annotations
from typing import Any
import isomor
def publish_sync(payload: Any, topic: str | None = None, to: str | None = None) -> None:
    isomor.push(payload, topic=topic, to=to).wait(30)
""",
    "publish_badly.py": """
from __future__ import annotations
from isomor import push
async def publish_badly(topic: object, to: object) -> str:
    try:
        await push(1, topic=topic, to=to)
    except (TypeError, ValueError) as error:
        return str(error)
""",
    # ---- What a context says
    "describe.py": """
from __future__ import annotations
from typing import Any
from isomor import Context
def describe(ctx: Context) -> dict[str, Any]:
    req = ctx.req
    return {
        "type": ctx.type, "function": ctx.function, "cookies": dict(ctx.cookies),
        "all": {name: req.cookies.get(name) for name in req.cookies},
        "header": req.headers.get("x-mark"), "ip": req.ip, "path": req.path, "query": req.query_args,
        "app": req.app.name, "mine": req.app.ctx.mine,
    }
""",
    "who.py": "from ._user import user\nasync def who() -> str | None: return user.get()",
    "who_sync.py": "from ._user import user\ndef who_sync() -> str | None: return user.get()",
    "_user.py": """
from contextvars import ContextVar
user: ContextVar[str | None] = ContextVar("user", default=None)
""",
    "startup.py": """
import asyncio, contextlib
from isomor import ApiError, ConnectionClosed, push
from sanic import Request, Sanic
from sanic.response import text
from ._user import user
from .lib.kept import said

def startup(app: Sanic) -> None:
    app.ctx.mine = "mine"

    async def clock(app):
        number = 0
        with contextlib.suppress(ConnectionClosed):
            while True:
                number += 1
                await push(number, topic="clock")
                await asyncio.sleep(0.01)

    app.add_task(clock)

    @app.before_server_start
    async def before(app):
        said.append("before_server_start")

    @app.after_server_start
    async def after(app):
        said.append("after_server_start")
        app.add_task(push("at start"))

    @app.before_server_stop
    async def stopping(app):
        print("before_server_stop", flush=True)

    @app.after_server_stop
    async def stopped(app):
        print("after_server_stop", flush=True)

    @app.on_request
    async def mark(request: Request):
        request.ctx.mark = "seen"
        if request.headers.get("x-stop"):
            return text("stopped by middleware", status=418)

    @app.on_response
    async def header(request: Request, response):
        response.headers["x-mark"] = request.ctx.mark

    @app.get("/mine")
    async def mine(request: Request):
        return text("my own route")

    @app.get("/mine/broken")
    async def broken(request: Request):
        raise ValueError("s3cret")

async def before_call(ctx) -> None:
    await asyncio.sleep(0)
    user.set(ctx.req.headers.get("x-user"))
    if ctx.req.headers.get("x-user") == "mallory":
        raise ApiError("Go away", "FORBIDDEN", 403)

async def on_connect(ctx) -> None:
    if ctx.req.headers.get("x-user") == "mallory":
        raise ApiError("Go away")
    if ctx.req.headers.get("x-user") == "broken":
        raise RuntimeError("s3cret")
    await ctx.join("everyone here")
    if ctx.req.headers.get("x-greet"):
        await ctx.push(f"hello {ctx.function}{ctx.type}")
""",
}


@pytest.fixture(scope="module")
def server(serve_module) -> Server:
    port = free_port()
    return serve_module(API, port=port, env={"SELF": f"http://127.0.0.1:{port}"})


Call = Callable[..., Any]


@pytest.fixture(params=["http", "ws"])
def call(request: pytest.FixtureRequest, server: Server) -> Iterator[Call]:
    """Call a function, over either transport."""
    if request.param == "http":
        yield server.call
    else:
        with server.ws() as ws:
            yield ws.call


@pytest.fixture
def ws(server: Server) -> Iterator[WebSocket]:
    with server.ws() as opened:
        yield opened


@pytest.fixture
def other(server: Server) -> Iterator[WebSocket]:
    with server.ws() as opened:
        yield opened


@pytest.fixture(scope="module")
def redis_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    program = shutil.which("redis-server")
    assert program, "redis-server is needed: `make test-setup` installs it, or says how"
    port = free_port()
    folder = tmp_path_factory.mktemp("redis")
    process = subprocess.Popen(
        [program, "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", str(folder)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        with redis.Redis(port=port) as client:
            wait_until(lambda: _answers(client), "Redis")
        yield f"redis://127.0.0.1:{port}/0"
    finally:
        process.terminate()
        process.wait()


def _answers(client: redis.Redis) -> bool:
    with contextlib.suppress(redis.ConnectionError):
        return bool(client.ping())
    return False


# ---- asyncio, and its friends --------------------------------------------------------------------------------------


def test_timeouts(call):
    assert call("timeouts") == ["in time", "timeout", "wait_for", "1 done"]


def test_a_timeout_before_the_first_wait(call):
    with pytest.raises(CallFailed, match="INTERNAL"):
        call("first_is_timeout")


def test_task_groups(call):
    assert call("groups", [1, 2, 3]) == [2, 4, 6]


def test_a_task_group_that_fails(call):
    before = call("group_fails", True)
    assert call("group_fails", True) == before + 1
    with pytest.raises(CallFailed, match="INTERNAL"):
        call("group_fails", False)


def test_anyio(call):
    assert call("use_anyio") == ["a", "b", "fail_after", "stream", "thread"]


@pytest.mark.parametrize("name", ["fetch_self", "fetch_self_sync"])
def test_httpx_against_the_server_itself(call, name):
    assert call(name, "groups", [[1, 2]]) == [2, 4]
    assert call(name, name, ["groups", [[1]]]) == [2]


def test_redis(call, redis_url):
    assert call("use_redis", redis_url, "key") == ["value", "published"]


def test_a_child_process(call):
    assert call("processes") == "child"


def test_a_loop_of_its_own_in_a_thread(call):
    assert call("loop_in_thread") == "own loop"


def test_calls_that_wait_for_each_other(server, ws):
    waiting = [ws.send_call("queue_get") for _ in range(3)]
    for number in range(3):
        server.call("queue_put", number)
    assert [ws.result(call_id) for call_id in waiting] == [0, 1, 2]


# ---- Context variables -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["set_var", "set_var_sync"])
def test_a_context_variable_never_shows_in_another_call(call, name):
    assert [call(name, str(number)) for number in range(5)] == ["nothing"] * 5
    assert call("set_var", "x") == "nothing"
    assert call("set_var_sync", "x") == "nothing"


def test_a_context_variable_of_calls_that_overlap(server, ws, other):
    ids = {ws.send_call("set_var_and_wait", f"ws {number}"): f"ws {number}" for number in range(5)}
    others = {other.send_call("set_var_and_wait", f"other {number}"): f"other {number}" for number in range(5)}
    ws.ping()
    other.ping()
    assert server.call("set_var", "x") == "nothing"
    server.call("open_gate")
    assert {call_id: ws.result(call_id) for call_id in ids} == ids
    assert {call_id: other.result(call_id) for call_id in others} == others


@pytest.mark.parametrize("name", ["who", "who_sync"])
def test_what_before_call_sets_is_seen_by_the_call(server, name):
    assert server.call(name, headers={"x-user": "ada"}) == "ada"
    assert server.call(name) is None
    with server.ws(additional_headers={"x-user": "grace"}) as ws:
        assert ws.call(name) == "grace"
    assert server.call(name) is None


# ---- What goes wrong ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["fails", "fails_sync"])
@pytest.mark.parametrize("kind", ["ValueError", "SystemExit", "CancelledError", "KeyboardInterrupt", "ExceptionGroup"])
def test_whatever_is_raised_is_answered(server, call, name, kind):
    with pytest.raises(CallFailed) as caught:
        call(name, kind)
    assert (caught.value.code, caught.value.status) == ("INTERNAL", 500)
    assert "s3cret" not in caught.value.message
    assert caught.value.error_id
    assert f"{name} failed, errorId {caught.value.error_id}" in server.wait_for_log(caught.value.error_id)
    assert call("groups", [1]) == [2]


@pytest.mark.parametrize("name", ["refuses", "refuses_sync"])
def test_an_api_error_comes_as_it_is(call, name):
    with pytest.raises(CallFailed) as caught:
        call(name)
    error = caught.value
    assert (error.message, error.code, error.status, error.details) == (
        "Not today",
        "CLOSED",
        403,
        {"until": "tomorrow"},
    )
    assert error.error_id is None


@pytest.mark.parametrize("name", ["returns_rubbish", "returns_nan"])
def test_a_result_that_cannot_be_sent(server, call, name):
    with pytest.raises(CallFailed) as caught:
        call(name)
    assert caught.value.code == "INTERNAL"
    log = server.wait_for_log(caught.value.error_id)
    assert any(f": result: {what} has no form in JSON" in log for what in ("object", "float nan"))


# ---- Types -------------------------------------------------------------------------------------------------------


def test_dataclasses(call):
    ada = {"name": "Ada", "born": "1815-12-10T00:00:00Z", "friends": [{"name": "Charles", "born": None, "friends": []}]}
    assert call("greet", ada) == [ada]
    assert call("greet", ada, 2) == [ada, ada]
    with pytest.raises(CallFailed) as caught:
        call("greet", {"name": "", "friends": []}, "x")
    assert [detail["path"] for detail in caught.value.details] == ["", ""]
    assert "a name is not empty" in caught.value.details[0]["message"]


def test_pydantic_models(call):
    pytest.importorskip("pydantic")
    user = {"name": "Ada", "email": "ada@example.com"}
    assert call("sign_up", user) == {"id": 1, "user": user}
    with pytest.raises(CallFailed) as caught:
        call("sign_up", {"name": "A", "email": "x"})
    assert [detail["path"] for detail in caught.value.details] == ["name", "email"]


# ---- Pushes to the caller ----------------------------------------------------------------------------------------


def test_a_push_says_of_which_call_it_came(ws):
    call_id = ws.send_call("push_many", 2, True)
    messages = [ws.receive(lambda message: message["action"] == "PUSH") for _ in range(2)]
    assert messages == [{"action": "PUSH", "payload": number, "id": call_id} for number in range(2)]
    ws.result(call_id)


@pytest.mark.parametrize("awaited", [True, False])
def test_pushes_arrive_in_order_and_before_the_answer(ws, awaited):
    ws.call("push_many", 500, awaited)
    assert [message["payload"] for message in ws.inbox] == list(range(500))


@pytest.mark.parametrize("wait", [True, False])
def test_a_thread_pushes(ws, wait):
    ws.call("push_thread", 100, wait)
    assert [ws.push() for _ in range(100)] == list(range(100))


def test_a_thread_pushes_after_the_answer(ws):
    assert ws.call("push_late") == "answered"
    assert ws.push() == "late"


def test_a_plain_function_pushes(ws):
    ws.call("push_sync")
    assert [ws.push(), ws.push()] == ["not waited for", "waited for"]


def test_more_than_the_outbox_holds(ws):
    assert ws.call("push_big", 500) == 500
    assert sum(message["action"] == "PUSH" for message in ws.inbox) == 500


def test_a_push_that_cannot_be_sent(server, ws):
    assert ws.call("push_rubbish") == "payload: object has no form in JSON"
    assert ws.call("push_rubbish_unasked") == "went on"
    server.wait_for_log("ctx.push failed, and nobody awaited it: payload: object has no form in JSON")


@pytest.mark.parametrize("push_kept", ["push_kept", "push_kept_sync"])
def test_a_push_to_a_connection_that_is_gone_reaches_nobody(server, other, push_kept):
    other.call("keep", "other")
    with server.ws() as ws:
        ws.call("keep", "gone")
        assert server.call(push_kept, "gone", "here") == "pushed"
        assert ws.push() == "here"
    wait_until(lambda: server.call(push_kept, "gone", "lost").startswith("ConnectionClosed"))
    with server.ws() as newcomer:
        assert server.call(push_kept, "gone", "lost").startswith("ConnectionClosed: ctx.push")
        assert server.call(push_kept, "other", "found") == "pushed"
        assert other.push() == "found"
        for socket in (other, newcomer):
            socket.ping()
            assert [message for message in socket.inbox if message.get("payload") == "lost"] == []


def test_nothing_works_on_a_connection_that_is_gone(server):
    with server.ws() as ws:
        ws.call("keep", "gone")
    wait_until(lambda: server.call("push_kept", "gone", "lost").startswith("ConnectionClosed"))
    assert server.call("use_kept", "gone") == ["join", "set_ws_config", "spawn"]
    server.wait_for_log("ctx.push failed, and nobody awaited it: ctx.push: the connection is closed")


# ---- Tasks -------------------------------------------------------------------------------------------------------


def said(server: Server, *parts: str) -> None:
    wait_until(lambda: set(parts) <= set(server.call("said")), f"{parts} to be said")


def test_a_spawned_task_ends_with_its_connection(server):
    with server.ws() as ws:
        ws.call("spawn", "endless")
        assert ws.push() == "endless"
        assert "endless ended" not in server.call("said")
    said(server, "endless ended")


def test_a_spawned_task_ends_with_a_connection_that_is_cut(server):
    with server.raw_ws() as ws:
        ws.send_json({"action": "API", "id": 1, "urlPath": "/isomor/api/spawn", "args": ["cut"]})
        said(server, "cut began")
        ws.connection.reset()
    said(server, "cut ended")


def test_a_second_task_of_the_same_key_replaces_the_first(server, ws):
    ws.call("spawn", "first", "key")
    assert ws.push() == "first"
    ws.call("spawn", "second", "key")
    said(server, "first ended", "second began")
    ws.receive(lambda message: message["payload"] == "second")
    ws.ping()
    assert "second ended" not in server.call("said")


def test_keys_of_other_connections_and_no_key_replace_nothing(server, ws, other):
    ws.call("spawn", "mine", "key")
    other.call("spawn", "theirs", "key")
    ws.call("spawn", "keyless")
    ws.call("spawn", "keyless too")
    ws.call("spawn", "another", "other key")
    said(server, *(f"{name} began" for name in ("mine", "theirs", "keyless", "keyless too", "another")))
    for name in ("mine", "keyless", "keyless too", "another"):
        ws.receive(lambda message, name=name: message.get("payload") == name)
    assert not {"mine ended", "theirs ended", "keyless ended"} & set(server.call("said"))


def test_a_task_that_fails_is_logged(server, ws):
    ws.call("spawn_fails")
    assert ws.push() == "before"
    server.wait_for_log("RuntimeError: the spawned one")


def test_a_thread_spawns(ws):
    ws.call("spawn_sync")
    assert ws.push() == "from a task of a thread"


# ---- The connection ----------------------------------------------------------------------------------------------


def test_the_id_of_a_connection(ws, other):
    assert ws.call("my_id") == ws.call("my_id")
    assert isinstance(ws.call("my_id"), str)
    assert len(ws.call("my_id")) > 20
    assert ws.call("my_id") != other.call("my_id")


def test_a_function_closes_the_connection(server):
    for name, args, code in (("close", [4321, "enough"], 4321), ("close_plain", [], 1000), ("close_sync", [], 4321)):
        with server.ws() as ws:
            ws.send_call(name, *args)
            assert ws.wait_closed() == code


@pytest.mark.parametrize(("code", "reason"), [(1001, ""), (999, ""), (5000, ""), (1006, ""), (1000, "x" * 124)])
def test_a_close_that_cannot_be_sent(server, ws, code, reason):
    with pytest.raises(CallFailed) as caught:
        ws.call("close", code, reason)
    assert "ValueError: close(" in server.wait_for_log(caught.value.error_id)
    assert ws.call("groups", [1]) == [2]


# ---- Topics ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("publish", ["publish", "publish_sync"])
def test_a_topic(server, ws, other, publish):
    topic = f"colour {publish}"
    ws.call("join", topic)
    other.call("join_sync", topic)
    server.call(publish, {"to": "both"}, topic)
    for socket in (ws, other):
        message = socket.receive(lambda message: message.get("topic") == topic)
        assert message == {"action": "PUSH", "payload": {"to": "both"}, "topic": topic}
    ws.call("leave", topic)
    server.call(publish, "to one", topic)
    assert other.push(topic) == "to one"
    ws.ping()
    assert [message for message in ws.inbox if message.get("topic") == topic] == []


def test_joining_twice_is_joining_once(server, ws):
    ws.call("join", "twice")
    ws.call("join", "twice")
    server.call("publish", 1, "twice")
    server.call("publish", 2, "twice")
    assert [ws.push("twice"), ws.push("twice")] == [1, 2]
    ws.call("leave", "twice")
    server.call("publish", 3, "twice")
    ws.ping()
    assert [message for message in ws.inbox if message.get("topic") == "twice"] == []


def test_joining_takes_effect_when_called(ws):
    ws.call("join_unawaited", "at once")
    ws.call("join", "at once")
    ws.call("publish", "later", "at once")
    assert ws.push("at once") == "right after"


def test_a_topic_that_none_joined_and_one_that_is_odd(server, ws):
    server.call("publish", 1, "nobody")
    for topic in ("é\n\u0000{}:*", "x" * 256, "all", "topic:nobody"):
        ws.call("join", topic)
        server.call("publish", topic, topic)
        assert ws.push(topic) == topic
    for topic in ("", "x" * 257):
        with pytest.raises(CallFailed, match="INTERNAL"):
            ws.call("join", topic)


def test_everyone(server, ws, other):
    server.call("publish", "to everyone")
    for socket in (ws, other):
        message = socket.receive(lambda message: message.get("payload") == "to everyone")
        assert message == {"action": "PUSH", "payload": "to everyone"}


@pytest.mark.parametrize("publish", ["publish", "publish_sync"])
def test_one_connection_from_anywhere(server, ws, other, publish):
    server.call(publish, "to one", None, ws.call("my_id"))
    assert ws.receive(lambda message: message["action"] == "PUSH") == {"action": "PUSH", "payload": "to one"}
    other.ping()
    assert [message for message in other.inbox if message.get("payload") == "to one"] == []


def test_one_connection_that_is_gone(server, other):
    with server.ws() as ws:
        name = ws.call("my_id")
    assert server.call("publish", "lost", None, name) is None
    other.ping()
    assert [message for message in other.inbox if message.get("payload") == "lost"] == []


def test_pushes_that_cannot_be(server):
    assert "give one of them" in server.call("publish_badly", "a", "b")
    assert "the id of a connection" in server.call("publish_badly", None, "x")
    assert "the id of a connection" in server.call("publish_badly", None, 5)
    assert "topic=" in server.call("publish_badly", 5, None)


# ---- Startup -----------------------------------------------------------------------------------------------------


def test_listeners_run(server):
    assert server.call("said")[:2] == ["before_server_start", "after_server_start"]


def test_a_background_task_pushes(ws):
    ws.call("join", "clock")
    first = ws.push("clock")
    assert [ws.push("clock") for _ in range(3)] == [first + 1, first + 2, first + 3]


def test_middleware_and_routes_of_the_users_own(server):
    assert server.http.get("/mine").text == "my own route"
    assert server.http.get("/mine").headers["x-mark"] == "seen"
    response = server.post("groups", [1])
    assert response.json() == {"result": [2]}
    assert response.headers["x-mark"] == "seen"
    stopped = server.post("groups", [1], headers={"x-stop": "1"})
    assert (stopped.status_code, stopped.text) == (418, "stopped by middleware")


def test_a_route_of_the_users_own_that_fails(server):
    response = server.http.get("/mine/broken")
    assert response.status_code == 500
    assert response.json()["code"] == "INTERNAL"
    assert "s3cret" not in response.text
    server.wait_for_log(response.json()["errorId"])


def test_before_call_refuses(server):
    with pytest.raises(CallFailed) as caught:
        server.call("who", headers={"x-user": "mallory"})
    assert (caught.value.message, caught.value.code, caught.value.status) == ("Go away", "FORBIDDEN", 403)


def test_on_connect_refuses_joins_and_pushes(server, ws):
    with server.ws(additional_headers={"x-user": "mallory"}) as refused:
        assert refused.wait_closed() == 1008
    with server.ws(additional_headers={"x-user": "broken"}) as broken:
        assert broken.wait_closed() == 1011
    with server.ws(additional_headers={"x-greet": "1"}) as greeted:
        assert greeted.push() == "hello ws"
        server.call("publish", "welcome", "everyone here")
        assert greeted.push("everyone here") == "welcome"
        assert ws.push("everyone here") == "welcome"


# ---- What a context says -----------------------------------------------------------------------------------------


def test_a_context_over_http(server):
    assert server.call("describe", headers={"x-mark": "m", "cookie": "a=1; b=2"}, params={"q": "1"}) == {
        "type": "http",
        "function": "describe",
        "cookies": {"a": "1", "b": "2"},
        "all": {"a": "1", "b": "2"},
        "header": "m",
        "ip": "127.0.0.1",
        "path": "/isomor/api/describe",
        "query": [["q", "1"]],
        "app": "isomor",
        "mine": "mine",
    }


@pytest.mark.parametrize("path", ["/", "/isomor/ws"])
def test_a_context_over_websocket(server, path):
    with server.ws(f"{path}?q=1", additional_headers={"x-mark": "m", "cookie": "a=1; b=2"}) as ws:
        assert ws.call("describe", cookie="c=3") == {
            "type": "ws",
            "function": "describe",
            "cookies": {"c": "3"},
            "all": {"a": "1", "b": "2"},
            "header": "m",
            "ip": "127.0.0.1",
            "path": path,
            "query": [["q", "1"]],
            "app": "isomor",
            "mine": "mine",
        }
        assert ws.call("describe")["cookies"] == {}


# ---- The end -----------------------------------------------------------------------------------------------------


def test_the_users_listeners_run_as_it_stops(serve):
    server = serve({"startup.py": API["startup.py"], "_user.py": API["_user.py"], "lib/kept.py": API["lib/kept.py"]})
    with server.ws() as ws:
        ws.ping()
        server.signal()
        assert ws.wait_closed() == 1012
    assert server.wait() == 0
    assert server.log.index("before_server_stop") < server.log.index("after_server_stop")


def test_a_background_task_that_pushes_ends_quietly(tmp_path):
    startup = """
import asyncio
from isomor import push
def startup(app):
    async def clock():
        while True:
            await push("tick")
            await asyncio.sleep(0)
    app.add_task(clock())
    @app.after_server_stop
    async def slow(app):
        await asyncio.sleep(0.1)
"""
    with Server(tmp_path, {"startup.py": startup}) as server:
        assert server.stop() == 0
