"""What one connection, or one function behind it, must not do to itself or to the others."""

from __future__ import annotations

import json

import pytest
from harness import CLOSE, TEXT, Server, frame, wait_until

API = {
    "add.py": "async def add(a: int, b: int) -> int:\n    return a + b\n",
    "echo.py": "async def echo(value=None):\n    return value\n",
    "wait.py": "import asyncio\n\nasync def wait() -> None:\n    await asyncio.sleep(0.2)\n",
    "refuse.py": """
from isomor import ApiError

async def refuse(how: str) -> None:
    raise ApiError({"surrogate": "\\ud800", "exception": ValueError("x"), "bytes": b"x"}[how])
""",
    "spawn_exit.py": """
import sys
from isomor import WsContext

async def spawn_exit(ctx: WsContext) -> None:
    async def end() -> None:
        sys.exit(3)
    ctx.spawn(end())
""",
    "spawn_interrupt.py": """
from isomor import WsContext

async def spawn_interrupt(ctx: WsContext) -> None:
    async def end() -> None:
        raise KeyboardInterrupt
    ctx.spawn(end())
""",
}


@pytest.fixture
def server(serve) -> Server:
    return serve(API, env={"ISOMOR_WS": ".*", "ISOMOR_WS_MAX_CALLS_IN_FLIGHT": "1"})


def call(name: str, *args: object, call_id: int) -> bytes:
    message = {"action": "API", "id": call_id, "urlPath": f"/isomor/api/{name}", "args": args}
    return frame(TEXT, json.dumps(message).encode())


def test_connection_is_read_on_after_the_last_waiting_call_was_cancelled(server):
    with server.raw_ws() as ws:
        # In one packet: the second waits and pauses reading, the third takes it away again.
        ws.send_bytes(call("wait", call_id=1) + call("wait", call_id=2) + frame(TEXT, b'{"action":"CANCEL","id":2}'))
        assert {ws.receive_json()["id"], ws.receive_json()["id"]} == {1, 2}
        ws.send_bytes(call("add", 1, 2, call_id=3))
        assert ws.receive_json() == {"action": "API_RES", "id": 3, "payload": 3}


@pytest.mark.parametrize("how", ["surrogate", "exception", "bytes"])
def test_api_error_with_a_message_that_cannot_be_sent_is_answered(server, how):
    with server.ws() as ws:
        assert ws.answer(ws.send_call("refuse", how))["status"] in (400, 500)
    assert server.post("refuse", how).status_code in (400, 500)


@pytest.mark.parametrize("name", ["spawn_exit", "spawn_interrupt"])
def test_spawned_task_cannot_end_the_server(server, name):
    with server.ws() as ws:
        assert ws.call(name) is None
        ws.ping()
        server.wait_for_log("failed")
    assert server.call("add", 1, 2) == 3
    assert server.running


@pytest.mark.parametrize("kind", ["SystemExit", "KeyboardInterrupt", "asyncio.CancelledError", "ValueError"])
@pytest.mark.parametrize("prefix", ["", "async "])
def test_on_connect_cannot_end_the_server(serve, kind, prefix):
    startup = f"import asyncio\n\n{prefix}def on_connect(ctx) -> None:\n    raise {kind}\n"
    server = serve(API | {"startup.py": startup})
    with server.ws() as ws:
        assert ws.wait_closed() == 1011
    assert server.call("add", 1, 2) == 3


@pytest.mark.parametrize("args", ["[1e400]", "[-1e400]", "[" + "1" * 5000 + "]"], ids=["inf", "-inf", "digits"])
@pytest.mark.parametrize("name", ["add", "echo"])
def test_number_that_is_out_of_range_is_the_callers_fault(server, args, name):
    with server.raw_ws() as ws:
        ws.send(TEXT, f'{{"action":"API","id":1,"urlPath":"/isomor/api/{name}","args":{args}}}'.encode())
        assert ws.receive_json()["code"] in ("INVALID_ARGS", "BAD_MESSAGE")
    headers = {"Content-Type": "application/json"}
    response = server.http.post(f"/isomor/api/{name}", content=f'{{"args":{args}}}', headers=headers)
    assert response.status_code in (400, 422)


def test_wrong_message_with_half_a_character_for_its_id_is_answered(server):
    with server.raw_ws() as ws:
        ws.send(TEXT, b'{"action":"API","id":"\\ud800"}')
        answer = ws.receive_json()
        assert (answer["id"], answer["code"]) == (None, "BAD_MESSAGE")
        ws.send_bytes(call("add", 1, 2, call_id=3))
        assert ws.receive_json() == {"action": "API_RES", "id": 3, "payload": 3}


@pytest.mark.parametrize("origin", ["http://[", "http://[::1", "://", "x", "http://a b", "http://@", "http://[]:x"])
def test_malformed_origin_is_refused(server, origin):
    assert server.post("add", 1, 2, headers={"Origin": origin}).status_code == 403
    with pytest.raises(AssertionError, match="status=403"):
        server.raw_ws(headers={"Origin": origin})
    assert "Traceback" not in server.log


def test_handshake_with_a_cookie_of_raw_utf8_opens(server):
    # Browsers send what `document.cookie = "a=é"` has set as it stands.
    with server.raw() as connection:
        connection.send(
            "GET / HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nCookie: a=é\r\n"
            "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n".encode()
        )
        assert connection.response("GET").status == 101


def test_caller_who_leaves_is_no_error(server):
    with server.raw() as connection:
        connection.request("POST", "/isomor/api/wait", b"{}", {"Content-Type": "application/json"})
        connection.reset()
    with server.ws() as ws:
        ws.call("wait")
    assert "ERROR" not in server.log


def test_function_that_will_not_be_cancelled_does_not_hold_the_exit(serve):
    swallow = """
import asyncio

async def swallow() -> None:
    while True:
        try:
            await asyncio.sleep(100)
        except asyncio.CancelledError:
            pass
"""
    server = serve({"swallow.py": swallow}, env={"ISOMOR_CALL_TIMEOUT": "0.2"})
    assert server.post("swallow").status_code == 504
    assert server.stop() == 0


def test_fault_of_the_server_itself_is_logged_and_ends_one_connection(serve):
    break_it = """
from isomor.server.connection import WsConnection

async def break_it() -> None:
    read = WsConnection._on_text

    def fail_once(self, text: str) -> None:
        WsConnection._on_text = read
        raise LookupError("a fault of ours")

    WsConnection._on_text = fail_once
"""
    server = serve(API | {"break_it.py": break_it})
    assert server.call("break_it") is None
    with server.raw_ws() as ws:
        ws.send(TEXT, b"{}")
        assert ws.wait_closed() == 1011
    assert "LookupError: a fault of ours" in server.log
    with server.ws() as ws:
        assert ws.call("add", 1, 2) == 3


LEFTOVERS = {
    "startup.py": "import gc\n\ndef startup(app) -> None:\n    gc.disable()\n",
    "add.py": API["add.py"],
    "count.py": """
import gc
from collections import Counter

KINDS = ("WsConnection", "Peer", "Outbox", "WSTransport", "IsomorProtocol", "IsomorRequest", "WsContext", "Call")

async def count() -> dict[str, int]:
    found = Counter(type(one).__name__ for one in gc.get_objects())
    return {kind: found[kind] for kind in KINDS}
""",
    "settle_in.py": """
import asyncio
from isomor import WsContext

async def settle_in(ctx: WsContext, topic: str) -> str:
    await ctx.join(topic)
    await ctx.push(topic)
    ctx.spawn(asyncio.sleep(3600))
    return ctx.ws.id
""",
    "wait_for_end.py": """
import asyncio
from isomor import WsContext

async def wait_for_end(ctx: WsContext) -> None:
    ended = asyncio.Event()

    async def wait() -> None:
        try:
            await asyncio.sleep(3600)
        finally:
            ended.set()

    ctx.spawn(wait())
    await ended.wait()
""",
}


def test_nothing_of_a_connection_is_kept_once_it_is_gone(serve):
    """Neither until the clocks that it was on strike, nor until garbage is collected: a million may come and go."""
    server = serve(LEFTOVERS, env={"ISOMOR_WS": ".*"})
    server.call("count")
    before = server.call("count")
    for number in range(30):
        with server.raw_ws() as ws:
            for name, args in (("settle_in", [f"topic {number % 3}"]), ("wait_for_end", [])):
                ws.send_json({"action": "API", "id": name, "urlPath": f"/isomor/api/{name}", "args": args})
            assert ws.receive_json()["action"] == "PUSH"
            assert ws.receive_json()["id"] == "settle_in"
            if number % 3 == 0:
                ws.send(CLOSE, b"\x03\xe8")
                assert ws.wait_closed() == 1000
            elif number % 3 == 1:
                ws.connection.reset()
        with server.raw() as connection:
            body = {"headers": {"Content-Type": "application/json"}, "body": b'{"args": [1, 2]}'}
            connection.request("POST", "/isomor/api/add", **body)
            assert connection.response().json() == {"result": 3}
    wait_until(lambda: server.call("count") == before, "all of it to be gone")
