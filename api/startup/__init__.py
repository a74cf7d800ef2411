"""Called before the server takes calls, in every worker.

`before_call(ctx)` and `on_connect(ctx)` may be defined here as well: they refuse by raising `ApiError`.
"""

import logging
import os
from datetime import UTC, datetime

from sanic import Sanic

from isomor import set_ws_default_config

log = logging.getLogger(__name__)


def startup(app: Sanic) -> None:
    """Prepare what functions need, which they find as `ctx.req.app.ctx`, and say how clients are to call."""
    app.ctx.started = datetime.now(UTC)
    app.ctx.with_cookie = os.environ.get("WS_WITH_COOKIE") == "1"
    if app.ctx.with_cookie:
        set_ws_default_config(with_cookie=True)
    log.info("The example is ready")
