"""Watch mode: load the api folder anew when a file in it changes, without dropping a connection."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from pathlib import Path

from watchfiles import PythonFilter, awatch

from ..errors import LoadError
from ..loader import STARTUP, Registry
from .worker import Worker

logger = logging.getLogger("isomor")


async def watch(folder: Path, worker: Worker, load: Callable[[], Registry], restart: Callable[[], None]) -> None:
    """Swap in what changed, once all of it loads; keep the last good version while it does not. Runs for ever.

    Args:
        folder: the api folder.
        worker: whose functions are replaced.
        load: loads the folder anew.
        restart: called where startup has changed, which is run once in a process's life.
    """
    root = Path(os.path.realpath(folder))  # noqa: ASYNC240 - once, before anything is served
    async for changes in awatch(root, watch_filter=PythonFilter()):
        paths = [Path(path) for _, path in changes]
        names = sorted({str(path.relative_to(root)) for path in paths if path.is_relative_to(root)})
        if any(name == f"{STARTUP}.py" or name.startswith(f"{STARTUP}/") for name in names):
            logger.info("%s changed: restarting", ", ".join(names))
            restart()
            return
        try:
            registry = load()
        except LoadError as error:
            logger.error("%s changed, and the last good version is kept:\n%s", ", ".join(names), error)
            continue
        worker.calls.registry = registry
        logger.info("%s changed: %d functions are served", ", ".join(names), len(registry.functions))
