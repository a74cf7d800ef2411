from dataclasses import dataclass
from datetime import date, datetime


@dataclass
class One:
    at: datetime


@dataclass
class Two:
    at: datetime


async def when(exact: bool) -> date | datetime:
    """Two kinds of string."""
    return datetime(2026, 1, 2, 3) if exact else date(2026, 1, 2)
