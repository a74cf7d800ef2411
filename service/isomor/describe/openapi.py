"""OpenAPI 3.1 of the functions over HTTP."""

from __future__ import annotations

from typing import Any, Final

from ..config import Config
from ..errors import STATUS
from ..functions import Function
from ..loader import Registry
from .answers import SHARED, codes_over_http, example, when
from .samples import sample
from .schemas import Schemas
from .signatures import Described, describe, facts_of

_JSON: Final = "application/json"
_ERROR: Final = {"$ref": "#/components/schemas/ApiError"}
_TAGS: Final = {
    None: ("HTTP and WebSocket", "Functions that answer on either transport."),
    "http": ("HTTP", "Functions that take an `HttpContext`, and are called over HTTP alone."),
    "ws": ("WebSocket", "Functions that take a `WsContext`, and are called over WebSocket alone: see asyncapi.json."),
}
_HASH: Final = {
    "type": ["string", "null"],
    "description": "The signature that a generated client was made for. Leave it out.",
}


def openapi(registry: Registry, config: Config, version: str) -> bytes:
    """The document as JSON.

    Args:
        registry: the functions.
        config: what says which of them answer GET.
        version: where the package of the functions has no `__version__`, this is the document's.
    """
    schemas = Schemas()
    described = [describe(function, schemas) for function in registry.functions.values()]
    schemas.settle()
    responses: dict[str, Any] = {}
    paths = {one.function.path: _path(one, config, responses) for one in described}
    used = {one.function.requires for one in described}
    document: dict[str, Any] = {
        "openapi": "3.1.0",
        "info": info(registry, config, version),
        "servers": servers(config),
        "tags": [{"name": name, "description": text} for key, (name, text) in _TAGS.items() if key in used],
        "paths": paths,
        "components": {"responses": dict(sorted(responses.items()))},
    }
    return schemas.components.finish(document, SHARED)


def info(registry: Registry, config: Config, version: str) -> dict[str, Any]:
    """`info` of either document: what the package of the functions says of itself, in `__init__.py`."""
    name = config.api.module_name
    package = registry.modules.get(name)
    told = str(getattr(package, "__doc__", None) or "").strip()
    said = {"title": f"Functions of {name}", "version": str(getattr(package, "__version__", version))}
    return said | ({"description": told} if told else {})


def servers(config: Config) -> list[dict[str, str]]:
    """Where functions are called: here, and where clients are told to."""
    found = [{"url": "/", "description": "Where this document comes from."}]
    if config.client.http_base_url:
        found.append({"url": config.client.http_base_url, "description": "Where generated clients call."})
    return found


def may_get(function: Function, config: Config) -> bool:
    """Whether GET means something: what answers it, and needs no arguments, or takes them in the query."""
    if function.cached is not None:
        return True
    needs = any(param.required for param in function.params)
    return config.security.get_calls == "all" and not needs and function.requires != "ws"


def _path(one: Described, config: Config, responses: dict[str, Any]) -> dict[str, Any]:
    methods = {"get": _get(one)} if may_get(one.function, config) else {}
    methods["post"] = _post(one)
    for method, operation in methods.items():
        operation["responses"] = _responses(one, config, method, responses)
        operation["x-isomor"] = facts_of(one.function)
    return methods


def _common(one: Described, operation_id: str) -> dict[str, Any]:
    operation: dict[str, Any] = {"operationId": operation_id, "tags": [_TAGS[one.function.requires][0]]}
    if one.doc.summary:
        operation["summary"] = one.doc.summary
    if one.doc.description:
        operation["description"] = one.doc.description
    return operation


def _post(one: Described) -> dict[str, Any]:
    least = one.least
    body: dict[str, Any] = {"type": "object", "properties": {"args": one.args, "hash": _HASH}}
    if least:
        body["required"] = ["args"]
    content = {"schema": body, "example": {"args": sample_args(one)}}
    return _common(one, one.function.name) | {"requestBody": {"required": least > 0, "content": {_JSON: content}}}


def sample_args(one: Described) -> list[Any]:
    """Arguments to begin from; those that may be left out are there too."""
    made: list[Any] = sample({word: value for word, value in one.args.items() if word != "items"})
    return made


def _get(one: Described) -> dict[str, Any]:
    operation = _common(one, f"{one.function.name}.get")
    if one.function.cached is not None:
        args = {"schema": one.args, "example": sample_args(one)}
        operation["parameters"] = [
            {
                "name": "args",
                "in": "query",
                "description": "The arguments, as a JSON array.",
                "required": one.least > 0,
                "content": {_JSON: args},
            },
            {"name": "hash", "in": "query", "description": _HASH["description"], "schema": {"type": "string"}},
        ]
    return operation


def _responses(one: Described, config: Config, method: str, shared: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    if one.function.requires != "ws":
        found["200"] = _result(one, method)
        if method == "get":
            found["304"] = {"description": "It is what the `ETag` of `If-None-Match` stands for."}
        if "http" in one.function.accepts:
            found["2XX"] = found["200"] | {"description": "The same, with a status that the function has set."}
            found["3XX"] = {"description": "The function leads elsewhere."}
    by_status: dict[int, list[str]] = {}
    for code in codes_over_http(one.function, config, method):
        by_status.setdefault(STATUS[code], []).append(code)
    for status, codes in sorted(by_status.items()):
        name = "_or_".join(codes)
        shared.setdefault(name, _error(codes))
        found[str(status)] = {"$ref": f"#/components/responses/{name}"}
    for wild in ("4XX", "5XX"):
        shared.setdefault(wild, {"description": _OTHER, "content": {_JSON: {"schema": _ERROR}}})
        found[wild] = {"$ref": f"#/components/responses/{wild}"}
    return found


_OTHER: Final = "An `ApiError` of the function's own, or of a hook, middleware or proxy before it."


def _result(one: Described, method: str) -> dict[str, Any]:
    schema = {
        "type": "object",
        "properties": {"result": one.result},
        "required": ["result"],
        "additionalProperties": False,
    }
    response: dict[str, Any] = {"description": "The result.", "content": {_JSON: {"schema": schema}}}
    if method == "get":
        text = {"schema": {"type": "string"}}
        response["headers"] = {"ETag": text, "Cache-Control": text}
    return response


def _error(codes: list[str]) -> dict[str, Any]:
    content: dict[str, Any] = {"schema": _ERROR, "examples": {code: {"value": example(code)} for code in codes}}
    return {"description": " ".join(f"`{code}`: {when(code)}" for code in codes), "content": {_JSON: content}}
