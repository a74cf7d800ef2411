"""A container engine as tests use it: images, containers, and a compose project. What is started here is removed."""

from __future__ import annotations

import json
import os
import secrets
import subprocess
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Self

from harness import REPOSITORY, free_port, wait_until

# Long enough for any machine: what is waited for comes, or the test has failed.
PATIENCE = 120
BUILDING = 900
# Seconds between two commands of docker that look whether it has come: each takes the processor from what is awaited.
PAUSE = 0.25


def run(*command: str, timeout: float = PATIENCE, env: Mapping[str, str] | None = None, check: bool = True) -> str:
    """Run a command; what it printed, both streams.

    Raises:
        AssertionError: if its exit code is not 0, unless `check` is false.
    """
    done = subprocess.run(
        command,
        cwd=REPOSITORY,
        env=clean_environment() | dict(env or {}),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        timeout=timeout,
    )
    assert not check or done.returncode == 0, f"{' '.join(command)} ended with {done.returncode}:\n{done.stdout}"
    return done.stdout


def clean_environment() -> dict[str, str]:
    """The environment without what would configure the stack."""
    return {key: value for key, value in os.environ.items() if not key.startswith(("ISOMOR", "COMPOSE", "WS_"))}


def docker(*arguments: str, timeout: float = PATIENCE, check: bool = True) -> str:
    """Run `docker …`; what it printed."""
    return run("docker", *arguments, timeout=timeout, check=check).strip()


HARDENED = ("--read-only", "--cap-drop", "ALL", "--security-opt", "no-new-privileges")


class Container:
    """`docker run -d`; removed with its anonymous volumes on leaving.

    Args:
        image: what to run.
        arguments: of the image.
        options: of `docker run`; a volume in them is the caller's.
        port: the port inside that is published on loopback; None: none.
    """

    def __init__(self, image: str, *arguments: str, options: Iterable[str] = HARDENED, port: int | None = 3005) -> None:
        self.name = f"isomor-e2e-{secrets.token_hex(4)}"
        self.port = free_port() if port else None
        self.named = {option.partition(":")[0] for option in options}  # volumes that outlive it
        published = ["--publish", f"127.0.0.1:{self.port}:{port}"] if port else []
        try:
            docker("run", "--detach", "--name", self.name, *published, *options, image, *arguments)
        except BaseException:
            self.remove()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.remove()

    def remove(self) -> None:
        """Remove it, and the volumes that nobody has named; they are gone afterwards."""
        template = '{{range .Mounts}}{{if eq .Type "volume"}}{{.Name}} {{end}}{{end}}'
        mounted = docker("inspect", "--format", template, self.name, check=False).split()
        docker("rm", "--force", "--volumes", self.name, check=False)
        left = set(docker("volume", "ls", "--quiet").split())
        assert not [name for name in mounted if name in left and name not in self.named], mounted

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def log(self) -> str:
        return docker("logs", self.name)

    def inspect(self) -> dict[str, Any]:
        return json.loads(docker("inspect", self.name))[0]

    @property
    def state(self) -> dict[str, Any]:
        return self.inspect()["State"]

    def wait_healthy(self) -> Self:
        """Wait until its own health check says so; fails at once if it ends before that."""

        def healthy() -> bool:
            state = self.state
            assert state["Status"] in ("created", "running"), f"it ended with {state['ExitCode']}:\n{self.log}"
            return state["Health"]["Status"] == "healthy"

        wait_until(healthy, f"{self.name} to be healthy", PATIENCE, pause=PAUSE)
        return self

    def wait(self) -> int:
        """Wait until it ends; its exit code."""
        return int(docker("wait", self.name))

    def execute(self, *command: str, check: bool = True) -> str:
        """Run a command in it; what it printed."""
        return docker("exec", self.name, *command, check=check)


class Stack:
    """The stack of docker-compose.yml, as a project of its own on a port of its own; taken down on leaving.

    Args:
        env: variables for `docker compose`.
        files: further compose files.
    """

    def __init__(self, env: Mapping[str, str] | None = None) -> None:
        self.project = f"isomor-e2e-{secrets.token_hex(4)}"
        self.port = free_port()
        self.env = {"COMPOSE_PROJECT_NAME": self.project, "PORT": str(self.port), **(env or {})}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.compose("down", "--volumes", "--remove-orphans", "--timeout", "1", check=False)

    @property
    def url(self) -> str:
        return f"http://localhost:{self.port}"

    def compose(self, *arguments: str, timeout: float = PATIENCE, check: bool = True, **env: str) -> str:
        """Run `docker compose …`; what it printed."""
        return run("docker", "compose", *arguments, timeout=timeout, check=check, env=self.env | env)

    def containers(self, service: str) -> list[str]:
        """The ids of the running containers of a service, short, as the functions name them."""
        labels = (f"com.docker.compose.project={self.project}", f"com.docker.compose.service={service}")
        filters = [part for label in labels for part in ("--filter", f"label={label}")]
        return docker("ps", "--quiet", *filters).split()

    def wait_healthy(self, count: int) -> list[str]:
        """Wait until that many containers of `service` and the front end are healthy; the ids of the former."""

        def healthy() -> list[str] | None:
            found = self.containers("service")
            every = [*found, *self.containers("frontend")]
            states = docker("inspect", "--format", "{{.State.Health.Status}}", *every).split()
            return found if len(found) == count and set(states) == {"healthy"} and len(every) > count else None

        return wait_until(healthy, f"{count} healthy containers", PATIENCE, pause=PAUSE)

    def leftovers(self) -> dict[str, list[str]]:
        """What there still is of it, by kind."""
        label = ("--filter", f"label=com.docker.compose.project={self.project}", "--quiet")
        return {
            "containers": docker("ps", "--all", *label).split(),
            "networks": docker("network", "ls", *label).split(),
            "volumes": docker("volume", "ls", *label).split(),
        }


def write_wheel(folder: Path, name: str, version: str, source: str) -> Path:
    """A wheel of one module, as pip installs it without a network."""
    from zipfile import ZipFile

    info = f"{name}-{version}.dist-info"
    files = {
        f"{name}.py": source,
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    files[f"{info}/RECORD"] = "".join(f"{path},,\n" for path in [*files, f"{info}/RECORD"])
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}-{version}-py3-none-any.whl"
    with ZipFile(path, "w") as archive:
        for file, text in files.items():
            archive.writestr(file, text)
    return path
