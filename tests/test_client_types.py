"""Python types as TypeScript: names, what is optional, docs, what is revived. Compilers judge in test_generate.py."""

# No `from __future__ import annotations`: hints here are objects.

import dataclasses
import datetime as dt
import enum
import inspect
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Annotated, Any, Generic, Literal, NamedTuple, NewType, Optional, TypeVar, Union
from uuid import UUID

import msgspec
import pytest
from msgspec import UNSET, Meta, Struct, UnsetType
from pydantic import BaseModel, ConfigDict, Field, RootModel, computed_field
from typing_extensions import TypedDict

from isomor import cached
from isomor.client.generate import camel, generate
from isomor.client.jsdoc import split
from isomor.config import Client, Config
from isomor.functions import Function
from isomor.loader import Registry

T = TypeVar("T")
UserId = NewType("UserId", int)


def registry(*targets: Any, ws: bool = False, **hashes: str) -> Registry:
    functions = {}
    for target in targets:
        name = target.__name__
        function = Function(target, name=name, path=f"/isomor/api/{name}", matches_ws=ws, namespace={})
        function.__dict__["hash"] = hashes.get(name, "")
        functions[function.path] = function
    return Registry(functions)


def made(*targets: Any, config: Config | None = None, **options: Any) -> dict[str, str]:
    files = generate(registry(*targets, **options), config or Config())
    return {name: content.decode() for name, content in files.items()}


def giving(hint: Any, name: str = "f") -> Any:
    def f():
        raise AssertionError

    f.__annotations__ = {"return": hint}
    f.__name__ = name
    return f


def taking(hint: Any, name: str = "g") -> Any:
    def g(a):
        raise AssertionError

    g.__annotations__ = {"a": hint, "return": None}
    g.__name__ = name
    return g


def result(hint: Any) -> str:
    """The type of a result, on one line."""
    found = re.search(r"Promise<(.*)>;$", made(giving(hint))["f.d.ts"], re.MULTILINE)
    assert found
    return found[1]


def argument(hint: Any) -> str:
    found = re.search(r"declare function g\(a: (.*)\): Promise<null>;$", made(taking(hint))["g.d.ts"], re.MULTILINE)
    assert found
    return found[1]


def declared(files: dict[str, str], name: str) -> str:
    """What is declared under a name, without comments, on one line."""
    plain = re.sub(r"/\*\*.*?\*/\n?", "", files["_types.d.ts"], flags=re.DOTALL)
    found = re.search(
        rf"^export (?:interface|type) {name}\b(?: =)? (.*?)(?=^export|\Z)", plain, re.DOTALL | re.MULTILINE
    )
    assert found, plain
    return " ".join(found[1].split())


class Color(enum.Enum):
    RED = "red"
    BLUE = "blue"


class Level(enum.IntEnum):
    LOW = 1


class Flags(enum.IntFlag):
    A = 1
    B = 2


@dataclass
class Cat:
    name: str


@dataclass
class Dog:
    bark: dt.datetime


@pytest.mark.parametrize(
    ("hint", "text"),
    [
        (None, "null"),
        (Any, "any"),
        (object, "any"),
        (bool, "boolean"),
        (int, "number"),
        (float, "number"),
        (int | float, "number"),
        (str, "string"),
        (UserId, "number"),
        (bytes, "Uint8Array"),
        (bytearray, "Uint8Array"),
        (dt.datetime, "Date"),
        (dt.date, "string"),
        (dt.time, "string"),
        (dt.timedelta, "string"),
        (Decimal, "string"),
        (UUID, "string"),
        (list, "any[]"),
        (list[int], "number[]"),
        (Sequence[int], "number[]"),
        (list[int | None], "(number | null)[]"),
        (list[Literal["a", "b"]], "('a' | 'b')[]"),
        (tuple[int, ...], "number[]"),
        (tuple[int, str], "[number, string]"),
        (tuple[()], "[]"),
        (set[str], "Set<string>"),
        (frozenset[dt.datetime], "Set<Date>"),
        (dict, "{ [key: string]: any }"),
        (dict[str, list[int]], "{ [key: string]: number[] }"),
        (Mapping[int, str], "{ [key: number]: string }"),
        (dict[Literal["a", "b"], int], "{ [key in 'a' | 'b']?: number }"),
        (dict[dt.date, int], "{ [key: string]: number }"),
        (dict[Color, int], "{ [key in Color]?: number }"),
        (Optional[int], "number | null"),  # noqa: UP045 - as people write it
        (None | int, "number | null"),
        (Union[int, str, None], "number | string | null"),  # noqa: UP007
        (Literal["a", 1, None], "null | 1 | 'a'"),
        (Literal["it's"], '"it\'s"'),
        (Annotated[int, Meta(ge=1)], "number"),
        (Color, "Color"),
        (Level, "Level"),
        (Cat, "Cat"),
    ],
    ids=str,
)
def test_types(hint, text):
    assert result(hint) == text
    assert argument(hint) == text


@pytest.mark.parametrize(
    ("hint", "text"),
    [
        (dt.date | dt.datetime, "string"),
        (str | bytes | None, "string | null"),
        (list[dt.datetime] | set[dt.datetime], "string[]"),
        (Cat | Dog, "Cat | Dog"),
    ],
    ids=str,
)
def test_results_that_json_may_not_tell_apart(hint, text):
    """They are typed as what comes."""
    assert result(hint) == text


def test_enums():
    files = made(giving(Color, "one"), giving(Level, "two"), giving(Flags, "three"))
    assert declared(files, "Color") == "'red' | 'blue';"
    assert "export declare const Color: { readonly RED: 'red'; readonly BLUE: 'blue'; };" in files["_types.d.ts"]
    assert "export const Color = /* @__PURE__ */ Object.freeze({ RED: 'red', BLUE: 'blue' });" in files["_types.js"]
    assert declared(files, "Level") == "1;"
    assert declared(files, "Flags") == "number;"
    assert "export { Color } from './_types.js';" in files["one.js"]
    assert "export { Color } from './_types.js';" in files["one.d.ts"]


def test_classes_as_arguments_and_results():
    @dataclass
    class Point:
        x: int
        y: float = 0.0
        tags: list[str] = field(default_factory=list)
        set_later: int = field(init=False, default=1)

    class Item(Struct, rename="camel"):
        unit_price: int
        item_count: int = 1

    class Sparse(Struct, omit_defaults=True):
        a: int
        b: int = 1
        c: int | UnsetType = UNSET

    class Unset(Struct):
        a: int | UnsetType | None = UNSET

    class Movie(TypedDict, total=False):
        title: str

    class Place(NamedTuple):
        lat: float
        default: float = 0.0

    class Row(Struct, array_like=True, tag=True):
        first: int
        second: str = ""

    every = [Point, Item, Sparse, Unset, Movie, Place, Row]
    files = made(
        *(giving(cls, f"f{i}") for i, cls in enumerate(every)), *(taking(c, f"g{i}") for i, c in enumerate(every))
    )
    assert {
        name: declared(files, name) for name in re.findall(r"^export \w+ (\w+)", files["_types.d.ts"], re.MULTILINE)
    } == {
        "Point": "{ x: number; y: number; tags: string[]; set_later?: number; }",
        "PointInput": "{ x: number; y?: number; tags?: string[]; set_later?: number; }",
        "Item": "{ unitPrice: number; itemCount: number; }",
        "ItemInput": "{ unitPrice: number; itemCount?: number; }",
        "Sparse": "{ a: number; b?: number; c?: number; }",
        "Unset": "{ a?: number | null; }",
        "Movie": "{ title?: string; }",
        "Place": "[lat: number, default_: number];",
        "PlaceInput": "[lat: number, default_?: number];",
        "Row": "[type: 'Row', first: number, second: string];",
        "RowInput": "[type: 'Row', first: number, second?: string];",
    }


def test_the_name_of_an_argument_does_not_depend_on_what_else_there_is():
    """What a class looks like as a result has its name, also where there is no such result yet."""

    @dataclass
    class Point:
        x: int = 0

    assert argument(Point) == "PointInput"
    assert "export type { PointInput } from './_types.js';" in made(taking(Point))["g.d.ts"]
    assert "interface Point " not in made(taking(Point))["_types.d.ts"]


def test_one_declaration_for_one_class():
    files = made(giving(Cat, "f"), taking(list[Cat], "g"), giving(dict[str, Cat], "h"))
    assert files["_types.d.ts"].count("interface Cat") == 1
    for name in "fgh":
        assert "export type { Cat } from './_types.js';" in files[f"{name}.d.ts"]


def named(name: str, *fields: Any, module: str = "api.a") -> Any:
    return dataclasses.make_dataclass(name, fields or [("x", int)], namespace={"__module__": module})


def test_classes_of_the_same_name():
    first, second = named("Cat", ("a", int), module="api.a"), named("Cat", ("b", int), module="api.b")
    for order in ([first, second], [second, first]):
        files = made(*(giving(cls, f"f{cls.__module__[-1]}") for cls in order))
        assert declared(files, "Cat") == "{ a: number; }"
        assert declared(files, "Cat2") == "{ b: number; }"
        assert "Promise<Cat2>" in files["fb.d.ts"]


def test_names_that_mean_something_else():
    """A class may be called as what TypeScript has, as a word of JavaScript, or as a function of the folder."""
    classes = [named(name) for name in ("Date", "Set", "Promise", "Uint8Array", "getUser", "class_")]
    files = made(giving(tuple[tuple(classes)], "get_user"))
    assert "Promise<[Date2, Set2, Promise2, Uint8Array2, getUser2, class_]>" in files["get_user.d.ts"]


@dataclass
class Page(Generic[T]):
    items: list[T]


def test_generics():
    files = made(giving(Page[Cat], "f"), giving(Page[int], "g"), giving(Page[list[Cat | None]], "h"), giving(Page, "i"))
    assert declared(files, "PageCat") == "{ items: Cat[]; }"
    assert declared(files, "PageInt") == "{ items: number[]; }"
    assert declared(files, "PageListCatOrNone") == "{ items: (Cat | null)[][]; }"
    assert declared(files, "Page") == "{ items: any[]; }"


@dataclass
class Node:
    at: dt.datetime
    children: list["Node"]
    parent: Optional["Node"] = None


def test_recursion():
    files = made(giving(Node), taking(Node))
    assert declared(files, "Node") == "{ at: Date; children: Node[]; parent: Node | null; }"
    assert declared(files, "NodeInput") == "{ at: Date; children: NodeInput[]; parent?: NodeInput | null; }"
    assert "objectOf({ at: toDate, children: listOf(decodeNode), parent: decodeNode })" in files["_codecs.js"]


def test_code_that_revives_only_where_there_is_something_to_revive():
    files = made(giving(dict[str, list[Cat]], "f"), taking(Cat, "g"))
    assert "_codecs.js" not in files
    assert "decode" not in files["f.js"]
    assert "encode" not in files["g.js"]
    files = made(giving(list[dt.datetime | None], "f"), taking(tuple[int, set[bytes]], "g"))
    assert "decode: _.listOf(_.toDate)," in files["f.js"]
    assert "encode: _.tupleOf([_.tupleOf([_.asIs, _.fromSet(_.fromBytes)])])," in files["g.js"]
    assert "toBytes" not in files["_codecs.js"]


class Circle(Struct, tag="circle"):
    at: dt.datetime


class Square(Struct, tag=2, tag_field="no"):
    side: int


@dataclass
class Left:
    at: dt.datetime
    left: int


@dataclass
class Right:
    at: dt.datetime


@dataclass
class Same:
    at: dt.datetime


def test_unions_are_told_apart_by_kind_tag_and_key():
    class Triangle(Struct, tag="triangle"):
        angles: list[int]

    files = made(
        giving(Circle | Triangle | list[dt.datetime] | None, "f"),
        giving(Left | Right, "g"),
        giving(Right | Same, "h"),
        giving(Circle | dict[str, int], "i"),
    )
    circle = """_.byCase('object', [(v) => v.type === "circle", _.decodeCircle])"""
    assert f"_.byKind({{ array: _.listOf(_.toDate), object: {circle} }})" in files["f.js"]
    assert (
        """_.byCase('object', [(v) => "left" in v, _.decodeLeft], [(v) => !("left" in v), _.decodeRight])"""
        in files["g.js"]
    )
    assert "decode" not in files["h.js"]
    assert declared(files, "SameJson") == "{ at: string; }"
    assert declared(files, "RightJson") == "{ at: string; }"
    assert declared(files, "Right") == "{ at: Date; }"
    assert "Promise<CircleJson | { [key: string]: number }>" in files["i.d.ts"]


def test_docs_of_types():
    @dataclass
    class Price:
        """What it costs. */"""

        amount: Annotated[Decimal, Meta(description="With tax.")]
        until: Annotated[dt.datetime, Meta(tz=False)]

    text = made(giving(Price))["_types.d.ts"]
    assert "/** What it costs. *\\/ */\nexport interface Price {" in text
    assert (
        '    /**\n     * With tax.\n     * A decimal number as a string, such as "1.20".\n     */\n    amount: string;'
        in text
    )
    assert "Without a time zone" in text
    assert "2^53" in text
    assert "/**" not in made(giving(Cat))["_types.d.ts"]  # what dataclass() says of its signature is no docs


def test_docs_of_functions():
    def greet(new: str, when: dt.date = dt.date(2026, 1, 2), *others: int) -> Decimal:
        """Greet someone.

        At length.

        Args:
            new (str): whom
                to greet
            when: the day.

        Returns:
            the price

        Raises:
            ValueError: never
        """
        raise AssertionError

    text = made(greet)["greet.d.ts"]
    assert text.partition("\n\n")[2] == (
        "/**\n * Greet someone.\n *\n * At length.\n *\n * Raises:\n *     ValueError: never\n *\n"
        ' * @param new_ whom to greet\n * @param when the day. A date, such as "2026-01-02".\n'
        ' * @returns the price. A decimal number as a string, such as "1.20".\n */\n'
        "declare function greet(new_: string, when?: string, ...others: number[]): Promise<string>;\n"
        "export default greet;\n"
    )


@pytest.mark.parametrize(
    ("doc", "body", "params", "returns"),
    [
        ("", [], {}, ""),
        ("One.", ["One."], {}, ""),
        (
            "One.\n\n:param a: the a\n:param int b: b\n  and on\n:returns: it",
            ["One."],
            {"a": "the a", "b": "b and on"},
            "it",
        ),
        (
            "One.\n\nArgs:\n    *a: all\n\nReturns: it\n\nNote:\n    x",
            ["One.", "", "Note:", "    x"],
            {"a": "all"},
            "it",
        ),
        ("Returns the sum: of both.", ["Returns the sum: of both."], {}, ""),
    ],
)
def test_docstrings(doc, body, params, returns):
    assert split(inspect.cleandoc(doc)) == (body, params, returns)


def test_names_of_functions():
    assert [camel(name) for name in ("get_uptime", "getUptime", "a__b_", "get_2fa", "A_b")] == [
        "getUptime",
        "getUptime",
        "aB",
        "get2fa",
        "AB",
    ]
    for name in ("delete", "make_function", "new"):
        files = made(giving(int, name))
        function = re.search(r"declare function (\w+)", files[f"{name}.d.ts"])[1]
        assert function == camel(name) + "_"
        assert f"export default {function};" in files[f"{name}.js"]


def test_what_the_runtime_is_told():
    @cached(max_age=60)
    def look(a: int, b: int = 1) -> int:
        raise AssertionError

    def move(*a: int) -> int:
        raise AssertionError

    client = Client(ws_base_url="wss://ws.example.com", http_base_url="https://http.example.com")
    files = made(look, move, config=Config(client=client, call_timeout=60), look="abc")
    assert spec(files["look.js"]) == {
        "transport": "'http'", "module": "'api'", "name": "'look'", "hash": "'abc'", "cached": "true",
        "minArgs": "1", "maxArgs": "2", "baseUrl": "'https://http.example.com'", "timeout": "65000",
    }  # fmt: skip
    assert spec(files["move.js"]).keys() == {"transport", "module", "name", "minArgs", "baseUrl", "timeout"}
    files = made(look, config=Config(client=client, call_timeout=0), ws=True)
    assert spec(files["look.js"]) == {
        "transport": "'ws'", "module": "'api'", "name": "'look'",
        "minArgs": "1", "maxArgs": "2", "baseUrl": "'wss://ws.example.com'", "timeout": "0",
    }  # fmt: skip


def spec(code: str) -> dict[str, str]:
    return dict(re.findall(r"^    (\w+): (.*),$", code, re.MULTILINE))


class PydanticPage(BaseModel, Generic[T]):
    items: list[T]


def test_pydantic():
    class Base(BaseModel):
        kind: Literal["base"] = "base"
        when: dt.datetime | str
        note: str = Field("", alias="theNote", description="What it says.")
        secret: str = Field("", exclude=True)
        numbers: dict[Color, set[int]] = {}
        price: Decimal = Decimal(0)
        raw: bytes = b""

        @computed_field
        def twice(self) -> int:
            raise AssertionError

    class Closed(BaseModel):
        model_config = ConfigDict(extra="forbid", ser_json_bytes="hex", ser_json_timedelta="float")
        raw: bytes = b""
        wait: dt.timedelta
        pages: PydanticPage[int]

    class Numbers(RootModel[list[int]]):
        pass

    files = made(giving(Base, "a"), taking(Base, "b"), giving(Closed, "c"), giving(Numbers, "d"), giving(Color, "e"))
    assert declared(files, "Base") == (
        "{ kind: 'base'; when: string; theNote: string; numbers: { [key in Color]?: Set<number> }; price: string; "
        "raw: Uint8Array; twice: number; }"
    )
    assert declared(files, "BaseInput") == (
        "{ kind: 'base'; when: Date | string; theNote?: string; secret?: string; "
        "numbers?: { [key in Color]?: Set<number> }; price?: string; raw?: Uint8Array; }"
    )
    assert "    /** What it says. */\n    theNote: string;" in files["_types.d.ts"]
    assert declared(files, "Closed") == "{ raw: string; wait: number; pages: PydanticPageInt; }"
    assert declared(files, "PydanticPageInt") == "{ items: number[]; }"
    assert declared(files, "Numbers") == "number[];"
    assert files["_types.d.ts"].count("export type Color ") == 1
    assert "when: fromDate" in files["_codecs.js"]


def test_a_class_in_a_pydantic_model_and_on_its_own():
    class Owner(BaseModel):
        cat: Cat

    files = made(giving(Owner), giving(Cat, "h"))
    assert declared(files, "Owner") == "{ cat: Cat; }"
    assert "Cat2" not in files["_types.d.ts"]


def test_what_msgspec_has_to_have_for_results():
    """Its translator is used without the check that arguments need: this fails where it is no longer there."""
    assert isinstance(vars(msgspec.inspect)["_Translator"]((int,)).translate(int), msgspec.inspect.IntType)
