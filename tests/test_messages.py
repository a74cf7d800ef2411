"""The wire, without a server."""

from __future__ import annotations

import math
import sys
from collections import deque
from decimal import Decimal
from typing import Any

import pytest

from isomor.errors import ApiError
from isomor.messages import (
    MAX_DEPTH,
    check_depth,
    decode_client_message,
    encode,
    error_body,
    error_message,
    is_finite,
    read_id,
)


def test_depth_check_reads_a_text_once():
    # 1 MiB of it: were every quote to begin a search of its own, this would take hours.
    text = "[]" * (MAX_DEPTH + 1) + '"' + '\\"' * 500_000
    check_depth(text)
    with pytest.raises(ApiError, match="right shape"):
        decode_client_message(text)


@pytest.mark.parametrize("bad", [math.nan, -math.inf, Decimal("NaN"), Decimal("-Infinity")])
@pytest.mark.parametrize(
    "put",
    [
        lambda bad: bad,
        lambda bad: [1.5, bad],
        lambda bad: (None, 1.5, bad, None),
        lambda bad: {"a": 1, "b": None, "c": bad},
        lambda bad: {bad: None},
        lambda bad: [[1.5], [None, {"a": (bad,)}], "x"],
        lambda bad: [None, {"a": {bad}}],
        lambda bad: deque([None, bad]),
        lambda bad: [1, True, "x", b"x", 1.5, None, [bad]],
    ],
)
def test_what_is_not_finite_is_found_wherever_it_stands(put, bad):
    assert not is_finite(put(bad))
    with pytest.raises(ValueError, match="has no form in JSON"):
        encode(put(bad))
    assert is_finite(put(1.5))
    encode(put("x"))


def test_numbers_with_a_null_among_them_are_not_looked_at_one_by_one():
    lines = 0

    def count(frame: Any, event: str, _: Any) -> Any:
        nonlocal lines
        lines += event == "line" and frame.f_code is is_finite.__code__
        return count

    values = [*[1.5] * 10_000, None]
    before = sys.gettrace()
    sys.settrace(count)
    try:
        encode({"values": values, "more": tuple(values)})
    finally:
        sys.settrace(before)
    assert 0 < lines < 100


@pytest.mark.parametrize("message", ["\ud800", ValueError("x"), 1, None, b"x"])
def test_error_whose_message_has_no_form_in_json_is_still_an_error(message):
    error = ApiError(message)
    assert b'"code":"ERROR"' in error_body(error)
    assert b'"id":1' in error_message(1, error)


IDS = ['"\\ud800"', '"a\\udfff"', f'"{"x" * 65}"', "true", "1.5", "[]", "{", "1" * 5000]


@pytest.mark.parametrize("found", IDS)
def test_an_id_that_cannot_be_sent_back_is_none(found):
    assert read_id(f'{{"id":{found},"action":1}}') is None
