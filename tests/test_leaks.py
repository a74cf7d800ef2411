"""Nothing of exceptions, paths, versions, settings and secrets reaches a client; no secret or forged line the log."""

from __future__ import annotations

import json
import re
import sys
from contextlib import suppress
from importlib.metadata import version
from typing import Any

import httpx
import pytest
from harness import TEXT, RawConnection, Server, ServerExited, frame, free_port, wait_until

import isomor as package
from isomor.cli import cli
from isomor.config import SETTINGS
from isomor.metrics.table import LIMITS

# What must not come out: of settings, the environment, user exceptions, cookies and the files themselves.
PASSWORD, DSN, TOKEN, RAISED = "pa55-of-redis", "pa55-of-a-database", "t0ken-of-a-service", "raised-by-user-code"
FORGED = '\n2026-01-01 00:00:00 ERROR   forged\r\n{"level": "forged"}\x1b[31m\u2028forged\u0085forged\x00\u202e'

FAIL = f"""
import os

def fail() -> None:
    raise ValueError({RAISED!r} + " at " + __file__ + " with postgres://app:" + os.environ["DATABASE_PASSWORD"]
        + "@db:5432/app and https://api.example/?access_token={TOKEN} and " + os.environ["ISOMOR_REDIS_URL"])
"""
API = {
    "_fail.py": FAIL,
    "add.py": "async def add(a: int, b: int) -> int:\n    return a + b\n",
    "fails.py": "from ._fail import fail\n\nasync def fails() -> None:\n    fail()\n",
    "fails_in_thread.py": "from ._fail import fail\n\ndef fails_in_thread() -> None:\n    fail()\n",
    "fails_with_context.py": """
from isomor import Context
from ._fail import fail

async def fails_with_context(ctx: Context) -> None:
    fail()
""",
    "unsendable.py": "from . import _fail\n\nasync def unsendable() -> object:\n    return _fail\n",
    "exits.py": f"async def exits() -> None:\n    raise SystemExit({RAISED!r})\n",
    "header.py": """
from isomor import HttpContext

async def header(ctx: HttpContext, value: str) -> None:
    ctx.res.headers["x-mine"] = value
""",
    "chained.py": """
from isomor import ApiError
from ._fail import fail

async def chained() -> None:
    try:
        fail()
    except ValueError as error:
        raise ApiError("told on purpose", "CHAINED", 409) from error
""",
    "log.py": """
import logging

def log(text: str) -> None:
    logger = logging.getLogger(__name__)
    logger.warning("said %s", text)
    logger.warning(text)
    logger.warning("wrong %d", text)
    try:
        raise ValueError(text)
    except ValueError:
        logger.exception("raised", stack_info=True)
""",
    "raises.py": "async def raises(text: str) -> None:\n    raise ValueError(text)\n",
    "thread.py": """
import threading
from ._fail import fail

def thread() -> None:
    thread = threading.Thread(target=fail)
    thread.start()
    thread.join()
""",
    "spawn.py": """
from isomor import WsContext
from ._fail import fail

async def spawn(ctx: WsContext) -> None:
    async def task() -> None:
        fail()
    ctx.spawn(task())
""",
    "startup.py": """
from sanic.exceptions import SanicException, ServerError
from sanic.response import text
from ._fail import fail

def startup(app) -> None:
    @app.on_request
    async def before(request) -> None:
        if "x-fail-before" in request.headers:
            fail()

    @app.on_response
    async def after(request, response) -> None:
        if "x-fail-after" in request.headers:
            fail()

    @app.get("/mine/fails")
    async def mine(request):
        fail()

    @app.get("/mine/server-error")
    async def server_error(request):
        try:
            fail()
        except ValueError as error:
            raise ServerError(str(error), context={"said": str(error)}, extra={"said": str(error)})

    @app.get("/mine/odd-status")
    async def odd_status(request):
        raise SanicException("odd", status_code=299)

    @app.get("/mine/nothing")
    async def nothing(request):
        return None

    @app.get("/mine/half")
    async def half(request):
        response = await request.respond(content_type="text/plain")
        await response.send("half")
        fail()

async def on_connect(ctx) -> None:
    if "x-fail-connect" in ctx.req.headers:
        fail()
""",
}


@pytest.fixture(scope="module", params=["text", "json"])
def server(serve_module: Any, request: pytest.FixtureRequest) -> Server:
    """A server whose Redis is away: what that raises is logged too."""
    env = {
        "ISOMOR_WS": ".*",
        "ISOMOR_REDIS_URL": f"redis://app:{PASSWORD}@127.0.0.1:{free_port()}/0",
        "ISOMOR_MAX_MESSAGE_SIZE": "2000",
        "ISOMOR_LOGGING_FORMAT": request.param,
        "ISOMOR_LOGGING_ACCESS": "true",
        "ISOMOR_LOGGING_LEVEL": "debug",
        "DATABASE_PASSWORD": DSN,
    }
    server: Server = serve_module(API, env=env, wait=False)
    server.wait_for_log("isomor ")
    wait_until(lambda: is_alive(server), "the server")
    return server


def is_alive(server: Server) -> bool:
    try:
        return server.http.get("/health/live").status_code == 200
    except httpx.TransportError:
        return False


# ---- What clients are told ---------------------------------------------------------------------------------------

UPGRADE = (
    "Host: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
)


def post(name: str, *headers: str, body: str = '{"args":[]}', path: str = "") -> str:
    lines = [f"POST {path or f'/isomor/api/{name}'} HTTP/1.1", "Host: localhost", f"Content-Length: {len(body)}"]
    return "\r\n".join([*lines, "Content-Type: application/json", *headers]) + "\r\n\r\n" + body


def get(path: str, *headers: str, method: str = "GET") -> str:
    return "\r\n".join([f"{method} {path} HTTP/1.1", "Host: localhost", *headers]) + "\r\n\r\n"


REQUESTS = [
    # Functions, by plain calls and by Sanic's.
    *(
        post(name, *more)
        for name in ("fails", "fails_in_thread", "fails_with_context", "unsendable", "exits", "chained", "nothing")
        for more in ((), ("Connection: close",))
    ),
    post("header", body='{"args":["a\\r\\nSet-Cookie: b=c"]}'),
    post("header", body='{"args":["a\\n\\nb"]}'),
    post("header", body='{"args":["\\ud800"]}'),
    post("header", body='{"args":["\u2028"]}'),
    post("add", body='{"args":["x"]}'),
    post("add", body="{"),
    post("add", body="[" * 1000),
    post("add", body="x" * 3000),
    post("add", "Content-Type: text/html"),
    post("add", "Transfer-Encoding: chunked"),
    post("add", "Expect: what"),
    post("add", "Origin: https://evil.example"),
    post("add", "X-Fail-Before: 1"),
    post("add", "X-Fail-After: 1"),
    post("", path="/isomor/api/%ff%00"),
    post("", path="/isomor/"),
    post("", path="/health/live"),
    post("", path="/nowhere"),
    *(get("/isomor/api/fails", method=method) for method in ("GET", "HEAD", "OPTIONS", "PUT", "TRACE", "CONNECT")),
    get("/isomor/api/add?args=[1]"),
    # Routes and middleware of the user's.
    *(get(f"/mine/{name}") for name in ("fails", "server-error", "odd-status", "nothing", "half", "none")),
    get("/mine/fails", method="POST"),
    # Pages.
    get("/isomor/client/none.js"), get("/isomor/client/../../etc/passwd"), get("/isomor/client/none.tgz"),
    get("/api-docs/none"), get("/api-docs/openapi.json"), get("/api-docs/asyncapi.json"), get("/console/none"),
    get("/health/ready"), get("/"), get("/%zz"), get("//"), get("/\u00e9"), get("*"), get("http://"), get("x"),
    # Heads that are none.
    "\r\n\r\n", "GET\r\n\r\n", "GET / HTTP/9.9\r\n\r\n", "GET / HTTP/1.1\r\nno header\r\n\r\n", "\x16\x03\x01\r\n\r\n",
    get("/", "X: " + "x" * 20_000), "GET /" + "x" * 20_000 + " HTTP/1.1\r\n\r\n", get("/", "Content-Length: x"),
    "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    # Handshakes.
    get("/isomor/ws"), get("/isomor/ws", "Upgrade: websocket"),
    get("/isomor/ws", "Upgrade: websocket", "Connection: upgrade"),
    f"GET /nowhere HTTP/1.1\r\n{UPGRADE}\r\n", f"GET /isomor/ws HTTP/1.0\r\n{UPGRADE}\r\n",
    f"GET /isomor/ws HTTP/1.1\r\n{UPGRADE}Origin: https://evil.example\r\n\r\n",
    f"GET /isomor/ws HTTP/1.1\r\n{UPGRADE.replace(': 13', ': 12')}\r\n",
    f"GET /isomor/ws HTTP/1.1\r\n{UPGRADE}X-Fail-Connect: 1\r\n\r\n",
]  # fmt: skip
MESSAGES: list[bytes] = [
    *(
        frame(TEXT, json.dumps({"action": "API", "id": 1, "urlPath": path, "args": args}).encode())
        for path, args in [
            ("/isomor/api/fails", []), ("/isomor/api/fails_in_thread", []), ("/isomor/api/fails_with_context", []),
            ("/isomor/api/unsendable", []), ("/isomor/api/exits", []), ("/isomor/api/chained", []),
            ("/isomor/api/spawn", []), ("/isomor/api/add", ["x"]), ("/isomor/api/add", {"a": 1}),
            ("/isomor/api/header", ["x"]), ("/isomor/api/__init__", []), ("../../etc/passwd", []), ("", []),
        ]
    ),
    *(frame(TEXT, text) for text in (b"{", b"[]", b'{"action":"X"}', b"[" * 1900, b'{"action":"API","id":{}}')),
    frame(TEXT, b"x" * 3000), frame(TEXT, b"\xff"), frame(2, b"x"), frame(3), frame(TEXT, rsv=4),
    frame(TEXT, mask=False), frame(8, b"\x00"), frame(9, b"x" * 126, form=16), frame(0, b"x"),
]  # fmt: skip


def never_told(server: Server) -> list[str]:
    """What no answer may hold."""
    versions = [version(name) for name in ("sanic", "uvloop", "httptools", "picows", "msgspec")]
    python = sys.version.split()[0]
    own = [f'"{package.__version__}"', f"isomor/{package.__version__}", f"isomor {package.__version__}"]
    paths = [str(server.folder), str(package.__path__[0]), sys.prefix, "site-packages", ".py"]
    names = ["Traceback", "ValueError", "SystemExit", "sanic", "uvloop", "picows", "httptools", "msgspec", "redis"]
    # What has refused is named on purpose: limits, and who may call. A name without a dot or _ may be any word.
    others = [setting for setting in SETTINGS if setting.key not in {*LIMITS, "security.origins", "security.hosts"}]
    settings = [name for one in others for name in (one.key, one.variable, one.regular) if re.search("[._]", name)]
    return [PASSWORD, DSN, TOKEN, RAISED, *settings, *paths, *names, *versions, python, *own]


def answered(connection: RawConnection, data: bytes) -> bytes:
    """All that comes back, to the end: a request that is whole and never valid follows."""
    try:
        connection.send(data)
        connection.send(b"GET /last HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
    except OSError:
        pass  # it has closed already, and what it said is still to be read
    return connection.read_to_end()


def assert_nothing_told(server: Server, asked: Any, said: bytes) -> None:
    text = said.decode(errors="replace")
    found = [marker for marker in never_told(server) if marker.lower() in text.lower()]
    assert not found, (asked, text)
    assert not re.search(r"^(server|x-powered-by|via):", text, re.IGNORECASE | re.MULTILINE), (asked, text)


def test_no_answer_over_http_tells_anything(server: Server) -> None:
    for request in REQUESTS:
        with server.raw() as connection:
            if "Upgrade: websocket" in request and "X-Fail-Connect" in request:
                connection.send(request.encode())
                said = connection.read_until(b"errorId ") + connection.read(16)
                assert b"101 Switching" in said
            else:
                said = answered(connection, request.encode("latin-1", "replace"))
            assert said, request
            assert_nothing_told(server, request[:300], said)
    wait_until(lambda: RAISED in server.log, "the exceptions in the log")


def test_a_header_is_no_way_to_add_another(server: Server) -> None:
    for value in ("a\r\nSet-Cookie: b=c", "a\nSet-Cookie: b=c", "a\r\n\r\nHTTP/1.1 200 OK"):
        answer = server.post("header", value)
        assert "set-cookie" not in answer.headers
        assert answer.json() == {"result": None}  # in the one header; line ends are left out


def test_no_answer_over_websocket_tells_anything(server: Server) -> None:
    for message in MESSAGES:
        with server.raw_ws() as ws:
            ws.send_bytes(message)
            ws.send(8, b"\x03\xe8")
            said = ws.connection.read_to_end()
        assert said, message
        assert_nothing_told(server, message[:300], said)


def test_debug_tells_texts_without_secrets(serve: Any) -> None:
    env = {"ISOMOR_DEBUG": "true", "DATABASE_PASSWORD": DSN, "ISOMOR_REDIS_URL": f"redis://app:{PASSWORD}@127.0.0.1:1"}
    server = serve(API, env=env, wait=False)
    wait_until(lambda: is_alive(server), "the server")
    said = server.post("fails").json()["error"]
    assert RAISED in said
    assert "postgres://app:***@db:5432/app" in said
    assert not [secret for secret in (PASSWORD, DSN, TOKEN) if secret in said]


# ---- What the log holds ------------------------------------------------------------------------------------------


def test_no_secret_is_in_the_log(server: Server) -> None:
    for name in ("fails", "fails_in_thread", "thread"):
        server.post(name)
    with server.ws() as ws:
        ws.call("spawn")
    server.http.get("/mine/fails")
    server.call("log", f"https://user:{TOKEN}@api.example/ and redis://:{PASSWORD}@h and {PASSWORD}")
    server.get("add", params={"args": "[1]", "token": TOKEN})
    server.post("nothing")
    wait_until(lambda: "a task of ctx.spawn failed" in server.log, "the failed task in the log")
    for text in (RAISED, "a thread has failed", "postgres://app:***@db:5432/app", "access_token=***", "redis"):
        assert text in server.log, text
    assert not [line for line in server.log.splitlines() if PASSWORD in line or DSN in line or TOKEN in line]


def test_a_password_that_is_a_word_of_the_log_does_not_tell_itself_by_its_gaps(serve: Any) -> None:
    server = serve(API, env={"ISOMOR_REDIS_URL": "redis://:isomor@127.0.0.1:1"}, wait=False)
    wait_until(lambda: is_alive(server), "the server")
    server.call("log", "isomor at redis://:isomor@h and https://a/#token=isomor")
    server.wait_for_log("said isomor at redis://:***@h and https://a/#token=***")
    assert server.log.count("the password in redis.url is too weak to be hidden everywhere") == 1


def test_nothing_forges_a_line_for_any_reader_of_lines(server: Server) -> None:
    before = len(server.log)
    server.call("log", FORGED)
    server.post("raises", FORGED)
    server.http.get("/mine/none", headers={"X-Fail-Before": "1"}, params={"x": FORGED})
    quoted = FORGED.encode()
    with server.raw() as connection:
        connection.send(b"GET /" + quoted.replace(b"\n", b"%0A").replace(b"\r", b"%0D").replace(b" ", b"%20")
                        + b" HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")  # fmt: skip
        connection.read_to_end()
    with server.ws() as ws:
        ws.send_call(FORGED)
        ws.send({"action": FORGED, "id": FORGED})
        ws.call("log", FORGED)
    wait_until(lambda: server.log.count("logs what cannot be formatted") >= 2, "the record with wrong arguments")
    lines = server.log[before:].splitlines()  # at U+0085, U+2028 and the like, too
    assert any("forged" in line for line in lines)
    record = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d (?!ERROR   forged)|    |\{.*\}$")
    assert [line for line in lines if not record.match(line)] == []
    assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f\u2028\u2029\u202e]", server.log[before:])
    for line in lines:
        if line.startswith("{"):
            assert json.loads(line)["logger"] != ""


# ---- What is said at the start -----------------------------------------------------------------------------------

KEY = "-----BEGIN PRIVATE KEY-----\nTUlJRXZ3SUJBREFO\n-----END PRIVATE KEY-----"


@pytest.mark.parametrize(
    ("env", "args"),
    [
        ({"ISOMOR_REDIS_URL": f"redis://app:{PASSWORD}@h:port"}, []),
        ({"ISOMOR_REDIS_URL": f"app:{PASSWORD}@h"}, []),
        ({"ISOMOR_REDIS_URL": f"http://app:{PASSWORD}@h"}, []),
        ({"ISOMOR_REDIS_URL": f"redis://app:pa/ss?{PASSWORD}#@h"}, []),
        ({"ISOMOR_REDIS_URL": f"redis://h/0?passwort={PASSWORD}"}, []),
        ({"ISOMOR_REDIS_URL": f"redis://app:{PASSWORD}@h,redis://app:other{PASSWORD}@i"}, []),
        ({"ISOMOR_REDIS_URL_FILE": f"redis://app:{PASSWORD}@h"}, []),
        ({"ISOMOR_PORT": f"redis://app:{PASSWORD}@h"}, []),
        ({"ISOMOR_STATIC_FOLDER": f"redis://app:{PASSWORD}@h"}, []),
        ({"ISOMOR_SERVER_TRUSTED_PROXIES": f"10.0.0.0/8,redis://app:{PASSWORD}@h"}, []),
        ({"ISOMOR_SECURITY_ORIGINS": f"https://app:{PASSWORD}@h"}, []),
        ({"ISOMOR_WS": f"(redis://app:{PASSWORD}@h"}, []),
        ({"ISOMOR_CONFIG": f"redis://app:{PASSWORD}@h"}, []),
        ({"ISOMOR_SERVER_TLS_KEY": KEY}, []),
        ({"ISOMOR_SERVER_TLS_KEY_FILE": KEY}, []),
        ({"ISOMOR_THREADS": "no"}, ["--set", f"redis://app:{PASSWORD}@h"]),
        ({"ISOMOR_THREADS": "no"}, ["--set", f"redis://app:{PASSWORD}@h/?x=1"]),
    ],
)
def test_no_secret_is_in_what_is_said_of_wrong_settings(
    tmp_path: Any, capsys: pytest.CaptureFixture[str], env: dict[str, str], args: list[str]
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path)
        for name, value in env.items():
            patch.setenv(name, value)
        with suppress(SystemExit):  # of what is not refused here, `isomor config` shows every value
            cli.main(["config", *args], standalone_mode=False)
    said = capsys.readouterr()
    assert "***" in said.err + said.out
    assert PASSWORD not in said.err + said.out
    assert "TUlJRXZ3SUJBREFO" not in said.err + said.out


def test_no_secret_is_in_what_is_said_of_a_start_that_fails(serve: Any) -> None:
    startup = FAIL + "\ndef startup(app):\n    fail()\n"
    env = {"DATABASE_PASSWORD": DSN, "ISOMOR_REDIS_URL": f"redis://app:{PASSWORD}@127.0.0.1:1"}
    for files in ({"startup.py": startup}, {"add.py": FAIL + "\nfail()\n"}):
        with pytest.raises(ServerExited) as ended:
            serve(files, env=env | {"ISOMOR_LOGGING_LEVEL": "debug"})
        assert RAISED in ended.value.log
        assert not [secret for secret in (PASSWORD, DSN, TOKEN) if secret in ended.value.log]
