"""State that all callers share, in a module beside the functions."""

from . import _state


async def get_color() -> str:
    """The colour that was set last, as `#rrggbb`."""
    return await _state.read_color()
