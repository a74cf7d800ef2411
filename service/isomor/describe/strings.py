"""What JSON has no type for and carries as a string: a JSON schema of each, as narrow as what is decoded.

`format` stands where it is just what is meant. A date-time by RFC 3339 has a zone, so a `datetime` that may be naive is
one of two; a duration there has no fractions of a second, so `timedelta` has a pattern alone.
"""

from __future__ import annotations

import base64
import re
from typing import Any, Final

import msgspec.inspect as mi

from ..client.shapes import NOTES, Way
from .enums import accepts_others

Schema = dict[str, Any]

_DAY: Final = (
    "(?:(?:0[13578]|1[02])-(?:0[1-9]|[12][0-9]|3[01])|(?:0[469]|11)-(?:0[1-9]|[12][0-9]|30)|02-(?:0[1-9]|[12][0-9]))"
)
_DATE: Final = f"(?!0000)[0-9]{{4}}-{_DAY}"
_TIME: Final = r"(?:[01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](?:\.[0-9]+)?"
_OF_DAY: Final = r"T(?=[0-9])(?:[0-9]{1,9}H)?(?:[0-9]{1,9}M)?(?:[0-9]{1,12}(?:\.[0-9]+)?S)?"
_DURATION: Final = rf"[+-]?P(?:[0-9]{{1,9}}D(?:{_OF_DAY})?|{_OF_DAY})"
_DECIMAL: Final = r"[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]{1,6})?"
_BASE64: Final = "(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?"
_INTEGER: Final = "-?(?:0|[1-9][0-9]*)"
_NUMBER: Final = r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]{1,2})?"


def whole(pattern: str) -> str:
    """A pattern that the whole text must match, in Python, where `$` is also before a last line feed, and elsewhere."""
    return f"^{pattern}$(?!\\n)"


def string_schema(node: mi.Type, way: Way) -> Schema | None:
    """The schema of a type that is a string in JSON, or None."""
    match node:
        case mi.StrType():
            return _text(node)
        case mi.BytesType() | mi.ByteArrayType() | mi.MemoryViewType():
            return _bytes(node)
        case mi.DateTimeType():
            return _moment("date-time", f"{_DATE}T{_TIME}", node.tz)
        case mi.TimeType():
            return _moment("time", _TIME, node.tz)
        case mi.DateType():
            return _noted("date", format="date", examples=["2026-01-02"])
        case mi.TimeDeltaType():
            return _noted("duration", pattern=whole(_DURATION), examples=["PT90S"])
        case mi.UUIDType():
            return _noted("uuid", format="uuid", examples=["3f2b8c1e-5d4a-4e6f-9a7b-0c1d2e3f4a5b"])
        case mi.DecimalType():
            text = _noted("decimal", pattern=whole(_DECIMAL), examples=["1.20"])
            return (
                text if way == "out" else {"description": text.pop("description"), "anyOf": [text, {"type": "number"}]}
            )
    return None


def key_schema(node: mi.Type, way: Way) -> Schema | bool:
    """What the keys of an object are that are read as `node`: True for any, False where there is no such key."""
    while isinstance(node, mi.Metadata):
        node = node.type
    match node:
        case mi.StrType():
            return {name: value for name, value in _text(node).items() if name != "type"} or True
        case mi.IntType():
            return {"pattern": whole(_INTEGER)}
        case mi.FloatType():
            return {"pattern": whole(_NUMBER)}
        case mi.DecimalType():
            return {"pattern": whole(_DECIMAL)}
        case mi.EnumType():
            return {"enum": [str(member.value) for member in node.cls]} if not accepts_others(node.cls) else True
        case mi.LiteralType():
            return {"enum": [str(value) for value in node.values if value is not None]}
        case mi.BoolType() | mi.NoneType():
            return False
        case mi.UnionType():
            parts = [key for part in node.types if (key := key_schema(part, way)) is not False]
            return True if True in parts else {"anyOf": parts} if parts else False
    told = string_schema(node, way) or {}
    return {word: told[word] for word in ("pattern", "format", "anyOf", "allOf") if word in told} or True


def _noted(note: str, **more: Any) -> Schema:
    return {"type": "string", "description": NOTES[note], **more}


def _moment(form: str, naive: str, tz: bool | None) -> Schema:
    """A date-time or a time: with a zone, without, or (None) either."""
    example = "2026-01-02T03:04:05Z" if form == "date-time" else "03:04:05Z"
    note = "datetime" if form == "date-time" else "time"
    with_zone, without = {"format": form}, {"pattern": whole(naive)}
    if tz is None:
        schema = _noted(note, anyOf=[with_zone, without], examples=[example])
        schema["description"] += " It may be without a zone."
        return schema
    if tz:
        return _noted(note, **with_zone, examples=[example])
    return _noted("naive" if form == "date-time" else note, **without, examples=[example.removesuffix("Z")])


def _text(node: mi.StrType) -> Schema:
    schema: Schema = {"type": "string"}
    if node.min_length is not None:
        schema["minLength"] = node.min_length
    if node.max_length is not None:
        schema["maxLength"] = node.max_length
    if node.pattern is not None:
        pattern = portable(node.pattern)
        if pattern is None:
            schema["description"] = f"Matches {node.pattern} as Python reads it."
        else:
            schema["pattern"] = pattern
    return schema


def _bytes(node: Any) -> Schema:
    schema = _noted("bytes", contentEncoding="base64", pattern=whole(_BASE64))
    least, most = node.min_length or 0, node.max_length
    size = max(6, least) if most is None else min(max(6, least), most)
    schema["examples"] = [base64.b64encode((b"isomor" * (size // 6 + 1))[:size]).decode()]
    if least:
        schema["minLength"] = 4 * -(-least // 3)
    if most is not None:
        schema["maxLength"] = 4 * -(-most // 3)
    # That counts in steps of three bytes; what is left is told by how the last of them is padded.
    exact = []
    if least % 3 != 1 and least:
        exact.append(whole(f"(?:.{{{schema['minLength'] + 1},}}|.*[^=]{'=?' if least % 3 else ''})"))
    if most is not None and most % 3:
        exact.append(whole(f"(?:.{{0,{schema['maxLength'] - 4}}}|.*{'==' if most % 3 == 1 else '='})"))
    if exact:
        schema["allOf"] = [{"pattern": pattern} for pattern in exact]
    return schema


_ONLY_PYTHON: Final = re.compile(r"\(\?P|\(\?#|\(\?[aiLmsux-]|\(\?\(|\(\?>|[*+?}]\+")
_ESCAPES_AND_CLASSES: Final = re.compile(r"(\\.|\[\^?\]?(?:\\.|[^\]\\])*\])", re.DOTALL)
# Python counts these as blanks too.
_BLANKS: Final = r"\s\x1c-\x1f\x85"
_ALONE: Final = {r"\A": "^", r"\Z": r"$(?!\n)", r"\s": f"[{_BLANKS}]", r"\S": f"[^{_BLANKS}]"}


def portable(pattern: str) -> str | None:
    r"""A pattern of Python's in the syntax of JSON Schema (ECMA-262); None where it has no such form.

    >>> portable(r"\A(?P<year>[0-9]+)\Z")
    '^(?<year>[0-9]+)$(?!\\n)'
    """
    said = ""
    for index, piece in enumerate(_ESCAPES_AND_CLASSES.split(pattern)):
        if index % 2 and piece.startswith("["):
            said += re.sub(r"\\(.)", lambda found: _BLANKS if found[1] == "s" else found[0], piece, flags=re.DOTALL)
        elif index % 2:
            said += _ALONE.get(piece, piece)
        else:
            piece = re.sub(r"\(\?P=(\w+)\)", r"\\k<\1>", piece.replace("(?P<", "(?<"))
            if _ONLY_PYTHON.search(piece):
                return None
            said += piece
    return said
