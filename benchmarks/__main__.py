"""The command: `python -m benchmarks [--quick] [--only WORK,…] [--peers PEER,…] [--rounds N] [--out FILE]`."""

from __future__ import annotations

import argparse
import os
import random
import resource
import shutil
import signal
import sys
import tempfile
import time
from pathlib import Path
from types import FrameType

from . import BenchmarkError
from .contenders import CEILING, US
from .measures import Bench
from .report import Results, built, document, tables
from .servers import FIRST_PORT, Servers
from .works import WORKS, Work

RESULTS = Path(__file__).parent / "RESULTS.md"
PYTHON = (3, 13)  # the image's
QUICK_PEERS = ["ws", "fastify"]
QUICK_ROUNDS, ROUNDS = 3, 5


def main() -> int:
    """Measure, and write or print the tables."""
    options = _options()
    signal.signal(signal.SIGTERM, _stop)
    signal.signal(signal.SIGHUP, _stop)
    results: list[Results] = []
    try:
        _prepare(options.works)
        cores = sorted(os.sched_getaffinity(0))
        with (
            tempfile.TemporaryDirectory(prefix="isomor-benchmarks-") as folder,
            Servers(Path(folder), options.first_port) as servers,
        ):
            bench = Bench(servers, cores)
            os.sched_setaffinity(0, bench.load_core)
            try:
                for work in options.works:
                    results.append(_measure(bench, work, options))
            except BenchmarkError:
                _say(servers.logs())
                if results:
                    print(tables(results, bench.contenders))
                raise
            if options.out:
                options.out.write_text(document(results, bench.contenders, options.rounds, cores))
                _say(f"written: {options.out}")
            else:
                print(tables(results, bench.contenders))
    except BenchmarkError as error:
        _say(f"benchmarks: {error}")
        return 1
    except KeyboardInterrupt:
        _say("benchmarks: stopped; every server has been ended")
        return 130
    return 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="Measure isomor beside its peers.")
    works = {work.name: work for work in WORKS}
    peers = sorted({name for work in WORKS for name in work.contenders} - {US, CEILING})
    parser.add_argument("--quick", action="store_true", help="calls alone, isomor, ws and Fastify: under two minutes")
    parser.add_argument("--only", metavar="WORK,…", help=f"these works alone: {', '.join(works)}")
    parser.add_argument("--peers", metavar="PEER,…", help=f"these peers alone: {', '.join(peers)}")
    parser.add_argument("--rounds", type=int, help=f"{ROUNDS} by default, or {QUICK_ROUNDS} with --quick")
    parser.add_argument(
        "--out", type=Path, help="where to write; benchmarks/RESULTS.md where all is measured, else it is printed"
    )
    parser.add_argument("--first-port", type=int, default=FIRST_PORT, help="servers take ports from here on")
    options = parser.parse_args()
    whole = not (options.quick or options.only or options.peers or options.rounds)
    options.out = options.out or (RESULTS if whole else None)
    chosen = [name for name in works if works[name].quick or not options.quick]
    options.works = [works[name] for name in _chosen(parser, "--only", options.only, list(works)) or chosen]
    options.peers = _chosen(parser, "--peers", options.peers, peers) or (QUICK_PEERS if options.quick else peers)
    options.rounds = options.rounds or (QUICK_ROUNDS if options.quick else ROUNDS)
    return options


def _chosen(parser: argparse.ArgumentParser, option: str, given: str | None, known: list[str]) -> list[str]:
    chosen = given.split(",") if given else []
    for name in chosen:
        if name not in known:
            parser.error(f"{option}: there is no {name!r}, only {', '.join(known)}")
    return chosen


def _prepare(works: list[Work]) -> None:
    """Find out what is missing before anything is measured."""
    if sys.version_info[:2] != PYTHON:
        wanted = ".".join(map(str, PYTHON))
        raise BenchmarkError(f"isomor is measured on Python {wanted}, as in the image: run it by `make bench`")
    if len(os.sched_getaffinity(0)) < 2:
        raise BenchmarkError("two cores are needed: one for the server, and one for the load")
    if not (Path(__file__).parent / "node_modules").is_dir():
        raise BenchmarkError("the peers on Node are not installed: run it by `make bench`, which does that")
    if any(work.redis for work in works) and not shutil.which("redis-server"):
        raise BenchmarkError(
            "two processes push through Redis, and there is no `redis-server`: install it (Debian: redis-server)"
        )
    if "PGO" not in built():
        _say(f"benchmarks: this Python is {built()}, and the image's is not: all that runs on Python is slower here")
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))  # servers inherit it
    if most < 10_000:
        raise BenchmarkError(f"8,000 connections need more than {most} open files: raise the hard limit (ulimit -Hn)")


def _measure(bench: Bench, work: Work, options: argparse.Namespace) -> Results:
    """Everyone, in rounds; each in an order of its own, so that no one has the same before it each time."""
    results = Results(work)
    names = [name for name in work.contenders if name in (US, CEILING, *options.peers)]
    _say(f"\n{work.name}: {work.title}")
    for number in range(options.rounds):
        order = random.Random(f"{work.name} {number}").sample(names, len(names))
        for name in order:
            started = time.monotonic()
            sample = work.measure(bench, bench.contenders[name])
            results.samples.setdefault(name, []).append(sample)
            figures = ", ".join(f"{sample[f.key] * f.scale:,.4g} {f.unit}" for f in work.figures)
            _say(f"  {number + 1}/{options.rounds} {name:18} {figures}  [{time.monotonic() - started:.1f} s]")
    return results


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def _stop(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main())
