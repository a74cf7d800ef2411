"""Docstrings to JSDoc: what is told of parameters and results moves to where editors look for it."""

from __future__ import annotations

import re
from typing import Final

_PARAMS: Final = re.compile(r"^(?:Args|Arguments|Parameters):\s*$")
_RETURNS: Final = re.compile(r"^Returns?:\s*(.*)$")
_SECTION: Final = re.compile(r"^\S.*:\s*$|^\S")
_SPHINX: Final = re.compile(r"^:(param|parameter|arg|returns?)(?:\s+[^:]*?)??(?:\s+(\w+))?:\s*(.*)$")


def comment(lines: list[str], indent: str) -> list[str]:
    """A JSDoc comment of these lines; nothing where there are none."""
    safe = [line.rstrip().replace("*/", "*\\/") for line in lines]
    while safe and not safe[-1]:
        safe.pop()
    if not safe:
        return []
    if len(safe) == 1:
        return [f"{indent}/** {safe[0]} */"]
    return [f"{indent}/**", *(f"{indent} * {line}".rstrip() for line in safe), f"{indent} */"]


def of_function(doc: str, notes: dict[str, str], returned: str) -> list[str]:
    """The lines of a function's comment.

    Args:
        doc: its docstring, plain or with sections as Google's or Sphinx's style has them.
        notes: its parameters by the name they have in TypeScript, in order, with what is to be told of each.
        returned: what is to be told of its result.
    """
    body, params, returns = split(doc)
    lines = [f"\\{line}" if line.startswith("@") else line for line in body]
    tags = []
    for name, note in notes.items():
        said = _sentences(params.get(name.removesuffix("_")) or params.get(name, ""), note)
        tags += [f"@param {name} {said}".rstrip()] if said else []
    said = _sentences(returns, returned)
    tags += [f"@returns {said}"] if said else []
    return [*lines, *([""] if lines and tags else []), *tags]


def _sentences(one: str, other: str) -> str:
    return f"{one.removesuffix('.')}. {other}" if one and other else one or other


def split(doc: str) -> tuple[list[str], dict[str, str], str]:
    """A docstring without what it tells of parameters and the result, and both of these."""
    body: list[str] = []
    params: dict[str, list[str]] = {}
    returns: list[str] = []
    target: list[str] | None = None  # what a line that is indented goes on with
    section = ""
    for line in doc.splitlines():
        sphinx = _SPHINX.match(line)
        if sphinx:
            section = "sphinx"
            target = params.setdefault(sphinx[2], []) if sphinx[2] and sphinx[1][0] in "pa" else returns
            target.append(sphinx[3])
        elif _PARAMS.match(line):
            section, target = "params", None
        elif (match := _RETURNS.match(line)) is not None:
            section, target = "returns", returns
            target.append(match[1])
        elif section and _SECTION.match(line):
            section, target = "", None
            body.append(line)
        elif section == "params" and (match := re.match(r"^(?: {2,4}|\t)\*?(\w+)(?:\s*\([^)]*\))?:\s*(.*)$", line)):
            target = params.setdefault(match[1], [])
            target.append(match[2])
        elif section and target is not None:
            target.append(line.strip())
        elif not section:
            body.append(line)
    while body and not body[-1].strip():
        body.pop()
    joined = {name: " ".join(filter(None, words)) for name, words in params.items()}
    return body, joined, " ".join(filter(None, returns))
