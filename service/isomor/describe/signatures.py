"""A function as documents tell of it: its arguments and its result as JSON schemas."""

from __future__ import annotations

import inspect
from dataclasses import dataclass
from typing import Any

import msgspec

from ..functions import Function
from ..signature import Param
from .schemas import Schemas, plain
from .strings import Schema
from .texts import Doc, doc_of, signature_of


@dataclass(frozen=True, slots=True)
class Described:
    """A function, read.

    Attributes:
        function: which.
        doc: its docstring in parts.
        args: the schema of its arguments, an array.
        result: the schema of its result.
    """

    function: Function
    doc: Doc
    args: Schema
    result: Schema

    @property
    def least(self) -> int:
        """How many arguments a call has at least."""
        least: int = self.args["minItems"]
        return least


def describe(function: Function, schemas: Schemas) -> Described:
    """Read a function."""
    doc = doc_of(function)
    args: Schema = {"type": "array"}
    if function.params:
        args["prefixItems"] = [_param(param, doc, schemas) for param in function.params]
    args["minItems"] = sum(param.required for param in function.params)
    if function.rest is not None:
        args["items"] = _param(function.rest, doc, schemas)
    else:
        args["maxItems"] = len(function.params)
    result = schemas.read(function.returns, "out")
    if doc.returns:
        result.setdefault("description", doc.returns)
    return Described(function, doc, args, result)


def _param(param: Param, doc: Doc, schemas: Schemas) -> Schema:
    schema = schemas.read(param.hint, "in")
    schema["title"] = param.name
    if told := doc.params.get(param.name):
        own = schema.get("description")
        schema["description"] = f"{told.removesuffix('.')}. {own}" if own else told
    if param.default is not inspect.Parameter.empty and (default := plain(param.default)) is not msgspec.UNSET:
        schema["default"] = default
    return schema


def facts_of(function: Function) -> dict[str, Any]:
    """What a page needs to call a function, by either transport: the extension `x-isomor`."""
    cached = function.cached
    return {
        "name": function.name,
        "path": function.path,
        "transport": function.transport,
        "requires": function.requires,
        "signature": signature_of(function),
        "cached": {"maxAge": cached.max_age, "public": cached.public} if cached else None,
        "hash": function.hash,
    }
