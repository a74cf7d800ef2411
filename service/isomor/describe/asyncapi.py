"""AsyncAPI 3.0 of the WebSocket: every message of docs/protocol.md, both ways.

It is told from the server's side, as AsyncAPI wants it: the server receives calls and sends results and pushes.
"""

from __future__ import annotations

from typing import Any, Final
from urllib.parse import urlsplit

from ..config import Config
from ..errors import STATUS
from ..loader import Registry
from .answers import SHARED, codes_over_ws, example, when
from .draft07 import draft07
from .openapi import info, sample_args
from .samples import sample
from .schemas import Schemas
from .signatures import Described, describe, facts_of

_CHANNELS: Final = {
    "isomor": ("/isomor/ws", "Where clients connect."),
    "root": ("/", "The same, where isomor 3's client connects."),
}
_ID: Final = {
    "title": "CallId",
    "description": "Chosen by the client; no two calls of one connection have the same at the same time.",
    "anyOf": [{"type": "integer"}, {"type": "string", "maxLength": 64}],
}
_ANY_ID: Final = {"anyOf": [{"$ref": "#/components/schemas/CallId"}, {"type": "null"}]}
_CALL_ID: Final = {"$ref": "#/components/schemas/CallId"}
_TEXT: Final = {"type": "string"}


def asyncapi(registry: Registry, config: Config, version: str) -> bytes:
    """The document as JSON; the arguments are those of `openapi`."""
    schemas = Schemas()
    functions = [function for function in registry.functions.values() if function.requires != "http"]
    described = [describe(function, schemas) for function in functions]
    schemas.settle()
    codes = {code for function in registry.functions.values() for code in codes_over_ws(function, config)}
    messages = _common_messages(codes)
    operations: dict[str, Any] = {}
    for one in described:
        name = one.function.name
        messages[f"{name}.call"] = _call(one)
        messages[f"{name}.result"] = _result(one)
        operations[name] = _operation("receive", [f"{name}.call"], one, reply=[f"{name}.result", "API_ERR"])
    operations |= {
        "isomor.cancel": _operation("receive", ["CANCEL"], reply=["API_ERR"]),
        "isomor.ping": _operation("receive", ["PING"], reply=["PONG"]),
        "isomor.push": _operation("send", ["PUSH"]),
        "isomor.conf": _operation("send", ["CONF"]),
        "isomor.gap": _operation("send", ["GAP"]),
    }
    refer = {name: {"$ref": f"#/components/messages/{name}"} for name in messages}
    document = {
        "asyncapi": "3.0.0",
        "info": info(registry, config, version),
        "defaultContentType": "application/json",
        "servers": {"here": _server(config)},
        "channels": {
            key: {"address": address, "title": "WebSocket", "description": text, "messages": refer}
            for key, (address, text) in _CHANNELS.items()
        },
        "operations": operations,
        "components": {"messages": messages},
    }
    shared = {"CallId": _ID, "ArgumentFault": SHARED["ArgumentFault"]}
    return schemas.components.finish(document, shared, draft07)


def _server(config: Config) -> dict[str, Any]:
    base = urlsplit(config.client.ws_base_url or "")
    host = base.netloc or f"localhost:{config.server.port}"
    secure = base.scheme == "wss" or (not base.netloc and config.server.tls_cert is not None)
    variable = {"default": host, "description": "The host, and the port where it is not the usual one."}
    return {"host": "{host}", "protocol": "wss" if secure else "ws", "variables": {"host": variable}}


def _message(
    action: str, summary: str, fields: dict[str, Any], optional: dict[str, Any], example: Any
) -> dict[str, Any]:
    properties = {"action": {"const": action}, **fields, **optional}
    payload = draft07({"type": "object", "properties": properties, "required": ["action", *fields]})
    message: dict[str, Any] = {"name": action, "title": action, "summary": summary, "payload": payload}
    if "id" in properties and action not in ("PUSH", "CANCEL"):
        message["correlationId"] = {"location": "$message.payload#/id"}
    examples = example if isinstance(example, list) else [example]
    return message | {"examples": [{"payload": {"action": action, **one}} for one in examples]}


def _common_messages(codes: set[str]) -> dict[str, Any]:
    errors = [_error(code) for code in sorted(codes)]
    error = {"id": _ANY_ID, "payload": _TEXT, "code": _TEXT, "status": {"type": "integer"}}
    details = {"details": {"description": "For INVALID_ARGS, a list of `ArgumentFault`."}, "errorId": _TEXT}
    told = "An error in place of a result. " + " ".join(f"`{code}`: {when(code)}" for code in sorted(codes))
    conf = {"type": "object", "properties": {"withCookie": {"type": "boolean"}}, "required": ["withCookie"]}
    pushed = [{"payload": "#2e8b57", "topic": "color"}, {"payload": {"announcement": "noon"}}, {"payload": 1, "id": 1}]
    topic = {"topic": {"type": "string", "description": "Where it was pushed to a topic."}}
    of_call = {"id": {**_CALL_ID, "description": "The call whose function pushed, where it did by `ctx.push`."}}
    return {
        "API_ERR": _message("API_ERR", told, error, details, errors),
        "CANCEL": _message("CANCEL", "Cancel that call: it is answered by API_ERR.", {"id": _CALL_ID}, {}, {"id": 1}),
        "PING": _message("PING", "Answered by PONG; keeps the connection from idling out.", {}, {}, {}),
        "PONG": _message("PONG", "The answer to PING.", {}, {}, {}),
        "PUSH": _message("PUSH", "What a function pushed.", {"payload": {}}, topic | of_call, pushed),
        "CONF": _message(
            "CONF",
            "Whether to send readable cookies with calls.",
            {"payload": conf},
            {},
            {"payload": {"withCookie": True}},
        ),
        "GAP": _message(
            "GAP", "Pushes were lost, of that topic or of none: fetch anew what they told.", {}, {"topic": _TEXT}, {}
        ),
    }


def _error(code: str) -> dict[str, Any]:
    body = example(code)
    return {"id": 1, "payload": body.pop("error"), **body, "status": STATUS[code]}


def _call(one: Described) -> dict[str, Any]:
    path = one.function.path
    args = {"args": one.args}
    fields: dict[str, Any] = {"id": _CALL_ID, "urlPath": {"const": path}, **(args if one.least else {})}
    cookie = {"type": "string", "description": "Of `document.cookie`, where the client was told so: see CONF."}
    signature = {"type": ["string", "null"], "description": "The signature that a generated client was made for."}
    optional = {**({} if one.least else args), "cookie": cookie, "hash": signature}
    return _message(
        "API", f"Call {one.function.name}.", fields, optional, {"id": 1, "urlPath": path, "args": sample_args(one)}
    )


def _result(one: Described) -> dict[str, Any]:
    fields = {"id": _CALL_ID, "payload": one.result}
    return _message(
        "API_RES", f"The result of {one.function.name}.", fields, {}, {"id": 1, "payload": sample(one.result)}
    )


def _operation(
    action: str, names: list[str], one: Described | None = None, reply: list[str] | None = None
) -> dict[str, Any]:
    def refer(names: list[str]) -> list[dict[str, str]]:
        return [{"$ref": f"#/channels/isomor/messages/{name}"} for name in names]

    channel = {"$ref": "#/channels/isomor"}
    operation: dict[str, Any] = {"action": action, "channel": channel, "messages": refer(names)}
    if one is not None:
        operation["title"] = one.function.name
        if one.doc.summary:
            operation["summary"] = one.doc.summary
        if one.doc.description:
            operation["description"] = one.doc.description
        operation["x-isomor"] = facts_of(one.function)
    if reply:
        operation["reply"] = {"channel": channel, "messages": refer(reply)}
    return operation
