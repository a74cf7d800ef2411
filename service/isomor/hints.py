"""Reading a function's type hints: names, the types that may cross the wire, and how their values are decoded."""

from __future__ import annotations

import ast
import collections.abc
import contextlib
import functools
import inspect
import json
import re
import tokenize
import types
import typing
from collections.abc import Callable, Iterator
from typing import Any

import msgspec
import msgspec.inspect as mi

from . import context


def resolve(function: Callable[..., Any], namespace: dict[str, Any]) -> dict[str, Any]:
    """The hints of `function` by parameter, `return` included, with strings evaluated and `Annotated` kept.

    Args:
        function: what to read.
        namespace: isomor's own names, by name, which are always known.

    Raises:
        Exception: whatever evaluating a hint raises, a NameError above all.
    """
    function = inspect.unwrap(function)
    while isinstance(function, functools.partial):
        function = inspect.unwrap(function.func)
    if not inspect.isroutine(function):  # an object that can be called
        function = type(function).__call__
    function = inspect.unwrap(getattr(function, "__func__", function))
    names = getattr(function, "__globals__", {})
    return typing.get_type_hints(function, globalns={**namespace, **names}, include_extras=True)


def supply_type_checking_names(module: types.ModuleType) -> None:
    """Give a module the names that its `if TYPE_CHECKING:` blocks import, where it has none of that name.

    To be called when everything is loaded: those blocks exist to break circles of imports. Hints are then resolved as
    a type checker would, those of classes too, which msgspec looks up in the module's own names.
    """
    path = getattr(module, "__file__", None)
    if not path or not path.endswith(".py"):
        return
    with tokenize.open(path) as file:  # in the encoding that it declares
        source = file.read()
    if "TYPE_CHECKING" not in source:
        return
    for node in ast.parse(source, path).body:
        if not (isinstance(node, ast.If) and ast.unparse(node.test) in ("TYPE_CHECKING", "typing.TYPE_CHECKING")):
            continue
        for statement in node.body:
            scope = dict(vars(module))
            try:
                exec(compile(ast.Module([statement], []), path, "exec"), scope)
            except Exception:
                continue
            for name, value in scope.items():
                vars(module).setdefault(name, value)


CONTEXTS = (context.Context, context.HttpContext, context.WsContext)


def context_types(hint: Any) -> set[type] | None:
    """The context classes that `hint` stands for, with NoneType where it is optional; None if it is no context."""
    if isinstance(hint, type) and issubclass(hint, CONTEXTS):
        return {hint}
    origin = typing.get_origin(hint)
    if origin is typing.Annotated:
        return context_types(typing.get_args(hint)[0])
    if origin is typing.Union or origin is types.UnionType:
        parts = [{part} if part is type(None) else context_types(part) for part in typing.get_args(hint)]
        known = [part for part in parts if part is not None]
        if len(known) == len(parts) and any(part - {type(None)} for part in known):
            return set().union(*known)
    if hasattr(hint, "__value__"):  # type X = WsContext
        return context_types(hint.__value__)
    return None


def is_pydantic(cls: Any) -> bool:
    """Whether `cls` is a pydantic v2 model (asked without importing pydantic)."""
    return isinstance(cls, type) and hasattr(cls, "__pydantic_validator__") and hasattr(cls, "model_validate_json")


def decode_custom(cls: Any, value: Any) -> Any:
    """Msgspec's hook for the types that it does not know: pydantic models, validated strictly.

    Raises:
        ValueError: pydantic's ValidationError, which lists every fault.
    """
    if cls is object:
        return value
    if is_pydantic(cls):
        return cls.model_validate_json(msgspec.json.encode(value), strict=True)
    raise TypeError(f"{cls!r} cannot be decoded")


def schema_of_custom(cls: Any) -> dict[str, Any]:
    """Msgspec's hook for the JSON schema of what it does not know; it takes an empty one for none at all."""
    if is_pydantic(cls):
        with contextlib.suppress(Exception):  # user code has a say in it
            schema: dict[str, Any] = cls.model_json_schema()
            return schema
    return {"title": getattr(cls, "__qualname__", str(cls))}


def text_of_result(hint: Any) -> str:
    """What a result is made of, as a text that is the same for the same type."""
    try:
        return json.dumps(msgspec.json.schema(hint, schema_hook=schema_of_custom), sort_keys=True)
    except TypeError:  # a union that only a decoder would have to tell apart
        return str(hint)


def wire_type(hint: Any) -> Any:
    """The type to decode: no hint, `Any` and `object` all mean any JSON value."""
    return Any if hint is inspect.Parameter.empty or hint is object else hint


def refusal(hint: Any, *, decoded: bool) -> str | None:
    """Why values of `hint` cannot cross the wire, with the fix; None where they can.

    Args:
        hint: a resolved hint.
        decoded: whether it is an argument's, which must tell its values apart, or a result's.
    """
    try:
        tree = mi.type_info(hint)
        if decoded:
            msgspec.json.Decoder(hint, dec_hook=decode_custom)
    except (TypeError, NameError) as error:
        text = str(error).replace("`", "'")
        if "may not contain" not in text:
            return f"{text}; use types that JSON can carry (see docs/types.md)"
        if not decoded:
            return None  # a result is only encoded: nothing has to be told apart
        kind = re.search(r"more than one ([\w-]+)", text)
        what = kind[1].replace("-like", "") if kind else "kind of"
        objects = what in ("Struct", "dict", "dataclass", "TypedDict", "custom")
        fix = (
            "use msgspec.Struct classes with a tag (tag=True)" if objects else "take one type, and convert it yourself"
        )
        return f"this union is ambiguous: JSON cannot tell its {what} types apart; {fix}"
    if decoded and (foreign := _foreign_constraint(hint, tree)):
        return f"{foreign} is no constraint of msgspec's, and would not hold; write it as msgspec.Meta(…)"
    for node in walk(tree):
        if isinstance(node, mi.DataclassType) and hasattr(node.cls, "__pydantic_validator__"):
            return (
                f"{node.cls.__qualname__} is a dataclass of pydantic, whose checks would not run; make it a BaseModel"
            )
        if isinstance(node, mi.CustomType) and node.cls is not object and not is_pydantic(node.cls):
            if not decoded and _encodable(node.cls):
                continue
            name = getattr(node.cls, "__qualname__", str(node.cls))
            if isinstance(node.cls, type) and issubclass(node.cls, collections.abc.Iterable):
                return f"{name} cannot cross the wire; use list, dict or set"
            return f"{name} cannot cross the wire; use a dataclass, TypedDict, NamedTuple, Struct or pydantic model"
        if decoded and isinstance(node, mi.SetType | mi.FrozenSetType) and (item := _unhashable(node.item_type)):
            return f"a set cannot hold {item}, which has no hash; use list, or a frozen class"
        if isinstance(node, mi.LiteralType) and any(isinstance(value, bool | bytes) for value in node.values):
            return (
                f"Literal{list(node.values)} cannot be told apart in JSON; use bool, or Literal of strings or integers"
            )
    return None


def _foreign_constraint(hint: Any, tree: mi.Type) -> str | None:
    """A constraint of annotated_types or pydantic, in the hint or in the fields of its classes: msgspec skips them."""
    todo = [hint]
    for node in walk(tree):
        cls = getattr(node, "cls", None)
        cls = typing.get_origin(cls) or cls
        if isinstance(node, mi.StructType | mi.DataclassType | mi.TypedDictType | mi.NamedTupleType):
            with contextlib.suppress(Exception):  # of a class whose hints only msgspec can read
                todo += typing.get_type_hints(cls, include_extras=True).values()
    seen: set[int] = set()
    while todo:
        part = todo.pop()
        if id(part) in seen:
            continue
        seen.add(id(part))
        for meta in getattr(part, "__metadata__", ()):
            if type(meta).__module__.partition(".")[0] in ("pydantic", "annotated_types"):
                return repr(meta)
        todo += [arg for arg in typing.get_args(part) if not isinstance(arg, str | int)]
    return None


def _unhashable(node: mi.Type) -> str | None:
    """What kind of thing without a hash `node` is; None where it has one, or may have."""
    if isinstance(node, mi.ListType | mi.SetType | mi.DictType | mi.TypedDictType | mi.ByteArrayType):
        return type(node).__name__.removesuffix("Type").lower()
    cls = getattr(node, "cls", None)
    cls = typing.get_origin(cls) or cls
    return cls.__qualname__ if isinstance(cls, type) and cls.__hash__ is None else None


def _encodable(cls: Any) -> bool:
    shapes = (collections.abc.Mapping, collections.abc.Sequence, collections.abc.Set)
    return isinstance(cls, type) and issubclass(cls, shapes)


def walk(tree: mi.Type) -> Iterator[mi.Type]:
    """Every node of a msgspec type tree, once, recursion in types included."""
    seen: set[int] = set()
    todo: list[Any] = [tree]
    while todo:
        node = todo.pop()
        if id(node) in seen:
            continue
        seen.add(id(node))
        yield node
        for name in ("type", "item_type", "key_type", "value_type"):
            if isinstance(inner := getattr(node, name, None), mi.Type):
                todo.append(inner)
        for name in ("types", "item_types"):
            todo.extend(getattr(node, name, ()))
        todo.extend(field.type for field in getattr(node, "fields", ()))
