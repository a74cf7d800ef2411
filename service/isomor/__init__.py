"""isomor for Python: call Python functions from the browser as if they were local.

What user code imports. See README.md.
"""

from .context import Context, HttpContext, WsConfig, WsContext, set_ws_default_config
from .errors import ApiError, BusUnavailable, ConnectionClosed
from .functions import cached
from .push.hub import push

__version__ = "0.1.0"

__all__ = [
    "ApiError",
    "BusUnavailable",
    "ConnectionClosed",
    "Context",
    "HttpContext",
    "WsConfig",
    "WsContext",
    "cached",
    "push",
    "set_ws_default_config",
]
