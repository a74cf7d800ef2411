"""Called before the server takes calls, in every worker.

`before_call(ctx)` and `on_connect(ctx)` may be defined here as well: they refuse by raising `ApiError`.
"""

import logging
from datetime import UTC, datetime

from sanic import Sanic

log = logging.getLogger(__name__)


def startup(app: Sanic) -> None:
    """Prepare what functions need; here only the time, which they find as `ctx.req.app.ctx.started`."""
    app.ctx.started = datetime.now(UTC)
    log.info("The example is ready")
