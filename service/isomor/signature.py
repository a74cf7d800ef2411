"""Reading a function's signature: its arguments on the wire, its context, and all that is wrong with it."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from . import hints
from .context import Context, HttpContext, WsContext

Transport = Literal["http", "ws"]


@dataclass(frozen=True, slots=True)
class Param:
    """An argument on the wire; `default` means something where it is not required, and is empty for `*args`."""

    name: str
    hint: Any
    required: bool
    default: Any = inspect.Parameter.empty


class Signature:
    """One reading of a function's signature. `faults` says all that is wrong with it."""

    def __init__(self, target: Callable[..., Any], namespace: dict[str, Any]) -> None:
        self.faults: list[str] = []
        self.params: list[Param] = []
        self.rest: Param | None = None
        self.returns: Any = Any
        self.requires: Transport | None = None
        self.accepts: set[str] | None = None
        self.context_at: int | None = None
        self.context_name = ""
        self._bound = target.keywords if isinstance(target, functools.partial) else {}
        generator = inspect.isasyncgenfunction(target) or inspect.isgeneratorfunction(target)
        if generator:
            self.faults.append("it is a generator (it yields); return a list, or push items with `ctx.push`")
        try:
            known = hints.resolve(target, namespace)
            parameters = list(inspect.signature(target).parameters.values())
        except Exception as error:
            said = f"{type(error).__name__}: {error}"
            self.faults.append(f"its type hints cannot be read ({said}); import what they name")
            return
        for parameter in parameters:
            self._read(parameter, known.get(parameter.name, inspect.Parameter.empty))
        returns = known.get("return", Any)
        if not generator and returns is not type(None):  # a generator's result is an iterator, as its hint says
            why = hints.refusal(hints.wire_type(returns), decoded=False)
            if why:
                self.faults.append(f"its result: {why}")
        self.returns = hints.wire_type(returns)

    def _read(self, parameter: inspect.Parameter, hint: Any) -> None:
        name = parameter.name
        kinds = inspect.Parameter
        if (contexts := hints.context_types(hint)) is not None and parameter.kind not in (
            kinds.VAR_POSITIONAL,
            kinds.VAR_KEYWORD,
        ):
            self._read_context(parameter, contexts)
            return
        if parameter.kind is kinds.VAR_KEYWORD:
            self.faults.append(f"parameter **{name}: arguments are positional; take a dict or a dataclass instead")
            return
        if parameter.kind is kinds.KEYWORD_ONLY and name in self._bound:
            return  # by functools.partial
        if parameter.kind is kinds.KEYWORD_ONLY:
            self.faults.append(f"parameter {name} is keyword-only, and arguments are positional; move it before the *")
            return
        hint = hints.wire_type(hint)
        if why := hints.refusal(hint, decoded=True):
            self.faults.append(f"parameter {name}: {why}")
            return
        if parameter.kind is kinds.VAR_POSITIONAL:
            self.rest = Param(name, hint, required=False)
            return
        self.params.append(Param(name, hint, parameter.default is kinds.empty, parameter.default))

    def _read_context(self, parameter: inspect.Parameter, contexts: set[type]) -> None:
        if self.context_at is not None:
            self.faults.append(
                f"parameter {parameter.name} is a second context; take one, typed `Context` for either transport"
            )
            return
        self.context_name = parameter.name
        self.context_at = -1 if parameter.kind is inspect.Parameter.KEYWORD_ONLY else len(self.params)
        either = Context in contexts
        self.accepts = set()
        if either or HttpContext in contexts:
            self.accepts.add("http")
        if either or WsContext in contexts:
            self.accepts.add("ws")
        if len(self.accepts) == 1 and type(None) not in contexts and parameter.default is not None:
            self.requires = "http" if "http" in self.accepts else "ws"
