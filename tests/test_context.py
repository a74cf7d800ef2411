"""What a function sees of its call, and what it can say of the answer: cookies, headers, status, configuration."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from harness import Server
from sanic.cookies.request import parse_cookie

import isomor
from isomor import HttpContext, WsConfig, WsContext, set_ws_default_config
from isomor.context import HttpResponse, ws_default_config


@pytest.fixture(autouse=True)
def default_config() -> Iterator[None]:
    before = ws_default_config()
    yield
    set_ws_default_config(before)


def cookie(*, secure: bool = False, name: str = "n", value: str = "v", **options: Any) -> dict[str, Any]:
    """The attributes of the cookie that `set_cookie` writes, by lower-case name."""
    res = HttpResponse(secure_request=secure)
    res.set_cookie(name, value, **options)
    (line,) = res.cookies
    assert "\n" not in line
    first, *rest = re.sub(r"(\d\d)-(\w+)-(\d{4})", r"\1 \2 \3", line).split("; ")  # both are read as a date
    assert first.partition("=")[0] == name
    assert parse_cookie(first) == {name: [value]}
    return {key.lower(): text if equals else True for key, equals, text in (part.partition("=") for part in rest)}


class TestSetCookie:
    def test_as_little_as_can_be(self):
        assert cookie() == {"path": "/", "samesite": "Lax"}

    def test_all_that_can_be(self):
        expires = datetime(2030, 1, 2, 12, 0, 0, tzinfo=timezone(timedelta(hours=2)))
        assert cookie(
            max_age=60, expires=expires, path="/a", domain="example.com", secure=True, http_only=True, same_site="none"
        ) == {
            "path": "/a",
            "domain": "example.com",
            "max-age": "60",
            "expires": "Wed, 02 Jan 2030 10:00:00 GMT",
            "secure": True,
            "httponly": True,
            "samesite": "None",
        }

    def test_secure_as_the_request_came(self):
        assert "secure" not in cookie(secure=False)
        assert "secure" in cookie(secure=True)
        res = HttpResponse(secure_request=True)
        res.set_cookie("n", "v", secure=False)
        assert "secure" not in res.cookies[0].lower()

    def test_an_empty_value_comes_back(self):
        cookie(value="")

    @pytest.mark.parametrize("value", ["a b", 'a"b', "a;b", "a,b", "é", "a=b", "a\\b", "a\r\nX: y", "\0"])
    def test_any_value_comes_back(self, value):
        cookie(value=value)

    def test_no_same_site(self):
        assert "samesite" not in cookie(same_site=None)

    @pytest.mark.parametrize(
        "wrong",
        [
            {"name": "a;b"},
            {"name": "a\r\nb"},
            {"name": ""},
            {"path": "/\r\nX: y"},
            {"path": "/; Domain=evil.example"},
            {"domain": "a\nb"},
            {"expires": datetime(2030, 1, 1)},
            {"same_site": "sometimes"},
            {"max_age": "soon"},
        ],
        ids=str,
    )
    def test_what_no_cookie_can_have(self, wrong):
        res = HttpResponse()
        with pytest.raises(ValueError, match="set_cookie"):
            res.set_cookie(**({"name": "n", "value": "v"} | wrong))
        assert res.cookies == []

    def test_delete(self):
        res = HttpResponse()
        res.delete_cookie("n", "/a", "example.com")
        (line,) = res.cookies
        assert line.startswith(('n="";', "n=;"))
        assert {"max-age=0", "path=/a", "domain=example.com"} <= {part.lower() for part in line.split("; ")}


class TestCookiesOfACall:
    @pytest.mark.parametrize(
        ("sent", "cookies"),
        [
            (None, {}),
            ("", {}),
            ("a=1", {"a": "1"}),
            ("a=1; b=2", {"a": "1", "b": "2"}),
            ("a=1;b=2", {"a": "1", "b": "2"}),
            ('a="x y"', {"a": "x y"}),
            ("a=1; a=2", {"a": "1"}),
            ("a=x=y", {"a": "x=y"}),
        ],
    )
    def test_over_websocket(self, sent, cookies):
        assert WsContext("f", None, 1, sent).cookies == cookies  # type: ignore[arg-type]

    @pytest.mark.parametrize("sent", [";", "=", "a", "; ; =x", "\x00", "a=\udc80", "💥=1", "=" * 1000])
    def test_rubbish_breaks_nothing(self, sent):
        assert isinstance(WsContext("f", None, 1, sent).cookies, dict)  # type: ignore[arg-type]


def test_the_configuration_of_new_connections():
    assert ws_default_config() == WsConfig(with_cookie=False)
    set_ws_default_config(with_cookie=True)
    assert ws_default_config() == WsConfig(with_cookie=True)
    set_ws_default_config(WsConfig(with_cookie=False))
    assert ws_default_config() == WsConfig()
    set_ws_default_config()
    assert ws_default_config() == WsConfig()


def test_a_context_is_of_its_transport():
    assert WsContext.type == "ws"
    assert HttpContext.type == "http"
    assert issubclass(WsContext, isomor.Context)
    assert issubclass(HttpContext, isomor.Context)


# ---- On a server -------------------------------------------------------------------------------------------------

API = {
    "answer.py": """
from isomor import ApiError, HttpContext
def answer(ctx: HttpContext, fail: bool = False) -> str:
    ctx.res.status = 202
    ctx.res.headers["X-One"] = "1"
    ctx.res.set_cookie("a", "1", http_only=True)
    ctx.res.set_cookie("b", "2")
    if fail:
        raise ApiError("No", "NO", 418)
    return "yes"
""",
    "answer_either.py": """
from isomor import HttpContext, WsContext
def answer_either(ctx: HttpContext | WsContext) -> str:
    if ctx.type == "http":
        ctx.res.status = 201
    return ctx.type
""",
    "only_http.py": """
from isomor import HttpContext
def only_http(ctx: HttpContext | None = None) -> str:
    return "http" if ctx else "none"
""",
    "only_ws.py": """
from isomor import WsContext
def only_ws(ctx: WsContext | None) -> str:
    return "ws" if ctx else "none"
""",
    "ask_cookies.py": """
from isomor import WsContext
async def ask_cookies(ctx: WsContext, on: bool) -> None:
    await ctx.set_ws_config(with_cookie=on)
""",
    "ask_cookies_whole.py": """
from isomor import WsConfig, WsContext
def ask_cookies_whole(ctx: WsContext, on: bool) -> None:
    ctx.set_ws_config(WsConfig(with_cookie=on))
""",
    "set_header.py": """
from isomor import HttpContext
def set_header(ctx: HttpContext, value: str) -> None:
    ctx.res.headers["x-a"] = value
""",
    "set_status.py": """
from typing import Any
from isomor import HttpContext
def set_status(ctx: HttpContext, status: Any) -> None:
    ctx.res.status = status
""",
    "cookies.py": """
from __future__ import annotations
import asyncio
from isomor import Context
async def cookies(ctx: Context) -> list[dict[str, str]]:
    before = dict(ctx.cookies)
    await asyncio.sleep(0)
    assert before == dict(ctx.cookies)
    return [before, {name: ctx.req.cookies.get(name) for name in ctx.req.cookies}]
""",
}


@pytest.fixture(scope="module")
def server(serve_module: Any) -> Server:
    return serve_module(API)


def test_status_headers_and_cookies(server):
    response = server.post("answer")
    assert response.status_code == 202
    assert response.json() == {"result": "yes"}
    assert response.headers["x-one"] == "1"
    assert [line.split(";")[0] for line in response.headers.get_list("set-cookie")] == ["a=1", "b=2"]


def test_on_an_error_its_own_status(server):
    response = server.post("answer", True)
    assert response.status_code == 418
    assert response.json() == {"error": "No", "code": "NO"}
    assert response.headers["x-one"] == "1"
    assert len(response.headers.get_list("set-cookie")) == 2


def test_either_transport(server):
    response = server.post("answer_either")
    assert (response.status_code, response.json()) == (201, {"result": "http"})
    with server.ws() as ws:
        assert ws.call("answer_either") == "ws"


def test_an_optional_context_is_none_over_the_other_transport(server):
    with server.ws() as ws:
        assert [server.call("only_http"), ws.call("only_http")] == ["http", "none"]
        assert [server.call("only_ws"), ws.call("only_ws")] == ["none", "ws"]


@pytest.mark.parametrize("name", ["ask_cookies", "ask_cookies_whole"])
def test_cookies_are_asked_for(server, name):
    with server.ws() as ws, server.ws() as other:
        for on in (True, False):
            ws.call(name, on)
            assert ws.config() == {"withCookie": on}
        other.ping()
        assert not other.inbox, "by default nothing is asked for, and one connection's choice is its own"


def test_a_calls_cookies_are_that_calls_alone(server):
    with server.ws(additional_headers={"cookie": "h=1"}) as ws:
        first = ws.send_call("cookies", cookie="a=1")
        second = ws.send_call("cookies", cookie="b=2")
        third = ws.send_call("cookies")
        assert ws.result(first) == [{"a": "1"}, {"h": "1"}]
        assert ws.result(second) == [{"b": "2"}, {"h": "1"}]
        assert ws.result(third) == [{}, {"h": "1"}]


def test_startup_asks_every_connection(serve):
    startup = "import isomor\ndef startup(app): isomor.set_ws_default_config(with_cookie=True)"
    server = serve({"startup.py": startup})
    for _ in range(2):
        with server.ws() as ws:
            assert ws.receive() == {"action": "CONF", "payload": {"withCookie": True}}


def test_secure_is_as_the_request_came(serve):
    """Behind a proxy that is trusted, the request came as the proxy says."""
    api = {"f.py": "from isomor import HttpContext\ndef f(ctx: HttpContext) -> None: ctx.res.set_cookie('a', '1')"}
    server = serve(api, yaml="server:\n  trusted_proxies: [127.0.0.1]\n")
    assert "secure" not in server.post("f").headers["set-cookie"].lower()
    assert "secure" in server.post("f", headers={"x-forwarded-proto": "https"}).headers["set-cookie"].lower()


def test_a_header_forges_no_other(server):
    assert server.post("set_header", "fine").headers["x-a"] == "fine"
    response = server.post("set_header", "a\r\nSet-Cookie: evil=1")
    assert "set-cookie" not in response.headers
    assert server.call("set_header", "é€") is None


@pytest.mark.parametrize("status", ["ok", 99, 1000, None, 204, 304])
def test_a_status_that_is_odd(server, status):
    """Where it cannot be sent, the call fails; the connection goes on either way."""
    response = server.post("set_status", status)
    assert response.status_code == (status if status in (204, 304) else 500)
    assert server.call("only_http") == "http"


def test_a_moment_in_another_zone():
    assert cookie(expires=datetime(2030, 1, 1, tzinfo=UTC))["expires"] == "Tue, 01 Jan 2030 00:00:00 GMT"
