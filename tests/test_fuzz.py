"""A few seconds of `make fuzz`, with the same inputs each time; and that a fault would be found and can be replayed."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from harness import REPOSITORY, environment

FUZZ = REPOSITORY / "tests" / "fuzz"


def fuzz(target: str, folder: Path, *options: str) -> subprocess.CompletedProcess[str]:
    """Run it to its end; what it writes, it writes below `folder`."""
    options = (f"-artifact_prefix={folder}/", *options)
    return subprocess.run(
        [sys.executable, str(FUZZ / "run.py"), target, *options],
        env=environment({"TMPDIR": str(folder)}),
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=300,
        check=False,
    )


@pytest.mark.parametrize(("target", "runs"), [("websocket", 1000), ("messages", 4000), ("http", 1000)])
def test_nothing_breaks_it(tmp_path, target, runs):
    done = fuzz(target, tmp_path, f"-runs={runs}", "-seed=1", "-max_len=1024", f"-corpus={tmp_path}/found")
    said = done.stdout[-6000:]
    assert done.returncode == 0, f"{said}\nit is in {tmp_path}; `make fuzz TARGET={target} ARGS=FILE` replays it"
    assert f"Done {runs} runs" in said
    seen = int(done.stdout.rpartition(" cov: ")[2].split()[0])
    assert seen > 200, f"it reaches {seen} places of our package only: is that instrumented?"


def test_a_planted_fault_is_found_and_can_be_replayed(tmp_path):
    done = fuzz("planted", tmp_path, "-runs=2000000", "-seed=1", "-max_len=4")
    assert done.returncode != 0
    for text in ("planted fails on b'bug", "replay: ", "LookupError: the planted fault"):
        assert text in done.stdout
    (crash,) = tmp_path.glob("crash-*")
    assert crash.read_bytes().startswith(b"bug")
    again = fuzz("planted", tmp_path, str(crash))
    assert again.returncode != 0
    assert "LookupError: the planted fault" in again.stdout
