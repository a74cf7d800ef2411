"""The image of the service: what it may do, what it serves, how it starts and how it ends."""

from __future__ import annotations

import json
import os
import shutil
import threading
from pathlib import Path

import httpx
import pytest
from engine import BUILDING, HARDENED, Container, docker, run, write_wheel
from harness import REPOSITORY, wait_until, write_files


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder that the user of the image may read."""
    for path in (tmp_path, *tmp_path.parents[:3]):
        path.chmod(0o755)
    return tmp_path


def api(folder: Path, files: dict[str, str]) -> tuple[str, ...]:
    """The options that mount an api folder of these files."""
    write_files(folder / "my_api", files)
    return (*HARDENED, "--volume", f"{folder / 'my_api'}:/app/api")


def call(container: Container, name: str, *args: object, module: str = "api") -> object:
    response = httpx.post(f"{container.url}/isomor/{module}/{name}", json={"args": args}, trust_env=False, timeout=30)
    assert response.status_code == 200, response.text
    return response.json()["result"]


HELLO = {"hello.py": 'async def hello(name: str = "you") -> str: return f"Hello, {name}!"'}


# ---- What it is --------------------------------------------------------------------------------------------------


def buildkit() -> str | None:
    """A `docker` that builds with BuildKit: where there are several, an older one may, without a plugin."""
    for folder in os.environ["PATH"].split(os.pathsep):
        program = shutil.which("docker", path=folder)
        if program and "is missing or broken" not in run(
            "env", "DOCKER_BUILDKIT=1", program, "build", "--help", check=False
        ):
            return program
    return None


@pytest.mark.parametrize("file", ["Dockerfile", "frontend/Dockerfile"])
def test_it_builds_with_buildkit_too(image, file):
    program = buildkit()
    assert program, "no docker on the PATH builds with BuildKit; install docker-buildx"
    tag = f"isomor-e2e-buildkit-{file.count('/')}"
    try:
        run("env", "DOCKER_BUILDKIT=1", program, "build", "--tag", tag, "--file", file, ".", timeout=BUILDING)
        assert docker("image", "inspect", "--format", "{{.Config.User}}", tag) == "10001:10001"
    finally:
        docker("image", "rm", tag, check=False)


def test_a_change_of_the_code_does_not_install_the_dependencies_anew(image, folder):
    copy = folder / "checkout"
    ignored = shutil.ignore_patterns(".*", "node_modules", "__pycache__", "dist", "isomor-client")
    for name in ("service", "client", "api", "config", "docker"):
        shutil.copytree(REPOSITORY / name, copy / name, ignore=ignored)
    for name in ("Dockerfile", ".dockerignore", "pyproject.toml", "uv.lock", "README.md", "LICENSE"):
        shutil.copy(REPOSITORY / name, copy / name)
    build = ["env", "DOCKER_BUILDKIT=0", "docker", "build", "--tag", "isomor-e2e-cache", str(copy)]
    try:
        run(*build, timeout=BUILDING)
        (copy / "service/isomor/extra.py").write_text("EXTRA = 1\n")
        steps = run(*build, timeout=BUILDING).split("\nStep ")
        (install,) = [step for step in steps if "--no-install-project" in step]
        assert "Using cache" in install
        (packages,) = [step for step in steps if "apt-get" in step]
        assert "Using cache" in packages
    finally:
        docker("image", "rm", "isomor-e2e-cache", check=False)


def test_only_what_is_needed_is_in_it(image):
    listed = docker("run", "--rm", "--entrypoint", "sh", image, "-c", "find /app /packages -not -path '*/.venv/*'")
    tops = {line.split("/")[2] for line in listed.splitlines() if line.count("/") == 2 and line.startswith("/app/")}
    assert tops == {".venv", "api", "bin", "config", "constraints.txt"}
    assert not [line for line in listed.splitlines() if "__pycache__" in line or line.endswith(".env")]
    # One by one: some shells look for the first alone.
    look = "for name in gcc cc c++ g++ clang ld as make uv; do command -v $name; done; true"
    no_compiler = docker("run", "--rm", "--entrypoint", "sh", image, "-c", look)
    assert no_compiler == ""


# ---- What it may do ----------------------------------------------------------------------------------------------


def test_it_serves_the_example_without_any_rights(image):
    with Container(image) as container:
        container.wait_healthy()
        assert call(container, "set_user", {"name": "Ada", "email": "ada@example.com"}) == (
            "Hello Ada, mail for you goes to ada@example.com."
        )
        status = container.execute("cat", "/proc/self/status")
        for line in ("Uid:\t10001\t10001\t10001\t10001", "CapEff:\t0000000000000000", "CapPrm:\t0000000000000000"):
            assert line in status
        assert "Read-only file system" in container.execute("touch", "/app/x", check=False)


def test_any_user_will_do(image, folder):
    options = (*api(folder, HELLO), "--user", "4711:4711")
    with Container(image, options=options) as container:
        container.wait_healthy()
        assert call(container, "hello") == "Hello, you!"


def test_the_log_is_json(image):
    with Container(image) as container:
        container.wait_healthy()
        call(container, "get_uptime")
        records = [json.loads(line) for line in container.log.splitlines()]
        assert any("serves /app/api" in record["message"] for record in records)


def test_process_1_reaps_and_ends_what_is_below_it(image, folder):
    orphan = """
        import subprocess
        async def orphan() -> None:
            # A child of a child, whose parent ends before it.
            subprocess.run(["sh", "-c", "sleep 0 &"], check=True)
    """
    with Container(image, options=api(folder, {"orphan.py": "\n".join(s[8:] for s in orphan.splitlines())})) as c:
        c.wait_healthy()
        assert c.execute("cat", "/proc/1/comm") == "tini"
        for _ in range(5):
            call(c, "orphan")
        states = "cat /proc/[0-9]*/stat 2>/dev/null | cut -d' ' -f3"
        wait_until(lambda: "Z" not in c.execute("sh", "-c", states), "the zombies to be reaped")


# ---- What it serves ----------------------------------------------------------------------------------------------


def test_a_folder_of_ones_own(image, folder):
    with Container(image, options=api(folder, HELLO)) as container:
        container.wait_healthy()
        assert call(container, "hello", "Ada") == "Hello, Ada!"
        assert json.loads(container.execute("isomor", "call", "hello", '["Bob"]')) == "Hello, Bob!"
        assert "1 function, no faults" in container.execute("isomor", "check")
    assert not list((folder / "my_api").rglob("__pycache__")), "it writes into the user's folder"


def test_a_broken_folder_gives_every_fault_and_exit_1(image, folder):
    files = {
        "one.py": "async def two() -> None: ...",
        "three.py": "from uuid import UUID\nasync def three(key: str | UUID, *, limit: int = 1) -> None: ...",
        "four.py": "import nowhere",
    }
    with Container(image, options=api(folder, files)) as container:
        assert container.wait() == 1
        log = container.log
        for said in (
            "one.py: ",
            "three.py: three: parameter key: this union is ambiguous",
            "three.py: three: parameter limit is keyword-only",
            "four.py",
            "nowhere",
        ):
            assert said in log
        assert "Traceback" not in log


@pytest.mark.parametrize("what", ["my_api", "my_api/hello.py", "config", "config/isomor.yaml", "tls/key.pem"])
def test_what_its_user_may_not_read_is_named(image, folder, what):
    files = {"config/isomor.yaml": "threads: 5\n", "tls/cert.pem": "", "tls/key.pem": ""}
    write_files(folder, files)
    mounts = [f"--volume={folder / name}:/app/{name}" for name in ("config", "tls")]
    tls = ["--env=ISOMOR_SERVER_TLS_CERT=tls/cert.pem", "--env=ISOMOR_SERVER_TLS_KEY=tls/key.pem"]
    options = (*api(folder, HELLO), *mounts, *(tls if what.startswith("tls") else []))
    (folder / what).chmod(0)
    with Container(image, options=options) as container:
        assert container.wait() == 1
        log = container.log
        assert "error: " in log
        assert what.removeprefix("my_") in log
        assert any(said in log for said in ("may not read", "Permission denied"))
        assert "Traceback" not in log
    (folder / what).chmod(0o755)


def test_the_yaml_is_read_and_the_environment_wins(image, folder):
    write_files(folder / "config", {"isomor.yaml": "call_timeout: 7\nthreads: 5\nserver:\n  port: 4000\n"})
    options = ("--volume", f"{folder / 'config'}:/app/config:ro", "--env", "ISOMOR_THREADS=6", *HARDENED)
    with Container(image, options=options, port=4000) as container:
        container.wait_healthy()  # by its own port, too
        shown = container.execute("isomor", "config")
        lines = {line.split()[0]: line.split()[1:] for line in shown.splitlines() if line.strip()}
        assert lines["call_timeout"][0] == "7"
        assert lines["threads"] == ["6", "environment", "ISOMOR_THREADS"]
        assert httpx.get(f"{container.url}/health/ready", trust_env=False).json() == {"status": "ready"}


def test_an_unknown_setting_says_so(image):
    with Container(image, options=("--env", "ISOMOR_WS_TIMEOUTS=5")) as container:
        assert container.wait() == 1
        assert "ISOMOR_WS_TIMEOUT" in container.log


# ---- requirements.txt --------------------------------------------------------------------------------------------

GREET = {"greet.py": "from e2e_greeting import WORD\nasync def greet() -> str: return WORD"}


@pytest.fixture
def volume():
    """A volume for /packages."""
    name = docker("volume", "create")
    yield name
    docker("volume", "rm", "--force", name)


def with_requirements(folder: Path, text: str, word: str = "hello") -> tuple[str, ...]:
    options = api(folder, GREET | {"requirements.txt": text})
    for version in ("1.0", "2.0"):
        write_wheel(folder / "my_api/_wheels", "e2e_greeting", version, f"WORD = '{word} {version}'\n")
    return options


NO_NETWORK = "--no-index\n--find-links ./_wheels\n"


def test_requirements_are_installed_once_and_again_when_they_change(image, folder, volume):
    options = (*with_requirements(folder, NO_NETWORK + "e2e-greeting==1.0\n"), "--volume", f"{volume}:/packages")
    with Container(image, options=options) as container:
        container.wait_healthy()
        assert call(container, "greet") == "hello 1.0"
        records = [json.loads(line) for line in container.log.splitlines()]
        assert any(r["message"].startswith("installing /app/api/requirements.txt") for r in records)
        # A command beside the server finds them as well.
        assert "no faults" in container.execute("isomor", "check")
        docker("restart", container.name)
        wait_until(lambda: container.log.count("serves /app/api") == 2, "it to serve again", 60)
        assert container.log.count("installing /app/api/requirements.txt") == 1
    with Container(image, options=options) as container:
        container.wait_healthy()
        assert "has not changed: nothing to install" in container.log
        assert "installing" not in container.log
        assert call(container, "greet") == "hello 1.0"
        (folder / "my_api/requirements.txt").write_text(NO_NETWORK + "e2e-greeting==2.0\n")
        with Container(image, options=options) as other:
            other.wait_healthy()
            assert "installing /app/api/requirements.txt" in other.log
            assert call(other, "greet") == "hello 2.0"
            assert call(container, "greet") == "hello 1.0", "what runs keeps what it has"


def test_a_file_that_requirements_include_counts(image, folder, volume):
    options = (*with_requirements(folder, "-r more.txt\n"), "--volume", f"{volume}:/packages")
    for version in ("1.0", "2.0"):
        (folder / "my_api/more.txt").write_text(f"{NO_NETWORK}e2e-greeting=={version}\n")
        with Container(image, options=options) as container:
            container.wait_healthy()
            assert call(container, "greet") == f"hello {version}"


def test_containers_that_start_together_install_once(image, folder, volume):
    options = (*with_requirements(folder, NO_NETWORK + "e2e-greeting\n"), "--volume", f"{volume}:/packages")
    with Container(image, options=options) as a, Container(image, options=options) as b:
        a.wait_healthy()
        b.wait_healthy()
        assert (call(a, "greet"), call(b, "greet")) == ("hello 2.0", "hello 2.0")
        assert sum("installing /app/api" in container.log for container in (a, b)) == 1


def test_containers_of_different_users_share_a_volume(image, folder, volume):
    options = (*with_requirements(folder, NO_NETWORK + "e2e-greeting\n"), "--volume", f"{volume}:/packages")
    with Container(image, options=options) as a, Container(image, options=(*options, "--user", "4711:4711")) as b:
        a.wait_healthy()
        b.wait_healthy()
        assert (call(a, "greet"), call(b, "greet")) == ("hello 2.0", "hello 2.0")


def test_what_a_container_uses_stays_whatever_others_install(image, folder, volume):
    late = {"greet.py": "async def greet() -> str:\n    from e2e_greeting import WORD\n    return WORD\n"}
    options = (*with_requirements(folder, NO_NETWORK + "e2e-greeting\n"), "--volume", f"{volume}:/packages")
    write_files(folder / "my_api", late)
    with Container(image, options=options) as container:
        container.wait_healthy()
        for number in range(5):
            (folder / "my_api/requirements.txt").write_text(f"{NO_NETWORK}e2e-greeting # {number}\n")
            docker("run", "--rm", *options, image, "check")
        left = container.execute("sh", "-c", "ls /packages").split()
        assert len(left) == 1 + 3, "its own, and the last three"
        assert call(container, "greet") == "hello 2.0"


def test_without_a_volume_they_go_into_one_of_the_container(image, folder):
    with Container(image, options=with_requirements(folder, NO_NETWORK + "e2e-greeting\n")) as container:
        container.wait_healthy()
        assert call(container, "greet") == "hello 2.0"


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("e2e-greeting==3.0", "No matching distribution found for e2e-greeting==3.0"),
        ("msgspec==0.1", "constraint"),
        ("not a requirement !", "Invalid requirement"),
    ],
)
def test_what_cannot_be_installed_says_why(image, folder, volume, line, said):
    options = (*with_requirements(folder, f"{NO_NETWORK}{line}\n"), "--volume", f"{volume}:/packages")
    with Container(image, options=options) as container:
        assert container.wait() == 1
        records = [json.loads(line) for line in container.log.splitlines()]
        (error,) = [record for record in records if record["level"] == "error"]
        assert "/app/api/requirements.txt could not be installed" in error["message"]
        assert said in error["message"]
    left = docker("run", "--rm", "--volume", f"{volume}:/packages", "--entrypoint", "ls", image, "-A", "/packages")
    assert left.split() == [".lock"], "half of it is left"


def test_a_volume_that_cannot_be_written_to_says_so(image, folder):
    options = (*with_requirements(folder, NO_NETWORK + "e2e-greeting\n"), "--tmpfs", "/packages:ro")
    with Container(image, options=options) as container:
        assert container.wait() == 1
        assert "/packages cannot be written to" in container.log
        assert "mount a volume there" in container.log


def test_what_the_image_has_is_not_installed_again(image, folder):
    with Container(image, options=api(folder, HELLO | {"requirements.txt": "--no-index\nredis\nmsgspec>=0.20\n"})) as c:
        c.wait_healthy()
        assert call(c, "hello") == "Hello, you!"
        assert c.execute("sh", "-c", "find /packages -name 'msgspec*'") == ""


# ---- The end -----------------------------------------------------------------------------------------------------

SLOW = {"slow.py": "import asyncio\nasync def slow() -> str:\n    await asyncio.sleep(3)\n    return 'done'\n"}


def test_sigterm_during_a_call_answers_it_and_exits_0(image, folder):
    options = (*api(folder, SLOW), "--env", "ISOMOR_LOGGING_ACCESS=true")
    with Container(image, options=options) as container:
        container.wait_healthy()
        answers: list[object] = []
        caller = threading.Thread(target=lambda: answers.append(call(container, "slow")))
        caller.start()
        try:
            metrics = f"{container.url}/metrics"
            wait_until(
                lambda: "isomor_calls_in_flight 1.0" in httpx.get(metrics, trust_env=False).text, "the call to run"
            )
            docker("stop", "--time", "30", container.name)
        finally:
            caller.join()
        assert answers == ["done"]
        assert container.state["ExitCode"] == 0
        assert not container.state["OOMKilled"]


def test_sigterm_while_packages_are_installed_ends_it(image, folder, volume):
    """pip waits for a package that never comes: a pipe that nobody writes to."""
    requirement = f"{NO_NETWORK}e2e-greeting @ file:///app/api/_wheels/e2e_greeting-3.0-py3-none-any.whl\n"
    options = (*with_requirements(folder, requirement), "--volume", f"{volume}:/packages")
    os.mkfifo(folder / "my_api/_wheels/e2e_greeting-3.0-py3-none-any.whl", 0o644)
    with Container(image, options=options) as container:
        wait_until(lambda: "installing /app/api/requirements.txt" in container.log, "pip to begin", 60)
        docker("stop", "--time", "30", container.name)
        assert container.state["ExitCode"] == 143, "it did not end by SIGTERM"
