"""What `/metrics` says, read as Prometheus reads it, in both formats; with one worker and with several."""

from __future__ import annotations

import asyncio
import json
import mmap
import os
import re
import signal
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from harness import CLOSE, REPOSITORY, CallFailed, RawConnection, Server, frame, wait_until, write_files
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_text
from redis_servers import RedisServer, redis_servers
from test_docs import rows

import isomor
from isomor.errors import CloseCode
from isomor.metrics import region as regions
from isomor.metrics.exposition import Exposition
from isomor.metrics.recorder import Metrics
from isomor.metrics.region import Region
from isomor.metrics.table import BOUNDS, BUILD, METRICS, WORKERS

OPENMETRICS = "application/openmetrics-text; version=1.0.0"
JSON = {"Content-Type": "application/json"}

API = {
    "add.py": "async def add(a: int, b: int) -> int:\n    return a + b\n",
    "add_thread.py": "def add_thread(a: int, b: int) -> int:\n    return a + b\n",
    "fail.py": """
from isomor import ApiError

async def fail(code: str) -> None:
    raise ApiError("no", code=code)
""",
    "broken.py": "async def broken() -> None:\n    raise ValueError('broken')\n",
    "which.py": "import os\n\nasync def which() -> int:\n    return os.getpid()\n",
    "only_ws.py": "from isomor import WsContext\n\nasync def only_ws(ctx: WsContext) -> None: ...\n",
    "only_http.py": "from isomor import HttpContext\n\nasync def only_http(ctx: HttpContext) -> None: ...\n",
    "hold.py": """
import asyncio
from pathlib import Path

async def hold(file: str) -> None:
    while not Path(file).exists():
        await asyncio.sleep(0.01)
""",
    "hold_thread.py": """
import time
from pathlib import Path

def hold_thread(file: str) -> None:
    while not Path(file).exists():
        time.sleep(0.01)
""",
    "leave_me.py": "from isomor import WsContext\n\nasync def leave_me(ctx: WsContext) -> None: ctx.ws.close(4321)\n",
    "my_id.py": "from isomor import WsContext\n\nasync def my_id(ctx: WsContext) -> str: return ctx.ws.id\n",
    "echo.py": "from isomor import WsContext\n\nasync def echo(ctx: WsContext) -> None: await ctx.push(1)\n",
    "echo_thread.py": "from isomor import WsContext\n\ndef echo_thread(ctx: WsContext) -> None: ctx.push(1).wait()\n",
    "join.py": """
from isomor import WsContext

async def join(ctx: WsContext, topic: str) -> None:
    await ctx.join(topic)
""",
    "leave.py": """
from isomor import WsContext

async def leave(ctx: WsContext, topic: str) -> None:
    ctx.leave(topic)
""",
    "publish.py": """
from isomor import push

async def publish(topic: str | None, to: str | None, size: int) -> None:
    await push("x" * size, topic=topic, to=to)
""",
}
ALL = {"ISOMOR_WS": ".*"}

Labels = tuple[tuple[str, str], ...]


class Scrape:
    """The samples of one scrape."""

    def __init__(self, text: str, *, openmetrics: bool = False) -> None:
        self.families = list((parse_openmetrics if openmetrics else parse_text)(text))
        self.samples: dict[tuple[str, Labels], float] = {}
        for family in self.families:
            for sample in family.samples:
                key = (sample.name, tuple(sorted(sample.labels.items())))
                assert key not in self.samples, key
                self.samples[key] = sample.value

    def __call__(self, name: str, **labels: str) -> float:
        """The value of one sample; 0 where there is none."""
        return self.samples.get((name, tuple(sorted(labels.items()))), 0.0)

    def all(self, name: str) -> dict[Labels, float]:
        return {labels: value for (found, labels), value in self.samples.items() if found == name}

    def total(self, name: str) -> float:
        return sum(self.all(name).values())

    def calls(self, function: str, code: str = "OK", transport: str = "ws") -> float:
        return self("isomor_calls_total", function=function, code=code, transport=transport)


def scrape(server: Server, accept: str = "") -> Scrape:
    response = server.http.get("/metrics", headers={"Accept": accept})
    assert response.status_code == 200, response.text
    return Scrape(response.text, openmetrics="openmetrics" in accept)


def scrape_over(connection: RawConnection) -> Scrape:
    connection.request("GET", "/metrics")
    response = connection.response("GET")
    assert response.status == 200
    return Scrape(response.body.decode())


def wait_for(server: Server, condition: Callable[[Scrape], Any], what: str) -> Scrape:
    """The first scrape that fits."""
    last: list[Scrape] = []

    def look() -> Scrape | None:
        last[:] = [scrape(server)]
        return last[0] if condition(last[0]) else None

    try:
        return wait_until(look, what)
    except AssertionError as error:
        error.add_note(str({key: value for key, value in last[0].samples.items() if value}))
        raise


@pytest.fixture
def gate(tmp_path: Path) -> Iterator[Path]:
    path = tmp_path / "gate"
    yield path
    path.touch()


@pytest.fixture(scope="module")
def server(serve_module) -> Server:
    return serve_module(API, env=ALL | {"ISOMOR_THREADS": "2"})


# ---- The page ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("accept", "content_type"),
    [
        ("", "text/plain; version=0.0.4; charset=utf-8"),
        ("*/*", "text/plain; version=0.0.4; charset=utf-8"),
        ("application/openmetrics-text; version=?", "text/plain; version=0.0.4; charset=utf-8"),
        ("text/plain; version=x; q=y, ,;=", "text/plain; version=0.0.4; charset=utf-8"),
        (f"{OPENMETRICS},text/plain;version=0.0.4;q=0.5", "application/openmetrics-text; version=1.0.0; charset=utf-8"),
        ("application/openmetrics-text", "application/openmetrics-text; version=1.0.0; charset=utf-8"),
    ],
)
def test_the_format_is_the_one_that_is_asked_for(server, accept, content_type):
    response = server.http.get("/metrics", headers={"Accept": accept})
    assert response.status_code == 200
    assert response.headers["content-type"].startswith(content_type)
    assert response.headers["cache-control"] == "no-store"
    assert response.text.endswith("# EOF\n") == ("openmetrics" in content_type)
    assert response.text.count("# EOF") == ("openmetrics" in content_type)
    assert server.http.head("/metrics").headers["cache-control"] == "no-store"
    assert server.http.post("/metrics").status_code == 405
    assert server.http.get("/metrics/").status_code == 404  # which a rule for /metrics would let through


def test_both_formats_say_the_same(server):
    server.call("add", 1, 2)
    text, openmetrics = scrape(server), scrape(server, OPENMETRICS)
    kinds = {family.name: family.type for family in text.families}
    assert kinds == {family.name: family.type for family in openmetrics.families}
    ours = {key: value for key, value in text.samples.items() if key[0].startswith("isomor_")}
    assert ours == {key: value for key, value in openmetrics.samples.items() if key[0].startswith("isomor_")}
    for family in text.families:
        assert family.documentation
    for metric in METRICS:
        kind = metric.kind if metric.kind in ("counter", "histogram") else "gauge"
        assert kinds[metric.name.removesuffix("_total")] == kind


def test_what_is_always_there(server):
    found = scrape(server)
    assert found("isomor_workers") == 1
    assert found("isomor_ready") == 1
    assert found("isomor_bus_ready") == 1
    ((labels, value),) = found.all("isomor_build_info").items()
    assert value == 1
    assert dict(labels).keys() == {"version", "python"}
    assert dict(labels)["version"] == isomor.__version__
    # prometheus_client's own, of the only process.
    assert found("process_resident_memory_bytes") > 1e6
    assert found.total("python_info") == 1
    # A rate is known from the first event on.
    assert {dict(labels)["code"] for labels in found.all("isomor_connections_closed_total")} == {
        *(str(int(code)) for code in CloseCode),
        "1006",
        "other",
    }
    assert found("isomor_connections_closed_total", code="4008") == 0
    assert len(found.all("isomor_pushes_total")) == 4


@pytest.mark.parametrize("workers", [1, 2])
def test_switched_off(serve, redis, workers):
    env = ALL | {"ISOMOR_METRICS_ENABLED": "false", "ISOMOR_WORKERS": str(workers), "ISOMOR_REDIS_URL": redis.url}
    server = serve(API, env=env)
    response = server.http.get("/metrics")
    assert (response.status_code, response.json()["code"]) == (404, "NOT_FOUND")
    with server.ws() as ws:
        assert ws.call("add", 1, 2) == 3
        ws.call("echo")
        ws.call("join", "t")
        ws.call("publish", "t", None, 1)
        assert ws.push("t") == "x"
        with pytest.raises(CallFailed):
            ws.call("none")


def test_the_users_own_metrics_are_there_too(serve):
    files = {
        "_metrics.py": "from prometheus_client import Counter\n\nsold = Counter('shop_sold', 'Sold.', ['what'])\n"
        "clash = Counter('isomor_calls', 'Clashes.')\n",
        "sell.py": "from ._metrics import sold\n\nasync def sell(what: str) -> None: sold.labels(what).inc()\n",
    }
    server = serve(API | files)
    server.call("sell", "apple")
    for accept in ("", OPENMETRICS):
        found = scrape(server, accept)
        assert found("shop_sold_total", what="apple") == 1
        assert found("isomor_calls_total") == 0
        assert found.calls("sell", transport="http") == 1


def test_a_collector_of_the_users_own_that_fails_takes_nothing_along(serve):
    startup = """
from prometheus_client import REGISTRY

class Broken:
    def describe(self):
        return []
    def collect(self):
        raise ValueError("the collector")

def startup(app):
    REGISTRY.register(Broken())
"""
    server = serve(API | {"startup.py": startup})
    assert scrape(server)("isomor_ready") == 1
    assert scrape(server, OPENMETRICS)("isomor_ready") == 1
    assert "the collector" in server.log


def test_a_route_of_the_users_own_wins(serve):
    startup = (
        "from sanic.response import text\n\ndef startup(app):\n    app.add_route(lambda _: text('mine'), '/metrics')\n"
    )
    server = serve(API | {"startup.py": startup})
    assert server.http.get("/metrics").text == "mine"
    assert "/metrics" in server.log
    assert server.call("add", 1, 2) == 3


def test_it_answers_while_the_server_drains(serve, gate):
    server = serve(API, env=ALL | {"ISOMOR_SERVER_DRAIN_SECONDS": "60"})
    with server.ws() as ws, server.raw() as connection:
        assert scrape_over(connection)("isomor_ready") == 1
        call_id = ws.send_call("hold", str(gate))
        wait_for(server, lambda found: found("isomor_calls_in_flight") == 1, "the call")
        server.signal()
        server.wait_for_log("stopping")
        found = scrape_over(connection)
        assert (found("isomor_ready"), found("isomor_bus_ready"), found("isomor_calls_in_flight")) == (0, 1, 1)
        gate.touch()
        ws.result(call_id)
        assert ws.wait_closed() == 1012
    assert server.wait() == 0


def test_counts_survive_a_reload(serve):
    server = serve({"version.py": "async def version() -> int: return 1"}, args=["--watch"])
    server.call("version")

    def changed() -> bool:
        write_files(server.api, {"version.py": "async def version() -> int: return 2"})
        return server.call("version") == 2

    calls = 1

    def counted() -> bool:
        nonlocal calls
        calls += 1
        return changed()

    wait_until(counted, "the reload")
    assert scrape(server).calls("version", transport="http") == calls


# ---- Calls -------------------------------------------------------------------------------------------------------


def test_calls_by_function_transport_and_code(server):
    before = scrape(server)
    with server.ws() as ws:
        for _ in range(3):
            ws.call("add", 1, 2)
        ws.call("add_thread", 1, 2)
        for name, args in (
            ("add", ["x", 2]),
            ("broken", []),
            ("fail", ["OWN_CODE"]),
            ("only_http", []),
            ("none", []),
            ("none/../add", []),
        ):
            with pytest.raises(CallFailed):
                ws.call(name, *args)
    for _ in range(2):
        server.call("add", 1, 2)
    for name, args in (("add", ["x", 2]), ("broken", []), ("fail", ["OWN_CODE"]), ("only_ws", []), ("none", [])):
        with pytest.raises(CallFailed):
            server.call(name, *args)
    assert server.get("broken").status_code == 500
    assert server.http.put(server.path("add")).status_code == 405
    assert server.get("add", params={"args": "[1, 2]"}).status_code == 405
    assert server.http.post(server.path("add"), content=b"{}", headers={"Content-Type": "text/plain"}).is_error
    assert server.http.post(server.path("add"), content=b"{", headers=JSON).status_code == 400
    assert server.post("add", 1, 2, headers={"Origin": "http://elsewhere.example"}).status_code == 403
    assert server.post("none", headers={"Origin": "http://elsewhere.example"}).status_code == 403
    preflight = {"Access-Control-Request-Method": "POST"}
    assert server.http.options(server.path("add"), headers=preflight).status_code == 204
    after = scrape(server)
    found = {
        tuple(dict(labels)[name] for name in ("transport", "function", "code")): value - before_value
        for labels, value in after.all("isomor_calls_total").items()
        if value != (before_value := before.all("isomor_calls_total").get(labels, 0))
    }
    assert found == {
        ("ws", "add", "OK"): 3,
        ("ws", "add_thread", "OK"): 1,
        ("ws", "add", "INVALID_ARGS"): 1,
        ("ws", "broken", "INTERNAL"): 1,
        ("ws", "fail", "OWN_CODE"): 1,
        ("ws", "only_http", "HTTP_REQUIRED"): 1,
        ("ws", "", "NOT_FOUND"): 2,
        ("http", "add", "OK"): 2,
        ("http", "add", "INVALID_ARGS"): 1,
        ("http", "broken", "INTERNAL"): 2,
        ("http", "fail", "OWN_CODE"): 1,
        ("http", "only_ws", "UPGRADE_REQUIRED"): 1,
        ("http", "", "NOT_FOUND"): 1,
        ("http", "add", "METHOD_NOT_ALLOWED"): 2,
        ("http", "add", "UNSUPPORTED_MEDIA_TYPE"): 1,
        ("http", "add", "BAD_MESSAGE"): 1,
        ("http", "add", "FORBIDDEN"): 1,
        ("http", "", "FORBIDDEN"): 1,
    }


def test_messages_that_are_no_calls_count_as_such(server, gate):
    before = scrape(server)
    with server.ws() as ws:
        held = ws.send_call("hold", str(gate), call_id=7)
        for message in ("{", "[]", '{"action": "DANCE", "id": 1}', '{"action": "API", "id": {}}'):
            ws.send(message)
            ws.receive(lambda m: m["action"] == "API_ERR", "an error")
        ws.send({"action": "API", "urlPath": server.path("add"), "args": [1, 2]})  # without an id
        ws.answer(None)
        ws.send_call("add", 1, 2, call_id=7)  # an id that is taken
        assert ws.answer(7)["code"] == "BAD_MESSAGE"
        ws.ping()
        ws.cancel(held)
        assert ws.answer(held)["code"] == "CANCELLED"
    after = scrape(server)
    for function, code, count in (("", "BAD_MESSAGE", 4), ("add", "BAD_MESSAGE", 2), ("hold", "CANCELLED", 1)):
        assert after.calls(function, code) - before.calls(function, code) == count, (function, code)


def test_a_call_that_is_cancelled_before_it_begins(serve, gate):
    server = serve(API, env=ALL | {"ISOMOR_WS_MAX_CALLS_IN_FLIGHT": "1"})
    with server.raw_ws() as ws:
        calls = [{"action": "API", "id": 1, "urlPath": server.path("hold"), "args": [str(gate)]}]
        calls += [{"action": "API", "id": 2, "urlPath": server.path("add"), "args": [1, 2]}]
        calls += [{"action": "CANCEL", "id": 2}]
        ws.send_bytes(b"".join(frame(1, json.dumps(call).encode()) for call in calls))
        assert ws.receive_json()["code"] == "CANCELLED"
        gate.touch()
        assert ws.receive_json()["action"] == "API_RES"
    found = scrape(server)
    assert found.calls("add", "CANCELLED") == 1
    assert found.calls("hold") == 1
    assert found.total("isomor_calls_total") == 2
    assert found.total("isomor_call_duration_seconds_count") == 1


def test_what_ends_before_a_call_is_reached_counts_once(serve):
    startup = """
from isomor import ApiError
from sanic.response import text

def startup(app):
    @app.on_request
    async def before(request):
        if request.headers.get("x-who") == "mallory":
            raise ApiError("go away", code="SIGN_IN", status=401)

    @app.on_response
    async def after(request, response):
        if request.headers.get("x-who") == "late":
            raise ValueError("too late")

    @app.get("/mine")
    async def mine(request):
        raise ApiError("mine", code="MINE")
"""
    server = serve(API | {"startup.py": startup}, env=ALL | {"ISOMOR_MAX_MESSAGE_SIZE": "10000"})
    assert server.post("add", 1, 2, headers={"x-who": "mallory"}).status_code == 401
    server.post("add", 1, 2, headers={"x-who": "late"})
    assert server.post("add", "x" * 20_000).status_code == 413
    assert server.http.get("/mine").status_code == 400
    assert server.http.get("/nowhere").status_code == 404
    found = scrape(server)
    assert {tuple(dict(labels)[name] for name in ("function", "code")): value for labels, value in
            found.all("isomor_calls_total").items()} == {
        ("add", "SIGN_IN"): 1,
        ("add", "OK"): 1,
        ("add", "TOO_LARGE"): 1,
    }  # fmt: skip


def test_durations(serve, gate):
    server = serve(API, env=ALL)
    with server.ws() as ws:
        for _ in range(20):
            ws.call("add", 1, 2)
        held = ws.send_call("hold", str(gate))
        wait_for(server, lambda found: found("isomor_calls_in_flight") == 1, "the call")
        wait_for(server, lambda found: found("process_cpu_seconds_total") > 0, "a moment")
        gate.touch()
        ws.result(held)
    found = scrape(server)
    assert found("isomor_calls_in_flight") == 0
    labels = {"function": "add", "transport": "ws"}
    counts = [found("isomor_call_duration_seconds_bucket", le=le, **labels) for le in (*map(str, BOUNDS), "+Inf")]
    assert counts == sorted(counts)
    assert counts[-1] == found("isomor_call_duration_seconds_count", **labels) == 20
    assert 0 < found("isomor_call_duration_seconds_sum", **labels) < 20
    labels["function"] = "hold"
    assert found("isomor_call_duration_seconds_bucket", le="0.0005", **labels) == 0
    assert found("isomor_call_duration_seconds_bucket", le="+Inf", **labels) == 1
    assert found("isomor_call_duration_seconds_sum", **labels) > 0.0005


def test_calls_that_wait_for_a_thread(server, gate):
    with server.ws() as ws:
        ids = [ws.send_call("hold_thread", str(gate)) for _ in range(5)]
        wait_for(
            server,
            lambda found: (found("isomor_threads_waiting"), found("isomor_calls_in_flight")) == (3, 5),
            "two of five to have a thread",
        )
        gate.touch()
        for call_id in ids:
            ws.result(call_id)
    wait_for(server, lambda found: found("isomor_threads_waiting") == 0, "the threads")


def test_labels_are_bounded_whatever_comes_in(serve):
    server = serve(API, env=ALL)
    with server.ws() as ws:
        ids = [ws.send_call(f"no_such_{number}") for number in range(500)]
        ids += [ws.send_call("fail", f"CODE_{number}") for number in range(1000)]
        ids += [ws.send_call("fail", code) for code in ("x" * 65, "x" * 100_000, 'a"b\\c\nd', "é", "OTHER")]
        for call_id in ids:
            assert ws.answer(call_id)["action"] == "API_ERR"
    for number in range(100):
        assert server.post(f"no_such_{number}").status_code == 404
    for code in (1000, 1001, 1004, 1005, 1006, 1016, 2999, 3000, 4999, 5000, 65535, 999, 0):
        with server.raw_ws() as raw:
            raw.send(CLOSE, code.to_bytes(2))
            raw.wait_closed()
    found = wait_for(server, lambda found: found("isomor_connections") == 0, "the ends")
    for accept in ("", OPENMETRICS):
        scrape(server, accept)
    codes = {dict(labels)["code"] for labels in found.all("isomor_calls_total")}
    assert codes == {"NOT_FOUND", "OTHER", *(f"CODE_{number}" for number in range(32))}
    assert {dict(labels)["function"] for labels in found.all("isomor_calls_total")} == {"", "fail"}
    assert found.calls("", "NOT_FOUND") == 500
    assert found.calls("", "NOT_FOUND", "http") == 100
    assert found.calls("fail", "OTHER") == 1005 - 32
    assert found("isomor_call_duration_seconds_count", function="fail", transport="ws") == 1005
    closed = found.all("isomor_connections_closed_total")
    assert len(closed) == len(CloseCode) + 2
    assert sum(closed.values()) == found("isomor_connections_opened_total") == 14
    assert found("isomor_connections_closed_total", code="other") == 2  # 3000 and 4999
    assert found("isomor_connections_closed_total", code="1002") == 9  # which no frame may carry


def test_codes_that_need_escaping(serve):
    server = serve(API, env=ALL)
    with server.ws() as ws:
        for code in ('a"b\\c\nd', "é", ""):
            ws.answer(ws.send_call("fail", code))
    for accept in ("", OPENMETRICS):
        found = scrape(server, accept)
        for code in ('a"b\\c\nd', "é", ""):
            assert found.calls("fail", code) == 1, code


# ---- Connections and pushes --------------------------------------------------------------------------------------


def test_connections_are_counted_by_how_they_end(serve):
    server = serve(API, env=ALL | {"ISOMOR_MAX_MESSAGE_SIZE": "10000"})
    with ExitStack() as stack:
        sockets = [stack.enter_context(server.raw_ws()) for _ in range(7)]
        found = scrape(server)
        assert found("isomor_connections") == found("isomor_connections_opened_total") == 7
        assert found.total("isomor_connections_closed_total") == 0
        own, bare, dropped, binary, unmasked, big, told = sockets
        own.send(CLOSE, (4321).to_bytes(2))
        bare.send(CLOSE)
        dropped.connection.reset()
        binary.send(2, b"x")
        unmasked.send(1, b"{}", mask=False)
        big.send(1, b"x" * 20_000)
        told.send_json({"action": "API", "id": 1, "urlPath": server.path("leave_me"), "args": []})
        for ws, code in ((own, 4321), (bare, 1000), (binary, 1003), (unmasked, 1002), (big, 1009), (told, 4321)):
            assert ws.wait_closed() == code
            ws.connection.close()
        found = wait_for(server, lambda found: found("isomor_connections") == 0, "the ends")
    assert {dict(labels)["code"]: value for labels, value in found.all("isomor_connections_closed_total").items()
            if value} == {"other": 2, "1000": 1, "1006": 1, "1003": 1, "1002": 1, "1009": 1}  # fmt: skip


def test_a_large_message_opens_no_connection_anew(server):
    before = scrape(server)
    with server.ws() as ws:
        ws.send_call("fail", "x" * 200_000)
        ws.call("add", 1, 2)
        after = scrape(server)
        assert after("isomor_connections_opened_total") - before("isomor_connections_opened_total") == 1
        assert after("isomor_connections") - before("isomor_connections") == 1
    wait_for(server, lambda found: found("isomor_connections") == before("isomor_connections"), "its end")


def test_a_reader_that_is_too_slow(serve):
    env = {"ISOMOR_WS_MAX_OUTBOX_BYTES": "65536", "ISOMOR_WS_PING_SECONDS": "0"}
    server = serve(API, env=ALL | env)
    stopped = server.raw_ws()
    stopped.send_json({"action": "API", "id": 1, "urlPath": server.path("join"), "args": ["news"]})
    stopped.receive_json()

    def pushed() -> bool:
        server.call("publish", "news", None, 100_000)
        return "reads too slowly" in server.log

    wait_until(pushed, "the reader to be given up")
    stopped.connection.close()
    found = wait_for(server, lambda found: found("isomor_connections") == 0, "its end")
    assert found("isomor_connections_closed_total", code="4008") == 1
    assert found.total("isomor_connections_closed_total") == 1


def test_pushes_deliveries_and_topics(server):
    def difference(name: str, **labels: str) -> float:
        return scrape(server)(name, **labels) - before(name, **labels)

    before = scrape(server)
    with server.ws() as one, server.ws() as two:
        one.call("join", "news")
        two.call("join", "news")
        two.call("join", "weather")
        assert difference("isomor_topics") == 2
        server.call("publish", "news", None, 1)
        server.call("publish", "nobody", None, 1)
        server.call("publish", None, None, 1)
        server.call("publish", None, one.call("my_id"), 1)
        server.call("publish", None, before_id := two.call("my_id"), 1)
        one.call("echo")
        one.call("echo_thread")
        assert difference("isomor_pushes_total", kind="topic") == 2
        assert difference("isomor_pushes_total", kind="all") == 1
        assert difference("isomor_pushes_total", kind="connection") == 2
        assert difference("isomor_pushes_total", kind="caller") == 2
        # To two by topic, to two as to all, to one each by their ids, and twice to the caller.
        assert difference("isomor_deliveries_total") == 2 + 2 + 2 + 2
        assert difference("isomor_bus_published_total") == 5
        two.call("leave", "weather")
        wait_for(server, lambda found: found("isomor_topics") - before("isomor_topics") == 1, "the topic's end")
    wait_for(server, lambda found: found("isomor_topics") == before("isomor_topics"), "the topics' end")
    server.call("publish", None, before_id, 1)  # who is gone gets nothing
    assert difference("isomor_deliveries_total") == 8
    assert difference("isomor_push_failures_total") == 0


# ---- Redis -------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    with redis_servers(tmp_path_factory.mktemp("redis")) as servers:
        yield servers.server()


def test_redis_goes_and_comes_back(serve, tmp_path):
    with redis_servers(tmp_path / "redis") as servers:
        redis = servers.server()
        env = {"ISOMOR_REDIS_URL": redis.url, "ISOMOR_REDIS_OUTAGE_BUFFER_SECONDS": "1"}
        server = serve(API, env=ALL | env)
        with server.ws() as ws:
            ws.call("join", "news")
            ws.call("publish", "news", None, 1)
            assert ws.push("news") == "x"
            found = scrape(server)
            assert (found("isomor_bus_ready"), found("isomor_ready")) == (1, 1)
            assert found("isomor_bus_published_total") == found("isomor_bus_received_total") == 1
            redis.kill()
            wait_for(server, lambda found: not found("isomor_bus_ready") and not found("isomor_ready"), "the outage")
            lost = ws.send_call("publish", "news", None, 1000)
            wait_for(server, lambda found: found("isomor_bus_buffered_bytes") > 1000, "the push to wait")
            assert ws.answer(lost)["code"] == "UNAVAILABLE"
            found = scrape(server)
            assert found("isomor_push_failures_total") == 1
            assert found("isomor_bus_buffered_bytes") == 0
            assert found.calls("publish", "UNAVAILABLE") == 1
            assert found("isomor_pushes_total", kind="topic") == 2
            redis.start()
            found = wait_for(server, lambda found: found("isomor_bus_ready") and found("isomor_ready"), "Redis")
            ws.call("publish", "news", None, 1)
            assert ws.push("news") == "x"
            assert any(message["action"] == "GAP" for message in ws.inbox)
            found = scrape(server)
            assert found("isomor_bus_rebuilds_total") >= 1
            assert found("isomor_bus_gaps_total") >= 1
            assert found("isomor_bus_received_total") == 2


# ---- Several workers ---------------------------------------------------------------------------------------------


def over_each(server: Server, stack: ExitStack, workers: int = 2) -> dict[int, RawConnection]:
    """A connection to each worker, by its process."""
    found: dict[int, RawConnection] = {}

    def one_more() -> bool:
        connection = server.raw()
        connection.request("POST", server.path("which"), b"{}", JSON)
        if found.setdefault(connection.response().json()["result"], connection) is connection:
            stack.enter_context(connection)
        else:
            connection.close()
        return len(found) == workers

    # A worker that starts in place of another is counted before it accepts.
    wait_until(one_more, "each worker to accept")
    return found


def test_the_workers_are_one(serve, redis):
    metric = "from prometheus_client import Counter\n\nCounter('shop_sold', 'Sold.')\n\nasync def sell() -> None: ...\n"
    server = serve(
        API | {"sell.py": metric},
        env=ALL | {"ISOMOR_REDIS_URL": redis.url, "ISOMOR_WORKERS": "2", "ISOMOR_REDIS_PREFIX": "one"},
    )
    with ExitStack() as stack:
        each = over_each(server, stack)
        asked = scrape(server).calls("which", transport="http")
        sockets = [stack.enter_context(server.ws()) for _ in range(30)]
        pids = [ws.call("which") for ws in sockets]
        assert set(pids) == set(each), "both have connections"
        for ws in sockets:
            ids = [ws.send_call("add", 1, 2) for _ in range(50)] + [ws.send_call("fail", f"CODE_{len(pids)}")]
            for call_id in ids:
                ws.answer(call_id)
        for connection in each.values():
            found = scrape_over(connection)
            assert found.calls("add") == 1500
            assert found.calls("which") == 30
            assert found.calls("which", transport="http") == asked
            assert found.calls("fail", "CODE_30") == 30
            assert found("isomor_call_duration_seconds_count", function="add", transport="ws") == 1500
            assert found("isomor_connections") == found("isomor_connections_opened_total") == 30
            assert found("isomor_workers") == 2
            # What is the system's stands for each; what is the user's own is not there.
            for name in ("process_resident_memory_bytes", "process_cpu_seconds_total", "process_open_fds"):
                assert {dict(labels)["worker"] for labels in found.all(name)} == {"0", "1"}
            assert not found.all("shop_sold_total")
            assert not found.all("python_info")
        for ws in sockets:
            ws.call("join", "news")
        wait_for(server, lambda found: found("isomor_topics") == 2 and found("isomor_ready") == 1, "topics of each")
        server.call("publish", "news", None, 1)
        for ws in sockets:
            assert ws.push("news") == "x"
        for connection in each.values():
            found = scrape_over(connection)
            assert found("isomor_deliveries_total") == 30
            assert found("isomor_pushes_total", kind="topic") == 1
        wait_for(
            server,
            lambda found: (found("isomor_bus_received_total"), found("isomor_bus_published_total")) == (2, 1),
            "what the buses have counted",
        )
        for ws in sockets:
            ws.close()
        wait_for(server, lambda found: found("isomor_connections") == 0, "the ends")
        for connection in each.values():
            assert scrape_over(connection)("isomor_connections_closed_total", code="1000") == 30


def test_a_worker_that_dies_takes_no_counts_along(serve, redis):
    server = serve(
        API,
        env=ALL | {"ISOMOR_REDIS_URL": redis.url, "ISOMOR_WORKERS": "2", "ISOMOR_REDIS_PREFIX": "dies"},
    )
    with ExitStack() as stack:
        each = over_each(server, stack)
        sockets = [stack.enter_context(server.ws()) for _ in range(30)]
        pids = [ws.call("which") for ws in sockets]
        for ws in sockets:
            for _ in range(10):
                ws.call("add", 1, 2)
            ws.answer(ws.send_call("fail", "OWN"))
        victim, survivor = each
        left = pids.count(survivor)
        assert 0 < left < 30
        before = scrape_over(each[survivor])
        assert before.calls("add") == 300
        os.kill(victim, signal.SIGKILL)
        samples = [before]

        def look(condition: Callable[[Scrape], bool]) -> bool:
            samples.append(scrape_over(each[survivor]))
            return condition(samples[-1])

        wait_until(lambda: look(lambda found: found("isomor_workers") == 1), "the worker to be missed")
        assert samples[-1]("isomor_connections") == left, "a dead worker has no connections"
        wait_until(lambda: look(lambda found: found("isomor_workers") == 2), "a new worker")
        renewed = over_each(server, stack)
        assert set(renewed) > {survivor}
        (new,) = set(renewed) - {survivor}
        fresh = [stack.enter_context(server.ws()) for _ in range(30)]
        assert new in [ws.call("which") for ws in fresh]
        for ws in fresh:
            for _ in range(10):
                ws.call("add", 1, 2)
        for connection in (each[survivor], renewed[new]):
            found = scrape_over(connection)
            samples.append(found)
            assert found.calls("add") == 600
            assert found.calls("fail", "OWN") == 30
            assert found("isomor_connections") == left + 30
            assert found("isomor_connections_opened_total") == 60
            assert found("isomor_connections_closed_total", code="1006") == 30 - left
        for earlier, later in pairwise(samples):
            for key, value in earlier.samples.items():
                if key[0].startswith("isomor_") and key[0].endswith(("_total", "_count", "_sum", "_bucket")):
                    assert later.samples.get(key, -1.0) >= value, key
        assert {dict(labels)["worker"] for labels in found.all("process_open_fds")} == {"0", "1"}


# ---- The parts ---------------------------------------------------------------------------------------------------


def small(words: int) -> Region:
    return Region(memoryview(bytearray(words * 8)))


def render(metrics: Metrics, accept: str = "") -> Scrape:
    text, _ = asyncio.run(Exposition(metrics, "1").render(accept))
    return Scrape(text.decode(), openmetrics=bool(accept))


@pytest.mark.parametrize("words", [1500, 2400, 4000])
def test_a_region_that_is_full(caplog, words):
    metrics = Metrics([small(words)])
    for number in range(300):
        metrics.ended(f"function_{number}", "ws", "OK", 0.001)
        metrics.ended(f"function_{number}", "ws", "INVALID_ARGS", 0.001)
        metrics.refused(f"function_{number}", "http", "FORBIDDEN")
    metrics.opened(1)
    metrics.closed(4008, 0)
    metrics.closed(77, 0)
    metrics.pushed("caller")
    metrics.set("isomor_topics", 3)
    metrics.count_up_to("isomor_bus_lost_total", 5)
    assert len([record for record in caplog.records if "no room" in record.message]) == 1
    for accept in ("", OPENMETRICS):
        found = render(metrics, accept)
        assert found.total("isomor_calls_total") == 900
        assert found.total("isomor_call_duration_seconds_count") == 600
        assert found("isomor_calls_total", function="OTHER", transport="OTHER", code="OTHER") > 0
        assert len(found.all("isomor_calls_total")) < 300
        assert found.total("isomor_connections_closed_total") == 2
        assert found.total("isomor_pushes_total") == 1
        assert found("isomor_topics") == 0, "it does not serve yet"
        assert found("isomor_bus_lost_total") == 5
    metrics.serving()
    assert render(metrics)("isomor_topics") == 3


def test_a_region_is_gone_on_with():
    memory = memoryview(bytearray(8 * 10_000))
    first = Metrics([Region(memory)])
    first.serving()
    for number in range(40):
        first.ended("add", "ws", f"CODE_{number}", 0.2)
    for number in range(3):
        first.opened(number + 1)
    first.closed(1000, 2)
    first.set("isomor_topics", 9)
    first.count_up_to("isomor_bus_received_total", 7)
    # Killed: its successor finds what it has left, half a row included.
    region = Region(memory)
    used = int(region.values[1])
    region.values[used : used + 50] = memoryview(bytearray(b"\x07" * 400)).cast("d")
    second = Metrics([region])
    assert not region.alive
    second.serving()
    for number in range(30, 50):
        second.ended("add", "ws", f"CODE_{number}", 0.2)
    second.ended("new", "ws", "OK", 0.2)
    second.count_up_to("isomor_bus_received_total", 2)
    second.count_up_to("isomor_bus_received_total", 3)
    found = render(second)
    assert found.calls("add", "CODE_31") == 2
    assert found.calls("add", "OTHER") == 8 + 18
    assert len(found.all("isomor_calls_total")) == 34
    assert found("isomor_call_duration_seconds_count", function="add", transport="ws") == 60
    assert found("isomor_call_duration_seconds_sum", function="add", transport="ws") == pytest.approx(12)
    assert found("isomor_call_duration_seconds_sum", function="new", transport="ws") == pytest.approx(0.2)
    assert found("isomor_connections") == found("isomor_topics") == 0
    assert found("isomor_connections_closed_total", code="1006") == 2, "those that were open"
    assert found("isomor_bus_received_total") == 10


def test_a_region_of_another_version_is_begun_anew(monkeypatch):
    memory = memoryview(bytearray(8 * 10_000))
    mine, others = Metrics([small(10_000)]), Metrics([Region(memory)])
    others.serving()
    others.ended("add", "ws", "OK", 0.2)
    both = Metrics([mine.regions[0], Region(memory)])
    assert render(both).calls("add") == 1
    with monkeypatch.context() as patch:
        patch.setattr(regions, "_TABLE", 1.0)
        assert not Region(memory).alive
        assert render(Metrics([small(10_000), Region(memory)])).calls("add") == 0
        anew = Metrics([Region(memory)])
        anew.ended("other", "ws", "OK", 0.2)
        assert render(anew).calls("add") == 0
        assert render(anew).calls("other") == 1


def test_half_a_row_is_not_read():
    region = small(1000)
    region.begin()
    region.add(("whole",), 1)
    at = int(region.values[1])
    region.add(("half", "label"), 1)
    assert [key for key, *_ in region.rows()] == [("whole",), ("half", "label")]
    region.values[at + 3] = 0.0  # of its key not all has come through yet
    assert [key for key, *_ in region.rows()] == [("whole",)]
    region.values[at : at + 3] = memoryview(bytearray(24)).cast("d")
    assert [key for key, *_ in region.rows()] == [("whole",)]


@pytest.mark.parametrize("memfd", [True, False])
def test_a_file_that_workers_share(monkeypatch, memfd):
    if not memfd:
        monkeypatch.delattr(os, "memfd_create")
    descriptor = regions.make_file(3)
    assert os.fstat(descriptor).st_blocks == 0, "memory is taken where something is written"
    mine = regions.open_file(os.dup(descriptor), 3)
    theirs = regions.open_file(descriptor, 3)
    Metrics(mine, 0).ended("add", "ws", "OK", 0.1)
    Metrics(mine, 2).ended("add", "ws", "OK", 0.1)
    exposition = Exposition(Metrics(theirs, 1), "1")

    async def total() -> float:
        text, _ = await exposition.render("")
        return Scrape(text.decode()).calls("add")

    assert asyncio.run(total()) == 2
    Metrics(mine, 0).ended("later", "ws", "OK", 0.1)
    Metrics(mine, 0).ended("add", "ws", "OK", 0.1)
    assert asyncio.run(total()) == 3
    with pytest.raises(OSError):
        os.fstat(descriptor)


def test_without_memory_to_share_there_are_no_metrics(monkeypatch, caplog):
    from isomor.server import workers

    def none(_count: int) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(workers, "make_file", none)
    assert workers._make_file(2) == -1
    assert "No space left" in caplog.text
    monkeypatch.setenv(workers.VARIABLE, "3005,4,5,-1,0,2")
    assert workers.Place().metrics() is None


def test_calls_go_on_while_a_large_page_is_written():
    metrics = Metrics.alone()
    for number in range(400):
        metrics.ended(f"function_{number}", "ws", "OK", 0.001)
    turns = 0

    async def both(accept: str) -> bytes:
        nonlocal turns
        task = asyncio.create_task(Exposition(metrics, "1").render(accept))
        turns = 0
        while not task.done():
            await asyncio.sleep(0)
            turns += 1
        return task.result()[0]

    for accept in ("", OPENMETRICS):
        text = asyncio.run(both(accept)).decode()
        lines = len(text.splitlines())
        assert lines > 7000
        assert turns > lines / 250
        found = Scrape(text, openmetrics=bool(accept))
        assert found.total("isomor_call_duration_seconds_count") == 400
        for metric in METRICS:
            name = metric.name.removesuffix("_total") if accept else metric.name
            assert text.count(f"# TYPE {name} ") == 1


def test_a_region_is_of_address_space_alone():
    region = regions.alone()
    assert len(region.values) * 8 == regions.REGION_BYTES
    assert regions.REGION_BYTES % mmap.PAGESIZE == 0


# ---- The documentation -------------------------------------------------------------------------------------------


def test_every_metric_is_documented():
    page = REPOSITORY / "docs" / "operations.md"
    table = {name: cells for name, cells in rows(page, "Metrics").items() if name.startswith("isomor_")}
    written = {name.partition("{")[0]: (name, cells) for name, cells in table.items()}
    assert written.keys() == {metric.name for metric in METRICS} | {WORKERS[0], BUILD[0]}
    for metric in METRICS:
        name, cells = written[metric.name]
        labels = f"{{{','.join(metric.labels)}}}" if metric.labels else ""
        assert name == metric.name + labels
        assert cells[0] == (metric.kind if metric.kind in ("counter", "histogram") else "gauge")
    for name in re.findall(r"\bisomor_[a-z_]*[a-z]\b", page.read_text()):
        known = {metric.name for metric in METRICS} | {WORKERS[0], BUILD[0]}
        assert name in known or name.removesuffix("_bucket").removesuffix("_count").removesuffix("_sum") in known, name
