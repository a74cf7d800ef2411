"""Fixtures for every test: servers that are torn down, and nothing that leaks."""

from __future__ import annotations

import gc
import logging
import os
import shutil
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

pytest.register_assert_rewrite("harness", "visitor")

from harness import Server, wait_until  # noqa: E402

if TYPE_CHECKING:
    from playwright.sync_api import Browser

Serve = Callable[..., Server]


# What takes longest begins first: of processes that test side by side, none is left with it in the end.
LONGEST = (
    *("test_console", "test_openapi", "test_gone_wrong", "test_demo", "test_plain_calls", "test_wire"),
    *("test_describe", "test_push", "test_client_runtime", "test_deployment_docs", "test_generate", "test_lifecycle"),
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: LONGEST.index(item.path.stem) if item.path.stem in LONGEST else len(LONGEST))


def pytest_deselected(items: list[pytest.Item]) -> None:
    output = getattr(items[0].config, "workeroutput", {})  # of one process of several
    output["deselected"] = output.get("deselected", 0) + len(items)


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    """The last line says how many tests were deselected, as where there is one process. xdist does not tell it."""
    if node.gateway.id == "gw0" and (count := getattr(node, "workeroutput", {}).get("deselected")):
        reporter = node.config.pluginmanager.get_plugin("terminalreporter")
        reporter.stats["deselected"] = [SimpleNamespace() for _ in range(count)]


@pytest.fixture(scope="module", autouse=True)
def what_stays() -> None:
    """What is there before the tests of a module stays: the collections after each of them need not look at it."""
    gc.collect()
    gc.freeze()


def _factory(folders: pytest.TempPathFactory) -> Iterator[Serve]:
    with ExitStack() as stack:

        def serve(api: Any, *, start: bool = True, wait: bool = True, **options: Any) -> Server:
            server = Server(folders.mktemp("server"), api, **options)
            stack.callback(server.kill)  # whatever else fails
            if start:
                try:
                    server.start(wait)
                except BaseException:
                    server.http.close()
                    raise
            stack.callback(server.close)
            return server

        yield serve


@pytest.fixture
def serve(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serve]:
    """Start a server: `serve({"add.py": source}, env={…}, yaml=…)`. It ends with the test, in order.

    `start=False` only prepares it; `wait=False` does not wait until it is ready.
    """
    yield from _factory(tmp_path_factory)


@pytest.fixture(scope="module")
def serve_module(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serve]:
    """The same for a fixture of module scope: one server for many tests."""
    yield from _factory(tmp_path_factory)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Chromium, without a window: one for the tests of a module."""
    from playwright.sync_api import sync_playwright

    program = shutil.which("chromium")
    assert program, "chromium is needed: `make test-setup` installs it, or says how"
    options = ["--no-sandbox", "--disable-gpu", "--disable-software-rasterizer", "--disable-quic", "--no-first-run"]
    options += ["--disable-background-networking", "--disable-component-update", "--disable-sync"]
    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=program, args=options)
        yield running
        running.close()


class _Errors(logging.Handler):
    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.messages: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.messages.append(self.format(record))


def _sockets() -> set[str]:
    """The open sockets of this process (where the system can tell)."""
    found = set()
    for descriptor in Path("/proc/self/fd").glob("*"):
        try:
            target = os.readlink(descriptor)
        except OSError:
            continue
        if target.startswith("socket:"):
            found.add(target)
    return found


@pytest.fixture(autouse=True)
def nothing_leaks() -> Iterator[None]:
    """No thread and no socket of this process outlives its test, and no asyncio task is lost on the way.

    A pending task that nobody holds, and an exception that nobody read, are logged by asyncio as they are collected.
    """
    threads = set(threading.enumerate())
    sockets = _sockets()
    errors = _Errors()
    logger = logging.getLogger("asyncio")
    logger.addHandler(errors)
    try:
        yield
        gc.collect()
    finally:
        logger.removeHandler(errors)
    assert not errors.messages, f"asyncio logged: {errors.messages}"
    wait_until(lambda: set(threading.enumerate()) <= threads, "the test's threads to end", timeout=10)
    wait_until(lambda: _sockets() <= sockets, "the test's sockets to be closed", timeout=10)
