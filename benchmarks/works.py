"""The works, in the order of the results: who is measured, and what is to be reached."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from .contenders import CEILING, US, Contender, compact
from .measures import ORDER, OTHERS, Bench, Sample, call, connect, idle, memory, push, start


@dataclass(frozen=True)
class Figure:
    """Something that is measured, and how it is told."""

    key: str
    unit: str
    scale: float = 1
    lower: bool = False
    """Less of it is better."""


@dataclass(frozen=True)
class Beside:
    """To reach: the first figure, this many times as good as a peer's."""

    peer: str
    factor: float


@dataclass(frozen=True)
class AtMost:
    """To reach: the first figure, at most this many times a peer's."""

    peer: str
    factor: float


@dataclass(frozen=True)
class Within:
    """To reach: a figure of ours, at most this many times another of ours."""

    figure: str
    other: str
    factor: float


@dataclass(frozen=True)
class Work:
    """Something that all who are named can do."""

    name: str
    title: str
    figures: tuple[Figure, ...]
    contenders: tuple[str, ...]
    targets: tuple[Beside | AtMost | Within, ...]
    measure: Callable[[Bench, Contender], Sample]
    quick: bool = False
    """A part of `--quick`."""
    redis: bool = False
    """It needs one."""


CALLED = (Figure("rate", "calls/s"), Figure("p99_us", "p99, ms", 1e-3, lower=True))
DELIVERED = (Figure("rate", "deliveries/s"),)
LAST_DELIVERED = (Figure("p99_us", "p99, ms", 1e-3, lower=True), Figure("rate", "deliveries/s"))

BY_WS = (US, "ws", "trpc", "socketio", "fastapi", "python-socketio", "sanic", "isomor3", "isomor3-unchecked")
BY_WS_AT_ONCE = (US, "ws", "trpc", "socketio", "fastapi")
BY_HTTP = (US, "isomor-middleware", "fastify", "trpc", "fastapi", "sanic", "isomor3", "isomor3-unchecked")
BY_HTTP_BRIEFLY = (US, "fastify", "trpc", "fastapi")
BY_TOPIC = (US, "ws", "socketio", "fastapi", "python-socketio", "sanic", CEILING)
BY_TOPIC_AT_ONCE = (US, "ws", "socketio", "fastapi", CEILING)  # the others would take minutes


def ahead_of(contenders: tuple[str, ...]) -> tuple[Beside, ...]:
    """Ahead of every peer."""
    return tuple(Beside(peer, 1) for peer in contenders if peer not in (US, "isomor-middleware", CEILING))


WORKS = (
    Work(
        "ws-add",
        "WebSocket call `add(a, b)`, 50 connections, 1 in flight",
        CALLED,
        (*BY_WS, CEILING),
        (Beside("ws", 1.5), Beside("trpc", 4), Beside("fastapi", 3)),
        call,
        quick=True,
    ),
    Work(
        "ws-add-16",
        "WebSocket call `add(a, b)`, 50 connections, 16 in flight",
        CALLED,
        (*BY_WS_AT_ONCE, CEILING),
        (Beside("ws", 1.5),),
        partial(call, in_flight=16),
        quick=True,
    ),
    Work(
        "http-add",
        "HTTP call `add(a, b)`, 50 connections, with a browser's head",
        CALLED,
        (*BY_HTTP, CEILING),
        (Beside("fastify", 2), Beside("fastapi", 6), Beside("trpc", 10)),
        partial(call, transport="http"),
        quick=True,
    ),
    Work(
        "http-add-short",
        "The same, with four headers",
        CALLED,
        (*BY_HTTP_BRIEFLY, CEILING),
        (Beside("fastify", 2), Beside("fastapi", 6), Beside("trpc", 10)),
        partial(call, transport="http", browser=False),
    ),
    Work(
        "ws-order",
        f"WebSocket call with a nested object of {len(compact(ORDER['order']))} bytes, in and out",
        CALLED,
        (*BY_WS, CEILING),
        ahead_of(BY_WS),
        partial(call, function="order"),
        quick=True,
    ),
    Work(
        "http-order",
        "HTTP call with the same object, in and out, with a browser's head",
        CALLED,
        (*BY_HTTP, CEILING),
        ahead_of(BY_HTTP),
        partial(call, transport="http", function="order"),
        quick=True,
    ),
    Work(
        "push-burst",
        "Push to a topic of 1,000 connections, 300 pushes in a burst",
        DELIVERED,
        BY_TOPIC_AT_ONCE,
        (Beside("ws", 20), Beside("socketio", 20), Beside("fastapi", 30)),
        partial(push, how="burst"),
    ),
    Work(
        "push-turns",
        "Push to a topic of 1,000 connections, 300 pushes, one in each turn of the loop",
        DELIVERED,
        BY_TOPIC_AT_ONCE,
        (Beside("ws", 1.4),),
        partial(push, how="turns"),
    ),
    Work(
        "push-latency",
        "Push to a topic of 1,000 connections, one at a time: from the push to the last delivery",
        LAST_DELIVERED,
        BY_TOPIC,
        ahead_of(BY_TOPIC),
        partial(push, how="latency"),
    ),
    Work(
        "redis-burst",
        "Across two processes through Redis, 500 connections each: 300 pushes in a burst",
        DELIVERED,
        (US, "socketio"),
        (Beside("socketio", 3),),
        partial(push, how="burst", pair=True),
        redis=True,
    ),
    Work(
        "redis-turns",
        "Across two processes through Redis: 300 pushes, one in each turn of the loop",
        DELIVERED,
        (US, "socketio"),
        (Beside("socketio", 3),),
        partial(push, how="turns", pair=True),
        redis=True,
    ),
    Work(
        "redis-latency",
        "Across two processes through Redis: one push at a time, to the last delivery",
        LAST_DELIVERED,
        (US, "socketio"),
        (Beside("socketio", 3),),
        partial(push, how="latency", pair=True),
        redis=True,
    ),
    Work(
        "memory",
        "Memory of an idle WebSocket, of 8,000; and after each has sent one message of 200 kB",
        (
            Figure("idle", "kB idle", 1e-3, lower=True),
            Figure("called", "kB after a call", 1e-3, lower=True),
            Figure("after", "kB after", 1e-3, lower=True),
        ),
        (US, "ws"),
        (AtMost("ws", 1.3), Within("after", "idle", 2)),
        memory,
    ),
    Work(
        "connect",
        "New WebSocket connections/s",
        (Figure("rate", "connections/s"),),
        (US, "ws", "trpc", "socketio", "fastapi", "python-socketio", "sanic"),
        (Beside("ws", 1),),
        connect,
    ),
    Work(
        "start",
        "From start to the first answer, with 100 functions",
        (Figure("seconds", "ms", 1e3, lower=True),),
        (US, "fastapi"),
        (Beside("fastapi", 1),),
        start,
    ),
    Work(
        "idle",
        "p99 of a call with 10, 1,000 and 8,000 other connections idle",
        tuple(Figure(f"p99_{others}", f"ms with {others:,}", 1e-3, lower=True) for others in OTHERS),
        (US,),
        (Within("p99_1000", "p99_10", 1.3), Within("p99_8000", "p99_10", 1.3)),
        idle,
    ),
)
