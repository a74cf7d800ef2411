"""Pydantic models to JSON schemas, by pydantic's own generator, as its validation and its serialization have them.

Pydantic is optional: it is imported where there is a model.
"""

from __future__ import annotations

import logging
from typing import Any, Final

from ..client.shapes import Way
from .components import PREFIX, Component, Components

logger = logging.getLogger("isomor")

_MODES: Final = {"in": "validation", "out": "serialization"}
_WAYS: Final[dict[str, Way]] = {"Input": "in", "Output": "out"}


def read(models: list[tuple[Any, Way, Component]], components: Components) -> None:
    """Read all models at once, so that pydantic tells those of the same name apart; each component gets its body."""
    try:
        found, whole = _generate(models)
    except Exception:  # whatever user code raises that has a say in its schema: then the others do without it
        models = [model for model in models if _can_be_told(model)]
        found, whole = _generate(models)
    definitions = whole.get("$defs", {})
    own = {f"{PREFIX}{name}": name for name in definitions}
    by_name = {name: _component(name, components) for name in definitions}
    for name, component in by_name.items():
        component.body = _linked(definitions[name], own, by_name)
    for cls, way, asker in models:
        schema = _linked(found[cls, _MODES[way]], own, by_name)
        target = schema.get("$ref")
        if len(schema) == 1 and isinstance(target, Component):
            asker.stands_for = target
            target.module = cls.__module__
        else:
            asker.body = schema


def _generate(models: list[tuple[Any, Way, Component]]) -> tuple[dict[Any, Any], dict[str, Any]]:
    from pydantic.json_schema import models_json_schema

    asked: Any = list(dict.fromkeys((cls, _MODES[way]) for cls, way, _ in models))
    return models_json_schema(asked, ref_template=f"{PREFIX}{{model}}", schema_generator=_generator())


def _can_be_told(model: tuple[Any, Way, Component]) -> bool:
    try:
        _generate([model])
    except Exception as error:
        logger.warning("%s is described as any value: %s: %s", model[0].__qualname__, type(error).__name__, error)
        return False
    return True


def _component(name: str, components: Components) -> Component:
    """The component of a definition, by pydantic's name for it: `api__shop__User-Input`."""
    bare, _, mode = name.rpartition("-")
    way = _WAYS.get(mode)
    bare = bare if way else name
    *path, label = bare.split("__")
    made, _new = components.get(("pydantic", bare), way, label, ".".join(path))
    return made


def _linked(value: Any, own: dict[str, str], by_name: dict[str, Component]) -> Any:
    """A copy with components in place of references, those of discriminators too."""
    if isinstance(value, dict):
        return {key: _linked(inner, own, by_name) for key, inner in value.items()}
    if isinstance(value, list):
        return [_linked(inner, own, by_name) for inner in value]
    return by_name[own[value]] if isinstance(value, str) and value in own else value


def _generator() -> Any:
    from pydantic.json_schema import GenerateJsonSchema

    class Generator(GenerateJsonSchema):
        ignored_warning_kinds = {"skipped-choice", "non-serializable-default"}  # noqa: RUF012 - as in its base

        def _common_set_schema(self, schema: Any) -> Any:
            made = super()._common_set_schema(schema)
            if self.mode == "validation" and not {"minItems", "maxItems"} & made.keys():
                made.pop("uniqueItems", None)  # repeats are dropped
            return made

        def field_is_required(self, field: Any, total: bool) -> bool:
            # isomor sends fields that have their default too.
            if self.mode == "serialization" and field["type"] != "typed-dict-field":
                return field.get("serialization_exclude_if") is None
            return super().field_is_required(field, total)

        def handle_invalid_for_json_schema(self, schema: Any, error_info: str) -> Any:
            return {}

    return Generator
