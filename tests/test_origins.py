"""Who may call: origins, host names, CORS and proxies, over each way in, by the bytes that browsers send."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Iterable
from typing import Any

import pytest
from harness import Server

from isomor.errors import ApiError
from isomor.server.forwarded import Proxies, Seen
from isomor.server.origins import check_host, check_origin

API = {
    "count.py": "seen = 0\n\nasync def count() -> int:\n    global seen\n    seen += 1\n    return seen\n",
    "counted.py": "from . import count\n\nasync def counted() -> int:\n    return count.seen\n",
    "fails.py": "async def fails() -> None:\n    raise ValueError('no')\n",
    "busy.py": """
from isomor import ApiError

async def busy() -> None:
    raise ApiError("slower", "TOO_MANY_CALLS", 429)
""",
    "price.py": """
from isomor import cached

@cached(60)
async def price(name: str) -> str:
    return name
""",
    "varies.py": """
from isomor import HttpContext

async def varies(ctx: HttpContext) -> None:
    ctx.res.headers["vary"] = "Accept-Language"
""",
    "who.py": """
from typing import Any
from isomor import Context

async def who(ctx: Context) -> dict[str, Any]:
    return {"ip": ctx.req.ip, "scheme": ctx.req.scheme, "host": ctx.req.host}
""",
}
# Middleware that asks for a token, as a preflight has none; a route with CORS of its own, and one without.
STARTUP = """
from sanic.response import text

def startup(app):
    @app.on_request
    async def token(request):
        if "x-token" not in request.headers:
            return text("a token, please", status=401)

    @app.get("/mine")
    async def mine(request):
        return text("mine")

    @app.get("/open")
    async def open_to_all(request):
        return text("open", headers={"access-control-allow-origin": "*"})
"""
GOOD = "https://app.example.com"
EVIL = "https://evil.example"

Way = Callable[[Server, dict[str, str]], int]


def _ws(path: str) -> Way:
    def way(server: Server, headers: dict[str, str]) -> int:
        upgrade = {
            "Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13",
            "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
        }  # fmt: skip
        with server.raw() as connection:
            connection.request("GET", path, headers=upgrade | headers)
            return connection.response().status

    return way


def _http(method: str, **more: str) -> Way:
    def way(server: Server, headers: dict[str, str]) -> int:
        body = b'{"args":[]}' if method == "POST" else b""
        kind = {"Content-Type": "application/json"} if body else {}
        with server.raw() as connection:
            connection.request(method, "/isomor/api/count", body, kind | more | headers)
            return connection.response(method).status

    return way


WAYS = {
    "the WebSocket of isomor 3": _ws("/"),
    "the WebSocket": _ws("/isomor/ws"),
    "a plain call": _http("POST"),
    "a call by Sanic": _http("POST", Connection="close"),
    "GET": _http("GET"),
    "HEAD": _http("HEAD"),
}
OVER_HTTP = ["a plain call", "a call by Sanic", "GET", "HEAD"]


@pytest.fixture(scope="module")
def server(serve_module: Any) -> Server:
    env = {
        "ISOMOR_WS": ".*", "ISOMOR_SECURITY_ORIGINS": GOOD, "ISOMOR_MAX_MESSAGE_SIZE": "1000",
        "ISOMOR_STATIC_FOLDER": "static",
    }  # fmt: skip
    return serve_module(API, env=env, files={"static/index.html": "<p>front end</p>"})


@pytest.fixture(scope="module")
def proxied(serve_module: Any) -> Server:
    env = {
        "ISOMOR_WS": ".*", "ISOMOR_SERVER_TRUSTED_PROXIES": "127.0.0.1,10.0.0.0/8",
        "ISOMOR_SECURITY_HOSTS": "app.example.com,*.shop.example,localhost",
    }  # fmt: skip
    return serve_module(API, env=env)


@pytest.fixture(scope="module")
def watching(serve_module: Any) -> Server:
    return serve_module(API, env={"ISOMOR_WS": ".*"}, args=["--watch"])


def counted(server: Server) -> int:
    with server.raw() as connection:
        connection.request("POST", "/isomor/api/counted")
        count: int = connection.response().json()["result"]
        return count


def gets_in(server: Server, way: str, cases: Iterable[tuple[dict[str, str], bool]]) -> None:
    """Each request of `cases` gets in, or is refused as forbidden; none that was refused has called the function."""
    before, reached = counted(server), 0
    for headers, expected in cases:
        status = WAYS[way](server, headers)
        assert status == ((101 if "WebSocket" in way else 200) if expected else 403), (way, headers)
        reached += expected
    assert counted(server) - before == (0 if "WebSocket" in way else reached)


# ---- The rule itself ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("origin", "site", "host", "secure", "outcome"),
    [
        # No browser, and one that says that it is our page, or nobody's.
        ("", "", "app.test", False, None),
        ("", "same-origin", "app.test", False, None),
        ("", "none", "app.test", False, None),
        ("", " Same-Origin ", "app.test", False, None),
        # Our own.
        ("http://app.test", "same-origin", "app.test", False, None),
        ("http://app.test", "", "app.test:80", False, None),
        ("http://app.test:80", "", "app.test", False, None),
        ("http://app.test:3005", "same-origin", "app.test:3005", False, None),
        ("https://app.test", "same-origin", "app.test:443", True, None),
        ("https://app.test", "same-origin", "app.test", False, None),  # a proxy that is not trusted ends TLS
        ("http://[::1]:3005", "", "[::1]:3005", False, None),
        # Allowed, wherever the browser says that it is.
        (GOOD, "cross-site", "app.test", True, GOOD),
        (GOOD, "same-site", "app.test", True, GOOD),
        (GOOD, "", "app.test", False, GOOD),
        # Another page of this host: by its port, its scheme, or a name below or above.
        ("http://app.test:8080", "same-site", "app.test", False, False),
        ("http://app.test", "", "app.test:8080", False, False),
        ("http://app.test", "cross-site", "app.test", True, False),
        ("http://app.test", "", "app.test", True, False),
        ("http://app.test:443", "", "app.test:443", True, False),
        ("https://www.app.test", "same-site", "app.test", True, False),
        ("https://test", "", "app.test", True, False),
        # An image, a script or a link of another page.
        ("", "cross-site", "app.test", True, False),
        ("", "same-site", "app.test", True, False),
        ("", "none, cross-site", "app.test", True, False),
        ("", "something-new", "app.test", True, False),
        # What the browser says of its site weighs more than an origin that seems to be ours.
        ("http://app.test", "cross-site", "app.test", False, False),
        ("http://app.test", "same-site", "app.test", False, False),
        # Sandboxed frames, files, redirects; and what no browser sends.
        ("null", "cross-site", "app.test", True, False),
        ("null", "same-origin", "app.test", True, False),
        ("file://", "", "app.test", True, False),
        ("https://", "", "", True, False),
        ("https://app.test/", "", "app.test", True, False),
        ("https://user@app.test", "", "app.test", True, False),
        ("https://app.test, https://evil.example", "", "app.test", True, False),
        ("https://app.test", "", "app.test, evil.example", True, False),
        ("https://app.test\n", "", "app.test", True, False),
        ("ftp://app.test", "", "app.test", True, False),
        ("https://app.test:99999999", "", "app.test:99999999", True, False),
        # Development servers are let in by watch mode alone.
        ("http://localhost:5173", "same-site", "localhost:3005", False, False),
    ],
)  # fmt: skip
def test_the_rule(origin: str, site: str, host: str, secure: bool, outcome: str | bool | None) -> None:
    facts: dict[str, Any] = {"host": host, "secure": secure, "allowed": [GOOD], "watch": False}
    if outcome is not False:
        assert check_origin(origin, site, **facts) == outcome
        return
    with pytest.raises(ApiError) as refused:
        check_origin(origin, site, **facts)
    assert (refused.value.code, refused.value.status) == ("FORBIDDEN", 403)
    assert "security.origins" in refused.value.message


@pytest.mark.parametrize(
    ("origin", "let_in"),
    [
        ("http://localhost:5173", True),
        ("https://localhost", True),
        ("http://127.0.0.1:8080", True),
        ("http://127.9.9.9:8080", True),
        ("http://[::1]:8080", True),
        ("http://app.localhost:8080", True),
        ("http://localhost.evil.example:5173", False),
        ("http://127.0.0.1.evil.example", False),
        ("http://evillocalhost", False),
        ("http://192.168.1.7:5173", False),
        ("null", False),
        (EVIL, False),
    ],
)
def test_the_rule_of_watch_mode(origin: str, let_in: bool) -> None:
    facts: dict[str, Any] = {"host": "localhost:3005", "secure": False, "allowed": [], "watch": True}
    if let_in:
        assert check_origin(origin, "same-site", **facts) == origin
    else:
        with pytest.raises(ApiError):
            check_origin(origin, "cross-site", **facts)


@pytest.mark.parametrize(
    ("host", "known"),
    [
        ("app.example.com", True),
        ("APP.example.com:8443", True),
        ("a.shop.example", True),
        ("a.b.shop.example:80", True),
        ("[::1]:3005", True),
        ("[::1]", True),
        ("shop.example", False),
        (".shop.example", False),
        ("evilshop.example", False),
        ("app.example.com.evil.example", False),
        ("app.example.com, evil.example", False),
        ("evil.example:app.example.com", False),
        ("", False),
    ],
)
def test_the_rule_of_hosts(host: str, known: bool) -> None:
    hosts = ("app.example.com", "*.shop.example", "[::1]")
    check_host(host, ())
    if known:
        check_host(host, hosts)
    else:
        with pytest.raises(ApiError, match=r"security\.hosts"):
            check_host(host, hosts)


@pytest.mark.parametrize(
    ("headers", "seen"),
    [
        ({}, Seen("10.0.0.1", "http", "inner:3005")),
        ({"x-forwarded-for": "203.0.113.5"}, Seen("203.0.113.5", "http", "inner:3005")),
        ({"x-forwarded-for": "6.6.6.6, 203.0.113.5, 10.0.0.2"}, Seen("203.0.113.5", "http", "inner:3005")),
        ({"x-forwarded-for": "203.0.113.5:49152"}, Seen("203.0.113.5", "http", "inner:3005")),
        ({"x-forwarded-for": "[2001:db8::1]:49152"}, Seen("2001:db8::1", "http", "inner:3005")),
        ({"x-forwarded-for": "203.0.113.5, ::ffff:10.0.0.2"}, Seen("203.0.113.5", "http", "inner:3005")),
        ({"x-forwarded-for": "6.6.6.6, unknown"}, Seen("10.0.0.1", "http", "inner:3005")),
        ({"x-forwarded-for": "6.6.6.6, <script>, 10.0.0.2"}, Seen("10.0.0.2", "http", "inner:3005")),
        ({"x-forwarded-proto": "https", "x-forwarded-host": "app.test"}, Seen("10.0.0.1", "https", "app.test")),
        ({"x-forwarded-proto": "gopher"}, Seen("10.0.0.1", "http", "inner:3005")),
        # The client made up the first of each; the proxy has added the second.
        (
            {"x-forwarded-for": "6.6.6.6, 203.0.113.5", "x-forwarded-proto": "https, http", "x-forwarded-host": "a, b"},
            Seen("203.0.113.5", "http", "b"),
        ),
        # Of two proxies the one next to the client knows.
        (
            {"x-forwarded-for": "203.0.113.5, 10.0.0.2", "x-forwarded-proto": "https, http"},
            Seen("203.0.113.5", "https", "inner:3005"),
        ),
        (
            {"x-forwarded-for": "203.0.113.5, 10.0.0.2", "x-forwarded-proto": "https"},
            Seen("203.0.113.5", "https", "inner:3005"),
        ),
    ],
)
def test_how_a_request_was_seen(headers: dict[str, str], seen: Seen) -> None:
    proxies = Proxies([ipaddress.ip_network("10.0.0.0/8")])
    connected = Seen("10.0.0.1", "http", "inner:3005")
    assert proxies.seen(connected, True, lambda name: headers.get(name, "")) == seen
    assert proxies.seen(connected, False, lambda name: headers.get(name, "")) == connected


def test_whose_headers_are_believed() -> None:
    proxies = Proxies([ipaddress.ip_network("10.0.0.0/8"), ipaddress.ip_network("fd00::/8")])
    assert all(map(proxies.trusts, ("10.1.2.3", "::ffff:10.1.2.3", "fd00::1")))
    assert not any(map(proxies.trusts, ("11.0.0.1", "::ffff:11.0.0.1", "fe80::1", "", "unknown", "10.0.0.0/8")))
    assert not Proxies([]).trusts("127.0.0.1")


# ---- Each way in -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("way", WAYS)
def test_who_gets_in(server: Server, way: str) -> None:
    own = f"http://localhost:{server.port}"
    host = f"localhost:{server.port}"
    cases = [
        ({}, True),
        ({"Host": host, "Origin": own}, True),
        ({"Host": host, "Origin": own, "Sec-Fetch-Site": "same-origin"}, True),
        ({"Host": host, "Sec-Fetch-Site": "none"}, True),
        ({"Host": host, "Origin": GOOD, "Sec-Fetch-Site": "cross-site"}, True),
        ({"Host": host, "Origin": EVIL}, False),
        ({"Host": host, "Origin": EVIL, "Sec-Fetch-Site": "cross-site"}, False),
        ({"Host": host, "Origin": "null"}, False),
        ({"Host": host, "Origin": f"http://localhost:{server.port + 1}"}, False),
        ({"Host": host, "Origin": f"http://127.0.0.1:{server.port}"}, False),
        ({"Host": host, "Sec-Fetch-Site": "cross-site"}, False),
        ({"Host": host, "Sec-Fetch-Site": "same-site"}, False),  # an <img> on another port of this host
        ({"Host": "evil.example", "X-Forwarded-Host": host, "Origin": own}, False),
    ]
    gets_in(server, way, cases)


@pytest.mark.parametrize("way", WAYS)
def test_a_second_origin_does_not_hide_behind_the_first(server: Server, way: str) -> None:
    host = f"localhost:{server.port}"
    own, evil = {"Host": host, "Origin": f"http://{host}"}, {"origin": EVIL}
    gets_in(server, way, [(own | evil, False)])
    gets_in(server, way, [(evil | own, False)])


@pytest.mark.parametrize("way", OVER_HTTP)
def test_the_browsers_own_word_outweighs_an_origin_that_seems_ours(server: Server, way: str) -> None:
    """A page of http calls https behind a proxy that ends TLS, and is not trusted to say so."""
    host = f"localhost:{server.port}"
    gets_in(server, way, [({"Host": host, "Origin": f"http://{host}", "Sec-Fetch-Site": "cross-site"}, False)])


@pytest.mark.parametrize("way", WAYS)
def test_behind_a_proxy_the_page_decides(proxied: Server, way: str) -> None:
    told = {"Host": "localhost", "X-Forwarded-Host": "app.example.com", "X-Forwarded-Proto": "https"}
    gets_in(proxied, way, [(told | {"Origin": "https://app.example.com"}, True)])
    gets_in(proxied, way, [(told | {"X-Forwarded-Host": "app.example.com:8443", "Origin": f"{GOOD}:8443"}, True)])
    gets_in(proxied, way, [(told | {"Origin": "http://app.example.com"}, False)])
    gets_in(proxied, way, [(told | {"Origin": "https://localhost"}, False)])
    gets_in(proxied, way, [(told | {"Origin": f"{GOOD}:8443"}, False)])


@pytest.mark.parametrize("way", WAYS)
def test_hosts(proxied: Server, way: str) -> None:
    """A page that has pointed a name of its own here is of the same origin, to its browser and to us."""
    rebound = {"Host": "evil.example:3005", "Origin": "http://evil.example:3005", "Sec-Fetch-Site": "same-origin"}
    gets_in(proxied, way, [(rebound, False)])
    gets_in(proxied, way, [({"Host": "127.0.0.1"}, False)])
    if way in OVER_HTTP:
        gets_in(proxied, way, [({"Host": ""}, False)])
    gets_in(proxied, way, [({"Host": "localhost", "X-Forwarded-Host": "evil.example"}, False)])
    gets_in(proxied, way, [({"Host": "a.shop.example:3005", "Origin": "http://a.shop.example:3005"}, True)])


def test_hosts_hold_for_pages_and_not_for_those_who_ask_by_address(proxied: Server) -> None:
    for path in ("/", "/isomor/client/count.js", "/console", "/api-docs", "/nowhere", "/health/livex"):
        refused = proxied.http.get(path, headers={"Host": "evil.example"})
        assert (refused.status_code, refused.json()["code"]) == (403, "FORBIDDEN"), path
    for path in ("/health/live", "/health/ready", "/metrics"):
        for host in ("10.0.0.7:3005", "10.0.0.7", "[2001:db8::7]:3005"):
            assert proxied.http.get(path, headers={"Host": host}).status_code == 200
    # A page can point a name of its own here, and no address.
    assert proxied.http.get("/health/live", headers={"Host": "evil.example"}).status_code == 200
    assert proxied.http.get("/metrics", headers={"Host": "evil.example"}).status_code == 403


def test_an_address_in_a_header_of_its_own(proxied: Server) -> None:
    """Some proxies add a line, in place of adding to the one that the client has made up."""
    for more in ("", "Connection: close\r\n"):
        with proxied.raw() as connection:
            connection.send(
                b"POST /isomor/api/who HTTP/1.1\r\nHost: localhost\r\nX-Forwarded-For: 6.6.6.6\r\n"
                b"X-Forwarded-For: 203.0.113.5\r\n" + more.encode() + b"\r\n"
            )
            assert connection.response().json()["result"]["ip"] == "203.0.113.5"


@pytest.mark.parametrize("way", WAYS)
def test_watch_mode_lets_development_servers_in(watching: Server, way: str) -> None:
    host = f"127.0.0.1:{watching.port}"
    for origin in ("http://localhost:5173", "http://127.0.0.1:8080", "http://[::1]:1"):
        gets_in(watching, way, [({"Host": host, "Origin": origin, "Sec-Fetch-Site": "same-site"}, True)])
    for origin in ("http://192.168.1.7:5173", EVIL, "null"):
        gets_in(watching, way, [({"Host": host, "Origin": origin}, False)])
    gets_in(watching, way, [({"Host": host, "Sec-Fetch-Site": "same-site"}, False)])


def test_watch_mode_tells_development_servers_by_cors(watching: Server) -> None:
    answer = watching.post("count", headers={"Origin": "http://localhost:5173"})
    assert answer.headers["access-control-allow-origin"] == "http://localhost:5173"
    assert watching.post("count").headers["vary"] == "Origin"


# ---- CORS --------------------------------------------------------------------------------------------------------


def told(response: Any, origin: str | None) -> None:
    """The answer tells `origin`, and nobody else, that it may read."""
    headers = response.headers
    assert "Origin" in headers["vary"], response
    assert headers.get("access-control-allow-origin") == origin, response
    assert headers.get("access-control-allow-credentials") == ("true" if origin else None)
    assert headers.get("access-control-expose-headers") == ("ETag" if origin else None)


@pytest.mark.parametrize(
    ("method", "path", "options", "status"),
    [
        ("POST", "/isomor/api/count", {"json": {"args": []}}, 200),
        ("GET", "/isomor/api/count", {}, 200),
        ("GET", '/isomor/api/price?args=["x"]', {}, 200),
        ("HEAD", "/isomor/api/count", {}, 200),
        ("OPTIONS", "/isomor/api/count", {}, 204),
        ("GET", "/isomor/api/nothing", {}, 404),
        ("PUT", "/isomor/api/count", {}, 405),
        ("POST", "/isomor/api/count", {"json": {"args": [1]}}, 422),
        ("POST", "/isomor/api/count", {"content": b"{"}, 415),
        ("POST", "/isomor/api/count", {"json": "x" * 2000}, 413),
        ("POST", "/isomor/api/busy", {}, 429),
        ("POST", "/isomor/api/fails", {}, 500),
        ("GET", "/isomor/client/count.js", {}, 200),
        ("GET", "/isomor/client/isomor/src/index.js", {}, 200),
        ("GET", "/isomor/client/nothing.js", {}, 404),
        ("GET", "/isomor/client.tgz", {}, 302),
        ("GET", "/api-docs/openapi.json", {}, 200),
        ("GET", "/console", {}, 200),
        ("GET", "/health/live", {}, 200),
        ("GET", "/", {}, 200),
        ("GET", "/missing.png", {}, 404),
        ("DELETE", "/health/live", {}, 405),
        ("GET", "/%zz", {}, 200),
    ],
)
def test_every_answer_tells_who_may_read_it(
    server: Server, method: str, path: str, options: dict[str, Any], status: int
) -> None:
    answer = server.http.request(method, path, headers={"Origin": GOOD}, **options)
    assert answer.status_code == status
    told(answer, GOOD)
    own = f"http://127.0.0.1:{server.port}"
    told(server.http.request(method, path, headers={"Origin": own}, **options), None)
    told(server.http.request(method, path, **options), None)
    foreign = server.http.request(method, path, headers={"Origin": EVIL}, **options)
    told(foreign, None)
    if path.startswith("/isomor/api/"):
        assert foreign.status_code == (413 if status == 413 else 403)


def test_an_answer_that_has_not_changed_tells_too(server: Server) -> None:
    first = server.get("counted", headers={"Origin": GOOD})
    again = server.get("counted", headers={"Origin": GOOD, "If-None-Match": first.headers["etag"]})
    assert again.status_code == 304
    told(again, GOOD)


def test_what_else_an_answer_varies_by_stays(server: Server) -> None:
    assert server.post("varies", headers={"Origin": GOOD}).headers["vary"] == "Accept-Language, Origin"
    assert server.post("varies").headers["vary"] == "Accept-Language, Origin"


ASKED = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "content-type, x-mine"}


def test_preflight(server: Server) -> None:
    for path, methods in (
        ("/isomor/api/count", "GET, HEAD, POST, OPTIONS"),
        ('/isomor/api/price?args=["x"]', "GET, HEAD, POST, OPTIONS"),
        ("/isomor/api/nothing", "POST"),  # so that the page reads the NOT_FOUND
        ("/isomor/client/count.js", "POST"),
        ("/nowhere", "POST"),
    ):
        answer = server.http.options(path, headers={"Origin": GOOD} | ASKED)
        assert (answer.status_code, answer.content) == (204, b""), path
        told(answer, GOOD)
        assert answer.headers["access-control-allow-methods"] == methods
        assert answer.headers["access-control-allow-headers"] == "content-type, x-mine"
        assert answer.headers["access-control-max-age"] == "600"
        assert "access-control-allow-private-network" not in answer.headers


def test_preflight_into_a_private_network(server: Server) -> None:
    headers = {"Origin": GOOD, "Access-Control-Request-Private-Network": "true"} | ASKED
    answer = server.http.options(server.path("count"), headers=headers)
    assert answer.headers["access-control-allow-private-network"] == "true"


def test_preflight_says_nothing_that_is_no_header(server: Server) -> None:
    odd = {"Access-Control-Request-Method": "PO ST", "Access-Control-Request-Headers": "a b, \u00e9"}
    with server.raw() as connection:
        connection.request("OPTIONS", "/nowhere", headers={"Origin": GOOD} | odd)
        answer = connection.response()
    assert answer.status == 204
    assert answer.header("access-control-allow-origin") == GOOD
    assert answer.header("access-control-allow-methods") is answer.header("access-control-allow-headers") is None


def test_preflight_of_a_foreign_origin(server: Server) -> None:
    for origin in (EVIL, "null", f"{GOOD}.evil.example"):
        answer = server.http.options(server.path("count"), headers={"Origin": origin} | ASKED)
        assert (answer.status_code, answer.json()["code"]) == (403, "FORBIDDEN")
        assert [name for name in answer.headers if name.startswith("access-control")] == []


def test_middleware_and_routes_of_the_users_own(serve: Any) -> None:
    server = serve(API | {"startup.py": STARTUP}, env={"ISOMOR_SECURITY_ORIGINS": GOOD}, wait=False)
    server.wait_for_log("http://")
    for path in ("/mine", server.path("count")):
        asked = ASKED | {"Access-Control-Request-Headers": "x-token"}
        assert server.http.options(path, headers={"Origin": GOOD} | asked).status_code == 204, path
        told(server.http.get(path, headers={"Origin": GOOD}), GOOD)  # the 401 as well
        let_in = server.http.get(path, headers={"Origin": GOOD, "X-Token": "t"})
        assert let_in.status_code == 200
        told(let_in, GOOD)
    open_to_all = server.http.get("/open", headers={"Origin": GOOD, "X-Token": "t"})
    assert open_to_all.headers.get_list("access-control-allow-origin") == ["*"]
    assert "access-control-allow-credentials" not in open_to_all.headers
