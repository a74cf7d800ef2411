"""JSON schemas of 2020-12, as OpenAPI 3.1 has them, in the words of draft-07, as AsyncAPI has them."""

from __future__ import annotations

from typing import Any, Final

_OF_SCHEMAS: Final = ("properties", "patternProperties")
_LISTS: Final = ("anyOf", "oneOf", "allOf")
_SCHEMAS: Final = ("items", "additionalProperties", "propertyNames", "not", "contains", "if", "then", "else")


def draft07(schema: Any) -> Any:
    """A copy in which places of arrays are `items`, and references stand alone, as what is beside one is not read."""
    if not isinstance(schema, dict):
        return schema
    made: dict[str, Any] = {}
    for word, value in schema.items():
        if word in _OF_SCHEMAS:
            made[word] = {name: draft07(inner) for name, inner in value.items()}
        elif word in _LISTS:
            made[word] = [draft07(inner) for inner in value]
        elif word in _SCHEMAS:
            made[word] = draft07(value)
        elif word not in ("prefixItems", "discriminator"):
            made[word] = value
    if "prefixItems" in schema:
        if "items" in made:
            made["additionalItems"] = made["items"]
        made["items"] = [draft07(inner) for inner in schema["prefixItems"]]
    if "$ref" in made and len(made) > 1:
        made["allOf"] = [{"$ref": made.pop("$ref")}, *made.get("allOf", ())]
    return made
