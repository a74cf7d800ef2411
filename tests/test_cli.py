"""The commands, as a person types them: what they print, where, and their exit codes."""

from __future__ import annotations

import json
import os
import re
import socket
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import pytest
from click.testing import CliRunner
from harness import Server, ServerExited, free_port, isomor, wait_until, write_files

from isomor.cli import cli

Run = Callable[..., CompletedProcess[str]]

API: dict[str, str] = {
    "hello.py": "def hello(name: str = 'world') -> str: return f'Hello, {name}!'",
    "page.py": "from isomor import HttpContext\ndef page(ctx: HttpContext) -> str: return ctx.type",
    "live.py": """
from isomor import WsContext
async def live(ctx: WsContext, count: int) -> str:
    for number in range(count):
        await ctx.push({"é": number})
    return ctx.type
""",
    "fails.py": "def fails() -> None: raise ValueError('s3cret')",
    "refuses.py": """
from typing import Any
from isomor import ApiError
def refuses(details: Any) -> None: raise ApiError("No", "REFUSED", 403, details)
""",
    "closes.py": """
from isomor import WsContext
async def closes(ctx: WsContext) -> None:
    ctx.ws.close()
""",
}

BROKEN = {
    "one.py": "def one(a: complex, **b): ...",
    "two.py": "import no_such_package\ndef two(): ...",
    "three.py": "def four(): ...",
    "fine.py": "def fine(): ...",
}
FAULTS = [
    "one.py: one: parameter a: complex cannot cross the wire",
    "one.py: one: parameter **b: arguments are positional",
    "three.py: it has no function three; rename four",
    "two.py: it cannot be imported: two.py, line 1: ModuleNotFoundError: No module named 'no_such_package'",
]


@pytest.fixture
def shell(tmp_path: Path) -> Run:
    """Run a command as a process of its own: `shell("check", files={…}, ISOMOR_WS=".*")`."""

    def run_in(*args: str, files: dict[str, str] | None = None, **env: str) -> CompletedProcess[str]:
        write_files(tmp_path, files or {})
        done = isomor(*args, cwd=tmp_path, env=env)
        assert "Traceback" not in done.stderr + done.stdout, done.stderr
        return done

    return run_in


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Run]:
    """The same within this process, which is run; not for what sets up the log or serves."""
    monkeypatch.chdir(tmp_path)
    for name in [name for name in os.environ if name.startswith("ISOMOR")]:
        monkeypatch.delenv(name)

    def run_here(*args: str, files: dict[str, str] | None = None, **env: str) -> CompletedProcess[str]:
        write_files(tmp_path, files or {})
        done = CliRunner().invoke(cli, args, prog_name="isomor", env=env)
        if done.exception is not None and not isinstance(done.exception, SystemExit):
            raise done.exception
        return CompletedProcess(args, done.exit_code, done.stdout, done.stderr)

    yield run_here
    for name in [name for name in sys.modules if name.split(".")[0] in ("api", "app")]:
        del sys.modules[name]


def files(api: dict[str, str], folder: str = "api") -> dict[str, str]:
    return {f"{folder}/{name}": source for name, source in api.items()}


def errors(done: CompletedProcess[str]) -> list[str]:
    """What it says is wrong, one fault a line."""
    assert done.returncode == 1
    assert done.stdout == ""
    lines = done.stderr.splitlines()
    assert all(line.startswith("error: ") for line in lines), done.stderr
    return [line.removeprefix("error: ") for line in lines]


def assert_faults(said: list[str]) -> None:
    assert len(said) == len(FAULTS)
    for line, fault in zip(said, FAULTS, strict=True):
        assert line.startswith(fault)


# ---- check -------------------------------------------------------------------------------------------------------


def test_check(shell):
    done = shell("check", files=files(API), ISOMOR_WS="hello|page")
    assert done.returncode == 0
    assert done.stderr == ""
    rows = [line.split() for line in done.stdout.splitlines() if "/isomor/" in line]
    assert [(name, way) for name, way, _ in rows] == [
        ("closes", "ws"), ("fails", "http"), ("hello", "ws"), ("live", "ws"), ("page", "http"), ("refuses", "http"),
    ]  # fmt: skip
    assert [path for _, _, path in rows] == [f"/isomor/api/{name}" for name, _, _ in rows]
    notes = [line for line in done.stdout.splitlines() if "note:" in line]
    assert len(notes) == 3
    assert any("page matches" in note and "HTTP" in note for note in notes)
    assert any("live does not match" in note and "WebSocket" in note for note in notes)
    assert done.stdout.endswith("6 functions, no faults\n")


def test_check_lists_every_fault(shell):
    assert_faults(errors(shell("check", files=files(BROKEN))))


def test_check_runs_no_startup_and_opens_no_port(run):
    startup = "def startup(app): raise SystemExit('it ran')"
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        done = run("check", files=files(API | {"startup.py": startup}), ISOMOR_PORT=port, ISOMOR_HOST="127.0.0.1")
    assert done.returncode == 0


def test_check_of_no_folder_and_of_an_empty_one(run, tmp_path):
    (fault,) = errors(run("check"))
    assert "isomor init" in fault
    (tmp_path / "api").mkdir()
    done = run("check")
    assert done.returncode == 0
    assert "holds no function yet" in done.stdout
    assert "0 functions" in done.stdout


def test_folder_and_module_name(run):
    done = run(
        "check", "--api", "backend/functions", "--set", "api.module_name=app", files=files(API, "backend/functions")
    )
    assert done.returncode == 0
    assert "/isomor/app/hello" in done.stdout


def test_a_folder_outside(run, tmp_path_factory):
    folder = tmp_path_factory.mktemp("elsewhere")
    write_files(folder, {"lib/db.py": "x = 1", "f.py": "from api.lib.db import x\nfrom .lib.db import x\ndef f(): ..."})
    done = run("check", "--api", str(folder))
    assert done.returncode == 0
    assert "/isomor/api/f" in done.stdout


# ---- config ------------------------------------------------------------------------------------------------------


def rows(done: CompletedProcess[str]) -> dict[str, tuple[str, str]]:
    assert done.returncode == 0
    return {row[0]: (row[1], row[2]) for line in done.stdout.splitlines() if len(row := re.split(r"\s{2,}", line)) == 3}


def test_config_says_where_each_value_came_from(run):
    done = run(
        "config",
        "--port",
        "4001",
        "--set",
        "threads=8",
        files={
            "config/isomor.yaml": "server:\n  port: 4002\nlogging:\n  level: debug\ncall_timeout: 5\n",
            "isomor.env": "ISOMOR_CALL_TIMEOUT=6\nISOMOR_WS=ws_.*\n",
            "secret": "redis://:s3cret@redis:6379/0\n",
        },
        ISOMOR_WS="push_.*",
        ISOMOR_REDIS_URL_FILE="secret",
    )
    shown = rows(done)
    assert len(shown) > 30
    assert shown["server.port"][0] == "4001"
    assert "--port" in shown["server.port"][1] or "flag" in shown["server.port"][1]
    assert shown["threads"][0] == "8"
    assert shown["ws.pattern"][0] == "push_.*"
    assert "ISOMOR_WS" in shown["ws.pattern"][1]
    assert float(shown["call_timeout"][0]) == 6
    assert "isomor.env" in shown["call_timeout"][1]
    assert shown["logging.level"][0] == "debug"
    assert "isomor.yaml" in shown["logging.level"][1]
    assert shown["server.workers"] == ("1", "default")
    assert "s3cret" not in done.stdout + done.stderr
    assert "ISOMOR_REDIS_URL_FILE" in shown["redis.url"][1]


def test_config_warns_and_faults(run):
    done = run("config", ISOMOR_NO_VALIDATION="true")
    assert done.returncode == 0
    assert "ISOMOR_NO_VALIDATION" in done.stderr
    said = errors(run("config", ISOMOR_PROT="1", ISOMOR_PORT="http", ISOMOR_WS="("))
    assert len(said) == 3
    assert any("ISOMOR_PORT" in line and "ISOMOR_PROT" in line for line in said)


@pytest.mark.parametrize("command", ["serve", "check", "config", "call", "health"])
def test_a_bad_flag_is_told_alike_everywhere(run, command):
    args = ["hello"] if command == "call" else []
    for flags in (["--port", "http"], ["--set", "threads"], ["--set", "thread=8"], ["--ws", "("]):
        (fault,) = errors(run(command, *args, *flags))
        assert flags[1].partition("=")[0] in fault


def test_another_config_file(run):
    done = run("config", "--config", "mine.yaml", files={"mine.yaml": "threads: 7"})
    assert rows(done)["threads"][0] == "7"
    assert "mine.yaml" in rows(done)["threads"][1]
    (fault,) = errors(run("config", "--config", "nowhere.yaml"))
    assert "nowhere.yaml" in fault


# ---- init --------------------------------------------------------------------------------------------------------


def test_init_makes_what_is_served(run, tmp_path, serve):
    done = run("init")
    assert done.returncode == 0
    assert "isomor serve" in done.stdout
    server = serve(tmp_path / "api")
    assert server.call("hello") == "Hello, world!"
    assert server.call("hello", "you") == "Hello, you!"
    (call,) = re.findall(r"isomor call hello '(.*)'", done.stdout)
    called = run("call", "hello", call, ISOMOR_PORT=str(server.port))
    assert json.loads(called.stdout) == "Hello, you!"


def test_init_of_another_folder(run, tmp_path):
    done = run("init", "backend/functions")
    assert done.returncode == 0
    (flags,) = re.findall(r"isomor serve (.*)", done.stdout)
    assert run("check", *flags.split()).returncode == 0
    (tmp_path / "empty").mkdir()
    assert run("init", "empty").returncode == 0


def test_init_leaves_alone_what_is_there(run, tmp_path):
    (fault,) = errors(run("init", files={"api/hello.py": "mine"}))
    assert "not empty" in fault
    assert (tmp_path / "api" / "hello.py").read_text() == "mine"
    (fault,) = errors(run("init", "file", files={"file": "mine"}))
    assert "file" in fault


# ---- call and health ---------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def server(serve_module: Any) -> Server:
    return serve_module(API)


@pytest.fixture
def call(run: Run, server: Server) -> Run:
    def call_server(*args: str) -> CompletedProcess[str]:
        return run("call", *args, ISOMOR_PORT=str(server.port), ISOMOR_HOST="127.0.0.1")

    return call_server


def test_call(call):
    done = call("hello", '["Zoë"]')
    assert (done.returncode, done.stdout, done.stderr) == (0, '"Hello, Zoë!"\n', "")
    assert call("hello").stdout == '"Hello, world!"\n'
    assert call("page").stdout == '"http"\n'


def test_call_from_a_shell(shell, server):
    done = shell("call", "live", "[1]", ISOMOR_PORT=str(server.port))
    assert (done.returncode, done.stdout, done.stderr) == (0, '"ws"\n', 'push: {"é": 0}\n')


def test_call_over_websocket(call):
    done = call("live", "[2]")
    assert (done.returncode, done.stdout) == (0, '"ws"\n')
    assert done.stderr == 'push: {"é": 0}\npush: {"é": 1}\n'
    done = call("live", '["x"]')
    assert done.returncode == 1
    assert done.stderr.startswith("INVALID_ARGS: live: count: expected int, got str\n")


def test_call_of_a_url(run, server):
    assert run("call", "hello", "--url", server.url).stdout == '"Hello, world!"\n'
    assert run("call", "live", "[0]", "--url", server.url).stdout == '"ws"\n'
    assert run("call", "hello", "--url", f"{server.url}/").stdout == '"Hello, world!"\n'


def test_call_that_fails(call):
    done = call("hello", "[1, 2]")
    assert (done.returncode, done.stdout) == (1, "")
    first, *details = done.stderr.splitlines()
    assert first == "INVALID_ARGS: hello: name: expected str, got int (and 1 more)"
    assert [json.loads(line)["path"] for line in details] == ["", "[1]"]
    done = call("nothing")
    assert (done.returncode, done.stderr) == (1, "NOT_FOUND: There is no such function.\n")
    done = call("fails")
    assert done.returncode == 1
    assert re.fullmatch(r"INTERNAL: .*\n  errorId [0-9a-f]+\n", done.stderr)
    assert "s3cret" not in done.stderr


@pytest.mark.parametrize("details", [None, ["a"], "text", [], [{"field": "x"}]])
def test_call_that_is_refused(call, details):
    done = call("refuses", json.dumps([details]))
    assert done.returncode == 1
    assert done.stderr.startswith("REFUSED: No\n")


@pytest.mark.parametrize("details", [5, {"until": "tomorrow"}, True])
def test_call_that_is_refused_with_other_details(call, details):
    done = call("refuses", json.dumps([details]))
    assert done.returncode == 1
    assert done.stderr == f"REFUSED: No\n  {json.dumps(details)}\n"


@pytest.mark.parametrize("args", ["{}", "1", '"x"', "[", "", "null"])
def test_call_with_arguments_that_are_none(run, args):
    done = run("call", "hello", args)
    assert (done.returncode, done.stdout) == (2, "")
    assert "JSON array" in done.stderr


def test_call_of_a_connection_that_is_closed(call):
    done = call("closes")
    assert done.returncode == 1
    assert "closed" in done.stderr


def test_call_where_nobody_answers(run):
    port = str(free_port())
    for args in (["call", "hello"], ["health"]):
        done = run(*args, ISOMOR_PORT=port)
        assert (done.returncode, done.stdout) == (1, "")
        assert port in done.stderr


def test_call_of_something_else(run):
    """A server that is none of ours is told as such."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def answer() -> None:
            for _ in range(2):
                connection, _ = listener.accept()
                with connection:
                    connection.recv(65536)
                    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\nhello")

        thread = threading.Thread(target=answer)
        thread.start()
        for args in (["call", "hello"], ["health"]):
            done = run(*args, ISOMOR_HOST="127.0.0.1", ISOMOR_PORT=str(listener.getsockname()[1]))
            assert done.returncode == 1
            assert "does not answer" in done.stderr
        thread.join()


def test_health(shell, server):
    done = shell("health", ISOMOR_PORT=str(server.port))
    assert (done.returncode, done.stdout) == (0, "ready\n")


# ---- serve -------------------------------------------------------------------------------------------------------


def test_serve_says_where_and_what(server):
    log = server.wait_for_log("/isomor/api/refuses")
    assert f"http://127.0.0.1:{server.port}" in log
    for name, way in (("hello", "http"), ("page", "http"), ("live", "ws")):
        assert re.search(rf"{name} +{way} +/isomor/api/{name}", log)


def test_serve_of_a_bad_folder(shell):
    done = shell("serve", files=files(BROKEN), ISOMOR_PORT=str(free_port()))
    assert (done.returncode, done.stdout) == (1, "")
    first, *said = [line.removeprefix("error: ") for line in done.stderr.splitlines()]
    assert "api cannot be served" in first
    assert_faults(said)


def test_serve_where_the_port_is_taken(shell):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        (fault,) = errors(shell("serve", files=files(API), ISOMOR_PORT=port, ISOMOR_HOST="127.0.0.1"))
    assert port in fault
    assert "in use" in fault
    assert "ISOMOR_PORT" in fault


def test_serve_at_an_address_that_is_none(shell):
    (fault,) = errors(shell("serve", files=files(API), ISOMOR_HOST="203.0.113.1"))
    assert "203.0.113.1" in fault
    assert "server.host" in fault


@pytest.mark.parametrize(
    ("startup", "said"),
    [
        ("def startup(app):\n    open('/no/such/file')", "startup.py, line 2: FileNotFoundError"),
        (
            "async def startup(app):\n    raise RuntimeError('no database')",
            "startup.py, line 2: RuntimeError: no database",
        ),
        ("import sys\ndef startup(app):\n    sys.exit(0)", "startup.py, line 3: SystemExit"),
        ("from . import _lib\ndef startup(app): _lib.connect()", "_lib.py, line 2: ValueError: no"),
    ],
)
def test_serve_where_startup_fails(serve, startup, said):
    with pytest.raises(ServerExited) as caught:
        serve({"f.py": "def f(): ...", "startup.py": startup, "_lib.py": "def connect():\n    raise ValueError('no')"})
    assert caught.value.code == 1
    assert said in caught.value.log
    assert "startup" in caught.value.log
    assert "Traceback" not in caught.value.log


def test_serve_by_flags(serve):
    port = free_port()
    server = serve(
        {"ws_add.py": "def ws_add(a: int) -> int: return a", "slow.py": "import time\ndef slow(): time.sleep(0.5)"},
        env={"ISOMOR_PORT": "1", "ISOMOR_WS": "nothing"},
        port=port,
        args=["--port", str(port), "--ws", "ws_.*", "--set", "call_timeout=0.05", "--set", "api.module_name=app"],
    )
    response = server.http.post("/isomor/app/ws_add", json={"args": [1]})
    assert response.json() == {"result": 1}
    assert re.search(r"ws_add +ws", server.log)
    assert server.http.post("/isomor/app/slow", json={}).status_code == 504


def test_two_workers_without_redis(shell):
    (fault,) = errors(shell("serve", "--workers", "2", files=files(API), ISOMOR_PORT=str(free_port())))
    assert "redis" in fault.lower()
    assert "server.workers" in fault


def test_help_and_version(run, shell):
    assert re.fullmatch(r"isomor, version \d+\.\d+\.\d+\n", shell("--version").stdout)
    done = run("--help")
    assert done.returncode == 0
    for command in ("serve", "check", "config", "call", "health", "init", "push"):
        assert command in done.stdout
        assert run(command, "-h").returncode == 0
    assert run("serf").returncode == 2
    assert run("serve", "--nothing").returncode == 2


def test_ctrl_c(serve):
    server = serve(API)
    assert server.stop(2) == 0
    wait_until(lambda: not server.running)
    assert "Traceback" not in server.log
