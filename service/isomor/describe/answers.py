"""The errors of docs/errors.md as documents tell of them: which may answer a call, with an example of each."""

from __future__ import annotations

from typing import Any, Final

from ..config import Config
from ..errors import STATUS
from ..functions import Function

# The schemas that documents share; no class has one of these names.
SHARED: Final[dict[str, Any]] = {
    "ApiError": {
        "title": "ApiError",
        "type": "object",
        "description": "An error in place of a result. Tell errors apart by `code`; messages are for people.",
        "properties": {
            "error": {"type": "string", "description": "What went wrong, for people."},
            "code": {"type": "string", "description": "What went wrong, for programs.", "examples": ["INVALID_ARGS"]},
            "details": {"description": "More of it; for INVALID_ARGS, every fault as an `ArgumentFault`."},
            "errorId": {"type": "string", "description": "Where the server's log tells the rest."},
        },
        "required": ["error", "code"],
        "additionalProperties": False,
    },
    "ArgumentFault": {
        "title": "ArgumentFault",
        "type": "object",
        "description": "One fault of the arguments.",
        "properties": {
            "param": {"type": ["string", "null"], "description": "The parameter; null: the arguments as a whole."},
            "path": {"type": "string", "description": "Where in it, such as `[0].name`; empty: itself."},
            "expected": {"type": "string"},
            "got": {"type": "string"},
            "message": {"type": "string"},
        },
        "required": ["param", "path", "expected", "got", "message"],
    },
}

# Codes that no call that is written by this document meets; each with why.
ELSEWHERE: Final = {
    "NOT_FOUND": "the function is there",
}

_WHEN: Final = {
    "ERROR": "The function raised `ApiError` without a code.",
    "BAD_MESSAGE": "It is not JSON, has not the right shape, or is nested too deeply.",
    "INVALID_ARGS": "The arguments do not fit; `details` lists every fault.",
    "METHOD_NOT_ALLOWED": "Arguments are to be sent by POST.",
    "UNSUPPORTED_MEDIA_TYPE": "The body is not JSON by its Content-Type.",
    "UPGRADE_REQUIRED": "The function needs a WebSocket.",
    "HTTP_REQUIRED": "The function needs an HTTP request.",
    "FORBIDDEN": "A browser on another site called.",
    "REQUEST_TIMEOUT": "It took longer to arrive than `server.request_timeout`.",
    "TOO_LARGE": "It is larger than `max_message_size`.",
    "HEADERS_TOO_LARGE": "The request's headers are too large.",
    "TOO_MANY_CALLS": "More calls per second than `max_calls_per_second`. Wait a moment, then call again.",
    "TOO_MANY_TOPICS": "The connection has joined `ws.max_topics` topics already.",
    "TOO_MANY_TASKS": "The connection has `ws.max_tasks` tasks already.",
    "TIMEOUT": "The call took too long, and was cancelled.",
    "CANCELLED": "The call was cancelled by its client.",
    "OUTDATED_CLIENT": "The arguments do not fit, and the client was made for another signature: `hash` says so.",
    "UNAVAILABLE": "The server is stopping or full, or a push could not be delivered. Call again.",
    "INTERNAL": "The function failed; the server's log tells more under `errorId`.",
}

_FAULT: Final = {
    "param": "age",
    "path": "",
    "expected": "int",
    "got": "str",
    "message": "age: expected int, got str",
}
_MORE: Final[dict[str, dict[str, Any]]] = {
    "INVALID_ARGS": {"details": [_FAULT]},
    "OUTDATED_CLIENT": {"details": [_FAULT]},
    "INTERNAL": {"errorId": "9f86d081884c7d65"},
}


def when(code: str) -> str:
    """When a code comes, in a sentence."""
    return _WHEN[code]


def example(code: str) -> dict[str, Any]:
    """An error's body over HTTP."""
    return {"error": _WHEN[code].replace("`", ""), "code": code, **_MORE.get(code, {})}


def codes_over_http(function: Function, config: Config, method: str) -> list[str]:
    """The codes of the table that a call of this function may be answered by, with POST or GET."""
    if function.requires == "ws":
        large = ["TOO_LARGE"] if method == "post" else []
        return ["FORBIDDEN", "REQUEST_TIMEOUT", *large, "UPGRADE_REQUIRED", "HEADERS_TOO_LARGE"]
    found = ["ERROR", "FORBIDDEN", "REQUEST_TIMEOUT", "HEADERS_TOO_LARGE", "INTERNAL", "UNAVAILABLE"]
    if config.call_timeout:
        found.append("TIMEOUT")
    if config.max_calls_per_second:
        found.append("TOO_MANY_CALLS")
    if method == "post":
        found += ["BAD_MESSAGE", "INVALID_ARGS", "OUTDATED_CLIENT", "TOO_LARGE", "UNSUPPORTED_MEDIA_TYPE"]
    elif function.cached is not None:
        found += ["BAD_MESSAGE", "INVALID_ARGS", "OUTDATED_CLIENT"]
    else:
        found.append("METHOD_NOT_ALLOWED")
    return sorted(found, key=list(STATUS).index)


def codes_over_ws(function: Function, config: Config) -> list[str]:
    """The codes of the table that a call of this function may be answered by over WebSocket."""
    if function.requires == "http":
        return ["HTTP_REQUIRED", "BAD_MESSAGE"]
    found = ["ERROR", "BAD_MESSAGE", "INVALID_ARGS", "CANCELLED", "OUTDATED_CLIENT", "UNAVAILABLE", "INTERNAL"]
    if config.max_calls_per_second:
        found.append("TOO_MANY_CALLS")
    if function.requires == "ws":
        found += ["TOO_MANY_TOPICS", "TOO_MANY_TASKS"]
    return [*found, *(["TIMEOUT"] if config.call_timeout else [])]
