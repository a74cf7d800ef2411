"""The page on which every function can be tried, `/console`: files of the package, on the client that is served."""

from __future__ import annotations

import logging
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import Final

from sanic import HTTPResponse, Request
from sanic_routing.exceptions import RouteExists

from ..client.runtime import runtime_files
from ..errors import ApiError
from .http import error_response
from .pages import shipped
from .worker import App

logger = logging.getLogger("isomor")

PATH: Final = "/console"

_TYPES: Final = {
    "html": "text/html; charset=utf-8",
    "js": "text/javascript; charset=utf-8",
    "css": "text/css; charset=utf-8",
    "svg": "image/svg+xml",
}
# What answers are made of comes from functions: nothing of it ever runs, and nothing leaves this server.
_POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
    "require-trusted-types-for 'script'; trusted-types 'none'"
)
_INDEX: Final = "index.html"
_CLIENT: Final = b"/isomor/client/isomor/"


def mount_console(app: App, *, client: bool) -> None:
    """Add the page, unless the user has a route of its name.

    Args:
        app: what it is added to.
        client: whether the client is served; where it is not, the page brings the runtime along.
    """
    page = _Page(client)
    methods = ["GET", "HEAD"]
    try:
        app.add_route(page.index, PATH, methods=methods, name="isomor_console")
        app.add_route(page.file, f"{PATH}/<path:path>", methods=methods, name="isomor_console_file")
    except RouteExists:
        logger.info("%s is a route of startup, so ours is not served; docs.enabled: false says that it need not", PATH)


class _Page:
    def __init__(self, client: bool) -> None:
        self._files = dict(_walk(files("isomor").joinpath("console")))
        if not client:
            self._files |= {f"client/{name}": content for name, content in runtime_files().items()}
            self._files["runtime.js"] = self._files["runtime.js"].replace(_CLIENT, f"{PATH}/client/".encode())

    async def index(self, request: Request) -> HTTPResponse:
        """The page itself."""
        return self._answer(request, _INDEX)

    async def file(self, request: Request, path: str) -> HTTPResponse:
        """What the page consists of."""
        return self._answer(request, path)

    def _answer(self, request: Request, name: str) -> HTTPResponse:
        content, kind = self._files.get(name), _TYPES.get(name.rpartition(".")[2])
        if content is None or kind is None:
            return error_response(ApiError.of("NOT_FOUND", "There is no such file of the console."))
        policies = {"content-security-policy": _POLICY, "referrer-policy": "no-referrer"}
        return shipped(request, content, kind, policies if name == _INDEX else None)


def _walk(folder: Traversable, prefix: str = "") -> list[tuple[str, bytes]]:
    found = []
    for entry in folder.iterdir():
        if entry.is_dir():
            found += _walk(entry, f"{prefix}{entry.name}/")
        elif entry.name.rpartition(".")[2] in _TYPES:
            found.append((prefix + entry.name, entry.read_bytes()))
    return found
