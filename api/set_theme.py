"""A cookie that scripts can read, and so can send with calls over WebSocket (see `get_theme`)."""

from typing import Literal

from isomor import HttpContext

Theme = Literal["light", "dark", "system"]


async def set_theme(ctx: HttpContext, theme: Theme) -> None:
    """Keep the theme in the browser for a year."""
    ctx.res.set_cookie("theme", theme, max_age=365 * 24 * 3600)
