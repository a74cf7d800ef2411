"""Enums to JSON schemas: their values, and what else they take."""

from __future__ import annotations

import enum
from typing import Any, Final

from ..client.reading import own_doc
from ..client.shapes import Way

_MOST_BITS: Final = 6
_ANY_BITS: Final = {"minimum": -(2**63), "maximum": 2**64 - 1}


def enum_schema(cls: type[enum.Enum], values: list[Any], way: Way) -> dict[str, Any]:
    """The schema of an enum whose members have these values in JSON."""
    schema: dict[str, Any] = {"title": cls.__name__}
    kinds = {type(value) for value in values}
    if kinds in ({str}, {int}):
        schema["type"] = "string" if str in kinds else "integer"
    if issubclass(cls, enum.Flag):
        schema |= {"type": "integer", "examples": values, **_combinations(cls)}
    elif way == "in" and accepts_others(cls):
        schema["examples"] = values
    else:
        schema["enum"] = [value for index, value in enumerate(values) if value not in values[:index]]
    return schema | ({"description": doc} if (doc := own_doc(cls)) else {})


def accepts_others(cls: Any) -> bool:
    """Whether an enum takes values that are no member's: by `_missing_`, which flags have too."""
    own, inherited = (getattr(one._missing_, "__func__", None) for one in (cls, enum.Enum))
    return own is not inherited


def _combinations(cls: type[enum.Flag]) -> dict[str, Any]:
    """What a flag takes: where bits of no member are refused, the sums of its members, or their range for many."""
    if vars(cls).get("_boundary_") is not enum.STRICT:
        return _ANY_BITS
    bits = [member.value for member in cls]
    if len(bits) > _MOST_BITS:
        return {"minimum": 0, "maximum": sum(bits)}
    sums = {0}
    for bit in bits:
        sums |= {total | bit for total in sums}
    return {"enum": sorted(sums)}
