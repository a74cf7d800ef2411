"""A value that fits a schema, to begin from: what a form is filled with before someone has typed anything."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Final

from .components import Component

Schema = dict[str, Any]

_BY_FORMAT: Final = {
    "date-time": "2026-01-02T03:04:05Z",
    "date": "2026-01-02",
    "time": "03:04:05Z",
    "uuid": "3f2b8c1e-5d4a-4e6f-9a7b-0c1d2e3f4a5b",
    "duration": "PT90S",
    "email": "ada@example.com",
    "uri": "https://example.com/",
    "ipv4": "192.0.2.1",
    "ipv6": "2001:db8::1",
}
_DEEPEST: Final = 12


def sample(schema: Any, depth: int = 0) -> Any:
    """A value of this schema, which may hold components: its example or default, else the plainest that fits.

    What only a pattern or a validator of the user's own tells cannot be met.
    """
    if not isinstance(schema, dict):
        return None
    for known in ("examples", "enum"):
        if schema.get(known):
            return schema[known][0]
    for known in ("default", "const"):
        if known in schema:
            return schema[known]
    target = schema.get("$ref")
    if isinstance(target, Component):
        return sample((target.stands_for or target).body, depth + 1)
    for several in ("anyOf", "oneOf", "allOf"):
        if several in schema and "properties" not in schema and "pattern" not in schema:
            return _one_of(schema, schema[several], depth)
    kind = schema.get("type")
    kind = kind[0] if isinstance(kind, list) else kind
    match kind:
        case "object":
            return _object(schema, depth)
        case "array":
            return _array(schema, depth)
        case "integer" | "number":
            return _number(schema)
        case "boolean":
            return True
        case "string":
            return _string(schema)
    return None if kind == "null" or depth else {}


def _one_of(schema: Schema, parts: Sequence[Any], depth: int) -> Any:
    if depth > _DEEPEST and {"type": "null"} in parts:
        return None
    rest = {key: value for key, value in schema.items() if key not in ("anyOf", "oneOf", "allOf")}
    return sample(rest | parts[0] if isinstance(parts[0], dict) else rest, depth + 1)


def _object(schema: Schema, depth: int) -> Any:
    required = schema.get("required", ())
    wanted = {
        name: part
        for name, part in schema.get("properties", {}).items()
        if name in required or (depth < 4 and not _may_recur(part)) or "enum" in part
    }
    if depth > _DEEPEST:
        wanted = {}
    made = {name: sample(part, depth + 1) for name, part in wanted.items()}
    if not made and isinstance(more := schema.get("additionalProperties"), dict) and depth < _DEEPEST:
        keys = schema.get("propertyNames", {})
        if keys is False:
            return {}
        key = "1" if str(keys.get("pattern", "")).startswith("^-?(?:0|") else sample({"type": "string", **keys}, depth)
        return {str(key): sample(more, depth + 1)}
    return made


def _may_recur(part: Any) -> bool:
    """Whether it holds a class: of a field that may be left out, it is."""
    return isinstance(part, dict) and ("$ref" in part or any(_may_recur(inner) for inner in part.get("anyOf", ())))


def _array(schema: Schema, depth: int) -> Any:
    places = schema.get("prefixItems", ())
    made = [sample(part, depth + 1) for part in places]
    least = schema.get("minItems", 0)
    if not places and schema.get("maxItems") != 0 and "items" in schema and depth <= _DEEPEST:
        least = max(least, 1)
    while len(made) < least:
        item = sample(schema.get("items", {}), depth + 1)
        if schema.get("uniqueItems") and item in made:
            item = item + len(made) if isinstance(item, int | float) else f"{item}{len(made)}"
        made.append(item)
    return made


def _number(schema: Schema) -> int | float:
    """0, or what is nearest to it."""
    step: float = schema.get("multipleOf", 1)
    low: Any = schema.get("minimum", schema.get("exclusiveMinimum", -math.inf))
    high: Any = schema.get("maximum", schema.get("exclusiveMaximum", math.inf))
    value: int | float = 0
    if low > 0 or ("exclusiveMinimum" in schema and low == 0):
        value = math.ceil(low / step) * step
        value += step if value == schema.get("exclusiveMinimum") else 0
    elif high < 0 or ("exclusiveMaximum" in schema and high == 0):
        value = math.floor(high / step) * step
        value -= step if value == schema.get("exclusiveMaximum") else 0
    if schema.get("type") == "number" and not low <= value <= high:
        value = (low + high) / 2
    return value


def _string(schema: Schema) -> str:
    if (form := schema.get("format")) in _BY_FORMAT:
        return _BY_FORMAT[str(form)]
    least: int = schema.get("minLength", 0)
    text = "string"[: schema.get("maxLength")]
    return text + "x" * (least - len(text))
