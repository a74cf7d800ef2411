"""Bytes of messages and arguments: a call, or an error of the caller's."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

from test_wire import FINE, NAMES, Here

from isomor import messages
from isomor.errors import ApiError


def decode_json(data: bytes) -> object:
    """JSON by the book: UTF-8, and no NaN."""

    def refuse(name: str) -> None:
        raise AssertionError(f"{name} is no JSON")

    return json.loads(data.decode(), parse_constant=refuse)


class Messages:
    """Whatever a message holds, it is a call or refused by BAD_MESSAGE; arguments are taken, or the caller's fault.

    The first byte says by which way the rest comes in: a message, a body, a query, or the arguments of a function.
    """

    def __init__(self) -> None:
        self.here = Here(Path(tempfile.mkdtemp(prefix="fuzz-")) / "api")

    def __call__(self, data: bytes) -> None:
        way, rest = (data[0], data[1:]) if data else (0, b"")
        text = rest.decode(errors="ignore")
        if way >= 3:
            payload, error = self.here.call(NAMES[way % len(NAMES)], text.encode())
            assert (payload is None) != (error is None)
            if payload is not None:
                decode_json(payload)
            else:
                assert error.code in FINE, f"{error.code}: {error.message}"
                decode_json(messages.error_message(1, error))
            return
        try:
            if way == 0:
                messages.decode_client_message(text)
            elif way == 1:
                messages.decode_http_call(rest)
            else:
                messages.decode_query_args(text)
        except ApiError as error:
            assert error.code == "BAD_MESSAGE", error.code  # noqa: PT017
            answer = decode_json(messages.error_message(messages.read_id(text), error))
            assert answer["action"] == "API_ERR"


make = Messages
