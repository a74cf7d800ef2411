"""The log: one line each, text or JSON; nothing of what users send is in it, and nothing forges a line."""

from __future__ import annotations

import io
import json
import logging
import sys
from collections.abc import Callable, Iterable, Iterator
from typing import Any
from urllib.parse import quote

import pytest
from harness import CallFailed, Server

from isomor import logs
from isomor.hiding import Secrets

FORGED = "x\n2026-01-01 00:00:00 ERROR   forged\r\x1b[31mred\x1b[0m\u2028\u0085\x00"


@pytest.fixture
def log(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., io.StringIO]]:
    """Set the log up, and give what it is written to."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    levels = {name: logging.getLogger(name).level for name in logging.root.manager.loggerDict}

    def set_up(level: str = "info", form: str = "text", secrets: Iterable[str] = ()) -> io.StringIO:
        stream = io.StringIO()
        monkeypatch.setattr(sys, "stderr", stream)
        logs.set_up(level, form, secrets)
        return stream

    yield set_up
    logs.set_up("info", "text")
    logging.captureWarnings(False)
    root.handlers[:] = handlers
    root.setLevel(level)
    for name, before in levels.items():
        logging.getLogger(name).setLevel(before)


def lines(stream: io.StringIO) -> list[str]:
    return stream.getvalue().split("\n")[:-1]


def fail() -> None:
    raise ValueError(FORGED)


class TestText:
    def test_a_line(self, log):
        stream = log()
        logging.getLogger("isomor").info("hello %s", "Zoë")
        logging.getLogger("isomor").debug("not said")
        (line,) = lines(stream)
        moment, level, message = line[:19], line[20:27], line[28:]
        assert moment[4] == moment[7] == "-"
        assert level.strip() == "INFO"
        assert message == "hello Zoë"

    @pytest.mark.parametrize("form", ["text", "json"])
    def test_nothing_forges_a_line(self, log, form):
        stream = log(form=form)
        logging.getLogger("isomor").warning(FORGED)
        logging.getLogger("isomor").warning("%s", FORGED)
        assert len(lines(stream)) == 2
        assert stream.getvalue().isascii() or form == "json"
        for char in "\r\x1b\x00":
            assert char not in stream.getvalue()

    def test_nothing_forges_a_line_of_a_traceback(self, log):
        """The text of an exception is often of a user's making."""
        stream = log()
        try:
            fail()
        except ValueError:
            logging.getLogger("isomor").exception("it failed")
        first, *rest = lines(stream)
        assert first.endswith("it failed")
        assert any("in fail" in line for line in rest)
        assert not any(line.startswith("2026-01-01 00:00:00 ERROR") for line in rest)
        assert "\x1b" not in stream.getvalue()


class TestJson:
    def test_a_line(self, log):
        stream = log(form="json")
        logging.getLogger("isomor.access").info(
            "hello %s", "Zoë", extra={"call": "f", "transport": "ws", "secret": "no"}
        )
        (line,) = lines(stream)
        record = json.loads(line)
        assert record.pop("time").endswith("Z")
        assert record == {
            "level": "info",
            "logger": "isomor.access",
            "message": "hello Zoë",
            "call": "f",
            "transport": "ws",
        }

    def test_a_traceback_is_one_line(self, log):
        stream = log(form="json")
        try:
            fail()
        except ValueError:
            logging.getLogger("isomor").exception("it failed")
        (line,) = lines(stream)
        record = json.loads(line)
        assert record["message"] == "it failed"
        assert record["level"] == "error"
        assert "in fail" in record["traceback"]
        assert "ValueError: x" in record["traceback"]

    def test_whatever_is_logged_is_json(self, log):
        stream = log(form="json")
        for message in ("\ud800", "\x00", "\u2028", object(), {"a": 1}):
            logging.getLogger("isomor").info("%s", message)
        assert len([json.loads(line) for line in lines(stream)]) == 5


@pytest.mark.parametrize(
    ("level", "said"),
    [("debug", ["debug", "info", "warning", "error"]), ("info", ["info", "warning", "error"]), ("error", ["error"])],
)
def test_levels(log, level, said):
    stream = log(level)
    for name in ("isomor", "api.mine"):
        for each in ("debug", "info", "warning", "error"):
            getattr(logging.getLogger(name), each)(each)
    for noisy in ("sanic.root", "asyncio", "httpx"):
        logging.getLogger(noisy).info("noise")
    assert [line[28:] for line in lines(stream)] == said * 2


def test_warnings_are_logged(log):
    import warnings

    stream = log()
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        logging.captureWarnings(False)
        logging.captureWarnings(True)
        warnings.warn("careful", UserWarning, stacklevel=1)
    assert "careful" in stream.getvalue()


# ---- Secrets -----------------------------------------------------------------------------------------------------

OF_OTHERS = [
    ("GET /cb?access_token=s3cret HTTP/1.1", "GET /cb?access_token=*** HTTP/1.1"),
    ("https://a.example/cb#access_token=s3cret", "https://a.example/cb#access_token=***"),
    ("to /cb?a=1&api%5Fk%65y=s3cret&b=2", "to /cb?a=1&api%5Fk%65y=***&b=2"),
    ("postgres://app:s3/cr?e#t@db/app", "postgres://app:***@db/app"),
    ("postgres://app:s3@cret@db/app", "postgres://app:***@db/app"),
    ("amqp://u:s3 cret@h", "amqp://u:***@h"),
    ("redis://:6379 s3cret@h", "redis://:***@h"),
    ("https://s3cret@api.example/", "https://***@api.example/"),
    ("""{'url': 'redis://:s3"cret@h', 'mail': 'ada@b'}""", """{'url': 'redis://:***@h', 'mail': 'ada@b'}"""),
    (r"""{"url":"redis://:s3\"cret@h","mail":"ada@b"}""", """{"url":"redis://:***@h","mail":"ada@b"}"""),
    ("""'redis://o'neil:s3cret@h'""", """'redis://o'neil:***@h'"""),
    ("-----BEGIN RSA PRIVATE KEY-----\ns3cret\n-----END RSA PRIVATE KEY-----, so", "***, so"),
    ("-----BEGIN PRIVATE KEY-----\ns3cret", "***"),
    # Nothing of these is secret.
    ("see http://localhost:3005/x and write to ada@b.example", None),
    ("http://a.example, ada@b.example", None),
    ('{"url":"http://a","mail":"ada@b"}', None),
    ("rediss://h?ssl_keyfile=/app/tls/client.pem&db=1", None),
    ("GET /search?q=token", None),
]


@pytest.mark.parametrize(("text", "shown"), OF_OTHERS)
def test_secrets_in_urls_are_hidden(log, text, shown):
    stream = log()
    logging.getLogger("isomor").info("%s", text)
    assert stream.getvalue()[28:-1] == (text if shown is None else shown)


# What a pattern could begin to match again and again.
HOSTILE = [
    "://",
    "://a:",
    "://a@",
    "://:@ ",
    "://a:1 ",
    "\n://a:",
    "?token=",
    "?a",
    "&",
    "?%41",
    "a",
    "'",
    "@",
    "=",
    "\\",
]


@pytest.mark.parametrize("part", HOSTILE)
def test_hiding_takes_time_in_proportion(part):
    """In the square of it, this would take minutes."""
    text = (part * 128_000)[:128_000]
    for whole in (text, text + "@", text + "=x", "://a:" + text, "?token=" + text + "=", '"-----BEGIN A-----' + text):
        assert isinstance(Secrets(["s3cret-of-settings"]).hide(whole), str)


ODD = "pa55\"w'ö\\rd"


@pytest.mark.parametrize("form", ["text", "json"])
@pytest.mark.parametrize("secret", ["pa55-of-redis", 'pa55"word', "pa55\\word", "pa55'wörd", ODD])
def test_a_secret_of_the_settings_is_hidden_however_it_is_written(log, form, secret):
    ways = [
        secret, repr(secret), repr(secret + "'"), repr(f"{secret}'\""), ascii(secret), repr(secret.encode()),
        json.dumps(secret), json.dumps(secret, ensure_ascii=False), json.dumps(repr(secret)), repr(json.dumps(secret)),
        quote(secret), quote(secret, safe=""), repr(f"AUTH\r\n{secret}\r\n"), f"({secret})", f"x={secret}",
    ]  # fmt: skip
    for way in ways:
        stream = log(form=form, secrets=[secret])
        logging.getLogger("isomor").info("<%s>", way)
        try:
            raise ValueError(way)
        except ValueError:
            logging.getLogger("isomor").exception("it failed", stack_info=True)
        said = stream.getvalue()
        assert said.count("***") >= 2, way
        assert "pa55" not in said.replace('["pa55', ""), way


def test_a_secret_within_another_word_is_that_word(log):
    stream = log(secrets=["monkey"])
    logging.getLogger("isomor").info("monkeys, a monkey, a_monkey")
    assert stream.getvalue().endswith("monkeys, a ***, a_monkey\n")


def test_no_secret_is_in_any_field_of_json(log):
    stream = log(form="json", secrets=["pa55-of-redis"])
    more = {"code": "pa55-of-redis", "call": "/cb?token=s3cret", "transport": ["pa55-of-redis"]}
    logging.getLogger("a.pa55-of-redis").warning("hello", extra=more)
    logging.getLogger("a").warning("hello", extra={"code": 409, "call": None})
    first, second = (json.loads(line) for line in lines(stream))
    assert (first["logger"], first["code"], first["call"]) == ("a.***", "***", "/cb?token=***")
    assert first["transport"] == "['***']"
    assert (second["code"], second["call"]) == (409, None)


# ---- On a server -------------------------------------------------------------------------------------------------

API = {
    "add.py": "async def add(a: int, b: int = 0) -> int: return a + b",
    "add_sync.py": "def add_sync(a: int, b: int = 0) -> int: return a + b",
    "fails.py": "async def fails(text: str) -> None: raise ValueError('it failed')",
    "refuses.py": "from isomor import ApiError\ndef refuses(a: str): raise ApiError(a, 'REFUSED', 403)",
    "says.py": "import logging\ndef says(text: str): logging.getLogger(__name__).info('said %s', text)",
    "push_back.py": "from isomor import WsContext\nasync def push_back(ctx: WsContext, a: str): await ctx.push(a)",
    "page.py": "from isomor import HttpContext\ndef page(ctx: HttpContext, a: str): ctx.res.set_cookie('c', a)",
}
SECRET = "s3cret-0123456789"


def serve_with(serve: Any, form: str, *, access: bool = True, level: str = "info") -> Server:
    yaml = f"logging:\n  format: {form}\n  access: {str(access).lower()}\n  level: {level}\n"
    return serve(API, yaml=yaml)


@pytest.fixture(scope="module", params=["text", "json"])
def server(request: pytest.FixtureRequest, serve_module: Any) -> Server:
    server = serve_with(serve_module, request.param, level="debug")
    server.form = request.param  # type: ignore[attr-defined]
    return server


def records(server: Server) -> list[dict[str, Any]]:
    """Each line that is not the announcement, as JSON."""
    return [json.loads(line) for line in server.log.splitlines() if line.startswith("{")]


def test_a_line_a_call(server):
    server.call("add", 1)
    server.call("add_sync", 1)
    with server.ws() as ws:
        ws.call("add", 1)
        with pytest.raises(CallFailed):
            ws.call("add", "x")
    with pytest.raises(CallFailed):
        server.call("refuses", "why")
    expected = [
        ("http", "add", "OK"),
        ("http", "add_sync", "OK"),
        ("ws", "add", "OK"),
        ("ws", "add", "INVALID_ARGS"),
        ("http", "refuses", "REFUSED"),
    ]
    for transport, name, code in expected:
        server.wait_for_log(f"{transport} {name} {code} ")
    if server.form == "json":
        access = [record for record in records(server) if record["logger"] == "isomor.access"]
        assert [(record["transport"], record["call"], record["code"]) for record in access][:5] == expected
        assert all(record["level"] == "info" for record in access)


def test_what_users_send_is_not_in_it(server):
    with pytest.raises(CallFailed):
        server.call("fails", SECRET, headers={"cookie": f"session={SECRET}", "authorization": SECRET})
    with pytest.raises(CallFailed):
        server.call("add", SECRET)
    with pytest.raises(CallFailed):
        server.call("refuses", SECRET)
    server.call("page", SECRET)
    server.http.post(server.path("add"), content=f'{{"args": ["{SECRET}"'.encode())
    server.get("add", params={"args": f'["{SECRET}"]'})
    with server.ws(additional_headers={"cookie": f"session={SECRET}"}) as ws:
        for name in ("fails", "push_back", "refuses", SECRET):
            ws.send_call(name, SECRET, cookie=f"session={SECRET}")
        ws.send(SECRET)
        ws.send({"action": SECRET, "id": SECRET})
        ws.ping()
    server.call("add", 7)
    server.wait_for_log("ValueError: it failed")
    assert SECRET not in server.log


def test_nothing_that_users_send_forges_a_line(server):
    forged = 'x\n2026-01-01 00:00:00 ERROR   forged\r\n{"level": "forged"}\x1b[31m'
    server.call("says", forged)
    server.http.get("/" + "x%0A2026-01-01%2000:00:00%20ERROR%20%20%20forged")
    server.http.post("/isomor/api/x%0Aforged%0D%0Aforged", json={"args": []})
    with server.ws() as ws:
        ws.send_call("x\nforged\r\nforged")
        ws.send({"action": "x\nforged"})
        ws.ping()
    server.wait_for_log("said x")
    assert "\x1b" not in server.log
    assert not [
        line for line in server.log.splitlines() if line.startswith(("2026-01-01", '{"level": "forged"', "forged"))
    ]


def test_an_error_is_one_record_with_its_id(server):
    with pytest.raises(CallFailed) as caught:
        server.call("fails", "x")
    log = server.wait_for_log(caught.value.error_id)
    assert "ValueError: it failed" in log
    assert log.count(caught.value.error_id) == 1
    if server.form == "json":
        (record,) = [record for record in records(server) if caught.value.error_id in record["message"]]
        assert record["level"] == "error"
        assert 'fails.py", line 1' in record["traceback"]


@pytest.mark.parametrize("server", ["json"], indirect=True)
def test_every_line_of_json_is_json(server):
    server.call("add", 1)
    lines = server.log.splitlines()
    start = next(index for index, line in enumerate(lines) if line.startswith("{"))
    others = [line for line in lines[start:] if not line.startswith("{")]
    assert all(line.startswith(("isomor ", "  ")) for line in others), others  # the announcement, on standard output


def test_access_is_off_by_default(serve):
    server = serve(API)
    server.call("add", 1)
    with server.ws() as ws:
        ws.call("add", 1)
    server.stop()
    assert "add OK" not in server.log


@pytest.mark.parametrize(
    "form",
    [
        pytest.param("text"),
        "json",
    ],
)
def test_an_error_whose_text_is_forged(serve, form):
    api = {"fails.py": "def fails(text: str): raise ValueError(text)"}
    server = serve(api, yaml=f"logging:\n  format: {form}\n")
    with pytest.raises(CallFailed) as caught:
        server.call("fails", "x\n2026-01-01 00:00:00 ERROR   forged\x1b[31m")
    server.wait_for_log(caught.value.error_id)
    server.stop()
    assert not [line for line in server.log.splitlines() if line.startswith("2026-01-01")]
    assert "\x1b" not in server.log


@pytest.mark.parametrize(
    "colour", ["\x1b[0m", "\x1b[1m", "\x1b[31m", "\x1b[1;31m", "\x1b[38;5;196m", "\x1b[38;2;1;22;255m"]
)
def test_a_secret_behind_a_colour_is_hidden(colour):
    secrets = Secrets(["hunter2secret"])
    for text in (
        f"{colour}hunter2secret{colour}",
        repr(f"{colour}hunter2secret"),
        json.dumps(f"{colour}hunter2secret"),
    ):
        assert "hunter2secret" not in secrets.hide(text)
