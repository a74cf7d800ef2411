"""Whatever JSON a client sends is answered, and never by INTERNAL; what a function returns comes back equal.

In this process by the loader, the functions and the calls themselves, for their speed; and over the wire.
"""

from __future__ import annotations

import asyncio
import base64
import datetime as dt
import json
import math
import re
import sys
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import pytest
from harness import Server, WebSocket, write_files
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import isomor
from isomor import messages
from isomor.calls import Call, Calls
from isomor.context import HttpContext, HttpResponse
from isomor.errors import ApiError
from isomor.loader import Registry, load

TYPES = """
from __future__ import annotations

import datetime as dt
import enum
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Annotated, Any, Generic, Literal, NamedTuple, NotRequired, Optional, TypedDict, TypeVar
from uuid import UUID

from msgspec import Meta, Struct
from pydantic import BaseModel, Field

T = TypeVar("T")


class Color(enum.Enum):
    RED = "red"
    BLUE = "blue"


class Level(enum.IntEnum):
    LOW = 1
    HIGH = 2


class Rights(enum.Flag):
    READ = 1
    WRITE = 2


@dataclass
class Point:
    x: int
    y: float = 0.0
    tags: list[str] = field(default_factory=list)
    next: Optional[Point] = None


@dataclass(frozen=True)
class Frozen:
    a: int
    b: str = ""


@dataclass(frozen=True)
class Named:
    name: str

    def __post_init__(self) -> None:
        if not self.name:
            raise ValueError("a name is not empty")


class Cat(Struct, tag=True):
    lives: int


class Dog(Struct, tag=True):
    name: str
    friends: list[Cat | Dog] = []


class Row(Struct, array_like=True):
    a: int
    b: str = "b"


class Strict(Struct, forbid_unknown_fields=True, rename="camel"):
    one_value: int


class Box(Struct, Generic[T]):
    item: T


class Movie(TypedDict):
    title: str
    year: NotRequired[int]


class Place(NamedTuple):
    lat: float
    lon: float = 0.0


class User(BaseModel):
    name: str = Field(min_length=2, max_length=20)
    age: int | None = None
    born: dt.date | None = None
    scores: dict[str, float] = {}
    friends: list[User] = []
    extra: Any = None


class Circle(BaseModel):
    kind: Literal["circle"]
    r: float


class Square(BaseModel):
    kind: Literal["square"]
    side: Decimal


class Drawing(BaseModel):
    shapes: list[Circle | Square]


__all__ = [name for name in globals() if not name.startswith("_")]
"""

HINTS = {
    "any": "Any", "object": "object", "none": "None", "bool": "bool", "int": "int", "float": "float", "str": "str",
    "bytes": "bytes", "bytearray": "bytearray", "datetime": "dt.datetime", "date": "dt.date", "time": "dt.time",
    "timedelta": "dt.timedelta", "decimal": "Decimal", "uuid": "UUID", "color": "Color", "level": "Level",
    "literal": "Literal['a', 1, None]", "optional": "int | None", "union": "int | str | list[int] | Point | None",
    "float_or_str": "float | str", "int_or_float": "int | float", "list": "list", "list_int": "list[int]",
    "sequence": "Sequence[str]", "tuple": "tuple[int, str]", "tuples": "tuple[int, ...]", "bare_tuple": "tuple",
    "dict": "dict", "dict_int": "dict[str, int]", "int_keys": "dict[int, str]", "color_keys": "dict[Color, int]",
    "uuid_keys": "dict[UUID, Any]", "date_keys": "dict[dt.date, int]", "float_keys": "dict[float, int]",
    "decimal_keys": "dict[Decimal, int | None]", "mapping": "Mapping[str, list[int]]", "set_int": "set[int]",
    "set_str": "set[str]", "frozenset": "frozenset[Color]", "set_frozen": "set[Frozen]", "set_any": "set[Any]",
    "bare_set": "set", "set_decimal": "set[Decimal]", "set_tuple": "set[tuple[int, ...]]",
    "set_of_sets": "set[frozenset[int]]", "set_bare_tuple": "set[tuple]", "frozenset_any": "frozenset[Any]",
    "ge": "Annotated[int, Meta(ge=0, le=9)]", "multiple": "Annotated[float, Meta(multiple_of=0.5)]",
    "pattern": "Annotated[str, Meta(pattern='^a', min_length=1, max_length=3)]",
    "short_list": "Annotated[list[int], Meta(min_length=1, max_length=2)]",
    "aware": "Annotated[dt.datetime, Meta(tz=True)]", "point": "Point", "points": "list[Point]",
    "point_dict": "dict[str, Point]", "named": "Named", "frozen": "Frozen", "cat_or_dog": "Cat | Dog",
    "animals": "list[Cat | Dog]", "row": "Row", "strict": "Strict", "box": "Box[list[int]]", "movie": "Movie",
    "place": "Place", "user": "User", "users": "list[User]", "user_or_none": "User | None",
    "user_dict": "dict[str, User]", "drawing": "Drawing",
}  # fmt: skip

IMPORTS = "from __future__ import annotations\nfrom ._types import *\n"
API = {"_types.py": TYPES} | {
    f"take_{name}.py": f"{IMPORTS}async def take_{name}(a: {hint}) -> {hint}:\n    return a\n"
    for name, hint in HINTS.items()
}
API |= {
    "take_unknown.py": "async def take_unknown(a):\n    return a\n",
    "take_rest.py": f"{IMPORTS}async def take_rest(a: int = 1, *rest: Point | str) -> Any:\n    return [a, *rest]\n",
    "take_many.py": IMPORTS
    + "def take_many(a: Point, b: int | None = None, c: list[User] = [], d: Color = Color.RED) -> Any:\n"
    "    return [a, b, c, d]\n",
    "take_nothing.py": "async def take_nothing() -> None:\n    pass\n",
}
NAMES = sorted(name.removesuffix(".py") for name in API if name.startswith("take_"))
# Every one of these could be INTERNAL only by our fault.
FINE = {"BAD_MESSAGE", "INVALID_ARGS"}


class Here:
    """The functions of the folder, called in this process."""

    def __init__(self, folder: Path) -> None:
        write_files(folder, API)
        self.registry: Registry = load(
            folder, module_name="wire_api", ws_pattern=re.compile(".*"), namespace=vars(isomor)
        )
        self.types: Any = sys.modules["wire_api._types"]
        self.runner = asyncio.Runner()
        self.calls: Calls = self.runner.run(self._make())
        self.call("take_many", b'[{"x":1}]')  # its thread is no test's own

    async def _make(self) -> Calls:
        return Calls(self.registry, timeout=60, threads=1, debug=True, access_log=False)

    def call(self, name: str, args: bytes) -> tuple[bytes | None, ApiError | None]:
        """Its JSON, or its error: as of a message that came over WebSocket."""
        try:
            message = messages.decode_client_message(
                f'{{"action":"API","id":1,"urlPath":"/isomor/wire_api/{name}","args":{args.decode()}}}'
            )
        except ApiError as error:
            return None, error
        return self.runner.run(self._call(name, message.args))

    async def _call(self, name: str, raw: msgspec.Raw) -> tuple[bytes | None, ApiError | None]:
        outcome: asyncio.Future[tuple[bytes | None, ApiError | None]] = asyncio.get_running_loop().create_future()
        function = self.registry.find(f"/isomor/wire_api/{name}", "http")
        ctx = HttpContext(name, None, HttpResponse())  # type: ignore[arg-type]

        def answer(_call: Call, payload: bytes | None, error: ApiError | None) -> None:
            outcome.set_result((payload, error))

        self.calls.start(function, raw, ctx, answer)
        return await outcome

    def close(self) -> None:
        self.runner.run(self.calls.close())
        self.runner.close()
        for name in [name for name in sys.modules if name.split(".")[0] == "wire_api"]:
            del sys.modules[name]


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Here]:
    made = Here(tmp_path_factory.mktemp("wire") / "api")
    yield made
    made.close()


@pytest.fixture(scope="module")
def server(serve_module) -> Server:
    return serve_module(API, env={"ISOMOR_WS": ".*", "ISOMOR_WS_TIMEOUT": "0"})  # one WebSocket waits for all tests


@pytest.fixture(scope="module")
def ws(server: Server) -> Iterator[WebSocket]:
    with server.ws() as opened:
        yield opened


# ---- Any JSON ----------------------------------------------------------------------------------------------------

keys = st.sampled_from(
    ["x", "y", "a", "b", "type", "lives", "name", "title", "item", "oneValue", "kind", "r", "side", "shapes", "tags",
     "next", "friends", "age", "born", "scores", "extra", "1", "-1", "1.5", "red", "NaN", "sNaN", "Infinity",
     "2026-01-02", "12345678-1234-5678-1234-567812345678", ""]
)  # fmt: skip
words = keys | st.sampled_from(
    ["Cat", "Dog", "circle", "square", "blue", "2026-01-02T03:04:05Z", "0001-01-01T00:00:00+23:59",
     "9999-12-31T23:59:59-23:59", "2026-02-30", "24:00:00", "23:59:59.999999", "P1DT2H", "-P999999999D", "P1Y", "PT",
     "P99999999999999999999D", "1e99999999999999999999", "-0", "1e999999", "-inf", "AAEC", "AAE", "%%", "a\n", "\x00",
     "true", "null", "0x10", "١"]
)  # fmt: skip
# As they would stand in JSON that no library of ours wrote.
numbers = st.sampled_from(
    ["0", "-0", "1", "2", "3", "-1", "0.0", "-0.0", "1.0", "1.5", "1e2", "1E-2", "9007199254740993",
     "9223372036854775807", "9223372036854775808", "-9223372036854775809", "18446744073709551615",
     "18446744073709551616", "1180591620717411303424", "1e308", "1e309", "-1e400", "1e-400", "5e-324",
     "0.1e99999999999999999999", "1" * 400, "1" * 4301, "0." + "1" * 400]
)  # fmt: skip
scalars = (
    numbers
    | st.sampled_from(["null", "true", "false"])
    | words.map(json.dumps)
    | st.integers().map(str)
    | st.floats(allow_nan=False, allow_infinity=False).map(json.dumps)
    | st.text(max_size=10).map(json.dumps)
    | st.text(max_size=5).map(lambda text: json.dumps(text, ensure_ascii=False))
)
# Half of a surrogate pair is JSON by its grammar, and JavaScript writes it.
halves = st.sampled_from(['"\\ud800"', '"\\udfff"', '"a\\ud83d"', '"\\ud83d\\ud83d"', '"\\ud83d\\u0041"'])


def nested(leaves: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    def deeper(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
        arrays = st.lists(inner, max_size=4).map(lambda items: f"[{','.join(items)}]")
        pairs = st.tuples((keys | st.text(max_size=3)).map(json.dumps), inner).map(":".join)
        return arrays | st.lists(pairs, max_size=5).map(lambda items: f"{{{','.join(items)}}}")

    return st.recursive(leaves, deeper, max_leaves=10)


json_texts = nested(scalars)
broken = nested(scalars | halves)
argument_lists = st.lists(json_texts, max_size=4).map(lambda items: f"[{','.join(items)}]")


def examples(count: int) -> settings:
    return settings(max_examples=count, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def is_json(data: bytes) -> bool:
    json.loads(data.decode(), parse_constant=lambda name: pytest.fail(f"{name} is no JSON"))
    return True


@examples(1000)
@given(name=st.sampled_from(NAMES), value=json_texts)
def test_any_value_is_a_result_or_the_callers_fault(here, name, value):
    payload, error = here.call(name, f"[{value}]".encode())
    if error is None:
        assert is_json(payload)
    else:
        assert error.code in FINE, f"{error.code}: {error.message}"
        assert is_json(messages.error_message(1, error))


@examples(300)
@given(name=st.sampled_from(NAMES), args=json_texts | argument_lists)
def test_any_arguments_are_a_result_or_the_callers_fault(here, name, args):
    _, error = here.call(name, args.encode())
    assert error is None or error.code in FINE, f"{error.code}: {error.message}"


@examples(300)
@given(name=st.sampled_from(NAMES), value=broken)
def test_half_of_a_surrogate_pair_is_the_callers_fault(here, name, value):
    _, error = here.call(name, f"[{value}]".encode())
    assert error is None or error.code in FINE, f"{error.code}: {error.message}"


@examples(300)
@given(
    name=st.sampled_from(NAMES),
    args=st.text(alphabet='[]{},:"\\ue019.-+ntfrals \n\x00é', max_size=25) | st.text(max_size=10),
)
def test_what_is_no_json_is_the_callers_fault(here, name, args):
    try:
        args.encode()
    except UnicodeEncodeError:
        return  # it could not have come over the wire
    _, error = here.call(name, args.encode())
    assert error is None or error.code in FINE, f"{error.code}: {error.message}"


@examples(300)
@given(text=st.text(max_size=40) | json_texts | broken)
def test_any_message_is_one_or_is_bad(text):
    refused = None
    try:
        messages.decode_client_message(text)
    except ApiError as error:
        refused = error
    if refused is not None:
        assert refused.code == "BAD_MESSAGE"
        assert is_json(messages.error_message(messages.read_id(text), refused))


ids = (
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=70) | st.lists(st.none())
)


@examples(500)
@given(message=st.fixed_dictionaries({}, optional={
    "action": st.sampled_from(["API", "PING", "CANCEL", "api", ""]) | st.integers(),
    "id": ids,
    "urlPath": st.just("/isomor/api/take_any") | st.text(max_size=5) | st.integers(),
    "args": st.lists(st.integers(), max_size=2) | st.integers() | st.none(),
    "cookie": st.text(max_size=5) | st.none() | st.integers(),
    "more": st.integers(),
}))  # fmt: skip
def test_the_id_of_any_message_is_read(message):
    text = json.dumps(message)
    try:
        assert messages.decode_client_message(text).id == message.get("id")
    except ApiError:
        found = message.get("id")
        usable = (isinstance(found, int) and not isinstance(found, bool)) or (
            isinstance(found, str) and len(found) <= 64
        )
        assert messages.read_id(text) == (found if usable else None)


@examples(150)
@given(name=st.sampled_from(NAMES), value=json_texts)
def test_any_value_over_the_wire(server, ws, name, value):
    ws._next_id += 1
    ws.send(f'{{"action":"API","id":{ws._next_id},"urlPath":"/isomor/api/{name}","args":[{value}]}}')
    answer = ws.receive(lambda message: message["action"] in ("API_RES", "API_ERR"))
    headers = {"Content-Type": "application/json"}
    response = server.http.post(f"/isomor/api/{name}", content=f'{{"args":[{value}]}}'.encode(), headers=headers)
    body = response.json()
    if answer["action"] == "API_RES":
        assert answer["id"] == ws._next_id
        assert response.status_code == 200
        assert body == {"result": answer["payload"]}
    else:
        assert answer["code"] in FINE, answer
        assert (response.status_code, body["code"], body["error"]) == (
            answer["status"], answer["code"], answer["payload"],
        )  # fmt: skip
        assert body.get("details") == answer.get("details")


# ---- What a function returns comes back equal --------------------------------------------------------------------

ints = st.integers() | st.sampled_from([2**53 + 1, 2**63, -(2**63) - 1, 2**64, 2**70, 10**400])
floats = st.floats(allow_nan=False, allow_infinity=False)
# A zone's offset goes over the wire in whole minutes.
zones = st.none() | st.integers(-1439, 1439).map(lambda minutes: dt.timezone(dt.timedelta(minutes=minutes)))
datetimes = st.datetimes(timezones=zones)
decimals = st.decimals(allow_nan=False, allow_infinity=False)
plain = st.recursive(
    st.none() | st.booleans() | ints | floats | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


def values_of(types: Any) -> dict[str, st.SearchStrategy[Any]]:
    """What each of the functions may be given."""
    t = types
    points = st.deferred(
        lambda: st.builds(t.Point, ints, floats, st.lists(st.text(max_size=3), max_size=2), st.none() | points)
    )
    cats = st.builds(t.Cat, ints)
    dogs = st.deferred(lambda: st.builds(t.Dog, st.text(), st.lists(cats | dogs, max_size=2)))
    frozen = st.builds(t.Frozen, ints, st.text())
    colors, levels = st.sampled_from(t.Color), st.sampled_from(t.Level)
    users = st.deferred(
        lambda: st.builds(
            t.User,
            name=st.text(min_size=2, max_size=20),
            age=st.none() | st.integers(),
            born=st.none() | st.dates(),
            scores=st.dictionaries(st.text(max_size=3), floats, max_size=2),
            friends=st.lists(users, max_size=1),
            extra=plain,
        )
    )
    circles = st.builds(t.Circle, kind=st.just("circle"), r=floats)
    squares = st.builds(t.Square, kind=st.just("square"), side=decimals)
    numbers_of = {"datetime": datetimes, "aware": st.datetimes(timezones=st.just(dt.UTC)), "date": st.dates()}
    return numbers_of | {
        "any": plain, "object": plain, "none": st.none(), "bool": st.booleans(), "int": ints, "float": floats,
        "str": st.text(), "bytes": st.binary(), "bytearray": st.binary().map(bytearray), "time": st.times(),
        "timedelta": st.timedeltas(), "decimal": decimals, "uuid": st.uuids(), "color": colors, "level": levels,
        "literal": st.sampled_from(["a", 1, None]), "optional": st.none() | ints,
        "union": ints | st.text() | st.lists(ints) | points | st.none(), "float_or_str": floats | st.text(),
        "list": st.lists(plain, max_size=3), "list_int": st.lists(ints), "sequence": st.lists(st.text()),
        "tuple": st.tuples(ints, st.text()), "tuples": st.lists(ints).map(tuple),
        "dict": st.dictionaries(st.text(), plain, max_size=3), "dict_int": st.dictionaries(st.text(), ints),
        "int_keys": st.dictionaries(ints, st.text()), "color_keys": st.dictionaries(colors, ints),
        "uuid_keys": st.dictionaries(st.uuids(), plain, max_size=2), "date_keys": st.dictionaries(st.dates(), ints),
        "float_keys": st.dictionaries(floats, ints), "mapping": st.dictionaries(st.text(), st.lists(ints)),
        "decimal_keys": st.dictionaries(decimals, st.none() | ints), "set_int": st.sets(ints),
        "set_str": st.sets(st.text()),
        "frozenset": st.frozensets(colors), "set_frozen": st.sets(frozen), "set_decimal": st.sets(decimals),
        "set_tuple": st.sets(st.lists(ints, max_size=3).map(tuple)), "set_of_sets": st.sets(st.frozensets(ints)),
        "point": points, "points": st.lists(points, max_size=3), "frozen": frozen,
        "point_dict": st.dictionaries(st.text(), points, max_size=3), "cat_or_dog": cats | dogs,
        "animals": st.lists(cats | dogs, max_size=3), "row": st.builds(t.Row, ints, st.text()),
        "strict": st.builds(t.Strict, ints), "box": st.builds(t.Box, st.lists(ints)),
        "movie": st.fixed_dictionaries({"title": st.text()}, optional={"year": ints}),
        "place": st.builds(t.Place, floats, floats), "user": users, "users": st.lists(users, max_size=2),
        "user_or_none": st.none() | users, "user_dict": st.dictionaries(st.text(), users, max_size=2),
        "drawing": st.builds(t.Drawing, shapes=st.lists(circles | squares, max_size=3)),
    }  # fmt: skip


RETURNED = sorted(set(HINTS) - {
    "bare_tuple", "set_any", "bare_set", "set_bare_tuple", "frozenset_any", "int_or_float", "ge", "multiple", "pattern",
    "short_list", "named",
})  # fmt: skip


@pytest.mark.parametrize("name", RETURNED)
def test_what_is_returned_comes_back_equal(here, name):
    function = here.registry.functions[f"/isomor/wire_api/take_{name}"]

    @examples(40)
    @given(value=values_of(here.types)[name])
    def check(value: Any) -> None:
        sent = messages.encode(value)
        assert is_json(sent)
        (decoded,) = function.decode(msgspec.Raw(b"[%b]" % sent))
        assert same(decoded, value)
        payload, error = here.call(f"take_{name}", b"[%b]" % sent)
        assert error is None, error
        (again,) = function.decode(msgspec.Raw(b"[%b]" % payload))
        assert same(again, value)

    check()


def same(one: Any, other: Any) -> bool:
    return one == other and type(one) is type(other)


@examples(100)
@given(data=st.data(), name=st.sampled_from(RETURNED))
def test_what_is_returned_comes_back_equal_over_the_wire(here, server, ws, data, name):
    value = data.draw(values_of(here.types)[name])
    function = here.registry.functions[f"/isomor/wire_api/take_{name}"]
    sent = messages.encode(value).decode()
    ws.send(f'{{"action":"API","id":"back","urlPath":"/isomor/api/take_{name}","args":[{sent}]}}')
    answer = ws.answer("back")
    assert answer["action"] == "API_RES", answer
    (decoded,) = function.decode(msgspec.Raw(json.dumps([answer["payload"]]).encode()))
    assert same(decoded, value)


def test_forms_on_the_wire(here):
    t = here.types
    for value, form in (
        (b"\0\xff", base64.b64encode(b"\0\xff").decode()),
        (dt.datetime(2026, 1, 2, 3, 4, 5, 678900), "2026-01-02T03:04:05.678900"),
        (dt.datetime(2026, 1, 2, 3, 4, 5, tzinfo=dt.UTC), "2026-01-02T03:04:05Z"),
        (dt.timedelta(days=1, seconds=90), "P1DT90S"),
        (Decimal("1.50"), "1.50"),
        (t.Color.RED, "red"),
        (t.Level.HIGH, 2),
        ((1, "a"), [1, "a"]),
        (t.Place(1, 2), [1, 2]),
        (t.Cat(9), {"type": "Cat", "lives": 9}),
        (t.Row(1), [1, "b"]),
        (t.Strict(1), {"oneValue": 1}),
        ({1: "a"}, {"1": "a"}),
        (t.Circle(kind="circle", r=1), {"kind": "circle", "r": 1.0}),
        (1e16, 1e16),
        (-0.0, -0.0),
        (2**70, 2**70),
    ):
        assert json.loads(messages.encode(value)) == form, value
    assert math.copysign(1, json.loads(messages.encode(-0.0))) == -1


@pytest.mark.parametrize("key", ["NaN", "nan", "Infinity", "-inf"])
@pytest.mark.parametrize("name", ["take_float_keys", "take_decimal_keys"])
def test_keys_that_are_no_number_are_refused_both_ways(here, name, key):
    _, error = here.call(name, json.dumps([{key: 1}]).encode())
    assert error is not None
    assert error.code == "INVALID_ARGS"
    with pytest.raises((TypeError, ValueError)):
        messages.encode({float(key): 1})
