"""Pages of other origins in Chromium: what they send does not reach a function; an allowed one works, with cookies."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from harness import Server, free_port, wait_until
from playwright.sync_api import Browser, BrowserContext, Page, expect

API = {
    "touch.py": """
from isomor import Context
from . import _state

async def touch(ctx: Context) -> str:
    _state.touched.append(ctx.type)
    return ctx.cookies.get("session", "nobody")
""",
    "ws_touch.py": """
from isomor import Context
from . import _state

async def ws_touch(ctx: Context) -> str:
    _state.touched.append(ctx.type)
    return ctx.req.cookies.get("session", "nobody")
""",
    "plain.py": """
from . import _state

async def plain(a: int) -> int:
    _state.touched.append("plain")
    return a
""",
    "fails.py": "async def fails() -> None:\n    raise ValueError('no')\n",
    "price.py": """
from isomor import cached
from . import _state

@cached(60)
async def price(name: str) -> str:
    _state.touched.append("price")
    return name
""",
    "sign_in.py": """
from isomor import HttpContext

async def sign_in(ctx: HttpContext) -> None:
    ctx.res.set_cookie("session", "mine")
""",
    "touched.py": "from . import _state\n\nasync def touched() -> list[str]:\n    return _state.touched\n",
    "_state.py": "touched: list[str] = []\n",
}
PAGE = "<!doctype html><link rel=icon href=data:,><title>a page</title>"


class _Quiet(SimpleHTTPRequestHandler):
    timeout = 0.5  # Chromium keeps connections open to ask nothing by them

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture(scope="module")
def elsewhere(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[str]]:
    """Two other origins of this machine: the first will be allowed, the second not."""
    folder: Path = tmp_path_factory.mktemp("elsewhere")
    (folder / "index.html").write_text(PAGE)
    sites = [ThreadingHTTPServer(("127.0.0.1", 0), partial(_Quiet, directory=str(folder))) for _ in range(2)]
    threads = [threading.Thread(target=site.serve_forever, args=(0.05,)) for site in sites]
    for thread in threads:
        thread.start()
    yield [f"http://127.0.0.1:{site.server_port}" for site in sites]
    for site, thread in zip(sites, threads, strict=True):
        site.shutdown()
        site.server_close()
        thread.join()


@pytest.fixture(scope="module")
def server(serve_module: Any, elsewhere: list[str]) -> Server:
    port = free_port()
    env = {
        "ISOMOR_WS": "ws_.*",
        "ISOMOR_SECURITY_ORIGINS": elsewhere[0],
        "ISOMOR_CLIENT_HTTP_BASE_URL": f"http://127.0.0.1:{port}",
        "ISOMOR_CLIENT_WS_BASE_URL": f"ws://127.0.0.1:{port}",
        "ISOMOR_STATIC_FOLDER": "static",
    }
    return serve_module(API, env=env, files={"static/index.html": PAGE}, port=port)


@pytest.fixture(scope="module")
def visitor(browser: Browser, server: Server) -> Iterator[BrowserContext]:
    """Someone who has signed in at the server."""
    context = browser.new_context()
    page = context.new_page()
    page.goto(f"{server.url}/")
    assert page.evaluate(CALL, [server.url, "sign_in"]) == [200, None]
    assert page.evaluate(CALL, [server.url, "touch"]) == [200, "mine"]
    page.close()
    yield context
    context.close()


CALL = """async ([url, name, args = []]) => {
    const body = JSON.stringify({args});
    const headers = {'content-type': 'application/json'};
    const response = await fetch(`${url}/isomor/api/${name}`, {method: 'POST', credentials: 'include', headers, body});
    const said = await response.json();
    return [response.status, response.ok ? said.result : said.code];
}"""

# What a page can send without asking first. Each resolves when the browser has had its answer.
TRIES = {
    "img": """url => new Promise(done => {
        const image = new Image();
        image.onload = image.onerror = done;
        image.src = `${url}/isomor/api/touch`;
    })""",
    "img with arguments": """url => new Promise(done => {
        const image = new Image();
        image.onload = image.onerror = done;
        image.src = `${url}/isomor/api/price?args=["x"]`;
    })""",
    "script": """url => new Promise(done => {
        const script = document.createElement('script');
        script.onload = script.onerror = done;
        script.src = `${url}/isomor/api/touch`;
        document.head.append(script);
    })""",
    "style": """url => new Promise(done => {
        const link = Object.assign(document.createElement('link'), {rel: 'stylesheet'});
        link.onload = link.onerror = done;
        link.href = `${url}/isomor/api/touch`;
        document.head.append(link);
    })""",
    "frame": """url => new Promise(done => {
        const frame = document.createElement('iframe');
        frame.onload = done;
        frame.src = `${url}/isomor/api/touch`;
        document.body.append(frame);
    })""",
    "get": "url => fetch(`${url}/isomor/api/touch`, {credentials: 'include'}).catch(() => {})",
    "no-cors": "url => fetch(`${url}/isomor/api/touch`, {credentials: 'include', mode: 'no-cors'})",
    "post of text": """url => fetch(`${url}/isomor/api/plain`,
        {method: 'POST', credentials: 'include', mode: 'no-cors', body: '{"args":[1]}'})""",
    "beacon": """async url => {
        navigator.sendBeacon(`${url}/isomor/api/touch`, '');
        await fetch(`${url}/health/live`, {mode: 'no-cors'});
    }""",
    "post of JSON": """url => fetch(`${url}/isomor/api/plain`, {method: 'POST', credentials: 'include',
        headers: {'content-type': 'application/json'}, body: '{"args":[1]}'}).catch(() => {})""",
    "sandbox": """url => new Promise(done => {
        const frame = document.createElement('iframe');
        addEventListener('message', done);
        frame.sandbox = 'allow-scripts';
        frame.srcdoc = `<script>fetch('${url}/isomor/api/touch', {method: 'POST', mode: 'no-cors',
            credentials: 'include'}).finally(() => parent.postMessage(1, '*'))</` + 'script>';
        document.body.append(frame);
    })""",
}
FORM = """([url, type]) => new Promise(done => {
    const frame = Object.assign(document.createElement('iframe'), {name: type});
    document.body.append(frame);
    frame.addEventListener('load', done);
    const form = Object.assign(document.createElement('form'), {
        method: 'post', action: `${url}/isomor/api/touch`, enctype: type, target: type});
    const input = Object.assign(document.createElement('input'), {name: '{"args":[],"x":"', value: '"}'});
    form.append(input);
    document.body.append(form);
    form.submit();
})"""
OPEN = """([url, path]) => new Promise(done => {
    const socket = new WebSocket(url.replace('http', 'ws') + path);
    socket.onopen = () => { done('open'); socket.close(); };
    socket.onerror = () => done('refused');
})"""


def touched(server: Server) -> list[str]:
    found: list[str] = server.call("touched")
    return found


@pytest.fixture(params=["another port", "another site"])
def foreign(visitor: BrowserContext, elsewhere: list[str], request: pytest.FixtureRequest) -> Iterator[Page]:
    """A page that is not allowed. To another port of the same host, browsers send cookies as to the page's own."""
    page = visitor.new_page()
    page.goto(elsewhere[1] if request.param == "another port" else elsewhere[1].replace("127.0.0.1", "localhost"))
    yield page
    page.close()


def test_a_foreign_page_reaches_no_function(server: Server, foreign: Page) -> None:
    before = touched(server)
    for way, script in TRIES.items():
        foreign.evaluate(script, server.url)
        assert touched(server) == before, way


def test_those_tries_are_none_that_always_fail(server: Server, visitor: BrowserContext) -> None:
    """The same on a page of the server's own: what can call at all does."""
    page = visitor.new_page()
    page.goto(f"{server.url}/")
    for way in ("img", "img with arguments", "script", "get", "post of JSON", "no-cors", "beacon"):
        before = touched(server)
        page.evaluate(TRIES[way], server.url)
        wait_until(lambda before=before: len(touched(server)) == len(before) + 1, way)


def test_a_form_of_a_foreign_page_reaches_no_function(server: Server, foreign: Page) -> None:
    before = touched(server)
    for kind in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data"):
        foreign.evaluate(FORM, [server.url, kind])
        expect(foreign.frame_locator(f'[name="{kind}"]').locator("body"), kind).to_contain_text("FORBIDDEN")
    assert touched(server) == before


def test_a_link_of_a_foreign_page_reaches_no_function(server: Server, foreign: Page) -> None:
    before = touched(server)
    foreign.evaluate("url => { location = `${url}/isomor/api/touch`; }", server.url)
    foreign.wait_for_url("**/touch")
    assert "FORBIDDEN" in foreign.content()
    assert touched(server) == before


def test_a_foreign_page_opens_no_websocket(server: Server, visitor: BrowserContext, foreign: Page) -> None:
    own = visitor.new_page()
    own.goto(f"{server.url}/")
    for path in ("/", "/isomor/ws"):
        assert foreign.evaluate(OPEN, [server.url, path]) == "refused"
        assert own.evaluate(OPEN, [server.url, path]) == "open"
    own.close()


def test_what_remains_on_plain_http_and_what_closes_it(serve: Any, browser: Browser, elsewhere: list[str]) -> None:
    """To a host of the LAN Chromium does not say where an image comes from: GET for @cached functions alone is safe."""
    server = serve(API, env={"ISOMOR_SECURITY_GET_CALLS": "cached"})
    lan, site = f"http://lan.test:{server.port}", elsewhere[1].replace("127.0.0.1", "other.test")
    options = ["--no-sandbox", "--disable-gpu", "--host-resolver-rules=MAP *.test 127.0.0.1"]
    outside = browser.browser_type.launch(executable_path=shutil.which("chromium"), args=options)
    page = outside.new_page()
    page.goto(site)
    for way, called in (("img", []), ("img with arguments", ["price"])):
        with page.expect_request(lambda request: "/isomor/api/" in request.url) as asked:
            page.evaluate(TRIES[way], lan)
        assert not {"origin", "sec-fetch-site"} & asked.value.all_headers().keys()
        assert touched(server) == called
    page.evaluate(TRIES["post of text"], lan)
    assert page.evaluate(OPEN, [lan, "/isomor/ws"]) == "refused"
    assert touched(server) == ["price"]
    outside.close()


def test_what_is_typed_into_the_address_bar_is_let_in(server: Server, visitor: BrowserContext) -> None:
    page = visitor.new_page()
    page.goto(f"{server.url}/isomor/api/touch")
    assert page.evaluate("JSON.parse(document.body.innerText)") == {"result": "mine"}


def test_an_allowed_page_works_with_cookies(server: Server, visitor: BrowserContext, elsewhere: list[str]) -> None:
    page = visitor.new_page()
    page.goto(f"{elsewhere[0]}/")
    assert page.evaluate(CALL, [server.url, "touch"]) == [200, "mine"]
    assert page.evaluate(CALL, [server.url, "plain", [7]]) == [200, 7]
    # Errors can be read like results.
    assert page.evaluate(CALL, [server.url, "plain", ["x"]]) == [422, "INVALID_ARGS"]
    assert page.evaluate(CALL, [server.url, "nothing"]) == [404, "NOT_FOUND"]
    assert page.evaluate(CALL, [server.url, "fails"]) == [500, "INTERNAL"]
    assert page.evaluate(
        "async url => (await fetch(`${url}/isomor/api/touch`, {credentials: 'include'})).headers.get('etag')",
        server.url,
    )
    assert page.evaluate(OPEN, [server.url, "/isomor/ws"]) == "open"


def test_the_client_works_on_an_allowed_page(server: Server, visitor: BrowserContext, elsewhere: list[str]) -> None:
    page = visitor.new_page()
    page.goto(f"{elsewhere[0]}/")
    found = page.evaluate(
        """async url => {
            const load = async name => (await import(`${url}/isomor/client/${name}.js`)).default;
            const [plain, price, wsTouch] = await Promise.all(['plain', 'price', 'ws_touch'].map(load));
            return [await plain(3), await price('apple'), await wsTouch()];
        }""",
        server.url,
    )
    assert found == [3, "apple", "mine"]
    assert page.evaluate(
        "async url => (await (await fetch(`${url}/api-docs/openapi.json`)).json()).openapi", server.url
    ).startswith("3.1")
