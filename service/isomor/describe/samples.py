"""A value that fits a schema, to begin from: what a form is filled with before someone has typed anything."""

from __future__ import annotations

import math
import re
from typing import Any, Final

from .components import Component
from .strings import Schema

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
# What is tried where a pattern has to match.
_TEXTS: Final = ("string", "1", "1.5", "a", "A", "x", "ABC", "abc-def", "a1", "#2e8b57", "/a/b", *_BY_FORMAT.values())
_SEVERAL: Final = ("anyOf", "oneOf", "allOf")

Within = frozenset[Component]


def sample(schema: Any, within: Within = frozenset()) -> Any:
    """A value of this schema: its example or default, else the plainest that fits.

    Where a pattern of the user's own asks for what is hard to guess, it may not fit.

    Args:
        schema: a schema with components in place of names; the components are settled.
        within: the classes that the value is a part of, which end what goes on for ever.
    """
    if not isinstance(schema, dict):
        return None
    for known in ("examples", "enum"):
        if schema.get(known):
            return schema[known][0]
    for known in ("default", "const"):
        if known in schema:
            return schema[known]
    if isinstance(target := schema.get("$ref"), Component):
        target = target.stands_for or target
        return sample(target.body, within | {target})
    for several in _SEVERAL:
        if several in schema and "type" not in schema:
            parts = sorted(schema[several], key=lambda part: (_goes_on(part, within), part == {"type": "null"}))
            return sample(parts[0], within)
    kind = schema.get("type")
    match kind[0] if isinstance(kind, list) else kind:
        case "object":
            return _object(schema, within)
        case "array":
            return _array(schema, within)
        case "integer" | "number":
            return _number(schema)
        case "boolean":
            return True
        case "string":
            return _string(schema)
        case "null":
            return None
    return {}


def _goes_on(schema: Any, within: Within) -> bool:
    """Whether a value of it would hold one of the classes that it is in, at first sight."""
    if not isinstance(schema, dict):
        return False
    target = schema.get("$ref")
    if isinstance(target, Component) and (target.stands_for or target) in within:
        return True
    several = [_goes_on(part, within) for word in _SEVERAL for part in schema.get(word, ())]
    return bool(several) and all(several)


def _object(schema: Schema, within: Within) -> Any:
    required = schema.get("required", ())
    made = {
        name: sample(part, within)
        for name, part in schema.get("properties", {}).items()
        if name in required or not _goes_on(part, within)
    }
    more = schema.get("additionalProperties")
    if not made and isinstance(more, dict) and not _goes_on(more, within):
        keys = schema.get("propertyNames", {})
        key = str(sample({"type": "string", **keys})) if isinstance(keys, dict) else ""
        if isinstance(keys, dict) and re.search(str(keys.get("pattern", "")), key):
            return {key: sample(more, within)}
    return made


def _array(schema: Schema, within: Within) -> Any:
    made = [sample(part, within) for part in schema.get("prefixItems", ())]
    item = schema.get("items")
    least = schema.get("minItems", 0)
    if not made and isinstance(item, dict) and schema.get("maxItems") != 0 and not _goes_on(item, within):
        least = max(least, 1)
    while len(made) < least:
        value = sample(item if isinstance(item, dict) else {}, within)
        if schema.get("uniqueItems") and value in made:
            value = value + len(made) if isinstance(value, int | float) else f"{value}{len(made)}"
        made.append(value)
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
    text += "x" * (least - len(text))
    if "pattern" not in schema:
        return text
    try:
        return next(one for one in (text, *_TEXTS) if re.search(schema["pattern"], one) and len(one) >= least)
    except (StopIteration, re.error):  # one that is only portable the other way
        return text
