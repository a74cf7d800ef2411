"""Every error that a caller, an operator or a client can meet, and every WebSocket close code.

The table of codes is a contract (docs/errors.md): clients tell errors apart by `code`, never by message.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import IntEnum
from typing import Any, Final

# code → HTTP status. The WebSocket carries the same number as `status`.
STATUS: Final[dict[str, int]] = {
    "ERROR": 400,
    "BAD_MESSAGE": 400,
    "INVALID_ARGS": 422,
    "NOT_FOUND": 404,
    "METHOD_NOT_ALLOWED": 405,
    "UNSUPPORTED_MEDIA_TYPE": 415,
    "UPGRADE_REQUIRED": 426,
    "HTTP_REQUIRED": 400,
    "FORBIDDEN": 403,
    "REQUEST_TIMEOUT": 408,
    "TOO_LARGE": 413,
    "HEADERS_TOO_LARGE": 431,
    "TOO_MANY_CALLS": 429,
    "TOO_MANY_TOPICS": 429,
    "TOO_MANY_TASKS": 429,
    "TIMEOUT": 504,
    "CANCELLED": 499,
    "OUTDATED_CLIENT": 409,
    "UNAVAILABLE": 503,
    "INTERNAL": 500,
}


class CloseCode(IntEnum):
    """WebSocket close codes that this server sends (RFC 6455 section 7.4.1; 4000 and up are our own).

    Come back after GOING_AWAY, SERVICE_RESTART and TOO_SLOW (with jitter), after IDLE at the next call;
    the others are the client's fault, and the same connection would meet the same end again.
    """

    OK = 1000
    GOING_AWAY = 1001
    PROTOCOL_ERROR = 1002
    UNSUPPORTED_DATA = 1003
    INVALID_TEXT = 1007
    POLICY_VIOLATION = 1008
    MESSAGE_TOO_BIG = 1009
    INTERNAL_ERROR = 1011
    SERVICE_RESTART = 1012
    IDLE = 4000
    TOO_SLOW = 4008


class IsomorError(Exception):
    """The root of everything that this package raises on purpose."""


class ApiError(IsomorError):
    """An answer that is an error. Raised by a function or a hook, it reaches the client as it is.

    Args:
        message: what the client is told, as `error` (HTTP) or `payload` (WebSocket).
        code: how the client tells errors apart; any string, by custom upper case with underscores.
        status: the HTTP status, 400 to 599.
        details: any JSON value, such as a list of faults with the field of each.

    Raises:
        ValueError: if `status` is not a whole number from 400 to 599.
    """

    def __init__(self, message: str, code: str = "ERROR", status: int = 400, details: Any = None) -> None:
        if type(status) is not int or not 400 <= status <= 599:
            raise ValueError(f"ApiError status={status!r}: an error's status is a whole number from 400 to 599")
        super().__init__(message)
        # Whatever was given, an answer can be made of it: an error that cannot be told would be no answer at all.
        self.message = _sendable(message)
        self.code = _sendable(code)
        self.status = status
        self.details = details
        self.error_id: str | None = None
        self.limit: str | None = None  # the setting whose limit was met, for the metrics

    @classmethod
    def over(cls, limit: str, code: str, message: str) -> ApiError:
        """An error of the table above: what was asked for is over `limit`, a setting of docs/limits.md."""
        error = cls.of(code, message)
        error.limit = limit
        return error

    @classmethod
    def of(cls, code: str, message: str, details: Any = None) -> ApiError:
        """An error of the table above, with its status."""
        return cls(message, code, STATUS[code], details)


def _sendable(text: object) -> str:
    return str(text).encode(errors="replace").decode()


class ConnectionClosed(IsomorError):
    """The WebSocket that was to get a push is gone. Nothing was sent, to it or to anyone else."""


class BusUnavailable(IsomorError):
    """A push could not be handed to Redis within `redis.outage_buffer_seconds`, or the buffer is full.

    It may still have been delivered where the connection broke after Redis had it, before Redis had said so.
    """


class ConfigError(IsomorError):
    """The configuration cannot be used. `faults` lists every fault, one line each: key, value, why, and the fix."""

    def __init__(self, faults: Sequence[str]) -> None:
        super().__init__("\n".join(faults))
        self.faults = list(faults)


class LoadError(IsomorError):
    """The api folder cannot be served. `faults` lists every fault, one line each: file, function, parameter, fix."""

    def __init__(self, faults: Sequence[str]) -> None:
        super().__init__("\n".join(faults))
        self.faults = list(faults)


class StartupError(IsomorError):
    """`startup(app)` of the api folder failed; the message names file, line and reason."""
