"""A cookie that scripts can read, and so can send with calls over WebSocket (see `get_theme`)."""

from typing import Literal

from isomor import HttpContext


async def set_theme(ctx: HttpContext, theme: Literal["light", "dark"]) -> None:
    """Keep the theme in the browser for a year."""
    ctx.res.set_cookie("theme", theme, max_age=365 * 24 * 3600)
