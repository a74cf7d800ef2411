from isomor import cached

from ._models import Cat, Dog, Event, Level, Page, Point, Sparse


@cached(max_age=60)
async def keep(
    pet: Cat | Dog, event: Event, page: Page[Point], level: Level = Level.LOW, sparse: Sparse | None = None
) -> Page[Point]:
    return page
