"""CORS (the Fetch standard, section 3.2): what tells a browser that a page of an allowed origin may read an answer.

Every answer tells it, errors and files alike, unless a route of the user's own has told so itself. An origin that is
not allowed is told nothing.
"""

from __future__ import annotations

import re
from typing import Any, Final

from sanic import HTTPResponse, Request
from sanic.http import Http

from .origins import Gate

_MAX_AGE: Final = "600"  # seconds that a browser need not ask again

_TOKEN: Final = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
_METHOD: Final = re.compile(_TOKEN)
_NAMES: Final = re.compile(rf"{_TOKEN}( *, *{_TOKEN})*")

# What pages may read beside the few headers that the standard lets them.
_EXPOSED: Final = "ETag"


class CorsHttp(Http):
    """Sanic's HTTP, that marks each answer, whoever has made it, before it is sent."""

    __slots__ = ()

    def respond(self, response: Any) -> Any:
        """As in Sanic."""
        protocol: Any = self.protocol
        mark(protocol.worker.gate, self.request, response)
        return super().respond(response)


def joined(request: Request, name: str) -> str:
    """A header's value; several of one name joined by commas, "" for none."""
    return ", ".join(request.headers.getall(name, ()))


def mark(gate: Gate, request: Request, response: Any) -> None:
    """Say in the headers of `response` which origin may read it, and that it depends on the origin."""
    if not gate.varies:
        return
    headers = response.headers
    vary = ", ".join(headers.getall("vary", ()))
    if not {"origin", "*"} & {name.strip().lower() for name in vary.split(",")}:
        # A shared cache must not give one origin what another was let have.
        headers["vary"] = f"{vary}, Origin" if vary else "Origin"
    allowed = gate.allowed(joined(request, "origin"))
    if allowed is not None and "access-control-allow-origin" not in headers:
        headers["access-control-allow-origin"] = allowed
        headers["access-control-allow-credentials"] = "true"
        headers.setdefault("access-control-expose-headers", _EXPOSED)


def is_preflight(gate: Gate, request: Request) -> bool:
    """Whether a browser asks if a page of an allowed origin may send a request."""
    return (
        request.method == "OPTIONS"
        and "access-control-request-method" in request.headers
        and gate.allowed(joined(request, "origin")) is not None
    )


def preflight(request: Request, methods: str | None) -> HTTPResponse:
    """The answer to a preflight.

    Args:
        request: the preflight; of an allowed origin.
        methods: those that may be used, parted by commas; None for the one that it asks for: the request itself will
            tell.
    """
    headers = {"access-control-max-age": _MAX_AGE}
    method = joined(request, "access-control-request-method").strip()
    if methods or _METHOD.fullmatch(method):
        headers["access-control-allow-methods"] = methods or method
    asked = joined(request, "access-control-request-headers").strip()
    if _NAMES.fullmatch(asked):
        headers["access-control-allow-headers"] = asked
    if joined(request, "access-control-request-private-network") == "true":
        headers["access-control-allow-private-network"] = "true"
    return HTTPResponse(status=204, headers=headers)
