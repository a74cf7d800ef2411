"""Which of several containers serves: over WebSocket, the one that this connection has landed on."""

from ._rooms import CONTAINER


async def get_container() -> str:
    """The name of the container."""
    return CONTAINER
