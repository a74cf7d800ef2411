"""The envelope around every message on Redis: who sent it, which number it has, then the body as it is.

A fixed binary header in network byte order; docs/push.md tells other programs how to read it.
"""

from __future__ import annotations

import struct
from typing import Final, NamedTuple

VERSION: Final = 1
PUBLISHER_BYTES: Final = 8
# In `lost`: something was lost, and the publisher no longer knows how much.
UNKNOWN_LOSS: Final = 0xFFFF_FFFF

_MAGIC: Final = b"iso"
# magic, version, length of the prefix, publisher, epoch, number, lost
_HEADER: Final = struct.Struct(f"!3sBH{PUBLISHER_BYTES}sQQI")
HEADER_BYTES: Final = _HEADER.size


class Envelope(NamedTuple):
    """What arrived. `number` counts up from 1 within a publisher's epoch of one channel."""

    publisher: bytes
    epoch: int
    number: int
    lost: int  # so many numbers right before this one were never handed to Redis, as far as the publisher knows
    body: bytes


class ForeignMessage(ValueError):
    """Not a message of ours; the text says why, and holds nothing of the message itself."""


def pack(prefix_bytes: int, publisher: bytes, epoch: int, number: int, lost: int, body: bytes) -> bytes:
    """The bytes for Redis. `prefix_bytes` is the length of the prefix of the channel's name on the wire."""
    return _HEADER.pack(_MAGIC, VERSION, prefix_bytes, publisher, epoch, number, lost) + body


def unpack(data: bytes, prefix_bytes: int) -> Envelope:
    """The envelope of a message that came on a channel of ours.

    The length of the prefix tells apart what the name alone cannot: `a:b` + `c` and `a` + `b:c`.

    Raises:
        ForeignMessage: if it is not one of ours.
    """
    if len(data) < HEADER_BYTES or not data.startswith(_MAGIC):
        raise ForeignMessage("it is not from isomor")
    _, version, prefix, publisher, epoch, number, lost = _HEADER.unpack_from(data)
    if version != VERSION:
        raise ForeignMessage(f"its envelope is of version {version}, and this is version {VERSION}")
    if prefix != prefix_bytes:
        raise ForeignMessage("it is of a deployment with another redis.prefix")
    return Envelope(publisher, epoch, number, lost, data[HEADER_BYTES:])
