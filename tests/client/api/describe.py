from datetime import date
from decimal import Decimal

from ._models import Point


async def describe(point: Point, on: date, new: bool = False, *prices: Decimal) -> str:
    """Say what this is. */ Not the end.

    @ is no tag here.

    Args:
        point: where it is,
            in the plane
        on: the day
        *prices: one or more

    Returns:
        a sentence
    """
    return f"{point} {on} {new} {prices}"
