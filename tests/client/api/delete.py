from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from isomor import Context

from . import _models


@dataclass
class Point:
    """Another one, of the same name."""

    z: int


class Span(NamedTuple):
    default: int
    function: int = 2


DEFAULT = Span(1)


async def delete(a: Point, ctx: Context, b: _models.Point | None = None, span: Span = DEFAULT) -> Span:
    """Reserved words of JavaScript are no matter.

    :param a: the first
    :returns: what it took
    """
    return span
