"""Logging: one line each, as text or JSON, to standard error. Never payloads, cookies or secrets."""

from __future__ import annotations

import json
import logging
import sys
import time
from typing import Any, Final

_LEVELS: Final = {"debug": logging.DEBUG, "info": logging.INFO, "warning": logging.WARNING, "error": logging.ERROR}

# What `extra` may bring into a JSON line.
_EXTRAS: Final = ("call", "transport", "code")


# What one message and one traceback may have of characters: a text of an exception may be anything, and have any size.
_LONGEST: Final = 32_000


def _bounded(text: str) -> str:
    """`text`, without its middle where it is too long."""
    if len(text) <= _LONGEST:
        return text
    half = _LONGEST // 2
    return f"{text[:half]}\n… {len(text) - 2 * half} characters were left out …\n{text[-half:]}"


def _one_line(text: str) -> str:
    """`text` with what could forge a line, or drive a terminal, shown as it would be written in Python."""
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in text)


class TextFormatter(logging.Formatter):
    """`2026-11-24 10:00:00 INFO message`, a traceback below where there is one."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)-7s %(message)s", "%Y-%m-%d %H:%M:%S")

    def formatException(self, ei: Any) -> str:  # noqa: N802
        # Indented, so that no text of an exception looks like a line of the log's own.
        return "\n".join(f"    {_one_line(line)}" for line in _bounded(super().formatException(ei)).splitlines())

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802
        record.message = _one_line(_bounded(record.message))
        return super().formatMessage(record)


class JsonFormatter(logging.Formatter):
    """An object a line: time (UTC), level, logger, message, and traceback where there is one."""

    def format(self, record: logging.LogRecord) -> str:
        moment = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
        line = {
            "time": f"{moment}.{int(record.msecs):03d}Z",
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": _bounded(record.getMessage()),
        }
        line |= {name: getattr(record, name) for name in _EXTRAS if hasattr(record, name)}
        if record.exc_info:
            line["traceback"] = _bounded(self.formatException(record.exc_info))
        return json.dumps(line, ensure_ascii=False)


def set_up(level: str, form: str) -> None:
    """Send the records of everything in this process to standard error.

    Args:
        level: `debug`, `info`, `warning` or `error`, for isomor and user code; libraries speak from warning on.
        form: `text` or `json`.
    """
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonFormatter() if form == "json" else TextFormatter())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(_LEVELS[level])
    logging.captureWarnings(True)
    for noisy in ("sanic", "asyncio", "watchfiles", "httpx", "httpcore", "urllib3"):
        logging.getLogger(noisy).setLevel(max(logging.WARNING, _LEVELS[level]))
