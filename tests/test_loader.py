"""From a folder to a registry: what is exposed, how modules find each other, and every fault at once."""

from __future__ import annotations

import importlib.resources
import json
import os
import re
import sys
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import msgspec
import pytest
from harness import write_files

import isomor
from isomor.errors import ApiError, LoadError
from isomor.loader import Registry, load

NAMES = {name: getattr(isomor, name) for name in isomor.__all__} | {"isomor": isomor}
WITH_AND_WITHOUT_INIT = pytest.mark.parametrize("init", [{}, {"__init__.py": ""}], ids=["bare", "with __init__"])

Load = Callable[..., Registry]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "functions"


@pytest.fixture
def api(folder: Path) -> Iterator[Load]:
    """Write files and load them; afterwards nothing of them is left in this process."""
    before = dict(sys.modules)
    path = list(sys.path)

    def load_files(
        files: dict[str, str | bytes], *, module: str = "api", ws: str | None = None, remove: tuple[str, ...] = ()
    ) -> Registry:
        folder.mkdir(exist_ok=True)
        for name in remove:
            (folder / name).unlink()
        write_files(folder, {k: textwrap.dedent(v) if isinstance(v, str) else v for k, v in files.items()})
        return load(folder, module_name=module, ws_pattern=re.compile(ws) if ws else None, namespace=NAMES)

    yield load_files
    assert sys.path == path
    for name in set(sys.modules) - set(before):
        if name.split(".")[0] in ("api", "app", "backend"):
            del sys.modules[name]
    for name in ("api", "app", "backend"):
        assert name not in sys.modules


def faults(api: Load, files: dict[str, str | bytes], **options: Any) -> list[str]:
    with pytest.raises(LoadError) as caught:
        api(files, **options)
    assert "api" not in sys.modules
    return caught.value.faults


def result(registry: Registry, name: str, *args: Any) -> Any:
    function = next(function for function in registry.functions.values() if function.name == name)
    return function._target(*function.decode(msgspec.Raw(json.dumps(args).encode())))


# ---- What is exposed ---------------------------------------------------------------------------------------------


def test_one_function_a_file(api):
    registry = api(
        {
            "b.py": "def b(): return 1\ndef helper(): ...\nclass Thing: ...\nVALUE = 1",
            "a.py": "async def a(): ...",
            "_private.py": "def _private(): ...\ndef private(): ...",
            "__main__.py": "raise SystemExit('not for serving')",
            "lib/c.py": "def c(): ...",
            "lib/__init__.py": "def lib(): ...",
            "notes.txt": "no function",
            "data.json": "{}",
            "stub.pyi": "def stub(): ...",
        }
    )
    assert list(registry.functions) == ["/isomor/api/a", "/isomor/api/b"]
    assert registry.notes == ()
    assert registry.hooks.startup is None


def test_only_the_exact_path_finds_it(api):
    registry = api({"add.py": "def add(): ..."})
    assert registry.find("/isomor/api/add", "http").name == "add"
    for path in ("/isomor/api/Add", "/isomor/api/add/", "/isomor/add", "add", "", "/isomor/api/add.py", "/isomor/api/"):
        with pytest.raises(ApiError, match="no such function"):
            registry.find(path, "http")


def test_the_wrong_transport(api):
    registry = api(
        {
            "over_ws.py": "from isomor import WsContext\ndef over_ws(ctx: WsContext): ...",
            "over_http.py": "from isomor import HttpContext\ndef over_http(ctx: HttpContext): ...",
        }
    )
    with pytest.raises(ApiError) as caught:
        registry.find("/isomor/api/over_ws", "http")
    assert (caught.value.code, caught.value.status) == ("UPGRADE_REQUIRED", 426)
    with pytest.raises(ApiError) as caught:
        registry.find("/isomor/api/over_http", "ws")
    assert (caught.value.code, caught.value.status) == ("HTTP_REQUIRED", 400)


def test_the_pattern_matches_whole_names(api):
    files = {f"{name}.py": f"def {name}(): ..." for name in ("ws", "ws_a", "a_ws")}
    files["page.py"] = "from isomor import HttpContext\ndef page(ctx: HttpContext): ..."
    files["ws_page.py"] = "from isomor import HttpContext\ndef ws_page(ctx: HttpContext): ..."
    files["live.py"] = "from isomor import WsContext\ndef live(ctx: WsContext): ..."
    registry = api(files, ws="ws.*")
    assert {function.name: function.transport for function in registry.functions.values()} == {
        "a_ws": "http",
        "live": "ws",
        "page": "http",
        "ws": "ws",
        "ws_a": "ws",
        "ws_page": "http",
    }
    assert [note.split()[0] for note in registry.notes] == ["live", "ws_page"]
    assert all("ws.*" in note for note in registry.notes)


def test_an_empty_folder(api, folder):
    for files in ({}, {"readme.md": "nothing"}, {"_lib.py": ""}):
        registry = api(files)
        assert registry.functions == {}
        (note,) = registry.notes
        assert str(folder) in note
        assert "def hello" in note


@pytest.mark.parametrize("what", ["missing", "file"])
def test_a_folder_that_is_none(tmp_path, what):
    path = tmp_path / "api"
    if what == "file":
        path.write_text("")
    with pytest.raises(LoadError) as caught:
        load(path, module_name="api", ws_pattern=None, namespace=NAMES)
    (fault,) = caught.value.faults
    assert str(path) in fault
    assert "isomor init" in fault
    assert "ISOMOR_SRC_FOLDER" in fault


# ---- Modules -----------------------------------------------------------------------------------------------------


@WITH_AND_WITHOUT_INIT
@pytest.mark.parametrize("module", ["api", "backend"])
def test_imports(api, init, module):
    files = {
        "lib/db.py": "pool = object()",
        "lib/deep/util.py": f"from ..db import pool\nfrom {module}.lib.db import pool as same\nfrom ... import _top",
        "_top.py": "value = 7",
        "relative.py": "from .lib.db import pool\nfrom . import _top\ndef relative(): return (pool, _top.value)",
        "absolute.py": f"from {module}.lib.db import pool\nimport {module}._top\n"
        f"def absolute(): return (pool, {module}._top.value)",
        "deep.py": f"import {module}.lib.deep.util as u\ndef deep(): return (u.pool, u._top.value) if u.pool is u.same "
        "else None",
        "late.py": "def late():\n    from .lib.db import pool\n    from ._top import value\n    return (pool, value)",
        "other.py": f"from {module}.relative import relative\nfrom .absolute import absolute\n"
        "def other(): return relative() if relative() == absolute() else None",
    }
    if init:
        files |= {"lib/__init__.py": "", "lib/deep/__init__.py": ""}
    registry = api(init | files, module=module)
    assert len(registry.functions) == 5
    assert all(path.startswith(f"/isomor/{module}/") for path in registry.functions)
    results = {result(registry, name) for name in ("relative", "absolute", "deep", "late", "other")}
    assert len(results) == 1, "a module was imported twice"
    del registry
    for name in [name for name in sys.modules if name.split(".")[0] == module]:
        del sys.modules[name]


@WITH_AND_WITHOUT_INIT
def test_the_package_is_like_any_other(api, folder, init):
    api(init | {"f.py": "def f(): return (__name__, __package__, __file__, __spec__.name)"})
    package = sys.modules["api"]
    assert list(package.__path__) == [str(folder.resolve())]
    assert package.f.f() == ("api.f", "api", str(folder.resolve() / "f.py"), "api.f")


def test_resources_of_the_package(api):
    api({"__init__.py": "", "f.py": "def f(): ..."})
    assert importlib.resources.files("api").joinpath("f.py").is_file()


def test_resources_of_the_package_without_init(api):
    api({"f.py": "def f(): ..."})
    assert importlib.resources.files("api").joinpath("f.py").is_file()


def test_init_runs_first_and_once(api):
    registry = api(
        {"__init__.py": "calls = []\ncalls.append(1)", "f.py": "from api import calls\ndef f(): return calls"}
    )
    assert result(registry, "f") == [1]


def test_names_of_other_modules_are_free(api):
    """The folder is no place where Python looks for modules, so `json.py` in it hides nothing."""
    registry = api(
        {
            "json.py": "import json as real\ndef json(): return real.dumps([1])",
            "random.py": "import random as real\ndef random(): return real.random() < 1",
            "redis.py": "import redis as real\ndef redis(): return real.__name__",
            "asyncio.py": "import asyncio as real\nasync def asyncio(): return real.__name__",
            "isomor.py": "import isomor as real\ndef isomor(ctx: real.Context): return ctx",
            "list.py": "def list(a: int): return a",
            "uses.py": "import json\nfrom .json import json as own\ndef uses(): return json.loads(own())",
        }
    )
    assert result(registry, "json") == "[1]"
    assert result(registry, "redis") == "redis"
    assert result(registry, "uses") == [1]
    assert result(registry, "list", 1) == 1
    assert len(registry.functions) == 7


@pytest.mark.parametrize("name", ["json", "msgspec", "isomor", "pytest", "sys", "harness"])
def test_the_name_of_another_package_is_refused(api, name):
    before = {key: module for key, module in sys.modules.items() if key.split(".")[0] == name}
    (fault,) = faults(api, {"f.py": "def f(): ..."}, module=name)
    assert name in fault
    assert "api.module_name" in fault
    assert {key: module for key, module in sys.modules.items() if key.split(".")[0] == name} == before


def test_the_name_of_a_package_that_is_not_imported_yet_is_refused(api):
    # One that nothing here, such as a plugin of pytest, has imported.
    module = next(name for name in ("this", "turtledemo", "pyclbr", "tabnanny") if name not in sys.modules)
    try:
        with pytest.raises(LoadError, match=module):
            api({"f.py": "def f(): ..."}, module=module)
    finally:
        for name in [name for name in sys.modules if name.split(".")[0] == module]:
            del sys.modules[name]


def test_a_folder_that_is_a_link(api, folder, tmp_path):
    real = tmp_path / "real"
    write_files(real, {"f.py": "from .lib import x\ndef f(): return x", "lib.py": "x = 1", "_a.py": ""})
    (real / "lib.py").rename(real / "_lib.py")
    (real / "f.py").write_text("from ._lib import x\ndef f(): return x")
    folder.symlink_to(real)
    registry = load(folder, module_name="api", ws_pattern=None, namespace=NAMES)
    assert result(registry, "f") == 1


# ---- Hints that are names ----------------------------------------------------------------------------------------

HINTS = {
    "type_checking": """
        from __future__ import annotations
        from typing import TYPE_CHECKING
        if TYPE_CHECKING:
            from isomor import WsContext
            from uuid import UUID
        def f(ctx: WsContext, a: UUID | None) -> UUID | None: return a
        """,
    "typing.TYPE_CHECKING": """
        from __future__ import annotations
        import typing
        if typing.TYPE_CHECKING:
            import uuid
            import isomor
        def f(ctx: isomor.WsContext, a: uuid.UUID | None) -> uuid.UUID | None: return a
        """,
    "no import at all": """
        from uuid import UUID
        def f(ctx: "WsContext", a: "UUID | None") -> "UUID | None": return a
        """,
    "alias of the package": """
        from __future__ import annotations
        import isomor as i, uuid as u
        def f(ctx: i.WsContext, a: u.UUID | None) -> u.UUID | None: return a
        """,
    "alias of the class": """
        from __future__ import annotations
        from isomor import WsContext as Ws
        from uuid import UUID as Id
        Maybe = Id | None
        def f(ctx: Ws, a: Maybe) -> Maybe: return a
        """,
    "alias under TYPE_CHECKING": """
        from __future__ import annotations
        from typing import TYPE_CHECKING, Optional
        if TYPE_CHECKING:
            import isomor as i
            from uuid import UUID
            Ws = i.WsContext
            Maybe = Optional[UUID]
        def f(ctx: Ws, a: Maybe) -> Maybe: return a
        """,
    "Annotated": """
        from __future__ import annotations
        from typing import Annotated, TYPE_CHECKING
        from uuid import UUID
        if TYPE_CHECKING:
            from isomor import WsContext
        def f(ctx: Annotated[WsContext, "note"], a: Annotated[UUID | None, "note"]) -> None: return a
        """,
    "a sibling under TYPE_CHECKING": """
        from __future__ import annotations
        from typing import TYPE_CHECKING
        if TYPE_CHECKING:
            from isomor import WsContext
            from ._types import Maybe
        def f(ctx: WsContext, a: Maybe) -> Maybe: return a
        """,
    "decorated elsewhere": """
        from __future__ import annotations
        from typing import TYPE_CHECKING
        from ._deco import traced
        if TYPE_CHECKING:
            from isomor import WsContext
            from uuid import UUID
        @traced
        def f(ctx: WsContext, a: UUID | None) -> UUID | None: return a
        """,
    "one import of several fails": """
        from __future__ import annotations
        from typing import TYPE_CHECKING
        if TYPE_CHECKING:
            import a_package_for_types_only
            from isomor import WsContext
            from uuid import UUID
        def f(ctx: WsContext, a: UUID | None) -> UUID | None: return a
        """,
}


@pytest.mark.parametrize("name", HINTS)
def test_hints_that_are_names(api, name):
    registry = api(
        {
            "f.py": HINTS[name],
            "_types.py": "from uuid import UUID\nMaybe = UUID | None",
            "_deco.py": """
                import functools
                def traced(function):
                    @functools.wraps(function)
                    def wrapper(*args, **options):
                        return function(*args, **options)
                    return wrapper
                """,
        }
    )
    (function,) = registry.functions.values()
    assert function.requires == "ws"
    (param,) = function.params
    assert param.name == "a"
    assert function.decode(msgspec.Raw(b"[null]")) == [None]
    with pytest.raises(ApiError, match="valid UUID"):
        function.decode(msgspec.Raw(b'["x"]'))


def test_type_checking_in_a_file_that_is_not_utf8(api):
    source = textwrap.dedent(HINTS["type_checking"]) + "# caf\xe9\n"
    registry = api({"f.py": b"# -*- coding: latin-1 -*-\n" + source.encode("latin-1")})
    assert registry.functions["/isomor/api/f"].requires == "ws"


def test_fields_whose_types_are_imported_under_type_checking(api):
    source = """
        from __future__ import annotations
        from dataclasses import dataclass
        from typing import TYPE_CHECKING
        if TYPE_CHECKING:
            from uuid import UUID
        @dataclass
        class Thing:
            id: UUID
        def f(a: Thing) -> str: return str(a.id)
        """
    assert len(api({"f.py": source}).functions) == 1


# ---- Faults ------------------------------------------------------------------------------------------------------

BROKEN: dict[str, str | bytes] = {
    "a_class.py": "class a_class: ...",
    "a_generator.py": "def a_generator():\n    yield 1",
    "a_value.py": "a_value = 3",
    "ambiguous.py": "from uuid import UUID\ndef ambiguous(good: int, bad: str | UUID): ...",
    "bad_import.py": "import no_such_package\ndef bad_import(): ...",
    "bad_result.py": "def bad_result() -> complex: ...",
    "exits.py": "import sys\nsys.exit(3)",
    "fails.py": "from ._lib import broken\nx = broken()\ndef fails(): ...",
    "keyword_only.py": "def keyword_only(a, *, b): ...",
    "many.py": "def many(a: complex, **b) -> complex: ...",
    "my-function.py": "def my_function(): ...",
    "none.py": "",
    "other_name.py": "def othername(): ...",
    "syntax.py": "def syntax(:\n    pass",
    "unknown_name.py": "def unknown_name(a: 'Nothing'): ...",
    "while.py": "x = 1",
    "zz_latin.py": "x = 'caf\xe9'".encode("latin-1"),
    "_lib.py": "def broken():\n    raise RuntimeError('no database')",
    "fine.py": "def fine(): ...",
    "startup.py": "def startup(): ...\nbefore_call = 3\ndef on_connect(ctx, more): ...",
}

EXPECTED = [
    ("a_class.py", "a_class", "is a class", "write `def a_class(…)`"),
    ("a_generator.py", "a_generator", "generator", "return a list"),
    ("a_value.py", "a_value", "is int", "write `def a_value(…)`"),
    ("ambiguous.py", "ambiguous: parameter bad", "ambiguous", "take one type"),
    ("bad_import.py", "line 1", "ModuleNotFoundError", "no_such_package"),
    ("bad_result.py", "its result", "complex", "use a dataclass"),
    ("exits.py", "line 2", "SystemExit: 3"),
    ("fails.py", "_lib.py, line 2", "RuntimeError: no database"),
    ("keyword_only.py", "parameter b", "keyword-only", "move it before the *"),
    ("many.py", "parameter a"),
    ("many.py", "parameter **b"),
    ("many.py", "its result"),
    ("my-function.py", "rename it", "_"),
    ("none.py", "no function none", "define one"),
    ("other_name.py", "no function other_name", "rename othername"),
    ("syntax.py", "line 1", "SyntaxError"),
    ("unknown_name.py", "Nothing", "NameError"),
    ("while.py", "rename it"),
    ("zz_latin.py", "SyntaxError", "utf-8"),
    ("startup.py", "startup must take one argument", "def startup(app)"),
    ("startup.py", "before_call is not a function", "def before_call(ctx)"),
    ("startup.py", "on_connect must take one argument", "def on_connect(ctx)"),
]


def test_every_fault_at_once(api):
    said = faults(api, BROKEN)
    assert len(said) == len(EXPECTED), "\n".join(said)
    for fault, (file, *parts) in zip(said, EXPECTED, strict=True):
        assert fault.startswith(f"{file}: "), fault
        for part in parts:
            assert part in fault
        assert "\n" not in fault


def test_a_fault_in_init(api):
    (fault,) = faults(api, {"__init__.py": "\n\n1 / 0", "f.py": "def f(): ..."})
    assert fault == "__init__.py: it cannot be imported: __init__.py, line 3: ZeroDivisionError: division by zero"


def test_a_file_with_a_null_byte(api):
    (fault,) = faults(api, {"f.py": b"def f(): ...\n\0"})
    assert fault.startswith("f.py: it cannot be imported: ")


def test_an_import_that_runs_in_circles(api):
    (fault,) = faults(
        api,
        {
            "_a.py": "from ._b import y\nx = 1",
            "_b.py": "from ._a import x\ny = 1",
            "f.py": "from . import _a\ndef f(): ...",
        },
    )
    assert fault.startswith("f.py: ")
    assert "circular" in fault


def test_ctrl_c_is_no_fault(api):
    with pytest.raises(KeyboardInterrupt):
        api({"f.py": "raise KeyboardInterrupt"})
    assert "api" not in sys.modules


def test_a_function_that_was_imported_is_exposed_under_its_files_name(api):
    assert result(api({"_lib.py": "def f(): return 1", "f.py": "from ._lib import f"}), "f") == 1


# ---- Startup -----------------------------------------------------------------------------------------------------

HOOKS = """
def startup(app): ...
async def before_call(ctx): ...
class Greeter:
    def __call__(self, ctx): ...
on_connect = Greeter()
"""


@pytest.mark.parametrize("file", ["startup.py", "startup/__init__.py"])
def test_hooks(api, file):
    registry = api({file: HOOKS, "f.py": "def f(): ..."})
    assert list(registry.functions) == ["/isomor/api/f"]
    hooks = registry.hooks
    assert callable(hooks.startup)
    assert callable(hooks.before_call)
    assert callable(hooks.on_connect)


def test_a_startup_that_defines_nothing(api):
    hooks = api({"startup.py": "import logging"}).hooks
    assert (hooks.startup, hooks.before_call, hooks.on_connect) == (None, None, None)


def test_startup_imports_like_any_module(api):
    files = {
        "startup/__init__.py": "from .own import x\nfrom ..lib import y\ndef startup(app): return (x, y)",
        "startup/own.py": "x = 1",
        "lib/__init__.py": "y = 2",
    }
    assert api(files).hooks.startup(None) == (1, 2)


def test_two_startups(api):
    (fault,) = faults(api, {"startup.py": HOOKS, "startup/__init__.py": HOOKS})
    assert "keep one" in fault


@pytest.mark.parametrize("source", ["1 / 0", "def startup(app:", "import no_such_package"])
def test_a_startup_that_cannot_be_imported(api, source):
    (fault,) = faults(api, {"startup.py": source, "f.py": "def f(): ..."})
    assert fault.startswith("startup.py: it cannot be imported: ")


# ---- A reload ----------------------------------------------------------------------------------------------------


def test_a_reload_imports_everything_anew(api):
    one = api({"f.py": "from . import _lib\ndef f(): return _lib.x", "_lib.py": "x = 1", "old.py": "def old(): ..."})
    two = api({"_lib.py": "x = 22", "new.py": "def new(): ..."}, remove=("old.py",))
    assert result(two, "f") == 22
    assert result(one, "f") == 1, "what runs still sees what it was loaded with"
    assert [function.name for function in two.functions.values()] == ["f", "new"]
    assert "api.old" not in sys.modules


@pytest.mark.parametrize(
    "broken",
    [
        {"f.py": "def f(:"},
        {"g.py": "def other(): ..."},
        {"_lib.py": "1 / 0"},
        {"startup.py": "def startup(): ..."},
        {"__init__.py": "1 / 0"},
    ],
    ids=str,
)
def test_a_reload_that_fails_leaves_all_as_it_was(api, broken):
    one = api(
        {"f.py": "from . import _lib\ndef f():\n    from api._lib import x\n    return (x, _lib.x)", "_lib.py": "x = 1"}
    )
    before = {name: module for name, module in sys.modules.items() if name.split(".")[0] == "api"}
    with pytest.raises(LoadError):
        api(broken)
    assert {name: module for name, module in sys.modules.items() if name.split(".")[0] == "api"} == before
    assert all(isinstance(module, ModuleType) for module in before.values())
    assert result(one, "f") == (1, 1)


def test_a_change_within_one_second_is_seen(api, folder, monkeypatch):
    """Bytecode is told from its source by the second and the size, which an edit may leave as they are."""
    monkeypatch.setattr(sys, "dont_write_bytecode", False)
    write_files(folder, {"f.py": "def f(): return 1"})
    os.utime(folder / "f.py", (1e9, 1e9))
    assert result(api({}), "f") == 1
    write_files(folder, {"f.py": "def f(): return 2"})
    os.utime(folder / "f.py", (1e9, 1e9))
    assert result(api({}), "f") == 2
