"""The load generator: building it, and running it. What it measures is told in load/load.c."""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from . import BenchmarkError
from .servers import end, pinned

SOURCE = Path(__file__).parent / "load" / "load.c"
PATIENCE = 180  # seconds; it gives up by itself after 30 without progress


class Generator:
    """`load`, built into a folder and run on some cores. Messages are handed to it in files of the same folder."""

    def __init__(self, folder: Path, cores: set[int]) -> None:
        self.folder = folder
        self.cores = cores
        self.program = folder / "load"
        if not shutil.which("cc"):
            raise BenchmarkError("the load generator is written in C, and there is no `cc`: install gcc")
        command = ["cc", "-O2", "-std=gnu11", "-o", str(self.program), str(SOURCE), "-lm"]
        built = subprocess.run(command, stderr=subprocess.PIPE, text=True)
        if built.returncode:
            raise BenchmarkError(f"the load generator could not be built:\n{built.stderr}")

    def file(self, text: str | bytes) -> str:
        """The path of a file with this text."""
        content = text.encode() if isinstance(text, str) else text
        path = self.folder / f"message-{hashlib.sha256(content).hexdigest()[:16]}"
        path.write_bytes(content)
        return str(path)

    def run(self, *args: object, cores: set[int] | None = None) -> dict[str, Any]:
        """What it measured. Where a single answer was wrong or missing, nothing was."""
        done = subprocess.run(
            [str(self.program), *map(str, args)],
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            preexec_fn=pinned(cores or self.cores),
        )
        if done.returncode:
            raise BenchmarkError(done.stderr.strip() or f"load {args[0]} ended with {done.returncode}")
        result: dict[str, Any] = json.loads(done.stdout)
        if result.get("errors"):
            raise BenchmarkError(f"load {args[0]}: {result['errors']} answers were wrong or missing: {done.stdout}")
        return result

    @contextmanager
    def holding(self, connections: int, *args: object) -> Iterator[Held]:
        """So many open WebSockets, until the block ends."""
        process = subprocess.Popen(
            [str(self.program), "hold", "--connections", str(connections), *map(str, args)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            process_group=0,
            preexec_fn=pinned(self.cores),
        )
        try:
            held = Held(process)
            held.expect("held", connections)
            yield held
        finally:
            end(process)


class Held:
    """WebSockets that are held open."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process

    def expect(self, key: str, count: int) -> None:
        """Wait for its next line, which must say this."""
        assert self.process.stdout is not None
        assert self.process.stderr is not None
        line = self.process.stdout.readline()
        if not line:
            raise BenchmarkError(self.process.stderr.read().strip() or "load hold ended early")
        if json.loads(line) != {key: count}:
            raise BenchmarkError(f"load hold: expected {count} {key}, got {line.strip()}")

    def send(self, file: str, connections: int) -> None:
        """Send one message on each, and wait for all answers."""
        assert self.process.stdin is not None
        self.process.stdin.write(f"send {file}\n")
        self.process.stdin.flush()
        self.expect("answered", connections)
