"""What a scrape gets: the numbers of all workers added up, as prometheus_client writes them.

Writing takes several microseconds a line, so it is done piece by piece: calls go on between two pieces.
"""

from __future__ import annotations

import asyncio
import logging
import platform
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import Any, Final

from prometheus_client import REGISTRY, ProcessCollector
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.core import Metric as Family
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector

from .recorder import Metrics
from .region import Key, Region
from .table import BOUNDS, BUILD, CALLS, DURATION, METRICS, WORKERS, Metric

logger = logging.getLogger("isomor")

# Lines that are written at once: a millisecond or two.
_LINES: Final = 200

_BOUNDS: Final = [*(str(bound) for bound in BOUNDS), "+Inf"]
_OURS: Final = {metric.name.removesuffix("_total") for metric in METRICS} | {WORKERS[0], BUILD[0]}
_END: Final = b"# EOF\n"

_Rows = dict[str, dict[Key, list[float]]]


class Exposition:
    """Writes the metrics of a server, from any of its workers."""

    def __init__(self, metrics: Metrics, version: str) -> None:
        """`version` is isomor's."""
        self._metrics = metrics
        self._version = version
        self._known = [_Known(region) for region in metrics.regions]

    async def render(self, accept: str) -> tuple[bytes, str]:
        """The metrics in the format that the Accept header asks for, and the name of that format."""
        try:
            encode, content_type = choose_encoder(accept)
        except (TypeError, ValueError):  # a version that is no number
            encode, content_type = choose_encoder("")
        pieces = []
        for piece in _pieces(self._families(), encode):
            pieces.append(piece)
            await asyncio.sleep(0)
        # Collectors of others may take their time, and so may the system in counting open files.
        pieces.append(await asyncio.to_thread(self._others, encode))
        if content_type.startswith("application/openmetrics-text"):
            pieces.append(_END)
        return b"".join(pieces), content_type

    # ---- Ours ------------------------------------------------------------------------------------------------------

    def _families(self) -> Iterator[Family | None]:
        """What the table tells, in pieces: families that follow each other with one name are one; None is no piece."""
        rows: _Rows = {metric.name: {} for metric in METRICS}
        workers = 0
        for known in self._known:
            alive = known.region.alive
            workers += alive
            known.add_to(rows, alive)
            yield None
        for metric in METRICS:
            found = sorted(rows[metric.name].items())
            step = max(_LINES // (metric.size + 2), 1)
            for start in range(0, max(len(found), 1), step):
                yield _family(metric, found[start : start + step])
        yield GaugeMetricFamily(*WORKERS, value=workers)
        build = GaugeMetricFamily(*BUILD, labels=("version", "python"))
        build.add_metric((self._version, platform.python_version()), 1)
        yield build

    # ---- Of others -------------------------------------------------------------------------------------------------

    def _others(self, encode: Callable[[Any], bytes]) -> bytes:
        """What is not ours: of one worker, all that is in prometheus_client's registry; of several, the processes."""
        try:
            found = _process_families(self._metrics.regions) if len(self._metrics.regions) > 1 else REGISTRY.collect()
            return _encode(encode, [family for family in found if family.name not in _OURS])
        except Exception:  # of a collector that is the user's own; ours are worth having without it
            logger.exception("the metrics of prometheus_client's registry are left out: they cannot be collected")
            return b""


class _Known:
    """A region, and what of its keys has been read."""

    def __init__(self, region: Region) -> None:
        self.region = region
        self._rows: list[tuple[str, Key, int, int]] = []
        self._next: int | None = None

    def add_to(self, rows: _Rows, alive: bool) -> None:
        """Add its numbers to `rows`; its gauges where it is alive."""
        begin = () if self._next is None else (self._next,)
        for key, first, size, after in self.region.rows(*begin):
            self._rows.append((key[0], key[1:], first, size))
            self._next = after
        values = self.region.values
        for name, labels, first, size in self._rows:
            kind = _KIND.get(name)
            if kind is None or not (alive or kind in ("counter", "histogram")):
                continue
            found: list[float] = [values[place] for place in range(first, first + size)]
            if name == DURATION:
                _add(rows[CALLS], labels, [sum(found[:-1])])
                _add(rows[DURATION], labels[:-1], found)  # all codes are one
            elif kind == "least" and labels in rows[name]:
                rows[name][labels] = min(rows[name][labels], found)
            else:
                _add(rows[name], labels, found)


def _add(rows: dict[Key, list[float]], labels: Key, found: list[float]) -> None:
    others = rows.get(labels)
    rows[labels] = found if others is None else [one + other for one, other in zip(others, found, strict=True)]


_KIND: Final = {metric.name: metric.kind for metric in METRICS}


def _family(metric: Metric, rows: Iterable[tuple[Key, list[float]]]) -> Family:
    if metric.kind == "histogram":
        histogram = HistogramMetricFamily(metric.name, metric.help, labels=metric.labels)
        for labels, numbers in rows:
            count = 0.0
            buckets = []
            for bound, number in zip(_BOUNDS, numbers, strict=False):  # the sum stands behind them
                count += number
                buckets.append((bound, count))
            histogram.add_metric(labels, buckets, numbers[-1])
        return histogram
    family: CounterMetricFamily | GaugeMetricFamily
    if metric.kind == "counter":
        family = CounterMetricFamily(metric.name, metric.help, labels=metric.labels)
    else:
        family = GaugeMetricFamily(metric.name, metric.help, labels=metric.labels)
    for labels, numbers in rows:
        family.add_metric(labels, numbers[0])
    return family


def _process_families(regions: Iterable[Region]) -> list[Family]:
    """What the system knows of each worker's process, with the worker's place as a label."""
    found: dict[str, Family] = {}
    for place, region in enumerate(regions):
        if not region.alive:
            continue
        for family in ProcessCollector(pid=partial(int, region.pid), registry=None).collect():
            whole = found.setdefault(family.name, Family(family.name, family.documentation, family.type))
            for sample in family.samples:
                whole.add_sample(sample.name, sample.labels | {"worker": str(place)}, sample.value)
    return list(found.values())


class _Families(Collector):
    """What an encoder takes."""

    def __init__(self, families: list[Family]) -> None:
        self._families = families

    def collect(self) -> Iterable[Family]:
        return self._families


def _encode(encode: Callable[[Any], bytes], families: list[Family]) -> bytes:
    return encode(_Families(families)).removesuffix(_END)


def _pieces(families: Iterable[Family | None], encode: Callable[[Any], bytes]) -> Iterator[bytes]:
    """The families, one by one; the head of a family that goes on is written once."""
    last = ""
    for family in families:
        if family is None:
            yield b""
            continue
        piece = _encode(encode, [family])
        while family.name == last and piece.startswith(b"# "):
            piece = piece.partition(b"\n")[2]
        last = family.name
        yield piece
