"""HTTP by a real server: what a request may look like, what its answer carries, and who is let in."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pytest
from harness import RawConnection, RawResponse, Server

JSON = {"Content-Type": "application/json"}
MOST = 64 * 1024
API = {
    "add.py": "async def add(a: int, b: int = 10) -> int:\n    return a + b\n",
    "hello.py": "async def hello() -> str:\n    return 'hello'\n",
    "nothing.py": "def nothing() -> None: pass\n",
    "echo.py": "async def echo(value=None):\n    return value\n",
    "size.py": "async def size(text: str) -> int:\n    return len(text)\n",
    "counter.py": """
count = 0

async def counter() -> int:
    global count
    count += 1
    return count
""",
    "price.py": """
from isomor import cached

@cached(60)
async def price(name: str = "apple", amount: int = 1) -> str:
    return f"{amount} {name}"
""",
    "rates.py": """
from isomor import cached

@cached(max_age=0, public=True)
def rates() -> list[float]:
    return [1.5]
""",
    "refused.py": """
from isomor import ApiError, cached

@cached(60)
async def refused() -> None:
    raise ApiError("no", status=403)
""",
    "secret.py": "async def secret() -> None:\n    raise ValueError('s3cret')\n",
    "over_ws.py": "from isomor import WsContext\n\nasync def over_ws(ctx: WsContext) -> str:\n    return ctx.type\n",
    "over_http.py": """
from isomor import HttpContext

async def over_http(ctx: HttpContext) -> str:
    return ctx.type
""",
    "either.py": "from isomor import Context\n\nasync def either(ctx: Context) -> str:\n    return ctx.type\n",
    "who.py": """
from typing import Any
from isomor import Context

async def who(ctx: Context) -> dict[str, Any]:
    req = ctx.req
    return {"ip": req.ip, "scheme": req.scheme, "host": req.host}
""",
    "answer.py": """
from typing import Any
from isomor import ApiError, HttpContext

async def answer(
    ctx: HttpContext, status: int = 200, headers: dict[str, Any] = {}, fails: bool = False
) -> dict[str, str]:
    ctx.res.status = status
    ctx.res.headers.update(headers)
    ctx.res.set_cookie("one", "1", max_age=60, http_only=True)
    ctx.res.set_cookie("two", "2", path="/isomor", same_site="strict", secure=True)
    ctx.res.delete_cookie("three")
    if fails:
        raise ApiError("no", status=409)
    return dict(ctx.cookies)
""",
    "plain_cookie.py": """
from isomor import HttpContext

def plain_cookie(ctx: HttpContext) -> None:
    ctx.res.set_cookie("plain", "1")
""",
    "bad_cookie.py": """
from isomor import HttpContext

async def bad_cookie(ctx: HttpContext, name: str, value: str, path: str = "/") -> None:
    ctx.res.set_cookie(name, value, path=path)
""",
    "startup.py": """
from isomor import ApiError
from sanic import Request, Sanic, exceptions
from sanic.response import json, text


class Mine(Exception):
    pass


def startup(app: Sanic) -> None:
    @app.on_request
    async def note(request: Request) -> None:
        request.ctx.path = request.path

    @app.on_response
    async def mark(request: Request, response) -> None:
        response.headers["x-path"] = getattr(request.ctx, "path", "none")

    @app.get("/mine/<name>")
    async def mine(request: Request, name: str):
        return json({"name": name, "ip": request.ip})

    @app.post("/mine/body")
    async def body(request: Request):
        return json({"size": len(request.body)})

    @app.get("/mine/fails")
    async def fails(request: Request):
        raise ValueError("s3cret")

    @app.get("/mine/api-error")
    async def api_error(request: Request):
        raise ApiError("told", code="TOLD", status=418)

    @app.get("/mine/teapot")
    async def teapot(request: Request):
        raise exceptions.SanicException("I am a teapot", status_code=418)

    @app.get("/mine/not-found")
    async def not_found(request: Request):
        raise exceptions.NotFound("no such thing of mine")

    @app.get("/mine/unauthorized")
    async def unauthorized(request: Request):
        raise exceptions.Unauthorized("who are you", scheme="Basic", realm="mine")

    @app.get("/mine/handled")
    async def handled(request: Request):
        raise Mine("s3cret")

    @app.exception(Mine)
    async def handle(request: Request, error: Mine):
        return text("handled by me", status=402)
""",
}


@pytest.fixture(scope="module")
def server(serve_module) -> Server:
    env = {
        "ISOMOR_WS": ".*",
        "ISOMOR_MAX_MESSAGE_SIZE": str(MOST),
        "ISOMOR_SECURITY_ORIGINS": "https://app.example.com,http://localhost:8080",
    }
    return serve_module(API, env=env)


@pytest.fixture(scope="module")
def proxied(serve_module) -> Server:
    """A server behind a proxy that it trusts, with GET for @cached functions alone."""
    env = {"ISOMOR_SERVER_TRUSTED_PROXIES": "127.0.0.0/8,10.0.0.0/8", "ISOMOR_SECURITY_GET_CALLS": "cached"}
    return serve_module(API, env=env)


@pytest.fixture
def raw(server: Server) -> Any:
    with server.raw() as connection:
        yield connection


def post(connection: RawConnection, name: str, body: bytes, headers: Mapping[str, str] | None = None) -> RawResponse:
    connection.request("POST", f"/isomor/api/{name}", body, JSON | dict(headers or {}))
    return connection.response()


def error(response: Any, status: int, code: str) -> dict[str, Any]:
    """The body of an error that is as it should be."""
    found = getattr(response, "status_code", None) or response.status
    body = response.json()
    assert (found, body.get("code")) == (status, code), body
    assert isinstance(body["error"], str)
    assert body["error"]
    assert body.keys() <= {"error", "code", "details", "errorId"}
    assert "s3cret" not in json.dumps(body)
    return body


# ---- POST --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "result"),
    [
        (b'{"args":[1,2]}', 3),
        (b'{"args":[1]}', 11),
        (b' \r\n{ "args" :\t[ 1 , 2 ] } \n', 3),
        (b'{"other":{"args":[5]},"args":[1,2],"more":null}', 3),
    ],
)
def test_post(raw, body, result):
    response = post(raw, "add", body)
    assert response.status == 200
    assert response.json() == {"result": result}
    assert response.header("content-type") == "application/json"
    assert response.header("content-length") == str(len(response.body))


@pytest.mark.parametrize("body", [b"", b"{}", b'{"args":[]}', b'{"other":1}'])
def test_post_without_arguments(raw, body):
    assert post(raw, "hello", body).json() == {"result": "hello"}
    details = error(post(raw, "add", body), 422, "INVALID_ARGS")["details"]
    assert [detail["param"] for detail in details] == ["a"]


def test_an_empty_body_needs_no_content_type(raw):
    raw.request("POST", "/isomor/api/hello")
    assert raw.response().json() == {"result": "hello"}
    assert post(raw, "nothing", b"").json() == {"result": None}


BAD_BODIES = [
    b"x", b"{", b'{"args":', b"[]", b"[1,2]", b"null", b"1", b'"args"', b'{"args":[1,2]}x', b'{"args":[1,2],}',
    b"\xff", b'{"args":["\xff"]}', b'{"args":["\xed\xa0\x80"]}', b"\xef\xbb\xbf{}", b'{"args":[NaN]}',
    b'{"args":[1,2]}\0', b'{"args":[01]}', b'{"args":[1 2]}', b'{"args":["\\x"]}', b'{"args":["\t"]}', b" ",
    b'{"args":' + b"[" * 200 + b"]" * 200 + b"}", b'{"args":[' + b'{"a":' * 200 + b"1" + b"}" * 200 + b"]}",
    b"[" * 30_000,
]  # fmt: skip


@pytest.mark.parametrize("name", ["echo", "hello", "add", "size"])
@pytest.mark.parametrize("body", BAD_BODIES, ids=lambda body: repr(body[:20]))
def test_a_body_that_is_no_message(raw, name, body):
    error(post(raw, name, body), 400, "BAD_MESSAGE")
    assert post(raw, "add", b'{"args":[1,2]}').json() == {"result": 3}  # the connection goes on


@pytest.mark.parametrize("args", [b"null", b"{}", b'"ab"', b"1", b"true"])
def test_arguments_that_are_no_array(raw, args):
    response = post(raw, "echo", b'{"args":' + args + b"}")
    assert response.status in (400, 422)
    assert response.json()["code"] in ("INVALID_ARGS", "BAD_MESSAGE")


@pytest.mark.parametrize("text", ['"\\ud800"', '"\\udc00 x"', '"\\ud800\\ud800"', '{"\\ud800":1}'])
def test_half_of_a_surrogate_pair_is_the_callers_fault(server, raw, text):
    # JSON.stringify writes them so, and a browser's user may well have cut an emoji in two.
    response = post(raw, "echo", f'{{"args":[{text}]}}'.encode())
    assert (response.status, response.json()["code"]) in ((400, "BAD_MESSAGE"), (422, "INVALID_ARGS"))
    with server.ws() as ws:
        ws.send(f'{{"action":"API","id":1,"urlPath":"/isomor/api/echo","args":[{text}]}}')
        answer = ws.receive()
        assert answer["code"] in ("BAD_MESSAGE", "INVALID_ARGS")
        assert answer["id"] == 1  # its caller hears of it


@pytest.mark.parametrize(
    "kind",
    ["application/json", "application/json; charset=utf-8", 'Application/JSON;charset="UTF-8"', "application/json;"],
)
def test_content_types_that_are_json(raw, kind):
    assert post(raw, "add", b'{"args":[1,2]}', {"Content-Type": kind}).json() == {"result": 3}


@pytest.mark.parametrize(
    "kind",
    [
        "", "text/plain", "text/plain; application/json", "application/x-www-form-urlencoded", "multipart/form-data",
        "application/json; charset=latin-1", "application/jsonx", "application", "text/json, application/json",
        "multipart/form-data; boundary=x", "é",
    ],
)  # fmt: skip
def test_content_types_that_are_not(raw, kind):
    # A page of another site can send the first few of these without a preflight.
    error(post(raw, "add", b'{"args":[1,2]}', {"Content-Type": kind}), 415, "UNSUPPORTED_MEDIA_TYPE")
    assert post(raw, "add", b'{"args":[1,2]}').json() == {"result": 3}


def padded(size: int) -> bytes:
    """A body of `size` bytes that is right."""
    return b'{"args":["' + b"x" * (size - 13) + b'"]}'


def test_a_body_of_the_limit_is_taken(raw):
    assert post(raw, "size", padded(MOST)).json() == {"result": MOST - 13}


@pytest.mark.parametrize("over", [1, 10 * MOST])
def test_a_body_over_the_limit(server, over):
    with server.raw() as connection:
        error(post(connection, "size", padded(MOST + over)), 413, "TOO_LARGE")
    with server.raw() as connection:  # it is not even sent
        connection.request("POST", "/isomor/api/size", headers=JSON | {"Content-Length": "999999999999"})
        error(connection.response(), 413, "TOO_LARGE")
    assert server.call("hello") == "hello"


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize("count", [1, 400])
def test_headers_over_the_limit(server, method, count):
    with server.raw() as connection:
        headers = {f"X-Long-{number}": "x" * (40_000 // count) for number in range(count)}
        connection.request(method, "/isomor/api/hello", headers=headers)
        error(connection.response(), 431, "HEADERS_TOO_LARGE")
    assert server.call("hello") == "hello"


def test_a_url_over_the_limit(server):
    with server.raw() as connection:
        connection.request("GET", "/isomor/api/hello?" + "x" * 40_000)
        assert connection.response().status in (414, 431)


# ---- How a request arrives ---------------------------------------------------------------------------------------


def chunked(body: bytes, size: int) -> bytes:
    parts = [body[at : at + size] for at in range(0, len(body), size)]
    return b"".join(b"%x;ext=1\r\n%b\r\n" % (len(part), part) for part in parts) + b"0\r\n\r\n"


@pytest.mark.parametrize("size", [1, 5, 10_000])
def test_a_chunked_body(raw, size):
    raw.request("POST", "/isomor/api/add", headers=JSON | {"Transfer-Encoding": "chunked"})
    raw.send(chunked(b'{"args":[1,2]}', size))
    assert raw.response().json() == {"result": 3}
    assert post(raw, "add", b'{"args":[2,2]}').json() == {"result": 4}


def test_a_chunked_body_over_the_limit(server):
    with server.raw() as connection:
        connection.request("POST", "/isomor/api/size", headers=JSON | {"Transfer-Encoding": "chunked"})
        connection.send(chunked(padded(2 * MOST), 1000))
        error(connection.response(), 413, "TOO_LARGE")
    assert server.call("hello") == "hello"


@pytest.mark.parametrize("chunk", [b"x\r\n", b"-1\r\n", b"5\r\nab", b"fffffffffffffffff\r\n"])
def test_a_chunk_that_is_none_harms_nobody_else(server, chunk):
    with server.raw() as connection:
        connection.request("POST", "/isomor/api/add", headers=JSON | {"Transfer-Encoding": "chunked"})
        connection.send(chunk)
        connection.socket.shutdown(1)
        connection.read_to_end()
    assert server.call("hello") == "hello"
    assert "Traceback" not in server.log


def test_expect_continue(raw):
    raw.request("POST", "/isomor/api/add", headers=JSON | {"Expect": "100-continue", "Content-Length": "14"})
    assert raw.response().status == 100
    raw.send(b'{"args":[1,2]}')
    assert raw.response().json() == {"result": 3}


def test_an_expectation_that_is_none(raw):
    raw.request("POST", "/isomor/api/add", headers=JSON | {"Expect": "the-impossible", "Content-Length": "14"})
    assert raw.response().status == 417


def test_a_connection_is_kept_alive(raw):
    for number in range(50):
        assert post(raw, "add", b'{"args":[%d]}' % number).json() == {"result": number + 10}
        raw.request("GET", "/isomor/api/hello")
        assert raw.response("GET").json() == {"result": "hello"}


@pytest.mark.parametrize("head", ["HTTP/1.1\r\nHost: x\r\nConnection: close", "HTTP/1.0\r\nHost: x"])
def test_a_connection_ends_where_that_is_asked_for(raw, head):
    raw.send(f"GET /isomor/api/hello {head}\r\n\r\n".encode())
    assert raw.response("GET").json() == {"result": "hello"}
    assert raw.read_to_end() == b""


def test_pipelined_requests_are_answered_in_order(raw):
    requests = []
    for number in range(60):
        body = b'{"args":[%d,0]}' % number
        head = (
            f"POST /isomor/api/add HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: {len(body)}"
        )
        requests.append(head.encode() + b"\r\n\r\n" + body)
    requests.insert(30, b"GET /isomor/api/none HTTP/1.1\r\nHost: x\r\n\r\n")
    requests.insert(20, b"GET /isomor/api/hello HTTP/1.1\r\nHost: x\r\n\r\n")
    raw.send(b"".join(requests))
    answers = [raw.response().json() for _ in requests]
    results = [answer["result"] for answer in answers if "result" in answer]
    assert results == [*range(20), "hello", *range(20, 60)]
    assert answers[31]["code"] == "NOT_FOUND"


def test_a_request_may_come_byte_by_byte(server):
    body = b'{"args":[1,2]}'
    head = f"POST /isomor/api/add HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: {len(body)}"
    for request in (head.encode() + b"\r\n\r\n" + body, b"GET /isomor/api/price HTTP/1.1\r\nHost: x\r\n\r\n"):
        with server.raw() as connection:
            for _ in range(2):
                for at in range(len(request)):
                    connection.send(request[at : at + 1])
                assert connection.response().status == 200


@pytest.mark.parametrize(
    "request_line",
    [
        "GET", "GET /", "GET / HTTP/1.1 x", "GET / HTTP/9.9", "GET /é HTTP/1.1", "GET  / HTTP/1.1", "G\0T / HTTP/1.1",
        "/ HTTP/1.1", "", "\0", "GET /%zz\x7f HTTP/1.1",
    ],
)  # fmt: skip
def test_a_request_line_that_is_none(server, request_line):
    with server.raw() as connection:
        connection.send(f"{request_line}\r\nHost: x\r\n\r\n".encode())
        connection.socket.shutdown(1)
        answer = connection.read_to_end()
        assert answer == b"" or 400 <= int(answer.split()[1]) < 600
    assert server.call("hello") == "hello"
    assert "Traceback" not in server.log


@pytest.mark.parametrize("target", ["http://[", "//[", "http://[::1", "//a:b", "http://x:99999/"])
@pytest.mark.parametrize("upgrade", [False, True])
def test_a_url_that_is_none(server, target, upgrade):
    with server.raw() as connection:
        headers = {
            "Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13",
            "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
        }  # fmt: skip
        connection.request("GET", target, headers=headers if upgrade else {})
        assert connection.response("GET").status in (400, 404)
    assert "Traceback" not in server.log


def test_a_malformed_header_line(server):
    for line in ("no colon", ": no name", "A b: c", "X: \0", "Content-Length: x", "Content-Length: -5"):
        with server.raw() as connection:
            connection.send(f"POST /isomor/api/hello HTTP/1.1\r\nHost: x\r\n{line}\r\n\r\n".encode())
            connection.socket.shutdown(1)
            answer = connection.read_to_end()
            assert answer == b"" or int(answer.split()[1]) < 500, (line, answer)
    assert server.call("hello") == "hello"


def test_two_lengths_are_not_believed(server):
    # Request smuggling: a proxy may have read the other.
    smuggled = b"GET /isomor/api/counter HTTP/1.1\r\nHost: x\r\n\r\n"
    before = server.call("counter")
    for lines in (
        f"Content-Length: 0\r\nContent-Length: {len(smuggled)}",
        f"Content-Length: {len(smuggled)}\r\nTransfer-Encoding: chunked",
    ):
        with server.raw() as connection:
            head = f"POST /isomor/api/hello HTTP/1.1\r\nHost: x\r\n{lines}\r\n\r\n"
            connection.send(head.encode() + smuggled)
            connection.socket.shutdown(1)
            connection.read_to_end()
    assert server.call("counter") == before + 1


def test_a_websocket_after_a_call_on_one_connection(raw):
    assert post(raw, "add", b'{"args":[1,2]}').json() == {"result": 3}
    headers = {
        "Connection": "keep-alive, Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
    }  # fmt: skip
    raw.request("GET", "/isomor/ws", headers=headers)
    response = raw.response("GET")
    assert response.status == 101
    assert response.header("sec-websocket-accept") == "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="


# ---- GET, HEAD, OPTIONS, and what is not allowed -----------------------------------------------------------------


def test_get(server):
    response = server.get("hello")
    assert response.json() == {"result": "hello"}
    assert response.headers["cache-control"] == "private, no-cache"
    assert response.headers["etag"].startswith('"')
    assert server.get("hello").headers["etag"] == response.headers["etag"]
    assert server.get("counter").headers["etag"] != server.get("counter").headers["etag"]
    error(server.get("add"), 422, "INVALID_ARGS")


def test_post_answers_are_not_kept(server):
    headers = server.post("hello").headers
    assert "etag" not in headers
    assert "max-age" not in headers.get("cache-control", "")


@pytest.mark.parametrize("form", ["{}", "W/{}", '"other", {}', '"a",{} , "b"', "*"])
def test_if_none_match(server, form):
    etag = server.get("hello").headers["etag"]
    response = server.get("hello", headers={"if-none-match": form.format(etag)})
    assert (response.status_code, response.content) == (304, b"")
    assert response.headers["etag"] == etag
    assert response.headers["cache-control"] == "private, no-cache"
    assert "content-type" not in response.headers


@pytest.mark.parametrize("form", ['"other"', "", "{}x", "x"])
def test_if_none_match_of_another(server, form):
    etag = server.get("hello").headers["etag"]
    response = server.get("hello", headers={"if-none-match": form.format(etag.strip('"'))})
    assert (response.status_code, response.json()) == (200, {"result": "hello"})


def test_head(raw):
    raw.request("GET", "/isomor/api/hello")
    got = raw.response("GET")
    raw.request("HEAD", "/isomor/api/hello")
    head = raw.response("HEAD")
    assert (head.status, head.body) == (200, b"")
    for name in ("content-length", "content-type", "etag", "cache-control"):
        assert head.header(name) == got.header(name), name
    raw.request("HEAD", "/isomor/api/hello", headers={"If-None-Match": head.header("etag") or ""})
    assert raw.response("HEAD").status == 304
    raw.request("HEAD", "/isomor/api/none")
    assert raw.response("HEAD").status == 404
    assert post(raw, "add", b'{"args":[1,2]}').json() == {"result": 3}


def test_cached(server):
    response = server.get("price")
    assert response.json() == {"result": "1 apple"}
    assert response.headers["cache-control"] == "private, max-age=60"
    assert server.get("rates").headers["cache-control"] == "public, max-age=0"
    again = server.get("price", headers={"if-none-match": response.headers["etag"]})
    assert again.status_code == 304
    assert again.headers["cache-control"] == "private, max-age=60"
    refused = server.get("refused")
    error(refused, 403, "ERROR")
    assert refused.headers["cache-control"] == "no-store"
    assert server.call("price", "pear") == "1 pear"


@pytest.mark.parametrize(
    ("args", "result"),
    [("[]", "1 apple"), ('["pear"]', "1 pear"), ('["a&b=c%+é",2]', "2 a&b=c%+é"), (' [ "x" , 3 ] ', "3 x")],
)
def test_cached_with_arguments(server, args, result):
    assert server.get("price", params={"args": args}).json() == {"result": result}
    assert server.get("price", params={"other": "1", "args": args}).json() == {"result": result}


@pytest.mark.parametrize(
    ("args", "status"),
    [
        ("[1]", 422), ("[", 400), ("x", 400), ("{}", 422), ("null", 422), ('["a",1,2]', 422), ("[" * 200, 400),
        ('["\\ud800"]', 400), ("[1e999]", (400, 422)),
    ],
)  # fmt: skip
def test_cached_with_arguments_that_do_not_fit(server, args, status):
    response = server.get("price", params={"args": args})
    assert response.status_code in (status if isinstance(status, tuple) else (status,)), response.text
    assert response.json()["code"] in ("BAD_MESSAGE", "INVALID_ARGS")


def test_arguments_by_get_of_a_function_that_is_not_cached(server):
    response = server.get("add", params={"args": "[1,2]"})
    error(response, 405, "METHOD_NOT_ALLOWED")
    assert "POST" in response.headers["allow"]


def test_get_where_only_cached_functions_answer_it(proxied):
    response = proxied.get("hello")
    error(response, 405, "METHOD_NOT_ALLOWED")
    assert response.headers["allow"] == "POST, OPTIONS"
    assert proxied.http.head(proxied.path("hello")).status_code == 405
    assert proxied.http.options(proxied.path("hello")).headers["allow"] == "POST, OPTIONS"
    assert proxied.get("price", params={"args": '["pear"]'}).json() == {"result": "1 pear"}
    assert proxied.http.head(proxied.path("price")).status_code == 200
    assert proxied.call("hello") == "hello"


@pytest.mark.parametrize("method", ["PUT", "PATCH", "DELETE", "TRACE", "CONNECT", "FOO", "post", "PROPFIND"])
def test_other_methods(server, raw, method):
    raw.request(method, "/isomor/api/hello")
    response = raw.response(method)
    assert response.status == 405, response
    error(response, 405, "METHOD_NOT_ALLOWED")
    allowed = (response.header("allow") or "").split(", ")
    assert {"GET", "HEAD", "POST", "OPTIONS"} == set(allowed)
    assert server.call("hello") == "hello"


def test_options(raw):
    raw.request("OPTIONS", "/isomor/api/hello")
    response = raw.response("OPTIONS")
    assert (response.status, response.body) == (204, b"")
    assert response.header("allow") == "GET, HEAD, POST, OPTIONS"
    assert response.header("access-control-allow-origin") is None
    raw.request("OPTIONS", "*")
    assert raw.response("OPTIONS").status < 500


# ---- The other transport -----------------------------------------------------------------------------------------


def test_a_function_that_needs_the_other_transport(server):
    response = server.post("over_ws")
    error(response, 426, "UPGRADE_REQUIRED")
    assert response.headers["upgrade"] == "websocket"
    error(server.get("over_ws"), 426, "UPGRADE_REQUIRED")
    with server.ws() as ws:
        answer = ws.answer(ws.send_call("over_http"))
        assert (answer["code"], answer["status"]) == ("HTTP_REQUIRED", 400)
        assert ws.call("over_ws") == "ws"
        assert ws.call("either") == "ws"
    assert server.call("over_http") == "http"
    assert server.call("either") == "http"


# ---- HttpContext -------------------------------------------------------------------------------------------------


def test_cookies_headers_and_status(raw):
    body = json.dumps({"args": [201, {"X-One": "1", "X-Two": "zwei"}]}).encode()
    response = post(raw, "answer", body, {"Cookie": 'a=1; b="2"; c=%C3%A9; bad; =x; a=3'})
    assert response.status == 201
    assert response.json()["result"]["a"] == "1"
    assert (response.header("x-one"), response.header("x-two")) == ("1", "zwei")
    cookies = [value for name, value in response.headers if name == "set-cookie"]
    assert len(cookies) == 3
    one, two, three = (cookie.lower() for cookie in cookies)
    assert one.startswith("one=1;")
    assert "max-age=60" in one
    assert "httponly" in one
    assert "secure" not in one
    assert "samesite=lax" in one
    assert "path=/isomor" in two
    assert "secure" in two
    assert "samesite=strict" in two
    assert "max-age=0" in three
    assert "httponly" not in two


def test_an_error_keeps_cookies_and_headers_and_has_its_own_status(raw):
    response = post(raw, "answer", b'{"args":[201,{"X-One":"1"},true]}')
    error(response, 409, "ERROR")
    assert response.header("x-one") == "1"
    assert len([name for name, _ in response.headers if name == "set-cookie"]) == 3


@pytest.mark.parametrize("status", [204, 304])
def test_a_status_without_a_body(raw, status):
    response = post(raw, "answer", b'{"args":[%d]}' % status)
    assert response.status == status
    assert post(raw, "add", b'{"args":[1,2]}').json() == {"result": 3}  # and nothing was left over


@pytest.mark.parametrize("status", [0, 100, 101, 199, 600, -1, 99999])
def test_a_status_that_is_none(server, status):
    error(server.post("answer", status), 500, "INTERNAL")


@pytest.mark.parametrize(
    "headers",
    [
        {"X-One": "1\r\nX-Evil: 1"}, {"X-One": "1\nX-Evil: 1"}, {"X-One\r\nX-Evil: 1\r\nX": "1"},
        {"X-One": "1\r\n\r\nx"},
    ],
)  # fmt: skip
def test_a_header_cannot_begin_another(server, headers):
    with server.raw() as connection:
        body = json.dumps({"args": [200, headers]}).encode()
        connection.request("POST", "/isomor/api/answer", body, JSON | {"Connection": "close"})
        answer = connection.read_to_end()
    head = answer.partition(b"\r\n\r\n")[0].lower()
    assert b"\nx-evil" not in head
    assert not answer.startswith(b"HTTP/1.1 200 OK\r\n\r\n")


@pytest.mark.parametrize("value", ["é", "😀", 5, None, True])
def test_a_header_value_that_is_odd_is_answered(raw, value):
    response = post(raw, "answer", json.dumps({"args": [200, {"X-One": value}]}).encode())
    assert response.status in (200, 500)
    assert post(raw, "add", b'{"args":[1,2]}').json() == {"result": 3}


@pytest.mark.parametrize(
    ("name", "value", "path"),
    [("a b", "1", "/"), ("a;b", "1", "/"), ("a\r\nX-Evil: 1", "1", "/"), ("", "1", "/"), ("a", "1", "/\r\nX-Evil: 1")],
)
def test_a_cookie_that_is_none_is_the_functions_fault(raw, name, value, path):
    response = post(raw, "bad_cookie", json.dumps({"args": [name, value, path]}).encode())
    error(response, 500, "INTERNAL")
    assert response.header("x-evil") is None


def test_a_cookies_value_cannot_begin_another_header(raw):
    response = post(raw, "bad_cookie", json.dumps({"args": ["a", "1\r\nX-Evil: 1; Domain=evil"]}).encode())
    assert response.header("x-evil") is None
    assert post(raw, "add", b'{"args":[1,2]}').json() == {"result": 3}


# ---- The user's own routes and middleware ------------------------------------------------------------------------


def test_routes_and_middleware(server):
    response = server.http.get("/mine/ada")
    assert response.json() == {"name": "ada", "ip": "127.0.0.1"}
    assert response.headers["x-path"] == "/mine/ada"
    assert server.post("hello").headers["x-path"] == "/isomor/api/hello"
    assert server.get("none").headers["x-path"] == "/isomor/api/none"
    assert server.http.post("/mine/body", content=b"x" * 1000).json() == {"size": 1000}
    error(server.http.post("/mine/ada"), 405, "METHOD_NOT_ALLOWED")
    assert "GET" in server.http.post("/mine/ada").headers["allow"]


def test_an_exception_in_a_route_leaks_nothing(server):
    body = error(server.http.get("/mine/fails"), 500, "INTERNAL")
    server.wait_for_log(body["errorId"])
    assert server.call("hello") == "hello"


EXITS = """
import sys
from sanic import Request, Sanic

def startup(app: Sanic) -> None:
    @app.get("/exits")
    async def exits(request: Request):
        sys.exit("s3cret")

    @app.on_request
    async def exits_too(request: Request) -> None:
        if request.path == "/isomor/api/hello" and request.args.get("exit"):
            raise KeyboardInterrupt("s3cret")
"""


def test_a_route_and_a_middleware_cannot_end_the_server(serve):
    server = serve({"hello.py": API["hello.py"], "startup.py": EXITS})
    error(server.http.get("/exits"), 500, "INTERNAL")
    error(server.get("hello", params={"exit": "1"}), 500, "INTERNAL")
    assert server.call("hello") == "hello"
    assert server.running


def test_what_a_route_raises_on_purpose_keeps_its_message(server):
    assert error(server.http.get("/mine/api-error"), 418, "TOLD")["error"] == "told"
    assert server.http.get("/mine/teapot").status_code == 418
    assert server.http.get("/mine/teapot").json()["error"] == "I am a teapot"
    assert error(server.http.get("/mine/not-found"), 404, "NOT_FOUND")["error"] == "no such thing of mine"
    response = server.http.get("/mine/unauthorized")
    assert (response.status_code, response.json()["error"]) == (401, "who are you")
    assert response.headers["www-authenticate"] == 'Basic realm="mine"'
    handled = server.http.get("/mine/handled")
    assert (handled.status_code, handled.text) == (402, "handled by me")


def test_nothing_says_who_serves(server):
    for response in (server.get("hello"), server.get("none"), server.post("secret"), server.http.get("/mine/ada")):
        assert "alt-svc" not in response.headers
        assert "x-powered-by" not in response.headers
        assert all(value for name, value in response.headers.items() if name != "x-path"), response.headers


def test_paths_that_nobody_has(server):
    for path in ("/none", "/favicon.ico", "/mine", "/health", "/health/", "/health/none", "/%00", "/%ff"):
        error(server.http.get(path), 404, "NOT_FOUND")


def test_health(server):
    for path, said in (("/health/live", "live"), ("/health/ready", "ready")):
        response = server.http.get(path)
        assert (response.status_code, response.json()) == (200, {"status": said})
        assert response.headers["cache-control"] == "no-store"
        assert server.http.head(path).status_code == 200
        error(server.http.post(path), 405, "METHOD_NOT_ALLOWED")


# ---- Who is let in -----------------------------------------------------------------------------------------------

ALLOWED = ["https://app.example.com", "http://localhost:8080"]
FOREIGN = [
    "https://evil.example.com", "http://app.example.com", "https://app.example.com:444", "https://app.example.com.evil",
    "https://evil-app.example.com", "https://xapp.example.com", "http://localhost:8081", "null",
    "file://", "chrome-extension://abc", "https://APP.example.com.", "https://app.example.com/", "http://[", "x",
    "https://app.example.com, https://evil.example.com", "http://127.0.0.1:1", "http://user@localhost:1",
]  # fmt: skip


@pytest.mark.parametrize("origin", ALLOWED)
def test_an_origin_that_is_allowed(server, origin):
    asked = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "content-type"}
    preflight = server.http.options(server.path("add"), headers={"Origin": origin} | asked)
    assert preflight.status_code == 204
    assert preflight.headers["access-control-allow-origin"] == origin
    assert preflight.headers["access-control-allow-credentials"] == "true"
    assert "POST" in preflight.headers["access-control-allow-methods"]
    assert "content-type" in preflight.headers["access-control-allow-headers"].lower()
    assert "origin" in preflight.headers["vary"].lower()
    for response in (
        server.post("hello", headers={"Origin": origin, "Sec-Fetch-Site": "cross-site"}),
        server.get("hello", headers={"Origin": origin}),
        server.get("none", headers={"Origin": origin}),
        server.post("add", "x", headers={"Origin": origin}),
        server.post("secret", headers={"Origin": origin}),
        server.http.put(server.path("hello"), headers={"Origin": origin}),
    ):
        assert response.headers["access-control-allow-origin"] == origin, response
        assert response.headers["access-control-allow-credentials"] == "true"
        assert "origin" in response.headers["vary"].lower()
    with server.ws(origin=origin) as ws:
        assert ws.call("hello") == "hello"


@pytest.mark.parametrize("origin", FOREIGN)
def test_an_origin_that_is_not(server, origin):
    before = server.call("counter")
    for response in (
        server.post("counter", headers={"Origin": origin}),
        server.get("counter", headers={"Origin": origin}),
        server.http.options(server.path("counter"), headers={"Origin": origin}),
    ):
        error(response, 403, "FORBIDDEN")
        assert "access-control-allow-origin" not in response.headers
    with pytest.raises(AssertionError, match="status=403"):
        server.raw_ws(headers={"Origin": origin})
    assert server.call("counter") == before + 1


def test_the_own_origin(server):
    for host, origin in (
        (f"127.0.0.1:{server.port}", f"http://127.0.0.1:{server.port}"),
        ("app.internal", "http://app.internal"),
        ("app.internal:80", "http://app.internal"),
        ("App.Internal", "http://app.internal:80"),
        ("app.internal", "https://app.internal"),  # behind a proxy that ends TLS
        ("[::1]:3005", "http://[::1]:3005"),
    ):
        headers = {"Host": host, "Origin": origin, "Sec-Fetch-Site": "same-origin"}
        response = server.post("hello", headers=headers)
        assert response.status_code == 200, (host, origin)
        assert "access-control-allow-origin" not in response.headers
        with server.raw_ws(headers={"Host": host, "Origin": origin}) as ws:
            assert ws.handshake.status == 101


@pytest.mark.parametrize(
    ("site", "status"), [("cross-site", 403), ("same-site", 403), ("same-origin", 200), ("none", 200)]
)
def test_sec_fetch_site(server, site, status):
    # An <img> of another site sends no Origin.
    before = server.call("counter")
    assert server.get("counter", headers={"Sec-Fetch-Site": site}).status_code == status
    assert server.call("counter") == before + (2 if status == 200 else 1)


# ---- Behind a proxy ----------------------------------------------------------------------------------------------

CLIENT = {
    "X-Forwarded-For": "203.0.113.5",
    "X-Forwarded-Proto": "https",
    "X-Forwarded-Host": "app.example.com",
}


def test_forwarded_headers_of_anyone_mean_nothing(server):
    said = server.call("who", headers=CLIENT)
    assert said == {"ip": "127.0.0.1", "scheme": "http", "host": f"127.0.0.1:{server.port}"}
    assert "Secure" not in server.post("plain_cookie", headers=CLIENT).headers["set-cookie"]
    error(server.post("who", headers=CLIENT | {"Origin": "https://app2.example.com"}), 403, "FORBIDDEN")
    forged = CLIENT | {"X-Forwarded-Host": "evil.example.com", "Origin": "https://evil.example.com"}
    error(server.post("who", headers=forged), 403, "FORBIDDEN")
    with server.ws(additional_headers=CLIENT) as ws:
        assert ws.call("who")["ip"] == "127.0.0.1"


def test_forwarded_headers_of_a_trusted_proxy_are_believed(proxied):
    said = {"ip": "203.0.113.5", "scheme": "https", "host": "app.example.com"}
    assert proxied.call("who", headers=CLIENT) == said
    assert "Secure" in proxied.post("plain_cookie", headers=CLIENT).headers["set-cookie"]
    assert "Secure" not in proxied.post("plain_cookie").headers["set-cookie"]
    with proxied.ws(additional_headers=CLIENT) as ws:
        assert ws.call("who") == said | {"scheme": ws.call("who")["scheme"]}
        assert ws.call("who")["scheme"] in ("https", "wss")
    assert proxied.call("who")["ip"] == "127.0.0.1"


@pytest.mark.parametrize(
    ("forwarded", "ip"),
    [
        ("203.0.113.5, 10.1.2.3", "203.0.113.5"),
        ("6.6.6.6, 203.0.113.5", "203.0.113.5"),  # the client has made up the first
        ("6.6.6.6, 203.0.113.5, 10.9.9.9, 10.0.0.1", "203.0.113.5"),
        ("10.0.0.7, 10.0.0.8", "10.0.0.7"),
        ("6.6.6.6 ,203.0.113.5 , 10.0.0.1", "203.0.113.5"),
        ("2001:db8::1", "2001:db8::1"),
        ("", "127.0.0.1"),
        (",", "127.0.0.1"),
    ],
)
def test_the_clients_address_is_the_last_that_no_trusted_proxy_has(proxied, forwarded, ip):
    assert proxied.call("who", headers={"X-Forwarded-For": forwarded})["ip"] == ip


def test_the_own_origin_behind_a_proxy_that_changes_the_host(proxied):
    headers = CLIENT | {"Host": "backend:3005", "Origin": "https://app.example.com"}
    assert proxied.post("who", headers=headers).status_code == 200
    with proxied.raw_ws(headers=headers) as ws:
        assert ws.handshake.status == 101
    error(proxied.post("who", headers=headers | {"Origin": "https://evil.example.com"}), 403, "FORBIDDEN")
