"""Logging: one line each, as text or JSON, to standard error. Never payloads, cookies or secrets.

Whatever is logged, by user code and libraries too, passes here: secrets are hidden, and nothing forges a line.
"""

from __future__ import annotations

import json
import logging
import sys
import threading
import time
from collections.abc import Iterable
from typing import Any, Final, TextIO

from .hiding import Secrets

logger = logging.getLogger("isomor")

_LEVELS: Final = {"debug": logging.DEBUG, "info": logging.INFO, "warning": logging.WARNING, "error": logging.ERROR}

# What `extra` may bring into a JSON line.
_EXTRAS: Final = ("call", "transport", "code")


_secrets = Secrets()


def hide(text: str) -> str:
    """`text` without the secrets of the settings, and of any URL in it."""
    return _secrets.hide(text)


# What one message and one traceback may have of characters: a text of an exception may be anything, and have any size.
_LONGEST: Final = 32_000


def _bounded(text: str, most: int = _LONGEST) -> str:
    """`text`, without its middle where it is too long."""
    if len(text) <= most:
        return text
    half = most // 2
    return f"{text[:half]}\n… {len(text) - 2 * half} characters were left out …\n{text[-half:]}"


def _shown(text: str) -> str:
    """As much of `text` as a log may have, without secrets."""
    # What is far too long is cut before it is searched too, and farther in: no secret is cut where it can be seen.
    return _bounded(hide(_bounded(text, 4 * _LONGEST)))


def one_line(text: str) -> str:
    """`text` with what could forge a line, or drive a terminal, shown as it would be written in Python."""
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in text)


def _indented(text: str) -> str:
    # So that no text of an exception looks like a line of the log's own.
    return "\n".join(f"    {one_line(line)}" for line in _shown(text).splitlines())


class TextFormatter(logging.Formatter):
    """`2026-11-24 10:00:00 INFO message`, a traceback below where there is one."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)-7s %(message)s", "%Y-%m-%d %H:%M:%S")

    def format(self, record: logging.LogRecord) -> str:
        record.message = one_line(_shown(record.getMessage()))
        record.asctime = self.formatTime(record, self.datefmt)
        parts = [self.formatMessage(record)]
        if record.exc_info:
            parts.append(_indented(self.formatException(record.exc_info)))
        if record.stack_info:
            parts.append(_indented(record.stack_info))
        return "\n".join(parts)


class JsonFormatter(logging.Formatter):
    """An object a line: time (UTC), level, logger, message, and traceback where there is one."""

    def format(self, record: logging.LogRecord) -> str:
        moment = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
        line: dict[str, Any] = {
            "time": f"{moment}.{int(record.msecs):03d}Z",
            "level": record.levelname.lower(),
            "logger": _shown(record.name),
            "message": _shown(record.getMessage()),
        }
        for name in _EXTRAS:
            if hasattr(record, name):
                value = getattr(record, name)
                line[name] = value if value is None or isinstance(value, int) else _shown(str(value))
        if record.exc_info:
            line["traceback"] = _shown(self.formatException(record.exc_info))
        if record.stack_info:
            line["stack"] = _shown(record.stack_info)
        text = json.dumps(line, ensure_ascii=False)
        # What ends a line or drives a terminal to some readers: U+0085, U+2028, those that turn the text around.
        return text if text.isprintable() else "".join(c if c.isprintable() else json.dumps(c)[1:-1] for c in text)


class _Handler(logging.StreamHandler[TextIO]):
    """A record that cannot be formatted, by user code that gives the wrong arguments, is told without them."""

    def format(self, record: logging.LogRecord) -> str:
        try:
            return super().format(record)
        except Exception as error:
            said = f"{record.pathname}:{record.lineno} logs what cannot be formatted: {type(error).__name__}"
            plain = logging.LogRecord(record.name, record.levelno, record.pathname, record.lineno, said, (), None)
            return super().format(plain)


def set_up(level: str, form: str, secrets: Iterable[str] = ()) -> None:
    """Send the records of everything in this process to standard error.

    Args:
        level: `debug`, `info`, `warning` or `error`, for isomor and user code; libraries speak from warning on.
        form: `text` or `json`.
        secrets: what no record may show, whoever writes it.
    """
    global _secrets
    _secrets = Secrets(secrets)
    handler = _Handler(sys.stderr)
    handler.setFormatter(JsonFormatter() if form == "json" else TextFormatter())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(_LEVELS[level])
    logging.captureWarnings(True)
    for noisy in ("sanic", "asyncio", "watchfiles", "httpx", "httpcore", "urllib3"):
        logging.getLogger(noisy).setLevel(max(logging.WARNING, _LEVELS[level]))


def catch_uncaught() -> None:
    """Log what nobody has caught, in threads and finalizers too: Python would print it as it is."""

    def in_process(kind: type[BaseException], error: BaseException, trace: Any) -> None:
        if issubclass(kind, KeyboardInterrupt):
            sys.__excepthook__(kind, error, trace)
        else:
            logger.critical("the process ends by an exception", exc_info=(kind, error, trace))

    def in_thread(args: threading.ExceptHookArgs) -> None:
        if not issubclass(args.exc_type, SystemExit):
            name = args.thread.name if args.thread is not None else "that is gone"
            logger.error("a thread has failed: %s", name, exc_info=args.exc_value)

    def in_finalizer(args: Any) -> None:
        logger.error("%s: %r", args.err_msg or "Exception ignored in", args.object, exc_info=args.exc_value)

    sys.excepthook, threading.excepthook, sys.unraisablehook = in_process, in_thread, in_finalizer
