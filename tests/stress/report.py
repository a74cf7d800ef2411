"""What is printed: sections of figures, and what was wrong."""

from __future__ import annotations

from typing import Any

from .books import OUTCOMES


class Report:
    """Prints as it goes; `wrong` is what must not have been."""

    def __init__(self) -> None:
        self.wrong: list[str] = []
        self._title = self._section = ""

    def title(self, title: str) -> None:
        self._title = title
        self._section = ""
        print(f"\n== {title} ==", flush=True)

    def section(self, title: str) -> None:
        self._section = title
        print(f"\n{title}", flush=True)

    def row(self, name: str, *values: str) -> None:
        print(f"  {name:<28}{'; '.join(value for value in values if value)}", flush=True)

    def fault(self, what: str) -> None:
        """This must not be."""
        self.wrong.append(f"{self._title}: {self._section}: {what}")
        print(f"  WRONG: {what}", flush=True)

    def require(self, holds: bool, otherwise: str) -> None:
        if not holds:
            self.fault(otherwise)

    def load(self, figures: dict[str, Any]) -> None:
        """What the load has met since it was last asked."""
        self.row("calls", f"{figures['made']:,} made", *(f"{figures[key]:,} {key}" for key in OUTCOMES if figures[key]))
        if figures["refusals"]:
            self.row("refused with", _counts(figures["refusals"]))
        if figures["closes"]:
            self.row("closed with", _counts(by_code(figures["closes"])))
        if figures["attempts"]:
            self.row("attempts that failed", _counts(figures["attempts"]))
        times = ("median", "p99", "longest")
        self.row("answered after, in ms", *(f"{key} {figures[key] * 1000:,.1f}" for key in times))
        self.row("pushes received", f"{figures['deliveries']:,}", f"{figures['gaps']:,} times GAP")
        if "checked" in figures:
            self.row("of later pushes", f"{figures['checked']:,} had to arrive once and in order")
        for line in figures["faults"]:
            self.fault(line)

    def end(self) -> int:
        """The last lines; the exit code."""
        if not self.wrong:
            print("\nAll of it held.")
            return 0
        print(f"\n{len(self.wrong)} did not hold:")
        for line in self.wrong:
            print(f"  {line}")
        return 1


def by_code(closes: dict[str, int]) -> dict[str, int]:
    """Ends of connections by code; the load counts them by code and worker."""
    found: dict[str, int] = {}
    for key, count in closes.items():
        code = key.split()[0]
        found[code] = found.get(code, 0) + count
    return found


def _counts(counts: dict[str, int]) -> str:
    return ", ".join(f"{count:,} x {key}" for key, count in sorted(counts.items()))


def merged(reports: list[dict[str, Any]]) -> dict[str, Any]:
    """The figures of several load processes as those of one: counts added, of times the worst."""
    total: dict[str, Any] = {}
    for report in reports:
        for key, value in report.items():
            if key not in total:
                total[key] = dict(value) if isinstance(value, dict) else value
            elif isinstance(value, dict):
                for name, count in value.items():
                    total[key][name] = total[key].get(name, 0) + count
            elif isinstance(value, float):
                total[key] = max(total[key], value)
            else:
                total[key] = total[key] + value
    return total
