"""The wire, without a server."""

from __future__ import annotations

import pytest

from isomor.errors import ApiError
from isomor.messages import MAX_DEPTH, check_depth, decode_client_message, error_body, error_message, read_id


def test_depth_check_reads_a_text_once():
    # 1 MiB of it: were every quote to begin a search of its own, this would take hours.
    text = "[]" * (MAX_DEPTH + 1) + '"' + '\\"' * 500_000
    check_depth(text)
    with pytest.raises(ApiError, match="right shape"):
        decode_client_message(text)


@pytest.mark.parametrize("message", ["\ud800", ValueError("x"), 1, None, b"x"])
def test_error_whose_message_has_no_form_in_json_is_still_an_error(message):
    error = ApiError(message)
    assert b'"code":"ERROR"' in error_body(error)
    assert b'"id":1' in error_message(1, error)


IDS = ['"\\ud800"', '"a\\udfff"', f'"{"x" * 65}"', "true", "1.5", "[]", "{", "1" * 5000]


@pytest.mark.parametrize("found", IDS)
def test_an_id_that_cannot_be_sent_back_is_none(found):
    assert read_id(f'{{"id":{found},"action":1}}') is None
