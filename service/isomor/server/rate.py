"""How many calls one connection may make in a second (`max_calls_per_second`): a token bucket, as one number."""

from __future__ import annotations

from ..config import Config
from ..errors import ApiError


class Rate:
    """The rule that all connections share. What differs is when a connection's bucket is full again, which it keeps.

    This is the bucket seen from its other side (the generic cell rate algorithm, ITU-T I.371): no task refills it, and
    a connection that has not called yet has nothing to keep but a 0.
    """

    __slots__ = ("_burst", "_said", "_seconds")

    def __init__(self, per_second: int, burst: int) -> None:
        """`burst` calls at once, and `per_second` from then on."""
        self._seconds = 1 / per_second
        self._burst = burst * self._seconds
        said = "call" if per_second == 1 else "calls"
        self._said = f"More than {per_second} {said} per second (max_calls_per_second); wait a moment, then call again."

    @classmethod
    def of(cls, config: Config) -> Rate | None:
        """The rule of the settings; None where they have none."""
        per_second = config.max_calls_per_second
        return cls(per_second, config.max_calls_burst or per_second) if per_second else None

    def take(self, full_at: float, now: float) -> float:
        """Count a call.

        Args:
            full_at: when the connection's bucket is full, as the last call has left it; 0 before the first.
            now: on the same clock.

        Returns:
            When the bucket is full again.

        Raises:
            ApiError: TOO_MANY_CALLS, where the bucket is empty.
        """
        full_at = max(full_at, now) + self._seconds
        # A moment of slack: times are sums of fractions that no float holds.
        if full_at - now > self._burst + 1e-6:
            raise ApiError.over("max_calls_per_second", "TOO_MANY_CALLS", self._said)
        return full_at
