"""TLS that ends at the server itself, with a certificate made by openssl."""

from __future__ import annotations

import json
import socket
import ssl
import struct
import subprocess
from pathlib import Path

import pytest
from harness import CLOSE, DEADLINE, TEXT, Server, ServerExited, frame, wait_until

API = {
    "add.py": "async def add(a: int, b: int) -> int:\n    return a + b\n",
    "echo.py": "async def echo(value=None):\n    return value\n",
    "hold.py": """
import asyncio
from pathlib import Path

async def hold(file: str) -> str:
    Path(file + ".begun").touch()
    while not Path(file).exists():
        await asyncio.sleep(0.01)
    return "held"
""",
    "who.py": """
from typing import Any
from isomor import Context

async def who(ctx: Context) -> dict[str, Any]:
    return {"scheme": ctx.req.scheme, "ip": ctx.req.ip}
""",
    "cookie.py": """
from isomor import HttpContext

async def cookie(ctx: HttpContext) -> None:
    ctx.res.set_cookie("a", "1")
    ctx.res.set_cookie("b", "2", secure=False)
""",
    "kept.py": """
import gc
from collections import Counter

gc.disable()

async def kept() -> dict[str, int]:
    found = Counter(type(one).__name__ for one in gc.get_objects())
    return {kind: found[kind] for kind in ("WsConnection", "Peer", "Outbox", "WSProtocol", "WSTransport", "_Asleep")}
""",
    "push_big.py": """
from isomor import WsContext

async def push_big(ctx: WsContext, count: int, size: int) -> int:
    for _ in range(count):
        await ctx.push("x" * size)
    return count
""",
}


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """The files of a certificate for 127.0.0.1, and of its key."""
    folder = tmp_path_factory.mktemp("tls")
    cert, key = folder / "cert.pem", folder / "key.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
         "-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1,DNS:localhost",
         "-keyout", str(key), "-out", str(cert)],
        check=True, capture_output=True,
    )  # fmt: skip
    return cert, key


def settings(certificate: tuple[Path, Path]) -> dict[str, str]:
    cert, key = certificate
    return {"ISOMOR_WS": ".*", "ISOMOR_SERVER_TLS_CERT": str(cert), "ISOMOR_SERVER_TLS_KEY": str(key)}


@pytest.fixture(scope="module")
def server(serve_module, certificate) -> Server:
    return serve_module(API, env=settings(certificate), trust=certificate[0])


def test_http(server):
    assert server.url.startswith("https://")
    assert server.call("add", 1, 2) == 3
    assert server.get("echo").json() == {"result": None}
    assert server.call("who") == {"scheme": "https", "ip": "127.0.0.1"}
    a, b = server.post("cookie").headers.get_list("set-cookie")
    assert "Secure" in a
    assert "Secure" not in b


WRONG = {
    "a reserved bit": (frame(TEXT, b"{}", rsv=1), 1002),
    "an opcode that is none": (frame(3), 1002),
    "too big": (frame(TEXT, b" " * (2 << 20)), 1009),
    "a close": (frame(CLOSE, struct.pack("!H", 4000)), 4000),
}


@pytest.mark.parametrize("name", WRONG)
def test_the_end_of_a_websocket(server, name):
    data, code = WRONG[name]
    with server.raw_ws() as ws:
        ws.send_bytes(data)
        assert ws.wait_closed() == code
        assert ws.connection.read_to_end() == b""
    assert "Traceback" not in server.log


@pytest.mark.parametrize("path", ["/", "/isomor/ws"])
def test_websocket(server, path):
    with server.ws(path) as ws:
        assert ws.call("add", 1, 2) == 3
        assert ws.call("who")["scheme"] in ("https", "wss")
        assert ws.call("who")["ip"] == "127.0.0.1"


def test_a_page_of_plain_http_is_of_another_origin(server):
    """Whoever is on the network can make one of any host."""
    host = f"127.0.0.1:{server.port}"
    for more in ({}, {"Connection": "close"}):  # answered without Sanic, and by it
        assert server.post("add", 1, 2, headers={"Origin": f"https://{host}"} | more).status_code == 200
        assert server.post("add", 1, 2, headers={"Origin": f"http://{host}"} | more).status_code == 403
    with server.raw_ws(headers={"Host": host, "Origin": f"https://{host}"}) as ws:
        assert ws.handshake.status == 101
    with pytest.raises(AssertionError, match="status=403"):
        server.raw_ws(headers={"Host": host, "Origin": f"http://{host}"})


@pytest.mark.parametrize("size", [100, 16_384, 65_536, 1_000_000])
def test_messages_of_any_size_both_ways(server, size):
    text = "é" + "x" * size
    assert server.call("echo", text) == text
    with server.ws() as ws:
        for _ in range(3):  # after a large one, the connection begins anew within
            assert ws.call("echo", text) == text
            assert ws.call("add", 1, 2) == 3
        assert ws.call("push_big", 20, size // 2) == 20
        assert [len(ws.push()) for _ in range(20)] == [size // 2] * 20


def test_a_message_in_many_frames(server):
    body = json.dumps({"action": "API", "id": 1, "urlPath": "/isomor/api/echo", "args": ["x" * 500_000]}).encode()
    with server.raw_ws() as ws:
        parts = [body[at : at + 30_000] for at in range(0, len(body), 30_000)]
        for index, part in enumerate(parts):
            ws.send(TEXT if index == 0 else 0, part, fin=index == len(parts) - 1)
        assert len(ws.receive_json()["payload"]) == 500_000


def test_many_calls_on_one_socket(server):
    with server.ws() as ws:
        ids = [ws.send_call("echo", number) for number in range(1000)]
        assert [ws.result(call_id) for call_id in ids] == list(range(1000))


def test_nothing_of_a_connection_is_kept_once_it_is_gone(server):
    """Nor until garbage is collected, whether it had a parser or not."""
    for count in (0, 1, 2):
        with server.raw_ws() as ws:
            for _ in range(3):
                ws.send_bytes(frame(TEXT, b'{"action":"PING"}') * count)
                for _ in range(count):
                    assert ws.receive_json() == {"action": "PONG"}
    wait_until(lambda: not any(server.call("kept").values()), "all of it to be gone")


def test_a_connection_is_kept_alive_and_then_upgraded(server):
    with server.raw() as connection:
        for number in range(3):
            body = json.dumps({"args": [number, 1]}).encode()
            connection.request("POST", "/isomor/api/add", body, {"Content-Type": "application/json"})
            assert connection.response().json() == {"result": number + 1}
        headers = {
            "Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13",
            "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
        }  # fmt: skip
        connection.request("GET", "/isomor/ws", headers=headers)
        assert connection.response("GET").status == 101


def test_who_does_not_speak_tls_harms_nobody(server):
    for said in (b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", b"\x16\x03\x01", b"\0" * 1000, b""):
        with socket.create_connection((server.host, server.port), timeout=30) as plain:
            plain.sendall(said)
            plain.shutdown(socket.SHUT_WR)
            answer = b""
            try:
                while data := plain.recv(65536):
                    answer += data
            except ConnectionResetError:
                pass
            assert b"HTTP/1.1 200" not in answer
    assert server.call("add", 1, 2) == 3


def test_the_version_is_a_recent_one(server, certificate):
    context = ssl.create_default_context(cafile=certificate[0])
    with (
        socket.create_connection((server.host, server.port), timeout=30) as plain,
        context.wrap_socket(plain, server_hostname=server.host) as secure,
    ):
        assert secure.version() in ("TLSv1.2", "TLSv1.3")


def test_sigterm(serve, certificate, tmp_path):
    server = serve(API, env=settings(certificate), trust=certificate[0])
    gate = tmp_path / "gate"
    with server.ws() as busy, server.ws() as idle:
        call_id = busy.send_call("hold", str(gate))
        server.wait_for_log("serves")
        while not Path(f"{gate}.begun").exists():
            busy.ping()
        server.signal()
        assert idle.wait_closed() == 1012
        gate.touch()
        assert busy.result(call_id) == "held"
        assert busy.wait_closed() == 1012
    assert server.wait() == 0


@pytest.mark.parametrize("what", ["ISOMOR_SERVER_TLS_CERT", "ISOMOR_SERVER_TLS_KEY"])
def test_a_certificate_that_cannot_be_used_is_said_at_the_start(serve, certificate, tmp_path, what):
    bad = tmp_path / "bad.pem"
    bad.write_text("-----BEGIN NOTHING-----\n")
    with pytest.raises(ServerExited) as caught:
        serve(API, env=settings(certificate) | {what: str(bad)}, trust=certificate[0])
    assert caught.value.code == 1
    assert "server.tls_cert" in caught.value.log
    assert "Traceback" not in caught.value.log


def test_a_handshake_that_never_ends(serve, certificate):
    server = serve(API, env=settings(certificate) | {"ISOMOR_SERVER_HEAD_TIMEOUT": "0.5"}, trust=certificate[0])
    with (
        socket.create_connection((server.host, server.port), timeout=DEADLINE) as silent,
        socket.create_connection((server.host, server.port), timeout=DEADLINE) as slow,
    ):
        slow.settimeout(0.02)
        for byte in b"\x16\x03\x01\x3f\xff\x01" + b"\0" * 1500:
            try:
                slow.send(bytes([byte]))
                assert slow.recv(1) == b""
            except TimeoutError:
                continue
            except OSError:  # a reset
                pass
            break
        else:
            pytest.fail("the server goes on reading")
        assert silent.recv(1) == b""
        assert server.call("add", 1, 2) == 3
