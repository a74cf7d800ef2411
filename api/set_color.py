"""A constraint on an argument, and a push to a topic: `watch_color` lets connections join it."""

from typing import Annotated

from msgspec import Meta

from isomor import push

from . import _state

# A line feed at the end would pass with `$` alone.
Color = Annotated[str, Meta(pattern=r"^#[0-9a-fA-F]{6}$(?!\n)", examples=["#2e8b57"])]


async def set_color(color: Color) -> None:
    """Set the colour for everyone, and show it to all who watch it, on every container."""
    await _state.write_color(color)
    await push(color, topic="color")
