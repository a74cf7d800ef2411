"""Pydantic's models as arguments and results, where pydantic is installed."""

# No `from __future__ import annotations`: hints here are objects.

import datetime as dt
import enum
import json
import subprocess
import sys
from dataclasses import dataclass
from decimal import Decimal
from typing import Annotated, Any, Generic, Literal, TypeVar
from uuid import UUID

import msgspec
import pytest

from isomor.errors import ApiError, LoadError
from isomor.functions import Function
from isomor.messages import encode

pydantic = pytest.importorskip("pydantic")
annotated_types = pytest.importorskip("annotated_types")  # comes with it
from pydantic import BaseModel, ConfigDict, Field, RootModel, field_validator, model_validator  # noqa: E402

T = TypeVar("T")
NUMBER = "12345678-1234-5678-1234-567812345678"


class Color(enum.Enum):
    RED = "red"


class Address(BaseModel):
    street: str
    number: int = Field(ge=1)


class User(BaseModel):
    name: str = Field(min_length=2, max_length=20)
    age: int = 0
    addresses: list[Address] = []
    id: UUID | None = None
    born: dt.date | None = None
    color: Color = Color.RED
    balance: Decimal = Decimal(0)

    @field_validator("name")
    @classmethod
    def not_root(cls, name: str) -> str:
        if name == "root":
            raise ValueError("root is taken")
        return name


class Camel(BaseModel):
    model_config = ConfigDict(extra="forbid")
    first_name: str = Field(alias="firstName")


class Range(BaseModel):
    low: int
    high: int

    @model_validator(mode="after")
    def ordered(self) -> "Range":
        if self.low > self.high:
            raise ValueError("low is above high")
        return self


class Cat(BaseModel):
    kind: Literal["cat"]
    lives: int


class Dog(BaseModel):
    kind: Literal["dog"]
    name: str


class Pet(RootModel[Annotated[Cat | Dog, Field(discriminator="kind")]]):
    pass


class Page(BaseModel, Generic[T]):
    items: list[T]


class Numbers(RootModel[list[int]]):
    pass


@dataclass
class Order:
    user: User
    count: int


def of(hint: Any) -> Function:
    def f(a):
        return a

    f.__annotations__ = {"a": hint, "return": hint}
    return Function(f, name="f", path="/isomor/api/f", matches_ws=False, namespace={})


def decode(hint: Any, value: Any) -> Any:
    return of(hint).decode(msgspec.Raw(json.dumps([value]).encode()))[0]


def faults(hint: Any, value: Any) -> list[tuple[str, str, str]]:
    with pytest.raises(ApiError) as caught:
        decode(hint, value)
    assert caught.value.code == "INVALID_ARGS"
    assert isinstance(caught.value.details, list)
    for detail in caught.value.details:
        assert detail["param"] == "a"
        assert detail["message"].startswith("a")
    return [(detail["path"], detail["expected"], detail["got"]) for detail in caught.value.details]


FULL = {
    "name": "Ada",
    "age": 36,
    "addresses": [{"street": "S", "number": 1}],
    "id": NUMBER,
    "born": "1815-12-10",
    "color": "red",
    "balance": "1.50",
}

GOOD = [
    (User, FULL, User.model_validate(FULL)),
    (User, {"name": "Ada"}, User(name="Ada")),
    (Camel, {"firstName": "Ada"}, Camel(firstName="Ada")),
    (Range, {"low": 1, "high": 2}, Range(low=1, high=2)),
    (Pet, {"kind": "dog", "name": "Rex"}, Pet(Dog(kind="dog", name="Rex"))),
    (Page[User], {"items": [{"name": "Ada"}]}, Page[User](items=[User(name="Ada")])),
    (Numbers, [1, 2], Numbers([1, 2])),
    (User | None, None, None),
    (User | None, {"name": "Ada"}, User(name="Ada")),
    (list[User], [{"name": "Ada"}], [User(name="Ada")]),
    (dict[str, User], {"a": {"name": "Ada"}}, {"a": User(name="Ada")}),
    (tuple[User, int], [{"name": "Ada"}, 1], (User(name="Ada"), 1)),
    (Order, {"user": {"name": "Ada"}, "count": 1}, Order(User(name="Ada"), 1)),
]


@pytest.mark.parametrize(("hint", "given", "value"), GOOD, ids=lambda part: str(part)[:40])
def test_in_and_out(hint, given, value):
    decoded = decode(hint, given)
    assert decoded == value
    assert type(decoded) is type(value)
    assert decode(hint, json.loads(encode(decoded))) == value


def test_the_result_goes_by_alias():
    assert json.loads(encode(Camel(firstName="Ada"))) == {"firstName": "Ada"}
    assert json.loads(encode({"all": [Camel(firstName="Ada")]})) == {"all": [{"firstName": "Ada"}]}


@pytest.mark.parametrize("number", [float("nan"), float("inf")])
def test_a_result_that_json_has_no_form_for(number):
    class Reading(BaseModel):
        value: float

    with pytest.raises(ValueError, match="NaN"):
        encode([Reading(value=number)])


@pytest.mark.parametrize(
    ("hint", "value", "paths"),
    [
        (User, {}, ["name"]),
        (User, {"name": "A", "age": "36"}, ["name", "age"]),
        (User, {"name": "root"}, ["name"]),
        (User, {"name": "Ada", "addresses": [{"street": 1, "number": 0}, {}]},
         ["addresses[0].street", "addresses[0].number", "addresses[1].street", "addresses[1].number"]),
        (User, {"name": "Ada", "id": "x", "born": "y", "color": "z", "balance": "w"},
         ["id", "born", "color", "balance"]),
        (Camel, {"first_name": "Ada", "x": 1}, ["firstName", "first_name", "x"]),
        (Range, {"low": 2, "high": 1}, [""]),
        (Pet, {"kind": "cow"}, [""]),
        (Numbers, ["a", 1, "b"], ["[0]", "[2]"]),
        (list[User], [{"name": "A"}, {"name": "Ada"}, {}], ["[0].name", "[2].name"]),
        (dict[str, User], {"a": {}, "b": {}}, ["a.name", "b.name"]),
        (Order, {"user": {"name": "A", "age": 1.5}, "count": "x"}, ["user.name", "user.age", "count"]),
        (User | None, {"name": "A", "age": "x"}, ["name", "age"]),
        (User, None, [""]),
        (User, [], [""]),
        (User | None, 3, [""]),
    ],
    ids=str,
)  # fmt: skip
def test_every_fault(hint, value, paths):
    assert [path for path, _, _ in faults(hint, value)] == paths


def test_faults_say_what_was_expected():
    assert faults(User, {"age": "x"}) == [
        ("name", "Field required", "missing"),
        ("age", "Input should be a valid integer", "str of length 1"),
    ]


def test_validation_is_strict():
    assert faults(User, {"name": "Ada", "age": "36"})
    assert faults(User, {"name": "Ada", "age": 36.0})
    assert faults(User, {"name": 5})


def test_what_was_sent_is_not_sent_back():
    for value in ({"name": "s3cret" * 20}, {"name": "Ada", "age": "s3cret"}, {"name": "Ada", "id": "s3cret"}, "s3cret"):
        assert "s3cret" not in str(faults(User, value))


@pytest.mark.parametrize("hint", [User | Address, User | dict[str, int], User | str, list[User | Camel]])
def test_ambiguous_unions_are_refused(hint):
    with pytest.raises(LoadError) as caught:
        of(hint)
    assert "ambiguous" in caught.value.faults[0]


@pytest.mark.parametrize(
    ("hint", "value"),
    [
        (Annotated[int, Field(ge=0)], -1),
        (list[Annotated[int, Field(ge=0)]], [-1]),
        (Annotated[int, annotated_types.Ge(0)], -1),
    ],
)
def test_a_constraint_that_is_not_msgspecs_is_not_dropped_silently(hint, value):
    """Either it holds, or the function is refused."""
    try:
        function = of(hint)
    except LoadError:
        return
    with pytest.raises(ApiError):
        function.decode(msgspec.Raw(json.dumps([value]).encode()))


def test_a_dataclass_of_pydantic_is_validated_or_refused():
    @pydantic.dataclasses.dataclass
    class Positive:
        number: int = Field(ge=0)

    try:
        function = of(Positive)
    except LoadError:
        return
    with pytest.raises(ApiError):
        function.decode(msgspec.Raw(b'[{"number":-1}]'))


def test_isomor_does_without_pydantic():
    """It is no dependency: nothing of isomor imports it."""
    source = "import sys, isomor.cli, isomor.server.app; sys.exit('pydantic' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", source], check=False, timeout=60).returncode == 0
