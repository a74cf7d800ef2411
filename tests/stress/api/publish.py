from isomor import push

from ._journal import note


async def publish(token: str, topic: str, number: int) -> str:
    """Push a number to a topic; answered when the bus has it."""
    note(token)
    await push(number, topic=topic)
    return token
