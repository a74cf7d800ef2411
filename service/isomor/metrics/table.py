"""Every metric that is counted here: its name, its labels, and how the values of several workers become one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

from ..errors import STATUS, CloseCode

# counter, histogram: what all workers have ever counted. sum, least: gauges, of the workers that live.
Kind = Literal["counter", "histogram", "sum", "least"]


@dataclass(frozen=True, slots=True)
class Metric:
    """One row of the table."""

    name: str
    kind: Kind
    help: str
    labels: tuple[str, ...] = ()

    @property
    def size(self) -> int:
        """How many numbers it takes: a histogram has its buckets, the one up to infinity included, and its sum."""
        return len(BOUNDS) + 2 if self.kind == "histogram" else 1


# Seconds: from a function that only looks something up to one that runs into `call_timeout`.
BOUNDS: Final = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)

# What stands for whatever has no place of its own, in every label but a close code's.
OTHER: Final = "OTHER"

# Codes of errors are free text: so many of the user's own get a place, and none that is longer.
MOST_CODES: Final = 32
LONGEST_CODE: Final = 64
CODES: Final = frozenset({"OK", OTHER, *STATUS})

# What ended a connection: a close code of ours, no goodbye at all (1006), or a code that the client made up.
GONE: Final = "1006"
CLOSES: Final = (*(str(int(code)) for code in CloseCode), GONE, "other")

KINDS: Final = ("topic", "all", "connection", "caller")

# The settings that are limits (docs/limits.md).
LIMITS: Final = (
    "server.max_connections",
    "server.max_connections_per_address",
    "server.head_timeout",
    "server.request_timeout",
    "server.max_header_size",
    "ws.max_calls_in_flight",
    "ws.max_outbox_bytes",
    "ws.max_topics",
    "ws.max_tasks",
    "call_timeout",
    "max_message_size",
    "max_json_depth",
    "max_calls_per_second",
    "max_thread_queue",
)

# A call that was begun is counted once, in a histogram for each code; what both of these say is made of those.
CALLS: Final = "isomor_calls_total"
DURATION: Final = "isomor_call_duration_seconds"
_CALL: Final = ("function", "transport")

METRICS: Final = (
    Metric("isomor_connections", "sum", "Open WebSockets."),
    Metric("isomor_http_connections", "sum", "Open connections that are no WebSockets."),
    Metric("isomor_connections_opened_total", "counter", "WebSockets that were opened."),
    Metric("isomor_connections_closed_total", "counter", "WebSockets that have ended, by close code.", ("code",)),
    Metric(CALLS, "counter", "Calls that were answered, by OK or the error's code.", (*_CALL, "code")),
    Metric(DURATION, "histogram", "How long calls took that were begun.", _CALL),
    Metric("isomor_calls_in_flight", "sum", "Calls that run."),
    Metric("isomor_limit_hits_total", "counter", "Times that a limit was met, by its setting.", ("limit",)),
    Metric("isomor_threads_waiting", "sum", "Calls of plain functions that wait for a thread."),
    Metric("isomor_pushes_total", "counter", "Pushes that were asked for, by whom they are for.", ("kind",)),
    Metric("isomor_deliveries_total", "counter", "Pushes that were handed to a socket, once for each socket."),
    Metric("isomor_push_failures_total", "counter", "Pushes that ended in BusUnavailable."),
    Metric("isomor_topics", "sum", "Topics that someone has joined."),
    Metric("isomor_bus_published_total", "counter", "Messages that the bus has acknowledged."),
    Metric("isomor_bus_received_total", "counter", "Messages that have come from the bus."),
    Metric("isomor_bus_repeats_total", "counter", "Messages of the bus that had come before, and were dropped."),
    Metric("isomor_bus_foreign_total", "counter", "Messages on our channels that are not ours, and were ignored."),
    Metric("isomor_bus_gaps_total", "counter", "Times that a gap in a channel's messages was noticed."),
    Metric("isomor_bus_lost_total", "counter", "Messages that are known to be lost."),
    Metric("isomor_bus_rebuilds_total", "counter", "Connections to Redis that were made anew."),
    Metric("isomor_bus_buffered_bytes", "sum", "Bytes of pushes that wait for Redis."),
    Metric("isomor_bus_ready", "least", "1 where every worker hears its own pushes, else 0."),
    Metric("isomor_ready", "least", "1 where every worker can serve, as /health/ready says, else 0."),
)

BY_NAME: Final = {metric.name: metric for metric in METRICS}

# What is not counted but looked up on a scrape: name, labels, meaning.
WORKERS: Final = ("isomor_workers", "Workers that serve.")
BUILD: Final = ("isomor_build_info", "Always 1; its labels tell the versions.")
