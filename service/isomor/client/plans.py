"""How the parts of a union are told apart: by JSON's kinds, objects by a tag or by keys, never by what a string holds.

Where they cannot be told apart, they stay as they are in JSON, and are typed so: the result of a function may be
`date | datetime`, which is two kinds of string.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Final

from .reading import Reader
from .shapes import (
    Declaration,
    Kind,
    Literals,
    Object,
    Ref,
    Shape,
    Tuple,
    Union,
    Value,
    Way,
    is_revived,
    kinds,
)

KINDS: Final[tuple[Kind, ...]] = ("string", "array", "object")
_DATES: Final = ("datetime", "naive")


@dataclass(frozen=True)
class Case:
    """`test` is JavaScript that says whether `v` is of this shape; empty: it is."""

    test: str
    shape: Shape


def settle(reader: Reader) -> None:
    """Make plain JSON of what cannot be told apart, in every union that was read."""
    for union, way in reader.unions:
        for kind in KINDS:
            if cases(union, kind, way) is None:
                parts = [reader.raw(part, way) if kind in kinds(part) else part for part in union.parts]
                union.parts[:] = [part for index, part in enumerate(parts) if part not in parts[:index]]


def cases(union: Union, kind: Kind, way: Way) -> list[Case] | None:
    """Which parts of this kind are to be revived, and how each is known.

    Returns:
        Nothing in it where none needs to be; None where they cannot be told apart.
    """
    leaves = [leaf for part in union.parts for leaf in _leaves(part, kind, ())]
    revived = [leaf for leaf in leaves if is_revived(leaf)]
    if not revived:
        return []
    if len(leaves) == 1:
        return [Case("", leaves[0])]
    if kind == "string":
        # JavaScript tells a Date from a Uint8Array from a string; in JSON all are strings.
        classes = [isinstance(leaf, Value) and leaf.codec in _DATES for leaf in revived]
        return [Case("", leaf) for leaf in revived] if way == "in" and len(set(classes)) == len(classes) else None
    tests = _by_tag(leaves) or (_by_keys(leaves) if kind == "object" else None)
    if tests is None:
        return None
    return [Case(test, leaf) for test, leaf in zip(tests, leaves, strict=True) if leaf in revived]


def _leaves(part: Shape, kind: Kind, seen: tuple[Declaration, ...]) -> list[Shape]:
    """The part, or what it is another name for, as far as it may be of this kind."""
    if isinstance(part, Union):
        return [leaf for inner in part.parts for leaf in _leaves(inner, kind, seen)]
    if isinstance(part, Ref) and part.to not in seen and isinstance(part.to.body, Union | Ref):
        return _leaves(part.to.body, kind, (*seen, part.to))
    return [part] if kind in kinds(part) else []


def _body(shape: Shape) -> Shape:
    return _body(shape.to.body) if isinstance(shape, Ref) else shape


def _by_tag(leaves: list[Shape]) -> list[str] | None:
    """A property, or a tuple's first place, that is always there and has other values in each of them."""
    found: list[dict[str, tuple[object, ...]]] = []
    for leaf in map(_body, leaves):
        named: list[tuple[str, Shape]] = []
        if isinstance(leaf, Object):
            named = [(_access(field.name), field.shape) for field in leaf.fields if not field.optional]
        elif isinstance(leaf, Tuple) and leaf.items:
            named = [("v[0]", leaf.items[0].shape)]
        found.append({name: shape.values for name, shape in named if isinstance(shape, Literals)})
    for name in found[0]:
        values = [tags.get(name, ()) for tags in found]
        every = [value for some in values for value in some]
        if all(values) and len(set(every)) == len(every):
            return [" || ".join(f"{name} === {json.dumps(value)}" for value in some) for some in values]
    return None


def _by_keys(leaves: list[Shape]) -> list[str] | None:
    """A key that is always there and in none of the others. One may lack it: then it is what no other is."""
    objects = [leaf for leaf in map(_body, leaves) if isinstance(leaf, Object)]
    if len(objects) < len(leaves):
        return None
    tests = []
    for leaf in objects:
        others = [other for other in objects if other is not leaf]
        if any(other.extra is not None for other in others):
            return None
        theirs = {field.name for other in others for field in other.fields}
        own = [field.name for field in leaf.fields if not field.optional and field.name not in theirs]
        tests.append(f"{json.dumps(own[0])} in v" if own else "")
    known = [test for test in tests if test]
    if len(known) < len(tests) - 1:
        return None
    return [test or " && ".join(f"!({other})" for other in known) for test in tests]


def _access(name: str) -> str:
    return f"v.{name}" if name.isidentifier() and name.isascii() else f"v[{json.dumps(name)}]"
