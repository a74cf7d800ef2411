"""The page that Prometheus scrapes, `/metrics`, and what is looked up for it rather than counted as it happens."""

from __future__ import annotations

import logging
from typing import Final

from sanic import HTTPResponse, Request
from sanic_routing.exceptions import RouteExists

from .. import __version__
from ..metrics.exposition import Exposition
from ..metrics.recorder import Metrics
from .worker import App, Worker

logger = logging.getLogger("isomor")

# Of several workers one is scraped, and sees of the others what they have looked up so many seconds ago at most.
_EVERY: Final = 1.0


def mount_metrics(app: App, worker: Worker, metrics: Metrics) -> None:
    """Add `/metrics` to `app`, unless the user has a route of that name; from now on the worker's gauges count."""
    exposition = Exposition(metrics, __version__)

    async def scrape(request: Request) -> HTTPResponse:
        look(worker, metrics)
        body, content_type = await exposition.render(request.headers.get("accept", ""))
        return HTTPResponse(body, content_type=content_type, headers={"cache-control": "no-store"})

    def look_again() -> None:
        look(worker, metrics)
        worker.loop.call_later(_EVERY, look_again)

    try:
        # By this path alone: a proxy that keeps /metrics from the public may let /metrics/ through.
        app.add_route(scrape, "/metrics", methods=["GET", "HEAD"], name="isomor_metrics", strict_slashes=True)
    except RouteExists:
        logger.info(
            "/metrics is a route of startup, so ours is not served; metrics.enabled: false says that it need not"
        )
    metrics.serving()
    if len(metrics.regions) > 1:
        look_again()


def look(worker: Worker, metrics: Metrics) -> None:
    """Bring up to date what others keep."""
    hub, calls = worker.hub, worker.calls
    bus = hub.stats()
    metrics.set("isomor_http_connections", len(worker.requesting))
    metrics.set("isomor_calls_in_flight", len(calls.running))
    metrics.set("isomor_threads_waiting", calls.waiting_for_threads)
    metrics.set("isomor_topics", hub.topics)
    metrics.set("isomor_bus_ready", hub.ready)
    metrics.set("isomor_ready", hub.ready and not worker.draining)
    metrics.set("isomor_bus_buffered_bytes", bus.buffered_bytes)
    metrics.count_up_to("isomor_push_failures_total", bus.failed)
    metrics.count_up_to("isomor_bus_published_total", bus.published)
    metrics.count_up_to("isomor_bus_received_total", bus.received)
    metrics.count_up_to("isomor_bus_repeats_total", bus.repeats)
    metrics.count_up_to("isomor_bus_foreign_total", bus.foreign)
    metrics.count_up_to("isomor_bus_gaps_total", bus.gaps)
    metrics.count_up_to("isomor_bus_lost_total", bus.lost)
    metrics.count_up_to("isomor_bus_rebuilds_total", bus.rebuilds)
