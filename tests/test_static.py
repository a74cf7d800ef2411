"""The static folder: files and nothing but files of it, and the front end's own routes."""

from __future__ import annotations

import json
import os
from datetime import timedelta
from email.utils import format_datetime, parsedate_to_datetime
from pathlib import Path

import pytest
from harness import RawResponse, Server, write_files

INDEX = "<!doctype html><title>Index</title>"
DIGITS = "0123456789"
FILES: dict[str, str | bytes] = {
    "index.html": INDEX,
    "app.js": "console.log(1)",
    "app.mjs": "export {}",
    "style.css": "body {}",
    "data.json": "{}",
    "logo.svg": "<svg xmlns='http://www.w3.org/2000/svg'/>",
    "photo.PNG": b"\x89PNG",
    "module.wasm": b"\0asm",
    "font.woff2": b"wOF2",
    "site.webmanifest": "{}",
    "robots.txt": "User-agent: *",
    "unknown.xyzzy": b"\0\1",
    "no-extension": "plain",
    "digits.txt": DIGITS,
    "empty.txt": b"",
    "big.bin": os.urandom(3 << 20),
    "with space.txt": "space",
    "é.txt": "accent",
    "100%.txt": "percent",
    "100%25.txt": "percent, encoded",
    "a+b.txt": "plus",
    ".env": "SECRET=1",
    ".git/config": "SECRET=1",
    "sub/.hidden/x.txt": "SECRET=1",
    ".well-known/security.txt": "Contact: x",
    "docs/index.html": "<title>Docs</title>",
    "docs/page.html": "<title>Page</title>",
    "empty/none.txt": "x",
    "mine.txt": "the file",
    "isomor/api/hello": "the file",
    "isomor/x.txt": "the file",
    "health/live": "the file",
    "startup.py": "print(1)",
}
API = {
    "hello.py": "async def hello() -> str:\n    return 'hello'\n",
    "startup.py": """
from sanic import Request, Sanic
from sanic.response import text


def startup(app: Sanic) -> None:
    @app.get("/mine.txt")
    async def mine(request: Request):
        return text("the route")

    @app.get("/docs/live/<name>")
    async def live(request: Request, name: str):
        return text(name)
""",
}


@pytest.fixture(scope="module")
def server(serve_module, tmp_path_factory: pytest.TempPathFactory) -> Server:
    outside = tmp_path_factory.mktemp("outside")
    folder = outside / "public"
    write_files(folder, FILES)
    write_files(outside, {"secret.txt": "SECRET=1", "public-not/secret.txt": "SECRET=1"})
    (folder / "link.txt").symlink_to(outside / "secret.txt")
    (folder / "link-folder").symlink_to(outside / "public-not")
    (folder / "link-up").symlink_to("..")
    (folder / "link-inside.txt").symlink_to("robots.txt")
    (folder / "link-broken.txt").symlink_to("nowhere")
    (folder / "link-loop.txt").symlink_to("link-loop.txt")
    os.mkfifo(folder / "pipe.txt")
    (folder / "folder.txt").mkdir()
    return serve_module(API, env={"ISOMOR_STATIC_FOLDER": str(folder), "ISOMOR_WS": ".*"})


def get(server: Server, path: str, method: str = "GET", **headers: str) -> RawResponse:
    """The answer to this very path, byte by byte."""
    with server.raw() as connection:
        connection.send(
            f"{method} {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n".encode()
            + b"".join(f"{name.replace('_', '-')}: {value}\r\n".encode() for name, value in headers.items())
            + b"\r\n"
        )
        return connection.response(method)


def text_of(response: RawResponse) -> str:
    assert response.status == 200, response
    return response.body.decode()


# ---- What is there -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/", "text/html"), ("/index.html", "text/html"), ("/app.js", "text/javascript"),
        ("/app.mjs", "text/javascript"), ("/style.css", "text/css"), ("/data.json", "application/json"),
        ("/logo.svg", "image/svg+xml"), ("/photo.PNG", "image/png"), ("/module.wasm", "application/wasm"),
        ("/font.woff2", "font/woff2"), ("/site.webmanifest", "application/manifest+json"),
        ("/robots.txt", "text/plain"), ("/unknown.xyzzy", "application/octet-stream"),
        ("/no-extension", "application/octet-stream"), ("/docs/", "text/html"), ("/docs/page.html", "text/html"),
        ("/empty.txt", "text/plain"), ("/.well-known/security.txt", "text/plain"), ("/link-inside.txt", "text/plain"),
    ],
)  # fmt: skip
def test_files_and_their_types(server, path, kind):
    response = get(server, path)
    assert response.status == 200
    assert (response.header("content-type") or "").split(";")[0] == kind
    if kind.startswith("text/"):
        assert "charset=utf-8" in (response.header("content-type") or "")
    assert response.header("x-content-type-options") == "nosniff"
    assert response.header("content-length") == str(len(response.body))
    assert response.header("cache-control") == "no-cache"
    head = get(server, path, "HEAD")
    assert (head.status, head.body) == (200, b"")
    for name in ("content-type", "content-length", "last-modified", "cache-control"):
        assert head.header(name) == response.header(name), name


@pytest.mark.parametrize(
    ("path", "content"),
    [
        ("/with%20space.txt", "space"), ("/%C3%A9.txt", "accent"), ("/100%25.txt", "percent"),
        ("/100%2525.txt", "percent, encoded"), ("/a+b.txt", "plus"), ("/a%2Bb.txt", "plus"),
        ("/robots.txt?v=1", "User-agent: *"), ("/%72obots.txt", "User-agent: *"), ("//robots.txt", "User-agent: *"),
        ("/docs", "<title>Docs</title>"), ("/docs/", "<title>Docs</title>"),
        ("/docs/index.html", "<title>Docs</title>"),
    ],
)  # fmt: skip
def test_names_are_decoded_once(server, path, content):
    assert text_of(get(server, path)) == content


def test_a_big_file(server):
    assert get(server, "/big.bin").body == FILES["big.bin"]


@pytest.mark.parametrize(
    "path",
    ["/", "/login", "/users/5", "/users/5/", "/a/b/c/d", "/login?next=/x", "/users/Ada%20L", "/empty", "/empty/"],
)
def test_routes_of_the_front_end_get_the_index(server, path):
    response = get(server, path, Accept="text/html")
    assert text_of(response) == INDEX
    assert (response.header("content-type") or "").startswith("text/html")


@pytest.mark.parametrize(
    "path",
    [
        "/missing.js", "/assets/missing.css", "/favicon.ico", "/users/5.json", "/isomor", "/isomor/", "/isomor/none",
        "/isomor/api/none", "/isomor/x.txt", "/isomor/../isomor/x.txt", "/link-broken.txt", "/link-loop.txt",
        "/pipe.txt", "/robots.txt/more.txt", "/folder.txt/none.txt", "/" + "x" * 300 + ".txt",
    ],
)  # fmt: skip
def test_what_is_missing_is_missing(server, path):
    response = get(server, path)
    assert response.status == 404, response
    assert response.json()["code"] == "NOT_FOUND"


def test_names_that_are_too_long(server):
    for path in ("/" + "x" * 5000, "/" + "x/" * 2000, "/" + "%C3%A9" * 500, "/" + "x" * 300):
        assert get(server, path).status in (200, 404, 414)
    assert server.call("hello") == "hello"


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS"])
def test_files_are_only_read(server, method):
    assert get(server, "/robots.txt", method).status in (404, 405)
    assert text_of(get(server, "/robots.txt")) == "User-agent: *"


# ---- What must not be there --------------------------------------------------------------------------------------

UP = [
    "..", "%2e%2e", "%2E%2E", ".%2e", "%2e.", "%252e%252e", "..%00", "..%2f", "..%5c", "..\\", "%c0%ae%c0%ae",
    "%e0%80%ae%e0%80%ae", "..;", "....", "%uff0e%uff0e", "．．", "%ef%bc%8e%ef%bc%8e", "..%ff", " ..", "%20..", "..%20",
]  # fmt: skip
SLASHES = ["/", "%2f", "%2F", "\\", "%5c", "//", "/./", "%252f", "%c0%af", "%ef%bc%8f"]


@pytest.mark.parametrize("up", UP)
def test_no_way_leads_out(server, up):
    for slash in SLASHES:
        for start in ("/", "/docs/", "//", "/sub/", "/none/"):
            for depth in (1, 2, 8):
                for goal in ("secret.txt", "public-not/secret.txt", "etc/passwd", "public/.env"):
                    path = start + (up + slash) * depth + goal.replace("/", slash)
                    with server.raw() as connection:
                        line = f"GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
                        connection.send(line.encode())
                        answer = connection.read_to_end()
                    assert b"SECRET" not in answer, path
                    assert b"root:" not in answer, path
                    assert int(answer.split(b" ", 2)[1]) in (200, 400, 404), (path, answer[:200])
        if up not in ("..", "%2e%2e", "%252e%252e"):
            break  # one slash is enough for the odd ones
    assert "Traceback" not in server.log


@pytest.mark.parametrize(
    "path",
    [
        "/.env", "/%2eenv", "/.git/config", "/%2egit%2fconfig", "/sub/.hidden/x.txt", "/docs/../.env", "/./.env",
        "/.well-known/../.env", "/.well-known%2f..%2f.env", "/link.txt", "/link-folder/secret.txt",
        "/link-up/secret.txt", "/link-up/public-not/secret.txt", "//etc/passwd",
        "/%2fetc%2fpasswd", "/file:///etc/passwd", "/C:%5cx", "/robots.txt%00.html", "/.env%00.txt",
        "http://localhost/.env", "/.env/", "/.env?x", "/.ENV", "/..%2f.env",
    ],
)  # fmt: skip
def test_what_is_hidden_or_outside_is_not_there(server, path):
    response = get(server, path)
    assert response.status in (400, 404) or response.body.decode() == INDEX, response
    assert b"SECRET" not in response.body
    assert "Traceback" not in server.log


# ---- Caching and ranges ------------------------------------------------------------------------------------------


def test_not_modified(server):
    response = get(server, "/robots.txt")
    stamp = response.header("last-modified")
    assert stamp
    again = get(server, "/robots.txt", If_Modified_Since=stamp)
    assert (again.status, again.body) == (304, b"")
    when = parsedate_to_datetime(stamp)
    later = format_datetime(when + timedelta(days=1), usegmt=True)
    earlier = format_datetime(when - timedelta(days=1), usegmt=True)
    assert get(server, "/robots.txt", If_Modified_Since=later).status == 304
    assert text_of(get(server, "/robots.txt", If_Modified_Since=earlier)) == "User-agent: *"
    assert get(server, "/login", If_Modified_Since=later).status in (200, 304)


@pytest.mark.parametrize(
    "since", ["x", "", "0", "-1", "Thu, 01 Jan 1970 00:00:00", "Thu, 99 Foo 9999 99:99:99 GMT", "é"]
)
def test_a_date_that_is_none_is_ignored(server, since):
    assert text_of(get(server, "/robots.txt", If_Modified_Since=since)) == "User-agent: *"
    assert "Traceback" not in server.log


@pytest.mark.parametrize(
    ("asked", "part"),
    [
        ("bytes=0-3", "0123"), ("bytes=4-", "456789"), ("bytes=-2", "89"), ("bytes=9-9", "9"), ("bytes=0-0", "0"),
        ("bytes=0-99999", DIGITS), ("bytes=-99999", DIGITS), ("bytes=8-100", "89"),
    ],
)  # fmt: skip
def test_ranges(server, asked, part):
    response = get(server, "/digits.txt", Range=asked)
    assert (response.status, response.body.decode()) == (206, part)
    start = DIGITS.index(part)
    assert response.header("content-range") == f"bytes {start}-{start + len(part) - 1}/10"
    assert response.header("content-length") == str(len(part))
    assert (response.header("content-type") or "").startswith("text/plain")
    big = FILES["big.bin"]
    assert get(server, "/big.bin", Range="bytes=1000000-2000000").body == big[1_000_000:2_000_001]


@pytest.mark.parametrize(
    "asked",
    [
        "x", "bytes", "bytes=", "bytes=-", "bytes=a-b", "bytes=5-2", "items=0-3", "bytes=1-2,4-5", "bytes=--1",
        "bytes=1-2-3", "bytes=0x1-2", "bytes 0-3", "bytes=0-" + "9" * 30,
    ],
)  # fmt: skip
def test_a_range_that_is_none_is_ignored(server, asked):
    response = get(server, "/digits.txt", Range=asked)
    assert (response.status, response.body.decode()) == (200, DIGITS)
    assert "Traceback" not in server.log


@pytest.mark.parametrize(("path", "asked"), [("/digits.txt", "bytes=10-"), ("/digits.txt", "bytes=50-60"),
                                             ("/digits.txt", "bytes=-0"), ("/empty.txt", "bytes=0-0")])  # fmt: skip
def test_a_range_beyond_the_end(server, path, asked):
    response = get(server, path, Range=asked)
    size = 0 if path == "/empty.txt" else 10
    assert response.status == 416, response
    assert response.header("content-range") == f"bytes */{size}"


# ---- Beside what else is served ----------------------------------------------------------------------------------


def test_functions_and_routes_win_over_files(server):
    assert text_of(get(server, "/mine.txt")) == "the route"
    assert text_of(get(server, "/docs/live/x")) == "x"
    assert json.loads(text_of(get(server, "/isomor/api/hello"))) == {"result": "hello"}
    assert server.call("hello") == "hello"
    assert json.loads(text_of(get(server, "/health/live"))) == {"status": "live"}


def test_a_websocket_at_the_page_itself(server):
    assert text_of(get(server, "/")) == INDEX
    for path in ("/", "/isomor/ws", "/?x=1"):
        with server.ws(path) as ws:
            assert ws.call("hello") == "hello"
    assert text_of(get(server, "/")) == INDEX
    with pytest.raises(AssertionError, match="no upgrade"):
        server.raw_ws("/login").connection.close()


def test_a_file_that_changes_is_served_as_it_is(server):
    folder = Path(server.env["ISOMOR_STATIC_FOLDER"])
    (folder / "new.txt").write_text("one")
    assert text_of(get(server, "/new.txt")) == "one"
    (folder / "new.txt").write_text("two, and longer")
    assert text_of(get(server, "/new.txt")) == "two, and longer"
    (folder / "new.txt").unlink()
    assert get(server, "/new.txt").status == 404


def test_a_folder_without_an_index(serve, tmp_path):
    write_files(tmp_path / "public", {"a.txt": "a", "sub/b.txt": "b"})
    server = serve(API, env={"ISOMOR_STATIC_FOLDER": str(tmp_path / "public")})
    assert text_of(get(server, "/a.txt")) == "a"
    for path in ("/", "/login", "/sub", "/sub/"):
        assert get(server, path).status == 404, path  # and no list of what is there
