"""What in a value has no form in JSON, and where: `items[3].price: Decimal NaN`. Nothing of its content is told.

A mapping's keys are content too, such as names of users: where one leads is told by its place, `result[key 0]`.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Iterable, Mapping, Sequence, Set
from decimal import Decimal
from enum import Enum
from typing import Any, Final

# An encoder: raises for what it cannot encode.
Check = Callable[[Any], object]

_DEEPEST: Final = 200


class Unsendable(TypeError, ValueError):
    """A result or a payload has no form in JSON. The message names the type of what is wrong, and where it stands."""


def explain(value: Any, error: Exception, check: Check, root: str) -> Unsendable:
    """The error that says what `check` has refused in `value`, and where; `root` is what the value is called."""
    try:
        path, what = _find(value, check, root)
    except Exception:  # whatever user code's own types raise when they are looked at
        path, what = root, _type(value)
    return Unsendable(f"{path}: {what} has no form in JSON{_advice(what, error)}")


def code_of_the_users(error: Unsendable) -> BaseException | None:
    """What user code, such as a serializer of a model, has raised on the way; None where encoding itself refused."""
    cause = error.__cause__
    trace = cause.__traceback__ if cause is not None else None
    while trace is not None:
        if not trace.tb_frame.f_globals.get("__name__", "").startswith("isomor."):
            return cause
        trace = trace.tb_next
    return None


def _find(value: Any, check: Check, path: str) -> tuple[str, str]:
    """Go down to the innermost part that fails."""
    root, above = path, dict[int, str]()
    while len(above) < _DEEPEST:
        if id(value) in above:
            return path, f"a circle ({_type(value)} within itself: it is {above[id(value)]} too)"
        above[id(value)] = path
        if isinstance(value, Mapping) and (key := _first_bad(list(value), lambda keys: check(dict.fromkeys(keys)))):
            return f"a key of {path}", _leaf(key[1])
        try:
            step, parts = _parts(value)
        except Exception:  # whatever user code's own types raise
            return path, _leaf(value)
        found = _first_bad(parts, check)
        if found is None:
            # What fails as a whole, and in none of its parts, goes deeper than encoders do, or has code of its own.
            deep = isinstance(_failure(value, check), RecursionError)
            return (root, f"{_type(value)}, nested too deeply,") if deep else (path, _leaf(value))
        if isinstance(value, Set):
            inner, what = _find(found[1], check, "")
            return path, f"{_type(value)} of {what}" if not inner else f"{_type(value)} of {_type(found[1])}"
        path += step(found[0])
        value = found[1]
    return root, f"{_type(value)}, nested too deeply,"


def _first_bad(parts: Sequence[Any], check: Check) -> tuple[int, Any] | None:
    """The first of `parts` that `check` refuses and its index, found by halving: there may be millions."""
    if not parts or _failure(list(parts), check) is None:
        return None
    low, high = 0, len(parts)
    while high - low > 1:
        middle = (low + high) // 2
        if _failure(list(parts[low:middle]), check) is not None:
            high = middle
        else:
            low = middle
    return low, parts[low]


def _failure(value: Any, check: Check) -> Exception | None:
    try:
        check(value)
    except Exception as error:
        return error
    return None


def _parts(value: Any) -> tuple[Callable[[int], str], Sequence[Any]]:
    """What `value` is made of, and the step to each part: `.field`, `[index]` or `[key place]`."""
    if isinstance(value, str | bytes | bytearray | memoryview | Enum):
        return _index, ()
    if isinstance(value, Mapping):
        return "[key {}]".format, list(value.values())
    fields = _fields(value)
    if fields:
        return lambda number: f".{fields[number]}", [getattr(value, name) for name in fields]
    if isinstance(value, Sequence | Set):
        return _index, list(value)
    return _index, ()


def _index(number: int) -> str:
    return f"[{number}]"


def _fields(value: Any) -> list[str]:
    kind = type(value)
    if isinstance(value, type):
        return []
    if dataclasses.is_dataclass(value):
        return [field.name for field in dataclasses.fields(value)]
    names: Iterable[str] = (
        getattr(kind, "__struct_fields__", ())  # msgspec
        or getattr(kind, "__pydantic_fields__", ())
        or [field.name for field in getattr(kind, "__attrs_attrs__", ())]
    )
    return list(names)


def _type(value: Any) -> str:
    kind = type(value)
    return kind.__qualname__ if kind.__module__ in ("builtins", "decimal") else f"{kind.__module__}.{kind.__qualname__}"


def _leaf(value: Any) -> str:
    # By their own classes: what a subclass of the user's makes of itself is content.
    if isinstance(value, float) and not math.isfinite(value):
        return f"{_type(value)} {float.__repr__(value)}"
    if isinstance(value, Decimal) and not Decimal.is_finite(value):  # a NaN may carry digits
        return f"{_type(value)} {'NaN' if Decimal.is_nan(value) else Decimal.__str__(value)}"
    if isinstance(value, str):
        return "str with a lone surrogate"
    if isinstance(value, type):
        return f"the class {value.__qualname__} itself"
    return _type(value)


def _advice(what: str, error: Exception) -> str:
    if what.lower().endswith(("nan", "infinity", "inf")):
        return ", nor has any NaN or infinity; return None in its place"
    if what.endswith(("coroutine", "async_generator", "generator")):
        return "; return what it gives: await it, or make a list of it"
    if isinstance(error, UnicodeError):
        return '; clean it by .encode(errors="replace").decode()'
    if isinstance(error, (TypeError, ValueError, RecursionError)):
        return ""
    return f" ({type(error).__name__} was raised on the way)"
