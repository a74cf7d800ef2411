"""What docs/deployment.md shows: its shell blocks run, with a `docker` that only writes down what it is told.

The containers themselves are not started here. What is looked at is what they would be given: variables, mounted files,
the command. A block "By YAML" must give the same configuration as the one by environment before it.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import yaml
from harness import REPOSITORY, isomor

from isomor.config import Config, Loaded, load_config

PAGE = REPOSITORY / "docs" / "deployment.md"
TEXT = PAGE.read_text()

# Those of `docker run` that take a value, in a word of its own.
WITH_VALUE = {
    *("--name", "--network", "--user", "--entrypoint", "--mount", "--tmpfs", "--cap-drop", "--security-opt"),
    *("--pids-limit", "--memory", "--restart", "--stop-timeout", "-p", "-e", "-v"),
}
WITHOUT = {"-d", "--rm", "--read-only"}

# Programs of the blocks, but for the shell's own and openssl: they write down how they were called.
STAND_IN = """#!{python}
import json, os, sys
with open({log!r}, "a") as log:
    json.dump([os.path.basename(sys.argv[0]), *sys.argv[1:]], log)
    log.write("\\n")
if any("Health.Status" in word for word in sys.argv):
    print("healthy")
"""


@dataclass(frozen=True)
class Block:
    line: int
    section: str
    text: str
    by_yaml: bool

    def __str__(self) -> str:
        return f"{self.line}: {self.section}{' by YAML' if self.by_yaml else ''}"


@dataclass
class Run:
    """A `docker run`."""

    image: str
    command: list[str]
    options: dict[str, list[str]] = field(default_factory=dict)

    @property
    def mounts(self) -> dict[str, str]:
        """Path in the container, to that outside."""
        found = {}
        for text in self.options.get("-v", []):
            outside, inside = text.removesuffix(":ro").split(":")
            found[inside] = outside
        return found

    @property
    def environ(self) -> dict[str, str]:
        return dict(text.split("=", 1) for text in self.options.get("-e", []))


def blocks() -> list[Block]:
    found = []
    for match in re.finditer(r"^```sh\n(.*?)^```$", TEXT, re.DOTALL | re.MULTILINE):
        before = TEXT[: match.start()]
        section = re.findall(r"^## (.*)$", before, re.MULTILINE)
        lead = before.rstrip().splitlines()[-1]
        found.append(
            Block(before.count("\n") + 1, section[-1] if section else "", match[1], lead.startswith("By YAML"))
        )
    return found


BLOCKS = blocks()


@pytest.fixture
def run(tmp_path):
    """Run a block in an empty folder; the commands of Docker and others that it would have run."""

    def run(block: Block) -> tuple[Path, list[list[str]]]:
        programs, folder, log = (tmp_path / name for name in ("bin", "folder", "log"))
        for old in (programs, folder):
            shutil.rmtree(old, ignore_errors=True)
            old.mkdir()
        log.write_text("")
        for name in ("docker", "kubectl", "curl"):
            (programs / name).write_text(STAND_IN.format(python=sys.executable, log=str(log)))
            (programs / name).chmod(0o755)
        env = {"PATH": f"{programs}:{os.environ['PATH']}", "HOME": str(tmp_path)}
        done = subprocess.run(
            ["sh", "-eu", "-c", block.text],
            cwd=folder,
            env=env,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=30,
        )
        assert done.returncode == 0, done.stderr
        return folder, [json.loads(line) for line in log.read_text().splitlines()]

    return run


def parse(words: list[str]) -> Run:
    """The words behind `docker run`; an option that is not known fails."""
    options: dict[str, list[str]] = {}
    rest = list(words)
    while rest[0].startswith("-"):
        name = rest.pop(0)
        name, sign, value = name.partition("=") if name.startswith("--") else (name, "", "")
        assert name in WITH_VALUE | WITHOUT, name
        if name in WITH_VALUE and not sign:
            value = rest.pop(0)
        options.setdefault(name, []).append(value)
    return Run(rest[0], rest[1:], options)


def runs_of(commands: list[list[str]]) -> list[Run]:
    return [parse(command[2:]) for command in commands if command[:2] == ["docker", "run"]]


def of_isomor(commands: list[list[str]]) -> list[Run]:
    """Those that start the service, or a command of it."""
    return [run for run in runs_of(commands) if run.image.startswith("isomor") and "--entrypoint" not in run.options]


def of_the_image() -> dict[str, str]:
    """The variables of isomor that the image sets."""
    text = (REPOSITORY / "Dockerfile").read_text()
    return dict(re.findall(r"\b(ISOMOR_\w+)=(\S+)", text[text.rindex("\nFROM ") :]))


def container(run: Run, folder: Path, root: Path) -> dict[str, str]:
    """Lay out /app as the container has it; the variables there."""
    shutil.rmtree(root, ignore_errors=True)
    shutil.copytree(REPOSITORY / "config", root / "config")
    if run.image == "isomor-shop":
        shutil.copytree(folder / "shop" / "api", root / "api")
        shutil.copy(folder / "shop" / "isomor.yaml", root / "config")
    environ = of_the_image() | run.environ
    for inside, outside in run.mounts.items():
        if not outside.startswith("./"):
            continue  # a volume
        source = folder / outside
        assert source.exists(), f"{outside}: nothing made it"
        if inside.startswith("/app/"):
            target = root / inside.removeprefix("/app/")
            target.parent.mkdir(exist_ok=True)
            shutil.copytree(source, target) if source.is_dir() else shutil.copy(source, target)
        else:
            assert inside in environ.values(), f"{inside}: for what is it mounted?"
            environ = {name: str(source) if text == inside else text for name, text in environ.items()}
    return environ


def configuration(run: Run, folder: Path, root: Path) -> Loaded:
    loaded = load_config(environ=container(run, folder, root), cwd=root)
    assert not loaded.warnings
    return loaded


@pytest.mark.parametrize("block", BLOCKS, ids=str)
def test_a_block(block, run, tmp_path):
    folder, commands = run(block)
    assert commands
    made = {"redis:7", "isomor", *(command[3] for command in commands if command[1:3] == ["build", "-t"])}
    networks = {command[3] for command in commands if command[1:3] == ["network", "create"]}
    for each in runs_of(commands):
        assert each.image in made
        assert set(each.options.get("--network", [])) <= networks
    for each in of_isomor(commands):
        loaded = configuration(each, folder, tmp_path / "app")
        url = loaded.config.redis.url
        if url is not None:
            assert "isomor-redis" in [other.options.get("--name", [""])[0] for other in runs_of(commands)]
        for text in each.options.get("-p", []):
            assert text.split(":")[1] == str(loaded.config.server.port)


@pytest.mark.parametrize("block", BLOCKS, ids=str)
def test_names_and_ports_are_uniform(block, run):
    """So that whoever runs the blocks can put others in their place."""
    _, commands = run(block)
    for each in runs_of(commands):
        name = each.options.get("--name", [None])[0]
        assert name in (None, "isomor", "isomor-2", "isomor-redis")
        assert (name is None) == ("--rm" in each.options)
        published = {"isomor": ["3005:3005"], "isomor-2": ["3006:3005"]}.get(name or "", [])
        assert each.options.get("-p", []) == published
        assert each.options.get("--network", []) in ([], ["isomor-net"])


@pytest.mark.parametrize("block", [block for block in BLOCKS if block.by_yaml], ids=str)
def test_yaml_does_the_same_as_the_environment(block, run, tmp_path):
    before = BLOCKS[BLOCKS.index(block) - 1]
    assert before.section == block.section
    results: list[list[tuple[Config, set[str]]]] = []
    for each in (before, block):
        folder, commands = run(each)
        loaded = [configuration(run, folder, tmp_path / "app") for run in of_isomor(commands)]
        results.append([(entry.config, set(entry.sources.values())) for entry in loaded])
    by_environment, by_yaml = results
    assert len(by_environment) == len(by_yaml) > 0
    for (one, _), (other, sources) in zip(by_environment, by_yaml, strict=True):
        assert other == one
        assert any("isomor.yaml" in source for source in sources) or "null" in block.text  # which is no setting
    names = {name for run in of_isomor(commands) for name in run.environ}
    assert names <= {"ISOMOR_LOGGING_FORMAT"}  # it has to be emptied there


@pytest.mark.parametrize("block", [b for b in BLOCKS if "/app/api:ro" in b.text or "functions.py" in b.text], ids=str)
def test_the_functions_of_a_block(block, run, tmp_path):
    folder, commands = run(block)
    (each,) = of_isomor(commands)
    environ = container(each, folder, tmp_path / "app")
    for file in (tmp_path / "app" / "api").glob("*.py"):  # humanize is not there
        file.write_text(file.read_text().replace("import humanize", "humanize = None"))
    checked = isomor("check", cwd=tmp_path / "app", env=environ)
    assert checked.returncode == 0, checked.stderr


def test_a_refusal_that_the_page_tells_of(tmp_path):
    refused = isomor("check", cwd=tmp_path, env={"ISOMOR_WORKERS": "4"})
    assert refused.returncode == 1
    assert "redis.url" in refused.stderr


def test_an_empty_variable_lets_the_file_decide(tmp_path):
    (tmp_path / "config").mkdir()
    (tmp_path / "config" / "isomor.yaml").write_text("logging:\n  format: text\n")
    assert of_the_image()["ISOMOR_LOGGING_FORMAT"] == "json"
    assert load_config(environ=of_the_image(), cwd=tmp_path).config.logging.format == "json"
    assert load_config(environ={"ISOMOR_LOGGING_FORMAT": ""}, cwd=tmp_path).config.logging.format == "text"


def test_the_hardening_is_the_same_in_both_forms(run):
    by_flags, by_compose = (block for block in BLOCKS if block.section == "Hardening")
    _, commands = run(by_flags)
    (each,) = of_isomor(commands)
    folder, _ = run(by_compose)
    service = yaml.safe_load((folder / "hardened" / "compose.yaml").read_text())["services"]["service"]
    assert service["image"] == each.image
    assert service["ports"] == each.options["-p"]
    assert service["read_only"] == ("--read-only" in each.options)
    assert service["tmpfs"] == each.options["--tmpfs"]
    assert service["cap_drop"] == each.options["--cap-drop"]
    assert service["security_opt"] == [f"{name}:true" for name in each.options["--security-opt"]]
    assert [str(service["pids_limit"])] == each.options["--pids-limit"]
    assert [service["mem_limit"]] == each.options["--memory"]
    assert [service["restart"]] == each.options["--restart"]
    assert [service["stop_grace_period"]] == [f"{seconds}s" for seconds in each.options["--stop-timeout"]]


def test_containers_get_the_time_that_they_need_to_stop(run, tmp_path):
    stops = 0
    for block in BLOCKS:
        folder, commands = run(block)
        for each in of_isomor(commands):
            if "--stop-timeout" in each.options:
                drain = configuration(each, folder, tmp_path / "app").config.server.drain_seconds
                assert int(each.options["--stop-timeout"][0]) >= drain + 2
                stops += 1
    assert stops >= 3


def test_the_image_of_ones_own(run):
    (block,) = (block for block in BLOCKS if "Dockerfile" in block.text)
    folder, _ = run(block)
    lines = (folder / "shop" / "Dockerfile").read_text().splitlines()
    assert lines[0] == "FROM isomor"
    users = [line.split()[1] for line in lines if line.startswith("USER ")]
    assert users[-1] == "10001:10001"
    for line in lines:
        if line.startswith("COPY "):
            assert (folder / "shop" / line.split()[1]).exists()


def test_every_section_is_reached_from_the_top():
    sections = re.findall(r"^## (.*)$", TEXT, re.MULTILINE)
    linked = re.findall(r"\]\(#([\w-]+)\)", TEXT)
    assert linked == [re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in sections]
