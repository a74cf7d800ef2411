from isomor import push


async def flood(topic: str, count: int, size: int) -> None:
    """Push more to a topic than a reader that stalls can take."""
    payload = "x" * size
    for _ in range(count):
        await push(payload, topic=topic)
