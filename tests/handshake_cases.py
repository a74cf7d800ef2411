"""Opening handshakes of a WebSocket by RFC 6455, section 4: requests, and how they must be answered."""

from __future__ import annotations

from dataclasses import dataclass, field

from harness import PING, PONG, TEXT, Frame, frame
from websocket_cases import HELLO, WHOLE, cut

# The example of section 1.3, with its answer.
KEY, ACCEPT = "dGhlIHNhbXBsZSBub25jZQ==", "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="


@dataclass(frozen=True)
class Handshake:
    """One row of the table; `headers` of the answer by their names, None for those that must not be there."""

    number: str
    title: str
    section: str
    pieces: tuple[bytes, ...]
    status: int = 101
    headers: dict[str, str | None] = field(default_factory=dict)
    answers: tuple[Frame, ...] = ()
    close: int | None = None

    @property
    def outcome(self) -> str:
        """What must come back, in words."""
        said = [str(self.status), *(f"no {name}" for name, value in self.headers.items() if value is None)]
        said += [f"{name}: {value}" for name, value in self.headers.items() if value]
        return ", ".join(said + (["frames answered"] if self.answers else []))


def request(*more: str, start: str = "GET /isomor/ws HTTP/1.1", without: str = "", **changed: str) -> bytes:
    """A right handshake, but for what is asked: headers without one, changed, or with more."""
    headers = {
        "Host": "localhost",
        "Upgrade": "websocket",
        "Connection": "Upgrade",
        "Sec-WebSocket-Key": KEY,
        "Sec-WebSocket-Version": "13",
    }
    headers |= {name.replace("_", "-"): value for name, value in changed.items()}
    lines = [start, *(f"{name}: {value}" for name, value in headers.items() if name != without), *more]
    return "\r\n".join(lines).encode() + b"\r\n\r\n"


def _handshakes() -> list[Handshake]:
    accepted: dict[str, str | None] = {"sec-websocket-accept": ACCEPT}
    rows: list[tuple[str, str, tuple[bytes, ...], int, dict[str, str | None]]] = [
        ("the example of the RFC", "1.3", (request(),), 101, accepted),
        ("at `/`", "4.2.1", (request(start="GET / HTTP/1.1"),), 101, accepted),
        ("with a query", "4.2.1", (request(start="GET /isomor/ws?a=b HTTP/1.1"),), 101, accepted),
        ("byte by byte", "4.2.1", cut(request(), 1), 101, accepted),
        ("names in lower case", "4.2.1", (request().replace(b"Sec-WebSocket-", b"sec-websocket-"),), 101, accepted),
        ("`Upgrade: WebSocket`", "4.2.1", (request(Upgrade="WebSocket"),), 101, accepted),
        ("`Connection: keep-alive, Upgrade`", "4.2.1", (request(Connection="keep-alive, Upgrade"),), 101, accepted),
        ("`Connection: upgrade`", "4.2.1", (request(Connection="upgrade"),), 101, accepted),
        ("compression offered: not taken", "9.1", (request("Sec-WebSocket-Extensions: permessage-deflate"),), 101,
         {**accepted, "sec-websocket-extensions": None}),
        ("subprotocols offered: none taken", "4.2.2", (request("Sec-WebSocket-Protocol: chat, mqtt"),), 101,
         {**accepted, "sec-websocket-protocol": None}),
        ("no Host", "4.2.1", (request(without="Host"),), 400, {}),
        ("no key", "4.2.1", (request(without="Sec-WebSocket-Key"),), 400, {}),
        ("an empty key", "4.2.1", (request(Sec_WebSocket_Key=""),), 400, {}),
        ("a key of 15 bytes", "4.2.1", (request(Sec_WebSocket_Key="AAAAAAAAAAAAAAAAAAAA"),), 400, {}),
        ("a key of 17 bytes", "4.2.1", (request(Sec_WebSocket_Key="AAAAAAAAAAAAAAAAAAAAAAA="),), 400, {}),
        ("a key that is not base64", "4.2.1", (request(Sec_WebSocket_Key="dGhlIHNhbXBsZSBub25j!!=="),), 400, {}),
        ("two keys", "11.3.1", (request(f"Sec-WebSocket-Key: {KEY}"),), 400, {}),
        ("Connection without Upgrade", "4.2.1", (request(Connection="keep-alive"),), 400, {}),
        ("no version", "4.2.1", (request(without="Sec-WebSocket-Version"),), 426, {"sec-websocket-version": "13"}),
        ("version 8", "4.2.2", (request(Sec_WebSocket_Version="8"),), 426, {"sec-websocket-version": "13"}),
        ("version 14", "4.2.2", (request(Sec_WebSocket_Version="14"),), 426, {"sec-websocket-version": "13"}),
        ("two versions", "11.3.5", (request("Sec-WebSocket-Version: 8"),), 426, {"sec-websocket-version": "13"}),
        ("HTTP/1.0", "4.2.1", (request(start="GET /isomor/ws HTTP/1.0"),), 400, {}),
        ("an Origin of another site", "10.2", (request("Origin: https://evil.example"),), 403, {}),
    ]  # fmt: skip
    found = [
        Handshake(f"10.{at}", title, section, pieces, status, headers)
        for at, (title, section, pieces, status, headers) in enumerate(rows, 1)
    ]
    behind = request() + frame(PING, b"x") + frame(TEXT, HELLO)
    answers = (Frame(PONG, b"x"), WHOLE)
    at = len(found) + 1
    found.append(Handshake(f"10.{at}", "frames right behind it", "4.2.2", (behind,), 101, accepted, answers))
    wrong = request() + frame(TEXT, HELLO, mask=False)
    title = "a frame right behind it that is not masked"
    found.append(Handshake(f"10.{at + 1}", title, "5.1", (wrong,), 101, accepted, (), 1002))
    return found


HANDSHAKES = _handshakes()
