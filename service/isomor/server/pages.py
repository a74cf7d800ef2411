"""What the server answers beside calls: its health, and the files of the front end."""

from __future__ import annotations

import hashlib
import mimetypes
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from urllib.parse import unquote

from sanic import HTTPResponse, Request
from sanic.response import file, json

from ..errors import ApiError
from .worker import App

# What Python's table lacks, or takes from a system's that differs.
_TYPES: Final = {
    ".js": "text/javascript",
    ".mjs": "text/javascript",
    ".css": "text/css",
    ".html": "text/html",
    ".json": "application/json",
    ".map": "application/json",
    ".svg": "image/svg+xml",
    ".wasm": "application/wasm",
    ".webmanifest": "application/manifest+json",
    ".woff2": "font/woff2",
}


def shipped(request: Request, content: bytes, kind: str, headers: Mapping[str, str] | None = None) -> HTTPResponse:
    """An answer that the browser keeps and asks after: 304 where it has this content already (RFC 9110 section 13)."""
    etag = f'"{hashlib.blake2b(content, digest_size=12).hexdigest()}"'
    kept = {"etag": etag, "cache-control": "no-cache", "x-content-type-options": "nosniff", **(headers or {})}
    if etag in request.headers.get("if-none-match", ""):
        return HTTPResponse(status=304, headers=kept)
    return HTTPResponse(content, headers=kept, content_type=kind)


def mount_health(app: App, worker_of: Any) -> None:
    """Add `/health/live` (the process answers) and `/health/ready` (it can serve: loaded, not draining, bus heard)."""

    async def live(_request: Request) -> HTTPResponse:
        return json({"status": "live"}, headers={"cache-control": "no-store"})

    async def ready(_request: Request) -> HTTPResponse:
        worker = worker_of()
        faults = []
        if worker.draining:
            faults.append("draining")
        if not worker.hub.ready:
            faults.append("bus")
        body = {"status": "not ready", "because": faults} if faults else {"status": "ready"}
        return json(body, status=503 if faults else 200, headers={"cache-control": "no-store"})

    app.add_route(live, "/health/live", methods=["GET", "HEAD"], name="isomor_live")
    app.add_route(ready, "/health/ready", methods=["GET", "HEAD"], name="isomor_ready")


@dataclass(slots=True)
class _Range:
    """A part of a file, as Sanic takes it: from `start` to `end`, both included."""

    start: int | None
    end: int | None
    size: int | None
    total: int | None


def _asked_range(header: str, total: int) -> _Range | None:
    """The range that is asked for (RFC 9110 section 14.1.2); None for none, or for what a server may ignore."""
    match = re.fullmatch(r"bytes=(\d{0,18})-(\d{0,18})", header.strip())
    if match is None or match[0] == "bytes=-":
        return None
    first, last = match.groups()
    if not first:
        start, end = max(total - int(last), 0), total - 1
    else:
        start, end = int(first), min(int(last) if last else total - 1, total - 1)
        if last and int(last) < int(first):
            return None
    return _Range(start, end, max(end - start + 1, 0) if start < total else 0, total)


class StaticFolder:
    """Serves files of `server.static_folder` where nothing else answers; a front end's own routes get its index.html.

    Files begin with what the folder holds and nothing else: no way leads out of it, and hidden files are not there,
    but for `.well-known` (RFC 8615).
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder.resolve()

    async def serve(self, request: Request) -> HTTPResponse:
        """The file at the request's path.

        Raises:
            ApiError: NOT_FOUND.
        """
        found = self._find(request.path)
        if found is None:
            raise ApiError.of("NOT_FOUND", "There is nothing here.")
        suffix = found.suffix.lower()
        kind = _TYPES.get(suffix) or mimetypes.guess_type(found.name)[0] or "application/octet-stream"
        if kind.startswith("text/"):
            kind += "; charset=utf-8"
        size = os.stat(found).st_size
        part = _asked_range(request.headers.get("range", ""), size)
        if part is not None and not part.size:
            return HTTPResponse(status=416, headers={"content-range": f"bytes */{size}"})
        # Names of built assets carry a hash, but nothing says so for sure: let the browser ask each time.
        headers = {"cache-control": "no-cache", "accept-ranges": "bytes", "x-content-type-options": "nosniff"}
        return await file(found, request_headers=request.headers, mime_type=kind, headers=headers, _range=part)

    def _find(self, raw_path: str) -> Path | None:
        path = unquote(raw_path)
        parts = [part for part in path.split("/") if part]
        if any(self._is_hidden(part) for part in parts) or "\0" in path or "\\" in path:
            return None
        if parts[:1] == ["isomor"]:
            return None  # where functions are; what is not there is no route of the front end
        try:
            return self._file(parts)
        except OSError:  # such as a name that is longer than any file's
            return None

    def _file(self, parts: list[str]) -> Path | None:
        target = self._folder.joinpath(*parts)
        if target.is_dir():
            target = target / "index.html"
        if not target.is_file():
            last = parts[-1] if parts else ""
            if "." in last:
                return None  # a missing asset is missing; only routes fall back
            target = self._folder / "index.html"
            if not target.is_file():
                return None
        # A link may lead out of the folder.
        return target if target.resolve().is_relative_to(self._folder) else None

    @staticmethod
    def _is_hidden(part: str) -> bool:
        return part.startswith(".") and part != ".well-known"
