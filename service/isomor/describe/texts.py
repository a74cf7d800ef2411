"""What people read of a function: its signature in Python, and its docstring in parts."""

from __future__ import annotations

import inspect
import types
import typing
from dataclasses import dataclass
from typing import Any

from ..client.jsdoc import split
from ..functions import Function
from ..signature import Param


@dataclass(frozen=True, slots=True)
class Doc:
    """A docstring (PEP 257): its first line, the rest, and what it tells of parameters by name and of the result."""

    summary: str
    description: str
    params: dict[str, str]
    returns: str


def doc_of(function: Function) -> Doc:
    """The docstring of a function in its parts; each is empty where there is nothing."""
    body, params, returns = split(function.doc)
    first, _, rest = "\n".join(body).strip().partition("\n\n")
    return Doc(" ".join(first.split()), rest.strip(), params, returns)


def signature_of(function: Function) -> str:
    """The signature as clients see it, without a context: `set_user(user: User, *tags: str) -> str`."""
    params = [_param(param) for param in function.params]
    if function.rest is not None:
        params.append(f"*{_param(function.rest)}")
    returns = "" if function.returns is Any else f" -> {text_of(function.returns)}"
    return f"{function.name}({', '.join(params)}){returns}"


def _param(param: Param) -> str:
    text = param.name if param.hint is Any else f"{param.name}: {text_of(param.hint)}"
    if param.required or param.default is inspect.Parameter.empty:
        return text
    said = _value(param.default)
    return f"{text}={said}" if param.hint is Any else f"{text} = {said}"


def _value(default: Any) -> str:
    try:
        said = repr(default)
    except Exception:  # whatever user code's own types raise
        said = "..."
    return said if len(said) <= 60 and "\n" not in said and " object at 0x" not in said else "..."


def text_of(hint: Any) -> str:
    """A hint as one would write it, without modules and constraints: `dict[str, User] | None`."""
    if hint is None or hint is type(None):
        return "None"
    if hint is Ellipsis:
        return "..."
    if isinstance(hint, list):
        return f"[{', '.join(map(text_of, hint))}]"
    origin, args = typing.get_origin(hint), typing.get_args(hint)
    if origin is typing.Annotated:
        return text_of(args[0])
    if origin in (typing.Union, types.UnionType):
        return " | ".join(map(text_of, args))
    if origin is typing.Literal:
        return f"Literal[{', '.join(map(repr, args))}]"
    if origin is not None and args:
        return f"{_name(origin)}[{', '.join(map(text_of, args))}]"
    return _name(hint)


def _name(hint: Any) -> str:
    return getattr(hint, "__qualname__", None) or getattr(hint, "__name__", None) or str(hint).replace("typing.", "")
