"""Python types to JSON schemas (2020-12), for arguments and for results.

What is read is what validation reads: msgspec's view of the hint, and pydantic's own schema of its models. msgspec has
a function for this too, `msgspec.json.schema`; it is not used as it tells what msgspec encodes alone: it has no schema
for results that no decoder could tell apart, and is stricter than the decoder here (repeats in sets, Decimals as
numbers, fields that have a default in a result) and laxer there (keys, base64, dates). tests/test_openapi.py
holds what is told here against that function and against the decoder.
"""

from __future__ import annotations

import typing
from collections.abc import Iterable, Mapping
from typing import Any

import msgspec
import msgspec.inspect as mi

from .. import messages
from ..client.reading import label, may_be_left_out, own_doc, tree_of
from ..client.shapes import Way
from ..hints import is_pydantic
from . import pydantic_schemas
from .components import Component, Components
from .enums import enum_schema
from .strings import Schema, key_schema, string_schema

_SIMPLE: dict[type, Schema] = {
    mi.NoneType: {"type": "null"},
    mi.BoolType: {"type": "boolean"},
}
_LIMITS = {
    "ge": "minimum",
    "gt": "exclusiveMinimum",
    "le": "maximum",
    "lt": "exclusiveMaximum",
    "multiple_of": "multipleOf",
}


class Schemas:
    """Reads hints, each class once a direction; `components` are the classes."""

    def __init__(self) -> None:
        self.components = Components()
        self._models: list[tuple[Any, Way, Component]] = []

    def read(self, hint: Any, way: Way) -> Schema:
        """The schema of a resolved hint, a new dict."""
        return _Reading(self, way).node(tree_of(hint))

    def model(self, cls: Any, way: Way) -> Schema:
        """A reference to a pydantic model, which is read with all others in the end."""
        made, new = self.components.get(cls, way, cls.__name__, cls.__module__)
        if new:
            self._models.append((cls, way, made))
        return {"$ref": made}

    def settle(self) -> None:
        """Read the models; to be called once all hints are read."""
        if self._models:
            pydantic_schemas.read(self._models, self.components)


def plain(value: Any) -> Any:
    """A default as JSON; UNSET where it has no such form."""
    try:
        return msgspec.json.decode(messages.encode(value))
    except Exception:  # whatever user code's own types raise
        return msgspec.UNSET


class _Reading:
    def __init__(self, schemas: Schemas, way: Way) -> None:
        self.schemas = schemas
        self.way: Way = way

    def node(self, node: mi.Type) -> Schema:
        match node:
            case mi.Metadata():
                return self.node(node.type) | dict(node.extra_json_schema or {})
            case mi.IntType() | mi.FloatType():
                return _number(node)
            case mi.UnionType():
                return self._union(node)
            case mi.LiteralType():
                return {"enum": list(node.values)}
            case mi.EnumType():
                return self._enum(node.cls)
            case mi.ListType() | mi.VarTupleType() | mi.SetType() | mi.FrozenSetType():
                return self._array(node)
            case mi.TupleType():
                return _places([self.node(part) for part in node.item_types], len(node.item_types), closed=True)
            case mi.DictType():
                return self._dict(node)
            case mi.StructType() | mi.DataclassType() | mi.TypedDictType() | mi.NamedTupleType():
                return self._class(node)
            case mi.CustomType():
                return self._custom(node.cls)
        return dict(_SIMPLE.get(type(node), {})) or string_schema(node, self.way) or {}

    def _custom(self, cls: Any) -> Schema:
        if is_pydantic(cls):
            return self.schemas.model(cls, self.way)
        if isinstance(cls, type) and cls is not object and issubclass(cls, Iterable):
            return {"type": "object" if issubclass(cls, Mapping) else "array"}
        return {}

    def _array(self, node: Any) -> Schema:
        schema: Schema = {"type": "array"}
        if not isinstance(node.item_type, mi.AnyType):
            schema["items"] = self.node(node.item_type)
        limits = {"minItems": node.min_length, "maxItems": node.max_length}
        schema |= {name: limit for name, limit in limits.items() if limit is not None}
        # Repeats are dropped, and what is left is counted: only without them it is sure to fit.
        if isinstance(node, mi.SetType | mi.FrozenSetType) and (
            self.way == "out" or len(schema) > 1 + ("items" in schema)
        ):
            schema["uniqueItems"] = True
        return schema

    def _dict(self, node: mi.DictType) -> Schema:
        schema: Schema = {"type": "object"}
        if not isinstance(node.value_type, mi.AnyType):
            schema["additionalProperties"] = self.node(node.value_type)
        if (keys := key_schema(node.key_type, self.way)) is not True:
            schema["propertyNames"] = keys
        limits = {"minProperties": node.min_length, "maxProperties": node.max_length}
        return schema | {name: limit for name, limit in limits.items() if limit is not None}

    def _union(self, node: mi.UnionType) -> Schema:
        tags: dict[str, Component] = {}
        parts: list[Schema] = []
        structs = [part for part in node.types if isinstance(_bare(part), mi.StructType)]
        for part in node.types:
            schema = self.node(part)
            bare = _bare(part)
            if len(structs) > 1 and isinstance(bare, mi.StructType) and bare.tag_field and not bare.array_like:
                if isinstance(bare.tag, str):
                    tags[bare.tag] = schema["$ref"]
                if self.way == "in":
                    schema["required"] = [bare.tag_field]  # alone, it may come without
            parts.append(schema)
        parts.sort(key=lambda part: part == {"type": "null"})
        if {} in parts:
            return {}
        union: Schema = {"anyOf": parts}
        if len(tags) == len(parts):
            field = next(bare.tag_field for part in structs if isinstance(bare := _bare(part), mi.StructType))
            union["discriminator"] = {"propertyName": field, "mapping": tags}
        return union

    def _enum(self, cls: Any) -> Schema:
        made, new = self.schemas.components.get(cls, self.way, label(cls), cls.__module__)
        if new:
            made.body = enum_schema(cls, [plain(member.value) for member in cls], self.way)
        return {"$ref": made}

    def _class(self, node: Any) -> Schema:
        cls = node.cls
        origin = typing.get_origin(cls) or cls
        made, new = self.schemas.components.get(cls, self.way, label(cls), origin.__module__)
        if new:
            made.body = {"title": label(cls)} | ({"description": doc} if (doc := own_doc(origin)) else {})
            made.body |= self._fields(node, origin)
        return {"$ref": made}

    def _fields(self, node: Any, origin: Any) -> Schema:
        fields = {field.encode_name: self._field(field) for field in node.fields}
        named = isinstance(node, mi.NamedTupleType)
        if named or getattr(node, "array_like", False):
            places = [_titled(name, schema) for name, schema in fields.items()]
            least = len(places) if self.way == "out" else _required_places(node.fields)
            tag = [{"enum": [node.tag]}] if getattr(node, "tag_field", None) else []
            closed = named or node.forbid_unknown_fields
            return _places([*tag, *places], len(tag) + least, closed=closed)
        if self.way == "in" or isinstance(node, mi.TypedDictType):
            required = [field.encode_name for field in node.fields if field.required]
        else:
            required = [field.encode_name for field in node.fields if not may_be_left_out(field, node, origin)]
        if getattr(node, "tag_field", None) is not None:
            fields = {node.tag_field: {"enum": [node.tag]}} | fields
            required = [*([node.tag_field] if self.way == "out" else []), *required]
        schema: Schema = {"type": "object", "properties": fields}
        if required:
            schema["required"] = required
        if getattr(node, "forbid_unknown_fields", False):
            schema["additionalProperties"] = False
        return schema

    def _field(self, field: mi.Field) -> Schema:
        schema = self.node(field.type)
        if self.way == "in" and not field.required:
            default = field.default
            if default is msgspec.NODEFAULT and field.default_factory in (list, dict, set, frozenset, tuple):
                default = typing.cast("Any", field.default_factory)()
            if default is not msgspec.NODEFAULT and (value := plain(default)) is not msgspec.UNSET:
                schema["default"] = value
        return schema


def _titled(name: str, schema: Schema) -> Schema:
    return {"title": name} | schema


def _bare(node: mi.Type) -> mi.Type:
    while isinstance(node, mi.Metadata):
        node = node.type
    return node


def _number(node: mi.IntType | mi.FloatType) -> Schema:
    schema: Schema = {"type": "integer" if isinstance(node, mi.IntType) else "number"}
    for name, word in _LIMITS.items():
        if (limit := getattr(node, name)) is not None:
            schema[word] = limit
    return schema


def _required_places(fields: typing.Sequence[mi.Field]) -> int:
    """How many places of a tuple have to be there: all up to the last one without a default."""
    return max((index + 1 for index, field in enumerate(fields) if field.required), default=0)


def _places(places: list[Schema], least: int, *, closed: bool) -> Schema:
    schema: Schema = {"type": "array"}
    if places:
        schema["prefixItems"] = places
    schema["minItems"] = least
    if closed:
        schema["maxItems"] = len(places)
    return schema
