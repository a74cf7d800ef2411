"""Shapes to JavaScript that makes values of JSON, and JSON of values.

A codec is an expression for a function of one value. What is not of its kind, null above all, it leaves as it is: the
server says best what is wrong with an argument.
"""

from __future__ import annotations

import re
from typing import Final

from .names import Names
from .plans import KINDS, cases
from .shapes import Declaration, Dict, List, Object, Ref, Set, Shape, Tuple, Union, Value, Way, is_revived
from .types import key_of

_VALUES: Final = {
    "datetime": ("toDate", "fromDate"),
    "naive": ("toDate", "fromNaive"),
    "bytes": ("toBytes", "fromBytes"),
    "base64url": ("toBytes", "fromBytesUrl"),
    "utf8": ("toUtf8", "fromUtf8"),
}

# What codecs are made of; only what is used is written.
HELPERS: Final = {
    "kindOf": """
const kindOf = (v) =>
    typeof v === 'string' || v instanceof Date || ArrayBuffer.isView(v)
        ? 'string'
        : Array.isArray(v) || v instanceof Set
          ? 'array'
          : v && typeof v === 'object' && 'object';""",
    "toDate": """
// Without a zone it is UTC, so that it is the same everywhere.
export const toDate = (v) =>
    typeof v === 'string' ? new Date(/(Z|[+-]\\d\\d:?\\d\\d)$/.test(v) ? v : v + 'Z') : v;""",
    "fromDate": "export const fromDate = (v) => (v instanceof Date ? v.toISOString() : v);",
    "fromNaive": "export const fromNaive = (v) => (v instanceof Date ? v.toISOString().slice(0, -1) : v);",
    "toBytes": """
export const toBytes = (v) =>
    typeof v === 'string'
        ? Uint8Array.from(atob(v.replace(/-/g, '+').replace(/_/g, '/')), (c) => c.charCodeAt(0))
        : v;""",
    "fromBytes": """
export const fromBytes = (v) => {
    if (!ArrayBuffer.isView(v)) {
        return v;
    }
    const bytes = new Uint8Array(v.buffer, v.byteOffset, v.byteLength);
    let text = '';
    for (let at = 0; at < bytes.length; at += 8192) {
        text += String.fromCharCode(...bytes.subarray(at, at + 8192));
    }
    return btoa(text);
};""",
    "fromBytesUrl": """
export const fromBytesUrl = (v) =>
    ArrayBuffer.isView(v) ? fromBytes(v).replace(/\\+/g, '-').replace(/\\//g, '_') : v;""",
    "toUtf8": "export const toUtf8 = (v) => (typeof v === 'string' ? new TextEncoder().encode(v) : v);",
    "fromUtf8": """
export const fromUtf8 = (v) => (ArrayBuffer.isView(v) ? new TextDecoder('utf-8', { fatal: true }).decode(v) : v);""",
    "listOf": "export const listOf = (item) => (v) => (Array.isArray(v) ? v.map((one) => item(one)) : v);",
    "asIs": "export const asIs = (v) => v;",
    "toSet": """
export const toSet = (item) => (v) => (Array.isArray(v) ? new Set(v.map((one) => item(one))) : v);""",
    "fromSet": """
export const fromSet = (item) => (v) =>
    v instanceof Set || Array.isArray(v) ? Array.from(v, (one) => item(one)) : v;""",
    "tupleOf": """
export const tupleOf = (items, rest = asIs) => (v) =>
    Array.isArray(v) ? v.map((one, at) => (at < items.length ? items[at] : rest)(one)) : v;""",
    "objectOf": """
// What is not there stays away: null is never made up.
export const objectOf = (fields, rest) => (v) => {
    if (kindOf(v) !== 'object') {
        return v;
    }
    const made = { ...v };
    for (const key of Object.keys(made)) {
        const codec = Object.hasOwn(fields, key) ? fields[key] : rest;
        if (codec) {
            made[key] = codec(made[key]);
        }
    }
    return made;
};""",
    "byKind": """
export const byKind = (codecs) => (v) => (codecs[kindOf(v)] ?? asIs)(v);""",
    "byCase": """
export const byCase = (kind, ...all) => (v) =>
    (kindOf(v) === kind && all.find(([test]) => test(v))?.[1] || asIs)(v);""",
    "piped": "export const piped = (one, other) => (v) => other(one(v));",
    "lazily": """
// Types may contain themselves, and stand in any order.
const lazily = (make) => {
    let codec;
    return (v) => (codec ??= make())(v);
};""",
}


def codec(shape: Shape, way: Way, names: Names, prefix: str = "") -> str | None:
    """The expression for a shape's codec, None where it needs none.

    Args:
        shape: what to make.
        way: "in" makes JSON of values, "out" values of JSON.
        names: of the declarations.
        prefix: what stands in front of the names of helpers.
    """
    if not is_revived(shape):
        return None

    def of(inner: Shape | None) -> str:
        return (inner and codec(inner, way, names, prefix)) or f"{prefix}asIs"

    match shape:
        case Value(name):
            return prefix + _VALUES[name][way == "in"]
        case List(item):
            return f"{prefix}listOf({of(item)})"
        case Set(item):
            return f"{prefix}{'fromSet' if way == 'in' else 'toSet'}({of(item)})"
        case Dict(_, value):
            return f"{prefix}objectOf({{}}, {of(value)})"
        case Tuple(items, rest):
            more = f", {of(rest)}" if rest is not None and is_revived(rest) else ""
            return f"{prefix}tupleOf([{', '.join(of(item.shape) for item in items)}]{more})"
        case Object(fields, extra):
            inner = ", ".join(f"{key_of(f.name)}: {of(f.shape)}" for f in fields if is_revived(f.shape))
            more = f", {of(extra)}" if extra is not None and is_revived(extra) else ""
            if more:
                inner = ", ".join(f"{key_of(f.name)}: {of(f.shape)}" for f in fields)
            return f"{prefix}objectOf({{ {inner} }}{more})".replace("{  }", "{}")
        case Ref(to):
            return prefix + name_of(to, way, names)
        case Union():
            return _union(shape, way, names, prefix)
    return None


def _union(union: Union, way: Way, names: Names, prefix: str) -> str:
    by_kind = {}
    for kind in KINDS:
        known = cases(union, kind, way) or []
        made = [(case.test, codec(case.shape, way, names, prefix)) for case in known]
        if not made:
            continue
        if made[0][0]:
            each = ", ".join(f"[(v) => {test}, {one}]" for test, one in made)
            by_kind[kind] = f"{prefix}byCase('{kind}', {each})"
        elif len(made) == 2:  # a Date and a Uint8Array
            by_kind[kind] = f"{prefix}piped({made[0][1]}, {made[1][1]})"
        else:
            by_kind[kind] = str(made[0][1])
    if len(by_kind) == 1:
        return next(iter(by_kind.values()))  # it leaves other kinds alone
    return f"{prefix}byKind({{ {', '.join(f'{kind}: {one}' for kind, one in by_kind.items())} }})"


def name_of(declared: Declaration, way: Way, names: Names) -> str:
    """The name of a declaration's codec in `_codecs.js`."""
    return f"{'encode' if way == 'in' else 'decode'}{names.of(declared)}"


def module(declared: list[tuple[Declaration, Way]], used: str, names: Names) -> str:
    """`_codecs.js`: the codecs of these declarations, and the helpers that they and `used`, other code, need."""
    codecs = []
    for one, way in declared:
        made = codec(one.body, way, names)
        codecs.append(f"export const {name_of(one, way, names)} = /* @__PURE__ */ lazily(() => {made});\n")
    needed = set(_words(used + "".join(codecs)))
    for name in reversed(HELPERS):  # each stands behind those that it uses
        if name in needed:
            needed |= set(_words(HELPERS[name]))
    helpers = [HELPERS[name].strip() + "\n" for name in HELPERS if name in needed]
    return "\n".join(helpers + codecs)


def _words(source: str) -> list[str]:
    return re.findall(r"\w+", source)
