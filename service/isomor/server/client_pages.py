"""The generated client, straight from the server: as ES modules for a page without a bundler, and as npm packages.

    import getUptime from '/isomor/client/get_uptime.js'          ES modules
    npm install http://localhost:3005/isomor/client.tgz           the packages `api` and `isomor`

A tarball's URL holds the hash of its content: what an npm lock file names never changes. `client.tgz` leads to the
newest.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import tarfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from sanic import HTTPResponse, Request

from ..client.generate import generate, runtime_files
from ..errors import ApiError
from ..loader import Registry
from .http import error_response
from .pages import shipped
from .worker import App, Worker

_MODULES: Final = "/isomor/client"
_RUNTIME: Final = f"{_MODULES}/isomor"
_TYPES: Final = {"js": "text/javascript; charset=utf-8", "json": "application/json"}


def mount_client(app: App, worker_of: Callable[[], Worker]) -> None:
    """Add the routes; `worker_of()` is the worker, once there is one."""
    pages = _Pages(worker_of)
    methods = ["GET", "HEAD"]
    app.add_route(pages.newest, "/isomor/client.tgz", methods=methods, name="isomor_client_newest")
    app.add_route(pages.file, f"{_MODULES}/<path:path>", methods=methods, name="isomor_client")


@dataclass(frozen=True, slots=True)
class _Made:
    """All that is served for one registry: the modules by path, and for a base URL the tarballs."""

    registry: Registry
    modules: Mapping[str, bytes]
    tarballs: dict[str, dict[str, bytes]]


class _Pages:
    def __init__(self, worker_of: Callable[[], Worker]) -> None:
        self._worker_of = worker_of
        self._made: _Made | None = None

    async def newest(self, request: Request) -> HTTPResponse:
        """Leads to the newest tarball of the functions."""
        name = next(name for name in self._tarballs(request) if not name.startswith("isomor-"))
        return HTTPResponse(status=302, headers={"location": f"{_MODULES}/{name}", "cache-control": "no-store"})

    async def file(self, request: Request, path: str) -> HTTPResponse:
        """A module, a file of the runtime, or a tarball."""
        if path.endswith(".tgz"):
            return self._tarball(request, path)
        content = self._current().modules.get(path)
        kind = _TYPES.get(path.rpartition(".")[2])
        if content is None or kind is None:
            return error_response(ApiError.of("NOT_FOUND", "There is no such file of the client."))
        return shipped(request, content, kind)

    def _tarball(self, request: Request, path: str) -> HTTPResponse:
        content = self._tarballs(request).get(path)
        if content is None:
            said = f"The functions have changed since. Run: npm install {_base(request)}/isomor/client.tgz"
            return error_response(ApiError.of("NOT_FOUND", said))
        headers = {"cache-control": "public, max-age=31536000, immutable"}
        return HTTPResponse(content, headers=headers, content_type="application/gzip")

    def _current(self) -> _Made:
        worker = self._worker_of()
        registry = worker.calls.registry
        if self._made is None or self._made.registry is not registry:
            files = generate(registry, worker.config, base_import=f"{_RUNTIME}/src/index.js")
            runtime = {f"isomor/{name}": content for name, content in runtime_files().items()}
            self._made = _Made(registry, {**files, **runtime}, {})
        return self._made

    def _tarballs(self, request: Request) -> dict[str, bytes]:
        made, base = self._current(), _base(request)
        if base not in made.tarballs:
            if len(made.tarballs) > 8:  # the Host header is the client's to choose
                made.tarballs.clear()
            made.tarballs[base] = self._pack(made.registry, base)
        return made.tarballs[base]

    def _pack(self, registry: Registry, base: str) -> dict[str, bytes]:
        config = self._worker_of().config
        runtime = _tar(runtime_files())
        runtime_name = f"isomor-{_digest(runtime)}.tgz"
        # By URL, so that `isomor` can be imported by its own name; npm would hide one that is bundled.
        functions = _tar(generate(registry, config, runtime=f"{base}{_MODULES}/{runtime_name}"))
        return {runtime_name: runtime, f"{config.api.module_name}-{_digest(functions)}.tgz": functions}


def _base(request: Request) -> str:
    return f"{request.scheme}://{request.host}"


def _digest(content: bytes) -> str:
    return hashlib.blake2b(content, digest_size=10).hexdigest()


def _tar(files: Mapping[str, bytes]) -> bytes:
    """An npm package: the same bytes for the same files."""
    plain = io.BytesIO()
    with tarfile.open(fileobj=plain, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        for name in sorted(files):
            info = tarfile.TarInfo(f"package/{name}")
            info.size, info.mode = len(files[name]), 0o644
            archive.addfile(info, io.BytesIO(files[name]))
    return gzip.compress(plain.getvalue(), mtime=0)
