"""How each work is measured: what is sent to whom, and what is made of the answer of the load generator."""

from __future__ import annotations

import contextlib
import itertools
import time
from collections.abc import Iterator
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

from .contenders import CEILING, US, Contender, WebSocket, compact, contenders, isomor, node, request, uvicorn
from .generator import Generator
from .servers import Command, Server, Servers

Sample = dict[str, float]

ADD = {"a": 1234500000, "b": 67890}
SUM = "1234567890"  # longer than the number of any call, so that it is in no wrong answer
LINES: list[dict[str, Any]] = [
    {
        "sku": f"SKU-{10000 + number}",
        "name": f"A thing of some kind, number {number}",
        "count": 1 + number % 5,
        "price": 100 + 7 * number,
        "options": ["red", "large", "as a gift"],
    }
    for number in range(14)
]
TOTAL = sum(line["count"] * line["price"] for line in LINES)
ORDER: dict[str, dict[str, Any]] = {
    "order": {
        "id": 4711,
        "total": 0,
        "customer": {
            "name": "Ada Lovelace",
            "email": "ada@example.com",
            "address": {"street": "12 St James's Square", "city": "London", "postcode": "SW1Y 4JH"},
        },
        "lines": LINES,
    }
}
# The arguments, what every right answer contains, and the result.
CALLS: dict[str, tuple[dict[str, Any], str, Any]] = {
    "add": (ADD, SUM, int(SUM)),
    "order": (ORDER, f'"total":{TOTAL}', ORDER["order"] | {"total": TOTAL}),
}
MARKER = "PUSHED"
PUSHES = 300
PUSHES_IN_TURN = 200  # one at a time, each with its own latency
PAYLOAD = MARKER + "." * (98 - len(MARKER))  # 100 bytes of JSON
TOPIC = 1000  # connections that joined it
IDLE = 8000  # connections whose memory is measured
LARGE = {"text": "x" * 200_000}
OTHERS = [10, 1000, 8000]
BURSTS = 5  # a round: one takes but 70 ms
SETTLING = 1.5  # seconds that a server is given after many connections have opened, closed or sent
FUNCTIONS = 100


class Bench:
    """What the works need: cores, the generator, and servers, which are started once and kept."""

    seconds = 1.5
    warmup = 0.5

    def __init__(self, servers: Servers, cores: list[int]) -> None:
        self.servers = servers
        self.folder = servers.folder
        self.server_core = {cores[0]}
        self.load_core = {cores[-1]}
        # Two servers have a core each. Redis and the load have what is left; of two cores nothing is, and all share.
        self.both = [{cores[0]}, {cores[1]}]
        self.rest = set(cores[2:]) or set(cores)
        self.generator = Generator(self.folder, self.load_core)
        self.contenders = contenders(self.folder)
        self._kept: dict[str, Server] = {}

    def server(self, key: str, command: Command, cores: set[int] | None = None) -> Server:
        """The server of this key, started where it does not run."""
        if key not in self._kept:
            self._kept[key] = self.servers.start(command, cores or self.server_core)
        return self._kept[key]

    @contextlib.contextmanager
    def fresh(self, command: Command) -> Iterator[Server]:
        """A server of its own, ended with the block."""
        server = self.servers.start(command, self.server_core)
        try:
            yield server
        finally:
            self.servers.stop(server)

    def ceiling(self, transport: str, answer: str, pushed: str = "") -> Server:
        """The generator's own bare server, which says the same to everything, and pushes the same to who subscribed."""
        push = ["--push", self.generator.file(pushed)] if pushed else []
        command = Command(
            lambda port: [
                *(str(self.generator.program), "echo", "--transport", transport),
                *("--port", str(port), "--answer", self.generator.file(answer), *push),
            ],
            probe=None,
        )
        return self.server(f"{CEILING}, {transport}: {answer}, {pushed}", command)

    @cached_property
    def redis_url(self) -> str:
        """A Redis that keeps nothing."""
        options = ["--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]
        command = Command(lambda port: ["redis-server", "--port", str(port), *options], probe=None)
        return f"redis://127.0.0.1:{self.server('redis', command, self.rest).port}/0"

    def pair(self, name: str) -> list[Server]:
        """Two servers that push to each other's connections through Redis."""
        url = self.redis_url
        command = {US: isomor(ISOMOR_REDIS_URL=url), "socketio": node("socketio.mjs", REDIS_URL=url)}[name]
        return [self.server(f"{name} of two, {number}", command, self.both[number]) for number in range(2)]


def _ws(contender: Contender) -> WebSocket:
    assert contender.ws
    return contender.ws


def _first_call(contender: Contender, function: str, args: dict[str, Any]) -> str:
    return _ws(contender).call(function, args).replace("{id}", "1")


def _opening(bench: Bench, ws: WebSocket, *more: str) -> list[str]:
    """The options of `load` for what is said first."""
    lines = [*ws.opening, *more]
    return ["--open", bench.generator.file("\n".join(lines) + "\n")] if lines else []


def _run(bench: Bench, servers: list[Server], *args: object, cores: set[int] | None = None) -> Sample:
    """What the generator measured, with the share of one core that it used, and the one that the servers did."""
    for server in servers:
        server.settle()
    began, used = time.perf_counter(), sum(server.cpu() for server in servers)
    result = bench.generator.run(*args, cores=cores)
    share = (sum(server.cpu() for server in servers) - used) / (time.perf_counter() - began)
    return {key: result[key] for key in ("rate", "p99_us", "cpu") if key in result} | {"server": share}


def call(
    bench: Bench,
    contender: Contender,
    *,
    transport: Literal["ws", "http"] = "ws",
    function: str = "add",
    in_flight: int = 1,
    browser: bool = True,
) -> Sample:
    """50 connections that call all the time."""
    args, expect, result = CALLS[function]
    if contender.name == CEILING:
        server = bench.ceiling(transport, compact({"action": "API_RES", "id": 10000000, "payload": result}))
    else:
        server = bench.server(contender.name, contender.command)
    options: list[str] = []
    if transport == "ws":
        ws = _ws(contender)
        message: str | bytes = ws.call(function, args)
        options = ["--path", ws.path, *ws.options, *_opening(bench, ws)]
    else:
        assert contender.http
        message = request(contender.http, function, args, browser=browser)
    return _run(
        bench,
        [server],
        *("call", "--port", server.port, "--transport", transport, *options),
        *("--connections", 50, "--in-flight", in_flight, "--seconds", bench.seconds, "--warmup", bench.warmup),
        *("--request", bench.generator.file(message), "--expect", expect),
    )


def push(
    bench: Bench, contender: Contender, *, how: Literal["burst", "turns", "latency"], pair: bool = False
) -> Sample:
    """A topic of 1,000 connections, and one more that makes the server push."""
    ws = _ws(contender)
    if contender.name == CEILING:
        servers = [bench.ceiling("ws", compact({"id": 1}), compact({"payload": PAYLOAD}))]
    else:
        servers = bench.pair(contender.name) if pair else [bench.server(contender.name, contender.command)]
    one_by_one = how == "latency"
    mode, pushes = ("latency", PUSHES_IN_TURN) if one_by_one else ("burst", PUSHES)
    function, count = ("burst", 1) if one_by_one else (how, PUSHES)
    trigger = _first_call(contender, function, {"count": count, "payload": PAYLOAD})
    control = ["--control-open", bench.generator.file("\n".join(ws.opening) + "\n")] if ws.opening else []
    if not one_by_one:
        control += ["--repeat", str(BURSTS)]
    sample = _run(
        bench,
        servers,
        *("push", "--mode", mode, "--connections", TOPIC, "--pushes", pushes),
        *itertools.chain.from_iterable(("--port", server.port) for server in servers),
        *("--path", ws.path, *ws.options, *_opening(bench, ws, _first_call(contender, "subscribe", {})), *control),
        *("--trigger", bench.generator.file(trigger), "--marker", MARKER),
        cores=bench.rest if pair else None,
    )
    del sample["server"]  # most of it is connecting, and waiting between the bursts
    return sample


def memory(bench: Bench, contender: Contender) -> Sample:
    """Bytes that the server's memory grows by, for each of 8,000 connections."""
    ws = _ws(contender)
    with bench.fresh(contender.command) as server:
        time.sleep(SETTLING)
        before = server.memory()
        options = ["--port", str(server.port), "--path", ws.path, *ws.options, *_opening(bench, ws)]
        with bench.generator.holding(IDLE, *options) as held:
            time.sleep(SETTLING)
            idle = server.memory()
            held.send(bench.generator.file(_first_call(contender, "add", CALLS["add"][0])), IDLE)
            time.sleep(SETTLING)
            called = server.memory()
            held.send(bench.generator.file(_first_call(contender, "length", LARGE)), IDLE)
            time.sleep(SETTLING)
            after = server.memory()
    return {key: (found - before) / IDLE for key, found in (("idle", idle), ("called", called), ("after", after))}


def connect(bench: Bench, contender: Contender) -> Sample:
    """Open, upgrade, close, on 50 connections at a time; with Socket.IO, until it says that it is connected."""
    ws = _ws(contender)
    server = bench.server(contender.name, contender.command)
    return _run(
        bench,
        [server],
        *("connect", "--port", server.port, "--path", ws.path, *ws.options, *_opening(bench, ws)),
        *("--connections", 50, "--seconds", bench.seconds),
    )


def start(bench: Bench, contender: Contender) -> Sample:
    """From the start of the process to the first good answer of its last function."""
    folder = bench.folder / f"start-{contender.name}"
    names = [f"function_{number:03}" for number in range(FUNCTIONS)]
    if not folder.exists():
        folder.mkdir()
        _write_functions(folder, contender.name, names)
        _time_start(bench, contender, folder, names[-1])  # compiles the sources, which happens once
    return {"seconds": _time_start(bench, contender, folder, names[-1])}


def _write_functions(folder: Path, name: str, names: list[str]) -> None:
    if name == US:
        for function in names:
            (folder / f"{function}.py").write_text(f"async def {function}(a: int, b: int) -> int:\n    return a + b\n")
        return
    head = (
        "from fastapi import FastAPI\nfrom pydantic import BaseModel\n\n"
        "app = FastAPI()\n\n\nclass Pair(BaseModel):\n    a: int\n    b: int\n"
    )
    routes = [
        f'\n\n@app.post("/{function}")\nasync def {function}(pair: Pair) -> int:\n    return pair.a + pair.b\n'
        for function in names
    ]
    (folder / "routes.py").write_text(head + "".join(routes))


def _time_start(bench: Bench, contender: Contender, folder: Path, last: str) -> float:
    assert contender.http
    probe = request(contender.http, last, ADD)
    command = isomor(folder) if contender.name == US else uvicorn("routes:app", folder)
    with bench.fresh(replace(command, probe=probe, below=300)) as server:
        return server.ready - server.started


def idle(bench: Bench, contender: Contender) -> Sample:
    """The same calls while more and more other connections are open."""
    ws = _ws(contender)
    server = bench.server(contender.name, contender.command)
    sample: Sample = {}
    with contextlib.ExitStack() as stack:
        held = 0
        for others in OTHERS:
            options = ["--port", str(server.port), "--path", ws.path, *ws.options, *_opening(bench, ws)]
            stack.enter_context(bench.generator.holding(others - held, *options))
            held = others
            result = call(bench, contender)
            sample |= result | {f"p99_{others}": result["p99_us"]}
    time.sleep(SETTLING)  # the server has their ends to see to
    return sample
