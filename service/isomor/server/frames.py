"""Frames (RFC 6455 section 5) that picows leaves to us: control frames out; in, fragments, and single messages."""

from __future__ import annotations

import codecs
from typing import Final

PING: Final = b"\x89\x00"

# To unmask more in Python takes longer than is worth it.
_LONGEST: Final = 512

_new_decoder: Final = codecs.getincrementaldecoder("utf-8")


def pong_frame(payload: bytes) -> bytes:
    """The answer to a ping (section 5.5.3), of at most 125 bytes."""
    return b"\x8a%c%b" % (len(payload), payload)


def close_frame(code: int, reason: str) -> bytes:
    """A close frame (section 5.5.1), with as much of the reason as it can hold: 123 bytes of UTF-8."""
    said = reason.encode(errors="replace")[:123].decode(errors="ignore").encode()
    return b"\x88%c%b%b" % (len(said) + 2, code.to_bytes(2), said)


def read_message(data: bytes, most: int) -> str | None:
    """The text of `data`, where that is one whole message in one masked frame, of at most `most` bytes; else None."""
    if len(data) < 6 or data[0] != 0x81 or data[1] < 0x80:  # a text that is final; a mask
        return None
    size, start = data[1] - 0x80, 6
    if size == 126:
        size, start = int.from_bytes(data[2:4]), 8
        if not 126 <= size <= _LONGEST:  # in more bytes than it needs (section 5.2), or too large for here
            return None
    elif size == 127:
        return None
    if size > most or len(data) != start + size:
        return None
    mask = int.from_bytes(data[start - 4 : start] * (size // 4 + 1)) >> 8 * (4 - size % 4)
    try:
        return (int.from_bytes(data[start:]) ^ mask).to_bytes(size).decode()
    except UnicodeDecodeError:
        return None


class TooBig(Exception):
    """The message has more bytes than it may have."""


class Fragments:
    """The fragments of one text message (section 5.4), as far as they have come."""

    __slots__ = ("_decoder", "_most", "_raw")

    def __init__(self, most: int) -> None:
        """`most` is how many bytes the message may have."""
        self._most = most
        self._raw = bytearray()
        self._decoder = _new_decoder()

    def add(self, payload: bytes, last: bool) -> str | None:
        """The whole text with the last fragment, None before it.

        Raises:
            TooBig: as soon as the message has too many bytes.
            UnicodeDecodeError: as soon as no further fragment could make it UTF-8 (section 8.1).
        """
        if len(self._raw) + len(payload) > self._most:
            raise TooBig
        self._raw += payload
        # What it gives is dropped: kept in pieces, a message of tiny fragments would take many times its size.
        self._decoder.decode(payload, last)
        return self._raw.decode() if last else None
