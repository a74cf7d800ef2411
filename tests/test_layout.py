"""The order of the house: every module imports from the lines above its own, and from no other."""

from __future__ import annotations

import ast
from graphlib import TopologicalSorter
from pathlib import Path

import pytest
from harness import REPOSITORY

PACKAGE = REPOSITORY / "service" / "isomor"

# From the ground up: modules, and folders, which are one line each. A module imports from lines above its own, and
# within its folder from whatever does not import from it in turn.
ORDER = [
    "errors",
    "hiding",
    "_schema",
    "_sources",
    "config",
    "logs",
    "notices",
    "unsendable",
    "messages",
    "outcome",
    "context",
    "hints",
    "faults",
    "defaults",
    "signature",
    "functions",
    "stacks",
    "stragglers",
    "loader",
    "metrics",
    "threads",
    "calls",
    "push",
    "client",
    "describe",
    "server",
    "client_call",
    "cli",
]

# What only names or starts the package, and may import from all of it.
OUTSIDE = {"isomor", "__main__"}


def modules() -> dict[str, Path]:
    """Every module of the package, by its dotted name below `isomor`."""
    found = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        name = ".".join(path.relative_to(PACKAGE).with_suffix("").parts).removesuffix("__init__").removesuffix(".")
        found[name or "isomor"] = path
    return found


MODULES = modules()


class _Imports(ast.NodeVisitor):
    """Every import statement, wherever it stands, but under `if TYPE_CHECKING:`, which never runs."""

    def __init__(self) -> None:
        self.found: list[ast.Import | ast.ImportFrom] = []

    def visit_If(self, node: ast.If) -> None:
        if ast.unparse(node.test) not in ("TYPE_CHECKING", "typing.TYPE_CHECKING"):
            for child in node.body:
                self.visit(child)
        for child in node.orelse:
            self.visit(child)

    def visit_Import(self, node: ast.Import) -> None:
        self.found.append(node)

    def visit_ImportFrom(self, node: ast.ImportFrom) -> None:
        self.found.append(node)


def statements(name: str) -> list[ast.Import | ast.ImportFrom]:
    """The import statements of a module."""
    visitor = _Imports()
    visitor.visit(ast.parse(MODULES[name].read_text()))
    return visitor.found


def imports(name: str) -> set[str]:
    """The modules of the package that a module imports."""
    parents = ["isomor", *name.split(".")]
    if MODULES[name].name == "__init__.py":
        parents.append("__init__")
    found = set()
    for node in statements(name):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        else:
            above = parents[: -node.level] if node.level else []
            base = ".".join([*above, *([node.module] if node.module else [])])
            for alias in node.names:
                if (base, alias.name) == ("isomor", "__version__"):
                    continue
                whole = f"{base}.{alias.name}"  # `from .push import hub` is an import of push.hub
                found.add(whole if whole.removeprefix("isomor.") in MODULES else base)
    return {module.removeprefix("isomor.") for module in found if module.split(".")[0] == "isomor"}


def line(name: str) -> str:
    """The line of `ORDER` that a module stands on."""
    return name.split(".")[0]


@pytest.mark.parametrize("name", [name for name in MODULES if name not in OUTSIDE])
def test_imports_only_from_above(name):
    assert line(name) in ORDER, (
        f"{line(name)} has no place in the order: give it one in {Path(__file__).name}, and in CONTRIBUTING.md"
    )
    if MODULES[name].name == "__init__.py":
        assert not imports(name), f"{name}/__init__.py imports nothing: it would do so for each of its modules"
        return
    above = {*ORDER[: ORDER.index(line(name))]}
    if name == "cli":
        above.add("isomor")  # it tells the version
    below = {other for other in imports(name) if line(other) not in above and line(other) != line(name)}
    assert not below, f"{name} imports from below: {sorted(below)}"


def test_no_imports_in_a_circle():
    graph = {name: imports(name) - OUTSIDE for name in MODULES if name not in OUTSIDE}
    TopologicalSorter(graph).prepare()  # raises CycleError, which names the circle


def test_the_core_does_no_io():
    """`calls` and all that it stands on know no socket, no Redis, and of Sanic only what a request is."""
    for name in ORDER[: ORDER.index("calls") + 1]:
        found = set()
        for node in statements(name):
            if isinstance(node, ast.Import):
                found |= {alias.name for alias in node.names}
            elif not node.level:
                found.add(node.module)
        forbidden = {"socket", "redis", "picows", "httptools", "sanic.app", "sanic.server"}
        assert not {module for module in found if module in forbidden or module.split(".")[0] in forbidden}, name
        if name != "context":
            assert not {module for module in found if module.split(".")[0] == "sanic"}, name
