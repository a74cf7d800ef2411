"""A function of the api folder: how its arguments are decoded, and how it is run."""

from __future__ import annotations

import asyncio
import contextvars
import functools
import hashlib
import inspect
import json
from collections.abc import Callable
from concurrent.futures import Executor
from dataclasses import dataclass
from types import FrameType
from typing import Any, Final, TypeVar

import msgspec
import msgspec.inspect as mi

from . import defaults, faults, hints
from .context import Context
from .errors import ApiError, LoadError
from .messages import is_finite
from .signature import Param, Signature, Transport


class _Missing:
    """Stands where an argument was not given, so that the function's own default applies."""


_MISSING: Final = _Missing()
_CACHED: Final = "__isomor_cached__"
F = TypeVar("F", bound=Callable[..., Any])


@dataclass(frozen=True, slots=True)
class Cached:
    """How answers of a function may be kept: set by `cached`."""

    max_age: int
    public: bool

    @property
    def header(self) -> str:
        """The Cache-Control header's value (RFC 9111)."""
        return f"{'public' if self.public else 'private'}, max-age={self.max_age}"


def cached(max_age: int, public: bool = False) -> Callable[[F], F]:
    """Let browsers, and with `public` proxies too, keep the answers of a function called over HTTP.

    Clients then call it by `GET …?args=[…]`, so it must only read.

    Args:
        max_age: seconds.
        public: whether one caller's answer may be shown to another.

    Raises:
        ValueError: if `max_age` is not a whole number of at least 0.
    """
    if not isinstance(max_age, int) or isinstance(max_age, bool) or max_age < 0:
        raise ValueError(f"cached(max_age={max_age!r}): give a whole number of seconds, at least 0")

    def mark(function: F) -> F:
        setattr(function, _CACHED, Cached(max_age, public))
        return function

    return mark


class Function:
    """A function that clients can call.

    Attributes:
        name: its name, and its file's.
        path: where it is called, such as `/isomor/api/get_uptime`.
        params: its arguments on the wire, in order.
        rest: what `*args` takes, or None.
        returns: the hint of its result.
        requires: the only transport that it can be called over, or None.
        accepts: the transports whose context it takes; none where it takes no context.
        transport: the one that generated clients call it over.
        cached: how its answers may be kept, or None.
        doc: its docstring, or an empty string.
        bare: the async function itself, where it takes nothing but what `decode` gives; else None, and `run` calls it.
    """

    def __init__(
        self, target: Callable[..., Any], *, name: str, path: str, matches_ws: bool, namespace: dict[str, Any]
    ) -> None:
        """Read the signature.

        Raises:
            LoadError: with every fault of it, each naming the parameter and the fix.
        """
        self.name = name
        self.path = path
        self.doc = inspect.getdoc(target) or ""
        self.cached: Cached | None = getattr(target, _CACHED, None)
        self._target = target
        self._is_async = inspect.iscoroutinefunction(target) or inspect.iscoroutinefunction(
            getattr(target, "__call__", None)  # noqa: B004 - an object with `async def __call__`
        )
        signature = Signature(target, namespace)
        if signature.faults:
            raise LoadError(signature.faults)
        self.params = signature.params
        self.rest = signature.rest
        self.returns = signature.returns
        self.requires: Transport | None = signature.requires
        self.transport: Transport = self.requires or ("ws" if matches_ws else "http")
        self._context_at = signature.context_at
        self._context_name = signature.context_name
        self.accepts = frozenset(signature.accepts or ())
        self._decoder = self._make_decoder()
        self.bare = target if self._is_async and self._context_at is None else None
        self._plain = not any(param.required is False for param in self.params) and self.rest is None
        trees = [mi.type_info(param.hint) for param in (*self.params, *([self.rest] if self.rest else []))]
        self._defaults_within = defaults.find(trees)
        self._may_be_infinite = any(_may_be_infinite(node) for tree in trees for node in hints.walk(tree))
        self._is_simple = self._plain and not self._may_be_infinite and not self._defaults_within

    def _make_decoder(self) -> msgspec.json.Decoder[Any]:
        missing: Any = msgspec.field(default_factory=lambda: _MISSING)
        fields: list[Any] = [
            (f"a{index}", param.hint) if param.required else (f"a{index}", param.hint, missing)
            for index, param in enumerate(self.params)
        ]
        struct = msgspec.defstruct("Arguments", fields, array_like=True, forbid_unknown_fields=True)
        return msgspec.json.Decoder(struct, dec_hook=hints.decode_custom)

    # ---- A call ------------------------------------------------------------------------------------------------------

    @functools.cached_property
    def hash(self) -> str:
        """A digest of the signature, which generated clients send with each call: equal as long as calls still fit."""
        hints_of = [param.hint for param in (*self.params, *([self.rest] if self.rest else []))]
        schemas, parts = msgspec.json.schema_components(hints_of, schema_hook=hints.schema_of_custom)
        required = [param.required for param in self.params]
        text = json.dumps(
            [
                schemas,
                parts,
                hints.text_of_result(self.returns),
                required,
                self.rest is not None,
                self.cached is not None,
            ],
            sort_keys=True,
        )
        return hashlib.blake2b(text.encode(), digest_size=6).hexdigest()

    def decode(self, raw: msgspec.Raw, made_for: str | None = None) -> list[Any]:
        """The arguments of a call, typed.

        Args:
            raw: a JSON array.
            made_for: the hash of the signature that the client was made for, where it says.

        Raises:
            ApiError: INVALID_ARGS with every fault in `details`, OUTDATED_CLIENT where they do not fit and the client
                was made for another signature, or BAD_MESSAGE where the nesting is too deep.
        """
        if self._is_simple:  # nearly all are, and this is the way of every call
            try:
                return list(msgspec.structs.astuple(self._decoder.decode(raw)))
            except (msgspec.ValidationError, RecursionError, TypeError):
                pass  # what is wrong with them is found below
        try:
            return self._decode(raw)
        except ApiError as error:
            if error.code == "INVALID_ARGS" and made_for and made_for != self.hash:
                message = f"{self.name} has changed since this page was made; load it again."
                raise ApiError.of("OUTDATED_CLIENT", message, error.details) from None
            raise

    def _decode(self, raw: msgspec.Raw) -> list[Any]:
        try:
            if self.rest is None:
                args = list(msgspec.structs.astuple(self._decoder.decode(raw)))
            else:
                args = self._decode_with_rest(raw, self.rest)
        except (
            msgspec.ValidationError,
            RecursionError,
            TypeError,
        ) as error:  # TypeError: of sets, for what has no hash
            raise self._invalid(raw, error) from None
        if not self._plain:
            while args and args[-1] is _MISSING:
                args.pop()
        if self._may_be_infinite and not is_finite(args):
            raise self._invalid(raw, None)
        if self._defaults_within:
            defaults.fill(args, self._defaults_within)
        return args

    def _decode_with_rest(self, raw: msgspec.Raw, rest: Param) -> list[Any]:
        parts = msgspec.json.decode(raw, type=list[msgspec.Raw])
        count = len(self.params)
        args = list(msgspec.structs.astuple(self._decoder.decode(_array(parts[:count]))))
        decode = msgspec.json.Decoder(list[rest.hint], dec_hook=hints.decode_custom).decode  # type: ignore[name-defined]
        return args + decode(_array(parts[count:]))

    def _invalid(self, raw: msgspec.Raw, error: Exception | None) -> ApiError:
        if isinstance(error, RecursionError):
            return ApiError.of("BAD_MESSAGE", "The arguments are nested too deeply.")
        try:
            details = self._details(msgspec.json.decode(raw))
        except msgspec.ValidationError as beyond:  # a number that no type holds, whatever the hints
            said = str(beyond).replace("`", "'")
            details = [_detail(None, "", "numbers within range", "one out of range", said)]
        except RecursionError:
            return ApiError.of("BAD_MESSAGE", "The arguments are nested too deeply.")
        if not details:  # both passes read the same hints, so this is a net, not a way
            details = [_detail(None, "", "arguments that fit", "others", str(error))]
        first = details[0]["message"]
        more = f" (and {len(details) - 1} more)" if len(details) > 1 else ""
        return ApiError.of("INVALID_ARGS", f"{self.name}: {first}{more}", details)

    def _details(self, value: Any) -> list[dict[str, Any]]:
        if not isinstance(value, list):
            got = {dict: "object", str: "str", type(None): "null"}.get(type(value), type(value).__name__)
            return [_detail(None, "", "an array of arguments", got)]
        details = []
        for index, param in enumerate(self.params):
            if index < len(value):
                details += [_detail(param.name, *fault) for fault in faults.find(value[index], param.hint)]
            elif param.required:
                details.append(_detail(param.name, "", faults.describe(param.hint), "missing"))
        over = value[len(self.params) :]
        if self.rest is not None:
            for index, item in enumerate(over):
                for path, expected, got in faults.find(item, self.rest.hint):
                    where = f"[{index}]" + (f".{path}" if path and not path.startswith("[") else path)
                    details.append(_detail(self.rest.name, where, expected, got))
        elif over:
            most = len(self.params)
            details.append(_detail(None, f"[{most}]", f"at most {most} arguments", f"{len(value)} arguments"))
        return details[: faults.MOST]

    async def run(self, args: list[Any], ctx: Context, executor: Executor) -> Any:
        """Call it: an async function here, on the event loop; a plain one in `executor`, in this task's context.

        Raises:
            Exception: whatever the function raises.
        """
        at = self._context_at
        keywords = {}
        if at is not None:
            given = ctx if ctx.type in self.accepts else None
            if at < 0:
                keywords[self._context_name] = given
            else:
                while len(args) < at:
                    args.append(self.params[len(args)].default)
                args.insert(at, given)
        if self._is_async:
            return await self._target(*args, **keywords)
        call = contextvars.copy_context().run
        loop = asyncio.get_running_loop()
        outcome, value = await loop.run_in_executor(executor, call, _outcome, self._target, args, keywords)
        if outcome is None:
            # A plain function may hand back a coroutine, such as that of an async function behind a plain decorator.
            return await value if inspect.isawaitable(value) else value
        raise outcome


def _outcome(target: Any, args: list[Any], keywords: dict[str, Any]) -> tuple[BaseException | None, Any]:
    # Handed over as a value: a future cannot carry StopIteration, and SystemExit must not end a thread of the pool.
    try:
        return None, target(*args, **keywords)
    except BaseException as error:
        return error, None


def running_in(frame: FrameType) -> tuple[str, list[Any]] | None:
    """The name of the plain function that a thread of the pool calls in `frame`, and the very list of its arguments.

    None where it calls none there.
    """
    if frame.f_code is not _outcome.__code__:
        return None
    variables = frame.f_locals
    return _name(variables["target"]), variables["args"]


def _name(target: Any) -> str:
    return str(getattr(target, "__name__", type(target).__name__))


def _may_be_infinite(node: mi.Type) -> bool:
    # JSON has no NaN, but these are read from strings.
    return isinstance(node, mi.DecimalType) or (
        isinstance(node, mi.DictType) and isinstance(node.key_type, mi.FloatType)
    )


def _array(parts: list[msgspec.Raw]) -> bytes:
    return b"[%b]" % b",".join(bytes(part) for part in parts)


def _detail(param: str | None, path: str, expected: str, got: str, message: str | None = None) -> dict[str, Any]:
    where = param or "the arguments"
    if path:
        where += path if path.startswith("[") else f".{path}"
    if message is not None:
        said = message
    elif got == "missing":
        said = f"{where} is missing"
    elif isinstance(expected, faults.Sentence):
        said = f"{where}: {expected}"
    else:
        said = f"{where}: expected {expected}, got {got}"
    return {"param": param, "path": path, "expected": str(expected), "got": got, "message": said}
