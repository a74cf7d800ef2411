"""`isomor serve --watch`: what changes is served, without dropping a connection."""

from __future__ import annotations

import contextlib
import os
import re
from itertools import count

import httpx
import pytest
from harness import CallFailed, Server, isomor, wait_until, write_files

FIRST: dict[str, str] = {
    "version.py": "from ._lib import number\nasync def version() -> int: return number",
    "_lib.py": "number = 1",
    "wait.py": """
import asyncio
from ._lib import number
gate = asyncio.Event()
async def wait() -> int:
    await gate.wait()
    return number
""",
    "go.py": "import sys\nasync def go() -> None: sys.modules['api.wait'].gate.set()",
    "tick.py": """
import asyncio
from isomor import WsContext
async def tick(ctx: WsContext) -> None:
    async def work():
        while True:
            await ctx.push("tick")
            await asyncio.sleep(0.01)
    ctx.spawn(work(), key="tick")
""",
    "join.py": "from isomor import WsContext\nasync def join(ctx: WsContext) -> None: await ctx.join('t')",
    "publish.py": "from isomor import push\nasync def publish(value: int) -> None: await push(value, topic='t')",
}


@pytest.fixture
def server(serve) -> Server:
    server = serve(FIRST, args=["--watch"])
    _wait_for_watcher(server)
    return server


def _wait_for_watcher(server: Server) -> None:
    """What is written before the watcher listens is not seen: write until it is."""
    numbers = count()

    def seen() -> bool:
        write_files(server.api, {"_watched.py": f"x = {next(numbers)}"})
        return "_watched.py changed" in server.log

    wait_until(seen, "the watcher")


def version(server: Server, number: int) -> None:
    wait_until(lambda: server.call("version") == number, f"version {number}")


def test_a_change_is_served_without_dropping_a_connection(server):
    with server.ws() as ws:
        ws.call("tick")
        ws.call("join")
        waiting = ws.send_call("wait")
        ws.ping()
        write_files(server.api, {"_lib.py": "number = 22"})
        version(server, 22)
        assert ws.call("version") == 22
        assert ws.push() == "tick", "a spawned task goes on"
        server.call("publish", 5)
        assert ws.push("t") == 5, "topics stay"
        ws.cancel(waiting)
        with pytest.raises(CallFailed, match="CANCELLED"):
            ws.result(waiting)


def test_nobody_is_blamed_for_the_time_that_a_reload_takes(serve):
    server = serve(FIRST, args=["--watch"], env={"ISOMOR_LOGGING_BLOCKED_SECONDS": "0.1"})
    _wait_for_watcher(server)
    before = len(server.log)
    slow = "import time\ntime.sleep(0.5)\nnumber = 2\nasync def slow() -> None: time.sleep(0.5)"
    write_files(server.api, {"_lib.py": slow, "slow.py": "from ._lib import slow"})
    version(server, 2)
    wait_until(lambda: server.post("slow").status_code == 200, "the new function")
    log = server.wait_for_log("slow has blocked the event loop for ")  # of this it does speak
    assert set(re.findall(r"(\S+) blocks the event loop", log[before:])) == {"slow"}


def test_a_new_function_and_one_that_is_gone(server):
    write_files(server.api, {"added.py": "def added(a: int = 1) -> int: return a"})
    wait_until(lambda: server.post("added").status_code == 200)
    write_files(server.api, {"added.py": "def added(a: str) -> str: return a"})
    wait_until(lambda: server.post("added", "x").status_code == 200)
    assert server.post("added").status_code == 422
    (server.api / "added.py").unlink()
    wait_until(lambda: server.post("added").status_code == 404)
    assert server.call("version") == 1


def test_a_sub_folder(server):
    write_files(server.api, {"lib/deep.py": "x = 1", "deep.py": "from api.lib.deep import x\ndef deep(): return x"})
    wait_until(lambda: server.post("deep").status_code == 200)
    write_files(server.api, {"lib/deep.py": "x = 22"})
    wait_until(lambda: server.call("deep") == 22)


@pytest.mark.parametrize(
    ("broken", "said"),
    [
        ({"version.py": "async def version(:"}, "version.py: it cannot be imported: line 1: SyntaxError"),
        ({"_lib.py": "number = 1 / 0"}, "ZeroDivisionError"),
        ({"other.py": "def another(): ..."}, "other.py: it has no function other; rename another"),
        ({"version.py": "def version(a: complex): ..."}, "version.py: version: parameter a: complex"),
    ],
    ids=["syntax", "import", "name", "type"],
)
def test_a_broken_file_keeps_the_last_good_version(server, broken, said):
    with server.ws() as ws:
        write_files(server.api, broken)
        log = server.wait_for_log(said)
        assert "the last good version is kept" in log
        assert ws.call("version") == server.call("version") == 1
        for name in broken.keys() - FIRST.keys():
            (server.api / name).unlink()
        write_files(server.api, FIRST | {"_lib.py": "number = 33"})
        version(server, 33)
        assert ws.call("version") == 33


def test_a_reload_that_exits_or_hangs_on_nothing(server):
    write_files(server.api, {"version.py": "raise SystemExit(3)"})
    server.wait_for_log("SystemExit: 3")
    assert server.call("version") == 1


def test_editors_save_by_renaming(server):
    (server.api / "_lib.py.tmp").write_text("number = 44")
    os.replace(server.api / "_lib.py.tmp", server.api / "_lib.py")
    version(server, 44)


@pytest.mark.parametrize("file", ["startup.py", "startup/__init__.py"])
def test_a_change_in_startup_restarts(serve, file):
    def startup(number: int) -> str:
        return (
            f"def startup(app):\n    app.ctx.number = {number}\n"
            "    app.add_route(lambda request: text(str(app.ctx.number)), '/number')\nfrom sanic.response import text\n"
        )

    server = serve({**FIRST, file: startup(1)}, args=["--watch"])
    _wait_for_watcher(server)
    assert server.http.get("/number").text == "1"
    pid = server.pid
    with server.ws() as ws:
        write_files(server.api, {file: startup(2)})
        assert ws.wait_closed() == 1012
    wait_until(lambda: _number(server) == "2", "the restart")
    assert server.pid == pid
    assert server.running
    assert server.call("version") == 1
    _wait_for_watcher(server)
    write_files(server.api, {"_lib.py": "number = 55"})
    version(server, 55)


def _number(server: Server) -> str | None:
    try:
        return server.http.get("/number").text
    except Exception:  # it restarts
        return None


def test_a_restart_keeps_its_port_and_its_arguments(serve):
    server = serve(
        FIRST | {"startup.py": "def startup(app): ..."}, args=["--watch", "--ws", "version", "--set", "threads=3"]
    )
    _wait_for_watcher(server)
    write_files(server.api, {"startup.py": "def startup(app): print('again', flush=True)"})
    server.wait_for_log("again")
    wait_until(lambda: server.log.count(f":{server.port}") == 2)
    assert server.log.count("version  ws") == 2


def test_a_broken_startup_keeps_the_last_good_version(serve):
    server = serve(FIRST | {"startup.py": "def startup(app): ..."}, args=["--watch"])
    _wait_for_watcher(server)
    write_files(server.api, {"startup.py": "def startup(app:"})
    server.wait_for_log("SyntaxError")
    assert server.call("version") == 1


def test_what_startup_has_prepared_is_there_after_a_reload(serve):
    server = serve(
        {
            "_db.py": "pool = None",
            "startup.py": "from . import _db\ndef startup(app): _db.pool = 'open'",
            "use.py": "from . import _db\ndef use(): return _db.pool",
            "_lib.py": "",
        },
        args=["--watch"],
    )
    assert server.call("use") == "open"
    _wait_for_watcher(server)
    assert server.call("use") == "open"


def test_without_watch_nothing_changes(serve):
    server = serve(FIRST)
    write_files(server.api, {"_lib.py": "number = 66", "version.py": "def version(:"})
    assert server.call("version") == 1
    server.stop()
    assert "changed" not in server.log


def test_a_change_of_what_startup_imports_restarts(serve):
    """Startup has prepared it, and runs once in a process's life."""
    server = serve(
        FIRST
        | {
            "_db.py": "url = 'one'\npool = None",
            "startup.py": "from . import _db\ndef startup(app): _db.pool = f'open {_db.url}'",
            "use.py": "from . import _db\ndef use(): return _db.pool",
        },
        args=["--watch"],
    )
    _wait_for_watcher(server)
    assert server.call("use") == "open one"
    write_files(server.api, {"_db.py": "url = 'two'\npool = None"})

    def used() -> bool:
        with contextlib.suppress(httpx.TransportError, CallFailed):  # it restarts
            return server.call("use") == "open two"
        return False

    wait_until(used, "the restart")


def test_the_client_is_kept_up_to_date_where_it_has_been_built(serve):
    server = serve({"add.py": "def add(a: int) -> int: return a"}, start=False)
    built = isomor("build", cwd=server.folder, env=server.env)
    assert built.returncode == 0, built.stderr
    types = server.folder / "isomor-client" / "api" / "add.d.ts"
    assert "a: number" in types.read_text()
    server.args = ["--watch"]
    server.start()
    _wait_for_watcher(server)
    write_files(server.api, {"add.py": "def add(a: str) -> str: return a"})
    wait_until(lambda: "a: string" in types.read_text(), "the client to be written anew")
    assert isomor("build", "--check", cwd=server.folder, env=server.env).returncode == 0
    write_files(server.api, {"add.py": "def add(a: str -> str: return a"})
    server.wait_for_log("SyntaxError")
    assert "a: string" in types.read_text(), "a broken file leaves the client as it is"


def test_a_client_that_nobody_has_built_is_not_written(serve):
    server = serve(FIRST, args=["--watch"])
    _wait_for_watcher(server)
    assert not (server.folder / "isomor-client").exists()
