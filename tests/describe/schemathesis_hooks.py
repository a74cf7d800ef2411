"""What schemathesis is told before it calls."""

from __future__ import annotations

from typing import Any

import schemathesis


def whole(value: Any) -> Any:
    """The same with whole numbers as integers.

    To JSON Schema `3.0` is an integer, to isomor it is none: the one thing that no schema can say.
    """
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, list):
        return [whole(item) for item in value]
    if isinstance(value, dict):
        return {key: whole(item) for key, item in value.items()}
    return value


@schemathesis.hook
def before_call(context: Any, case: Any, kwargs: Any) -> None:
    """Every body that it has made."""
    if isinstance(case.body, dict | list):
        case.body = whole(case.body)
