"""One service from its start to its drain, with all that breaks in between; and what must hold at the end."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path

from . import faults
from .audit import audit
from .faults import Crowd, Size
from .report import Report
from .system import MOST_THREADS, Held, System

Fault = Callable[[Crowd, Report], None]

FAULTS: Sequence[Fault] = (
    faults.redis_killed,
    faults.worker_killed,
    faults.all_break_off,
    faults.readers_stall,
    faults.clients_vanish,
)
MOST_GROWTH = 0.10


def run(folder: Path, workers: int, size: Size, report: Report) -> None:
    """The whole of it. What did not hold is in `report.wrong`."""
    with ExitStack() as stack:
        report.title(f"{workers} worker{'s' if workers > 1 else ''}, {size.connections:,} connections")
        system = System(folder, stack, workers, size.ping_seconds)
        crowd = Crowd(system, size)
        stack.callback(crowd.end)
        fresh = system.held()
        _show(report, "fresh", fresh)

        first = next(iter(fresh.values()))
        warm = fresh
        for _ in range(size.warm_ups):
            report.row("opened in", f"{crowd.open():.1f} s")
            faults.nothing(crowd, report)
            if workers > 1:  # one of them has had all connections, as it will have again
                faults.worker_killed(crowd, report)
            crowd.close()
            warm = system.settled(first)
            _show(report, "after the load", warm)
            _require_clean(report, first, warm)

        crowd.open()
        for fault in FAULTS:
            if workers > 1 or fault is not faults.worker_killed:
                fault(crowd, report)
        crowd.close()
        report.section("What is left")
        after = system.settled(first)
        _show(report, "before", warm)
        _show(report, "after", after)
        _require_clean(report, first, after)
        report.require(bool(warm.keys() & after.keys()), "no worker has lived through all of it")
        for pid in warm.keys() & after.keys():
            growth = after[pid].memory / warm[pid].memory - 1
            report.row(f"memory of worker {pid}", f"{growth:+.1%}")
            report.require(growth <= MOST_GROWTH, f"memory of worker {pid} grew by {growth:.1%}")

        crowd.open()
        faults.drained(crowd, report)
        made, wrong = audit(system.journal, crowd.ledgers, killed=crowd.killed, vanished=crowd.vanished)
        report.row("calls in all", f"{made:,} made; each has run at most once; those that ran were answered or refused")
        for line in wrong:
            report.fault(line)


def _show(report: Report, when: str, held: dict[int, Held]) -> None:
    for pid, one in held.items():
        report.row(
            f"{when}, {pid}",
            f"{one.memory:.1f} MiB",
            f"{one.descriptors} descriptors",
            f"{one.tasks} tasks",
            f"{one.threads} threads",
            f"{one.connections} connections",
        )


def _require_clean(report: Report, fresh: Held, held: dict[int, Held]) -> None:
    for pid, one in held.items():
        report.require(
            one.leaks == fresh.leaks,
            f"worker {pid} holds {one.leaks} descriptors, tasks and connections, and had {fresh.leaks}",
        )
        most = fresh.threads + MOST_THREADS
        report.require(one.threads <= most, f"worker {pid} has {one.threads} threads, and {most} are the most")
