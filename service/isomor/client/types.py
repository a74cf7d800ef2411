"""Shapes to TypeScript: types in a line, and the declarations of what has a name."""

from __future__ import annotations

import json
import re
from typing import Any, Final

from . import jsdoc
from .names import RESERVED, Names
from .shapes import (
    Declaration,
    Dict,
    Enumeration,
    Item,
    List,
    Literals,
    Object,
    Plain,
    Ref,
    Set,
    Shape,
    Tuple,
    Union,
    Value,
    inner,
)

VALUES: Final = {
    "datetime": "Date",
    "naive": "Date",
    "bytes": "Uint8Array",
    "base64url": "Uint8Array",
    "utf8": "Uint8Array",
}
_NAIVE: Final = "Without a time zone: the UTC fields of the Date are what it says."


def text(shape: Shape, names: Names) -> str:
    """The type, to stand where any type can."""
    match shape:
        case Plain(name):
            return name
        case Literals(values):
            return " | ".join(literal(value) for value in values)
        case Value(codec):
            return VALUES[codec]
        case List(item):
            return f"{_tight(item, names)}[]"
        case Set(item):
            return f"Set<{text(item, names)}>"
        case Dict(key, value):
            return _dict(key, text(value, names), names)
        case Tuple(items, rest):
            more = [f"...{_label(Item('rest', rest), items)}{text(List(rest), names)}"] if rest is not None else []
            return f"[{', '.join([_place(item, items, names) for item in items] + more)}]"
        case Object():
            return _object(shape, names)
        case Union():
            return " | ".join(dict.fromkeys(text(part, names) for part in _null_last(shape.parts)))
        case Ref(to):
            return names.of(to)
    return "any"


def _tight(shape: Shape, names: Names) -> str:
    said = text(shape, names)
    several = isinstance(shape, Union) or (isinstance(shape, Literals) and len(shape.values) > 1)
    return f"({said})" if several else said


def _null_last(parts: list[Shape]) -> list[Shape]:
    return sorted(parts, key=lambda part: part == Plain("null"))


def _dict(key: Shape, value: str, names: Names) -> str:
    few = key.to.body if isinstance(key, Ref) else key
    if isinstance(few, Enumeration):
        few = few.values
    if isinstance(few, Literals):
        return f"{{ [key in {text(key, names)}]?: {value} }}"
    return f"{{ [key: {'number' if few == Plain('number') else 'string'}]: {value} }}"


def _label(item: Item, items: tuple[Item, ...]) -> str:
    """A tuple's places have labels all of them, or none."""
    if not items or not all(other.label for other in items):
        return ""
    return f"{identifier(item.label)}{'?' if item.optional else ''}: "


def _place(item: Item, items: tuple[Item, ...], names: Names) -> str:
    label = _label(item, items)
    if label:
        return label + text(item.shape, names)
    return f"{_tight(item.shape, names)}?" if item.optional else text(item.shape, names)


def _object(shape: Object, names: Names, indent: str = "") -> str:
    lines = []
    for field in shape.fields:
        doc = "\n".join(filter(None, [field.doc, *notes(field.shape)]))
        lines += jsdoc.comment(doc.splitlines(), "    ")
        lines.append(f"    {key_of(field.name)}{'?' if field.optional else ''}: {text(field.shape, names)};")
    if shape.extra is not None:
        lines.append("    [key: string]: any;")
    return "\n".join(["{", *lines, "}"]) if lines else "{}"


def declaration(declared: Declaration, names: Names) -> str:
    """What stands in `_types.d.ts` for a class."""
    name = names.of(declared)
    body = declared.body
    doc = [*declared.doc.splitlines()]
    if declared.variant.endswith("Json"):
        doc += ["As it is in JSON: it stands in a union whose parts JSON cannot tell apart."]
    elif declared.variant == "Input":
        doc += ["As an argument: what has a default may be left out."]
    if not isinstance(body, Object):
        doc += [*notes(body)]
    lines = jsdoc.comment(doc, "")
    if isinstance(body, Enumeration):
        members = " ".join(f"readonly {key_of(key)}: {literal(value)};" for key, value in body.members)
        lines.append(f"export type {name} = {text(body.values, names)};")
        if body.members:
            lines.append(f"export declare const {name}: {{ {members} }};")
    elif isinstance(body, Object):
        lines.append(f"export interface {name} {_object(body, names)}")
    else:
        lines.append(f"export type {name} = {text(body, names)};")
    return "\n".join(lines) + "\n"


def constant(declared: Declaration, names: Names) -> str:
    """What stands in `_types.js` for an enum."""
    assert isinstance(declared.body, Enumeration)
    members = ", ".join(f"{key_of(key)}: {literal(value)}" for key, value in declared.body.members)
    return f"export const {names.of(declared)} = /* @__PURE__ */ Object.freeze({{ {members} }});\n"


def has_constant(declared: Declaration) -> bool:
    """Whether it exists at runtime too."""
    return isinstance(declared.body, Enumeration) and bool(declared.body.members)


def notes(shape: Shape) -> list[str]:
    """What is to be told of a type that is not in JavaScript what it is in Python."""
    found: dict[str, None] = {}
    todo = [shape]
    while todo:
        part = todo.pop(0)
        if isinstance(part, Plain) and part.note:
            found[part.note] = None
        elif part == Value("naive"):
            found[_NAIVE] = None
        if not isinstance(part, Object):
            todo += inner(part)
    return list(found)


def identifier(name: str) -> str:
    """A Python name as one that TypeScript takes as a parameter or the label of a tuple's place."""
    plain = re.sub(r"\W|^(?=\d)", "_", name)
    return f"{plain}_" if plain in RESERVED else plain


def key_of(name: str) -> str:
    """A property's name in an object or an interface."""
    return name if re.fullmatch(r"[A-Za-z_$][\w$]*", name, re.ASCII) and name != "__proto__" else f"[{quoted(name)}]"


def literal(value: Any) -> str:
    """A constant of JSON in JavaScript."""
    return quoted(value) if isinstance(value, str) else json.dumps(value)


def quoted(value: str) -> str:
    """A string in JavaScript."""
    said = json.dumps(value, ensure_ascii=False).replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")
    return said if "'" in value or "\\" in said else f"'{said[1:-1]}'"
