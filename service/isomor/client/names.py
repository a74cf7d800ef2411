"""The names that types have in TypeScript: one for what is the same, and different ones for what is not."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any, Final

from .shapes import (
    Declaration,
    Dict,
    Enumeration,
    List,
    Object,
    Ref,
    Set,
    Shape,
    Tuple,
    Union,
    inner,
)

_VARIANTS: Final = ("", "Input", "Json", "InputJson")

# TypeScript's own names that generated types use, and words that no type may have.
_TAKEN: Final = frozenset(
    [
        "Array",
        "Date",
        "Map",
        "Object",
        "Promise",
        "Record",
        "Set",
        "String",
        "Uint8Array",
        "Partial",
        "Readonly",
        "any",
        "as",
        "async",
        "await",
        "bigint",
        "boolean",
        "never",
        "null",
        "number",
        "object",
        "string",
        "symbol",
        "undefined",
        "unknown",
        "void",
    ]
)
RESERVED: Final = frozenset(
    [
        "arguments",
        "await",
        "break",
        "case",
        "catch",
        "class",
        "const",
        "continue",
        "debugger",
        "default",
        "delete",
        "do",
        "else",
        "enum",
        "eval",
        "export",
        "extends",
        "false",
        "finally",
        "for",
        "function",
        "if",
        "implements",
        "import",
        "in",
        "instanceof",
        "interface",
        "let",
        "new",
        "null",
        "package",
        "private",
        "protected",
        "public",
        "return",
        "static",
        "super",
        "switch",
        "this",
        "throw",
        "true",
        "try",
        "typeof",
        "undefined",
        "var",
        "void",
        "while",
        "with",
        "yield",
    ]
)


class Names:
    """The name of every declaration.

    Args:
        declarations: all that were read.
        taken: names that none may have.
    """

    def __init__(self, declarations: Iterable[Declaration], taken: Iterable[str] = ()) -> None:
        self._canonical: dict[Declaration, Declaration] = {}
        self._names: dict[Declaration, str] = {}
        self._taken = {*_TAKEN, *RESERVED, *taken}
        groups: dict[Any, list[Declaration]] = {}
        for declaration in sorted(declarations, key=lambda found: (_VARIANTS.index(found.variant), found.order)):
            same = groups.setdefault(declaration.cls, [])
            first = next((one for one in same if _same(Ref(declaration), Ref(one), set())), declaration)
            self._canonical[declaration] = first
            if first is declaration:
                same.append(declaration)
        ordered = sorted(groups.values(), key=lambda group: (group[0].label, group[0].order))
        bases = [self._unique(re.sub(r"\W|^(?=\d)", "_", group[0].label)) for group in ordered]
        for base, group in zip(bases, ordered, strict=True):
            # The first is what the class looks like as a result, where there is one: it has the name itself.
            for index, declaration in enumerate(group):
                self._names[declaration] = self._unique(base + declaration.variant) if index else base

    def _unique(self, name: str) -> str:
        number = 2
        found = name
        while found in self._taken:
            found = f"{name}{number}"
            number += 1
        self._taken.add(found)
        return found

    def canonical(self, declaration: Declaration) -> Declaration:
        """The first of those that look the same."""
        return self._canonical[declaration]

    def of(self, declaration: Declaration) -> str:
        """The name in TypeScript."""
        return self._names[self._canonical[declaration]]


def _same(one: Shape, other: Shape, assumed: set[tuple[Declaration, Declaration]]) -> bool:
    """Whether both look the same, names of classes included; types may contain themselves."""
    if isinstance(one, Ref) and isinstance(other, Ref):
        pair = (one.to, other.to)
        if one.to is other.to or pair in assumed:
            return True
        assumed.add(pair)
        return one.to.cls == other.to.cls and one.to.doc == other.to.doc and _same(one.to.body, other.to.body, assumed)
    if _frame(one) != _frame(other):
        return False
    return all(_same(a, b, assumed) for a, b in zip(inner(one), inner(other), strict=True))


def _frame(shape: Shape) -> tuple[Any, ...]:
    """What it is, apart from what it is made of."""
    match shape:
        case Object(fields, extra):
            return Object, extra is None, tuple((field.name, field.optional, field.doc) for field in fields)
        case Tuple(items, rest):
            return Tuple, rest is None, tuple((item.label, item.optional) for item in items)
        case List() | Set() | Dict() | Ref():
            return (type(shape),)
        case Union():
            return Union, len(shape.parts)
        case Enumeration(members):
            return Enumeration, members
    return (shape,)
