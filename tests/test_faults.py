"""Every fault of a call's arguments, each with where it is, what was expected and what came."""

# No `from __future__ import annotations`: `hint` below is a type, not its name.

import datetime as dt
import enum
import json
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Annotated, Any, Literal, NamedTuple, NotRequired, Optional, TypedDict
from uuid import UUID

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import Meta, Struct

from isomor import faults
from isomor.errors import ApiError
from isomor.functions import Function


class Color(enum.Enum):
    RED = "red"
    BLUE = "blue"


class Level(enum.IntEnum):
    LOW = 1
    HIGH = 2


@dataclass
class Point:
    x: int
    y: float = 0.0
    tags: list[str] = field(default_factory=list)
    next: Optional["Point"] = None


@dataclass
class Age:
    years: int

    def __post_init__(self):
        if self.years < 0:
            raise ValueError("years must not be negative")


@dataclass
class Person:
    age: Age
    name: str


class Strict(Struct, forbid_unknown_fields=True):
    a: int
    b: str = ""


class Camel(Struct, rename="camel"):
    first_name: str


class Cat(Struct, tag="cat", tag_field="kind"):
    lives: int


class Dog(Struct, tag="dog", tag_field="kind"):
    name: str


class Row(Struct, array_like=True):
    a: int
    b: str


class Movie(TypedDict):
    title: str
    year: NotRequired[int]


class Place(NamedTuple):
    lat: float
    name: str = ""


def of(hint: Any) -> Function:
    def f(a):
        return a

    f.__annotations__ = {"a": hint}
    return Function(f, name="f", path="/isomor/api/f", matches_ws=False, namespace={})


def found(hint: Any, value: Any) -> list[tuple[str, str, str]]:
    """The faults, as the function's decoder and `faults.find` both have them."""
    with pytest.raises(ApiError) as caught:
        of(hint).decode(msgspec.Raw(json.dumps([value]).encode()))
    assert isinstance(caught.value.details, list)
    details = [(detail["path"], detail["expected"], detail["got"]) for detail in caught.value.details]
    assert details == faults.find(value, hint)
    return details


ONE = [
    (int, "1", "int", "str"),
    (int, 1.0, "int", "float"),
    (int, True, "int", "bool"),
    (int, None, "int", "null"),
    (int, [], "int", "array"),
    (int, {}, "int", "object"),
    (float, "x", "float", "str"),
    (int | None, "x", "int | null", "str"),
    (list[int], "ab", "array", "str"),
    (list[int], {}, "array", "object"),
    (dict[str, int], [], "object", "array"),
    (tuple[int, str], [1], "array of length 2", "array of length 1"),
    (tuple[int, str], [1, "a", 2], "array of length 2", "array of length 3"),
    (Point, None, "object", "null"),
    (Point, [], "object", "array"),
    (Point | None, 3, "object | null", "int"),
    (Color, "green", "one of 'red', 'blue'", "str of length 5"),
    (Color, 1, "one of 'red', 'blue'", "int"),
    (Level, 3, "one of 1, 2", "int 3"),
    (Literal["a", "b"], "c", "one of 'a', 'b'", "str of length 1"),
    (Cat | Dog, {"kind": "cow"}, "an object of one of the tags 'cat', 'dog'", "object of length 1"),
    (Cat | Dog, {"lives": 1}, "an object of one of the tags 'cat', 'dog'", "object of length 1"),
    (Cat | Dog, 1, "an object of one of the tags 'cat', 'dog'", "int"),
    (Place, {}, "array", "object"),
    (Annotated[int, Meta(ge=0)], -1, "int >= 0", "int -1"),
    (Annotated[int, Meta(lt=10)], 10, "int <= 9", "int 10"),
    (Annotated[float, Meta(gt=0)], 0.0, "float > 0.0", "float 0.0"),
    (Annotated[int, Meta(multiple_of=3)], 4, "int that's a multiple of 3", "int 4"),
    (Annotated[str, Meta(min_length=2)], "a", "str of length >= 2", "str of length 1"),
    (Annotated[str, Meta(max_length=2)], "abc", "str of length <= 2", "str of length 3"),
    (Annotated[list[int], Meta(min_length=1)], [], "array of length >= 1", "array of length 0"),
    (Annotated[dict[str, int], Meta(max_length=1)], {"a": 1, "b": 2}, "object of length <= 1", "object of length 2"),
    (Annotated[dt.datetime, Meta(tz=True)], "2026-01-02T03:04:05", "datetime with a timezone component", None),
    (dt.datetime, "yesterday", "a valid RFC3339 encoded datetime", "str of length 9"),
    (dt.date, "2026-13-01", "a valid RFC3339 encoded date", "str of length 10"),
    (dt.time, 5, "time", "int"),
    (dt.timedelta, "1h", "a valid ISO8601 duration", "str of length 2"),
    (UUID, "x", "a valid UUID", "str of length 1"),
    (Decimal, "x", "a valid decimal string", "str of length 1"),
    (Decimal, "NaN", "a finite number", "NaN"),
    (Decimal, "-Infinity", "a finite number", "-Infinity"),
    (bytes, "%%", "a valid base64 encoded string", "str of length 2"),
]  # fmt: skip


@pytest.mark.parametrize(("hint", "value", "expected", "got"), ONE, ids=str)
def test_a_value_as_a_whole(hint, value, expected, got):
    ((path, was_expected, was_got),) = found(hint, value)
    assert path == ""
    assert was_expected == expected
    assert got is None or was_got == got


MANY = [
    (list[int], ["a", 1, None], [("[0]", "int", "str"), ("[2]", "int", "null")]),
    (set[int], ["a", "b"], [("[0]", "int", "str"), ("[1]", "int", "str")]),
    (frozenset[int], ["a"], [("[0]", "int", "str")]),
    (tuple[int, ...], ["a", 1, "b"], [("[0]", "int", "str"), ("[2]", "int", "str")]),
    (tuple[int, str], ["a", 1], [("[0]", "int", "str"), ("[1]", "str", "int")]),
    (dict[str, int], {"a": "x", "b": 1, "c": None}, [("a", "int", "str"), ("c", "int", "null")]),
    (dict[str, Point], {"a": {"x": "b"}, "c": {}}, [("a.x", "int", "str"), ("c.x", "int", "missing")]),
    (Point, {}, [("x", "int", "missing")]),
    (
        Point,
        {"x": "a", "y": "b", "tags": [1, "t", 2], "next": {"y": "c", "next": {"x": None}}},
        [
            ("x", "int", "str"),
            ("y", "float", "str"),
            ("tags[0]", "str", "int"),
            ("tags[2]", "str", "int"),
            ("next.x", "int", "missing"),
            ("next.y", "float", "str"),
            ("next.next.x", "int", "null"),
        ],
    ),
    (list[list[Point]], [[{"x": "a"}], [{}]], [("[0][0].x", "int", "str"), ("[1][0].x", "int", "missing")]),
    (Point | None, {"x": "a", "y": "b"}, [("x", "int", "str"), ("y", "float", "str")]),
    (Point | list[int] | None, ["a", "b"], [("[0]", "int", "str"), ("[1]", "int", "str")]),
    (Point | list[int] | None, {"x": "a", "y": "b"}, [("x", "int", "str"), ("y", "float", "str")]),
    (list[int] | dict[str, int], {"a": "b"}, [("a", "int", "str")]),
    (Strict, {"b": 1, "c": 2, "d": 3}, [("a", "int", "missing"), ("b", "str", "int"), ("c",), ("d",)]),
    (Camel, {"first_name": "a"}, [("firstName", "str", "missing")]),
    (Camel, {"firstName": 1}, [("firstName", "str", "int")]),
    (Cat | Dog, {"kind": "dog", "name": 1}, [("name", "str", "int")]),
    (Cat | Dog | None, {"kind": "cat"}, [("lives", "int", "missing")]),
    (list[Cat | Dog], [{"kind": "cow"}, {"kind": "cat", "lives": "9"}], [("[0]",), ("[1].lives", "int", "str")]),
    (Row, ["a", 1], [("[0]", "int", "str"), ("[1]", "str", "int")]),
    (Movie, {"year": "a"}, [("title", "str", "missing"), ("year", "int", "str")]),
    (Place, ["a", 1], [("[0]", "float", "str"), ("[1]", "str", "int")]),
    (list[Annotated[int, Meta(ge=1)]], [0, 1, -1], [("[0]", "int >= 1", "int 0"), ("[2]", "int >= 1", "int -1")]),
    (list[Decimal], ["1", "NaN", "x"], [("[1]", "a finite number", "NaN"), ("[2]", "a valid decimal string")]),
    (list[Color], ["red", "x", "y"], [("[1]", "one of 'red', 'blue'"), ("[2]", "one of 'red', 'blue'")]),
    (dict[str, list[UUID]], {"a": ["x", "y"]}, [("a[0]", "a valid UUID"), ("a[1]", "a valid UUID")]),
    (Person, {"age": {"years": -1}, "name": 1}, [("age", "years must not be negative"), ("name", "str", "int")]),
    (Person, {"age": {"years": "a"}}, [("age.years", "int", "str"), ("name", "str", "missing")]),
    (list[Person], [{"age": {"years": -1}, "name": "a"}] * 2, [("[0].age",), ("[1].age",)]),
]  # fmt: skip


@pytest.mark.parametrize(("hint", "value", "expected"), MANY, ids=str)
def test_every_fault(hint, value, expected):
    details = found(hint, value)
    assert [detail[: len(part)] for detail, part in zip(details, expected, strict=True)] == expected


def test_an_answer_lists_a_hundred_at_most():
    assert len(found(list[int], ["a"] * 5000)) == faults.MOST == 100

    def f(*rest: int):
        return rest

    function = Function(f, name="f", path="/isomor/api/f", matches_ws=False, namespace={})
    with pytest.raises(ApiError) as caught:
        function.decode(msgspec.Raw(json.dumps(["a"] * 5000).encode()))
    assert isinstance(caught.value.details, list)
    assert len(caught.value.details) == 100


def test_a_long_value_is_not_sent_back():
    secret = "s3cret" * 1000
    for hint in (int, Color, UUID, Literal["a"], Annotated[str, Meta(max_length=2)], Age, list[int]):
        for detail in found(hint, secret):
            assert "s3cret" not in str(detail)


def test_the_name_of_a_type():
    assert faults.describe(int | None) == "int | null"
    assert faults.describe(list[int]) == "array"
    assert faults.describe(Point) == "object"
    assert faults.describe(Any) == "any value"


def test_every_key_of_a_dict_that_does_not_fit():
    details = found(dict[int, str], {"x": "a", "y": "b", "1": "c"})
    assert [detail[0] for detail in details] == ["x", "y"]
    assert all("key" in detail[1] for detail in details)


def test_a_tag_that_is_wrong_beside_a_field_that_is():
    assert [detail[0] for detail in found(Cat, {"kind": "dog", "lives": "9"})] == ["kind", "lives"]


def test_a_tag_that_is_wrong_says_which_is_right():
    (detail,) = found(Cat, {"kind": "dog", "lives": 9})
    assert "'cat'" in detail[1]


def test_an_array_that_came_as_an_object():
    assert found(Row, {"a": 1, "b": "c"}) == [("", "array", "object")]
    assert found(Row, {"a": 1}) == [("", "array", "object")]
    assert found(Strict, ["a", 1]) == [("", "object", "array")]


def message(hint: Any, value: Any) -> str:
    with pytest.raises(ApiError) as caught:
        of(hint).decode(msgspec.Raw(json.dumps([value]).encode()))
    assert isinstance(caught.value.details, list)
    return caught.value.details[0]["message"]


def test_messages():
    assert message(int, "1") == "a: expected int, got str"
    assert message(list[int], ["1"]) == "a[0]: expected int, got str"
    assert message(Point, {}) == "a.x is missing"


def test_messages_are_sentences():
    assert message(Age, {"years": -1}) == "a: years must not be negative"
    assert message(Strict, {"a": 1, "c": 2}) == "a.c: there is no such field"


HINTS: list[Any] = [
    int, float, bool, str, None, Any, Decimal, UUID, bytes, dt.datetime, dt.date, dt.time, dt.timedelta,
    int | None, int | str, list[int], dict[str, int], dict[int, str], tuple[int, str], tuple[int, ...], set[int],
    Color, Level, Literal["a", 1], Point, Point | None, list[Point], Person, Strict, Camel, Cat, Cat | Dog, Row, Movie,
    Place, Annotated[int, Meta(ge=0, le=9)], Annotated[str, Meta(min_length=1, max_length=2)],
    Point | list[int] | int | None, list[Cat | Dog], dict[str, Point],
]  # fmt: skip

names = st.sampled_from(["x", "y", "a", "b", "kind", "cat", "lives", "name", "age", "years", "title", "firstName", "1"])
scalars = st.none() | st.booleans() | st.integers(-3, 3) | st.floats(-2, 2) | names | st.text(max_size=3)
values = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=3), max_leaves=8
)


@settings(max_examples=300, deadline=None)
@given(value=values, hint=st.sampled_from(HINTS))
def test_both_passes_agree(value, hint):
    """What the decoder takes has no fault, and what it refuses has one, each of them complete."""
    args = msgspec.Raw(json.dumps([value]).encode())
    if not (known := faults.find(value, hint)):
        of(hint).decode(args)
        return
    with pytest.raises(ApiError) as caught:
        of(hint).decode(args)
    assert caught.value.code == "INVALID_ARGS"
    assert isinstance(caught.value.details, list)
    assert len(caught.value.details) == len(known)
    for detail in caught.value.details:
        assert detail["param"] == "a", "the net under both passes has caught it"
        assert detail["expected"]
        assert detail["got"]
        assert not detail["message"].startswith("a: expected Expected")
