"""Starting servers on cores of their own, asking the system about them, and ending them whatever happens."""

from __future__ import annotations

import contextlib
import itertools
import os
import shlex
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from . import BenchmarkError

# Below those that the system gives to connections (32768 and up): one of these would be in the way of a server.
FIRST_PORT = 29100
PORTS = 100
STARTING = 20  # seconds that a server has to become ready
ENDING = 10  # seconds that it has to end by itself
# A server is asked whether it is ready this often. Where the start is what is measured, it is the resolution.
POLLING = 0.001  # seconds
SETTLING = 5  # seconds that a server may take to come to rest
QUIET = 0.1  # seconds in which it does next to nothing

Process = subprocess.Popen[bytes] | subprocess.Popen[str]


@dataclass(frozen=True)
class Command:
    """How a server is started on a port."""

    args: Callable[[int], list[str]]
    port_variable: str = "PORT"
    environment: Mapping[str, str] | None = None
    chatty: bool = False
    """It tells of each call on stdout, which is then not kept."""
    prepare: Callable[[], object] | None = None
    """Called before it is started."""
    probe: bytes | None = b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
    """The HTTP request that it answers once it is ready; None: it is ready when it accepts connections."""
    below: int = 500
    """The status of that answer is below this."""


class Server:
    """A server that runs."""

    def __init__(self, args: list[str], process: subprocess.Popen[bytes], port: int, log: Path, started: float) -> None:
        self.args = args
        self.process = process
        self.port = port
        self.log = log
        self.started = started
        self.ready = started
        """When it was started and when it answered, in seconds of `time.perf_counter`."""

    def memory(self) -> int:
        """Bytes of memory that are resident, of its children too."""
        return sum(_resident(pid) for pid in _family(self.process.pid))

    def cpu(self) -> float:
        """Seconds of processor time that it has used, with its children."""
        return sum(_used(pid) for pid in _family(self.process.pid))

    def settle(self) -> None:
        """Wait, for a while, until it does nothing: what came before may still keep it busy."""
        end = time.perf_counter() + SETTLING
        used = self.cpu()
        while time.perf_counter() < end:
            time.sleep(QUIET)
            before, used = used, self.cpu()
            if used - before < QUIET / 4:
                return

    def last_words(self) -> str:
        """Its command, and the last that it said."""
        return f"{shlex.join(self.args)}\n{self.log.read_text(errors='replace')[-3000:]}"


class Servers:
    """Every server that was started here, and is ended with the block."""

    def __init__(self, folder: Path, first_port: int = FIRST_PORT) -> None:
        self.folder = folder
        self._running: list[Server] = []
        # Each in its turn: one that was used may still be in the state of closing.
        self._ports = itertools.cycle(range(first_port, first_port + PORTS))

    def __enter__(self) -> Servers:
        return self

    def __exit__(self, *_: object) -> None:
        # Nothing may come between: who asks again is told by the end of this.
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)
        for server in self._running:
            _signal(server.process, signal.SIGTERM)
        for server in self._running:
            end(server.process)

    def start(self, command: Command, cores: set[int]) -> Server:
        """Start it on these cores, in a folder of its own with nothing in it, and wait until it is ready."""
        if command.prepare:
            command.prepare()
        port = self._free_port()
        args = command.args(port)
        folder = Path(tempfile.mkdtemp(dir=self.folder))
        log = folder / "log"
        # Settings of ours, and whatever changes Node or Python, are no part of the measurement.
        ours = ("ISOMOR_", "NODE_", "PYTHON", "UVICORN_", "SANIC_")
        environment = {key: value for key, value in os.environ.items() if not key.startswith(ours)}
        environment |= {"NODE_ENV": "production", command.port_variable: str(port), **(command.environment or {})}
        with log.open("wb") as output:
            started = time.perf_counter()
            process = subprocess.Popen(
                args,
                cwd=folder,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL if command.chatty else output,
                stderr=output,
                process_group=0,
                preexec_fn=pinned(cores),
            )
        server = Server(args, process, port, log, started)
        self._running.append(server)
        while not _answers(port, command):
            if process.poll() is not None:
                raise BenchmarkError(f"a server ended at once: {server.last_words()}")
            if time.perf_counter() > started + STARTING:
                raise BenchmarkError(f"a server was not ready within {STARTING} seconds: {server.last_words()}")
            time.sleep(POLLING)
        server.ready = time.perf_counter()
        return server

    def stop(self, server: Server) -> None:
        """End it, and wait for its end."""
        self._running.remove(server)
        end(server.process)

    def logs(self) -> str:
        """The last that each of the running servers said."""
        return "\n".join(server.last_words() for server in self._running if server.log.stat().st_size)

    def _free_port(self) -> int:
        for port in itertools.islice(self._ports, PORTS):
            with socket.socket() as probe, contextlib.suppress(OSError):
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                probe.bind(("0.0.0.0", port))
                return port
        raise BenchmarkError(f"there is no free port among {PORTS}: name the first of others by --first-port")


def pinned(cores: Iterable[int]) -> Callable[[], None]:
    """For `preexec_fn`: the process and all its threads run on these cores."""
    chosen = set(cores)
    return lambda: os.sched_setaffinity(0, chosen)


def end(process: Process) -> None:
    """End a process, and wait for its end."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        _signal(process, number)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(ENDING)
            break
    for stream in (process.stdin, process.stdout, process.stderr):
        with contextlib.suppress(OSError):
            if stream:
                stream.close()


def _signal(process: Process, number: int) -> None:
    # Those that are started here lead a group of their own, so that whatever they have started is in it.
    if process.poll() is None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, number)


def _answers(port: int, command: Command) -> bool:
    try:
        # From another address: one that connects to a port of its own address may be given that port, and meet itself.
        with socket.create_connection(("127.0.0.1", port), STARTING, ("127.0.0.99", 0)) as connection:
            if command.probe is None:
                return True
            connection.sendall(command.probe)
            answer = connection.recv(64).split(b" ")  # HTTP/1.1 200 OK
            return len(answer) > 1 and int(answer[1]) < command.below
    except OSError:
        return False


def _family(pid: int) -> list[int]:
    with contextlib.suppress(OSError):
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        return [pid, *(member for child in children for member in _family(int(child)))]
    return []


def _used(pid: int) -> float:
    # The name of the program, in parentheses, may hold anything; the fields after it are numbered from 3 on.
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[14 - 3]) + int(fields[15 - 3])) / os.sysconf("SC_CLK_TCK")


def _resident(pid: int) -> int:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) * 1024
    return 0
