"""The service and its Redis under test, and what the system says of their processes."""

from __future__ import annotations

import os
import signal
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path

from harness import Server, free_port, wait_until
from prometheus_client.parser import text_string_to_metric_families
from redis_servers import RedisServer

API = Path(__file__).parent / "api"
PATIENCE = 30.0
SETTLING = 15.0  # seconds that descriptors and tasks have to be as they were
THREADS = 4
# Of plain functions, and of what the service itself has to do in threads (asyncio's own pool).
MOST_THREADS = THREADS + min(32, (os.cpu_count() or 1) + 4)
OUTAGE_BUFFER = 3  # seconds that pushes wait for Redis


@dataclass(frozen=True)
class Held:
    """What a worker holds: its resident set in MiB, and counts."""

    memory: float
    descriptors: int
    tasks: int
    threads: int
    connections: int

    @property
    def leaks(self) -> tuple[int, int, int]:
        """What must be as it was before."""
        return self.descriptors, self.tasks, self.connections


class System:
    """`isomor serve` with so many workers, and its redis-server; ended with the stack."""

    def __init__(self, folder: Path, stack: ExitStack, workers: int, ping_seconds: int) -> None:
        self.folder = folder
        self.journal = folder / "journal"
        folder.mkdir(parents=True, exist_ok=True)
        self.journal.touch()
        self.redis = RedisServer(folder / "redis")
        self.redis.port = free_port()
        stack.callback(self.redis.kill)
        self.redis.start()
        self.server = Server(
            folder / "server",
            API,
            env={
                "STRESS_JOURNAL": str(self.journal),
                "ISOMOR_REDIS_URL": self.redis.url,
                "ISOMOR_REDIS_OUTAGE_BUFFER_SECONDS": str(OUTAGE_BUFFER),
                "ISOMOR_WORKERS": str(workers),
                "ISOMOR_THREADS": str(THREADS),
                "ISOMOR_WS_PING_SECONDS": str(ping_seconds),
                # A client that calls at the moment when it has been idle for so long would blur the books.
                "ISOMOR_WS_TIMEOUT": "0",
            },
        )
        stack.callback(self.server.http.close)
        stack.callback(self.server.kill)
        self.workers = workers
        self.server.start()
        wait_until(lambda: len(self.pids()) == workers and len(self.held()) == workers, "all workers")

    @property
    def port(self) -> int:
        return self.server.port

    def pids(self) -> list[int]:
        """The processes that serve."""
        if self.workers == 1:
            return [self.server.pid]
        return [int(pid) for pid in _read(f"/proc/{self.server.pid}/task/{self.server.pid}/children").split()]

    def kill_worker(self) -> int:
        """Kill the worker that was started last: its process."""
        pid = self.pids()[-1]
        os.kill(pid, signal.SIGKILL)
        wait_until(lambda: pid not in self.pids(), "the killed worker to be gone")
        return pid

    def held(self) -> dict[int, Held]:
        """What each worker holds; each is asked on a connection of its own, as chance has it."""
        found: dict[int, Held] = {}

        def ask() -> bool:
            figures = self.server.call("figures")
            pid = figures.pop("pid")
            if pid not in found:
                found[pid] = Held(memory=_memory(pid), **figures)
            return found.keys() >= set(self.pids())

        wait_until(ask, "figures of every worker")
        return found

    def settled(self, before: Held) -> dict[int, Held]:
        """What each worker holds once nothing is left of the load, or after some time if that does not come to be."""
        with suppress(AssertionError):
            wait_until(lambda: all(held.leaks == before.leaks for held in self.held().values()), timeout=SETTLING)
        return self.held()

    def metric(self, name: str, **labels: str) -> float:
        """A metric's value, over all workers; 0 where there is none."""
        for family in text_string_to_metric_families(self.server.http.get("/metrics").text):
            for sample in family.samples:
                if sample.name == name and labels.items() <= sample.labels.items():
                    return sample.value
        return 0


def _read(path: str) -> str:
    return Path(path).read_text()


def _memory(pid: int) -> float:
    for line in _read(f"/proc/{pid}/smaps_rollup").splitlines():
        if line.startswith("Rss:"):
            return int(line.split()[1]) / 1024
    raise AssertionError(f"no Rss in /proc/{pid}/smaps_rollup")
