"""Types of every kind, and a value of each."""

from __future__ import annotations

import enum
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Annotated, Any, Generic, Literal, NamedTuple, NotRequired, TypeVar
from uuid import UUID

import msgspec
from pydantic import BaseModel, ConfigDict, Field, RootModel, computed_field
from typing_extensions import TypedDict

T = TypeVar("T")


class Color(enum.Enum):
    """A colour."""

    RED = "red"
    BLUE = "blue"


class Level(enum.IntEnum):
    LOW = 1
    HIGH = 2


class Place(NamedTuple):
    lat: float
    lon: float = 0.0
    seen: datetime | None = None


class Movie(TypedDict):
    title: str
    year: NotRequired[int]
    shown: NotRequired[datetime]


@dataclass
class Point:
    """A point of a plane."""

    x: int
    y: float = 0.0
    tags: list[str] = field(default_factory=list)


@dataclass
class Event:
    """Something that happens."""

    name: str
    at: datetime
    price: Decimal
    on: date
    wake: time
    lasts: timedelta
    id: UUID
    data: bytes = b""
    colors: set[Color] = field(default_factory=set)
    next: Event | None = None
    by_day: dict[date, list[datetime]] = field(default_factory=dict)


class Item(msgspec.Struct, rename="camel"):
    unit_price: Annotated[Decimal, msgspec.Meta(description="Without tax.")]
    item_count: int = 1
    ordered_at: datetime | None = None


class Pair(msgspec.Struct, array_like=True):
    first: str
    second: bytes = b""


class Cat(msgspec.Struct, tag="cat"):
    lives: int = 9
    born: datetime | None = None


class Dog(msgspec.Struct, tag="dog"):
    name: str
    photo: bytes = b""


class Sparse(msgspec.Struct, omit_defaults=True):
    a: int = 1
    b: int | msgspec.UnsetType = msgspec.UNSET


@dataclass
class Page(Generic[T]):
    items: list[T]
    total: int


@dataclass
class Tree:
    made: datetime
    children: list[Tree] = field(default_factory=list)
    by_name: dict[str, Tree] = field(default_factory=dict)


class Address(BaseModel):
    """Where someone lives."""

    street_name: str = Field(alias="streetName", description="With the number.")
    since: datetime | None = None


class Admin(BaseModel):
    kind: Literal["admin"] = "admin"
    keys: set[str] = set()


class Guest(BaseModel):
    kind: Literal["guest"] = "guest"
    until: datetime


class Who(RootModel[Annotated[Admin | Guest, Field(discriminator="kind")]]):
    pass


class User(BaseModel):
    model_config = ConfigDict(populate_by_name=True)

    name: str
    color: Color = Color.RED
    balance: Decimal = Decimal(0)
    raw: bytes = b""
    address: Address | None = None
    friends: list[User] = []
    place: Place = Place(1.5)
    who: Who | None = None
    movie: Movie | None = None

    @computed_field
    def shout(self) -> str:
        return self.name.upper()


class Sealed(BaseModel):
    model_config = ConfigDict(ser_json_bytes="base64", val_json_bytes="base64", extra="allow")

    data: bytes


UTC_TIME = datetime.fromisoformat("2026-01-02T03:04:05.678+00:00")
ZONED = datetime.fromisoformat("2026-01-02T05:04:05.678+02:00")
NAIVE = datetime(2026, 1, 2, 3, 4, 5, 678000)
BYTES = bytes(range(256)) * 100
NUMBER = UUID("12345678-1234-5678-1234-567812345678")

EVENT = Event(
    "party",
    UTC_TIME,
    Decimal("1.20"),
    date(2026, 1, 2),
    time(3, 4, 5),
    timedelta(seconds=90),
    NUMBER,
    b"\xff\xfe",
    {Color.RED, Color.BLUE},
    Event("sleep", UTC_TIME, Decimal(2), date(2026, 1, 3), time(1), timedelta(hours=8), NUMBER),
    {date(2026, 1, 2): [UTC_TIME, ZONED]},
)
USER = User(
    name="Ada",
    balance=Decimal("12.50"),
    raw="Grüße".encode(),
    address=Address(streetName="Main 1", since=UTC_TIME),
    friends=[User(name="Bob", who=Who(Guest(until=UTC_TIME)))],
    place=Place(1.5, 2.5, UTC_TIME),
    who=Who(Admin(keys={"a"})),
    movie={"title": "Up", "shown": UTC_TIME},
)

# By name: a type, and a value of it.
VALUES: dict[str, tuple[Any, Any]] = {
    "nothing": (None, None),
    "truth": (bool, True),
    "number": (int, 2**53 - 1),
    "fraction": (float, 1.5),
    "text": (str, "Grüße '\"\\ \u2028 😀"),
    "anything": (Any, {"a": [1, None, "2026-01-02T03:04:05Z"]}),
    "moment": (datetime, UTC_TIME),
    "zoned": (Annotated[datetime, msgspec.Meta(tz=True)], ZONED),
    "naive": (Annotated[datetime, msgspec.Meta(tz=False)], NAIVE),
    "day": (date, date(2026, 1, 2)),
    "clock": (time, time(3, 4, 5)),
    "duration": (timedelta, timedelta(days=1, seconds=90)),
    "decimal": (Decimal, Decimal("1.20")),
    "uuid": (UUID, NUMBER),
    "blob": (bytes, BYTES),
    "empty_blob": (bytes, b""),
    "numbers": (list[int], [1, 2]),
    "moments": (list[datetime], [UTC_TIME, UTC_TIME]),
    "tuple_of_two": (tuple[str, datetime], ("a", UTC_TIME)),
    "many": (tuple[bytes, ...], (b"a", b"b")),
    "names": (set[str], {"a", "b"}),
    "days_off": (frozenset[datetime], frozenset({UTC_TIME})),
    "scores": (dict[str, int], {"a": 1, "__proto__": 2}),
    "by_number": (dict[int, datetime], {1: UTC_TIME, 2: UTC_TIME}),
    "by_color": (dict[Color, bytes], {Color.RED: b"\0"}),
    "deep": (dict[str, list[dict[str, set[datetime] | None]]], {"a": [{"b": {UTC_TIME}, "c": None}]}),
    "color": (Color, Color.BLUE),
    "level": (Level, Level.HIGH),
    "choice": (Literal["a", "b", 3], "b"),
    "maybe": (datetime | None, None),
    "maybe_moment": (datetime | None, UTC_TIME),
    "mixed": (bytes | int | list[datetime] | dict[str, bytes] | None, {"a": b"\1"}),
    "mixed_text": (bytes | int | list[datetime] | dict[str, bytes] | None, b"abc"),
    "mixed_list": (bytes | int | list[datetime] | dict[str, bytes] | None, [UTC_TIME]),
    "point": (Point, Point(1, 2.5, ["a"])),
    "event": (Event, EVENT),
    "place": (Place, Place(1.5, 2.5, UTC_TIME)),
    "movie": (Movie, {"title": "Up", "year": 2009, "shown": UTC_TIME}),
    "short_movie": (Movie, {"title": "Up"}),
    "item": (Item, Item(Decimal("9.90"), 2, UTC_TIME)),
    "pair": (Pair, Pair("a", b"b")),
    "pet": (Cat | Dog, Dog("Rex", b"\0\1")),
    "pets": (list[Cat | Dog], [Cat(7, UTC_TIME), Dog("Rex")]),
    "sparse": (Sparse, Sparse(2)),
    "page_of_events": (Page[Event], Page([EVENT], 1)),
    "page_of_points": (Page[Point], Page([Point(1)], 1)),
    "tree": (Tree, Tree(UTC_TIME, [Tree(UTC_TIME)], {"a": Tree(UTC_TIME)})),
    "user": (User, USER),
    "users": (list[User], [USER]),
    "who": (Who, Who(Guest(until=UTC_TIME))),
    "sealed": (Sealed, Sealed(data=b"\xfb\xff\xfe")),
}
