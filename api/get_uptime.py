"""A function without arguments. The file bears its name; nothing else in it is exposed."""

import time

_started = time.monotonic()


async def get_uptime() -> float:
    """Seconds since this server started."""
    return time.monotonic() - _started
