"""From a folder of Python files to a registry of functions, all faults found at once."""

from __future__ import annotations

import contextlib
import importlib
import importlib.machinery
import importlib.util
import inspect
import keyword
import os
import re
import sys
import sysconfig
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any, Final

from .errors import ApiError, LoadError
from .functions import Function
from .hints import supply_type_checking_names
from .signature import Transport

STARTUP: Final = "startup"


@dataclass(frozen=True, slots=True)
class Hooks:
    """What the startup module defines, each None where it does not."""

    startup: Callable[..., Any] | None = None
    before_call: Callable[..., Any] | None = None
    on_connect: Callable[..., Any] | None = None


@dataclass(frozen=True, slots=True)
class Registry:
    """The functions of one api folder, by the exact path that they are called at.

    Attributes:
        functions: by path, such as `/isomor/api/get_uptime`, in the order of their names.
        hooks: of the startup module.
        notes: what is not wrong, but worth a look, one line each.
        modules: what was imported for it, by full name.
        startup_modules: those that startup has imported, and so prepared; empty where there is no startup.
    """

    functions: Mapping[str, Function]
    hooks: Hooks = Hooks()
    notes: tuple[str, ...] = ()
    modules: Mapping[str, ModuleType] = field(default_factory=dict)
    startup_modules: frozenset[str] = frozenset()

    def find(self, path: str, transport: Transport) -> Function:
        """The function that is called at `path`.

        Raises:
            ApiError: NOT_FOUND; UPGRADE_REQUIRED or HTTP_REQUIRED where it needs the other transport.
        """
        function = self.functions.get(path)
        if function is None:
            raise ApiError.of("NOT_FOUND", "There is no such function.")
        if function.requires is not None and function.requires != transport:
            if function.requires == "ws":
                raise ApiError.of("UPGRADE_REQUIRED", f"{function.name} needs a WebSocket: call it over one.")
            raise ApiError.of("HTTP_REQUIRED", f"{function.name} needs an HTTP request: call it over HTTP.")
        return function


def load(
    folder: Path,
    *,
    module_name: str,
    ws_pattern: re.Pattern[str] | None,
    namespace: Mapping[str, Any],
    keep: Registry | None = None,
) -> Registry:
    """Import the folder as the package `module_name`, anew, and read every function in it.

    What was imported under that name before stays as it was if this fails.

    Args:
        folder: the api folder.
        module_name: its name as a package; functions are called at `/isomor/<module_name>/<name>`.
        ws_pattern: what the names of functions called over WebSocket match as a whole.
        namespace: isomor's own names, for hints.
        keep: what was loaded before: the modules that its startup has prepared, such as one that holds a database
            pool, stay as they are.

    Raises:
        LoadError: with every fault of every file.
    """
    if not folder.is_dir():
        fix = "make it (`isomor init` does, with a first function), or name another by api.folder / ISOMOR_SRC_FOLDER"
        raise LoadError([f"the api folder {folder} does not exist; {fix}"])
    if not os.access(folder, os.R_OK | os.X_OK):
        fix = f"let it, such as by `chmod -R a+rX` on it, or run as another user than {os.getuid()}"
        raise LoadError([f"this user may not read the api folder {folder}; {fix}"])
    before = _take_modules(module_name)
    alien = before.get(module_name)
    if (alien is not None and not _is_ours(alien)) or (alien is None and _is_installed(module_name, folder)):
        sys.modules.update(before)
        raise LoadError([f"api.module_name={module_name!r} is the name of another package here; take one such as api"])
    try:
        if before:
            _forget_bytecode(folder)
        if keep is not None:
            sys.modules.update({name: before[name] for name in keep.startup_modules if name in before})
        registry = _Loader(folder, module_name, ws_pattern, dict(namespace)).load()
    except BaseException:
        _take_modules(module_name)
        sys.modules.update(before)
        raise
    return registry


def _take_modules(package: str) -> dict[str, ModuleType]:
    names = [name for name in sys.modules if name == package or name.startswith(f"{package}.")]
    return {name: sys.modules.pop(name) for name in names}


_MARK: Final = "__isomor_api__"


def _is_ours(module: ModuleType) -> bool:
    return hasattr(module, _MARK)


def _is_installed(name: str, folder: Path) -> bool:
    """Whether a package of Python's own, or an installed one, would be hidden under this name."""
    try:
        spec = importlib.util.find_spec(name)
    except (ImportError, ValueError):
        return False
    if spec is None or spec.origin is None or _inside(spec.origin, folder):
        return False
    places = [Path(sysconfig.get_path(name)) for name in ("stdlib", "platstdlib", "purelib", "platlib")]
    return spec.origin in ("built-in", "frozen") or any(_inside(spec.origin, place) for place in places)


def _forget_bytecode(folder: Path) -> None:
    """Python tells bytecode from its source by the second and the size, which an edit may leave as they are."""
    for source in folder.rglob("*.py"):
        with contextlib.suppress(OSError, NotImplementedError):
            Path(importlib.util.cache_from_source(str(source))).unlink()


class _Loader:
    def __init__(
        self, folder: Path, package: str, ws_pattern: re.Pattern[str] | None, namespace: dict[str, Any]
    ) -> None:
        self.folder = folder.resolve()
        self.package = package
        self.ws_pattern = ws_pattern
        self.namespace = namespace
        self.faults: list[str] = []
        self.notes: list[str] = []

    def load(self) -> Registry:
        functions: dict[str, Function] = {}
        hooks = Hooks()
        importlib.invalidate_caches()
        startup_modules: frozenset[str] = frozenset()
        if self._import_package():
            hooks = self._load_hooks()  # first, so that what it imports can be told from what functions import
            later, self.faults = self.faults, []
            if hooks != Hooks():
                startup_modules = frozenset(self._modules())
            names = sorted(path.stem for path in self.folder.glob("*.py") if not path.stem.startswith("_"))
            found = {name: self._import(name) for name in names if name != STARTUP}
            for module in self._modules().values():
                supply_type_checking_names(module)
            for name, imported in found.items():
                function = self._read(name, imported) if imported is not None else None
                if function is not None:
                    functions[function.path] = function
            self.faults.sort(key=lambda fault: fault.partition(":")[0])
            self.faults += later
        if not functions and not self.faults:
            fix = "add one, such as hello.py with `def hello() -> str`"
            self.notes.append(f"{self.folder} holds no function yet; {fix}. Where one was mounted, is its path right?")
        if self.faults:
            raise LoadError(self.faults)
        self._note_partial_matches(functions)
        return Registry(functions, hooks, tuple(self.notes), self._modules(), startup_modules)

    def _modules(self) -> dict[str, ModuleType]:
        return {name: module for name, module in sys.modules.items() if name.split(".")[0] == self.package}

    def _note_partial_matches(self, functions: dict[str, Function]) -> None:
        # isomor 3 looks for the pattern anywhere in a name.
        pattern = self.ws_pattern
        names = [function.name for function in functions.values()]
        if pattern is not None and not any(map(pattern.fullmatch, names)) and any(map(pattern.search, names)):
            like = next(name for name in names if pattern.search(name))
            self.notes.append(
                f"ws.pattern {pattern.pattern!r} matches only a part of {like}: it has to match whole names"
            )

    def _import_package(self) -> bool:
        """Register the folder as a package, with or without `__init__.py`, and without touching `sys.path`."""
        if self.package in sys.modules:
            return True  # kept
        init = self.folder / "__init__.py"
        locations = [str(self.folder)]
        spec: importlib.machinery.ModuleSpec | None
        if init.exists():
            spec = importlib.util.spec_from_file_location(self.package, init, submodule_search_locations=locations)
        else:
            # Python's own loader for packages without __init__.py, so that importlib.resources works with it too.
            loader = importlib.machinery.NamespaceLoader(self.package, locations, lambda *_: None)
            spec = importlib.machinery.ModuleSpec(self.package, loader, is_package=True)
            spec.submodule_search_locations = locations
        assert spec is not None
        module = importlib.util.module_from_spec(spec)
        setattr(module, _MARK, True)
        sys.modules[self.package] = module
        assert spec.loader is not None
        try:
            spec.loader.exec_module(module)
        except BaseException as error:
            self._import_failed("__init__.py", error)
            return False
        return True

    def _import_failed(self, file: str, error: BaseException) -> None:
        if isinstance(error, KeyboardInterrupt):
            raise error
        self.faults.append(f"{file}: it cannot be imported: {where(error, self.folder)}")

    def _import(self, name: str) -> ModuleType | None:
        file = f"{name}.py"
        if not name.isidentifier() or keyword.iskeyword(name):
            self.faults.append(
                f"{file}: no function can have this name; rename it, or begin it with _ to keep it private"
            )
            return None
        try:
            return importlib.import_module(f"{self.package}.{name}")
        except BaseException as error:
            self._import_failed(file, error)
            return None

    def _read(self, name: str, module: ModuleType) -> Function | None:
        file = f"{name}.py"
        target = getattr(module, name, None)
        if target is None:
            near = [other for other, value in vars(module).items() if _is_own_function(value, module)]
            hint = f"rename {near[0]}" if len(near) == 1 else "define one"
            self.faults.append(f"{file}: it has no function {name}; {hint}, or begin the file's name with _")
            return None
        if not callable(target) or inspect.isclass(target):
            what = "a class" if inspect.isclass(target) else type(target).__name__
            self.faults.append(f"{file}: {name} is {what}, not a function; write `def {name}(…)`")
            return None
        matches = self.ws_pattern is not None and self.ws_pattern.fullmatch(name) is not None
        path = f"/isomor/{self.package}/{name}"
        try:
            function = Function(target, name=name, path=path, matches_ws=matches, namespace=self.namespace)
        except LoadError as error:
            self.faults += [f"{file}: {name}: {fault}" for fault in error.faults]
            return None
        if self.ws_pattern is not None and function.requires and (function.requires == "ws") != matches:
            how = "matches" if matches else "does not match"
            other = "HttpContext" if function.requires == "http" else "WsContext"
            way = "HTTP" if function.requires == "http" else "WebSocket"
            self.notes.append(
                f"{name} {how} ws.pattern {self.ws_pattern.pattern!r}, but takes {other}: it goes over {way}"
            )
        return function

    def _load_hooks(self) -> Hooks:
        file = next((name for name in ("startup/__init__.py", "startup.py") if (self.folder / name).exists()), None)
        if file is None:
            return Hooks()
        if (self.folder / "startup.py").exists() and (self.folder / "startup").is_dir():
            self.faults.append("startup.py and startup/ are both there; keep one")
            return Hooks()
        try:
            module = importlib.import_module(f"{self.package}.{STARTUP}")
        except BaseException as error:
            self._import_failed(file, error)
            return Hooks()
        found: dict[str, Any] = {}
        for name, takes in (("startup", "app"), ("before_call", "ctx"), ("on_connect", "ctx")):
            hook = getattr(module, name, None)
            if hook is None or isinstance(hook, ModuleType):
                continue
            if not callable(hook):
                self.faults.append(f"{file}: {name} is not a function; write `def {name}({takes})`")
                continue
            try:
                inspect.signature(hook).bind(None)
            except TypeError:
                self.faults.append(f"{file}: {name} must take one argument; write `def {name}({takes})`")
                continue
            found[name] = hook
        return Hooks(**found)


def _is_own_function(value: Any, module: ModuleType) -> bool:
    return inspect.isfunction(value) and value.__module__ == module.__name__ and not value.__name__.startswith("_")


def where(error: BaseException, folder: Path) -> str:
    """`error` in one line, with the file and the line of the user's own code that it comes from."""
    said = f"{type(error).__name__}: {error}"
    if isinstance(error, SyntaxError):
        return f"line {error.lineno}: SyntaxError: {error.msg}"
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if _inside(frame.filename, folder)]
    if not frames:
        return said
    last = frames[-1]
    return f"{Path(last.filename).resolve().relative_to(folder.resolve())}, line {last.lineno}: {said}"


def _inside(file: str, folder: Path) -> bool:
    try:
        return Path(file).resolve().is_relative_to(folder.resolve())
    except OSError:
        return False
