"""What cannot be sent is named by its type and by where it stands, and never by its content."""

from __future__ import annotations

import math
from collections import UserDict, namedtuple
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, TypedDict

import msgspec
import pytest
from pydantic import BaseModel, computed_field

from isomor.messages import encode
from isomor.unsendable import Unsendable, code_of_the_users


class Foo:
    pass


@dataclass
class Item:
    name: str
    price: Any = None


@dataclass
class Basket:
    items: list[Any] = field(default_factory=list)


class Struct(msgspec.Struct):
    inner: Any


class Model(BaseModel):
    inner: Any = None
    number: float = 0


class Failing(BaseModel):
    @computed_field
    def total(self) -> int:
        raise KeyError("s3cret")


class Number(float):
    def __str__(self) -> str:
        return "s3cret"

    __repr__ = __str__

    def __format__(self, spec: str) -> str:
        return "s3cret"


class Price(Decimal):
    def __str__(self) -> str:
        return "s3cret"

    __repr__ = __str__

    def __format__(self, spec: str, context: Any = None, _localeconv: Any = None) -> str:
        return "s3cret"


class Typed(TypedDict):
    inner: Any


Pair = namedtuple("Pair", "left right")

CIRCLE: dict[str, Any] = {"name": "root"}
CIRCLE["children"] = [{"parent": CIRCLE}]

DEEP: list[Any] = []
for _ in range(100_000):
    DEEP = [DEEP]

CASES: list[tuple[Any, str]] = [
    (Foo(), "result: test_unsendable.Foo has no form in JSON"),
    (Basket([Item("a"), Item("b"), Item("c"), Item("d", Decimal("NaN"))]), "result.items[3].price: Decimal NaN has"),
    ({"a": {"b": (1, math.inf)}}, "result[key 0][key 0][1]: float inf has no form in JSON, nor has any NaN"),
    ([1.0] * 1000 + [math.nan], "result[1000]: float nan has no form in JSON, nor has any NaN or infinity; return"),
    ({Foo()}, "result: set of test_unsendable.Foo has"),
    ({"tags": frozenset({Foo()})}, "result[key 0]: frozenset of test_unsendable.Foo has"),
    (Struct(Struct([Foo()])), "result.inner.inner[0]: test_unsendable.Foo has"),
    (Model(inner=[Model(inner=Foo())]), "result.inner[0].inner: test_unsendable.Foo has"),
    ({"model": Model(number=math.nan)}, "result[key 0].number: float nan has"),
    (Pair(1, Pair(2, 1j)), "result[1][1]: complex has"),
    (UserDict(a=[UserDict(b=Foo())]), "result[key 0][0][key 0]: test_unsendable.Foo has"),
    ([{(1, 2): 3}], "a key of result[0]: tuple has"),
    ({"x": {Decimal("Infinity"): 1}}, "a key of result[key 0]: Decimal Infinity has"),
    (["\ud800"], "result[0]: str with a lone surrogate has no form in JSON; clean it by"),
    (CIRCLE, "result[key 1][0][key 0]: a circle (dict within itself: it is result too) has"),
    (DEEP, "result: list, nested too deeply, has"),
    ([Foo], "result[0]: the class Foo itself has"),
    ((number for number in ()), "result: generator has no form in JSON; return what it gives: await it, or"),
    ([ValueError("s3cret")], "result[0]: ValueError has"),
    ({"list": [Failing()]}, "result[key 0][0]: test_unsendable.Failing has no form in JSON"),
    # Keys are data, whatever they look like, and have no place in a log: theirs is told.
    ({"ada@example.com": Foo()}, "result[key 0]: test_unsendable.Foo has"),
    ({"sk_live_s3cret": 1, "ada_s3cret": [Foo()]}, "result[key 1][0]: test_unsendable.Foo has"),
    ({1: Foo()}, "result[key 0]: test_unsendable.Foo has"),
    (Typed(inner=Foo()), "result[key 0]: test_unsendable.Foo has"),
    # And so is what numbers of a class of one's own say of themselves.
    ([Number("nan")], "result[0]: test_unsendable.Number nan has no form in JSON, nor has any NaN"),
    ([Price("-Infinity")], "result[0]: test_unsendable.Price -Infinity has no form in JSON, nor has any NaN"),
    ([Decimal("sNaN4711")], "result[0]: Decimal NaN has no form in JSON, nor has any NaN"),
]


@pytest.mark.parametrize(("value", "said"), CASES, ids=lambda part: part[:50] if isinstance(part, str) else "value")
def test_what_cannot_be_sent_is_named(value, said):
    with pytest.raises(Unsendable) as caught:
        encode(value, "result")
    assert str(caught.value).startswith(said)
    assert "s3cret" not in str(caught.value)


def test_the_first_of_many_is_found():
    with pytest.raises(Unsendable, match=r"^payload\[199999\]: test_unsendable.Foo has"):
        encode([None] * 199_999 + [Foo()] + [None] * 1000)


def test_the_first_of_several_is_named():
    with pytest.raises(Unsendable, match=r"^payload\[2\]: float nan"):
        encode([1, 2, math.nan, 4, Foo(), math.inf])


def test_what_looks_odd_is_sent():
    assert encode([memoryview(b"a"), range(3), 2**70]) == b'["YQ==",[0,1,2],1180591620717411303424]'


def test_a_fault_of_the_users_own_is_told_apart():
    for value, expected in ((Failing(), True), (Foo(), False), ({(1, 2): 3}, False), ([math.nan], False)):
        with pytest.raises(Unsendable) as caught:
            encode(value)
        assert (code_of_the_users(caught.value) is not None) is expected, value


class Slippery:
    """Whatever it is asked, it fails."""

    __slots__ = ("__dataclass_fields__",)

    def __getattribute__(self, name: str) -> Any:
        raise RuntimeError("no")


def test_what_cannot_even_be_looked_at():
    with pytest.raises(Unsendable, match=r"^payload"):
        encode([Slippery()])
