"""Real redis-server processes for tests: plain, with TLS, replicas with a sentinel, a cluster; and a bad network.

All on free loopback ports, in folders of their own, each ended by its own process id.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

import redis
from harness import free_port
from redis.backoff import NoBackoff
from redis.retry import Retry

DEADLINE = 30.0


def wait_for(condition: Callable[[], Any], what: str) -> Any:
    """The first true value of `condition()`; errors of Redis count as false."""
    end = time.monotonic() + DEADLINE
    while True:
        with suppress(redis.RedisError, OSError):
            if value := condition():
                return value
        assert time.monotonic() < end, f"waited {DEADLINE:g} s in vain for {what}"
        time.sleep(0.01)


async def until(condition: Callable[[], Any], what: str, seconds: float = DEADLINE) -> Any:
    """The same on an event loop; and errors are errors."""
    end = time.monotonic() + seconds
    while not (value := condition()):
        assert time.monotonic() < end, f"waited {seconds:g} s in vain for {what}"
        await asyncio.sleep(0.005)
    return value


class RedisServer:
    """A redis-server process. It can be frozen, thawed, killed and started again on the same port."""

    def __init__(
        self, folder: Path, *options: str, config: str = "", sentinel: bool = False, tls: bool = False
    ) -> None:
        self.folder = folder
        self.folder.mkdir(parents=True, exist_ok=True)
        self.port = 0
        self.bus_port = 0
        self.password: str | None = None
        self.tls = tls
        self._options = options
        self._config = config
        self._sentinel = sentinel
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}"

    @property
    def socket_path(self) -> str:
        return str(self.folder / "s")

    def start(self) -> RedisServer:
        """Start it and wait until it answers. Another port is tried where somebody else was quicker."""
        assert shutil.which("redis-server"), "redis-server is needed: `make test-setup` installs it, or says how"
        keep = self.port
        for _ in range(5):
            self.port = keep or free_port()
            self._spawn()
            with suppress(AssertionError):
                wait_for(self._up, "redis-server")
                return self
            self.kill()
        raise AssertionError((self.folder / "log").read_text())

    def _spawn(self) -> None:
        path = self.folder / "redis.conf"
        if not path.exists():  # a sentinel writes into its own
            path.write_text(self._config)
        options = ["--tls-port" if self.tls else "--port", str(self.port), "--bind", "127.0.0.1", *self._options]
        options += ["--dir", str(self.folder)]
        if self.tls:
            options += ["--port", "0"]
        if self._sentinel:
            options += ["--sentinel"]
        else:
            options += ["--save", "", "--unixsocket", self.socket_path, "--repl-diskless-sync-delay", "0"]
        if "--cluster-enabled" in options:
            # A second port, for the nodes among themselves; the default is too high for an ephemeral one.
            self.bus_port = self.bus_port or free_port()
            options += ["--cluster-port", str(self.bus_port)]
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(["redis-server", str(path), *options], stdout=log, stderr=log)

    def _up(self) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, (self.folder / "log").read_text()
        try:
            return self("PING") is not None
        except redis.AuthenticationError:
            return True

    def _client(self) -> redis.Redis:
        options: dict[str, Any] = {"password": self.password, "socket_timeout": 10, "retry": Retry(NoBackoff(), 0)}
        if self.tls:
            options |= {"ssl": True, "ssl_cert_reqs": "none"}
        return redis.Redis("127.0.0.1", self.port, protocol=2, **options)

    def __call__(self, *command: str | bytes | int) -> Any:
        """Run a command, over a connection of its own."""
        with self._client() as client:
            return client.execute_command(*command)

    def raw(self, *command: str) -> Any:
        """A reply as it is, before redis-py makes something of it."""
        with self._client() as client:
            client.response_callbacks.clear()
            return client.execute_command(*command)

    def clients(self, *, subscribers: bool) -> list[int]:
        """The ids of the connections that are subscribed to something, or of those that publish."""
        text = self.raw("CLIENT", "LIST").decode()
        lines = [dict(part.split("=", 1) for part in line.split()) for line in text.splitlines()]
        found = []
        for line in lines:
            deaf = int(line["sub"]) == 0 and int(line.get("ssub", 0)) == 0
            if (not deaf) if subscribers else (deaf and line["cmd"] in ("publish", "spublish")):
                found.append(int(line["id"]))
        return found

    def cut(self, *, subscribers: bool) -> int:
        """Kill such connections: how many."""
        killed = 0
        for client in self.clients(subscribers=subscribers):
            with suppress(redis.ResponseError):  # gone meanwhile
                self("CLIENT", "KILL", "ID", client)
                killed += 1
        return killed

    def freeze(self) -> None:
        assert self._process is not None
        os.kill(self._process.pid, signal.SIGSTOP)

    def thaw(self) -> None:
        assert self._process is not None
        os.kill(self._process.pid, signal.SIGCONT)

    def kill(self) -> None:
        """End it, as a power cut would."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None


class Servers:
    """Makes servers, and ends them all."""

    def __init__(self, folder: Path, stack: ExitStack) -> None:
        self._folder = folder
        self._stack = stack
        self._count = 0

    def server(self, *options: str, start: bool = True, **more: Any) -> RedisServer:
        self._count += 1
        server = RedisServer(self._folder / f"redis{self._count}", *options, **more)
        self._stack.callback(server.kill)
        return server.start() if start else server

    def cluster(self, nodes: int = 3) -> list[RedisServer]:
        """Primaries that share the slots out evenly."""
        options = ("--cluster-enabled", "yes", "--cluster-node-timeout", "1000")
        servers = [self.server(*options) for _ in range(nodes)]
        step = 16384 // nodes
        for index, server in enumerate(servers):
            last = 16383 if index == nodes - 1 else (index + 1) * step - 1
            server("CLUSTER", "ADDSLOTSRANGE", index * step, last)
            server("CLUSTER", "SET-CONFIG-EPOCH", index + 1)
        for server in servers[1:]:
            server("CLUSTER", "MEET", "127.0.0.1", servers[0].port, servers[0].bus_port)
        for server in servers:
            wait_for(lambda one=server: _formed(one, nodes), "the cluster to form")
        return servers

    def cluster_replica(self, nodes: list[RedisServer], primary: RedisServer) -> RedisServer:
        """A replica that takes over where the primary fails; all nodes know it."""
        options = (
            "--cluster-enabled",
            "yes",
            "--cluster-node-timeout",
            "1000",
            "--cluster-replica-validity-factor",
            "0",
        )
        replica = self.server(*options)
        replica("CLUSTER", "MEET", "127.0.0.1", primary.port, primary.bus_port)
        name = primary("CLUSTER", "MYID")
        wait_for(lambda: name in replica.raw("CLUSTER", "NODES"), "the replica to know its primary")
        wait_for(lambda: replica("CLUSTER", "REPLICATE", name), "the replica to follow")
        wait_for(lambda: b"master_link_status:up" in replica.raw("INFO", "REPLICATION"), "the replica to catch up")
        for node in nodes:
            wait_for(lambda one=node: b" slave " in one.raw("CLUSTER", "NODES"), "the cluster to know it")
        return replica

    def sentinel(self, master: RedisServer, name: str) -> RedisServer:
        """One sentinel that fails over by itself."""
        config = (
            f"sentinel monitor {name} 127.0.0.1 {master.port} 1\n"
            f"sentinel down-after-milliseconds {name} 500\n"
            f"sentinel failover-timeout {name} 3000\n"
        )
        return self.server(sentinel=True, config=config)


def _formed(server: RedisServer, nodes: int) -> bool:
    info = server.raw("CLUSTER", "INFO")
    return b"cluster_state:ok" in info and b"cluster_known_nodes:%d\r" % nodes in info


@contextmanager
def redis_servers(folder: Path) -> Iterator[Servers]:
    with ExitStack() as stack:
        yield Servers(folder, stack)


class Network:
    """A TCP proxy on the event loop, to a port on loopback: it can delay what passes, and swallow it all.

    async with Network(server.port) as network: RedisBus(network.url)
    """

    def __init__(self, port: int, delay: float = 0.0) -> None:
        self._to = port
        self.delay = delay
        self.open = asyncio.Event()  # cleared: nothing passes, and nobody is told
        self.open.set()
        self.answers = asyncio.Event()  # cleared: what comes back does not pass
        self.answers.set()
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._writers: list[asyncio.StreamWriter] = []
        self._muted: set[asyncio.Task[None]] = set()
        self._order: list[asyncio.Task[None]] = []
        self.url = ""

    async def __aenter__(self) -> Network:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self.url = f"redis://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server is not None
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for writer in self._writers:
            writer.transport.abort()
        await self._server.wait_closed()

    def cut(self) -> None:
        """Break all connections; what has not passed by now is lost."""
        for writer in self._writers:
            writer.transport.abort()
        for task in self._order:
            task.cancel()
        self._order.clear()
        self._writers.clear()

    def mute_oldest(self) -> None:
        """From now on nothing passes on the first connection, and nobody is told."""
        self._muted.add(self._order[0])

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> Awaitable[None]:
        return self._serve(reader, writer)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        self._order.append(task)
        task.add_done_callback(self._tasks.discard)
        self._writers.append(writer)
        far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self._to)
        self._writers.append(far_writer)
        with suppress(asyncio.CancelledError):
            await asyncio.gather(
                self._pump(reader, far_writer, task), self._pump(far_reader, writer, task, self.answers)
            )

    async def _pump(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        owner: asyncio.Task[None],
        gate: asyncio.Event | None = None,
    ) -> None:
        with suppress(OSError):
            while data := await reader.read(65536):
                await self.open.wait()
                if gate is not None:
                    await gate.wait()
                if owner in self._muted:
                    continue
                if self.delay:
                    await asyncio.sleep(self.delay)
                writer.write(data)
                await writer.drain()
        writer.close()
