"""What is counted, while it happens. A call pays about half a microsecond for it: the clock, a look-up, two additions.

prometheus_client's own counters take six times that, and need a folder that can be written to for several processes.
"""

from __future__ import annotations

import logging
import os
from bisect import bisect_left
from collections.abc import Sequence
from typing import Final

from .region import Key, Region, alone
from .table import (
    BOUNDS,
    BY_NAME,
    CALLS,
    CLOSES,
    CODES,
    DURATION,
    GONE,
    KINDS,
    LIMITS,
    LONGEST_CODE,
    METRICS,
    MOST_CODES,
    OTHER,
)

logger = logging.getLogger("isomor")

_SUM: Final = len(BOUNDS) + 1  # of a histogram's numbers, the one behind its buckets
_FIRST_BOUND: Final = BOUNDS[0]


class Metrics:
    """Counts for one worker, on its event loop's thread.

    Attributes:
        regions: the numbers of all workers of this server, in the order of their places.
        own: which of them is written here.
    """

    def __init__(self, regions: Sequence[Region], own: int = 0) -> None:
        """Go on where the worker that had this place before has stopped, if there was one."""
        self.regions = regions
        self.own = own
        region = self._region = regions[own]
        region.begin()
        self._values = region.values
        self._places: dict[Key, int] = {key: first for key, first, _, _ in region.rows()}
        self._calls: dict[tuple[str, str, str], tuple[int, int]] = {}
        self._codes = {key[-1] for key in self._places if key[0] in (CALLS, DURATION)} - CODES
        self._seen: dict[str, float] = {}
        self._full = False
        left = self._place("isomor_connections")
        lost = self._values[left]
        for metric in METRICS:
            if not metric.labels:  # so that a rate is known from the first event on
                place = self._place(metric.name)
                if metric.kind in ("sum", "least"):
                    self._values[place] = 0.0
        self._pushes = {kind: self._place("isomor_pushes_total", kind) for kind in KINDS}
        self._closes = {code: self._place("isomor_connections_closed_total", code) for code in CLOSES}
        self._closes_other = self._closes["other"]
        self._limits = {limit: self._place("isomor_limit_hits_total", limit) for limit in LIMITS}
        self._values[self._closes[GONE]] += lost  # with the worker that had them
        self._connections = left
        self._opened = self._place("isomor_connections_opened_total")
        self._deliveries = self._place("isomor_deliveries_total")

    @classmethod
    def alone(cls) -> Metrics:
        """For the only worker of a server."""
        return cls([alone()])

    def serving(self) -> None:
        """From now on this worker's gauges count."""
        self._region.pid = os.getpid()

    def _place(self, name: str, *labels: str) -> int:
        """Where the number with this key stands; the first of them, for a histogram."""
        key = (name, *labels)
        place = self._places.get(key)
        if place is None:
            size = BY_NAME[name].size
            place = self._region.add(key, size)
            if place is None:
                if not self._full:
                    self._full = True
                    logger.warning("there is no room for more metrics: what is new is counted as %s", OTHER)
                key = (name, *(OTHER for _ in labels))
                place = self._places.get(key)
                if place is None:
                    place = self._region.add(key, size, reserved=True)
                    assert place is not None, "the reserve has room for each metric once"
            self._places[key] = place
        return place

    # ---- Calls -----------------------------------------------------------------------------------------------------

    def ended(self, function: str, transport: str, code: str, seconds: float) -> None:
        """A call that was begun has been answered.

        Args:
            function: its name.
            transport: `http` or `ws`.
            code: `OK`, or the error's code.
            seconds: how long it took.
        """
        try:
            bucket, total = self._calls[function, transport, code]
        except KeyError:
            bucket, total = self._new_call(function, transport, code)
        if seconds > _FIRST_BOUND:
            bucket += bisect_left(BOUNDS, seconds)
        values = self._values
        values[bucket] += 1.0
        values[total] += seconds

    def _new_call(self, function: str, transport: str, code: str) -> tuple[int, int]:
        code = self._bounded(code)
        first = self._place(DURATION, function, transport, code)
        self._calls[function, transport, code] = places = (first, first + _SUM)
        return places

    def refused(self, function: str, transport: str, code: str) -> None:
        """A call was answered by an error before it had begun.

        Args:
            function: its name; an empty string where there is no function of the name that the client gave.
            transport: `http` or `ws`.
            code: the error's code.
        """
        self._values[self._place(CALLS, function, transport, self._bounded(code))] += 1.0

    def _bounded(self, code: str) -> str:
        """The code, or what stands for those that are too many."""
        if code in CODES or code in self._codes:
            return code
        if len(self._codes) >= MOST_CODES or len(code) > LONGEST_CODE:
            return OTHER
        self._codes.add(code)
        return code

    def met(self, limit: str) -> None:
        """A limit was met; it is named by its setting, one of `LIMITS`."""
        self._values[self._limits[limit]] += 1.0

    # ---- Connections and pushes ------------------------------------------------------------------------------------

    def opened(self, connections: int) -> None:
        """A WebSocket was opened; so many are open now."""
        self._values[self._opened] += 1.0
        self._values[self._connections] = connections

    def closed(self, code: int, connections: int) -> None:
        """A WebSocket has ended, by this close code (1006: without one); so many are open now."""
        self._values[self._closes.get(str(code), self._closes_other)] += 1.0
        self._values[self._connections] = connections

    def pushed(self, kind: str) -> None:
        """A push was asked for: to a `topic`, to `all`, to one `connection`, or to the `caller`."""
        self._values[self._pushes[kind]] += 1.0

    def delivered(self, count: int) -> None:
        """A push was handed to so many sockets."""
        self._values[self._deliveries] += count

    # ---- What others count -----------------------------------------------------------------------------------------

    def set(self, name: str, value: float) -> None:
        """A gauge is at `value`."""
        self._values[self._place(name)] = value

    def count_up_to(self, name: str, total: float) -> None:
        """A counter that somebody else keeps, from 0 in each process, is at `total`."""
        seen = self._seen.get(name, 0.0)
        self._seen[name] = total
        if total != seen:
            self._values[self._place(name)] += total - seen if total > seen else total
