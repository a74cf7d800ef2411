"""The benchmarks' own parts: what is said of the figures, and the load generator held against its own server."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace

import pytest
from harness import REPOSITORY, free_port

sys.path.insert(0, str(REPOSITORY))

from benchmarks.contenders import BROWSER, CEILING, ISOMOR_HTTP, US, request
from benchmarks.report import Results
from benchmarks.works import WORKS, AtMost, Beside, Work

RATE = next(work for work in WORKS if work.name == "ws-add")
MEMORY = next(work for work in WORKS if work.name == "memory")


def verdicts(work: Work, **samples: list[float]) -> list[tuple[str, float, str]]:
    first = work.figures[0].key
    return list(
        Results(work, {name: [{first: value} for value in values] for name, values in samples.items()}).judged()
    )


@pytest.mark.parametrize(
    ("ours", "theirs", "factor", "ratio", "verdict"),
    [
        ([30, 31, 32], [10, 10, 10], 3, 3.1, "yes"),
        ([29, 29, 29], [10, 10, 10], 3, 2.9, "no"),
        ([11, 12, 13], [8, 10, 12], 1, 1.2, "level"),
        ([13, 14, 15], [8, 10, 12], 1, 1.4, "yes"),
        ([8, 9, 11], [8, 10, 12], 1, 0.9, "no"),
        ([10, 30, 30], [10, 10, 30], 3, 3.0, "yes"),
    ],
)
def test_a_target_beside_a_peer(ours, theirs, factor, ratio, verdict):
    work = replace(RATE, targets=(Beside("ws", factor),))
    [(what, reached, said)] = verdicts(work, isomor=ours, ws=theirs)
    assert (what, round(reached, 6), said) == (f"{factor} × ws", ratio, verdict)


@pytest.mark.parametrize(("ours", "verdict"), [([12.9, 13, 13], "yes"), ([13.1, 13.2, 13.1], "no")])
def test_a_target_of_at_most(ours, verdict):
    work = replace(MEMORY, targets=(AtMost("ws", 1.3),))
    [(_, _, said)] = verdicts(work, isomor=ours, ws=[10, 10, 10])
    assert said == verdict


def test_less_is_better_for_times():
    work = next(work for work in WORKS if work.name == "redis-latency")
    [(_, ratio, said)] = verdicts(work, isomor=[5, 5, 5], socketio=[15, 15, 15])
    assert (ratio, said) == (3, "yes")


def test_no_target_is_about_us_or_the_ceiling_and_each_is_measured():
    for work in WORKS:
        for target in work.targets:
            if isinstance(target, Beside | AtMost):
                assert target.peer in work.contenders
                assert target.peer not in (US, "isomor-middleware", CEILING)


def test_a_browsers_head_is_whole():
    head, _, body = request(ISOMOR_HTTP, "add", {"a": 1, "b": 2}, browser=True).partition(b"\r\n\r\n")
    lines = head.decode().split("\r\n")
    assert lines[0] == "POST /isomor/api/add HTTP/1.1"
    assert set(BROWSER.splitlines()) < set(lines)
    assert f"Content-Length: {len(body)}" in lines
    assert body == b'{"args":[1,2]}'


def test_the_load_generator_measures_its_own_server_rightly():
    port = free_port(3)
    done = subprocess.run(
        ["sh", REPOSITORY / "benchmarks/load/selfcheck.sh", str(port)], capture_output=True, text=True, timeout=300
    )
    assert done.stdout.strip() == "load: all is well", done.stderr
