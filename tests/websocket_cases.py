"""What a WebSocket server owes its clients by RFC 6455, as a table: bytes to send, and what must come back.

The groups and most of the cases are those of the Autobahn test suite, which itself needs Python 2; they are written
from the RFC. What differs is what this server is for: it takes text alone, each one JSON, so that echoes are calls of
`echo`, and messages without meaning are answered by an error. `conformance.py` runs the table.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

from harness import BINARY, CLOSE, CONTINUATION, PING, PONG, TEXT, Frame, frame

API = {
    "echo.py": "async def echo(text: str) -> str:\n    return text\n",
    "size.py": "async def size(text: str) -> int:\n    return len(text)\n",
    "hang_up.py": """
from isomor import WsContext

async def hang_up(ctx: WsContext, code: int, reason: str = "") -> None:
    ctx.ws.close(code, reason)
""",
}
MOST = 1024 * 1024  # max_message_size, as it is by default

Pieces = tuple[bytes, ...]


@dataclass(frozen=True)
class Case:
    """One row of the table.

    Attributes:
        number: group, part and case, such as "5.19".
        title: what is sent, in words.
        section: of RFC 6455.
        ways: the bytes to send, in pieces that the server reads one by one; each way must have the same outcome.
        answers: the frames that must come back, in this order, before anything else.
        close: the code of the close frame behind them; None: the connection goes on, and a ping is answered.
    """

    number: str
    title: str
    section: str
    ways: tuple[Pieces, ...]
    answers: tuple[Frame, ...] = ()
    close: int | None = None

    @property
    def outcome(self) -> str:
        """What must come back, in words."""
        names = {TEXT: "text", PING: "ping", PONG: "pong"}
        counts: dict[str, int] = {}
        for answer in self.answers:
            counts[names[answer.opcode]] = counts.get(names[answer.opcode], 0) + 1
        said = [name if count == 1 else f"{count} × {name}" for name, count in counts.items()]
        return ", ".join([*said, f"close {self.close}"] if self.close else said) or "nothing; it stays open"


def text_of(value: str, name: str = "echo") -> bytes:
    """A call of `echo` with a text, as bytes."""
    return f'{{"action":"API","id":1,"urlPath":"/isomor/api/{name}","args":["{value}"]}}'.encode()


def around(raw: bytes) -> bytes:
    """A call of `echo` with bytes where its text should stand."""
    before, after = text_of("|").split(b"|")
    return before + raw + after


def echoed(value: str | int) -> Frame:
    return Frame(TEXT, b'{"action":"API_RES","id":1,"payload":%b}' % json.dumps(value, ensure_ascii=False).encode())


def padded(size: int) -> bytes:
    """A message of just so many bytes, answered by WHOLE: JSON may have space around it."""
    return HELLO.ljust(size)


HELLO = b'{"action":"PING"}'
WHOLE = Frame(TEXT, b'{"action":"PONG"}')
NOT_JSON = Frame(
    TEXT,
    b'{"action":"API_ERR","id":null,"payload":"The message is not JSON.","code":"BAD_MESSAGE","status":400}',
)


def one(data: bytes) -> tuple[Pieces, ...]:
    """One way: all at once."""
    return ((data,),)


def cut(data: bytes, size: int) -> Pieces:
    """Pieces of so many bytes."""
    return tuple(data[at : at + size] for at in range(0, len(data), size))


def three(frames: list[bytes]) -> tuple[Pieces, ...]:
    """Three ways, as Autobahn has them: in one go, frame by frame, byte by byte."""
    whole = b"".join(frames)
    return (whole,), tuple(frames), cut(whole, 1)


def close_frame(code: int, reason: bytes = b"") -> bytes:
    return frame(CLOSE, struct.pack("!H", code) + reason)


def fragments(data: bytes, *ends: int) -> list[bytes]:
    """A text message in fragments that end at `ends`."""
    bounds = [0, *ends, len(data)]
    parts = [data[start:end] for start, end in pairwise(bounds)]
    last = len(parts) - 1
    return [frame(CONTINUATION if at else TEXT, part, fin=at == last) for at, part in enumerate(parts)]


def pong(payload: bytes = b"") -> Frame:
    return Frame(PONG, payload)


def framing() -> Iterator[Case]:
    for at, size in enumerate((17, 125, 126, 127, 128, 65_535, 65_536), 1):
        yield Case(f"1.1.{at}", f"text of {size} bytes", "5.2", one(frame(TEXT, padded(size))), (WHOLE,))
    pieces = cut(frame(TEXT, padded(65_536)), 997)
    yield Case("1.1.8", "text of 65536 bytes, 997 at a time", "5.2", (pieces,), (WHOLE,))
    yield Case("1.1.9", "an empty text, which is no JSON", "5.6", one(frame(TEXT)), (NOT_JSON,))
    for at, size in enumerate((0, 125, 126, 127, 128, 65_535, 65_536), 1):
        yield Case(f"1.2.{at}", f"binary of {size} bytes", "7.4.1", one(frame(BINARY, b"\xfe" * size)), close=1003)
    yield Case("1.2.8", "binary in two fragments: by the first", "7.4.1", one(frame(BINARY, b"x", fin=False)), (), 1003)
    for at, (form, size) in enumerate([(16, 0), (16, 17), (16, 125), (64, 17), (64, 126), (64, 65_535)], 1):
        said = f"a length of {size} written in {form} bits"
        yield Case(f"1.3.{at}", said, "5.2", one(frame(TEXT, b"x" * size, form=form)), close=1002)
    head = b"\x81\xff" + struct.pack("!Q", 1 << 63) + b"\0\0\0\0"
    yield Case("1.3.7", "a length with its top bit set", "5.2", one(head), close=1002)
    for at, (name, opcode) in enumerate([("text", TEXT), ("ping", PING), ("pong", PONG), ("close", CLOSE)], 1):
        yield Case(f"1.4.{at}", f"{name} that is not masked", "5.1", one(frame(opcode, mask=False)), close=1002)
    behind = frame(CONTINUATION, b"x", mask=False)
    yield Case("1.4.5", "a continuation that is not masked", "5.1", one(frame(TEXT, fin=False) + behind), close=1002)
    zero = b"\x81" + bytes([0x80 | len(HELLO)]) + b"\0\0\0\0" + HELLO
    yield Case("1.4.6", "a mask of zeros", "5.3", one(zero), (WHOLE,))


def pings() -> Iterator[Case]:
    binary = b"\x00\xff\xfe\xfd\xfc\xfb\x00\xff"
    for at, (said, payload) in enumerate(
        [
            ("without a payload", b""),
            ("with text", b"Hello, world!"),
            ("with bytes", binary),
            ("of 125", b"\xfe" * 125),
        ],
        1,
    ):
        yield Case(f"2.{at}", f"ping {said}", "5.5.2", three([frame(PING, payload)]), (pong(payload),))
    yield Case("2.5", "ping of 126 bytes", "5.5", one(frame(PING, b"\xfe" * 126)), close=1002)
    yield Case("2.6", "ping said to have 65536 bytes", "5.5", one(frame(PING, b"x" * 65_536)[:14]), close=1002)
    yield Case("2.7", "pong that nobody asked for", "5.5.3", three([frame(PONG)]))
    yield Case("2.8", "pong that nobody asked for, with a payload", "5.5.3", three([frame(PONG, b"unasked")]))
    mixed = three([frame(PONG, b"unasked"), frame(PING, b"ping")])
    yield Case("2.9", "pong that nobody asked for, then ping", "5.5.3", mixed, (pong(b"ping"),))
    payloads = [b"payload %d" % number for number in range(10)]
    ten = three([frame(PING, payload) for payload in payloads])
    yield Case("2.10", "ten pings: ten pongs in their order", "5.5.2", ten, tuple(map(pong, payloads)))
    yield Case("2.11", "pong of 126 bytes", "5.5", one(frame(PONG, b"\xfe" * 126)), close=1002)


def reserved_bits() -> Iterator[Case]:
    for rsv in range(1, 8):
        frames = [frame(TEXT, HELLO), frame(TEXT, HELLO, rsv=rsv), frame(PING)]
        said = f"text, then text with reserved bits {rsv:03b}, then ping"
        yield Case(f"3.{rsv}", said, "5.2", three(frames), (WHOLE,), 1002)
    kinds = [("binary", BINARY), ("ping", PING), ("pong", PONG), ("close", CLOSE)]
    for at, (name, opcode) in enumerate(kinds, 8):
        data = frame(opcode, struct.pack("!H", 1000), rsv=4)
        yield Case(f"3.{at}", f"{name} with a reserved bit", "5.2", one(data), close=1002)
    within = frame(TEXT, HELLO[:3], fin=False) + frame(CONTINUATION, HELLO[3:], rsv=2)
    yield Case("3.12", "a continuation with a reserved bit", "5.2", one(within), close=1002)


def opcodes() -> Iterator[Case]:
    for at, opcode in enumerate((3, 4, 5, 6, 7, 11, 12, 13, 14, 15), 1):
        yield Case(f"4.1.{at}", f"opcode {opcode}, empty", "5.2", one(frame(opcode)), close=1002)
        frames = [frame(TEXT, HELLO), frame(opcode, b"reserved"), frame(PING)]
        yield Case(f"4.2.{at}", f"text, then opcode {opcode}, then ping", "5.2", three(frames), (WHOLE,), 1002)
        within = [frame(TEXT, HELLO[:3], fin=False), frame(opcode), frame(CONTINUATION, HELLO[3:])]
        yield Case(f"4.3.{at}", f"opcode {opcode} between fragments", "5.2", three(within), (), 1002)


def fragmentation() -> Iterator[Case]:
    first, second = frame(TEXT, HELLO[:6], fin=False), frame(CONTINUATION, HELLO[6:])
    text, ping, echo = frame(TEXT, HELLO), frame(PING, b"ping"), (WHOLE,)
    orphan, open_orphan = frame(CONTINUATION, HELLO), frame(CONTINUATION, HELLO, fin=False)
    rows: list[tuple[str, list[bytes], tuple[Frame, ...], int | None]] = [
        ("ping in two fragments", [frame(PING, b"a", fin=False), frame(CONTINUATION, b"b")], (), 1002),
        ("pong in two fragments", [frame(PONG, b"a", fin=False), frame(CONTINUATION, b"b")], (), 1002),
        ("close in two fragments", [frame(CLOSE, b"\x03", fin=False), frame(CONTINUATION, b"\xe8")], (), 1002),
        ("text in two fragments", [first, second], echo, None),
        ("text in two fragments, ping between them", [first, ping, second], (pong(b"ping"), WHOLE), None),
        ("text in two fragments, pong between them", [first, frame(PONG, b"x"), second], echo, None),
        ("a fragment, then ping: pong at once", [first, ping], (pong(b"ping"),), None),
        ("a continuation of nothing, then text", [orphan, text], (), 1002),
        ("an empty continuation of nothing", [frame(CONTINUATION)], (), 1002),
        ("a continuation of nothing, not the last, then text", [open_orphan, text], (), 1002),
        ("text in two fragments, then a continuation of nothing", [first, second, open_orphan, text], echo, 1002),
        ("text, then a continuation of nothing", [text, orphan], echo, 1002),
        ("text within a message", [first, text], (), 1002),
        ("a first fragment within a message", [first, first, second], (), 1002),
        ("binary within a message", [first, frame(BINARY, b"x"), second], (), 1002),
        ("close between fragments", [first, close_frame(1000), second], (), 1000),
        ("text in two fragments, twice", [first, second, first, second], (WHOLE, WHOLE), None),
        ("empty fragments before, within and after", [
            frame(TEXT, fin=False), frame(CONTINUATION, fin=False), frame(CONTINUATION, HELLO[:5], fin=False),
            frame(CONTINUATION, fin=False), frame(CONTINUATION, HELLO[5:], fin=False), frame(CONTINUATION),
        ], echo, None),
        ("empty fragments alone: no JSON", [frame(TEXT, fin=False), frame(CONTINUATION)], (NOT_JSON,), None),
        ("each byte in a fragment of its own", fragments(HELLO, *range(1, len(HELLO))), echo, None),
        ("five fragments, two pings among them", [
            *fragments(HELLO, 3, 6, 9, 12)[:2], frame(PING, b"1"), *fragments(HELLO, 3, 6, 9, 12)[2:4],
            frame(PING, b"2"), fragments(HELLO, 3, 6, 9, 12)[4],
        ], (pong(b"1"), pong(b"2"), WHOLE), None),
    ]  # fmt: skip
    for at, (title, frames, answers, close) in enumerate(rows, 1):
        yield Case(f"5.{at}", title, "5.4", three(frames), answers, close)
    many = frame(TEXT, fin=False) + frame(CONTINUATION, fin=False) * 5000
    yield Case(f"5.{len(rows) + 1}", "five thousand empty fragments", "5.4", one(many + orphan), echo)


KOSME = "κόσμε"
PLANES = "".join(chr(plane << 16 | end) for plane in range(1, 17) for end in (0xFFFE, 0xFFFF))
VALID = [
    ("two bytes each", "Hello-µ@ßöäüàá-UTF-8!!"),
    ("three bytes each", KOSME + "\u1f79"),
    ("four bytes", "a\U0001f600b\U0002070e"),
    ("the first of two, three and four bytes", "\x80|\u0800|\U00010000"),
    ("the last of one, two, three and four bytes", "\x7f|\u07ff|\uffff|\U0010ffff"),
    ("on both sides of the surrogates", "\ud7ff\ue000\ufffd"),
    ("no characters, but valid: U+FFFE, U+FFFF", "\ufffe\uffff"),
    ("no characters, but valid: the last two of each plane", PLANES),
    ("a byte order mark", "\ufeff"),
    ("combined characters", "e\u0301 \u0915\u094d"),
]  # fmt: skip


def _bytes(text: str) -> list[bytes]:
    """Sequences of bytes, in hexadecimal, with spaces between them."""
    return [bytes.fromhex(part) for part in text.split()]


INVALID: list[tuple[str, list[bytes]]] = [
    ("five and six bytes", _bytes("f888808080 fc8480808080 fbbfbfbfbf fdbfbfbfbfbf")),
    ("above U+10FFFF", _bytes("f4908080 f7bfbfbf f5808080")),
    ("continuation bytes alone", _bytes("80 bf 80bf 80bf80 80bf80bf 80bf80bf80")),
    ("all continuation bytes", [bytes(range(0x80, 0xC0))]),
    ("first bytes alone", _bytes("c220df20 e020ef20 f020f420 f820fb20 fc20fd20")),
    ("without their last byte", _bytes("c3 e0a0 efbf f09080 f48fbf df e180")),
    ("without their last byte, in a row", _bytes("c3e0a0f09080dfefbff48fbf")),
    ("bytes that never occur", _bytes("fe ff fefeffff c0 c1")),
    ("a slash, overlong", _bytes("c0af e080af f08080af f8808080af fc80808080af")),
    ("the longest overlong", _bytes("c1bf e09fbf f08fbfbf f887bfbfbf fc83bfbfbfbf")),
    ("NUL, overlong", _bytes("c080 e08080 f0808080 f880808080 fc8080808080")),
    ("halves of surrogate pairs", _bytes("eda080 edadbf edae80 edafbf edb080 edbe80 edbfbf")),
    ("surrogate pairs", _bytes("eda080edb080 edadbfedbfbf edafbfedb080 edafbfedbfbf")),
    ("valid, then invalid", [KOSME.encode() + end + b"edited" for end in _bytes("eda080 f4908080")]),
]  # fmt: skip


def utf8() -> Iterator[Case]:
    for at, (title, value) in enumerate(VALID, 1):
        data = text_of(value)
        start = data.index(b'["') + 2
        spots = range(start, start + len(value.encode()) + 1)
        ways = [(frame(TEXT, data),), cut(frame(TEXT, data), 1)]
        ways += [(b"".join(fragments(data, spot)),) for spot in spots]
        ways += [(b"".join(fragments(data, *spots)),)]
        yield Case(f"6.1.{at}", f"valid: {title}", "5.6", tuple(ways), (echoed(value),))
    for at, (title, wrongs) in enumerate(INVALID, 1):
        ways = []
        for wrong in wrongs:
            data = around(wrong)
            start = data.index(wrong)
            ways += [(frame(TEXT, data),), cut(frame(TEXT, data), 1)]
            ways += [(b"".join(fragments(data, spot)),) for spot in range(start, start + len(wrong) + 1)]
            ways += [(b"".join(fragments(data, *range(start, start + len(wrong) + 1))),)]
        yield Case(f"6.2.{at}", f"invalid: {title}", "8.1", tuple(ways), (), 1007)
    for at, (title, wrongs) in enumerate(INVALID, 1):
        # A character that lacks its end may still be completed: what follows tells.
        ways = [
            (frame(TEXT, around(wrong)[: around(wrong).index(wrong)] + wrong + b'"', fin=False),) for wrong in wrongs
        ]
        yield Case(
            f"6.3.{at}", f"invalid: {title}; in a fragment that others would follow", "8.1", tuple(ways), (), 1007
        )
    ends = tuple((frame(TEXT, text_of("|")[:-5] + part),) for part in (b"\xc3", b"\xe2\x82", b"\xf0\x9f\x98"))
    yield Case("6.4.1", "the message ends within a character", "8.1", ends, (), 1007)
    joined = tuple(
        (b"".join(fragments(text_of("")[:-2] + part, 5)),) for part in (b"\xc3", b"\xe2\x82", b"\xf0\x9f\x98")
    )
    yield Case("6.4.2", "the last fragment ends within a character", "8.1", joined, (), 1007)


VALID_CODES = (1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014, 3000, 3999, 4000, 4999)
INVALID_CODES = (0, 1, 999, 1004, 1005, 1006, 1015, 1016, 1100, 1999, 2000, 2500, 2999, 5000, 32_768, 65_535)


def closing() -> Iterator[Case]:
    bye, text, ping = close_frame(1000, b"bye"), frame(TEXT, HELLO), frame(PING)
    yield Case("7.1.1", "text, then close", "7.1.2", three([text, bye]), (WHOLE,), 1000)
    yield Case("7.1.2", "close, twice", "5.5.1", three([bye, bye]), (), 1000)
    yield Case("7.1.3", "close, then ping", "5.5.1", three([bye, ping]), (), 1000)
    yield Case("7.1.4", "close, then text", "5.5.1", three([bye, text]), (), 1000)
    broken = frame(7, b"x", rsv=7, mask=False)
    yield Case("7.1.5", "close, then what is no frame", "5.5.1", three([bye, broken]), (), 1000)
    first = frame(TEXT, HELLO[:6], fin=False)
    yield Case("7.1.6", "a fragment, then close", "5.5.1", three([first, bye]), (), 1000)
    large = frame(TEXT, padded(256 * 1024))
    yield Case("7.1.7", "256 KiB of text, then close, then ping", "7.1.2", one(large + bye + ping), (WHOLE,), 1000)
    yield Case("7.2.1", "close without a code", "7.1.5", three([frame(CLOSE)]), (), 1000)
    yield Case("7.2.2", "close of one byte", "5.5.1", three([frame(CLOSE, b"\x03")]), (), 1002)
    yield Case("7.2.3", "close with a code alone", "5.5.1", three([close_frame(1000)]), (), 1000)
    yield Case("7.2.4", "close with a reason", "5.5.1", three([close_frame(1000, "tschüß".encode())]), (), 1000)
    yield Case("7.2.5", "close with the longest reason, 123 bytes", "5.5", one(close_frame(1000, b"*" * 123)), (), 1000)
    yield Case("7.2.6", "close with a reason of 124 bytes", "5.5", one(close_frame(1000, b"*" * 124)), (), 1002)
    wrong = tuple((close_frame(1000, b"bye " + raw),) for _, wrongs in INVALID for raw in wrongs)
    yield Case("7.2.7", "close with a reason that is not UTF-8", "5.5.1", wrong, (), 1007)
    for at, code in enumerate(VALID_CODES, 1):
        yield Case(f"7.3.{at}", f"close with {code}: echoed", "7.4.1", one(close_frame(code, b"bye")), (), code)
    for at, code in enumerate(INVALID_CODES, 1):
        yield Case(f"7.4.{at}", f"close with {code}: no code for a frame", "7.4", one(close_frame(code)), (), 1002)
    for at, code in enumerate((1000, 1012, 3000, 4999), 1):
        call = b'{"action":"API","id":1,"urlPath":"/isomor/api/hang_up","args":[%d,"so long"]}' % code
        yield Case(f"7.5.{at}", f"the server closes with {code}", "7.1.2", one(frame(TEXT, call)), (), code)


def limits() -> Iterator[Case]:
    for at, size in enumerate((64, 256, 512, 1024), 1):
        data = frame(TEXT, padded(size * 1024))
        said = f"text of {size} KiB" + (": just max_message_size" if size == 1024 else "")
        yield Case(f"9.1.{at}", said, "10.4", one(data), (WHOLE,))
    for at, size in enumerate((64, 256, 1024, 4096, 65_536), 1):
        data = padded(256 * 1024)
        parts = b"".join(fragments(data, *range(size, len(data), size)))
        yield Case(f"9.2.{at}", f"256 KiB of text in fragments of {size} bytes", "5.4", one(parts), (WHOLE,))
    whole = b"".join(fragments(padded(MOST), *range(65_536, MOST, 65_536)))
    yield Case("9.2.6", "just max_message_size in fragments of 64 KiB", "5.4", one(whole), (WHOLE,))
    for at, size in enumerate((64, 257, 1000, 2048, 16_384), 1):
        pieces = cut(frame(TEXT, padded(64 * size)), size)
        yield Case(f"9.3.{at}", f"text in 64 pieces of {size} bytes", "5.2", (pieces,), (WHOLE,))
    head = frame(TEXT, padded(MOST + 1))[:14]
    yield Case("9.4.1", "one byte over max_message_size: by its head", "10.4", one(head), (), 1009)
    yield Case("9.4.2", "the same, whole", "10.4", one(frame(TEXT, padded(MOST + 1))), (), 1009)
    for at, size in enumerate((1 << 32, 1 << 62), 3):
        data = b"\x81\xff" + struct.pack("!Q", size) + b"\0\0\0\0"
        yield Case(f"9.4.{at}", f"a frame said to have {size} bytes", "10.4", one(data), (), 1009)
    full = frame(TEXT, padded(MOST), fin=False)
    last = frame(CONTINUATION, b" ")
    yield Case("9.4.5", "one byte over in a second fragment", "10.4", one(full + last), (), 1009)
    endless = frame(CONTINUATION, b" " * 65_536, fin=False)
    yield Case("9.4.6", "fragments that never end", "10.4", one(frame(TEXT, fin=False) + endless * 20), (), 1009)
    yield Case("9.5.1", "a thousand messages at once", "5.4", one(frame(TEXT, HELLO) * 1000), (WHOLE,) * 1000)
    yield Case("9.5.2", "a thousand pings at once", "5.5.2", one(frame(PING, b"x") * 1000), (pong(b"x"),) * 1000)


GROUPS = {
    "1 Framing": framing,
    "2 Pings and pongs": pings,
    "3 Reserved bits": reserved_bits,
    "4 Opcodes": opcodes,
    "5 Fragmentation": fragmentation,
    "6 UTF-8": utf8,
    "7 Closing": closing,
    "9 Limits": limits,
}
CASES = {group: list(make()) for group, make in GROUPS.items()}
