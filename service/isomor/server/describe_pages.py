"""What describes the functions: the documents for OpenAPI and AsyncAPI, and Swagger UI, which shows the first.

    /api-docs                   Swagger UI
    /api-docs/openapi.json      the functions over HTTP
    /api-docs/asyncapi.json     the WebSocket

Documents are made when they are first asked for, in a thread, and once for each registry.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from importlib.resources import files
from typing import Final
from urllib.parse import urlsplit

from sanic import HTTPResponse, Request
from sanic_routing.exceptions import RouteExists

from ..config import Config
from ..errors import ApiError
from ..loader import Registry
from .http import error_response
from .pages import shipped
from .worker import App, Worker

logger = logging.getLogger("isomor")

# Of functions that have none of their own. Ours would tell whoever looks which faults this server has.
_UNVERSIONED: Final = "0.0.0"

_ROOT: Final = "/api-docs"
_FILES: Final = {
    "": ("index.html", "text/html; charset=utf-8"),
    "setup.js": ("setup.js", "text/javascript; charset=utf-8"),
    "swagger-ui-bundle.js": ("swagger_ui/swagger-ui-bundle.js", "text/javascript; charset=utf-8"),
    "swagger-ui.css": ("swagger_ui/swagger-ui.css", "text/css; charset=utf-8"),
}
# Swagger UI writes styles into the page, and its images into its style sheet; its scripts are files, and ours alone.
_POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "connect-src {connect}; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)


def mount_describe(app: App, worker_of: Callable[[], Worker]) -> None:
    """Add the routes, unless the user has some of that name; `worker_of()` is the worker, once there is one."""
    pages = _Pages(worker_of)
    methods = ["GET", "HEAD"]
    try:
        app.add_route(pages.index, _ROOT, methods=methods, name="isomor_docs")
        app.add_route(pages.file, f"{_ROOT}/<name:str>", methods=methods, name="isomor_docs_file")
    except RouteExists:
        logger.info("%s is a route of startup, so ours is not served; docs.enabled: false says that it need not", _ROOT)


class _Pages:
    def __init__(self, worker_of: Callable[[], Worker]) -> None:
        self._worker_of = worker_of
        self._documents = Documents()

    async def index(self, request: Request) -> HTTPResponse:
        """Swagger UI."""
        return self._file(request, "")

    async def file(self, request: Request, name: str) -> HTTPResponse:
        """A document, or a file of Swagger UI."""
        if name in DOCUMENTS:
            worker = self._worker_of()
            content = await self._documents.get(name, worker.calls.registry, worker.config)
            return shipped(request, content, "application/json")
        return self._file(request, name)

    def _file(self, request: Request, name: str) -> HTTPResponse:
        if name not in _FILES:
            return error_response(ApiError.of("NOT_FOUND", "There is no such page."))
        path, kind = _FILES[name]
        content = files("isomor").joinpath("describe", *path.split("/")).read_bytes()
        headers = {}
        if not name:
            elsewhere = urlsplit(self._worker_of().config.client.http_base_url or "")
            origin = [f"{elsewhere.scheme}://{elsewhere.netloc}"] if elsewhere.netloc else []  # a path would be exact
            headers["content-security-policy"] = _POLICY.format(connect=" ".join(["'self'", *origin]))
            headers["referrer-policy"] = "no-referrer"
        return shipped(request, content, kind, headers)


def _openapi(registry: Registry, config: Config) -> bytes:
    from ..describe.openapi import openapi  # not before it is asked for: the server starts without

    return openapi(registry, config, _UNVERSIONED)


def _asyncapi(registry: Registry, config: Config) -> bytes:
    from ..describe.asyncapi import asyncapi

    return asyncapi(registry, config, _UNVERSIONED)


DOCUMENTS: Final[dict[str, Callable[[Registry, Config], bytes]]] = {
    "openapi.json": _openapi,
    "asyncapi.json": _asyncapi,
}


class Documents:
    """The documents of the registry that was asked for last, each made once."""

    def __init__(self) -> None:
        self._registry: Registry | None = None
        self._made: dict[str, asyncio.Task[bytes]] = {}

    async def get(self, name: str, registry: Registry, config: Config) -> bytes:
        """A document; whoever asks while it is made waits for the same one.

        Raises:
            Exception: whatever reading the user's types raises; it is tried anew the next time.
        """
        if self._registry is not registry:
            self._registry, self._made = registry, {}
        made = self._made
        if name not in made:
            making = asyncio.to_thread(DOCUMENTS[name], registry, config)
            made[name] = asyncio.create_task(making, name=f"isomor {name}")
        try:
            return await asyncio.shield(made[name])
        except Exception:  # whatever it was, the next who asks may fare better
            made.pop(name, None)
            raise
