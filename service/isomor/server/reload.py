"""Watch mode: load the api folder anew when a file in it changes, without dropping a connection."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

from watchfiles import PythonFilter, awatch

from ..client.build import build
from ..config import Config
from ..errors import LoadError
from ..loader import Registry
from .worker import Worker

logger = logging.getLogger("isomor")

# Loads the folder anew; with a registry, what its startup has prepared stays.
Load = Callable[[Registry | None], Registry]


async def watch(
    folder: Path,
    worker: Worker,
    load: Load,
    restart: Callable[[], None],
    hushed: Callable[[], AbstractContextManager[None]],
) -> None:
    """Swap in what changed, once all of it loads; keep the last good version while it does not. Runs for ever.

    Args:
        folder: the api folder.
        worker: whose functions are replaced.
        load: loads the folder anew.
        restart: called where startup, or what it has imported, has changed: startup is run once in a process's life.
        hushed: entered while modules are loaded, which blocks the loop: nobody is to be blamed for that.
    """
    with hushed():
        rebuild(worker.calls.registry, worker.config)
    root = Path(os.path.realpath(folder))  # noqa: ASYNC240 - once, before anything is served
    async for changes in awatch(root, watch_filter=PythonFilter()):
        paths = [Path(path) for _, path in changes]
        names = ", ".join(sorted(str(path.relative_to(root)) for path in paths if path.is_relative_to(root)))
        anew = _needs_restart(paths, worker.calls.registry, root)
        try:
            with hushed():
                registry = load(None if anew else worker.calls.registry)
        except LoadError as error:
            logger.error("%s changed, and the last good version is kept:", names)
            for fault in error.faults:
                logger.error("  %s", fault)
            continue
        if anew:
            logger.info("%s changed: restarting", names)
            restart()
            return
        worker.calls.registry = registry
        with hushed():
            rebuild(registry, worker.config)
        logger.info("%s changed: %d functions are served", names, len(registry.functions))


def rebuild(registry: Registry, config: Config) -> None:
    """Write the client anew where it has been built before, so that a development server of the front end sees it."""
    folder = config.client.folder
    if not config.client.enabled or not folder.is_dir():
        return
    try:
        built = build(registry, config, folder)
    except (LoadError, OSError) as error:
        logger.error("the client in %s could not be written: %s", folder, error)
        return
    if built.changed:
        logger.info("the client in %s is written anew: %d files changed", folder, len(built.changed))


def _needs_restart(paths: list[Path], registry: Registry, root: Path) -> bool:
    prepared = {
        os.path.realpath(file)
        for name in registry.startup_modules
        if (file := getattr(registry.modules.get(name), "__file__", None))
    }
    startup = {str(root / "startup.py"), str(root / "startup" / "__init__.py")}
    return any(os.path.realpath(path) in prepared | startup for path in paths)
