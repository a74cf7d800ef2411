"""The pages under /api-docs: Swagger UI in a browser, when documents are made, and what is told without them."""

from __future__ import annotations

import hashlib
import json
import re
import threading
import zipfile
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from harness import REPOSITORY, Server, wait_until
from hatchling.builders.wheel import WheelBuilder
from many_types import api
from playwright.sync_api import Browser, Page, expect

FOLDER = REPOSITORY / "service" / "isomor" / "describe" / "swagger_ui"
DOCUMENTS = ["/api-docs/openapi.json", "/api-docs/asyncapi.json"]
API = {
    "greet.py": 'async def greet(name: str) -> str:\n    """Greet someone."""\n    return f"Hello, {name}!"\n',
    "get_price.py": "from isomor import cached\n\n\n@cached(max_age=60)\nasync def get_price(what: str) -> float:\n"
    "    return 7.5\n",
    "idle.py": "async def idle() -> None: pass\n",
    "listen.py": "from isomor import WsContext\n\n\nasync def listen(ctx: WsContext) -> None: pass\n",
    # What a cautious user names a script.
    "evil.py": 'async def evil(a: str = "<script>window.evil = 1</script>") -> None:\n'
    '    """<img src=x onerror="window.evil = 2"> <script>window.evil = 3</script>"""\n',
}


# ---- What is shipped ------------------------------------------------------------------------------------------------


def test_swagger_ui_is_as_it_was_fetched():
    told = json.loads((FOLDER / "version.json").read_text())
    found = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in FOLDER.iterdir()}
    del found["version.json"]
    assert found == told["sha256"]
    assert told["integrity"].startswith("sha512-")
    assert re.fullmatch(r"5\.\d+\.\d+", told["version"])
    assert {"LICENSE", "NOTICE"} < set(found)


def test_all_of_it_is_in_the_wheel(tmp_path):
    (made,) = WheelBuilder(str(REPOSITORY)).build(directory=str(tmp_path), versions=["standard"])
    with zipfile.ZipFile(made) as wheel:
        names = set(wheel.namelist())
    package = REPOSITORY / "service"
    folder = package / "isomor" / "describe"
    wanted = [path for path in folder.rglob("*") if path.is_file() and path.suffix != ".pyc"]
    assert {str(path.relative_to(package)) for path in wanted} <= names


# ---- In the browser -------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def server(serve_module) -> Server:
    return serve_module(API)


@pytest.fixture
def page(browser: Browser, server: Server) -> Iterator[Page]:
    """Swagger UI; nothing goes wrong in it, and it asks no other server for anything."""
    context = browser.new_context()
    page = context.new_page()
    page.set_default_timeout(30_000)
    asked: list[str] = []
    wrong: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.on("console", lambda said: wrong.append(said.text) if said.type == "error" else None)
    page.goto(f"{server.url}/api-docs")
    page.locator(".opblock").first.wait_for()
    yield page
    assert page.evaluate("window.evil") is None
    context.close()
    assert [url for url in asked if not url.startswith((f"{server.url}/", "data:"))] == []
    assert wrong == []


def opened(page: Page, operation: str) -> Any:
    """An operation, opened."""
    block = page.locator(f'.opblock[id$="-{operation}"]')
    block.locator(".opblock-summary-control").click()
    block.locator(".opblock-body").wait_for()
    return block


def test_it_shows_every_function(page):
    assert page.locator(".opblock").count() == 8  # two of them by GET as well, evil too
    expect(page.locator(".opblock-tag", has_text="WebSocket").first).to_be_visible()
    block = page.locator('.opblock[id$="-greet"]')
    expect(block).to_contain_text("Greet someone.")


def test_try_it_out(page):
    block = opened(page, "greet")
    block.locator("textarea").fill('{"args": ["Ada"]}')
    block.locator("button.execute").click()
    answer = block.locator(".live-responses-table .response")
    expect(answer).to_contain_text("200")
    expect(answer).to_contain_text("Hello, Ada!")


def test_try_it_out_with_what_is_there(page):
    block = opened(page, "greet")
    block.locator("button.execute").click()
    expect(block.locator(".live-responses-table .response")).to_contain_text("Hello, string!")


def test_try_it_out_in_the_query(page):
    block = page.locator(".opblock-get", has_text="get_price")
    block.locator(".opblock-summary-control").click()
    block.locator("input").first.fill("apple")  # the first of the arguments
    block.locator("button.execute").click()
    expect(block.locator(".live-responses-table .response")).to_contain_text("7.5")


def test_what_functions_say_of_themselves_is_no_script(page):
    block = opened(page, "evil")
    expect(block).to_contain_text("<script>")  # and no such script has run: see `page`


@pytest.mark.parametrize("scheme", ["dark", "light"])
def test_as_dark_as_the_system(browser, server, scheme):
    context = browser.new_context(color_scheme=scheme)
    page = context.new_page()
    page.goto(f"{server.url}/api-docs")
    page.locator(".opblock").first.wait_for()
    color = page.evaluate("getComputedStyle(document.documentElement).backgroundColor")
    red = int((re.findall(r"\d+", color) or ["255"])[0])
    assert (red < 80 and "0)" not in color[-3:]) == (scheme == "dark"), color
    context.close()


def test_the_policy(server):
    policy = server.http.get("/api-docs").headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "script-src 'self'" in policy
    assert "unsafe" not in policy
    assert "connect-src 'self';" in policy
    assert server.http.get("/api-docs").headers["x-content-type-options"] == "nosniff"


def test_the_policy_lets_it_call_where_clients_call(serve):
    server = serve(API, yaml="client: {http_base_url: https://shop.example.com/app}")
    assert (
        "connect-src 'self' https://shop.example.com;"
        in server.http.get("/api-docs").headers["content-security-policy"]
    )


# ---- The pages ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/api-docs", "text/html; charset=utf-8"),
        ("/api-docs/", "text/html; charset=utf-8"),
        ("/api-docs/setup.js", "text/javascript; charset=utf-8"),
        ("/api-docs/swagger-ui-bundle.js", "text/javascript; charset=utf-8"),
        ("/api-docs/swagger-ui.css", "text/css; charset=utf-8"),
        *((document, "application/json") for document in DOCUMENTS),
    ],
)
def test_pages(server, path, kind):
    answer = server.http.get(path)
    assert (answer.status_code, answer.headers["content-type"]) == (200, kind)
    assert answer.headers["cache-control"] == "no-cache"
    head = server.http.head(path)
    assert (head.status_code, head.content, head.headers["etag"]) == (200, b"", answer.headers["etag"])
    again = server.http.get(path, headers={"If-None-Match": answer.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")


@pytest.mark.parametrize(
    "path", ["/api-docs/x", "/api-docs/index.html", "/api-docs/swagger_ui/NOTICE", "/api-docs/../x"]
)
def test_other_pages_are_not_there(server, path):
    answer = server.http.get(path)
    assert (answer.status_code, answer.json()["code"]) == (404, "NOT_FOUND")


def test_a_route_of_the_users_own_stays(serve):
    startup = (
        "from sanic.response import text\n\n\ndef startup(app):\n"
        "    @app.get('/api-docs')\n    async def mine(request): return text('mine')\n"
    )
    server = serve(API | {"startup.py": startup})
    assert server.http.get("/api-docs").text == "mine"
    assert "/api-docs is a route of startup" in server.log


def test_beside_a_static_folder(serve):
    files = {"static/index.html": "front end"}
    server = serve(API, files=files, yaml="server: {static_folder: ./static}")
    assert "Swagger" not in server.http.get("/").text
    assert "swagger-ui" in server.http.get("/api-docs").text


# ---- When documents are made ----------------------------------------------------------------------------------------

LOOK = """
import sys


async def look() -> list[str]:
    return [name for name in sys.modules if name.startswith("isomor.describe")]
"""


def test_nothing_is_made_before_it_is_asked_for(serve):
    server = serve(API | {"look.py": LOOK})
    assert server.call("look") == []
    server.http.get("/api-docs")
    assert server.call("look") == []
    for document in DOCUMENTS:
        assert server.http.get(document).status_code == 200
    assert "isomor.describe.openapi" in server.call("look")


def test_documents_are_made_once(serve):
    """A default whose form in JSON is a new one each time it is asked for shows how often that was."""
    source = (
        "from collections import UserString\n\n\nclass Counted(UserString):\n    asked = 0\n\n"
        "    def __str__(self):\n        Counted.asked += 1\n        return f'asked {Counted.asked}'\n\n\n"
        "async def count(a: object = Counted('')) -> int:\n    return Counted.asked\n"
    )
    server = serve({"count.py": source})
    first = server.http.get(DOCUMENTS[0])
    assert "asked" in first.text
    asked = server.call("count")
    for _ in range(3):
        assert server.http.get(DOCUMENTS[0]).content == first.content
    assert server.call("count") == asked


@pytest.mark.parametrize("document", DOCUMENTS)
def test_a_reload_gives_a_new_one(serve, document):
    server = serve(API, args=["--watch"])
    before = server.http.get(document)
    (server.api / "fresh.py").write_text('async def fresh(a: int) -> int:\n    """News."""\n    return a\n')
    wait_until(lambda: "/isomor/api/fresh" in server.http.get(document).text, "the new function in the document")
    after = server.http.get(document, headers={"If-None-Match": before.headers["etag"]})
    assert after.status_code == 200


def test_types_that_cannot_be_told_of_harm_nothing_else(serve):
    """User code has a say in the schema of its pydantic models, and may be wrong there."""
    source = (
        "import pydantic\n\n\nclass Broken(pydantic.BaseModel):\n    a: int\n\n"
        "    @classmethod\n    def __get_pydantic_json_schema__(cls, schema, handler):\n"
        "        raise LookupError('no way')\n\n\nasync def broken(a: Broken) -> None: ...\n"
    )
    fine = "import pydantic\n\n\nclass Fine(pydantic.BaseModel):\n    a: int\n\n\nasync def fine(a: Fine): ...\n"
    server = serve(API | {"broken.py": source, "fine.py": fine})
    document = server.http.get(DOCUMENTS[0]).json()
    assert document["components"]["schemas"]["Broken"] == {}
    assert document["components"]["schemas"]["Fine"]["required"] == ["a"]
    assert "Broken is described as any value: LookupError: no way" in server.log


def test_calls_go_on_while_a_document_is_made(serve):
    """It is made in a thread: a type whose reading takes long does not hold up the others."""
    source = (
        "import threading\n\nimport pydantic\n\nfrom . import _state\n\n\n"
        "class Slow(pydantic.BaseModel):\n    a: int\n\n"
        "    @classmethod\n    def __get_pydantic_json_schema__(cls, schema, handler):\n"
        "        _state.going.wait(60)\n        return handler(schema)\n\n\n"
        "async def slow(a: Slow) -> None: ...\n"
    )
    state = "import threading\n\ngoing = threading.Event()\n"
    go = "from . import _state\n\n\nasync def go() -> None: _state.going.set()\n"
    server = serve(API | {"slow.py": source, "_state.py": state, "go.py": go})
    with httpx.Client(base_url=server.url, timeout=60, trust_env=False) as client:
        answers: list[httpx.Response] = []
        asking = [threading.Thread(target=lambda: answers.append(client.get(DOCUMENTS[0]))) for _ in range(3)]
        for thread in asking:
            thread.start()
        assert server.call("greet", "Ada") == "Hello, Ada!"
        assert answers == []
        server.call("go")
        for thread in asking:
            thread.join()
        assert [answer.status_code for answer in answers] == [200] * 3


# ---- docs.enabled ---------------------------------------------------------------------------------------------------

PAGES = ["/api-docs", "/api-docs/", "/api-docs/swagger-ui.css", "/api-docs/setup.js", *DOCUMENTS]


@pytest.mark.parametrize("path", PAGES)
def test_switched_off(off, path):
    answer = off.http.get(path)
    assert (answer.status_code, answer.json()["code"]) == (404, "NOT_FOUND")


OFF = "docs: {enabled: false}\nclient: {enabled: false}\nmetrics: {enabled: false}\n"
ROUTES = """
from isomor import Context


async def zebra_routes(ctx: Context) -> list[str]:
    return [route.path for route in ctx.req.app.router.routes]
"""


@pytest.fixture(scope="module")
def off(serve_module) -> Server:
    files = {
        "zebra_one.py": "async def zebra_one(a: int) -> int: return a\n",
        "zebra_two.py": "from isomor import WsContext\n\n\nasync def zebra_two(ctx: WsContext) -> None: ...\n",
        "zebra_three.py": "from isomor import cached\n\n\n@cached(max_age=1)\ndef zebra_three() -> int: return 1\n",
        "zebra_routes.py": ROUTES,
    }
    return serve_module(files, yaml=OFF)


def test_switched_off_nothing_tells_which_functions_there_are(off):
    routes = off.call("zebra_routes")
    assert len(routes) >= 3
    filled = {
        "/" + re.sub(r"<[^>]*>", text, route) for route in routes for text in ("x", "api", "client/api.js", "api/x")
    }
    paths = filled | {
        *PAGES,
        "/",
        "/console",
        "/console/",
        "/metrics",
        "/isomor",
        "/isomor/",
        "/isomor/api",
        "/isomor/api/",
    }
    paths |= {"/isomor/client.tgz", "/isomor/client/package.json", "/isomor/client/isomor/src/index.js", "/isomor/ws"}
    paths |= {
        "/isomor/api/zebra",
        "/isomor/api/zebra_on",
        "/isomor/api/zebra_",
        "/favicon.ico",
        "/robots.txt",
        "/health",
    }
    seen = 0
    for path in sorted(paths):
        for method in ("GET", "POST", "PUT", "OPTIONS", "HEAD"):
            for content in (b"", b"{", b'{"args": [1]}'):
                if content and method in ("GET", "HEAD"):
                    continue
                headers = {"content-type": "application/json"} if content else {}
                answer = off.http.request(method, path, content=content, headers=headers)
                told = f"{answer.headers} {answer.text}"
                assert not re.search(r"zebra_(one|two|three|routes)", told), f"{method} {path}: {told}"
                seen += 1
    assert seen > 100
    with off.ws() as ws:
        for message in (
            "{",
            "[]",
            {"action": "LIST", "id": 1},
            {"action": "API", "id": 1, "urlPath": "/isomor/api/zebra", "args": []},
            {"action": "API", "id": 1, "urlPath": "/isomor/api/", "args": []},
            {"action": "API", "id": 1},
        ):
            ws.send(message)
            assert not re.search(r"zebra_(one|two|three|routes)", ws.socket.recv(timeout=30))


def test_switched_off_nothing_of_it_is_imported(serve):
    server = serve(API | {"look.py": LOOK.replace("isomor.describe", "isomor.server.describe_pages")}, yaml=OFF)
    assert server.call("look") == []


def test_every_type_at_once(serve):
    server = serve(api())
    for document in DOCUMENTS:
        assert server.http.get(document).status_code == 200
    assert "Warning" not in server.log
