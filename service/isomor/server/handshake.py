"""The opening handshake of a WebSocket (RFC 6455 section 4.2)."""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from dataclasses import dataclass
from typing import Final

from ..errors import STATUS, ApiError
from ..messages import error_body

_GUID: Final = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"

WS_PATHS: Final = ("/", "/isomor/ws")


@dataclass(frozen=True, slots=True)
class Head:
    """A request's head, as it came: method, target, version, and its header lines with names in lower case.

    `joined` has the headers by name; several of one name joined by commas (RFC 9110 section 5.2).
    """

    method: str
    target: str
    version: str
    headers: list[tuple[str, str]]
    joined: dict[str, str]

    @property
    def path(self) -> str:
        """The target without its query."""
        return self.target.partition("?")[0]

    def get(self, name: str) -> str:
        """The header's value; an empty string for none."""
        return self.joined.get(name, "")


# Lines end by CRLF alone, none is folded, no space stands before a colon, and no value holds control characters.
_WELL_FORMED: Final = re.compile(
    rb"[^\x00-\x1f\x7f]*(?:\r\n[!#$%&'*+.^_`|~0-9A-Za-z-]+:[^\x00-\x08\x0a-\x1f\x7f]*)*", re.DOTALL
)


def is_well_formed(raw: bytes) -> bool:
    """Whether the lines of a head are as they must be (RFC 9112 sections 2.2 and 5; RFC 9110 section 5.5).

    Servers and proxies have been known to read others in different ways, and so to disagree where a request ends.
    """
    return _WELL_FORMED.fullmatch(raw) is not None


def agrees(target: str, host: str) -> bool:
    """Whether a target in absolute form names the host that the Host header names (RFC 9112 section 3.2.2)."""
    if target.startswith("/"):
        return True
    match = re.match(r"[a-z][a-z0-9+.-]*://([^/?#]*)", target, re.IGNORECASE)
    return match is None or match[1].lower() == host.lower()


def parse_head(raw: bytes) -> Head | None:
    """The head in `raw` (without the empty line that ends it); None where it is not one."""
    if not is_well_formed(raw):
        return None
    try:
        # Values may hold any byte, as Sanic reads them too; the request line may not.
        request_line, *lines = raw.decode(errors="surrogateescape").split("\r\n")
        method, target, version = request_line.encode("ascii").decode().split(" ")
        if not target.isprintable():
            return None
        headers = []
        joined: dict[str, str] = {}
        for line in lines:
            name, _, value = line.partition(":")
            name, value = name.lower(), value.strip()
            headers.append((name, value))
            if name == "host" and name in joined:
                return None
            joined[name] = f"{joined[name]}, {value}" if name in joined else value
    except ValueError:
        return None
    if not agrees(target, joined.get("host", "")):
        return None
    return Head(method, target, version, headers, joined)


def wants_websocket(raw: bytes) -> bool:
    """Whether the head may ask for a WebSocket: a quick look, that never says no to one that does."""
    return raw.startswith(b"GET ") and b"websocket" in raw.lower()


def is_websocket(head: Head) -> bool:
    """Whether the head asks for a WebSocket where this server has one."""
    return head.path in WS_PATHS and "websocket" in [part.strip() for part in head.get("upgrade").lower().split(",")]


def check_websocket(head: Head) -> str:
    """The key of a right handshake.

    Raises:
        ApiError: BAD_MESSAGE with what is wrong with it, or UPGRADE_REQUIRED for another version than 13.
    """
    connection = [part.strip() for part in head.get("connection").lower().split(",")]
    key = head.get("sec-websocket-key")
    try:
        key_bytes = base64.b64decode(key, validate=True)
    except (binascii.Error, ValueError):
        key_bytes = b""
    if head.version != "HTTP/1.1" or head.method != "GET":
        raise ApiError.of("BAD_MESSAGE", "A WebSocket is opened by GET over HTTP/1.1.")
    if "upgrade" not in connection:
        raise ApiError.of("BAD_MESSAGE", "The Connection header does not say Upgrade; a proxy may have dropped it.")
    if head.get("sec-websocket-version") != "13":
        raise ApiError.of("UPGRADE_REQUIRED", "Only version 13 of the WebSocket protocol is spoken here.")
    if len(key_bytes) != 16 or not head.get("host"):
        raise ApiError.of("BAD_MESSAGE", "The Sec-WebSocket-Key or the Host header is missing or malformed.")
    return key


def acceptance(key: str) -> bytes:
    """The answer to a right handshake (section 4.2.2); `key` is what `check_websocket` gave."""
    digest = hashlib.sha1(key.encode() + _GUID, usedforsecurity=False).digest()
    return (
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Accept: %b\r\n\r\n" % base64.b64encode(digest)
    )


def refusal(error: ApiError) -> bytes:
    """A whole HTTP answer that refuses a handshake, and ends the connection."""
    reasons = {400: "Bad Request", 403: "Forbidden", 426: "Upgrade Required"}
    reasons |= {429: "Too Many Requests", 503: "Service Unavailable"}
    body = error_body(error)
    extra = "Sec-WebSocket-Version: 13\r\n" if error.status == STATUS["UPGRADE_REQUIRED"] else ""
    if error.status in (429, 503):
        extra += "Retry-After: 1\r\n"
    head = (
        f"HTTP/1.1 {error.status} {reasons.get(error.status, 'Error')}\r\nContent-Type: application/json\r\n{extra}"
        f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n"
    )
    return head.encode() + body
