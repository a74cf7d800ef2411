"""What the functions of the chat have in common."""

import socket
from dataclasses import dataclass
from typing import Annotated

from msgspec import Meta

Room = Annotated[str, Meta(min_length=1, max_length=30)]

# Under Docker, the container's name or id.
CONTAINER = socket.gethostname()


@dataclass
class Message:
    """What all in a room get."""

    room: str
    name: str
    text: str
    container: str  # that took the message: not always the one that shows it


def topic(room: str) -> str:
    """The topic of a room."""
    return f"room:{room}"
