"""Load processes as the run sees them: commands to them, and their ends."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

from harness import REPOSITORY


class LoadProcess:
    """One process of load clients; see load.py for the commands."""

    def __init__(self, name: str, port: int, network: int, folder: Path) -> None:
        self.name = name
        self.ledger = folder / f"calls-{name}"
        self._process = subprocess.Popen(
            [sys.executable, "-m", "stress.load", name, str(port), str(network), str(folder)],
            cwd=REPOSITORY / "tests",
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def __enter__(self) -> LoadProcess:
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()

    def send(self, do: str, **options: Any) -> None:
        """Begin a command; `receive` waits for its end."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps({"do": do, **options}) + "\n")
        self._process.stdin.flush()

    def receive(self) -> dict[str, Any]:
        """What a command has answered.

        Raises:
            AssertionError: if the process has ended.
        """
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        assert line, f"the load process {self.name} ended with {self._process.wait()}"
        answer: dict[str, Any] = json.loads(line)
        return answer

    def do(self, do: str, **options: Any) -> dict[str, Any]:
        """A command, and its answer."""
        self.send(do, **options)
        return self.receive()

    def freeze(self) -> None:
        """Stop it where it stands: its sockets stay, and nobody reads them or answers a ping."""
        os.kill(self._process.pid, signal.SIGSTOP)

    def kill(self) -> None:
        """End it. Nothing happens where it has ended."""
        self._process.kill()
        self._process.wait()
        for stream in (self._process.stdin, self._process.stdout):
            assert stream is not None
            with suppress(BrokenPipeError):
                stream.close()
