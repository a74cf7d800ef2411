"""Runs the table of `websocket_cases.py` against a server, and writes what came of it to docs/.

python tests/conformance.py     starts a server, runs every case, and writes docs/websocket-conformance.md
"""

from __future__ import annotations

import struct
import sys
import tempfile
from collections.abc import Collection
from pathlib import Path

from handshake_cases import HANDSHAKES, Handshake
from harness import CLOSE, PING, PONG, REPOSITORY, RawWebSocket, Server, frame
from websocket_cases import API, CASES, Case, Pieces

PAGE = REPOSITORY / "docs" / "websocket-conformance.md"
# Nothing comes by itself: neither pings, nor the end of a connection that idles.
ENV = {"ISOMOR_WS": ".*", "ISOMOR_WS_TIMEOUT": "0", "ISOMOR_WS_PING_SECONDS": "0"}


class Runner:
    """Runs cases against one server. `witness` is a connection by which it knows what the server has read."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self.witness = server.raw_ws()

    def close(self) -> None:
        self.witness.connection.close()

    def run(self, case: Case) -> str:
        """What went wrong; an empty string for nothing."""
        for way, pieces in enumerate(case.ways, 1):
            with self.server.raw_ws() as ws:
                try:
                    self._send(ws, pieces)
                    self._check(ws, case)
                except (AssertionError, EOFError) as error:
                    return f"{case.number} {case.title}, way {way}: {type(error).__name__} {error!s:.300}"
        return ""

    def _send(self, ws: RawWebSocket, pieces: Pieces) -> None:
        for number, piece in enumerate(pieces):
            if number:
                # The server reads what has come on all its connections in one turn of its loop: with this pong, the
                # piece before has been read.
                self.witness.send(PING)
                assert self.witness.receive().opcode == PONG
            ws.send_bytes(piece)

    def _check(self, ws: RawWebSocket, case: Case) -> None:
        for expected in case.answers:
            received = ws.receive()
            assert received == expected, f"{received} in place of {expected}"
        if case.close is None:
            ws.send(PING, b"still there?")
            received = ws.receive()
            assert (received.opcode, received.payload) == (PONG, b"still there?"), received
            ws.send_bytes(frame(CLOSE, struct.pack("!H", 1000)))
        received = ws.receive()
        assert (received.opcode, received.fin, received.rsv) == (CLOSE, True, 0), received
        code, reason = struct.unpack("!H", received.payload[:2])[0], received.payload[2:]
        assert code == (case.close or 1000), f"close {code} {reason!r}"
        assert len(received.payload) <= 125
        reason.decode()
        if case.number.startswith("7.5"):
            ws.send_bytes(frame(CLOSE, received.payload))
        assert ws.connection.read_to_end() == b"", "bytes behind the close frame"

    def shake(self, case: Handshake) -> str:
        """What went wrong; an empty string for nothing."""
        with self.server.raw() as connection:
            try:
                for piece in case.pieces:
                    connection.send(piece)
                response = connection.response("GET")
                assert response.status == case.status, response
                for name, value in case.headers.items():
                    assert response.header(name) == value, f"{name}: {response.header(name)}"
                if case.status == 101:
                    ws = RawWebSocket.__new__(RawWebSocket)
                    ws.connection = connection
                    for expected in case.answers:
                        received = ws.receive()
                        assert received == expected, f"{received} in place of {expected}"
                    ws.send_bytes(frame(CLOSE, struct.pack("!H", 1000)))
                    assert ws.wait_closed() == (case.close or 1000)
                    assert connection.read_to_end() == b""
            except (AssertionError, EOFError) as error:
                return f"{case.number} {case.title}: {type(error).__name__} {error!s:.300}"
        return ""


def failures(runner: Runner, group: str) -> list[str]:
    """What went wrong in a group of cases."""
    return [said for case in CASES[group] if (said := runner.run(case))]


def handshake_failures(runner: Runner) -> list[str]:
    """What went wrong among the opening handshakes."""
    return [said for case in HANDSHAKES if (said := runner.shake(case))]


def page(failed: Collection[str] = ()) -> str:
    """The page of the documentation; `failed` are the numbers of cases."""
    count = sum(map(len, CASES.values())) + len(HANDSHAKES)
    ways = sum(len(case.ways) for cases in CASES.values() for case in cases) + len(HANDSHAKES)
    lines = [
        "# WebSocket conformance",
        "",
        f"{count} cases of RFC 6455, sent in {ways} ways to a server over a socket: {count - len(failed)} pass, "
        f"{len(failed)} fail. The groups and most of the cases are those of the "
        "[Autobahn suite](https://github.com/crossbario/autobahn-testsuite), which itself needs Python 2; they are "
        "written from the [RFC](https://www.rfc-editor.org/rfc/rfc6455). `make test` runs all of them, and "
        "`make conformance` runs them and writes this page.",
        "",
        "- A case passes if just the frames of the column *comes back* come, in their order, and then, where there is "
        "a close frame, the end of the TCP connection; where there is none, a ping must still be answered.",
        "- *ways*: in how many ways it is sent: at once, frame by frame, byte by byte, or cut into fragments at each "
        "byte.",
        "- Messages are text and JSON here: binary ones are closed with 1003, and an empty text is answered by an "
        "error. Compression is not offered, so that groups 12 and 13 of the suite have nothing to test; what its "
        "group 10 sends stands in 9.2.",
        "- After a fault of the client (1002, 1003, 1007, 1009) the server sends its close frame, reads no frame any "
        "more, and ends the connection (section 7.1.7). Without a fault it waits for the client's close frame, for ten "
        "seconds at most.",
    ]
    for group, cases in CASES.items():
        lines += [
            "",
            f"## {group}",
            "",
            "| case | sent | RFC 6455 | ways | comes back | |",
            "| --- | --- | --- | --- | --- | --- |",
        ]
        for case in cases:
            said = "fails" if case.number in failed else "passes"
            row = [case.number, case.title, case.section, str(len(case.ways)), case.outcome, said]
            lines.append("| " + " | ".join(row) + " |")
    lines += [
        "",
        "## 10 Opening handshake",
        "",
        "| case | sent | RFC 6455 | comes back | |",
        "| --- | --- | --- | --- | --- |",
    ]
    for shake in HANDSHAKES:
        said = "fails" if shake.number in failed else "passes"
        lines.append(f"| {shake.number} | {shake.title} | {shake.section} | {shake.outcome} | {said} |")
    return "\n".join(lines) + "\n"


def main() -> int:
    """Run all, write the page, and say what failed."""
    with tempfile.TemporaryDirectory() as folder, Server(Path(folder), API, env=ENV) as server:
        runner = Runner(server)
        found = [said for group in CASES for said in failures(runner, group)] + handshake_failures(runner)
        runner.close()
    PAGE.write_text(page({said.split()[0] for said in found}))
    print(*found, f"{PAGE.relative_to(REPOSITORY)}: {len(found)} failed", sep="\n")
    return bool(found)


if __name__ == "__main__":
    sys.exit(main())
