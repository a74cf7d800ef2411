"""The wire (DESIGN: the messages of the table in docs/protocol.md): decode what clients send, encode what they get.

Everything here is a pure function of its input. JSON is decoded once and encoded once: a call's `args` stay raw until
the function's own decoder reads them, and what is pushed is framed once for all who receive it.
"""

from __future__ import annotations

import collections.abc
import dataclasses
import json
import logging
import math
import re
from collections import UserString
from collections.abc import Collection
from decimal import Decimal
from enum import Enum
from typing import Annotated, Any, Final

import msgspec

from .errors import ApiError
from .unsendable import explain

logger = logging.getLogger("isomor")

CallId = int | str | None

NO_ARGS: Final = msgspec.Raw(b"[]")
PONG: Final = b'{"action":"PONG"}'

# Deeper JSON is refused: decoders and the functions behind them recurse. The default of `max_json_depth`.
MAX_DEPTH: Final = 128


class ClientMessage(msgspec.Struct, gc=False):
    """A message from a client over WebSocket. Unknown keys are ignored, as in isomor 3."""

    action: str
    id: int | Annotated[str, msgspec.Meta(max_length=64)] | None = None
    url_path: str = msgspec.field(name="urlPath", default="")
    args: msgspec.Raw = NO_ARGS
    cookie: str | None = None
    hash: str | None = None  # of the signature that the client was made for


class HttpCall(msgspec.Struct, gc=False):
    """The body of `POST /isomor/<module>/<name>`."""

    args: msgspec.Raw = NO_ARGS
    hash: str | None = None


_client_message = msgspec.json.Decoder(ClientMessage)
_http_call = msgspec.json.Decoder(HttpCall)
# A string that never ends is one token too: else every quote in it would begin a search of its own.
_token = re.compile(r'"(?:[^"\\]|\\.)*+(?:"|\\?\Z)|[\[{]|[\]}]', re.DOTALL)


def check_depth(text: str, most: int = MAX_DEPTH) -> None:
    """Refuse JSON that is nested more than `most` levels deep.

    Raises:
        ApiError: BAD_MESSAGE.
    """
    # Cheap, and true of nearly every message.
    if len(text) <= most or text.count("[") + text.count("{") <= most:
        return
    depth = 0
    for match in _token.finditer(text):
        char = match[0]
        if char in "[{":
            depth += 1
            if depth > most:
                said = f"The JSON is nested more than {most} levels deep."
                raise ApiError.over("max_json_depth", "BAD_MESSAGE", said)
        elif char in "]}":
            depth -= 1


def decode_client_message(text: str, depth: int = MAX_DEPTH) -> ClientMessage:
    """A WebSocket's text message, nested at most `depth` levels deep.

    Raises:
        ApiError: BAD_MESSAGE, if it is not JSON or not of the shape of a message.
    """
    try:
        check_depth(text, depth)
        return _client_message.decode(text)
    except (msgspec.MsgspecError, RecursionError) as error:
        raise _bad_message(error) from None


def decode_http_call(body: bytes, depth: int = MAX_DEPTH) -> HttpCall:
    """An HTTP call's body, nested at most `depth` levels deep; an empty one has no arguments.

    Raises:
        ApiError: BAD_MESSAGE, as above.
    """
    if not body:
        return HttpCall()
    try:
        check_depth(body.decode(), depth)
        return _http_call.decode(body)
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError) as error:
        raise _bad_message(error) from None


def decode_query_args(text: str, depth: int = MAX_DEPTH) -> msgspec.Raw:
    """The raw arguments of `GET …?args=[…]`, nested at most `depth` levels deep.

    Raises:
        ApiError: BAD_MESSAGE, as above.
    """
    try:
        check_depth(text, depth)
        msgspec.json.decode(text)
    except (msgspec.MsgspecError, RecursionError) as error:
        raise _bad_message(error) from None
    return msgspec.Raw(text.encode())


def read_id(text: str) -> CallId:
    """The id of a message that is otherwise wrong, so that its error reaches the right call; None if there is none."""
    try:
        value = json.loads(text)  # reads what msgspec refuses, such as one half of a surrogate pair
    except (ValueError, RecursionError):
        return None
    found = value.get("id") if isinstance(value, dict) else None
    if isinstance(found, str) and len(found) <= 64 and _is_text(found):
        return found
    return found if isinstance(found, int) and not isinstance(found, bool) else None


def _is_text(value: str) -> bool:
    """Whether it can be sent back: half of a surrogate pair cannot."""
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True


def _bad_message(error: Exception) -> ApiError:
    if isinstance(error, msgspec.ValidationError):
        return ApiError.of("BAD_MESSAGE", f"The message does not have the right shape: {_plain(str(error))}.")
    if isinstance(error, RecursionError):
        return ApiError.over("max_json_depth", "BAD_MESSAGE", "The JSON is nested too deeply.")
    return ApiError.of("BAD_MESSAGE", "The message is not JSON.")


def _plain(text: str) -> str:
    return text.replace("`", "'")


# ---- What goes out --------------------------------------------------------------------------------------------------


def _enc_hook(value: Any) -> Any:
    """What msgspec does not encode by itself."""
    if hasattr(type(value), "__pydantic_serializer__"):
        return value.model_dump(mode="json", by_alias=True)
    if isinstance(value, UserString):
        return str(value)
    if not isinstance(value, list | dict):  # which come here as keys alone, and would come again and again
        if isinstance(value, collections.abc.Mapping):
            return dict(value)
        if isinstance(value, collections.abc.Sequence | collections.abc.Set):
            return list(value)
    raise TypeError(f"{type(value).__module__}.{type(value).__qualname__} cannot be sent as JSON")


_encoder = msgspec.json.Encoder(enc_hook=_enc_hook)


def encode(value: Any, root: str = "payload") -> bytes:
    """JSON for what a function returns or pushes.

    Args:
        value: anything.
        root: what the value is called where something is wrong in it.

    Raises:
        Unsendable: a TypeError and a ValueError, if something in it has no form in JSON, such as NaN; the message names
            its type, and where in the value it stands.
    """
    try:
        data = _encoder.encode(value)
        if type(value) not in _FINITE and _may_be_infinite(data) and not is_finite(value):
            raise ValueError("NaN or an infinity")
        return data
    except Exception as error:  # whatever user code's own types raise, too
        raise explain(value, error, _check, root) from error


def _check(value: Any) -> None:
    """Raise if `value` cannot be encoded."""
    if _may_be_infinite(_encoder.encode(value)) and not is_finite(value):
        raise ValueError("NaN or an infinity")


_FINITE: Final = frozenset((int, str, bool, type(None)))


def _may_be_infinite(data: bytes) -> bool:
    """Whether there is in `data` what msgspec makes of NaN and infinities, as floats, Decimals and keys."""
    # By find, which takes a sixth of `in`; and a single letter is found twenty times as fast as a word.
    find = data.find
    if find(b"null") >= 0 or find(b'nan"') >= 0 or find(b'inf"') >= 0:
        return True
    return (find(b"N") >= 0 and find(b"NaN") >= 0) or (find(b"I") >= 0 and find(b"Infinity") >= 0)


def is_finite(value: Any) -> bool:
    """Whether no float and no Decimal within `value`, keys included, is NaN or infinite."""
    todo = [value]
    while todo:
        item = todo.pop()
        if type(item) not in _CONTAINERS:
            if isinstance(item, float):
                if not math.isfinite(item):
                    return False
                continue
            if isinstance(item, Decimal):
                if not item.is_finite():
                    return False
                continue
            if isinstance(item, str | bytes | int | None):
                continue
        parts = _parts(item)
        # Nothing is done in Python for each of millions of numbers: that would hold up the event loop for seconds.
        kinds = set(map(type, parts))
        if float in kinds and not all(map(math.isfinite, parts if len(kinds) == 1 else _floats(parts))):
            return False
        if not kinds <= _PLAIN:
            todo.extend(parts if kinds.isdisjoint(_PLAIN) else [part for part in parts if type(part) not in _PLAIN])
    return True


_CONTAINERS: Final = frozenset((dict, list, tuple))
_PLAIN: Final = _FINITE | {bytes, float}


def _floats(parts: Collection[Any]) -> list[float]:
    return [part for part in parts if type(part) is float]


def _parts(item: Any) -> Collection[Any]:
    kind: Any = type(item)
    if kind is list or kind is tuple:
        found: Collection[Any] = item
        return found
    if kind is dict or isinstance(item, collections.abc.Mapping):
        return [*item.keys(), *item.values()]
    if isinstance(item, collections.abc.Sequence | collections.abc.Set):
        return list(item)
    if isinstance(item, msgspec.Struct):
        return [getattr(item, name) for name in item.__struct_fields__]
    if dataclasses.is_dataclass(item):
        return [getattr(item, field.name) for field in dataclasses.fields(item)]
    if isinstance(item, Enum):
        return [item.value]
    if hasattr(type(item), "__attrs_attrs__"):
        return [getattr(item, field.name) for field in type(item).__attrs_attrs__]
    if hasattr(type(item), "__pydantic_serializer__"):
        return [_enc_hook(item)]
    return ()


def _id(call_id: CallId) -> bytes:
    return b"%d" % call_id if type(call_id) is int else _encoder.encode(call_id)


def result_message(call_id: CallId, payload: bytes) -> bytes:
    """API_RES; `payload` is JSON."""
    return b'{"action":"API_RES","id":%b,"payload":%b}' % (_id(call_id), payload)


def error_message(call_id: CallId, error: ApiError) -> bytes:
    """API_ERR."""
    message = {"action": "API_ERR", "id": call_id, "payload": error.message, "code": error.code, "status": error.status}
    return encode_safely(message | _extras(error), message)


def push_message(payload: bytes, topic: str | None = None, call_id: CallId = None) -> bytes:
    """PUSH; `payload` is JSON; `topic` only for a push to a topic, `call_id` only for one that came of a call."""
    if topic is not None:
        return b'{"action":"PUSH","payload":%b,"topic":%b}' % (payload, _encoder.encode(topic))
    if call_id is not None:
        return b'{"action":"PUSH","payload":%b,"id":%b}' % (payload, _id(call_id))
    return b'{"action":"PUSH","payload":%b}' % payload


def conf_message(with_cookie: bool) -> bytes:
    """CONF: whether the client is to send its cookies with every call."""
    return _encoder.encode({"action": "CONF", "payload": {"withCookie": with_cookie}})


def gap_message(topic: str | None) -> bytes:
    """GAP: pushes of `topic` (None: pushes to everyone) were lost."""
    return _encoder.encode({"action": "GAP", "topic": topic} if topic is not None else {"action": "GAP"})


def result_body(payload: bytes) -> bytes:
    """The body of a 200 over HTTP; `payload` is JSON."""
    return b'{"result":%b}' % payload


def error_body(error: ApiError) -> bytes:
    """The body of an error over HTTP."""
    body = {"error": error.message, "code": error.code}
    return encode_safely(body | _extras(error), body)


def encode_safely(body: dict[str, Any], fallback: dict[str, Any]) -> bytes:
    """`body` as JSON, or `fallback` where the details that user code gave cannot be encoded."""
    try:
        return encode(body, "error")
    except Exception as error:
        logger.warning("the details of an error were left out: %s", error)
        return _encoder.encode(fallback)


def _extras(error: ApiError) -> dict[str, Any]:
    extras: dict[str, Any] = {}
    if error.details is not None:
        extras["details"] = error.details
    if error.error_id is not None:
        extras["errorId"] = error.error_id
    return extras


_SHORT_HEADS: Final = tuple(bytes((0x81, size)) for size in range(126))


def text_frame(message: bytes) -> bytes:
    """One unmasked, final text frame around `message` (RFC 6455 section 5.2): ready to be written to any socket."""
    size = len(message)
    if size < 126:
        return _SHORT_HEADS[size] + message
    if size < 65536:
        return b"\x81\x7e%b%b" % (size.to_bytes(2), message)
    return b"\x81\x7f%b%b" % (size.to_bytes(8), message)
