"""Signatures: which functions can be served, how arguments become values, and where the context goes."""

# No `from __future__ import annotations`: hints here are objects, and strings where a test is about strings.

import asyncio
import contextvars
import datetime as dt
import enum
import functools
import json
import math
import sys
import threading
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import (
    Annotated,
    Any,
    Generic,
    Literal,
    NamedTuple,
    NoReturn,
    NotRequired,
    Optional,
    TypedDict,
    TypeVar,
    Union,
)
from uuid import UUID

import msgspec
import pytest
from msgspec import Meta, Struct

import isomor
import isomor as i
from isomor import Context, HttpContext, WsContext, cached
from isomor.context import HttpResponse
from isomor.errors import ApiError, LoadError
from isomor.functions import Function
from isomor.messages import encode

NAMES = {name: getattr(isomor, name) for name in isomor.__all__} | {"isomor": isomor}
WHEN = dt.datetime(2026, 1, 2, 3, 4, 5, tzinfo=dt.UTC)
NUMBER = "12345678-1234-5678-1234-567812345678"

T = TypeVar("T")


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
class Other:
    z: int


@dataclass
class Pair(Generic[T]):
    first: T
    second: T


class Item(Struct, rename="camel"):
    unit_price: Decimal
    count: int = 1


class Strict(Struct, forbid_unknown_fields=True):
    a: int


class Cat(Struct, tag=True):
    lives: int


class Dog(Struct, tag=True):
    name: str


class Box(Struct, Generic[T]):
    item: T


class Movie(TypedDict):
    title: str
    year: NotRequired[int]


class Place(NamedTuple):
    lat: float
    lon: float = 0.0


class Custom:
    pass


def made(target: Any, *, ws: bool = False) -> Function:
    return Function(target, name="f", path="/isomor/api/f", matches_ws=ws, namespace=NAMES)


def taking(hint: Any) -> Function:
    def f(a):
        return a

    f.__annotations__ = {"a": hint}
    return made(f)


def raw(args: Any) -> msgspec.Raw:
    return msgspec.Raw(args.encode() if isinstance(args, str) else json.dumps(args).encode())


def refused(target: Any) -> list[str]:
    with pytest.raises(LoadError) as caught:
        made(target)
    return caught.value.faults


def invalid(function: Function, args: Any) -> list[dict[str, Any]]:
    with pytest.raises(ApiError) as caught:
        function.decode(raw(args))
    assert (caught.value.code, caught.value.status) == ("INVALID_ARGS", 422)
    assert isinstance(caught.value.details, list)
    assert caught.value.message.startswith(f"f: {caught.value.details[0]['message']}")
    for detail in caught.value.details:
        assert list(detail) == ["param", "path", "expected", "got", "message"]
        assert detail["message"]
        assert "`" not in detail["message"]
    return caught.value.details


def run(function: Function, args: Any, ctx: Context | None = None) -> Any:
    """Call it as a server does: in a task, with a pool of threads."""

    async def main() -> Any:
        with ThreadPoolExecutor(2) as pool:
            return await function.run(function.decode(raw(args)), ctx or http(), pool)

    return asyncio.run(main())


def http() -> HttpContext:
    return HttpContext("f", None, HttpResponse())  # type: ignore[arg-type]


def ws() -> WsContext:
    return WsContext("f", None)  # type: ignore[arg-type]


# ---- Types -------------------------------------------------------------------------------------------------------

GOOD = [
    (int, 1, 1),
    (int, -(2**63), -(2**63)),
    (float, 1, 1.0),
    (float, 1.5, 1.5),
    (bool, True, True),
    (str, "é\u0000😀", "é\u0000😀"),
    (None, None, None),
    (Optional[int], None, None),  # noqa: UP045
    (int | None, 3, 3),
    (Union[int, str], "a", "a"),  # noqa: UP007
    (int | str | None, 1, 1),
    (list[int], [1, 2], [1, 2]),
    (list, [1, "a", None], [1, "a", None]),
    (dict, {"a": [1]}, {"a": [1]}),
    (dict[str, int], {"a": 1}, {"a": 1}),
    (dict[int, str], {"1": "a"}, {1: "a"}),
    (dict[Color, int], {"red": 1}, {Color.RED: 1}),
    (dict[UUID, int], {NUMBER: 1}, {UUID(NUMBER): 1}),
    (tuple[int, str], [1, "a"], (1, "a")),
    (tuple[int, ...], [1, 2], (1, 2)),
    (set[int], [1, 1, 2], {1, 2}),
    (frozenset[str], ["a"], frozenset({"a"})),
    (Sequence[int], [1], [1]),
    (Mapping[str, int], {"a": 1}, {"a": 1}),
    (Color, "red", Color.RED),
    (Level, 2, Level.HIGH),
    (Literal["a", 3, None], 3, 3),
    (Literal["a", 3, None], None, None),
    (Point, {"x": 1}, Point(1)),
    (Point, {"x": 1, "next": {"x": 2, "tags": ["t"]}}, Point(1, next=Point(2, tags=["t"]))),
    (Point, {"x": 1, "unknown": 2}, Point(1)),
    (Point | None, None, None),
    (list[Point], [{"x": 1}], [Point(1)]),
    (Pair[int], {"first": 1, "second": 2}, Pair(1, 2)),
    (Item, {"unitPrice": "1.50", "count": 2}, Item(Decimal("1.50"), 2)),
    (Strict, {"a": 1}, Strict(1)),
    (Cat | Dog, {"type": "Dog", "name": "Rex"}, Dog("Rex")),
    (Cat | Dog | None, {"type": "Cat", "lives": 9}, Cat(9)),
    (Point | list[int] | str, {"x": 1}, Point(1)),
    (Point | list[int] | str, [1], [1]),
    (Point | list[int] | str, "s", "s"),
    (Box[list[int]], {"item": [1]}, Box([1])),
    (Movie, {"title": "M"}, {"title": "M"}),
    (Place, [1.5], Place(1.5)),
    (Place, [1, 2], Place(1.0, 2.0)),
    (Annotated[int, Meta(ge=0, le=10)], 10, 10),
    (Annotated[str, Meta(min_length=2, pattern="^a")], "ab", "ab"),
    (Annotated[list[Annotated[int, Meta(gt=0)]], Meta(min_length=1)], [1], [1]),
    (dt.datetime, "2026-01-02T03:04:05Z", WHEN),
    (dt.datetime, "2026-01-02T03:04:05", WHEN.replace(tzinfo=None)),
    (dt.date, "2026-01-02", WHEN.date()),
    (dt.time, "03:04:05", WHEN.time()),
    (dt.timedelta, "PT1H30S", dt.timedelta(hours=1, seconds=30)),
    (UUID, NUMBER, UUID(NUMBER)),
    (Decimal, "1.50", Decimal("1.50")),
    (Decimal, 1.5, Decimal("1.5")),
    (bytes, "AAEC", b"\0\1\2"),
    (Any, {"a": [None, 1.5]}, {"a": [None, 1.5]}),
    (object, [1], [1]),
]  # fmt: skip

BAD = [
    (int, [1.0, 1.5, True, "1", None, [], {}]),
    (float, ["1.5", True, None, "NaN"]),
    (bool, [1, 0, "true", None]),
    (str, [1, None, ["a"]]),
    (None, [0, "", False]),
    (int | None, ["x", 1.5]),
    (int | str, [1.5, None, True]),
    (list[int], [{}, "ab", ["a"], None]),
    (dict[str, int], [[], {"a": "b"}]),
    (dict[int, str], [{"x": "a"}, {"1": 2}]),
    (dict[Color, int], [{"green": 1}]),
    (tuple[int, str], [[1], [1, "a", 2], ["a", 1]]),
    (set[int], [["a"], {}]),
    (Color, ["green", "RED", 1, None]),
    (Level, [3, "1", "LOW", 1.0]),
    (Literal["a", 3], ["b", 4, None, True]),
    (Point, [{}, [], None, {"x": "1"}, {"x": 1, "next": {"y": 1}}]),
    (Pair[int], [{"first": 1}, {"first": 1, "second": "b"}]),
    (Item, [{"unit_price": 1}, {"unitPrice": "x"}]),
    (Strict, [{"a": 1, "b": 2}]),
    (Cat | Dog, [{"type": "Cow"}, {"name": "Rex"}, {"type": "Dog", "name": 1}, 1]),
    (Box[list[int]], [{"item": ["a"]}]),
    (Movie, [{"year": 1}, {"title": "M", "year": "1"}]),
    (Place, [[], ["a"], [1, 2, "c"], {"lat": 1}][:2]),
    (Annotated[int, Meta(ge=0, le=10)], [-1, 11, "a"]),
    (Annotated[str, Meta(min_length=2, max_length=3, pattern="^a")], ["a", "abcd", "bc"]),
    (Annotated[list[int], Meta(max_length=1)], [[1, 2]]),
    (Annotated[dt.datetime, Meta(tz=True)], ["2026-01-02T03:04:05"]),
    (dt.datetime, ["2026-01-02", "yesterday", 5]),
    (dt.date, ["2026-13-01", 5]),
    (dt.time, ["25:00:00", 5]),
    (dt.timedelta, ["1h", 5, None]),
    (UUID, ["x", 5, None]),
    (Decimal, ["x", "NaN", "Infinity", "-inf", "sNaN", None, True]),
    (bytes, ["%%", 5, [0]]),
]  # fmt: skip


@pytest.mark.parametrize(("hint", "given", "value"), GOOD, ids=lambda part: str(part)[:40])
def test_a_value_that_fits(hint, given, value):
    (decoded,) = taking(hint).decode(raw([given]))
    assert decoded == value
    assert type(decoded) is type(value)


@pytest.mark.parametrize(("hint", "given", "value"), GOOD, ids=lambda part: str(part)[:40])
def test_what_a_function_returns_comes_back_equal(hint, given, value):
    sent = encode(value)
    assert taking(hint).decode(raw(f"[{sent.decode()}]")) == [value]


@pytest.mark.parametrize(("hint", "given"), [(hint, given) for hint, all_given in BAD for given in all_given], ids=str)
def test_a_value_that_does_not_fit(hint, given):
    details = invalid(taking(hint), [given])
    assert {detail["param"] for detail in details} == {"a"}
    assert all(detail["expected"] for detail in details)
    assert all(detail["got"] for detail in details)


@pytest.mark.parametrize("number", ["1e400", "-1e400", "1" * 5000])
@pytest.mark.parametrize("hint", [float, int, int | float, str, Any])
def test_a_number_that_nothing_holds(hint, number):
    (detail,) = invalid(taking(hint), f"[{number}]")
    assert "out of range" in detail["message"]
    assert "range" in invalid(taking(list[hint]), f"[[1, {number}]]")[0]["message"]


@pytest.mark.parametrize("number", ["1e400", "-1e400", "123456789" * 20])
def test_a_decimal_holds_more(number):
    assert taking(Decimal).decode(raw(f"[{number}]")) == [Decimal(number)]


def test_object_within_a_type():
    def f(a: list[object], b: dict[str, object]) -> dict[str, object]:
        return {"a": a, "b": b}

    assert run(made(f), [[1, "a"], {"c": None}]) == {"a": [1, "a"], "b": {"c": None}}


def test_no_hint_is_any_value():
    def f(a, b=None):
        return a

    assert made(f).decode(raw([{"x": [1]}, "y"])) == [{"x": [1]}, "y"]


def test_nesting_that_is_too_deep():
    @dataclass
    class Nest:
        inner: Any = None

    depth = 100_000
    with pytest.raises(ApiError) as caught:
        taking(Any).decode(msgspec.Raw(b"[" * depth + b"]" * depth))
    assert caught.value.code == "BAD_MESSAGE"


@pytest.mark.parametrize(
    ("hint", "why"),
    [
        (Point | Other, "ambiguous"),
        (list[Point | Other], "ambiguous"),
        (str | UUID, "ambiguous"),
        (str | dt.date | None, "ambiguous"),
        (bytes | str, "ambiguous"),
        (Color | str, "ambiguous"),
        (dict[str, int] | Point, "ambiguous"),
        (list[int] | set[int], "ambiguous"),
        (Custom, "Custom cannot cross the wire"),
        (list[Custom], "Custom cannot cross the wire"),
        (dict[str, Custom | None], "Custom cannot cross the wire"),
        (complex, "complex cannot cross the wire"),
        (Path, "Path cannot cross the wire"),
        (range, "range cannot cross the wire"),
        (Callable[[], int], "Callable cannot cross the wire"),
        (Iterator[int], "Iterator cannot cross the wire"),
        (Iterable[int], "Iterable cannot cross the wire"),
        (type[int], "cannot cross the wire|not supported"),
        (NoReturn, "not supported"),
        (Literal[True], "use bool"),
        (Literal[b"a"], "Literal"),
        (list[Context], "Context cannot cross the wire"),
        (Context | int, "ambiguous|Context"),
    ],
    ids=str,
)
def test_a_type_that_cannot_cross_the_wire(hint, why):
    def f(good: int, bad):
        return good

    f.__annotations__ = {"good": int, "bad": hint}
    with pytest.raises(LoadError, match=why) as caught:
        made(f)
    (fault,) = caught.value.faults
    assert fault.startswith("parameter bad: ")
    assert "use " in fault or "take " in fault, "it names no fix"


@pytest.mark.parametrize("hint", [Custom, list[Custom], Iterator[int], AsyncIterator[int], complex, NoReturn])
def test_a_result_that_cannot_cross_the_wire(hint):
    def f():
        return None

    f.__annotations__ = {"return": hint}
    (fault,) = refused(f)
    assert fault.startswith("its result: ")


@pytest.mark.parametrize("hint", [Point | Other, str | UUID, dict[str, Any], None, Sequence[int], Mapping[str, int]])
def test_a_result_has_not_to_be_told_apart(hint):
    def f():
        return None

    f.__annotations__ = {"return": hint}
    assert made(f).returns == (type(None) if hint is None else hint)


def test_all_faults_of_a_function_at_once():
    def f(a: Custom, b: str | UUID, *, c: int, **d: int) -> complex:
        return 1j

    faults = refused(f)
    assert [fault.partition(":")[0] for fault in faults] == [
        "parameter a",
        "parameter b",
        "parameter c is keyword-only, and arguments are positional; move it before the *",
        "parameter **d",
        "its result",
    ]


# ---- Signatures --------------------------------------------------------------------------------------------------


def test_defaults():
    def f(a: int, b: str = "b", c: list[int] | None = None):
        return (a, b, c)

    function = made(f)
    assert [(param.name, param.required) for param in function.params] == [("a", True), ("b", False), ("c", False)]
    assert run(function, [1]) == (1, "b", None)
    assert run(function, [1, "x", [2]]) == (1, "x", [2])
    assert [detail["got"] for detail in invalid(function, [])] == ["missing"]
    assert len(invalid(function, ["a", None])) == 2


def test_a_default_need_not_be_of_the_type():
    marker = object()

    def f(a: int = marker):  # type: ignore[assignment]
        return a is marker

    assert run(made(f), []) is True


def test_too_many_arguments():
    def f(a: int):
        return a

    (detail,) = invalid(made(f), [1, 2, 3])
    assert (detail["param"], detail["path"]) == (None, "[1]")
    assert (detail["expected"], detail["got"]) == ("at most 1 arguments", "3 arguments")
    assert len(invalid(made(f), ["x", 2])) == 2


def test_every_missing_argument_is_told():
    def f(a: int, b: str, c: Point):
        return a

    details = invalid(made(f), [])
    assert [(detail["param"], detail["got"]) for detail in details] == [(name, "missing") for name in "abc"]
    assert [detail["message"] for detail in details] == [f"{name} is missing" for name in "abc"]


@pytest.mark.parametrize("args", ["{}", '"ab"', "null", "1", "true"])
def test_arguments_that_are_no_array(args):
    def f(a: int = 1):
        return a

    (detail,) = invalid(made(f), args)
    assert detail["param"] is None
    assert detail["expected"] == "an array of arguments"


def test_rest():
    def f(a: int, *rest: Point):
        return (a, rest)

    function = made(f)
    assert run(function, [1]) == (1, ())
    assert run(function, [1, {"x": 2}, {"x": 3}]) == (1, (Point(2), Point(3)))
    details = invalid(function, ["a", {"x": 1}, {"x": "b", "y": "c"}, 4])
    assert [(detail["param"], detail["path"]) for detail in details] == [
        ("a", ""),
        ("rest", "[1].x"),
        ("rest", "[1].y"),
        ("rest", "[2]"),
    ]
    assert details[1]["message"].startswith("rest[1].x: expected int")


@pytest.mark.parametrize("args", ["{}", "null", "1"])
def test_rest_that_is_no_array(args):
    def f(*rest):
        return rest

    assert invalid(made(f), args)[0]["expected"] == "an array of arguments"


def test_rest_after_defaults_and_context():
    def f(a: int, ctx: Context, b: str = "b", *rest: int):
        return (a, ctx.type, b, rest)

    function = made(f)
    assert run(function, [1]) == (1, "http", "b", ())
    assert run(function, [1, "x", 2, 3], ws()) == (1, "ws", "x", (2, 3))


def test_rest_without_a_hint():
    def f(*rest):
        return list(rest)

    assert run(made(f), [1, "a", None]) == [1, "a", None]


def test_positional_only():
    def f(a: int, b: int = 2, /):
        return a + b

    assert run(made(f), [1]) == 3
    assert run(made(f), [1, 1]) == 2


@pytest.mark.parametrize(
    ("target", "parameter"),
    [(lambda *, b=1: b, "b"), (lambda a, *args, b: b, "b"), (lambda **options: options, "**options")],
)
def test_what_is_not_positional_is_refused(target, parameter):
    (fault,) = refused(target)
    assert f"parameter {parameter}" in fault
    assert "positional" in fault
    assert ";" in fault


def test_generators_are_refused():
    def f():
        yield 1

    async def g():
        yield 1

    for target in (f, g, functools.partial(f)):
        (fault,) = refused(target)
        assert "generator" in fault
        assert "return a list" in fault


def test_a_name_that_nobody_knows():
    def f(a: "Nowhere"):  # noqa: F821
        return a

    (fault,) = refused(f)
    assert "NameError" in fault
    assert "Nowhere" in fault


def test_every_fault_is_told_in_one_message():
    def f(a: int, b: Point):
        return a

    with pytest.raises(ApiError) as caught:
        made(f).decode(raw(["a", {"x": "b", "y": "c"}]))
    assert caught.value.message == "f: a: expected int, got str (and 2 more)"


# ---- The context -------------------------------------------------------------------------------------------------

Alias = WsContext
MaybeHttp = HttpContext | None

CONTEXTS = [
    (Context, None, {"http", "ws"}),
    (HttpContext, "http", {"http"}),
    (WsContext, "ws", {"ws"}),
    (Alias, "ws", {"ws"}),
    (i.WsContext, "ws", {"ws"}),
    ("WsContext", "ws", {"ws"}),
    ("i.HttpContext", "http", {"http"}),
    ("isomor.Context", None, {"http", "ws"}),
    ("Annotated['WsContext', 'note']", "ws", {"ws"}),
    (Annotated[HttpContext, "note"], "http", {"http"}),
    (Annotated[HttpContext | None, "note"], None, {"http"}),
    (HttpContext | WsContext, None, {"http", "ws"}),
    (Union[HttpContext, WsContext], None, {"http", "ws"}),  # noqa: UP007
    (Context | None, None, {"http", "ws"}),
    (Optional[Context], None, {"http", "ws"}),  # noqa: UP045
    ("Optional[WsContext]", None, {"ws"}),
    (WsContext | None, None, {"ws"}),
    (MaybeHttp, None, {"http"}),
    (HttpContext | WsContext | None, None, {"http", "ws"}),
    (Annotated[WsContext, 1] | Annotated[HttpContext, 2], None, {"http", "ws"}),
]


def named(part: Any) -> str:
    """The same in every process, also of a set."""
    return "-".join(sorted(part)) if isinstance(part, set) else str(part)[:50]


@pytest.mark.parametrize(("hint", "requires", "served"), CONTEXTS, ids=named)
def test_the_context_in_every_form(hint, requires, served):
    def f(a: int, ctx, b: str = "b"):
        return (a, ctx, b)

    f.__annotations__["ctx"] = hint
    function = made(f)
    assert [param.name for param in function.params] == ["a", "b"]
    assert function.requires == requires
    for ctx in (http(), ws()):
        if requires in (None, ctx.type):
            expected = ctx if ctx.type in served else None
            assert run(function, [1], ctx) == (1, expected, "b")
            assert run(function, [1, "x"], ctx) == (1, expected, "x")


if sys.version_info >= (3, 12):  # which brought `type X = …`

    def test_a_type_statement():
        scope: dict[str, Any] = {"WsContext": WsContext, "Context": Context}
        exec("type Ws = WsContext\ntype Maybe = Ws | None\ntype Number = int\ntype Numbers = list[Number]", scope)

        def f(ctx):
            return ctx

        def g(ctx, a):
            return a

        f.__annotations__ = {"ctx": scope["Ws"]}
        g.__annotations__ = {"ctx": scope["Maybe"], "a": scope["Numbers"]}
        assert made(f).requires == "ws"
        assert made(g).requires is None
        assert run(made(g), [[1]], ws()) == [1]
        assert invalid(made(g), [["a"]])[0]["path"] == "[0]"


def test_where_the_context_stands():
    def first(ctx: Context, a: int, b: str = "b"):
        return (ctx.type, a, b)

    def middle(a: int, ctx: Context, b: str = "b"):
        return (ctx.type, a, b)

    def last(a: int, b: str = "b", ctx: Context = None):  # type: ignore[assignment]
        return (ctx.type, a, b)

    def keyword(a: int, b: str = "b", *, ctx: Context):
        return (ctx.type, a, b)

    def keyword_with_default(a: int, b: str = "b", *rest: int, ctx: Context | None = None):
        return (ctx and ctx.type, a, b)

    def positional_only(ctx: Context, a: int, b: str = "b", /):
        return (ctx.type, a, b)

    async def loop(a: int, b: str = "b", *, ctx: Context):
        return (ctx.type, a, b)

    for target in (first, middle, last, keyword, keyword_with_default, positional_only, loop):
        function = made(target)
        assert run(function, [1]) == ("http", 1, "b"), target.__name__
        assert run(function, [1, "x"], ws()) == ("ws", 1, "x"), target.__name__
        assert [param.name for param in function.params] == ["a", "b"]


def test_the_context_after_many_defaults():
    def f(a: int = 1, b: int = 2, c: int = 3, ctx: Context = None):  # type: ignore[assignment]
        return (a, b, c, ctx.type)

    for given, all_of_them in (([], (1, 2, 3)), ([7], (7, 2, 3)), ([7, 8], (7, 8, 3)), ([7, 8, 9], (7, 8, 9))):
        assert run(made(f), given) == (*all_of_them, "http")


def test_a_default_of_none_makes_the_context_optional():
    def f(ctx: WsContext = None):  # type: ignore[assignment]
        return ctx

    function = made(f)
    assert function.requires is None
    assert run(function, []) is None


def test_only_the_annotation_makes_a_context():
    def f(ctx, context: int):
        return ctx

    assert [param.name for param in made(f).params] == ["ctx", "context"]


def test_a_second_context_is_refused():
    def f(one: WsContext, a: int, two: HttpContext):
        return a

    (fault,) = refused(f)
    assert "two" in fault
    assert "Context" in fault


def test_a_context_that_takes_many_is_refused():
    def f(*ctx: Context):
        return ctx

    def g(**ctx: Context):
        return ctx

    for target in (f, g):
        (fault,) = refused(target)
        assert "ctx" in fault


def test_the_transport_of_clients():
    def any_way(a: int):
        return a

    def over_http(ctx: HttpContext):
        return ctx

    def over_ws(ctx: WsContext):
        return ctx

    assert [made(f, ws=False).transport for f in (any_way, over_http, over_ws)] == ["http", "http", "ws"]
    assert [made(f, ws=True).transport for f in (any_way, over_http, over_ws)] == ["ws", "http", "ws"]


# ---- What may stand behind a name --------------------------------------------------------------------------------


def add(a: int, b: int = 10) -> int:
    return a + b


async def add_async(ctx: Context, a: int, b: int = 10) -> int:
    await asyncio.sleep(0)
    return a + b


class Adder:
    base: int = 10  # a hint of the class is none of its call's

    def __call__(self, a: int, b: int = 10) -> int:
        return a + b

    def method(self, a: int, b: int = 10) -> int:
        return a + b

    async def async_method(self, a: int, b: int = 10) -> int:
        return a + b

    @classmethod
    def class_method(cls, a: int, b: int = 10) -> int:
        return a + b

    @staticmethod
    def static_method(a: int, b: int = 10) -> int:
        return a + b


class AsyncAdder:
    async def __call__(self, ctx: Context, a: int, b: int = 10) -> int:
        return a + b


def traced(function):
    @functools.wraps(function)
    def wrapper(*args, **options):
        return function(*args, **options)

    return wrapper


def traced_async(function):
    @functools.wraps(function)
    async def wrapper(*args, **options):
        return await function(*args, **options)

    return wrapper


def add_before(zero: int, a: int, b: int = 10) -> int:
    return zero + a + b


TARGETS = {
    "function": add,
    "coroutine function": add_async,
    "lambda": lambda a, b=10: a + b,
    "wrapper": traced(add),
    "wrappers on wrappers": traced(traced(add)),
    "async wrapper": traced_async(add_async),
    "plain wrapper of a coroutine function": traced(add_async),
    "lru_cache": functools.lru_cache(add),
    "partial": functools.partial(add_before, 0),
    "partial of partial": functools.partial(functools.partial(add_before), 0),
    "partial of a wrapper": functools.partial(traced(add_before), 0),
    "object": Adder(),
    "object with async __call__": AsyncAdder(),
    "method": Adder().method,
    "async method": Adder().async_method,
    "classmethod": Adder.class_method,
    "staticmethod": Adder.static_method,
    "partial of a method": functools.partial(Adder().method),
    "cached": cached(60)(traced(add)),
}


@pytest.mark.parametrize("name", TARGETS)
def test_anything_that_can_be_called(name):
    function = made(TARGETS[name])
    assert [(param.name, param.required) for param in function.params] == [("a", True), ("b", False)]
    assert run(function, [1]) == 11
    assert run(function, [1, 2]) == 3
    if name != "lambda":
        assert len(invalid(function, ["a", "b"])) == 2


def test_coroutine_functions_run_on_the_loop_and_plain_ones_in_threads():
    async def on_loop() -> bool:
        return threading.current_thread() is threading.main_thread()

    def in_thread() -> bool:
        return threading.current_thread() is threading.main_thread()

    assert run(made(on_loop), []) is True
    assert run(made(in_thread), []) is False


def test_a_plain_function_runs_in_a_copy_of_the_calls_context():
    variable: contextvars.ContextVar[str] = contextvars.ContextVar("variable")

    def f() -> str:
        seen = variable.get()
        variable.set("of the thread")
        return seen

    async def main() -> tuple[str, str]:
        with ThreadPoolExecutor(1) as pool:
            variable.set("of the call")
            return await made(f).run([], http(), pool), variable.get()

    assert asyncio.run(main()) == ("of the call", "of the call")


@pytest.mark.parametrize("error", [ValueError("v"), StopIteration(), KeyboardInterrupt(), SystemExit(3)])
def test_what_a_plain_function_raises_comes_through(error):
    def f():
        raise error

    async def main() -> BaseException | None:
        with ThreadPoolExecutor(1) as pool:
            try:
                await made(f).run([], http(), pool)
            except BaseException as caught:
                return caught.__cause__ or caught
        return None

    caught = asyncio.run(main())
    assert caught is error or isinstance(caught, RuntimeError)  # StopIteration cannot pass a coroutine


def test_docs_and_cache():
    @cached(60, public=True)
    def f():
        """Say it.

        At length.
        """

    function = made(f)
    assert function.doc == "Say it.\n\nAt length."
    assert function.cached is not None
    assert function.cached.header == "public, max-age=60"
    assert made(add).cached is None
    assert made(add).doc == ""


@pytest.mark.parametrize("max_age", [-1, 1.5, True, "60", None, math.inf])
def test_a_max_age_that_is_none(max_age):
    with pytest.raises(ValueError, match="max_age"):
        cached(max_age)


def test_hash_of_what_has_no_schema():
    """The hash is of every signature that loads: of `object` within a type too, and of models whose schema fails."""
    pydantic = pytest.importorskip("pydantic")

    class Broken(pydantic.BaseModel):
        a: int

        @classmethod
        def __get_pydantic_json_schema__(cls, schema, handler):
            raise LookupError

    hashes = set()
    for hint in (list[object], dict[str, object], Broken, list[Broken]):

        def f(a):
            raise AssertionError

        f.__annotations__ = {"a": hint}
        hashes.add(Function(f, name="f", path="/isomor/api/f", matches_ws=False, namespace={}).hash)
    assert len(hashes) == 4
