"""Log lines that may come in floods: a few of each kind are written, the others counted and told later."""

from __future__ import annotations

import logging
import time
from typing import Final

_LINES: Final = 5
_WINDOW_SECONDS: Final = 10.0


class Notices:
    """For each kind of line: at most five in ten seconds; how many were left out is said with the next one."""

    def __init__(self, log: logging.Logger) -> None:
        self._log = log
        self._windows: dict[str, list[float]] = {}  # kind → [start, lines written, lines left out]

    def __call__(self, level: int, kind: str, message: str, *args: object) -> None:
        """Write the line, or count it. `kind` is one of a few words, named by the program."""
        now = time.monotonic()
        window = self._windows.setdefault(kind, [now, 0, 0])
        if now - window[0] > _WINDOW_SECONDS:
            self._tell(kind, window)
            window[:] = [now, 0, 0]
        if window[1] < _LINES:
            window[1] += 1
            self._log.log(level, message, *args)
        else:
            window[2] += 1

    def flush(self) -> None:
        """Say what has been left out so far."""
        for kind, window in self._windows.items():
            self._tell(kind, window)
        self._windows.clear()

    def _tell(self, kind: str, window: list[float]) -> None:
        if window[2]:
            self._log.warning("%s: %d more lines like these were left out", kind, window[2])
