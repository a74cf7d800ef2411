"""The blocks of docs/deployment.md with a real engine: each starts what it says, by variables and by YAML alike."""

from __future__ import annotations

import json
import re
import ssl
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from engine import PATIENCE, PAUSE, clean_environment, docker
from harness import REPOSITORY, free_port, wait_until
from websockets.sync.client import connect

TEXT = (REPOSITORY / "docs" / "deployment.md").read_text()
NAMES = ("isomor", "isomor-2", "isomor-redis")

# Left out: what builds an image, asks a package index (test_image.py does that without one), or starts the stack.
OTHERS = ("docker build", "humanize", "docker compose", "kubectl")


def blocks() -> list[Any]:
    """Those that start a server, by the line they stand in."""
    found = []
    for match in re.finditer(r"^```sh\n(.*?)^```$", TEXT, re.DOTALL | re.MULTILINE):
        text = match[1]
        if "docker run -d --name isomor " in text and not any(other in text for other in OTHERS):
            section = re.findall(r"^## (.*)$", TEXT[: match.start()], re.MULTILINE)[-1]
            found.append(pytest.param(text, section, id=f"{section}, line {TEXT[: match.start()].count(chr(10)) + 1}"))
    return found


class Started:
    """What a block has started, under names and ports of this test's own."""

    def __init__(self, text: str, folder: Path) -> None:
        self.folder = folder
        self.port, other = free_port(), free_port()
        text = re.sub(r"\bisomor(-2|-redis|-net)?(?= |:6379|\)|$)", self._own, text, flags=re.MULTILINE)
        text = text.replace("3005:3005", f"127.0.0.1:{self.port}:3005").replace("3006:3005", f"127.0.0.1:{other}:3005")
        self.text = text.replace("localhost:3005", f"localhost:{self.port}")

    @staticmethod
    def _own(match: re.Match[str]) -> str:
        """`--name isomor` is a container, a bare `isomor` the image or the command."""
        before = match.string[: match.start()]
        names = before.endswith(
            ("--name ", "--network ", "create ", "@", "//", "exec ", "logs ", "rm -f ", "stop ", "}}' ")
        )
        return f"e2e-{match[0]}" if names or match[1] else match[0]

    def run(self) -> str:
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", self.text],
            cwd=self.folder,
            env=clean_environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=PATIENCE,
        )
        assert done.returncode == 0, f"{self.text}\n{done.stdout}"
        return done.stdout

    def wait_ready(self) -> None:
        def ready() -> bool:
            state = docker("inspect", "--format", "{{.State.Status}}", "e2e-isomor")
            assert state == "running", docker("logs", "e2e-isomor")
            return "ready" in docker("exec", "e2e-isomor", "isomor", "health", check=False).splitlines()

        wait_until(ready, "the container to be ready", 60, pause=PAUSE)

    def get(self, path: str, **options: Any) -> httpx.Response:
        return httpx.get(f"http://localhost:{self.port}{path}", trust_env=False, timeout=30, **options)


@pytest.fixture
def started(tmp_path: Path, image: str) -> Iterator[Any]:
    for path in (tmp_path, *tmp_path.parents[:3]):
        path.chmod(0o755)
    yield lambda text: Started(text, tmp_path)
    docker("rm", "--force", "--volumes", *(f"e2e-{name}" for name in NAMES), check=False)
    docker("network", "rm", "e2e-isomor-net", check=False)


@pytest.mark.parametrize(("text", "section"), blocks())
def test_a_block(started, text, section):
    here = started(text)
    here.run()
    if "docker rm -f" in text or "docker stop" in text:  # it has cleaned up after itself
        return
    here.wait_ready()
    CHECKS.get(section, lambda _: None)(here)


def test_there_are_blocks():
    sections = {block.values[1] for block in blocks()}
    assert set(CHECKS) <= sections
    assert len(blocks()) >= 18


# ---- What the sections promise -----------------------------------------------------------------------------------


def transport_of(here: Started, name: str) -> str:
    """What the client that the server serves would call it by."""
    return re.search(r"transport: '(\w+)'", here.get(f"/isomor/client/{name}.js").text)[1]


def http_only(here: Started) -> None:
    assert transport_of(here, "get_uptime") == "http"
    assert here.get("/isomor/api/get_uptime").status_code == 200


def websocket_only(here: Started) -> None:
    assert transport_of(here, "get_uptime") == "ws"
    with connect(f"ws://localhost:{here.port}/isomor/ws", proxy=None) as socket:
        socket.send(json.dumps({"action": "API", "id": 1, "urlPath": "/isomor/api/get_uptime"}))
        assert json.loads(socket.recv(timeout=30))["action"] == "API_RES"


def workers(count: int) -> Any:
    def check(here: Started) -> None:
        wait_until(lambda: f"isomor_workers {count}.0" in here.get("/metrics").text, f"{count} workers", 60)
        assert docker("exec", "e2e-isomor", "isomor", "call", "get_container").startswith('"')

    return check


def two_containers(here: Started) -> None:
    """A push that is made in one reaches who is connected to the other."""
    if "docker run -d --name e2e-isomor-2" not in here.text:
        return
    ready = lambda: "ready" in docker("exec", "e2e-isomor-2", "isomor", "health", check=False).splitlines()  # noqa: E731
    wait_until(ready, "the other container to be ready", 60, pause=PAUSE)
    with connect(f"ws://localhost:{here.port}/isomor/ws", proxy=None) as socket:
        socket.send(json.dumps({"action": "API", "id": 1, "urlPath": "/isomor/api/watch_color"}))
        assert json.loads(socket.recv(timeout=30))["action"] == "API_RES"
        docker("exec", "e2e-isomor-2", "isomor", "call", "set_color", '["#123456"]')
        assert json.loads(socket.recv(timeout=30)) == {"action": "PUSH", "payload": "#123456", "topic": "color"}


def tls(here: Started) -> None:
    context = ssl.create_default_context(cafile=here.folder / "tls/cert.pem")
    with httpx.Client(verify=context, trust_env=False) as client:
        assert client.get(f"https://localhost:{here.port}/health/ready").json() == {"status": "ready"}
    with connect(f"wss://localhost:{here.port}/isomor/ws", ssl=context, proxy=None) as socket:
        socket.send('{"action":"PING"}')
        assert json.loads(socket.recv(timeout=30)) == {"action": "PONG"}


def secrets(_: Started) -> None:
    shown = docker("exec", "e2e-isomor", "isomor", "config")
    assert "redis://***@" in shown or "***" in shown
    assert "s3cret" not in shown + docker("logs", "e2e-isomor")


def hardened(_: Started) -> None:
    assert "Read-only file system" in docker("exec", "e2e-isomor", "touch", "/app/x", check=False)
    assert "CapEff:\t0000000000000000" in docker("exec", "e2e-isomor", "cat", "/proc/1/status")


CHECKS = {
    "HTTP only": http_only,
    "WebSocket only": websocket_only,
    "One worker": workers(1),
    "Four workers": workers(4),
    "Two containers and Redis": two_containers,
    "TLS": tls,
    "Secrets": secrets,
    "Hardening": hardened,
}
