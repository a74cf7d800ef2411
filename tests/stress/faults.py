"""What is broken, under load, and when it counts as healed."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from harness import NEVER_IN_LOG, wait_until

from .loads import LoadProcess
from .report import Report, by_code, merged
from .system import OUTAGE_BUFFER, System

PATIENCE = 60.0
COMES_BACK = {"1001", "1012"}  # the server restarts
SLOW_READERS_PERCENT = 1
TOO_SLOW = "a connection reads too slowly"
FLOOD = 20, 60_000  # pushes in one call, and bytes of each


@dataclass
class Size:
    """How much of a load: connections, and what they do in a second; how long each part of it takes."""

    connections: int
    seconds: float
    ping_seconds: int
    warm_ups: int

    @property
    def side(self) -> int:
        """Those that a process of its own has, so that it can vanish."""
        return self.connections // 5

    @property
    def calls(self) -> float:
        return self.connections * 0.2

    @property
    def topics(self) -> int:
        return max(self.connections // 50, 2)


@dataclass
class Crowd:
    """All load processes: the main one, and the one that may vanish."""

    system: System
    size: Size
    loads: list[LoadProcess] = field(default_factory=list)
    ledgers: list[Path] = field(default_factory=list)
    vanished: set[str] = field(default_factory=set)
    killed: set[int] = field(default_factory=set)

    def open(self) -> float:
        """Open all connections, in a process each for most of them and for the rest: seconds."""
        began = time.monotonic()
        main = self._start("main", self.size.connections - self.size.side)
        side = self._start("side", self.size.side)
        main.receive()
        side.receive()
        return time.monotonic() - began

    def _start(self, kind: str, connections: int) -> LoadProcess:
        number = len(self.ledgers) + 1
        load = LoadProcess(f"{kind}{number}", self.system.port, number, self.system.folder)
        self.loads.append(load)
        self.ledgers.append(load.ledger)
        topics = max(self.size.topics * connections // self.size.connections, 1)
        load.send("open", connections=connections, topics=[f"{load.name}-{topic}" for topic in range(topics)])
        return load

    def replace_side(self) -> None:
        """Another process in place of the one that vanished."""
        self.loads.pop().kill()
        self._start("side", self.size.side).receive()

    def run(self) -> None:
        """Calls and pushes begin; a push to each topic every second. Until `settle`, pushes may be lost, with a GAP."""
        main, side = self.loads
        share = self.size.side / self.size.connections
        for load, part in ((main, 1 - share), (side, share)):
            load.do("run", calls=self.size.calls * part, pushes=self.size.topics * part)

    def do(self, command: str, **options: Any) -> dict[str, Any]:
        """The same command to all; their figures as those of one."""
        for load in self.loads:
            load.send(command, **options)
        return merged([load.receive() for load in self.loads])

    def close(self) -> dict[str, Any]:
        """Close all connections, and end the processes."""
        figures = self.do("close")
        self.end()
        return figures

    def end(self) -> None:
        while self.loads:
            self.loads.pop().kill()


def nothing(crowd: Crowd, report: Report) -> None:
    """Nothing breaks."""
    report.section("Nothing breaks")
    crowd.run()
    crowd.do("settle")
    time.sleep(crowd.size.seconds)
    figures = crowd.do("stop")
    report.load(figures)
    _undisturbed(figures, report)


def redis_killed(crowd: Crowd, report: Report) -> None:
    """Redis is killed, is away for longer than pushes wait, and comes back on the same port."""
    report.section("Redis is killed and started again")
    crowd.run()
    crowd.system.redis.kill()
    outage = OUTAGE_BUFFER + 1.5
    time.sleep(outage)
    crowd.system.redis.start()
    report.row("away for", f"{outage} s", f"all was well {crowd.do('settle')['seconds']:.1f} s later")
    figures = crowd.do("figures")
    report.load(figures)
    report.require(set(figures["refusals"]) <= {"UNAVAILABLE"}, f"refused with {figures['refusals']}")
    report.require(bool(figures["gaps"]), "nobody was told of a GAP, though the subscriptions broke")
    report.require(not figures["closes"], f"connections were closed: {figures['closes']}")
    _afterwards(crowd, report)


def worker_killed(crowd: Crowd, report: Report) -> None:
    """One worker is killed; its connections come back, to whom there is."""
    report.section("A worker is killed")
    crowd.run()
    pid = crowd.system.kill_worker()
    crowd.killed.add(pid)
    began = time.monotonic()
    wait_until(lambda: len(crowd.system.pids()) == crowd.system.workers, "a new worker", PATIENCE)
    crowd.do("settle")
    report.row("all are back after", f"{time.monotonic() - began:.1f} s")
    figures = crowd.do("figures")
    report.load(figures)
    report.require(not figures["refusals"], f"refused with {figures['refusals']}")
    others = {key: count for key, count in figures["closes"].items() if key.split()[1] not in (str(pid), "0")}
    report.require(not others, f"connections of other workers were closed, by code and worker: {others}")
    _afterwards(crowd, report)


def all_break_off(crowd: Crowd, report: Report) -> None:
    """All connections break at once, and come back: every topic is left, and joined again at once."""
    report.section("All connections break")
    crowd.run()
    crowd.do("break_off")
    report.row("all are back after", f"{crowd.do('settle')['seconds']:.1f} s")
    figures = crowd.do("figures")
    report.load(figures)
    report.require(not figures["refusals"], f"refused with {figures['refusals']}")
    _afterwards(crowd, report)


def readers_stall(crowd: Crowd, report: Report) -> None:
    """Some stop to read, and get more than they can: they are closed with 4008, the others notice nothing."""
    report.section("Readers stall")
    crowd.run()
    crowd.do("settle")
    main, _ = crowd.loads
    count = max(crowd.size.connections * SLOW_READERS_PERCENT // 100, 4)
    server = crowd.system.server
    main.do("stall", connections=count, topic="flood")
    pushed = 0

    def all_too_slow() -> bool:
        nonlocal pushed
        if server.log.count(TOO_SLOW) >= count:
            return True
        server.call("flood", "flood", *FLOOD)
        pushed += FLOOD[0]
        return False

    # Half of them read on, and find why they were closed. The others never do: see `clients_vanish`.
    began = time.monotonic()
    wait_until(all_too_slow, "the log to say that readers are too slow", PATIENCE)
    codes = main.do("read_on", connections=count // 2)["codes"]
    report.require(codes == [4008], f"those who read on found the codes {codes}")
    report.row("stalled", f"{count}", f"{pushed} pushes of {FLOOD[1]:,} bytes to each")
    report.row("all too slow after", f"{time.monotonic() - began:.1f} s")
    figures = crowd.do("stop")
    report.load(figures)
    _undisturbed(figures, report)


def clients_vanish(crowd: Crowd, report: Report) -> None:
    """A process of clients stops where it stands, without a FIN: pings find its connections dead.

    Readers that stall are let go of too, by then.
    """
    report.section("Clients vanish")
    crowd.run()
    crowd.do("settle")
    main, side = crowd.loads
    stay = crowd.size.connections - crowd.size.side
    before = crowd.system.metric("isomor_connections")
    report.require(before >= crowd.size.connections, f"{before:.0f} connections before")
    began = time.monotonic()
    side.freeze()
    crowd.vanished.add(side.name)
    wait_until(lambda: crowd.system.metric("isomor_connections") == stay, "the dead to be found", PATIENCE)
    report.row("vanished", f"{crowd.size.side:,}", f"all found after {time.monotonic() - began:.1f} s")
    main.do("drop")
    figures = main.do("stop")
    report.load(figures)
    _undisturbed(figures, report)
    crowd.replace_side()


def drained(crowd: Crowd, report: Report) -> None:
    """SIGTERM while calls are made: what was begun is answered or refused, and all are told to come back."""
    report.section("The service is drained")
    server = crowd.system.server
    crowd.run()
    time.sleep(crowd.size.seconds)
    crowd.do("stay_away")
    began = time.monotonic()
    server.signal()
    figures = crowd.do("ended")
    code = server.wait()
    report.row("exit code", f"{code}", f"after {time.monotonic() - began:.1f} s")
    report.load(figures)
    report.require(code == 0, f"the exit code is {code}")
    report.require(set(figures["refusals"]) <= {"UNAVAILABLE"}, f"refused with {figures['refusals']}")
    codes = by_code(figures["closes"])
    told = sum(codes[code] for code in codes.keys() & COMES_BACK)
    report.require(told == crowd.size.connections == sum(codes.values()), f"connections were closed with {codes}")
    for text in NEVER_IN_LOG:
        report.require(text not in server.log, f"{text!r} in the log: {server.folder}/server.log")
    crowd.end()


def _afterwards(crowd: Crowd, report: Report) -> None:
    report.section("Afterwards")
    time.sleep(crowd.size.seconds)
    figures = crowd.do("stop")
    report.load(figures)
    _undisturbed(figures, report)


def _undisturbed(figures: dict[str, Any], report: Report) -> None:
    """Nothing was refused, closed or lost."""
    for key in ("refused", "closed", "gaps"):
        report.require(not figures[key], f"{figures[key]} {key}, of which there should be none")
    report.require(not figures["closes"], f"connections were closed: {figures['closes']}")
