"""Plain calls over HTTP are answered without Sanic. Here the same bytes go both ways, and the answers are compared.

Two servers serve the same functions. One has middleware, so that every request of it goes through Sanic; the other has
none. What they answer, where they think that a request ends, and whether they close, has to be the same.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
import socket
import time
from typing import Any

import pytest
import uvloop
from harness import Server, wait_until, write_files
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from isomor.server.direct import number_of_socket, write

API: dict[str, Any] = {
    "add.py": "async def add(a: int, b: int = 10) -> int:\n    return a + b\n",
    "echo.py": "async def echo(value=None):\n    return value\n",
    "sync.py": "def sync(text: str = '') -> str:\n    return text\n",
    "later.py": "import asyncio\n\nasync def later(a: int) -> int:\n    await asyncio.sleep(0)\n    return a\n",
    "fails.py": "async def fails() -> None:\n    raise ValueError('s3cret')\n",
    "refuses.py": "from isomor import ApiError\n\nasync def refuses() -> None:\n    raise ApiError('no', 'NO', 418)\n",
    "over_ws.py": "from isomor import WsContext\n\nasync def over_ws(ctx: WsContext) -> None: pass\n",
    "over_http.py": "from isomor import HttpContext\n\ndef over_http(ctx: HttpContext) -> str:\n    return ctx.type\n",
    "ctx.py": "from isomor import Context\n\nasync def ctx(ctx: Context) -> str:\n    return ctx.req.path\n",
    "price.py": "from isomor import cached\n\n@cached(60)\ndef price(name: str = 'apple') -> str:\n    return name\n",
    # The one that tells: Sanic knows the request that it is answering.
    "by.py": """
from sanic import Request
from sanic.exceptions import ServerError

async def by() -> str:
    try:
        Request.get_current()
    except ServerError:
        return "isomor"
    return "Sanic"
""",
}
MIDDLEWARE = """
def startup(app):
    @app.on_request
    async def look(request):
        pass
"""
MOST = 100_000
ENV = {"ISOMOR_MAX_MESSAGE_SIZE": str(MOST), "ISOMOR_SECURITY_ORIGINS": "https://good.example"}


@pytest.fixture(scope="module")
def plain(serve_module: Any) -> Server:
    return serve_module(API, env=ENV)


@pytest.fixture(scope="module")
def sanic(serve_module: Any) -> Server:
    return serve_module(API | {"startup.py": MIDDLEWARE}, env=ENV)


def call(name: str, args: str = "[]", *headers: str, start: str = "") -> bytes:
    """A call as a browser sends it; `headers` come on top."""
    body = f'{{"args":{args}}}'.encode()
    lines = [
        start or f"POST /isomor/api/{name} HTTP/1.1",
        "Host: localhost",
        "Content-Type: application/json",
        f"Content-Length: {len(body)}",
        *headers,
    ]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


def exchange(server: Server, *pieces: bytes) -> list[Any]:
    """All that the server answers to the bytes and to a last call behind them: status, headers, and body of each.

    What follows that is no request and longer than any body that may be: so both servers close, whatever they made of
    what came before, and how much they answered tells where they think that it ended.
    """
    with server.raw() as connection:
        try:
            for piece in pieces:
                connection.send(piece)
            connection.send(call("add", "[1,2]", "Connection: close"))
            connection.send(b"\r\n" * MOST)
        except OSError:
            pass  # it has closed already, and what it said is still to be read
        data = connection.read_to_end()
    answers = []
    while data:
        head, _, data = data.partition(b"\r\n\r\n")
        status, *lines = head.decode().split("\r\n")
        headers: dict[str, Any] = dict(line.lower().split(": ", 1) for line in lines)
        headers["allow"] = sorted(headers.get("allow", "").split(", "))  # Sanic lists a set
        size = int(headers.get("content-length", 0))
        body, data = data[:size], data[size:]
        answers.append((status, headers, re.sub(rb'"errorId":"\w+"', b'"errorId":""', body)))
    return answers


def same(plain: Server, sanic: Server, *pieces: bytes) -> list[Any]:
    by_plain, by_sanic = exchange(plain, *pieces), exchange(sanic, *pieces)
    assert by_plain == by_sanic, pieces
    return by_plain


# ---- Which way a call goes -------------------------------------------------------------------------------------------

CHROME = [
    "Connection: keep-alive",
    "User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.0.0 Safari/537.36",
    'sec-ch-ua: "Not/A)Brand";v="8", "Chromium";v="126"',
    "Accept: */*",
    "Origin: http://localhost",
    "Sec-Fetch-Site: same-origin",
    "Accept-Encoding: gzip, deflate, br, zstd",
    "Cookie: a=b; c=d",
]


def by(server: Server, *headers: str, **options: Any) -> str:
    with server.raw() as connection:
        connection.send(call("by", "[]", *headers, **options))
        return connection.response().json()["result"]


def test_calls_of_a_browser_and_of_a_program_are_plain(plain: Server, sanic: Server) -> None:
    assert by(plain) == by(plain, *CHROME) == "isomor"
    assert by(sanic) == by(sanic, *CHROME) == "Sanic"


@pytest.mark.parametrize(
    "header",
    ["Connection: close", "Upgrade: h2c", "Origin: https://good.example", "X-Twice: 1\r\nX-Twice: 2", "X: 1 "],
)
def test_what_leaves_something_open_goes_through_sanic(plain: Server, header: str) -> None:
    assert by(plain, header) == "Sanic"


@pytest.mark.parametrize(
    "startup",
    [
        MIDDLEWARE,
        MIDDLEWARE.replace("on_request\n    async def look(request)", "on_response\n    async def look(_, response)"),
        "def startup(app):\n    @app.signal('http.lifecycle.request')\n    async def look(**_): pass\n",
        "def before_call(ctx): pass\n",
        "def startup(app):\n    app.config.KEEP_ALIVE = False\n",
    ],
    ids=["request middleware", "response middleware", "signal", "before_call", "no keep-alive"],
)
def test_whoever_wants_to_see_requests_sees_them(serve: Any, startup: str) -> None:
    assert by(serve({"by.py": API["by.py"], "startup.py": startup})) == "Sanic"


def test_a_route_of_the_users_own_comes_first(serve: Any) -> None:
    startup = """
from sanic import json

def startup(app):
    @app.post("/isomor/api/by")
    async def mine(request):
        return json({"result": "mine"})
"""
    server = serve({"by.py": API["by.py"], "echo.py": API["echo.py"], "startup.py": startup})
    assert by(server) == "mine"


def test_functions_after_a_reload_are_called(serve: Any) -> None:
    server = serve({"by.py": API["by.py"]}, env={"ISOMOR_WATCH": "true"})
    assert by(server) == "isomor"
    write_files(server.api, {"by.py": "async def by() -> str:\n    return 'new'\n"})
    wait_until(lambda: by(server) == "new")


# ---- The same answers ------------------------------------------------------------------------------------------------

NAMES = [
    "add",
    "echo",
    "sync",
    "later",
    "fails",
    "refuses",
    "over_ws",
    "over_http",
    "ctx",
    "price",
    "none",
    "add/",
    "%61dd",
]
ARGS = [
    "[]",
    "[1]",
    "[1,2]",
    '["x"]',
    "[1,2,3]",
    "{}",
    "null",
    "[[",
    '[{"a":[1.5,null]}]',
    "[1e400]",
    '["\\ud800"]',
    "[" * 200,
]
HEADERS = [
    *CHROME,
    "Connection: close",
    "Connection: Keep-Alive",
    "Connection: upgrade",
    "Origin: null",
    "Origin: https://good.example",
    "Origin: https://evil.example",
    "Sec-Fetch-Site: cross-site",
    "Sec-Fetch-Site: same-site",
    "X-Forwarded-Host: evil.example",
    "Content-Type: text/plain",
    "Content-Type: application/json; charset=utf-8",
    "content-type: APPLICATION/JSON",
    "Content-Length: 5",
    "Content-Length: 0",
    "Content-Length: 12, 12",
    "Content-Length: +12",
    "Content-Length: 012",
    "Content-Length: 0x0c",
    "Content-Length: 1_2",
    "Content-Length: 99999999",
    "Content-Length : 12",
    "Content-Length:",
    "Content-Length: \u0661",
    "Transfer-Encoding: chunked",
    "Transfer-Encoding: identity",
    "Transfer-Encoding: xchunked",
    "Transfer-Encoding: chunked, identity",
    "Transfer-Encoding : chunked",
    " folded",
    "\tfolded",
    "Expect: 100-continue",
    "Expect: nothing",
    "Upgrade: h2c",
    "Connection: Upgrade\r\nUpgrade: websocket",
    "Connection: Upgrade\r\nUpgrade: h2c",
    "Host: other",
    "Host:",
    "X: a\nContent-Length: 3",
    "X: a\rContent-Length: 3",
    "X: \0",
    "X: caf\u00e9",
    "X",
    ": x",
    "X y: z",
    "If-None-Match: *",
]
STARTS = [
    "",
    "GET /isomor/api/add HTTP/1.1",
    "POST /isomor/api/add HTTP/1.0",
    "POST /isomor/api/add HTTP/2.0",
    "POST  /isomor/api/add HTTP/1.1",
    "POST /isomor/api/add  HTTP/1.1",
    "POST\t/isomor/api/add HTTP/1.1",
    "post /isomor/api/add HTTP/1.1",
    "PUT /isomor/api/add HTTP/1.1",
    "OPTIONS /isomor/api/add HTTP/1.1",
    "HEAD /isomor/api/price HTTP/1.1",
    "POST /isomor/api/add?args=[1] HTTP/1.1",
    "POST http://localhost/isomor/api/add HTTP/1.1",
    "POST /isomor/api/add#x HTTP/1.1",
    "POST //isomor/api/add HTTP/1.1",
    "POST /isomor/api/../api/add HTTP/1.1",
    "POST /isomor/ws HTTP/1.1",
    "POST /health/live HTTP/1.1",
    "GET / HTTP/1.1",
    "POST /isomor/api/add",
    "\r\nPOST /isomor/api/add HTTP/1.1",
    "POST /isomor/api/add HTTP/1.1\r",
]

requests = st.one_of(
    st.builds(call, st.sampled_from(NAMES), st.sampled_from(ARGS)),
    st.builds(
        lambda name, args, headers, start: call(name, args, *headers, start=start),
        st.sampled_from(NAMES),
        st.sampled_from(ARGS),
        st.lists(st.sampled_from(HEADERS), max_size=3),
        st.sampled_from(STARTS),
    ),
)


@st.composite
def streams(draw: st.DrawFn) -> list[bytes]:
    """Some requests in a row, perhaps with a byte changed, gone or new, cut into pieces anywhere."""
    data = b"".join(draw(st.lists(requests, min_size=1, max_size=4)))
    if draw(st.integers(0, 2)) == 0:
        at = draw(st.integers(0, len(data) - 1))
        put = draw(st.sampled_from([b"", b"\n", b"\r", b"\r\n", b" ", b"\0", b":", b"0", b"\r\n\r\n", b"\xff"]))
        data = data[:at] + put + data[at + draw(st.integers(0, 2)) :]
    cuts = sorted(draw(st.lists(st.integers(0, len(data)), max_size=3)))
    return [data[start:end] for start, end in zip([0, *cuts], [*cuts, len(data)], strict=True)]


@settings(max_examples=400, deadline=None, suppress_health_check=list(HealthCheck))
@given(streams())
@example([call("add", "[1,2]") * 3])
@example([call("later", "[1]") + call("add", "[1]") + call("over_http") + call("sync") + call("add", "[2]")])
def test_both_ways_give_the_same_answers(plain: Server, sanic: Server, pieces: list[bytes]) -> None:
    same(plain, sanic, *pieces)


@pytest.mark.parametrize("start", STARTS)
def test_request_lines(plain: Server, sanic: Server, start: str) -> None:
    same(plain, sanic, call("add", "[1]", start=start))


@pytest.mark.parametrize("header", HEADERS)
@pytest.mark.parametrize("first", [True, False])
def test_headers(plain: Server, sanic: Server, header: str, first: bool) -> None:
    request = call("add", "[1]", header)
    if first:  # before ours, so that the first of two is the odd one
        request = call("add", "[1]").replace(b"Host:", f"{header}\r\nHost:".encode(), 1)
    same(plain, sanic, request)
    same(plain, sanic, call("add", "[5]") + request + call("add", "[6]"))


@pytest.mark.parametrize("size", [1, 1000, 65_000, 65_536, 66_000, 90_000, MOST - 9, MOST + 1])
def test_sizes_of_bodies(plain: Server, sanic: Server, size: int) -> None:
    request = call("echo", f'["{"x" * size}"]')
    same(plain, sanic, request)
    same(plain, sanic, request[:-5], request[-5:] + call("add", "[1]"))


@pytest.mark.parametrize("size", [1000, 7000, 8100, 8300, 9000, 17_000, 60_000])
def test_sizes_of_heads(plain: Server, sanic: Server, size: int) -> None:
    request = call("add", "[1]", f"X: {'x' * size}")
    same(plain, sanic, request)
    same(plain, sanic, request[: size // 2], request[size // 2 :])


@pytest.mark.parametrize("size", [0, 1, 7, 200])
def test_chunks(plain: Server, sanic: Server, size: int) -> None:
    head = call("add", "[1]").partition(b"\r\n\r\n")[0].replace(b"Content-Length: 12", b"Transfer-Encoding: chunked")
    body = b'{"args":[1]}'.ljust(size)
    for ending in (b"0\r\n\r\n", b"0\r\nX: y\r\n\r\n", b"-1\r\n\r\n", b"00\r\n\r\n", b"0;x=y\r\n\r\n", b"0\n\n"):
        same(plain, sanic, head + b"\r\n\r\n" + b"%x\r\n%b\r\n" % (len(body), body) + ending + call("add", "[2]"))


HIDDEN = call("add", "[4000,242]")


def smuggle(*headers: str, start: str = "", body: bytes = b'{"args":[1]}', end: str = "\r\n") -> bytes:
    """A call whose head says in `headers` where it ends, and behind its body one that may be a part of it."""
    lines = [start or "POST /isomor/api/add HTTP/1.1", "Host: localhost", "Content-Type: application/json", *headers]
    return (end.join(lines) + end * 2).encode("latin-1") + body + HIDDEN


ALL = f"Content-Length: {12 + len(HIDDEN)}"
CHUNKED = b'c\r\n{"args":[1]}\r\n'
REST = CHUNKED[1:] + b"0\r\n\r\n"
SMUGGLED = {
    "two lengths, the short first": smuggle("Content-Length: 12", ALL),
    "two lengths, the long first": smuggle(ALL, "Content-Length: 12"),
    "the same length twice": smuggle("Content-Length: 12", "Content-Length: 12"),
    "two lengths, of other cases": smuggle("content-length: 12", "CONTENT-LENGTH: 0"),
    "a list of lengths": smuggle(f"Content-Length: 12, {12 + len(HIDDEN)}"),
    "a list of the same length": smuggle("Content-Length: 12,12"),
    "length 0, and a body": smuggle("Content-Length: 0"),
    "no length, and a body": smuggle(),
    "an empty length": smuggle("Content-Length: "),
    **{f"length {value!r}": smuggle(f"Content-Length: {value}") for value in (
        "+12", "-12", "0x0c", "1e1", "12.0", "012", "1_2", " 12", "12 ", "\t12", "12;", '"12"', "12\x0b", "\xb2",
        "12\0",
        "9" * 5, "9" * 7, "9" * 8, "9" * 30, "0" * 5000 + "12", "18446744073709551628", "4294967308",
    )},
    "a length without a space": smuggle("Content-Length:12"),
    "a space before the colon": smuggle("Content-Length : 12"),
    "a tab before the colon": smuggle("Content-Length\t: 12"),
    "a name that begins with a space": smuggle("X: a", " Content-Length: 12"),
    "a length in a folded line": smuggle("X: a", "\tContent-Length: 12"),
    "a folded length": smuggle("Content-Length:", " 12"),
    "a length that is folded on": smuggle("Content-Length: 1", " 2"),
    "a name with an underscore": smuggle("Content_Length: 12"),
    "a name with a NUL": smuggle("Content-Length\0: 12"),
    "chunked and a length": smuggle("Transfer-Encoding: chunked", "Content-Length: 12", body=CHUNKED + b"0\r\n\r\n"),
    "a length and chunked": smuggle(ALL, "Transfer-Encoding: chunked", body=b"0\r\n\r\n"),
    **{f"{name}, and a length": smuggle(name, "Content-Length: 12") for name in (
        "Transfer-Encoding: identity", "Transfer-Encoding: xchunked", "Transfer-Encoding: chunked, identity",
        "Transfer-Encoding: identity, chunked", "Transfer-Encoding:\x0bchunked", "Transfer-Encoding: \"chunked\"",
        "Transfer-Encoding : chunked", "Transfer_Encoding: chunked", "TE: chunked", "transfer-encoding: CHUNKED",
        "Transfer-Encoding:\r\n chunked", "X: a\nTransfer-Encoding: chunked", "X: a\rTransfer-Encoding: chunked",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity", "Transfer-Encoding:", "Trailer: Content-Length",
    )},
    **{f"a chunk of {size!r}": smuggle("Transfer-Encoding: chunked", body=size + REST) for size in (
        b"c", b"C", b"0c", b"000000000000000000c", b" c", b"c ", b"+c", b"-c", b"0xc", b"c_", b"c;x=y", b'c;x="\r\n"',
        b"c\t", b"ffff", b"ffffffff", b"fffffffffffffff", b"ffffffffffffffff", b"10000000000000000c", b"f" * 40,
        b"", b"g", b";",
    )},
    "chunks by bare LF": smuggle("Transfer-Encoding: chunked", body=b'c\n{"args":[1]}\n0\n\n'),
    "a chunk longer than it says": smuggle("Transfer-Encoding: chunked", body=b'5\r\n{"args":[1]}\r\n0\r\n\r\n'),
    "no CRLF behind a chunk": smuggle("Transfer-Encoding: chunked", body=b'c\r\n{"args":[1]}0\r\n\r\n'),
    **{f"a chunk that ends by {end!r}": smuggle("Transfer-Encoding: chunked", body=CHUNKED[:-2] + end + b"0\r\n\r\n")
       for end in (b"XX", b"\n\n", b"\r\r", b"\n\r")},
    **{f"a chunk's extension {text!r}": smuggle("Transfer-Encoding: chunked", body=b"c;" + text + REST) for text in (
        b"a\n0", b"\n", b"x\nx", b"\r", b"\0",
    )},
    "an extension of the last chunk": smuggle("Transfer-Encoding: chunked", body=CHUNKED + b"0;\nfoo\r\n\r\n"),
    "two requests, or one": smuggle("Transfer-Encoding: chunked", body=b"2;\nxx\r\n4a\r\n0\r\n\r\n" + HIDDEN),
    "two hosts": smuggle("Host: other", "Content-Length: 12"),
    "a length in the trailer": smuggle("Transfer-Encoding: chunked", body=CHUNKED + b"0\r\nContent-Length: 99\r\n\r\n"),
    "chunks without an end": smuggle("Transfer-Encoding: chunked", body=CHUNKED),
    "bare LF": smuggle("Content-Length: 12", end="\n"),
    "bare CR": smuggle("Content-Length: 12", end="\r"),
    "LF and CR": smuggle("Content-Length: 12", end="\n\r"),
    "a head that ends by a bare LF": smuggle("Content-Length: 12").replace(b"12\r\n\r\n", b"12\r\n\n", 1),
    "a head that ends by two bare LF": smuggle("Content-Length: 12").replace(b"12\r\n\r\n", b"12\n\n", 1),
    "a head that ends by CR, CR, LF": smuggle("Content-Length: 12").replace(b"12\r\n\r\n", b"12\r\r\n\r\n", 1),
    **{f"the target {target}": smuggle("Content-Length: 12", start=f"POST {target} HTTP/1.1") for target in (
        "http://localhost/isomor/api/add", "https://localhost/isomor/api/add", "http://other/isomor/api/add",
        "http:/isomor/api/add", "//localhost/isomor/api/add", "localhost:80", "*", "/isomor/api/add?a=b",
        "/isomor/api/add HTTP/1.1\r\nX:", "/isomor/api/add%20HTTP/1.1", "/isomor/api/add\0", "/isomor/api/a\x80dd",
    )},
    **{f"version {value!r}": smuggle("Content-Length: 12", start=f"POST /isomor/api/add {value}") for value in (
        "HTTP/1.0", "HTTP/1.2", "HTTP/0.9", "HTTP/2", "http/1.1", "HTTP/1.1 ", "HTTP/1.10", "HTTP/01.1", "",
    )},
    "expecting 100-continue": smuggle("Content-Length: 12", "Expect: 100-continue"),
    "GET with a body": smuggle("Content-Length: 12", start="GET /isomor/api/add HTTP/1.1"),
    "behind one that is well-formed": smuggle("Content-Length: 12") + smuggle(ALL, "Content-Length: 12"),
}  # fmt: skip


# What comes behind these can only be read by those who are wrong about where they end.
READABLE = {
    "length 0, and a body", "no length, and a body", "length '012'", "length ' 12'", "length '12 '", "length '\\t12'",
    "length '99999'",
    "a length without a space", "a name with an underscore", "Transfer_Encoding: chunked, and a length",
    "TE: chunked, and a length", "Trailer: Content-Length, and a length", "expecting 100-continue", "GET with a body",
    *(f"a chunk of {size!r}" for size in (b"c", b"C", b"0c", b"000000000000000000c", b"c;x=y")),
    *(name for name in SMUGGLED if name.startswith("the target ") and "other" not in name), "version 'HTTP/1.0'",
    "behind one that is well-formed",
}  # fmt: skip


def test_no_request_is_smuggled_within_another(plain: Server, sanic: Server) -> None:
    """Behind a call that is answered without Sanic, and in two pieces: where it ends is read in one way only."""
    for name, request in SMUGGLED.items():
        pieces = call("add", "[1]") + request[:-5], request[-5:]
        answers = exchange(plain, *pieces)
        assert answers == exchange(sanic, *pieces), name
        if name not in READABLE:
            assert [status[9:12] for status, *_ in answers[1:]] in (["400"], ["413"]), (name, answers)


def test_the_body_of_a_refused_request_is_no_request(plain: Server, sanic: Server) -> None:
    """What comes behind the head of a request that is answered before its body has been read."""
    for inner in (call("add", "[7]"), b"GET /isomor/ws HTTP/1.1\r\nUpgrade: websocket\r\nHost: localhost\r\n\r\n"):
        for target in ("/nowhere", "/isomor/api/none", "/isomor/api/over_ws"):
            head = f"POST {target} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(inner)}\r\n\r\n".encode()
            assert len(same(plain, sanic, head, inner)) == 2
            with plain.raw() as connection:
                connection.send(head)
                if target == "/nowhere":  # answered already
                    assert connection.response().status == 404
                    connection.send(inner + call("add", "[1,1]"))
                else:
                    connection.send(inner)
                    assert connection.response().status in (404, 415, 426)
                    connection.send(call("add", "[1,1]"))
                assert connection.response().json() == {"result": 2}


def test_the_answer_says_what_sanic_says(plain: Server, sanic: Server) -> None:
    """Byte by byte, so that nobody can tell."""
    for request in (call("add", "[1]"), call("add", '["x"]'), call("refuses")):
        said = []
        for server in (plain, sanic):
            with server.raw() as connection:
                connection.send(request)
                head = connection.read_until(b"\r\n\r\n")
                size = head.partition(b"content-length: ")[2].partition(b"\r\n")[0]
                said.append((head, json.loads(connection.read(int(size)))))
        assert said[0] == said[1]


# ---- What Sanic would have done besides ------------------------------------------------------------------------------


@pytest.fixture
def impatient(serve: Any) -> Server:
    startup = """
def startup(app):
    app.config.KEEP_ALIVE_TIMEOUT = 1
    app.config.REQUEST_TIMEOUT = 1
"""
    later = "import asyncio\n\nasync def later(wait: float) -> float:\n    return await asyncio.sleep(wait, wait)\n"
    return serve({"later.py": later, "add.py": API["add.py"], "startup.py": startup})


def test_a_connection_that_idles_is_closed_and_one_that_works_is_not(impatient: Server) -> None:
    with impatient.raw() as connection:
        connection.send(call("later", "[2.5]"))
        assert connection.response().json() == {"result": 2.5}
        connection.send(call("add", "[1]"))
        assert connection.response().json() == {"result": 11}
        assert connection.read_to_end() == b""


@pytest.mark.parametrize("end", [4, 20, -20, -2])
@pytest.mark.parametrize("before", [b"", call("add", "[1]"), b"GET /health/live HTTP/1.1\r\nHost: x\r\n\r\n"])
def test_a_request_that_never_comes_whole_is_ended(impatient: Server, end: int, before: bytes) -> None:
    with impatient.raw() as connection:
        if before:
            connection.send(before)
            assert connection.response().status == 200
        connection.send(call("add", "[1]")[:end])
        assert connection.response().json()["code"] == "REQUEST_TIMEOUT"
        assert connection.read_to_end() == b""


def test_who_does_not_read_is_not_read_either(serve: Any) -> None:
    server = serve({"echo.py": API["echo.py"]})
    request = call("echo", f'["{"x" * 10_000}"]')
    stream, sent = memoryview(request * 10_000), 0
    with server.raw() as connection:
        connection.socket.settimeout(1)
        with contextlib.suppress(TimeoutError):
            while sent < len(stream):
                sent += connection.socket.send(stream[sent:])
        assert sent < len(stream) / 2
        connection.socket.settimeout(30)
        for _ in range(sent // len(request)):
            assert connection.response().status == 200


def test_a_plain_call_is_cancelled_with_its_connection_where_that_is_wanted(serve: Any) -> None:
    wait = """
import asyncio

seen = {"running": 0, "cancelled": 0}

async def wait() -> None:
    seen["running"] += 1
    try:
        await asyncio.sleep(60)
    except asyncio.CancelledError:
        seen["cancelled"] += 1
        raise
"""
    look = "from .wait import seen\n\nasync def look() -> dict[str, int]:\n    return seen\n"
    server = serve({"wait.py": wait, "look.py": look}, env={"ISOMOR_CANCEL_ON_DISCONNECT": "true"})
    with server.raw() as connection:
        connection.send(call("wait") + call("wait"))
        wait_until(lambda: server.call("look")["running"] == 1)
    wait_until(lambda: server.call("look")["cancelled"] == 1)
    assert server.call("look")["running"] == 1, "what came behind it was called when the connection had gone"


CONTEXT = {
    "slow.py": """
import asyncio
from .get import secret

async def slow(wait: float) -> str:
    secret.set("of slow")
    await asyncio.sleep(wait)
    return "slow"
""",
    "get.py": """
from contextvars import ContextVar

secret: ContextVar[str] = ContextVar("secret", default="none")

async def get() -> str:
    return secret.get()
""",
    "get_by_sanic.py": """
from isomor import HttpContext
from .get import secret

async def get_by_sanic(ctx: HttpContext) -> str:
    return secret.get()
""",
    "startup.py": """
import asyncio
from sanic.response import text
from .get import secret

def startup(app):
    secret.set("of startup")

    @app.get("/stream")
    async def stream(request):
        response = await request.respond()
        await response.send("x")
        await response.eof()
        await asyncio.sleep(0.5)
""",
}


def test_no_call_sees_the_context_of_one_before_it(serve: Any) -> None:
    server = serve(CONTEXT)
    with server.raw() as connection:
        connection.send(call("slow", "[0.1]") + call("get") + call("slow", "[0.1]") + call("get_by_sanic"))
        said = [connection.response().json()["result"] for _ in range(4)]
        assert said == ["slow", "of startup", "slow", "of startup"]
        connection.send(call("get_by_sanic"))
        assert connection.response().json()["result"] == "of startup"


def test_no_call_by_websocket_does_either(serve: Any) -> None:
    server = serve(CONTEXT, env={"ISOMOR_WS_MAX_CALLS_IN_FLIGHT": "1"})
    with server.ws() as ws:
        first, second = ws.send_call("slow", 0.1), ws.send_call("get")
        assert (ws.result(first), ws.result(second)) == ("slow", "of startup")


def test_answers_come_in_order_behind_a_handler_that_goes_on(serve: Any) -> None:
    server = serve(CONTEXT)
    with server.raw() as connection:
        connection.send(b"GET /stream HTTP/1.1\r\nHost: x\r\n\r\n")
        assert connection.response("GET").status == 200
        connection.send(call("slow", "[1.0]"))
        connection.send(call("get_by_sanic"))
        assert [connection.response().json()["result"] for _ in range(2)] == ["slow", "of startup"]


def test_a_limit_that_startup_has_lowered_holds(serve: Any) -> None:
    startup = "def startup(app):\n    app.config.REQUEST_MAX_SIZE = 1000\n"
    server = serve({"echo.py": API["echo.py"], "startup.py": startup})
    with server.raw() as connection:
        connection.send(call("echo", f'["{"x" * 900}"]'))
        assert connection.response().status == 200
        connection.send(call("echo", f'["{"x" * 3000}"]'))
        assert connection.response().status == 413


def test_clocks_that_are_set_to_nothing(serve: Any) -> None:
    startup = "def startup(app):\n    app.config.KEEP_ALIVE_TIMEOUT = app.config.REQUEST_TIMEOUT = 0\n"
    later = "import asyncio\n\nasync def later(wait: float) -> float:\n    return await asyncio.sleep(wait, wait)\n"
    cpu = "import time\n\nasync def cpu() -> float:\n    return time.process_time()\n"
    server = serve({"later.py": later, "cpu.py": cpu, "startup.py": startup})
    before = server.call("cpu")
    assert server.call("later", 1.5) == 1.5
    assert server.call("cpu") - before < 1, "a clock that struck all the time"


def test_what_a_socket_does_not_take_is_written_by_its_transport() -> None:
    async def pass_through(size: int) -> int:
        loop = asyncio.get_running_loop()
        ours, theirs = socket.socketpair()
        ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
        theirs.setblocking(False)
        transport, _ = await loop.create_connection(asyncio.Protocol, sock=ours)
        number = number_of_socket(transport)
        sent = b""
        for letter in (b"a", b"b", b"c"):
            write(transport, number, letter * size, transport.get_write_buffer_size())
            sent += letter * size
        received = b""
        while len(received) < len(sent):
            received += await loop.sock_recv(theirs, 65536)
        assert received == sent
        transport.abort()
        write(transport, number, b"late", 0)  # to nobody, least of all to whom has the number now
        theirs.close()
        return len(received)

    for size in (1, 5000, 1_000_000):
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            assert runner.run(pass_through(size)) == 3 * size


def test_a_signal_that_waits_before_a_request_is_read(serve: Any) -> None:
    startup = """
import asyncio

def startup(app):
    @app.signal("http.lifecycle.begin")
    async def begin(**_):
        await asyncio.sleep(0.3)
"""
    server = serve({"add.py": API["add.py"], "startup.py": startup})
    with server.raw() as connection:
        request = call("add", "[1]")
        connection.send(request[:-4])
        wait_until(lambda: server.call("add", 1) == 11)  # so that the first piece has been read
        connection.send(request[-4:])
        assert connection.response().json() == {"result": 11}


def test_a_body_on_its_way_when_the_server_stops_is_waited_for(serve: Any) -> None:
    server = serve({"add.py": API["add.py"]})
    with server.raw() as connection:
        request = call("add", "[1]")
        connection.send(request[:-4])
        assert server.call("add", 1) == 11
        server.signal()
        server.wait_for_log("stopping")
        time.sleep(1.5)  # longer than one who has just connected may take
        connection.send(request[-4:])
        assert connection.response().json() == {"result": 11}
    assert server.wait() == 0
