"""The defaults of dataclasses, which msgspec leaves out of what it decodes.

Where a field with a plain default is missing from the JSON, msgspec does not set it: reading the attribute finds the
class's, but the instance's `__dict__` lacks it, and so does what is encoded or copied from it. It is set here.
"""

from __future__ import annotations

import dataclasses
import typing
from collections.abc import Iterable
from typing import Any

import msgspec
import msgspec.inspect as mi

from .hints import walk

Defaults = dict[type, dict[str, Any]]


def find(trees: Iterable[mi.Type]) -> Defaults:
    """The plain defaults of every dataclass in these types, by class and field."""
    found: Defaults = {}
    for tree in trees:
        for node in walk(tree):
            cls = getattr(node, "cls", None)
            cls = typing.get_origin(cls) or cls
            if not isinstance(node, mi.DataclassType) or not dataclasses.is_dataclass(cls):
                continue
            plain = {field.name: field.default for field in dataclasses.fields(cls) if field.default is not _NONE}
            if plain and isinstance(cls, type):
                found[cls] = plain
    return found


_NONE = dataclasses.MISSING


def fill(value: Any, defaults: Defaults) -> None:
    """Set what is missing, in every dataclass within `value`."""
    todo = [value]
    while todo:
        item = todo.pop()
        kind = type(item)
        if kind in _SCALARS:
            continue
        if kind in defaults:
            held = getattr(item, "__dict__", None)  # with slots, msgspec sets them itself
            if held is not None:
                for name, default in defaults[kind].items():
                    held.setdefault(name, default)
            todo.extend(getattr(item, field.name) for field in dataclasses.fields(item))
        elif isinstance(item, dict):
            todo.extend(item.values())
        elif isinstance(item, list | tuple | set | frozenset):
            todo.extend(item)
        elif isinstance(item, msgspec.Struct):
            todo.extend(getattr(item, name) for name in item.__struct_fields__)
        elif dataclasses.is_dataclass(item):
            todo.extend(getattr(item, field.name) for field in dataclasses.fields(item))


_SCALARS = frozenset({str, int, float, bool, type(None), bytes})
