"""The package `api`: one module a function, with what it takes and gives, as a front end imports it."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import Any, Final

from ..config import Config
from ..functions import Function
from ..hints import is_pydantic
from ..loader import Registry
from . import jsdoc, plans, revive, types
from .names import Names
from .reading import Reader
from .runtime import MARK, runtime_files
from .shapes import Declaration, Item, List, Ref, Shape, Tuple, Way, inner, is_revived, reachable

__all__ = ["MARK", "generate", "runtime_files"]

_INT: Final = """\
// An int of Python is a number: JavaScript keeps integers exact up to 2^53 - 1 (Number.MAX_SAFE_INTEGER).
"""
TYPES: Final = "_types"  # no function's name begins with _
CODECS: Final = "_codecs"
_TIMEOUT: Final = 30  # the runtime's own is 5 s more than this default of call_timeout


@dataclass(frozen=True)
class _Param:
    name: str
    shape: Shape
    optional: bool


@dataclass(frozen=True)
class _Read:
    """A function with the shapes of its types."""

    function: Function
    name: str
    params: tuple[_Param, ...]
    rest: _Param | None
    returns: Shape

    @property
    def taken(self) -> list[Shape]:
        return [param.shape for param in (*self.params, *([self.rest] if self.rest else []))]


def generate(
    registry: Registry, config: Config, *, base_import: str = "isomor", runtime: str = "file:../isomor"
) -> dict[str, bytes]:
    """The files of the package `api` (`api.module_name`), by their path in it: the same for the same functions.

    Args:
        registry: the functions.
        config: the client's settings are read, and `call_timeout`.
        base_import: where modules import the runtime from, such as `isomor`, or the path of its `index.js` for a page
            without a bundler. Among themselves modules import by relative paths, which any server can serve.
        runtime: the dependency `isomor` in package.json.
    """
    reader = Reader()
    read = [_read(function, reader) for function in registry.functions.values()]
    for source, cls, *way in list(reader.declarations):
        if way == ["in"] and (source == "msgspec" or is_pydantic(cls)):
            reader.read(cls, "out")  # so that its name does not depend on whether it is also a result
    plans.settle(reader)
    names = Names(reader.declarations.values(), [one.name for one in read])
    module = config.api.module_name
    files: dict[str, str] = {}
    for one in read:
        files[f"{one.function.name}.d.ts"] = _types_of(one, names, module)
        files[f"{one.function.name}.js"] = _code_of(one, names, config, base_import)
    shapes = [shape for one in read for shape in (*one.taken, one.returns)]
    declarations = {names.canonical(found): None for found in reachable(shapes)}
    if declarations:
        ordered = sorted(declarations, key=names.of)
        header = f"// {MARK}\n"
        said = [types.declaration(found, names) for found in ordered]
        files[f"{TYPES}.d.ts"] = "\n".join([header + _INT, *said])
        constants = [types.constant(found, names) for found in ordered if types.has_constant(found)]
        files[f"{TYPES}.js"] = "\n".join([header, *constants]) if constants else header + "export {};\n"
    codecs = revive.module(_revived(read, names), "".join(files[f"{one.function.name}.js"] for one in read), names)
    if codecs:
        files[f"{CODECS}.js"] = f"// {MARK}\n\n{codecs}"
    return _package(files, module, runtime)


def _read(function: Function, reader: Reader) -> _Read:
    params = []
    for index, param in enumerate(function.params):
        optional = not any(later.required for later in function.params[index:])
        params.append(_Param(_identifier(param.name), reader.read(param.hint, "in"), optional))
    rest = None
    if function.rest is not None:
        rest = _Param(_identifier(function.rest.name), reader.read(function.rest.hint, "in"), optional=True)
    returns = reader.read(function.returns, "out")
    return _Read(function, _identifier(camel(function.name)), tuple(params), rest, returns)


def camel(name: str) -> str:
    """`get_uptime` as JavaScript has it: `getUptime`."""
    first, *others = [part for part in name.split("_") if part] or [name]
    return first + "".join(part[:1].upper() + part[1:] for part in others)


def _identifier(name: str) -> str:
    return f"{name}_" if name == "makeFunction" else types.identifier(name)


def _revived(read: list[_Read], names: Names) -> list[tuple[Declaration, Way]]:
    """The declarations that have a codec, by direction."""
    taken = reachable([shape for one in read for shape in one.taken])
    given = reachable([one.returns for one in read])
    ways: list[tuple[list[Declaration], Way]] = [(given, "out"), (taken, "in")]
    found: dict[str, tuple[Declaration, Way]] = {}
    for declarations, way in ways:
        for declared in declarations:
            if is_revived(Ref(declared)):
                found.setdefault(revive.name_of(declared, way, names), (declared, way))
    return [found[name] for name in sorted(found)]


def _types_of(one: _Read, names: Names, module: str) -> str:
    """The `.d.ts` of a function."""
    found = {names.canonical(declared) for declared in reachable([*one.taken, one.returns])}
    every = sorted((names.of(declared), types.has_constant(declared)) for declared in found)
    lines = [f"// {MARK}", f"// From {module}/{one.function.name}.py.", ""]
    if every:
        direct = sorted({names.of(ref.to) for shape in (*one.taken, one.returns) for ref in _refs(shape)})
        lines += [f"import type {{ {', '.join(direct)} }} from './{TYPES}.js';"]
        for keyword, constant in (("export type", False), ("export", True)):
            listed = [name for name, has in every if has is constant]
            lines += [f"{keyword} {{ {', '.join(listed)} }} from './{TYPES}.js';"] if listed else []
        lines.append("")
    params = [f"{param.name}{'?' if param.optional else ''}: {types.text(param.shape, names)}" for param in one.params]
    notes = {param.name: " ".join(types.notes(param.shape)) for param in one.params}
    if one.rest:
        params.append(f"...{one.rest.name}: {types.text(List(one.rest.shape), names)}")
        notes[one.rest.name] = " ".join(types.notes(one.rest.shape))
    lines += jsdoc.comment(jsdoc.of_function(one.function.doc, notes, " ".join(types.notes(one.returns))), "")
    lines.append(f"declare function {one.name}({', '.join(params)}): Promise<{types.text(one.returns, names)}>;")
    lines.append(f"export default {one.name};")
    return "\n".join(lines) + "\n"


def _refs(shape: Shape) -> list[Ref]:
    found: list[Ref] = []
    todo = [shape]
    while todo:
        part = todo.pop()
        if isinstance(part, Ref):
            found.append(part)
        todo += inner(part)
    return found


def _code_of(one: _Read, names: Names, config: Config, base_import: str) -> str:
    """The `.js` of a function."""
    function = one.function
    spec: dict[str, str] = {
        "transport": types.quoted(function.transport),
        "module": types.quoted(config.api.module_name),
        "name": types.quoted(function.name),
    }
    if known := getattr(function, "hash", ""):
        spec["hash"] = types.quoted(known)
    if function.cached and function.transport == "http":
        spec["cached"] = "true"
    spec["minArgs"] = str(sum(not param.optional for param in one.params))
    if one.rest is None:
        spec["maxArgs"] = str(len(one.params))
    base = config.client.ws_base_url if function.transport == "ws" else config.client.http_base_url
    if base:
        spec["baseUrl"] = types.quoted(base)
    if config.call_timeout != _TIMEOUT:
        spec["timeout"] = str(round((config.call_timeout + 5) * 1000)) if config.call_timeout else "0"
    takes = Tuple(tuple(Item("", param.shape) for param in one.params), one.rest.shape if one.rest else None)
    encode = revive.codec(takes, "in", names, "_.")
    decode = revive.codec(one.returns, "out", names, "_.")
    spec |= {"encode": encode} if encode else {}
    spec |= {"decode": decode} if decode else {}
    lines = [f"// {MARK}", f"import {{ makeFunction }} from {types.quoted(base_import)};"]
    if encode or decode:
        lines.append(f"import * as _ from './{CODECS}.js';")
    found = {names.canonical(declared) for declared in reachable([*one.taken, one.returns])}
    constants = sorted(names.of(declared) for declared in found if types.has_constant(declared))
    lines += [f"export {{ {', '.join(constants)} }} from './{TYPES}.js';"] if constants else []
    lines += ["", f"const {one.name} = /* @__PURE__ */ makeFunction({{"]
    lines += [f"    {key}: {value}," for key, value in spec.items()]
    lines += ["});", f"export default {one.name};"]
    return "\n".join(lines) + "\n"


def _package(files: dict[str, str], module: str, runtime: str) -> dict[str, bytes]:
    """These with their package.json, whose version says what is in them; a folder that npm links needs none."""
    package: dict[str, Any] = {
        "//": MARK,
        "name": module,
        "private": True,
        "type": "module",
        "sideEffects": False,
        "exports": {
            "./package.json": "./package.json",
            "./*": {"types": "./*.d.ts", "default": "./*.js"},
        },
        "dependencies": {"isomor": runtime},
    }
    if not runtime.startswith("file:"):  # npm would note it in the front end's lock, for every change of a function
        digest = hashlib.sha256(json.dumps([sorted(files.items()), package]).encode()).hexdigest()[:12]
        package["version"] = f"0.0.0-x{digest}"  # a letter first: npm takes no number that begins with 0
    files["package.json"] = json.dumps(package, indent=2, ensure_ascii=False) + "\n"
    return {name: files[name].encode() for name in sorted(files)}
