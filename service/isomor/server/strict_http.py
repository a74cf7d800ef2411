"""Sanic's HTTP, without what it takes and others read in another way: else both disagree where a request ends."""

from __future__ import annotations

import re
from typing import Any, Final

from sanic.exceptions import BadRequest
from sanic.http.http1 import HTTP_CONTINUE

from .cors import CorsHttp

# Of a body in chunks: the end of what came before, and the size of the next one (RFC 9112 section 7.1).
_CHUNK: Final = re.compile(rb"\r\n[0-9A-Fa-f]{1,32}(?:;[\t\x20-\x7e\x80-\xff]*)?\r\n")
_LONGEST_CHUNK_LINE: Final = 64


class StrictHttp(CorsHttp):
    """Sanic's HTTP takes sizes such as `0xc`, and anything for the end of a chunk or within its extensions.

    Others read these in other ways, and then disagree where a request ends.
    """

    __slots__ = ()

    async def read(self) -> bytes | None:
        """As in Sanic, but that chunks have to be as the RFC has them."""
        body: Any = self.request_body
        if body == "chunked" and not self.request_bytes_left:
            if self.expecting_continue:
                self.expecting_continue = False
                await self._send(HTTP_CONTINUE)
            while (end := self.recv_buffer.find(b"\r\n", 2)) < 0 and len(self.recv_buffer) <= _LONGEST_CHUNK_LINE:
                await self._receive_more()
            if end < 0 or not _CHUNK.match(self.recv_buffer):
                self.keep_alive = False
                raise BadRequest("The body's chunks are malformed: see RFC 9112, section 7.1.")
        data: bytes | None = await super().read()
        return data

    @staticmethod
    def _safe_int(value: str, base: int = 10) -> int:
        if base == 10:
            value = value.rstrip(" \t")  # which is no part of a header's value
        if not value.isascii() or not value.isalnum() or "x" in value.lower():
            raise ValueError(value)
        return int(value, base)
