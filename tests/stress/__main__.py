"""`make stress`: see docs/stress.md."""

from __future__ import annotations

import argparse
import resource
import shutil
import sys
import tempfile
import time
from pathlib import Path

from .faults import Size
from .report import Report
from .run import run

_OTHERS = 500  # descriptors that are no connections, or those of readers that stall


def main() -> int:
    """Run it; the exit code: 0 where all held, 1 where it did not, 2 where it cannot be run here."""
    parser = argparse.ArgumentParser(prog="make stress ARGS=…", description="Faults under load; see docs/stress.md.")
    parser.add_argument("--connections", type=int, default=5000, help="how many (5000)")
    parser.add_argument("--seconds", type=float, default=5, help="how long each load lasts with nothing broken (5)")
    parser.add_argument("--ping-seconds", type=int, default=5, help="ws.ping_seconds of the service (5)")
    # A process keeps as much memory as it once needed, and chance decides about that: two loads find more of it.
    parser.add_argument("--warm-ups", type=int, default=2, help="loads before anything breaks (2)")
    parser.add_argument(
        "--workers", type=int, nargs="+", default=[1, 2], help="services to run, one after the other (1 2)"
    )
    options = parser.parse_args()
    if problem := _allow_files(options.connections + _OTHERS):
        print(problem, file=sys.stderr)
        return 2
    report = Report()
    began = time.monotonic()
    folder = Path(tempfile.mkdtemp(prefix="isomor-stress-"))
    for workers in options.workers:
        size = Size(options.connections, options.seconds, options.ping_seconds, options.warm_ups)
        run(folder / str(workers), workers, size, report)
    if report.wrong:
        print(f"\nLogs, books and journals: {folder}")
    else:
        shutil.rmtree(folder)
    print(f"\n{time.monotonic() - began:.0f} seconds in all.")
    return report.end()


def _allow_files(count: int) -> str | None:
    """Let this process and its children open so many files: what is wrong where they cannot."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < count:
        most = hard - _OTHERS
        return (
            f"make stress: a process needs {count} open files for this, and may have {hard}: raise that "
            f"(ulimit -Hn {count}, as root), or ask for less: make stress ARGS='--connections {most}'"
        )
    if soft != resource.RLIM_INFINITY and soft < count:
        resource.setrlimit(resource.RLIMIT_NOFILE, (count, hard))
    return None


if __name__ == "__main__":
    sys.exit(main())
