from isomor import push


async def burst(count: int, payload: str) -> None:
    """Push so many times, in one turn of the loop."""
    for _ in range(count):
        push(payload, topic="topic")
