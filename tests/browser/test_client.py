"""The runtime in Chromium, on a page that the server itself serves: no bundler, no address told."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright

API = {
    "add.py": "async def add(a: int, b: int) -> int:\n    return a + b\n",
    "ws_add.py": "async def ws_add(a: int, b: int) -> int:\n    return a + b\n",
    "ws_nap.py": """
import asyncio
from . import _state

async def ws_nap() -> None:
    _state.notes.append("nap")
    try:
        await asyncio.sleep(30)
    except asyncio.CancelledError:
        _state.notes.append("cancelled")
        raise
""",
    "ws_watch.py": """
from isomor import WsContext
from . import _state

async def ws_watch(ctx: WsContext) -> None:
    _state.notes.append("watch")
    await ctx.join("color")
""",
    "ws_cookies.py": """
from isomor import WsContext

async def ws_cookies(ctx: WsContext) -> dict[str, str]:
    return dict(ctx.cookies)
""",
    "say.py": """
from isomor import push

async def say(color: str) -> None:
    await push(color, topic="color")
""",
    "notes.py": "from . import _state\n\nasync def notes() -> list[str]:\n    return _state.notes\n",
    "_state.py": "notes: list[str] = []\n",
    "startup.py": """
import os
from isomor import set_ws_default_config

def startup(app) -> None:
    if os.environ.get("COOKIES"):
        set_ws_default_config(with_cookie=True)
""",
}

PAGE = """<!doctype html>
<link rel="icon" href="data:,">
<script type="module">
import * as isomor from '/isomor/client/isomor/src/index.js';
import add from '/isomor/client/add.js';
import say from '/isomor/client/say.js';
import wsAdd from '/isomor/client/ws_add.js';
import wsCookies from '/isomor/client/ws_cookies.js';
import wsNap from '/isomor/client/ws_nap.js';
import wsWatch from '/isomor/client/ws_watch.js';

window.events = [];
window.heard = [];
isomor.onState((event) => events.push(event));
Object.assign(window, { isomor, add, say, wsAdd, wsCookies, wsNap, wsWatch, ready: true });
</script>
"""

WORKER = """
import wsAdd from '/isomor/client/ws_add.js';
import add from '/isomor/client/add.js';
postMessage([await wsAdd(1, 2), await add(3, 4)]);
"""


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def server(serve: Any, request: pytest.FixtureRequest) -> Any:
    env = {"ISOMOR_WS": "ws_.*", "ISOMOR_STATIC_FOLDER": "static", **getattr(request, "param", {})}
    return serve(API, env=env, files={"static/index.html": PAGE, "static/worker.js": WORKER})


@pytest.fixture
def tabs(browser: Browser) -> Iterator[BrowserContext]:
    context = browser.new_context()
    yield context
    context.close()


def _open(tabs: BrowserContext, server: Any) -> Page:
    page = tabs.new_page()
    page.goto(f"{server.url}/index.html")
    page.wait_for_function("window.ready")
    return page


@pytest.fixture
def page(tabs: BrowserContext, server: Any) -> Iterator[Page]:
    page = _open(tabs, server)
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))  # a rejection that nobody handled, too
    yield page
    assert errors == []


SUBSCRIBE = "window.key = isomor.subscribe((color) => heard.push(color), { topic: 'color', join: wsWatch })"


def test_calls_go_to_the_page_s_own_server(page: Page) -> None:
    assert page.evaluate("Promise.all([add(1, 2), wsAdd(3, 4)])") == [3, 7]


def test_a_thousand_calls_at_once(page: Page) -> None:
    script = "Promise.all(Array.from({ length: 1000 }, (_, n) => wsAdd(n, n)))"
    assert page.evaluate(script) == [2 * n for n in range(1000)]


def test_errors_are_isomor_errors(page: Page) -> None:
    script = "{call}('x', 1).catch((e) => [e instanceof isomor.IsomorError, e.code, e.details[0].param])"
    for call in ("add", "wsAdd"):
        assert page.evaluate(script.replace("{call}", call)) == [True, "INVALID_ARGS", "a"]


def test_it_comes_back_after_the_server_was_killed_and_joins_again(server: Any, page: Page) -> None:
    page.evaluate(SUBSCRIBE)
    page.wait_for_function("events.some(({ type }) => type === 'open')")
    page.evaluate("void (window.lost = wsNap().catch((error) => error.code))")
    page.wait_for_function("wsAdd(1, 2)")
    server.kill()
    assert page.evaluate("lost") == "CONNECTION_LOST"
    page.evaluate("void (window.waiting = wsAdd(1, 2))")
    page.wait_for_function("events.some(({ type }) => type === 'reconnecting')")
    server.start()
    assert page.evaluate("waiting") == 3
    page.wait_for_function("say('red').then(() => heard.includes('red'))")
    assert server.call("notes") == ["watch"]


def test_an_aborted_call_is_cancelled(server: Any, page: Page) -> None:
    script = """async () => {
        const controller = new AbortController();
        const failed = isomor.withOptions(wsNap, { signal: controller.signal })().catch((error) => error.code);
        await wsAdd(1, 2);
        controller.abort();
        return failed;
    }"""
    assert page.evaluate(script) == "CANCELLED"
    page.wait_for_function("wsAdd(1, 2)")
    assert server.call("notes") == ["nap", "cancelled"]


@pytest.mark.parametrize("server", [{"ISOMOR_WS_TIMEOUT": "1"}], indirect=True)
def test_idle(page: Page) -> None:
    page.evaluate("wsAdd(1, 2)")
    page.wait_for_function("events.at(-1).type === 'closed' && events.at(-1).code === 4000")
    assert page.evaluate("wsAdd(1, 2)") == 3
    page.evaluate(SUBSCRIBE)
    page.wait_for_timeout(4000)
    # The first silence may still teach how long the server waits.
    assert page.evaluate("events.filter(({ type }) => type === 'closed').length") <= 2
    page.wait_for_function("say('red').then(() => heard.includes('red'))")
    assert page.evaluate("events.some(({ type }) => type === 'reconnecting')") is False


def test_two_tabs(tabs: BrowserContext, server: Any, page: Page) -> None:
    other = _open(tabs, server)
    for tab in (page, other):
        tab.evaluate(SUBSCRIBE)
        tab.wait_for_function("events.some(({ type }) => type === 'open')")
        assert tab.evaluate("wsAdd(1, 2)") == 3
    other.evaluate("say('red')")
    for tab in (page, other):
        tab.wait_for_function("heard.includes('red')")
    other.evaluate("isomor.close()")
    page.evaluate("say('blue')")
    page.wait_for_function("heard.includes('blue')")
    assert other.evaluate("heard") == ["red"]


@pytest.mark.parametrize("server", [{}, {"COOKIES": "1"}], indirect=True, ids=["page", "server"])
def test_cookies(server: Any, page: Page) -> None:
    page.evaluate("document.cookie = 'theme=dark'")
    if "COOKIES" not in server.env:
        assert page.evaluate("wsCookies()") == {}
        page.evaluate("isomor.setWsConfig({ withCookie: true })")
    assert page.evaluate("wsCookies()") == {"theme": "dark"}


def test_a_worker(page: Page) -> None:
    script = """new Promise((resolve, reject) => {
        const worker = new Worker('/worker.js', { type: 'module' });
        worker.onmessage = ({ data }) => resolve(data);
        worker.onerror = ({ message }) => reject(new Error(message));
    })"""
    assert page.evaluate(script) == [3, 7]
