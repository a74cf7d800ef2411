"""Cookies come with every HTTP call, those that scripts cannot read included."""

from isomor import HttpContext


async def get_auth(ctx: HttpContext) -> str | None:
    """What `set_auth` kept in this browser."""
    return ctx.cookies.get("auth")
