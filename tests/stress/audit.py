"""The journal of the functions beside the books of the callers: what ran, and what its caller was told."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Set
from pathlib import Path

from .books import ANSWERED, CLOSED, UNANSWERED, Faults

_COME_BACK = ("1001", "1012")


def audit(journal: Path, ledgers: Iterable[Path], *, killed: Set[int], vanished: Set[str]) -> tuple[int, list[str]]:
    """Compare them.

    Args:
        journal: a line for each call that began.
        ledgers: a line for each call that was made: token, outcome, code, worker.
        killed: workers that were killed; what they ran may be without an answer.
        vanished: loads that were frozen, which keep no books.

    Returns:
        How many calls were made, and what is wrong.
    """
    began = Counter(journal.read_text().split())
    wrong = Faults()
    made = 0
    for ledger in ledgers:
        for line in ledger.read_text().splitlines() if ledger.exists() else ():
            token, outcome, code, worker = line.split()
            made += 1
            runs = began.pop(token, 0)
            if runs > 1:
                wrong.add("a call that ran twice", token)
            if outcome == ANSWERED and not runs:
                wrong.add("a call that was answered, and did not run", token)
            elif outcome == UNANSWERED:
                wrong.add("a call that was neither answered nor refused", token)
            elif outcome == CLOSED and int(worker) not in killed:
                if runs:
                    wrong.add("a call that began and has no answer", f"{token}, closed with {code}")
                elif code not in _COME_BACK:
                    wrong.add("a call on a connection that was closed", f"{token}, closed with {code}")
    for token in began:
        if token.split("-")[0] not in vanished:
            wrong.add("a call that ran, and that nobody has made", token)
    return made, wrong.lines()
