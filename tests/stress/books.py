"""The books of a load process: what became of each call, and what each subscriber has got of its topic."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

# What becomes of a call. CLOSED: the connection went before the answer. LEFT: its caller went.
ANSWERED, REFUSED, CLOSED, LEFT, UNANSWERED = OUTCOMES = "answered", "refused", "closed", "left", "unanswered"
_EXAMPLES = 5


class Faults:
    """What must not have been: each kind with how often, and the first few examples."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self.examples: dict[str, list[str]] = {}

    def add(self, kind: str, example: str = "") -> None:
        self.counts[kind] += 1
        if example and len(known := self.examples.setdefault(kind, [])) < _EXAMPLES:
            known.append(example)

    def lines(self) -> list[str]:
        """Each kind in a line."""
        return [
            f"{count} x {kind}" + (f": {'; '.join(self.examples[kind])}" if kind in self.examples else "")
            for kind, count in self.counts.items()
        ]


class Topic:
    """A topic's publisher: numbers from 1 on, and which of them the service has refused, or never spoke about."""

    __slots__ = ("acknowledged", "excused", "mark", "name", "publisher", "taken")

    def __init__(self, name: str) -> None:
        self.name = name
        self.publisher: Any = None  # one connection as long as it lives: between two there is no order
        self.taken = 0
        self.acknowledged = 0
        self.excused: set[int] = set()  # refused, or of unknown outcome: they may be missing, and may be there
        self.mark: int | None = None  # from this number on, everything must arrive


class Subscription:
    """What one connection has got of a topic: `since` begins its last row without a hole."""

    __slots__ = ("gaps", "last", "since", "told", "topic")

    def __init__(self, topic: Topic) -> None:
        self.topic = topic
        self.last = self.since = 0
        self.told = False  # GAP came after the last push
        self.gaps = 0  # since the mark

    def on_gap(self) -> None:
        self.told = True
        self.gaps += 1

    def on_push(self, number: int, books: Books) -> None:
        books.deliveries += 1
        if not self.last:
            self.since = number
        elif number <= self.last:
            kind = "a push that came twice" if number == self.last else "a push that came twice or out of order"
            books.faults.add(kind, f"{self.topic.name}: {number} after {self.last}")
            return
        elif number > self.last + 1:
            self.since = number
            if not self.told:
                books.holes.append((self.topic, self.last + 1, number))
        self.last = number
        self.told = False


@dataclass
class Books:
    """See the module. `file` gets a line for each call: token, outcome, code, worker."""

    file: Path
    deliveries: int = 0
    gaps: int = 0
    outcomes: Counter[str] = field(default_factory=Counter)
    refusals: Counter[str] = field(default_factory=Counter)
    closes: Counter[str] = field(default_factory=Counter)
    attempts: Counter[str] = field(default_factory=Counter)  # to connect and join, that failed
    faults: Faults = field(default_factory=Faults)
    holes: list[tuple[Topic, int, int]] = field(default_factory=list)  # not announced: from, up to but without
    latencies: list[float] = field(default_factory=list)
    _lines: list[str] = field(default_factory=list)

    def settle(self, token: str, outcome: str, code: object, worker: int) -> None:
        """This is what became of a call."""
        self.outcomes[outcome] += 1
        self._lines.append(f"{token} {outcome} {code} {worker}\n")

    def save(self) -> None:
        """Write down what was settled since."""
        with self.file.open("a") as out:
            out.writelines(self._lines)
        self._lines.clear()

    def judge_holes(self) -> None:
        """What is missing without GAP must be what its pusher was told of."""
        for topic, begin, end in self.holes:
            if not topic.excused.issuperset(range(begin, end)):
                self.faults.add("pushes lost without GAP", f"{topic.name}: {begin} to {end - 1}")
        self.holes.clear()

    def take(self) -> dict[str, object]:
        """The figures since the last time."""
        latencies = sorted(self.latencies)
        share = {name: latencies[int(len(latencies) * part)] if latencies else 0.0 for name, part in _SHARES}
        figures: dict[str, object] = {
            "made": self.outcomes.total(),
            **{outcome: self.outcomes[outcome] for outcome in OUTCOMES},
            "refusals": dict(self.refusals),
            "closes": dict(self.closes),
            "attempts": dict(self.attempts),
            "deliveries": self.deliveries,
            "gaps": self.gaps,
            "faults": self.faults.lines(),
            **share,
        }
        self.deliveries = self.gaps = 0
        self.faults = Faults()
        for counter in (self.outcomes, self.refusals, self.closes, self.attempts):
            counter.clear()
        self.latencies.clear()
        return figures


_SHARES = (("median", 0.5), ("p99", 0.99), ("longest", 0.999999))
