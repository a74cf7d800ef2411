"""An api folder with a function for every type of docs/types.md: each gives back what it takes."""

from __future__ import annotations

CLASSES = '''
"""The classes that functions of this folder take."""

import dataclasses
import datetime as dt
import enum
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Annotated, Any, Generic, Literal, NamedTuple, NewType, NotRequired, TypedDict, TypeVar
from uuid import UUID

import msgspec
import pydantic
from msgspec import Meta

T = TypeVar("T")
UserId = NewType("UserId", int)


class Color(enum.Enum):
    """A colour."""

    RED = "red"
    BLUE = "blue"


class Level(enum.IntEnum):
    LOW = 1
    HIGH = 3


class Access(enum.IntFlag):
    READ = 1
    WRITE = 2


class Mode(enum.Flag):
    A = 1
    B = 2


class Loose(enum.Enum):
    YES = "yes"

    @classmethod
    def _missing_(cls, value):
        return cls.YES


@dataclasses.dataclass
class Person:
    """Someone."""

    name: Annotated[str, Meta(min_length=1, max_length=20, description="As on the passport.")]
    age: Annotated[int, Meta(ge=0, le=150)] = 30
    color: Color = Color.RED
    tags: set[str] = dataclasses.field(default_factory=set)
    born: dt.date | None = None


@dataclasses.dataclass
class Node:
    """A tree."""

    value: int
    children: list["Node"] = dataclasses.field(default_factory=list)


@dataclasses.dataclass
class Page(Generic[T]):
    items: list[T]
    total: int = 0


class Cat(msgspec.Struct, tag=True):
    lives: int = 9


class Dog(msgspec.Struct, tag="dog", forbid_unknown_fields=True):
    name: str


class Renamed(msgspec.Struct, rename="camel", omit_defaults=True):
    first_name: str
    last_name: str = ""


class Row(msgspec.Struct, array_like=True):
    key: int
    text: str = ""


class Closed(msgspec.Struct, array_like=True, tag=True, forbid_unknown_fields=True):
    key: int


class Point(NamedTuple):
    x: float
    y: float = 0.0


class Movie(TypedDict):
    title: str
    year: NotRequired[int]


class Address(pydantic.BaseModel):
    street: str
    number: int = pydantic.Field(ge=1, description="Of the house.")


class User(pydantic.BaseModel):
    """Who signs in."""

    name: str = pydantic.Field(min_length=2)
    addresses: list[Address] = []
    color: Color = Color.BLUE
    roles: set[str] = set()
    friend: "User | None" = None


class Strict(pydantic.BaseModel):
    model_config = pydantic.ConfigDict(extra="forbid")
    first_name: str = pydantic.Field(alias="firstName")


class Kitten(pydantic.BaseModel):
    kind: Literal["kitten"]
    lives: int = 9


class Puppy(pydantic.BaseModel):
    kind: Literal["puppy"]
    name: str


class Pet(pydantic.BaseModel):
    pet: Kitten | Puppy = pydantic.Field(discriminator="kind")


class Box(pydantic.BaseModel, Generic[T]):
    content: T
'''

# name → hint; the function takes one of it, and gives it back.
HINTS = {
    "any": "Any",
    "none": "None",
    "bool": "bool",
    "int": "int",
    "float": "float",
    "str": "str",
    "bytes": "bytes",
    "bytearray": "bytearray",
    "datetime": "dt.datetime",
    "aware": "Annotated[dt.datetime, Meta(tz=True)]",
    "naive": "Annotated[dt.datetime, Meta(tz=False)]",
    "date": "dt.date",
    "time": "dt.time",
    "timedelta": "dt.timedelta",
    "decimal": "Decimal",
    "uuid": "UUID",
    "list": "list[int]",
    "sequence": "Sequence[str]",
    "tuples": "tuple[int, ...]",
    "pair": "tuple[int, str]",
    "nothing": "tuple[()]",
    "set": "set[int]",
    "frozenset": "frozenset[str]",
    "dict": "dict[str, int]",
    "by_int": "dict[int, str]",
    "by_float": "dict[float, str]",
    "by_uuid": "dict[UUID, str]",
    "by_date": "dict[dt.date, str]",
    "by_color": "dict[Color, int]",
    "by_literal": "dict[Literal['a', 'b'], int]",
    "mapping": "Mapping[str, bool]",
    "color": "Color",
    "level": "Level",
    "access": "Access",
    "mode": "Mode",
    "loose": "Loose",
    "literal": "Literal['a', 1, None]",
    "person": "Person",
    "maybe_person": "Person | None",
    "node": "Node",
    "page": "Page[Person]",
    "page_of_int": "Page[int]",
    "cat": "Cat",
    "animal": "Cat | Dog",
    "maybe_animal": "Cat | Dog | None",
    "renamed": "Renamed",
    "row": "Row",
    "closed": "Closed",
    "point": "Point",
    "movie": "Movie",
    "user_id": "UserId",
    "mixed": "int | str | None",
    "number": "int | float",
    "lists": "list[list[int] | None]",
    "limited": "Annotated[int, Meta(ge=0, lt=10, multiple_of=2)]",
    "positive": "Annotated[float, Meta(gt=0, le=1)]",
    "short": "Annotated[str, Meta(min_length=2, max_length=4)]",
    "pattern": "Annotated[str, Meta(pattern='^[a-z]+$(?!\\\\n)')]",
    "few": "Annotated[list[int], Meta(min_length=1, max_length=3)]",
    "few_bytes": "Annotated[bytes, Meta(min_length=2, max_length=4)]",
    "few_keys": "Annotated[dict[str, int], Meta(max_length=2)]",
    "keys": "dict[Annotated[str, Meta(pattern='^x')], int]",
    "address": "Address",
    "user": "User",
    "strict": "Strict",
    "pet": "Pet",
    "box": "Box[int]",
    "users": "list[User] | None",
}


def api() -> dict[str, str]:
    """The files of the folder."""
    files = {"_classes.py": CLASSES}
    for name, hint in HINTS.items():
        head = "from ._classes import *\nfrom ._classes import dt\n\n\n"
        files[f"give_{name}.py"] = f"{head}async def give_{name}(value: {hint}) -> {hint}:\n    return value\n"
    files |= {
        "several.py": head
        + "from isomor import Context\n\n\n"
        + "def several(ctx: Context, name: str, count: int = 1, *rest: Person) -> list[Any]:\n"
        + '    """Several arguments.\n\n    In order.\n\n    Args:\n        name: whose.\n        rest: more of them.\n'
        + '    """\n'
        + "    return [name, count, [person.name for person in rest]]\n",
        "look.py": head
        + "from isomor import cached\n\n\n@cached(max_age=60)\n"
        + "async def look(person: Person, limit: Annotated[int, Meta(ge=1)] = 10) -> str:\n    return person.name\n",
        "idle.py": "async def idle() -> None:\n    pass\n",
        "status.py": "from isomor import HttpContext\n\n\nasync def status(ctx: HttpContext) -> str:\n"
        + "    ctx.res.status = 201\n    return 'made'\n",
        "listen.py": "from isomor import WsContext\n\n\nasync def listen(ctx: WsContext, topic: str) -> None:\n"
        + "    await ctx.join(topic)\n",
        "no_hints.py": "async def no_hints(a, b=None):\n    return a\n",
    }
    return files
