"""What was measured, as Markdown."""

from __future__ import annotations

import datetime
import importlib.metadata
import json
import os
import platform
import shutil
import statistics
import subprocess
import sysconfig
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from .contenders import CEILING, HERE, ISOMOR3, NODE, US, Contender
from .measures import Sample
from .works import AtMost, Beside, Figure, Within, Work

SHARES = {"server": "server", "cpu": "load"}
PYTHON_PACKAGES = ("fastapi", "pydantic", "uvicorn", "websockets", "python-socketio", "sanic", "uvloop", "httptools")

INTRODUCTION = """\
# Results

Written by `make bench`, which measures us and the peers in turn on one machine: each round runs everyone once, in an
order of its own, and waits until a server has come to rest before it measures it. A figure is the median of the rounds,
and the range behind it goes from the least to the most; of bursts of pushes a round takes the median of five. The ratio
is how many times as good as the peer isomor is, whether more is better or less; "level" says that isomor is ahead, but
that some of its rounds are not ahead of some of the peer's. `server` and `load` are the shares of a core that the
server and the load generator used, the server's from the first connection to the end. Where the load's is near 100 %,
the server may be faster than what is shown; where the server's is far from it without that, something else was in the
way.

isomor runs with its defaults: validation, the limits of messages and of calls in flight, the bound of the outbox, the
idle time-out, pings and metrics are on. The peers are set up as their own documentation recommends for speed, see
[peers/](peers). `ws`, Socket.IO, python-socketio and Sanic have no validation, and do without; the others validate what
comes in. isomor 3.0.4 is older than this Node, and is given back what Node has removed since, see
[peers/isomor3/old-node.cjs](peers/isomor3/old-node.cjs). The ceiling is the load generator's own server, which says the
same to everything: what could be measured at most.

{placing}
"""

PLACING = """\
Servers are pinned to the first core, and the load generator to the last. Of two servers each has a core of its own, and
Redis and the load generator have {rest}."""


@dataclass
class Results:
    """The samples of a work, by contender, in the order of the rounds."""

    work: Work
    samples: dict[str, list[Sample]] = field(default_factory=dict)

    def median(self, name: str, figure: str) -> float:
        """Of one figure of one contender."""
        return statistics.median(sample[figure] for sample in self.samples[name])

    def ratio(self, figure: Figure, peer: str) -> float:
        """How many times as good as the peer we are."""
        ours, theirs = self.median(US, figure.key), self.median(peer, figure.key)
        return theirs / ours if figure.lower else ours / theirs

    def overlap(self, figure: str, peer: str) -> bool:
        """Whether our rounds and the peer's lie, in part, in one range."""
        ours, theirs = ([sample[figure] for sample in self.samples[name]] for name in (US, peer))
        return min(ours) <= max(theirs) and min(theirs) <= max(ours)

    def judged(self) -> Iterable[tuple[str, float, str]]:
        """For each target that was measured: what is to be reached, the ratio that was, and the verdict.

        That is "yes" or "no"; and where to be ahead is enough, "level" for medians that are ahead within the spread.
        """
        for target in self.work.targets:
            match target:
                case Beside(peer, factor) if peer in self.samples:
                    ratio = self.ratio(self.work.figures[0], peer)
                    level = factor == 1 and self.overlap(self.work.figures[0].key, peer)
                    met = _met(ratio >= factor)
                    yield f"{factor:g} × {peer}", ratio, "level" if level and ratio >= factor else met
                case AtMost(peer, factor) if peer in self.samples:
                    key = self.work.figures[0].key
                    ratio = self.median(US, key) / self.median(peer, key)
                    yield f"at most {factor:g} × {peer}", ratio, _met(ratio <= factor)
                case Within(figure, other, factor):
                    ratio = self.median(US, figure) / self.median(US, other)
                    units = {each.key: each.unit for each in self.work.figures}
                    yield f"{units[figure]} at most {factor:g} × {units[other]}", ratio, _met(ratio <= factor)


def _met(enough: bool) -> str:
    return "yes" if enough else "no"


def tables(all_results: list[Results], contenders: dict[str, Contender]) -> str:
    """The summary, and a table for each work."""
    parts = [_summary(all_results)]
    parts += [_table(results, contenders) for results in all_results]
    return "\n".join(parts)


def document(all_results: list[Results], contenders: dict[str, Contender], rounds: int, cores: list[int]) -> str:
    """The whole of RESULTS.md."""
    rest = "those that are left" if len(cores) > 2 else "both, shared with the servers"
    introduction = INTRODUCTION.format(placing=PLACING.format(rest=rest))
    return "\n".join([introduction, _machine(rounds), tables(all_results, contenders)])


def _summary(all_results: list[Results]) -> str:
    lines = ["## To reach", "", "| work | to reach | reached | met |", "| --- | --- | ---: | --- |"]
    for results in all_results:
        for what, ratio, met in results.judged():
            lines.append(_row([results.work.title, what, _number(ratio), "**no**" if met == "no" else met]))
    return "\n".join([*lines, ""])


def _table(results: Results, contenders: dict[str, Contender]) -> str:
    work = results.work
    shares = [share for share in SHARES if all(share in sample for sample in results.samples[US])]
    heads = ["", *(figure.unit for figure in work.figures), "ratio", *(SHARES[share] for share in shares)]
    lines = [f"## {work.title}", "", f"`{work.name}`", ""]
    lines += [_row(heads), _row(["---", *["---:"] * (len(heads) - 1)])]
    for name in sorted(results.samples, key=lambda name: list(work.contenders).index(name)):
        cells = [contenders[name].title]
        for figure in work.figures:
            values = [sample[figure.key] * figure.scale for sample in results.samples[name]]
            cells.append(f"{_number(statistics.median(values))} ({_number(min(values))} … {_number(max(values))})")
        cells.append("" if name in (US, CEILING) else f"{_number(results.ratio(work.figures[0], name))} ×")
        cells += [f"{results.median(name, share):.0%}" for share in shares]
        lines.append(_row(cells))
    return "\n".join([*lines, ""])


def _row(cells: list[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _number(value: float) -> str:
    """Three digits or more."""
    for limit, digits in ((100, 0), (10, 1), (1, 2)):
        if abs(value) >= limit:
            return f"{value:,.{digits}f}"
    return f"{value:.3f}"


def _machine(rounds: int) -> str:
    node = subprocess.run([NODE, "--version"], stdout=subprocess.PIPE, text=True, check=True).stdout.strip()
    rows = {
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "rounds": str(rounds),
        "machine": f"{_cpu()}, {os.cpu_count()} cores, Linux {platform.release()}",
        "isomor": f"{importlib.metadata.version('isomor')}{_commit()}",
        "Python": f"{platform.python_version()}, {built()}: "
        + ", ".join(f"{name} {importlib.metadata.version(name)}" for name in PYTHON_PACKAGES),
        "Node": f"{node}: {', '.join(_node_packages(HERE) + _node_packages(ISOMOR3))}",
        "Redis": _redis(),
    }
    return "\n".join(["| | |", "| --- | --- |", *(_row([key, value]) for key, value in rows.items()), ""])


def built() -> str:
    """How this Python was optimized when it was built: the official images' has both, and other builds often none."""
    options = sysconfig.get_config_var("CONFIG_ARGS") or ""
    found = [name for option, name in (("--enable-optimizations", "PGO"), ("--with-lto", "LTO")) if option in options]
    return f"built with {' and '.join(found)}" if found else "built without PGO"


def _cpu() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


def _commit() -> str:
    """The commit, and whether there is more than that."""
    done = (
        subprocess.run(
            ["git", "describe", "--always", "--dirty"],
            cwd=HERE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        if shutil.which("git")
        else None
    )
    return f" ({done.stdout.strip()})" if done and done.returncode == 0 else ""


def _node_packages(folder: Path) -> list[str]:
    wanted: dict[str, str] = json.loads((folder / "package.json").read_text())["dependencies"]
    return [f"{name} {version}" for name, version in wanted.items() if not name.startswith("@types/")]


def _redis() -> str:
    if not shutil.which("redis-server"):
        return "none"
    told = subprocess.run(["redis-server", "--version"], stdout=subprocess.PIPE, text=True).stdout
    return next((word.removeprefix("v=") for word in told.split() if word.startswith("v=")), "unknown")
