"""A push needs no connection of its own: this works over HTTP as well."""

from typing import Annotated

from msgspec import Meta

from isomor import push

from ._rooms import CONTAINER, Message, Room, topic


async def send_message(
    room: Room,
    name: Annotated[str, Meta(min_length=1, max_length=20)],
    text: Annotated[str, Meta(min_length=1, max_length=500)],
) -> None:
    """Say something to all who have joined `room`, on every container."""
    await push(Message(room, name, text, CONTAINER), topic=topic(room))
