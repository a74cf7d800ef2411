"""/api-docs/openapi.json: valid, and true of what the server does, by schemathesis and by the decoder itself."""

from __future__ import annotations

import base64
import datetime as dt
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from harness import REPOSITORY, Server
from jsonschema import Draft202012Validator, FormatChecker
from many_types import HINTS, api
from openapi_spec_validator import OpenAPIV31SpecValidator

import isomor
from isomor.config import Config
from isomor.describe.answers import ELSEWHERE, codes_over_http, codes_over_ws, example
from isomor.describe.openapi import openapi
from isomor.describe.strings import portable
from isomor.errors import STATUS, ApiError
from isomor.functions import Function
from isomor.hints import schema_of_custom
from isomor.loader import load

PATH = "/api-docs/openapi.json"


@pytest.fixture(scope="module")
def server(serve_module) -> Server:
    return serve_module(api())


@pytest.fixture(scope="module")
def document(server) -> dict[str, Any]:
    answer = server.http.get(PATH)
    assert answer.status_code == 200
    return answer.json()


def formats() -> FormatChecker:
    """The formats that the documents use, as JSON Schema has them."""
    checker = FormatChecker()

    @checker.checks("date-time", ValueError)
    def is_moment(value: Any) -> bool:
        return not isinstance(value, str) or dt.datetime.fromisoformat(value).tzinfo is not None

    @checker.checks("time", ValueError)
    def is_time(value: Any) -> bool:
        return not isinstance(value, str) or (value[2:3] == ":" and is_moment(f"2026-01-02T{value}"))

    return checker


def validator(document: dict[str, Any], schema: Any) -> Draft202012Validator:
    """Of a schema in the document, with what it refers to."""
    return Draft202012Validator(schema | {"components": document["components"]}, format_checker=formats())


def post_of(document: dict[str, Any], name: str) -> dict[str, Any]:
    return document["paths"][f"/isomor/api/{name}"]["post"]


def args_of(document: dict[str, Any], name: str) -> dict[str, Any]:
    body = post_of(document, name)["requestBody"]["content"]["application/json"]["schema"]
    return body["properties"]["args"]


def result_of(document: dict[str, Any], name: str) -> dict[str, Any]:
    return post_of(document, name)["responses"]["200"]["content"]["application/json"]["schema"]


# ---- Valid ----------------------------------------------------------------------------------------------------------


def schemas_in(value: Any) -> Iterator[Any]:
    """Every JSON schema of the document."""
    if isinstance(value, dict):
        if isinstance(value.get("schema"), dict):
            yield value["schema"]
        for inner in value.values():
            yield from schemas_in(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from schemas_in(inner)


def assert_valid(document: dict[str, Any]) -> None:
    OpenAPIV31SpecValidator(document).validate()
    for schema in [*document["components"]["schemas"].values(), *schemas_in(document)]:
        Draft202012Validator.check_schema(schema)


def test_valid(document):
    assert_valid(document)


def test_of_the_example_functions(serve):
    document = serve(REPOSITORY / "api").http.get(PATH).json()
    assert_valid(document)
    names = {path.stem for path in (REPOSITORY / "api").glob("*.py") if not path.stem.startswith("_")}
    assert set(document["paths"]) == {f"/isomor/api/{name}" for name in names}


def test_of_an_empty_folder(serve):
    document = serve({}).http.get(PATH).json()
    assert_valid(document)
    assert document["paths"] == {}


# ---- What schemas say is what is decoded ----------------------------------------------------------------------------

POOL: list[Any] = [
    None, True, False, 0, 1, -1, 2, 3, 4, 8, 10, 30, 151, 10**20, 0.5, 1.5, -2.5, 1e-300,
    "", "a", "b", "ab", "abcde", "red", "blue", "yes", "1", "1.5", "1.20", "1e5", "-0", "+1", ".5", "nan", "Infinity",
    "2026-01-02", "2026-02-30", "2024-02-29", "2026-13-01", "2026-01-02T03:04:05Z", "2026-01-02T03:04:05",
    "2026-01-02T03:04:05.123456+01:00", "2026-01-02T24:00:00", "2026-01-02T03:04", "03:04:05", "03:04:05Z", "3:04:05",
    "03:04:60", "PT90S", "P1D", "P1DT2H", "PT1.5S", "-PT1S", "P1Y", "P1W", "PT", "P", "90",
    "12345678-1234-5678-1234-567812345678", "12345678-1234", "YQ==", "YWI=", "YWJj", "YWJjZA==", "YWJjZGU=", "Y", "YQ",
    "YQ==\n", "abc\n", "é",
    [], [1], [1, 2], [1, 1], [1, "a"], [1, "a", 2], ["a"], ["a", "a"], [None], [[1], None], [1.5], [0.5, 2],
    [1, 2, 3, 4],
    ["Closed", 1], ["Closed", 1, 2], ["Other", 1], [{"name": "Ada"}], [{"name": "Bo", "addresses": []}],
    {}, {"a": 1}, {"a": "x"}, {"a": True}, {"1": "x"}, {"1.5": "x"}, {"01": "x"}, {"x": 1}, {"xa": 1, "b": 2},
    {"x": 1, "xy": 2, "xz": 3}, {"red": 1}, {"green": 1}, {"2026-01-02": "x"}, {"2026-01-40": "x"}, {"c": 1},
    {"12345678-1234-5678-1234-567812345678": "x"},
    {"name": "Ada"}, {"name": ""}, {"name": 7}, {"name": "Ada", "age": 200}, {"name": "Ada", "age": None},
    {"name": "Ada", "color": "red", "tags": ["a", "a"], "born": "2000-01-01", "more": 1}, {"name": "Ada", "color": "x"},
    {"value": 1}, {"value": 1, "children": [{"value": 2, "children": []}]}, {"value": 1, "children": [{}]},
    {"items": []}, {"items": [1]}, {"items": [{"name": "Ada"}], "total": 1}, {"items": [{}]},
    {"type": "Cat"}, {"type": "Cat", "lives": "9"}, {"type": "dog", "name": "Rex"}, {"type": "dog"}, {"lives": 7},
    {"type": "dog", "name": "Rex", "more": 1}, {"type": "Cow"}, {"firstName": "Ada"}, {"first_name": "Ada"},
    {"firstName": "Ada", "more": 1}, {"title": "Up"}, {"title": "Up", "year": 2009}, {"title": "Up", "year": "2009"},
    {"street": "A", "number": 1}, {"street": "A", "number": 0}, {"street": "A"},
    {"name": "Ada", "addresses": [{"street": "A", "number": 1}], "roles": ["a", "a"], "friend": {"name": "Bo"}},
    {"pet": {"kind": "kitten"}}, {"pet": {"kind": "puppy"}}, {"pet": {"kind": "puppy", "name": "Rex"}}, {"pet": {}},
    {"content": 1}, {"content": "1"},
]  # fmt: skip

# What Python takes for a combination of flags too. The document need not recommend it.
WIDER = {("mode", "-1")}


@pytest.fixture(scope="module")
def functions(server) -> dict[str, Function]:
    namespace = {name: getattr(isomor, name) for name in isomor.__all__}
    registry = load(server.api, module_name="api_of_many_types", ws_pattern=None, namespace=namespace)
    return {function.name: function for function in registry.functions.values()}


def takes(function: Function, value: Any) -> bool:
    try:
        function.decode(json.dumps([value]).encode())
    except ApiError:
        return False
    return True


@pytest.mark.parametrize("name", HINTS)
def test_what_is_valid_is_taken_and_nothing_else(name, functions, document):
    schema = validator(document, args_of(document, f"give_{name}"))
    function = functions[f"give_{name}"]
    said = {json.dumps(value): schema.is_valid([value]) for value in POOL}
    done = {text: takes(function, json.loads(text)) and (name, text) not in WIDER for text in said}
    assert said == done
    assert any(done.values())


# Where msgspec's own schema refuses what its decoder takes: numbers for Decimals, repeats in sets, tags that are left
# out, combinations of flags, enums with `_missing_`.
STRICTER = {"decimal", "set", "frozenset", "person", "maybe_person", "cat", "access", "mode", "loose"}
OF_PYDANTIC = {"address", "user", "strict", "pet", "box", "users"}


@pytest.mark.parametrize("name", [name for name in HINTS if name not in OF_PYDANTIC])
def test_it_is_no_laxer_than_the_schema_of_msgspec(name, functions, document):
    hint = functions[f"give_{name}"].params[0].hint
    theirs = Draft202012Validator(msgspec.json.schema(hint, schema_hook=schema_of_custom))
    ours = validator(document, args_of(document, f"give_{name}"))
    laxer = [value for value in POOL if ours.is_valid([value]) and not theirs.is_valid(value)]
    assert bool(laxer) == (name in STRICTER), laxer


@pytest.mark.parametrize("name", HINTS)
def test_results_are_as_told(name, server, functions, document):
    schema = validator(document, result_of(document, f"give_{name}"))
    for value in POOL:
        if takes(functions[f"give_{name}"], value):
            answer = server.post(f"give_{name}", value)
            assert answer.status_code == 200
            schema.validate(answer.json())


@pytest.mark.parametrize("name", HINTS)
def test_samples_are_taken(name, server, document):
    """What the form of a function is filled with can be sent."""
    body = post_of(document, f"give_{name}")["requestBody"]["content"]["application/json"]["example"]
    assert server.http.post(f"/isomor/api/give_{name}", json=body).status_code == 200


def test_how_long_bytes_are():
    def f(value):
        raise AssertionError

    for least, most in [(0, 0), (0, 1), (1, 4), (2, 5), (3, 3), (4, 8), (0, 7)]:
        f.__annotations__ = {"value": f"Annotated[bytes, Meta(min_length={least}, max_length={most})]"}
        from typing import Annotated

        from msgspec import Meta

        names = {"Annotated": Annotated, "Meta": Meta}
        function = Function(f, name="f", path="/isomor/api/f", matches_ws=False, namespace=names)
        document = described(function)
        schema = validator(document, args_of(document, "f"))
        for size in range(12):
            text = base64.b64encode(b"x" * size).decode()
            assert schema.is_valid([text]) == takes(function, text) == (least <= size <= most)


@pytest.mark.parametrize(
    ("pattern", "told"),
    [
        (r"^a$", r"^a$"),
        (r"\A(?P<year>[0-9]+)\Z", r"^(?<year>[0-9]+)$(?!\n)"),
        (r"(?P<q>['\"]).*(?P=q)", r"(?<q>['\"]).*\k<q>"),
        (r"[(?P<]\\A", r"[(?P<]\\A"),
        (r"\s\S\\s", r"[\s\x1c-\x1f\x85][^\s\x1c-\x1f\x85]\\s"),
        (r"[^@\s]+@[\S\\s]", r"[^@\s\x1c-\x1f\x85]+@[\S\\s]"),
        (r"(?i)abc", None),
        (r"a++", None),
        (r"(?>a)", None),
        (r"(?#x)a", None),
    ],
)
def test_patterns_of_python(pattern, told):
    assert portable(pattern) == told


# ---- Schemathesis ---------------------------------------------------------------------------------------------------


def schemathesis(server: Server, document: dict[str, Any], folder: Path, examples: int, *options: str) -> None:
    """Let schemathesis look for an answer that is other than documented."""
    (folder / "openapi.json").write_text(json.dumps(document))
    # Functions answer GET without arguments too where they need some, by INVALID_ARGS: no news to anyone, so it does
    # not stand in the document, which takes it for an error.
    checks = "unsupported_method,allow_header_conformance"
    command = [str(Path(sys.executable).parent / "schemathesis"), "run", "openapi.json", "--url", server.url]
    command += ["--seed=1", "--generation-deterministic", "--no-color"]
    command += ["--phases=examples,coverage,fuzzing", f"--max-examples={examples}", "--mode=all"]
    command += ["--exclude-checks", checks, "--suppress-health-check=all", *options]
    env = {key: value for key, value in os.environ.items() if not key.lower().endswith("_proxy")}
    env |= {"SCHEMATHESIS_HOOKS": "schemathesis_hooks", "PYTHONPATH": str(REPOSITORY / "tests" / "describe")}
    done = subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-20_000:] + done.stderr[-2000:]


def test_nothing_contradicts_the_document(server, document, tmp_path):
    paths = json.loads(json.dumps(document["paths"]))
    del paths["/isomor/api/listen"]  # see test_what_needs_a_websocket
    # Schemathesis cannot read a tuple in a result that is no class of its own; see test_results_are_as_told.
    del paths["/isomor/api/give_pair"]
    for path in paths.values():
        for operation in path.values():  # no function here raises errors of its own
            del operation["responses"]["4XX"]
            del operation["responses"]["5XX"]
    schemathesis(server, document | {"paths": paths}, tmp_path, 4)
    assert "Traceback" not in server.log


def test_nothing_contradicts_it_in_the_example(serve, tmp_path):
    server = serve(REPOSITORY / "api")
    document = server.http.get(PATH).json()
    document["paths"] = {
        path: methods for path, methods in document["paths"].items() if methods["post"]["tags"] != ["WebSocket"]
    }
    raises = "--exclude-operation-id-regex=^raise_error"
    schemathesis(server, document, tmp_path, 10, raises)


# ---- What stands in it ----------------------------------------------------------------------------------------------


def test_arguments_are_a_tuple(document):
    args = args_of(document, "several")
    name, count = args["prefixItems"]
    assert name == {"type": "string", "title": "name", "description": "whose."}
    assert count == {"type": "integer", "title": "count", "default": 1}
    assert args["items"]["title"] == "rest"
    assert args["items"]["description"] == "more of them."
    assert args["minItems"] == 1
    assert "maxItems" not in args
    body = post_of(document, "several")["requestBody"]["content"]["application/json"]["schema"]
    assert body["required"] == ["args"]
    assert args_of(document, "idle") == {"type": "array", "minItems": 0, "maxItems": 0}
    assert not post_of(document, "idle")["requestBody"]["required"]
    first, second = args_of(document, "no_hints")["prefixItems"]
    assert first == {"title": "a"}
    assert second == {"title": "b", "default": None}


def test_docs_of_functions(document):
    operation = post_of(document, "several")
    assert operation["summary"] == "Several arguments."
    assert operation["description"] == "In order."
    assert operation["operationId"] == "several"


def test_what_pages_need(document, functions):
    several = post_of(document, "several")["x-isomor"]
    assert several == {
        "name": "several",
        "path": "/isomor/api/several",
        "transport": "http",
        "requires": None,
        "signature": "several(name: str, count: int = 1, *rest: Person) -> list[Any]",
        "cached": None,
        "hash": functions["several"].hash,
    }
    assert post_of(document, "listen")["x-isomor"]["requires"] == "ws"
    assert post_of(document, "look")["x-isomor"]["cached"] == {"maxAge": 60, "public": False}
    signatures = {path["post"]["x-isomor"]["signature"] for path in document["paths"].values()}
    assert "give_maybe_person(value: Person | None) -> Person | None" in signatures
    assert "give_page(value: Page[Person]) -> Page[Person]" in signatures
    assert "give_limited(value: int) -> int" in signatures
    assert "give_literal(value: Literal['a', 1, None]) -> Literal['a', 1, None]" in signatures
    assert "no_hints(a, b=None)" in signatures


def test_get(document, server):
    paths = document["paths"]
    assert "parameters" not in paths["/isomor/api/idle"]["get"]
    (args, made_for) = paths["/isomor/api/look"]["get"]["parameters"]
    assert (args["name"], args["in"], args["required"]) == ("args", "query", True)
    assert made_for["name"] == "hash"
    assert "get" not in paths["/isomor/api/several"]  # it needs an argument
    assert "get" not in paths["/isomor/api/listen"]
    answer = server.get("look", params={"args": json.dumps(args["content"]["application/json"]["example"])})
    assert answer.status_code == 200


def test_get_where_only_what_is_cached_answers_it(serve):
    server = serve({k: v for k, v in api().items() if not k.startswith("give")}, yaml="security: {get_calls: cached}")
    document = server.http.get(PATH).json()
    assert {path for path, methods in document["paths"].items() if "get" in methods} == {"/isomor/api/look"}


def test_what_needs_a_websocket(document, server):
    operation = post_of(document, "listen")
    assert operation["tags"] == ["WebSocket"]
    assert "200" not in operation["responses"]
    name = operation["responses"]["426"]["$ref"].rpartition("/")[2]
    response = document["components"]["responses"][name]
    answer = server.post("listen", "news")
    assert answer.status_code == 426
    validator(document, response["content"]["application/json"]["schema"]).validate(answer.json())


def test_results_of_functions_that_set_a_status(document):
    assert "2XX" in post_of(document, "status")["responses"]
    assert post_of(document, "status")["tags"] == ["HTTP"]
    assert "2XX" not in post_of(document, "idle")["responses"]


def test_errors(document, server):
    """Each by its status, and as the server gives it."""
    responses = post_of(document, "several")["responses"]
    shown = {}
    for status, response in responses.items():
        if "$ref" in response and status.isdigit():
            content = document["components"]["responses"][response["$ref"].rpartition("/")[2]]["content"]
            shown |= {code: int(status) for code in content["application/json"]["examples"]}
    assert shown == {code: STATUS[code] for code in shown}
    assert {"ERROR", "BAD_MESSAGE", "INVALID_ARGS", "FORBIDDEN", "TIMEOUT", "UNAVAILABLE", "INTERNAL"} <= set(shown)
    schemas = document["components"]["schemas"]
    error = validator(document, schemas["ApiError"])
    fault = validator(document, schemas["ArgumentFault"])
    post = server.http.post
    path = server.path("several")
    for code, answer in {
        "INVALID_ARGS": server.post("several", 7, "x"),
        "BAD_MESSAGE": post(path, content="{", headers={"Content-Type": "application/json"}),
        "UNSUPPORTED_MEDIA_TYPE": post(path, content="{}", headers={"Content-Type": "text/plain"}),
        "FORBIDDEN": server.post("several", "x", headers={"Origin": "https://evil.example"}),
        "OUTDATED_CLIENT": post(path, json={"args": [7], "hash": "other"}),
        "TOO_LARGE": server.post("several", "x" * 2_000_000),
    }.items():
        assert (answer.status_code, answer.json()["code"]) == (shown[code], code)
        error.validate(answer.json())
    for each in server.post("several", 7, "x", {}).json()["details"]:
        fault.validate(each)
    for code in shown:
        error.validate(example(code))


def test_every_code_is_told_of(functions):
    told = set(ELSEWHERE)
    unlimited = Config(max_calls_per_second=0)
    for function in [*functions.values(), described_function("http"), described_function("ws")]:
        told |= {*codes_over_http(function, Config(), "post"), *codes_over_http(function, Config(), "get")}
        told |= {*codes_over_ws(function, Config())}
        assert "TOO_MANY_CALLS" not in codes_over_http(function, unlimited, "post")
    assert told == set(STATUS)


def described_function(requires: str) -> Function:
    context = {"http": isomor.HttpContext, "ws": isomor.WsContext}[requires]

    def f(ctx):
        raise AssertionError

    f.__annotations__ = {"ctx": context, "return": None}
    return Function(f, name="f", path="/isomor/api/f", matches_ws=False, namespace={})


def described(*functions: Function, config: Config | None = None) -> dict[str, Any]:
    from isomor.loader import Registry

    registry = Registry({function.path: function for function in functions})
    return json.loads(openapi(registry, config or Config(), "1.2.3"))


def test_classes_of_one_name(serve):
    shop = "from dataclasses import dataclass\n\n\n@dataclass\nclass User:\n    {}: int\n\n\n"
    model = "import pydantic\n\n\nclass User(pydantic.BaseModel):\n    {}: int\n\n\n"
    server = serve(
        {
            "one.py": shop.format("one") + "async def one(user: User) -> User: return user",
            "two.py": shop.format("two") + "async def two(user: User) -> User: return user",
            "three.py": model.format("three") + "async def three(user: User) -> User: return user",
            "four.py": model.format("four") + "async def four(user: User) -> list[User]: return [user]",
            "five.py": shop.replace("User", "ApiError").format("five") + "async def five(e: ApiError) -> None: pass",
        }
    )
    document = server.http.get(PATH).json()
    assert_valid(document)
    for name in ("one", "two", "three", "four", "five"):
        reference = args_of(document, name)["prefixItems"][0]["$ref"].rpartition("/")[2]
        assert list(document["components"]["schemas"][reference]["properties"]) == [name]
    schemas = document["components"]["schemas"]
    assert {"api.one.User", "api.two.User", "api.three.User", "api.four.User"} <= set(schemas)
    assert "error" in schemas["ApiError"]["properties"]


def test_classes_that_differ_by_direction(document):
    schemas = document["components"]["schemas"]
    assert schemas["PersonInput"]["required"] == ["name"]
    assert schemas["Person"]["required"] == ["name", "age", "color", "tags", "born"]
    assert schemas["PersonInput"]["properties"]["age"]["default"] == 30
    assert schemas["Person"]["properties"]["name"]["description"] == "As on the passport."
    assert schemas["Address"]["properties"]["number"]["description"] == "Of the house."
    assert "AddressInput" not in schemas  # the same either way
    assert schemas["Color"] == {
        "title": "Color", "type": "string", "enum": ["red", "blue"], "description": "A colour.",
    }  # fmt: skip


def test_info_and_servers(serve):
    init = '"""What the shop can do."""\n\n__version__ = "3.1"\n'
    files = {"__init__.py": init, "hello.py": "async def hello() -> str: return 'hello'"}
    yaml = "client: {http_base_url: https://shop.example.com}"
    document = serve(files, yaml=yaml).http.get(PATH).json()
    assert document["info"] == {
        "title": "Functions of api", "version": "3.1", "description": "What the shop can do.",
    }  # fmt: skip
    assert [server["url"] for server in document["servers"]] == ["/", "https://shop.example.com"]


def test_results_that_no_decoder_could_tell_apart(serve):
    server = serve(
        {
            "either.py": "from dataclasses import dataclass\nimport enum, collections\n\n\n"
            "@dataclass\nclass A:\n    a: int\n\n\n@dataclass\nclass B:\n    b: int\n\n\n"
            "class Half(enum.Enum):\n    HALF = 0.5\n    ALL = 'all'\n\n\n"
            "async def either(first: bool) -> A | B | Half:\n    return A(1) if first else B(2)\n",
            "many.py": "from collections import deque\n\n\nasync def many() -> deque[int]: return deque([1])\n",
        }
    )
    document = server.http.get(PATH).json()
    assert_valid(document)
    schema = validator(document, result_of(document, "either"))
    for first in (True, False):
        schema.validate(server.post("either", first).json())
    assert not schema.is_valid({"result": {"c": 1}})
    assert schema.is_valid({"result": 0.5})
    validator(document, result_of(document, "many")).validate(server.post("many").json())


def test_defaults_that_have_no_json(serve):
    source = (
        "import math\nfrom typing import Any\n\n\nclass Unset: ...\n\n\n"
        "async def f(a: Any = Unset(), b: float = math.inf, c: str = 'x' * 100) -> None: ...\n"
    )
    document = serve({"f.py": source}).http.get(PATH).json()
    assert_valid(document)
    a, b, c = args_of(document, "f")["prefixItems"]
    assert "default" not in a
    assert "default" not in b
    assert c["default"] == "x" * 100
    assert post_of(document, "f")["x-isomor"]["signature"] == "f(a=..., b: float = inf, c: str = ...) -> None"
