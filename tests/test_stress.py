"""`make stress` in small, and that its books find what it is there to find."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from harness import REPOSITORY, environment
from stress.audit import audit
from stress.books import Books, Subscription, Topic

SMALL = ["--connections", "200", "--seconds", "0.5", "--ping-seconds", "2", "--workers", "2", "--warm-ups", "1"]


def test_in_small():
    command = [sys.executable, "-m", "stress", *SMALL]
    done = subprocess.run(
        command,
        cwd=REPOSITORY / "tests",
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert done.returncode == 0, done.stdout
    assert "All of it held." in done.stdout


def test_more_than_a_process_may_open():
    command = [sys.executable, "-m", "stress", "--connections", "100000000"]
    done = subprocess.run(command, cwd=REPOSITORY / "tests", env=environment(), capture_output=True, text=True)
    assert done.returncode == 2
    assert "ulimit -Hn 100000500" in done.stderr
    assert "--connections" in done.stderr


@pytest.fixture
def books(tmp_path: Path) -> Books:
    return Books(tmp_path / "calls")


@pytest.mark.parametrize(
    ("pushes", "refused", "fault"),
    [
        ([3, 4, 5], [], None),
        ([3, 4, "GAP", 7], [], None),
        ([3, 4, 7], [5, 6], None),
        ([3, 4, 7], [5], "pushes lost without GAP"),
        (["GAP", 3, 5], [], "pushes lost without GAP"),
        ([3, 4, 4], [], "a push that came twice"),
        ([3, 5, 4], [4], "a push that came twice or out of order"),
        ([3, "GAP", 3], [], "a push that came twice"),
    ],
)
def test_pushes(books, pushes, refused, fault):
    topic = Topic("t")
    topic.excused.update(refused)
    subscription = Subscription(topic)
    for push in pushes:
        if push == "GAP":
            subscription.on_gap()
        else:
            subscription.on_push(push, books)
    books.judge_holes()
    assert list(books.faults.counts) == ([fault] if fault else [])


@pytest.mark.parametrize(
    ("ran", "line", "fault"),
    [
        (["a-1"], "a-1 answered OK 7", None),
        (["a-1", "a-1"], "a-1 answered OK 7", "a call that ran twice"),
        ([], "a-1 answered OK 7", "a call that was answered, and did not run"),
        (["a-1"], "a-1 refused UNAVAILABLE 7", None),
        ([], "a-1 refused UNAVAILABLE 7", None),
        ([], "a-1 unanswered 1006 7", "a call that was neither answered nor refused"),
        ([], "a-1 closed 1012 7", None),
        (["a-1"], "a-1 closed 1012 7", "a call that began and has no answer"),
        ([], "a-1 closed 1006 7", "a call on a connection that was closed"),
        (["a-1"], "a-1 left 1006 7", None),
        (["a-1"], "a-1 closed 1006 8", None),  # its worker was killed
        (["a-1", "b-1"], "a-1 answered OK 7", None),  # its caller was frozen
        (["a-1", "a-2"], "a-1 answered OK 7", "a call that ran, and that nobody has made"),
    ],
)
def test_calls(tmp_path, ran, line, fault):
    journal, ledger = tmp_path / "journal", tmp_path / "calls"
    journal.write_text("".join(f"{token}\n" for token in ran))
    ledger.write_text(f"{line}\n")
    made, wrong = audit(journal, [ledger, tmp_path / "missing"], killed={8}, vanished={"b"})
    assert made == 1
    assert [entry.partition(" x ")[2].partition(":")[0] for entry in wrong] == ([fault] if fault else [])
