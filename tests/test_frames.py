"""A message that comes by itself is read as picows would read it, or left to it."""

from __future__ import annotations

from harness import TEXT, frame
from hypothesis import given
from hypothesis import strategies as st

from isomor.server.frames import read_message


@given(st.text(max_size=300), st.integers(0, 1))
def test_a_whole_message_is_read(text: str, more: int) -> None:
    payload = text.encode()
    data = frame(TEXT, payload)
    assert read_message(data, len(payload) + more) == text


@given(st.binary(max_size=200), st.integers(1, 300))
def test_what_is_not_whole_or_is_more_is_left(payload: bytes, count: int) -> None:
    data = frame(TEXT, payload)
    assert read_message(data[:-count] if count <= len(data) else b"", 10_000) is None
    assert read_message(data + b"x" * count, 10_000) is None


def test_sizes() -> None:
    for size in (*range(300), 511, 512):
        assert read_message(frame(TEXT, b"x" * size), 10_000) == "x" * size
    for size in (513, 70_000):
        assert read_message(frame(TEXT, b"x" * size), 100_000) is None


def test_what_is_anything_else_is_left() -> None:
    whole = frame(TEXT, b"x")
    assert read_message(whole, 1) == "x"
    assert read_message(whole, 0) is None
    assert read_message(frame(TEXT, b"\xc3"), 10) is None
    assert read_message(frame(TEXT, b"x", mask=False), 10) is None
    assert read_message(frame(TEXT, b"x", fin=False), 10) is None
    for first in range(256):
        if first != 0x81:
            assert read_message(bytes([first]) + whole[1:], 10) is None
    for size in (0, 5, 125):
        for form in (16, 64):
            assert read_message(frame(TEXT, b"x" * size, form=form), 1000) is None
    # 127 says that eight bytes of length follow, not that 127 of payload do.
    assert read_message(b"\x81\xff" + bytes(4) + b"x" * 127, 1000) is None
