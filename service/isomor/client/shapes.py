"""Types as the client sees them: what stands between Python's types and the TypeScript and JavaScript made of them.

A shape is read for one direction (`Way`), since a class may look different as an argument, where what has a default may
be left out, and as a result, where everything is there.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final, Literal, cast

Way = Literal["in", "out"]
Kind = Literal["string", "number", "boolean", "null", "array", "object"]


class Shape:
    """The base of all of them."""


@dataclass(frozen=True)
class Plain(Shape):
    """A type that JSON has: any, null, boolean, number or string; `note` tells people what is in the string."""

    text: str
    note: str = ""


@dataclass(frozen=True)
class Literals(Shape):
    """One of these values."""

    values: tuple[Any, ...]


@dataclass(frozen=True)
class Value(Shape):
    """A string on the wire and an object in JavaScript, by the codec (revive.py) that makes one of the other."""

    codec: str


@dataclass(frozen=True)
class List(Shape):
    """An array."""

    item: Shape


@dataclass(frozen=True)
class Set(Shape):
    """An array on the wire, and a Set in JavaScript."""

    item: Shape


@dataclass(frozen=True)
class Dict(Shape):
    """An object of any keys."""

    key: Shape
    value: Shape


@dataclass(frozen=True)
class Item:
    """A place of a tuple."""

    label: str
    shape: Shape
    optional: bool = False


@dataclass(frozen=True)
class Tuple(Shape):
    """An array of given places, and of more of `rest`."""

    items: tuple[Item, ...]
    rest: Shape | None = None


@dataclass(frozen=True)
class Field:
    """A property of an object."""

    name: str
    shape: Shape
    optional: bool
    doc: str = ""


@dataclass(frozen=True)
class Object(Shape):
    """`extra` is what further properties may hold, None where there are none."""

    fields: tuple[Field, ...]
    extra: Shape | None = None


@dataclass(frozen=True)
class Enumeration(Shape):
    """An enum: its members by name, and what a value of it may be."""

    members: tuple[tuple[str, Any], ...]
    values: Shape


@dataclass(eq=False)
class Union(Shape):
    """`parts` may be made plain JSON later, where what comes cannot be told apart (plans.py)."""

    parts: list[Shape]


@dataclass(eq=False)
class Declaration:
    """A class, read for one direction: it has a name of its own in TypeScript.

    Attributes:
        cls: what it was read of.
        label: the name that it would like to have.
        variant: "", "Input", "Json" or "InputJson": for results, for arguments, and both as plain JSON.
        order: what declarations of the same label are sorted by.
        doc: the docstring.
        body: what it is; set when it has been read.
    """

    cls: Any
    label: str
    variant: str
    order: tuple[str, ...]
    doc: str = ""
    body: Shape = field(default_factory=lambda: Plain("any"))


@dataclass(frozen=True)
class Ref(Shape):
    """A class, by its declaration."""

    to: Declaration


# What people are told of such a string.
NOTES: Final = {
    "datetime": 'A point in time (RFC 3339), such as "2026-01-02T03:04:05Z".',
    "naive": 'A point in time without a zone, such as "2026-01-02T03:04:05".',
    "bytes": "Bytes, in base64.",
    "base64url": "Bytes, in base64 for URLs.",
    "utf8": "Bytes, as text in UTF-8.",
    "hex": "Bytes, in hexadecimal.",
    "date": 'A date, such as "2026-01-02".',
    "time": 'A time, such as "03:04:05".',
    "duration": 'A duration (ISO 8601), such as "PT90S".',
    "uuid": "A UUID.",
    "decimal": 'A decimal number as a string, such as "1.20".',
}

ANY = Plain("any")
NULL = Plain("null")
NUMBER = Plain("number")
STRING = Plain("string")
BOOLEAN = Plain("boolean")


def union_of(parts: list[Shape]) -> Shape:
    """The union of these, flat and without repeats; `any` takes all."""
    flat: list[Shape] = []
    for part in parts:
        for inner in part.parts if isinstance(part, Union) else [part]:
            if inner not in flat:
                flat.append(inner)
    if ANY in flat:
        return ANY
    return flat[0] if len(flat) == 1 else Union(flat)


def inner(shape: Shape) -> Iterator[Shape]:
    """What a shape is made of, one level down; a declaration's body is not looked into."""
    match shape:
        case List(item) | Set(item):
            yield item
        case Dict(key, value):
            yield from (key, value)
        case Tuple(items, rest):
            yield from (item.shape for item in items)
            if rest is not None:
                yield rest
        case Object(fields, extra):
            yield from (part.shape for part in fields)
            if extra is not None:
                yield extra
        case Union():
            yield from shape.parts


def reachable(shapes: list[Shape]) -> list[Declaration]:
    """Every declaration that these need, in the order met."""
    found: dict[Declaration, None] = {}
    todo = list(reversed(shapes))
    while todo:
        shape = todo.pop()
        if isinstance(shape, Ref):
            if shape.to in found:
                continue
            found[shape.to] = None
            todo.append(shape.to.body)
        todo.extend(reversed(list(inner(shape))))
    return list(found)


def is_revived(shape: Shape) -> bool:
    """Whether something in it is not in JavaScript what it is in JSON."""
    todo = [shape, *(declaration.body for declaration in reachable([shape]))]
    while todo:
        part = todo.pop()
        if isinstance(part, Value | Set):
            return True
        # Keys are strings, whatever they stand for.
        todo.extend([part.value] if isinstance(part, Dict) else inner(part))
    return False


def kinds(shape: Shape, seen: tuple[Declaration, ...] = ()) -> set[Kind]:
    """What a value of this shape may be in JSON."""
    match shape:
        case Plain("any"):
            return {"string", "number", "boolean", "null", "array", "object"}
        case Plain(text):
            return {cast("Kind", text)}
        case Literals(values):
            return {_kind_of(value) for value in values}
        case Value():
            return {"string"}
        case List() | Set() | Tuple():
            return {"array"}
        case Enumeration(_, values):
            return kinds(values, seen)
        case Union():
            return set().union(*(kinds(part, seen) for part in shape.parts))
        case Ref(to):
            return set() if to in seen else kinds(to.body, (*seen, to))
        case _:
            return {"object"}


def _kind_of(value: Any) -> Kind:
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, str):
        return "string"
    return "null" if value is None else "number"
