"""Pydantic models to shapes, by way of their JSON schema, in which what a schema does not tell is marked.

Pydantic is optional: it is imported where there is a model.
"""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

from .shapes import (
    ANY,
    BOOLEAN,
    NOTES,
    NULL,
    NUMBER,
    STRING,
    Dict,
    Field,
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
    Way,
    union_of,
)

if TYPE_CHECKING:
    from .reading import Reader

_MARK = "x-isomor"


def read(cls: Any, way: Way, reader: Reader) -> Shape:
    """The shape of a model."""
    mode = "validation" if way == "in" else "serialization"
    classes: list[Any] = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of defaults that have no JSON: they are not looked at
        schema = cls.model_json_schema(mode=mode, ref_template="{model}", schema_generator=_generator(classes))
    return _Conversion(schema.get("$defs", {}), classes, way, reader).shape(schema)


def _generator(classes: list[Any]) -> Any:
    """Pydantic's own generator of schemas, which also says which class or codec a schema is of."""
    from pydantic.json_schema import GenerateJsonSchema

    def marked(method: str) -> Any:
        def of_class(self: Any, schema: Any) -> Any:
            made = getattr(GenerateJsonSchema, method)(self, schema)
            if schema.get("cls") is not None:
                classes.append(schema["cls"])
                made[_MARK] = {"class": len(classes) - 1}
            return made

        return of_class

    class Generator(GenerateJsonSchema):
        model_schema = marked("model_schema")
        dataclass_schema = marked("dataclass_schema")
        typed_dict_schema = marked("typed_dict_schema")
        enum_schema = marked("enum_schema")

        def datetime_schema(self, schema: Any) -> Any:
            made = super().datetime_schema(schema)
            if made.get("type") == "string":
                made[_MARK] = {"value": "naive" if schema.get("tz_constraint") == "naive" else "datetime"}
            return made

        def bytes_schema(self, schema: Any) -> Any:
            config = self._config
            how = config.ser_json_bytes if self.mode == "serialization" else config.val_json_bytes
            codec = {"base64": "base64url", "utf8": "utf8"}.get(how)
            return {"type": "string", _MARK: {"value": codec} if codec else {"note": "hex"}}

        def decimal_schema(self, schema: Any) -> Any:
            return {"type": "string", _MARK: {"note": "decimal"}}

        def _common_set_schema(self, schema: Any) -> Any:
            return super()._common_set_schema(schema) | {_MARK: {"set": True}}

        def call_schema(self, schema: Any) -> Any:
            made = super().call_schema(schema)
            inner = schema["arguments_schema"]  # of a NamedTuple, before pydantic 2.14
            made[_MARK] = {"labels": [argument["name"] for argument in inner.get("arguments_schema", ())]}
            return made

        def named_tuple_schema(self, schema: Any) -> Any:
            made = super().named_tuple_schema(schema)
            classes.append(schema["cls"])
            made[_MARK] = {"class": len(classes) - 1, "labels": [field["name"] for field in schema["fields"]]}
            return made

        def field_is_required(self, field: Any, total: bool) -> bool:
            # isomor sends fields that have their default too.
            if self.mode == "serialization" and field["type"] != "typed-dict-field":
                return field.get("serialization_exclude_if") is None
            return super().field_is_required(field, total)

        def handle_invalid_for_json_schema(self, schema: Any, error_info: str) -> Any:
            return {}

    return Generator


class _Conversion:
    def __init__(self, definitions: dict[str, Any], classes: list[Any], way: Way, reader: Reader) -> None:
        self.definitions = definitions
        self.classes = classes
        self.way: Way = way
        self.reader = reader

    def shape(self, schema: Any) -> Shape:
        if not isinstance(schema, dict):  # true: anything
            return ANY
        if "$ref" in schema:
            return self.shape(self.definitions[schema["$ref"]])
        mark = schema.get(_MARK, {})
        if "class" in mark:
            return self._class(schema, self.classes[mark["class"]], mark)
        return self._bare(schema, mark)

    def _class(self, schema: dict[str, Any], cls: Any, mark: dict[str, Any]) -> Shape:
        if "enum" in schema:
            return self.reader.enumeration(cls)
        made, new = self.reader.declare(("pydantic", cls, self.way), cls, self.way, schema.get("description", ""))
        if new:
            made.body = self._bare(schema, mark)
        return Ref(made)

    def _bare(self, schema: dict[str, Any], mark: dict[str, Any]) -> Shape:
        if "value" in mark:
            return Value(mark["value"])
        if "note" in mark:
            return self._noted(mark["note"])
        if "const" in schema:
            return Literals((schema["const"],))
        if "enum" in schema:
            return Literals(tuple(schema["enum"]))
        for several in ("anyOf", "oneOf", "allOf"):
            if several in schema:
                return self._union(schema[several])
        kind = schema.get("type")
        if isinstance(kind, list):
            return self._union([{"type": one} for one in kind])
        match kind:
            case "array":
                return self._array(schema, mark)
            case "object":
                return self._object(schema)
            case "string":
                return self._noted(schema.get("format", "") if schema.get("format") in NOTES else "")
        return {"null": NULL, "boolean": BOOLEAN, "integer": NUMBER, "number": NUMBER}.get(str(kind), ANY)

    def _noted(self, note: str) -> Shape:
        return Plain("string", NOTES.get(note, note)) if note else STRING

    def _union(self, schemas: list[Any]) -> Shape:
        shape = union_of([self.shape(part) for part in schemas])
        if isinstance(shape, Union):
            self.reader.unions.append((shape, self.way))
        return shape

    def _array(self, schema: dict[str, Any], mark: dict[str, Any]) -> Shape:
        rest = schema.get("items")
        if "prefixItems" not in schema and rest is None and schema.get("maxItems") == 0:
            return Tuple(())
        if "prefixItems" not in schema:
            item = self.shape(rest if rest is not None else {})
            return Set(item) if mark.get("set") else List(item)
        labels = mark.get("labels", [])
        least = schema.get("minItems", 0) if self.way == "in" else len(schema["prefixItems"])
        items = [
            Item(labels[index] if index < len(labels) else "", self.shape(part), optional=index >= least)
            for index, part in enumerate(schema["prefixItems"])
        ]
        return Tuple(tuple(items), self.shape(rest) if rest is not None else None)

    def _object(self, schema: dict[str, Any]) -> Shape:
        more = schema.get("additionalProperties")
        if "properties" not in schema:
            values = [*schema.get("patternProperties", {}).values()]
            values += [more] if more not in (None, False) or not values else []
            key = self.shape(schema["propertyNames"]) if "propertyNames" in schema else STRING
            empty = more is False and not schema.get("patternProperties")
            return Object(()) if empty else Dict(key, union_of([self.shape(value or {}) for value in values]))
        required = schema.get("required", ())
        fields = [
            Field(name, self.shape(part), name not in required and not _is_tag(part), _own(part))
            for name, part in schema["properties"].items()
        ]
        return Object(tuple(fields), self.shape(more) if more else None)


def _is_tag(schema: Any) -> bool:
    """Whether a union may go by this property: pydantic wants it then, though it has a default."""
    return isinstance(schema, dict) and "const" in schema


def _own(schema: Any) -> str:
    return str(schema.get("description", "")) if isinstance(schema, dict) else ""
