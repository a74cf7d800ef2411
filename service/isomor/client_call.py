"""The far end of `isomor call` and `isomor health`: a client of a running server.

Health is asked every few seconds, so what only `call` needs is imported there.
"""

from __future__ import annotations

import contextlib
import json
import ssl
import urllib.error
import urllib.request
from typing import Any

import click

from .config import Config


def local_url(config: Config) -> str:
    """The address of the server that this configuration starts, from this machine."""
    host = config.server.host
    host = {"0.0.0.0": "127.0.0.1", "::": "[::1]", "": "127.0.0.1"}.get(host, f"[{host}]" if ":" in host else host)
    return f"{'https' if config.server.tls_cert else 'http'}://{host}:{config.server.port}"


def _tls(url: str) -> ssl.SSLContext | None:
    if not url.startswith(("https:", "wss:")):
        return None
    context = ssl.create_default_context()
    if any(f"://{host}" in url for host in ("127.0.0.1", "localhost", "[::1]")):
        # The certificate is for the name that clients use; on the loopback interface nobody else can answer.
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


def _request(url: str, data: bytes | None, timeout: float) -> tuple[int, Any]:
    request = urllib.request.Request(url, data, {"Content-Type": "application/json"})
    # No proxy stands before a server that is named by its address.
    opener = urllib.request.build_opener(
        urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=_tls(url))
    )
    try:
        with opener.open(request, timeout=timeout) as response:
            return response.status, json.load(response)
    except urllib.error.HTTPError as error:
        with error, contextlib.suppress(ValueError):
            return error.code, json.load(error)
        return error.code, {"error": error.reason}


def health(base: str) -> int:
    """0 if the server at `base` is ready, else 1; what it says is printed."""
    try:
        status, body = _request(f"{base}/health/ready", None, 5)
    except (OSError, ValueError) as error:
        click.echo(f"not ready: {base} does not answer: {error}", err=True)
        return 1
    because = ", ".join(body.get("because", ())) if isinstance(body, dict) else ""
    click.echo("ready" if status == 200 else f"not ready: {because or status}")
    return 0 if status == 200 else 1


def call(base: str, module: str, name: str, arguments: str) -> int:
    """Call a function and print its result, or its error.

    Args:
        base: the server's address.
        module: the api module's name.
        name: the function's name.
        arguments: a JSON array.

    Returns:
        The exit code: 0 for a result, 1 for an error, 2 where `arguments` is not a JSON array.
    """
    from websockets.exceptions import WebSocketException

    try:
        args = json.loads(arguments)
    except ValueError:
        args = None
    if not isinstance(args, list):
        click.echo(f"error: the arguments {arguments!r} are not a JSON array; write them as '[1, \"two\"]'", err=True)
        return 2
    path = f"/isomor/{module}/{name}"
    try:
        _, body = _request(base + path, json.dumps({"args": args}).encode(), 3600)
        if body.get("code") == "UPGRADE_REQUIRED":
            return _call_ws(base, path, args)
    except (OSError, ValueError, WebSocketException) as error:
        click.echo(f"error: {base} does not answer as isomor does: {error}; start it by `isomor serve`", err=True)
        return 1
    return _print(body.get("result"), body.get("error"), body)


def _call_ws(base: str, path: str, args: list[Any]) -> int:
    from websockets.sync.client import connect

    url = base.replace("http", "ws", 1) + "/isomor/ws"
    with connect(url, ssl=_tls(url), max_size=None, proxy=None) as ws:
        ws.send(json.dumps({"action": "API", "id": 1, "urlPath": path, "args": args}))
        for text in ws:
            message = json.loads(text)
            if message["action"] == "API_RES":
                return _print(message.get("payload"), None, message)
            if message["action"] == "API_ERR":
                return _print(None, message["payload"], message)
            if message["action"] == "PUSH":
                click.echo(f"push: {json.dumps(message['payload'], ensure_ascii=False)}", err=True)
    click.echo("error: the server closed the connection before it had answered", err=True)
    return 1


def _print(result: Any, error: str | None, answer: dict[str, Any]) -> int:
    if error is None:
        click.echo(json.dumps(result, ensure_ascii=False, indent=2))
        return 0
    click.echo(f"{answer.get('code', 'ERROR')}: {error}", err=True)
    details = answer.get("details")
    for detail in details if isinstance(details, list) else [] if details is None else [details]:
        click.echo(f"  {json.dumps(detail, ensure_ascii=False)}", err=True)
    if answer.get("errorId"):
        click.echo(f"  errorId {answer['errorId']}", err=True)
    return 1
