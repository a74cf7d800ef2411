"""Python types to shapes: what msgspec reads of a hint, for arguments and for results."""

from __future__ import annotations

import dataclasses
import enum
import inspect
import types
import typing
from collections.abc import Iterable, Mapping
from typing import Any, Final

import msgspec
import msgspec.inspect as mi

from ..hints import is_pydantic
from . import pydantic_models
from .shapes import (
    ANY,
    BOOLEAN,
    NOTES,
    NULL,
    NUMBER,
    STRING,
    Declaration,
    Dict,
    Enumeration,
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

_SCALARS: Final[dict[type, Shape]] = {
    mi.NoneType: NULL,
    mi.BoolType: BOOLEAN,
    mi.IntType: NUMBER,
    mi.FloatType: NUMBER,
    mi.StrType: STRING,
    mi.BytesType: Value("bytes"),
    mi.ByteArrayType: Value("bytes"),
    mi.MemoryViewType: Value("bytes"),
    mi.DateType: Plain("string", NOTES["date"]),
    mi.TimeType: Plain("string", NOTES["time"]),
    mi.TimeDeltaType: Plain("string", NOTES["duration"]),
    mi.UUIDType: Plain("string", NOTES["uuid"]),
    mi.DecimalType: Plain("string", NOTES["decimal"]),
}


class Reader:
    """Reads hints, each class once a variant."""

    def __init__(self) -> None:
        self.declarations: dict[tuple[Any, ...], Declaration] = {}
        self.unions: list[tuple[Union, Way]] = []

    def read(self, hint: Any, way: Way) -> Shape:
        """The shape of a resolved hint."""
        return _Reading(self, way).node(tree_of(hint))

    def raw(self, shape: Shape, way: Way) -> Shape:
        """The same as plain JSON, with nothing revived in it."""
        match shape:
            case Value(codec):
                return Plain("string", NOTES[codec])
            case List(item) | Set(item):
                return List(self.raw(item, way))
            case Dict(key, value):
                return Dict(key, self.raw(value, way))
            case Tuple(items, rest):
                plain = tuple(dataclasses.replace(item, shape=self.raw(item.shape, way)) for item in items)
                return Tuple(plain, rest and self.raw(rest, way))
            case Object(fields, extra):
                bare = tuple(dataclasses.replace(part, shape=self.raw(part.shape, way)) for part in fields)
                return Object(bare, extra and self.raw(extra, way))
            case Union():
                return union_of([self.raw(part, way) for part in shape.parts])
            case Ref(to) if not isinstance(to.body, Enumeration) and not to.variant.endswith("Json"):
                place = ("raw", to)
                if place not in self.declarations:
                    self.declarations[place] = copy = dataclasses.replace(to, variant=f"{to.variant}Json")
                    copy.body = self.raw(to.body, way)
                return Ref(self.declarations[place])
        return shape

    def declare(self, key: tuple[Any, ...], cls: Any, way: Way, doc: str) -> tuple[Declaration, bool]:
        """The declaration under this key, and whether it is new, so that its body is to be read."""
        if key in self.declarations:
            return self.declarations[key], False
        order = (getattr(cls, "__module__", ""), getattr(cls, "__qualname__", ""), repr(cls), key[0])
        made = Declaration(cls, label(cls), "Input" if way == "in" else "", order, doc)
        self.declarations[key] = made
        return made, True

    def enumeration(self, cls: Any) -> Shape:
        """An enum's: the same for both directions."""
        made, new = self.declare(("enum", cls), cls, "out", own_doc(cls))
        if new:
            values = tuple(dict.fromkeys(member.value for member in cls))
            known = all(isinstance(value, str | int) for value in values)
            flags = issubclass(cls, enum.Flag)
            what = NUMBER if flags else Literals(values) if known and values else ANY
            made.body = Enumeration(
                tuple((name, m.value) for name, m in cls.__members__.items()) if known else (), what
            )
        return Ref(made)


def tree_of(hint: Any) -> mi.Type:
    """What msgspec reads of a resolved hint, an argument's or a result's."""
    # What type_info() runs, without its check that a decoder could tell the parts of unions apart: a result's need not.
    translator: Any = vars(mi)["_Translator"]((hint,))
    tree: mi.Type = translator.translate(hint)
    return tree


class _Reading:
    def __init__(self, reader: Reader, way: Way) -> None:
        self.reader = reader
        self.way: Way = way

    def node(self, node: mi.Type) -> Shape:
        match node:
            case mi.Metadata():
                return self.node(node.type)
            case mi.DateTimeType():
                return Value("naive" if node.tz is False else "datetime")
            case mi.UnionType():
                shape = union_of([self.node(part) for part in node.types])
                if isinstance(shape, Union):
                    self.reader.unions.append((shape, self.way))
                return shape
            case mi.LiteralType():
                return Literals(node.values)
            case mi.EnumType():
                return self.reader.enumeration(node.cls)
            case mi.SetType() | mi.FrozenSetType():
                return Set(self.node(node.item_type))
            case mi.ListType() | mi.VarTupleType():
                return List(self.node(node.item_type))
            case mi.TupleType():
                return Tuple(tuple(Item("", self.node(part)) for part in node.item_types))
            case mi.DictType():
                return Dict(self.node(node.key_type), self.node(node.value_type))
            case mi.StructType() | mi.DataclassType() | mi.TypedDictType() | mi.NamedTupleType():
                return self._class(node)
            case mi.CustomType() if is_pydantic(node.cls):
                return pydantic_models.read(node.cls, self.way, self.reader)
            case mi.CustomType() if isinstance(node.cls, type) and node.cls is not object:
                if issubclass(node.cls, Mapping):
                    return Dict(STRING, ANY)
                return List(ANY) if issubclass(node.cls, Iterable) else ANY
        return _SCALARS.get(type(node), ANY)

    def _class(self, node: Any) -> Shape:
        cls = node.cls
        origin = typing.get_origin(cls) or cls
        made, new = self.reader.declare(("msgspec", cls, self.way), cls, self.way, own_doc(origin))
        if new:
            fields = [self._field(field, node, origin) for field in node.fields]
            if node.__class__ is mi.NamedTupleType or getattr(node, "array_like", False):
                items = [Item(field.name, field.shape, field.optional) for field in fields]
                made.body = Tuple((*self._tag(node), *items))
            else:
                names = [*getattr(origin, "__dataclass_fields__", getattr(origin, "__annotations__", ()))]
                fields.sort(key=lambda field: names.index(field.name) if field.name in names else -1)
                tag = [Field(item.label, item.shape, optional=False) for item in self._tag(node)]
                made.body = Object((*tag, *fields))
        return Ref(made)

    def _tag(self, node: Any) -> list[Item]:
        if getattr(node, "tag_field", None) is None:
            return []
        return [Item(node.tag_field, Literals((node.tag,)))]

    def _field(self, field: mi.Field, node: Any, origin: Any) -> Field:
        told = field.type.extra_json_schema or {} if isinstance(field.type, mi.Metadata) else {}
        doc = str(told.get("description", ""))
        optional = not field.required
        if self.way == "out" and not isinstance(node, mi.TypedDictType):
            optional = may_be_left_out(field, node, origin)
        return Field(field.encode_name, self.node(field.type), optional, doc)


def may_be_left_out(field: mi.Field, node: Any, origin: Any) -> bool:
    """Whether a result may come without this field."""
    if isinstance(node, mi.NamedTupleType) or getattr(node, "array_like", False):
        return False
    if isinstance(node, mi.StructType) and origin.__struct_config__.omit_defaults and not field.required:
        return True
    declared = getattr(origin, "__dataclass_fields__", {}).get(field.name)
    if declared is not None and not declared.init and declared.default is not dataclasses.MISSING:
        return True  # it is the class's until someone sets it, and only what is the instance's is sent
    try:
        hint = typing.get_type_hints(origin).get(field.name)
    except Exception:  # only msgspec can read them, or nobody
        return False
    return msgspec.UnsetType in (hint, *typing.get_args(hint))


def own_doc(cls: Any) -> str:
    """The docstring that someone wrote for this class."""
    doc = vars(cls).get("__doc__") if isinstance(cls, type) else None
    if not isinstance(doc, str):
        return ""
    made = doc.startswith(f"{cls.__name__}(") and doc.endswith(")")  # by dataclass and NamedTuple
    return "" if made or doc == "An enumeration." else inspect.cleandoc(doc)


def label(hint: Any) -> str:
    """A name for a type: `Page[User]` is PageUser."""
    pydantic = getattr(hint, "__pydantic_generic_metadata__", None) or {}
    origin = pydantic.get("origin") or typing.get_origin(hint)
    args = pydantic.get("args") or typing.get_args(hint)
    if origin in (typing.Union, types.UnionType):
        return "Or".join(map(label, args))
    if origin is None:
        if hint is None or hint is type(None):
            return "None"
        text = getattr(hint, "__name__", None) or "".join(filter(str.isalnum, str(hint)))
        return text if isinstance(hint, type) and hint.__module__ != "builtins" else text[:1].upper() + text[1:]
    if origin is typing.Annotated:
        return label(args[0])
    name = getattr(origin, "__name__", "") or "Of"
    name = name[:1].upper() + name[1:] if origin.__module__ == "builtins" else name
    return name + "".join(part[:1].upper() + part[1:] for part in map(label, args))
