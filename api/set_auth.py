"""A cookie that scripts cannot read. Only an HTTP answer can set cookies, hence `HttpContext`."""

from isomor import HttpContext


async def set_auth(ctx: HttpContext, token: str) -> None:
    """Keep `token` in the browser for an hour; empty: forget it."""
    if token:
        ctx.res.set_cookie("auth", token, max_age=3600, http_only=True, same_site="strict")
    else:
        ctx.res.delete_cookie("auth")
