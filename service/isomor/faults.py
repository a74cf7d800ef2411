"""Every fault of a call's arguments, not only the first (docs/errors.md, INVALID_ARGS).

msgspec decodes fast and stops at the first fault. Where it has found one, this second pass walks the plain value beside
the type, field by field, and collects them all.
"""

from __future__ import annotations

import datetime
import re
import uuid
from collections.abc import Iterator
from decimal import Decimal
from typing import Annotated, Any, Final, Literal, Union

import msgspec
import msgspec.inspect as mi

from .hints import decode_custom, is_pydantic
from .messages import is_finite

# An answer lists at most so many: beyond, nobody reads them, and a request must not make an answer many times its size.
MOST: Final = 100

Fault = tuple[str, str, str]  # the path within the argument, what was expected, what came


class Sentence(str):
    """What a type says for itself, such as a dataclass's `__post_init__`: not the name of a type."""

    __slots__ = ()


_MESSAGE: Final = re.compile(
    r"^Expected `(?P<what>[^`]*)`(?P<more>[^,]*?)(?:, got (?:`(?P<got>[^`]*)`|\d+))?(?: - at `.*`)?$", re.DOTALL
)
_NAMES: Final = {dict: "object", list: "array", type(None): "null"}


def find(value: Any, hint: Any) -> list[Fault]:
    """The faults of `value`, as plain JSON gave it, against the type `hint`; at least one where it does not fit.

    Returns:
        (path, expected, got) each; the path such as `email` or `tags[2].name`, empty for the value itself.
    """
    faults: list[Fault] = []
    for fault in _walk(value, mi.type_info(hint), hint, ""):
        faults.append(fault)
        if len(faults) >= MOST:
            break
    return faults


def _walk(value: Any, node: mi.Type, hint: Any, path: str) -> Iterator[Fault]:
    inner = list(_inner(value, node, path))
    if inner:
        yield from inner
    elif (fault := _whole(value, node, hint, path)) is not None:
        yield fault


def _whole(value: Any, node: mi.Type, hint: Any, path: str) -> Fault | None:
    """The fault of the value as a whole, its parts being right or not there."""
    try:
        decoded = msgspec.convert(value, hint, str_keys=True, dec_hook=decode_custom)
    except TypeError:
        return path, Sentence("it holds what no set can hold"), _got(value)
    except msgspec.ValidationError as error:
        expected, got = _words(str(error), value)
        return path, _choices(node) or expected, got
    if isinstance(decoded, Decimal | dict) and not is_finite(decoded):
        return path, "a finite number", str(decoded)[:40]
    return None


def _choices(node: mi.Type) -> str:
    """The values that can be chosen from, where it is a matter of that."""
    match node:
        case mi.EnumType():
            values = [member.value for member in node.cls]
        case mi.LiteralType():
            values = list(node.values)
        case mi.UnionType() if all(isinstance(part, mi.StructType) and part.tag_field for part in node.types):
            tags = ", ".join(repr(part.tag) for part in node.types if isinstance(part, mi.StructType))
            return f"an object of one of the tags {tags}"
        case _:
            return ""
    return "one of " + ", ".join(repr(value) for value in values)


def _words(message: str, value: Any) -> tuple[str, str]:
    match = _MESSAGE.match(message)
    if match is None:
        said = message.partition(" - at `")[0].replace("`", "'")
        valid = said.startswith("Invalid ")
        return said.replace("Invalid ", "a valid ") if valid else Sentence(said), _got(value)
    return (match["what"] + match["more"].replace("`", "'"), match["got"] or _got(value))


def _got(value: Any) -> str:
    name = _NAMES.get(type(value), type(value).__name__)
    if isinstance(value, str | list | dict):
        return f"{name} of length {len(value)}"
    return name if value is None else f"{name} {value}"[:40]


def _inner(value: Any, node: mi.Type, path: str) -> Iterator[Fault]:
    """The faults of the parts of `value`: nothing where it has none, or is not of the node's shape at all."""
    match node:
        case mi.Metadata():
            yield from _inner(value, node.type, path)
        case mi.UnionType():
            yield from _in_union(value, node, path)
        case mi.ListType() | mi.SetType() | mi.FrozenSetType() | mi.VarTupleType() if isinstance(value, list):
            for index, item in enumerate(value):
                yield from _walk(item, node.item_type, _hint(node.item_type), f"{path}[{index}]")
        case mi.TupleType() if isinstance(value, list) and len(value) == len(node.item_types):
            for index, (item, part) in enumerate(zip(value, node.item_types, strict=True)):
                yield from _walk(item, part, _hint(part), f"{path}[{index}]")
        case mi.DictType() if isinstance(value, dict):
            keys: Any = dict[_hint(node.key_type), Any]  # type: ignore[misc]
            for key, item in value.items():
                if (fault := _whole({key: None}, node, keys, "")) is not None:
                    yield _join(path, key), f"a key that is {fault[1]}", repr(key)[:40]
                yield from _walk(item, node.value_type, _hint(node.value_type), _join(path, key))
        case mi.StructType(array_like=True) | mi.NamedTupleType() if isinstance(value, list):
            for index, (item, field) in enumerate(zip(value, node.fields, strict=False)):
                yield from _walk(item, field.type, _hint(field.type), f"{path}[{index}]")
        case mi.StructType(array_like=False) | mi.DataclassType() | mi.TypedDictType() if isinstance(value, dict):
            yield from _in_object(value, node, path)
        case mi.CustomType() if is_pydantic(node.cls):
            yield from _in_pydantic(value, node.cls, path)


def _in_object(value: dict[str, Any], node: Any, path: str) -> Iterator[Fault]:
    tag_field = getattr(node, "tag_field", None)
    known = {tag_field}
    if tag_field is not None and value.get(tag_field, node.tag) != node.tag:
        yield _join(path, tag_field), repr(node.tag), repr(value[tag_field])[:40]
    for field in node.fields:
        known.add(field.encode_name)
        where = _join(path, field.encode_name)
        if field.encode_name in value:
            yield from _walk(value[field.encode_name], field.type, _hint(field.type), where)
        elif field.required:
            yield where, _name(field.type), "missing"
    if getattr(node, "forbid_unknown_fields", False):
        for key in value:
            if key not in known:
                yield _join(path, key), Sentence("there is no such field"), _got(value[key])


def _in_union(value: Any, node: mi.UnionType, path: str) -> Iterator[Fault]:
    """Msgspec's unions are told apart by JSON kind, and objects by their tag: at most one part is meant."""
    for part in node.types:
        if isinstance(value, dict) and isinstance(part, mi.StructType) and part.tag_field is not None:
            meant = value.get(part.tag_field) == part.tag
        elif isinstance(value, dict):
            meant = isinstance(part, mi.DictType | mi.StructType | mi.DataclassType | mi.TypedDictType)
        elif isinstance(value, list):
            shapes = mi.ListType | mi.SetType | mi.FrozenSetType | mi.VarTupleType | mi.TupleType | mi.NamedTupleType
            meant = isinstance(part, shapes)
        else:
            meant = False
        if meant or (isinstance(part, mi.CustomType) and value is not None):
            yield from _inner(value, part, path)
            return


def _in_pydantic(value: Any, cls: Any, path: str) -> Iterator[Fault]:
    try:
        decode_custom(cls, value)
    except ValueError as error:
        for fault in getattr(error, "errors", lambda **_: [])(include_url=False, include_context=False):
            where = path
            for part in fault["loc"]:
                where = f"{where}[{part}]" if isinstance(part, int) else _join(where, part)
            missing = fault["type"] == "missing"
            yield where, Sentence(fault["msg"]), "missing" if missing else _got(fault.get("input"))


def _join(path: str, key: str) -> str:
    return f"{path}.{key}" if path else str(key)


_META: Final = ("gt", "ge", "lt", "le", "multiple_of", "pattern", "min_length", "max_length", "tz")
_SCALARS: Final[dict[type, Any]] = {
    mi.NoneType: None, mi.BoolType: bool, mi.IntType: int, mi.FloatType: float, mi.StrType: str,
    mi.BytesType: bytes, mi.ByteArrayType: bytearray, mi.MemoryViewType: memoryview, mi.DateType: datetime.date,
    mi.DateTimeType: datetime.datetime, mi.TimeType: datetime.time, mi.TimeDeltaType: datetime.timedelta,
    mi.UUIDType: uuid.UUID, mi.DecimalType: Decimal, mi.AnyType: Any, mi.RawType: msgspec.Raw,
}  # fmt: skip


def _name(node: mi.Type) -> str:
    """The node's name as msgspec's messages would have it."""
    try:
        msgspec.convert(object(), _hint(node))
    except msgspec.ValidationError as error:
        return _words(str(error), None)[0]
    return "any value"


def _hint(node: mi.Type) -> Any:
    """A type that means what `node` means, constraints included: the inverse of `msgspec.inspect.type_info`."""
    hint: Any
    match node:
        case mi.Metadata():
            return _hint(node.type)
        case mi.UnionType():
            return Union[tuple(_hint(part) for part in node.types)]  # noqa: UP007 - of a tuple made here
        case mi.LiteralType():
            return Literal[node.values]
        case mi.ListType():
            hint = list[_hint(node.item_type)]  # type: ignore[misc]
        case mi.SetType():
            hint = set[_hint(node.item_type)]  # type: ignore[misc]
        case mi.FrozenSetType():
            hint = frozenset[_hint(node.item_type)]  # type: ignore[misc]
        case mi.VarTupleType():
            hint = tuple[_hint(node.item_type), ...]  # type: ignore[misc]
        case mi.TupleType():
            return tuple[tuple(_hint(part) for part in node.item_types)]  # type: ignore[misc]
        case mi.DictType():
            hint = dict[_hint(node.key_type), _hint(node.value_type)]  # type: ignore[misc]
        case _:
            hint = _SCALARS.get(type(node), getattr(node, "cls", Any))
    meta = {name: getattr(node, name) for name in _META if getattr(node, name, None) is not None}
    return Annotated[hint, msgspec.Meta(**meta)] if meta else hint


def describe(hint: Any) -> str:
    """The name of a type as the messages of faults have it."""
    return _name(mi.type_info(hint))
