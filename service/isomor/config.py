"""The configuration: flags, environment, isomor.env and YAML in, one frozen `Config` out.

The fields of `Config` are the table of all settings (`SETTINGS`). `python -m isomor.config yaml|schema|docs` prints
what is written from it: config/isomor.yaml, config/schema.json, and the table in docs/configuration.md.
"""

# ruff: noqa: RUF009 (_setting returns a dataclass field, which is what the rule wants)

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from . import _schema as kinds
from ._schema import Kind, Network, Raw, Setting, to_json_schema, to_markdown, to_raw, to_yaml
from ._sources import Found, Reader
from .errors import ConfigError
from .hiding import hide, is_weak, passwords_in

__all__ = ["SETTINGS", "Config", "Loaded", "Setting", "describe", "load_config", "secrets_of"]


def _setting(default: Any, kind: Kind, text: str, variable: str = "") -> Any:
    """A field of the table. `default` is as written in YAML, `variable` isomor 3's name where it has one."""
    raw = to_raw(default)
    value = None if raw is None else kind.read(raw, Path())
    # A secret stays out of repr(), which ends in logs and tracebacks.
    metadata = {"default": default, "kind": kind, "help": text, "variable": variable}
    return field(default=value, metadata=metadata, repr=not kind.secret)


@dataclass(frozen=True, slots=True)
class Server:
    host: str = _setting("0.0.0.0", kinds.HOST, "Address to listen on.", "ISOMOR_HOST")
    port: int = _setting(3005, kinds.integer(0, 65535), "Port to listen on; 0 takes a free one.", "ISOMOR_PORT")
    workers: int = _setting(
        1, kinds.integer(1, 1024), "Processes that serve; more than 1 needs redis.url.", "ISOMOR_WORKERS"
    )
    static_folder: Path | None = _setting(
        None, kinds.EXISTING_FOLDER, "Folder of the built frontend, served at /.", "ISOMOR_STATIC_FOLDER"
    )
    drain_seconds: float = _setting(8, kinds.SECONDS, "How long running calls may take to end when the server stops.")
    trusted_proxies: tuple[Network, ...] = _setting(
        [], kinds.NETWORKS, "Networks of the proxies whose X-Forwarded-* headers are believed, such as 10.0.0.0/8."
    )
    max_connections: int = _setting(
        20_000, kinds.integer(1, 10_000_000), "Connections of one process, of either transport; more are refused."
    )
    max_connections_per_address: int = _setting(
        0, kinds.integer(0, 10_000_000), "Connections of one client's address; 0: as many as it likes."
    )
    head_timeout: float = _setting(
        30, kinds.seconds(0.1), "Seconds that a TLS handshake may take, and the head of a request."
    )
    request_timeout: float = _setting(
        60, kinds.seconds(0.1), "Seconds that a whole request may take to arrive, head and body."
    )
    max_header_size: int = _setting("8KiB", kinds.size(1024, 16 * 1024), "Largest head that a request may have.")
    tls_cert: Path | None = _setting(None, kinds.EXISTING_FILE, "Certificate chain (PEM); needs server.tls_key.")
    tls_key: Path | None = _setting(None, kinds.EXISTING_FILE, "Key of the certificate (PEM); needs server.tls_cert.")


@dataclass(frozen=True, slots=True)
class Api:
    folder: Path = _setting("./api", kinds.FOLDER, "Folder of the functions.", "ISOMOR_SRC_FOLDER")
    module_name: str = _setting(
        "api", kinds.MODULE_NAME, "The folder's name as a Python package, and in URLs.", "ISOMOR_MODULE_NAME"
    )


@dataclass(frozen=True, slots=True)
class Ws:
    pattern: re.Pattern[str] | None = _setting(
        None,
        kinds.PATTERN,
        "Regular expression: a function whose whole name it matches is called over WebSocket; none: all over HTTP.",
        "ISOMOR_WS",
    )
    timeout: float = _setting(
        60, kinds.SECONDS, "Seconds after which an idle WebSocket is closed; 0: never.", "ISOMOR_WS_TIMEOUT"
    )
    max_calls_in_flight: int = _setting(
        256, kinds.integer(1, 1_000_000), "Calls of one WebSocket that run at once; then its reading pauses."
    )
    max_outbox_bytes: int = _setting(
        "1MiB", kinds.SIZE, "What may wait to be sent on one WebSocket; above, it is closed as too slow."
    )
    max_topics: int = _setting(1000, kinds.integer(1, 1_000_000), "Topics that one WebSocket may have joined at once.")
    max_tasks: int = _setting(
        1000, kinds.integer(1, 1_000_000), "Tasks of ctx.spawn that one WebSocket may have at once."
    )
    ping_seconds: float = _setting(25, kinds.SECONDS, "Seconds between pings that find dead WebSockets; 0: none.")


@dataclass(frozen=True, slots=True)
class Redis:
    url: str | tuple[str, ...] | None = _setting(
        None,
        kinds.REDIS,
        "URL of the Redis that carries pushes between workers and containers; a list names several nodes.",
    )
    prefix: str = _setting("isomor", kinds.WORD, "What its channels start with; deployments that share a Redis differ.")
    outage_buffer_seconds: float = _setting(5, kinds.SECONDS, "How long pushes wait for a Redis that is away.")


@dataclass(frozen=True, slots=True)
class Client:
    enabled: bool = _setting(True, kinds.BOOLEAN, "Serve the typed client at /isomor/client, and let --watch keep it.")
    folder: Path = _setting(
        "./isomor-client", kinds.FOLDER, "Where `isomor build` writes the client.", "ISOMOR_MODULE_FOLDER"
    )
    ws_base_url: str | None = _setting(
        None,
        kinds.WS_URL,
        "Where the client opens its WebSocket; none: where the page came from.",
        "ISOMOR_WS_BASE_URL",
    )
    http_base_url: str | None = _setting(
        None,
        kinds.HTTP_URL,
        "Where the client sends its HTTP calls; none: where the page came from.",
        "ISOMOR_HTTP_BASE_URL",
    )


@dataclass(frozen=True, slots=True)
class Security:
    origins: tuple[str, ...] = _setting(
        [], kinds.ORIGINS, "Origins of other sites that may call, such as https://app.example.com."
    )
    hosts: tuple[str, ...] = _setting(
        [], kinds.HOST_NAMES, "Host names that are answered to, such as app.example.com or *.example.com; none: any."
    )
    get_calls: str = _setting(
        "all",
        kinds.choice("all", "cached"),
        "Functions that answer GET: all (as isomor 3's client needs), or those marked @cached.",
    )


@dataclass(frozen=True, slots=True)
class Docs:
    enabled: bool = _setting(
        True, kinds.BOOLEAN, "Serve pages that tell of the functions and try them: /api-docs and /console."
    )


@dataclass(frozen=True, slots=True)
class Metrics:
    enabled: bool = _setting(True, kinds.BOOLEAN, "Count, and serve metrics for Prometheus at /metrics.")


@dataclass(frozen=True, slots=True)
class Logging:
    level: str = _setting("info", kinds.choice("debug", "info", "warning", "error"), "Least level that is logged.")
    format: str = _setting("text", kinds.choice("text", "json"), "Text for people, or one JSON object a line.")
    access: bool = _setting(False, kinds.BOOLEAN, "Log a line for every call, without arguments and cookies.")
    blocked_seconds: float = _setting(
        1, kinds.SECONDS, "Seconds that a function may block the event loop before a warning names it; 0: no warning."
    )


@dataclass(frozen=True, slots=True)
class Config:
    """Every setting. Built once by `load_config` and handed on; `Config()` is the defaults, for tests."""

    server: Server = field(default_factory=Server)
    api: Api = field(default_factory=Api)
    ws: Ws = field(default_factory=Ws)
    call_timeout: float = _setting(30, kinds.SECONDS, "Seconds after which a call is cancelled; 0: never.")
    cancel_on_disconnect: bool = _setting(False, kinds.BOOLEAN, "Cancel a call whose caller has left.")
    max_message_size: int = _setting("1MiB", kinds.SIZE, "Largest message or body that a client may send.")
    max_json_depth: int = _setting(128, kinds.integer(8, 512), "How many levels deep the JSON of a call may be nested.")
    max_calls_per_second: int = _setting(
        10_000, kinds.integer(0, 1_000_000), "Calls per second of one connection, in the long run; 0: any number."
    )
    max_calls_burst: int = _setting(
        0, kinds.integer(0, 1_000_000), "Calls that it may make at once before that; 0: as many as in a second."
    )
    threads: int = _setting(32, kinds.integer(1, 10_000), "Threads that run the functions written with plain def.")
    max_thread_queue: int = _setting(
        1000, kinds.integer(0, 1_000_000), "Calls that may wait for one of the threads; more are refused."
    )
    redis: Redis = field(default_factory=Redis)
    client: Client = field(default_factory=Client)
    security: Security = field(default_factory=Security)
    docs: Docs = field(default_factory=Docs)
    metrics: Metrics = field(default_factory=Metrics)
    logging: Logging = field(default_factory=Logging)
    debug: bool = _setting(False, kinds.BOOLEAN, "Tell clients the text of unexpected errors; never in production.")
    watch: bool = _setting(False, kinds.BOOLEAN, "Load the functions anew when a file changes.", "ISOMOR_WATCH")


def _table() -> Iterator[Setting]:
    for outer in fields(Config):
        for f in [outer] if outer.metadata else fields(outer.default_factory):  # type: ignore[arg-type]
            key = f.name if f is outer else f"{outer.name}.{f.name}"
            m = f.metadata
            regular = "ISOMOR_" + key.upper().replace(".", "_")
            yield Setting(key, m["kind"], m["default"], m["help"], m["variable"] or regular, regular)


SETTINGS: tuple[Setting, ...] = tuple(_table())
_BY_KEY = {setting.key: setting for setting in SETTINGS}


@dataclass(frozen=True, slots=True)
class Loaded:
    """What `load_config` found. `sources` says for every key where its value came from, `warnings` is for the log."""

    config: Config
    warnings: tuple[str, ...]
    sources: Mapping[str, str]


def load_config(
    flags: Mapping[str, object] = {}, environ: Mapping[str, str] | None = None, cwd: Path | None = None
) -> Loaded:
    """Read the configuration: flag > environment > isomor.env > YAML > default.

    Args:
        flags: values of the command line by key ("server.port"); None and () mean not given.
        environ: in place of os.environ.
        cwd: in place of the working directory: relative paths start here, isomor.env and config/isomor.yaml lie here.

    Raises:
        ConfigError: with every fault found, each naming key, value, where it came from, why, and the fix.
    """
    cwd = Path.cwd() if cwd is None else cwd.absolute()
    reader = Reader(SETTINGS, cwd)
    environment = {
        name: Found(text, f"environment {name}")
        for name, text in (os.environ if environ is None else environ).items()
        if name.startswith("ISOMOR_") and text.strip()
    }
    dotenv = reader.read_dotenv()
    from_yaml = reader.read_yaml(environment.get("ISOMOR_CONFIG") or dotenv.get("ISOMOR_CONFIG"))
    levels = [
        reader.read_flags(flags),
        reader.read_variables(environment),
        reader.read_variables(dotenv),
        from_yaml or {},
    ]
    faults = reader.faults
    values: dict[str, Any] = {}
    sources: dict[str, str] = {}
    for setting in SETTINGS:
        key = setting.key
        default = Found(to_raw(setting.default), "default")
        raw, sources[key] = next((level[key] for level in levels if key in level), default)
        try:
            if raw is not None:
                values[key] = setting.read(raw, cwd)
            elif sources[key] == "default":
                values[key] = None
        except ValueError as error:
            faults.append(f"{key} = {_shown(setting, raw)} ({sources[key]}): {_why(error, raw)}")
    if from_yaml is not None:  # else what seems to be missing may well stand there
        faults += _contradictions(values, sources)
    if faults:
        raise ConfigError(faults)
    return Loaded(_build(values), tuple(reader.warnings), sources)


def describe(loaded: Loaded) -> list[tuple[str, str, str]]:
    """Every key with its value, secrets hidden, and where it came from: what `isomor config` prints."""
    rows = []
    for key, source in loaded.sources.items():
        value = _value(loaded.config, key)
        items = value if isinstance(value, tuple) else (value,)
        rows.append((key, ", ".join(hide(_text(item)) for item in items) or "none", source))
    return rows


# Words of the log that stand in no setting. Those of the settings' names and of their help are taken from the table.
_WORDS_OF_THE_LOG = (
    "isomor redis default password passwd passphrase secret token admin root user username localhost debug warning "
    "error critical traceback exception python sanic function startup shutdown websocket browser client payload result"
)


@dataclass(frozen=True, slots=True)
class Secrets:
    """What is secret in the settings, for the log to hide; `weak` names the settings whose passwords are too weak."""

    hidden: frozenset[str]
    weak: tuple[str, ...]

    def warning(self) -> str | None:
        """For the log at start, of passwords that it cannot hide everywhere."""
        if not self.weak:
            return None
        return (
            f"the password in {' and '.join(self.weak)} is too weak to be hidden everywhere in the log, which has it "
            f"as a word of its own, or would by chance: it is hidden in URLs alone; use a long one, drawn at random"
        )


def secrets_of(config: Config) -> Secrets:
    """The passwords and tokens in URLs among the settings."""
    passwords: dict[str, set[str]] = {}
    shown = [_WORDS_OF_THE_LOG]
    for setting in SETTINGS:
        value = _value(config, setting.key)
        items = value if isinstance(value, tuple) else (value,)
        shown += [setting.key, setting.help, *(hide(_text(item)) for item in items)]
        passwords[setting.key] = {found for item in items if isinstance(item, str) for found in passwords_in(item)}
    words = {
        word.lower()
        for text in shown
        for pattern in (r"\w+", r"[\w-]+", r"[\w.-]+")
        for word in re.findall(pattern, text)
    }
    every = {password for found in passwords.values() for password in found}
    weak = {password for password in every if is_weak(unquote(password), words)}
    return Secrets(frozenset(every - weak), tuple(key for key, found in passwords.items() if found & weak))


def _value(config: Config, key: str) -> Any:
    value: Any = config
    for name in key.split("."):
        value = getattr(value, name)
    return value


def _text(value: object) -> str:
    if isinstance(value, re.Pattern):
        return str(value.pattern)
    return "none" if value is None else str(to_raw(value)).removesuffix(".0" if isinstance(value, float) else "")


def _shown(setting: Setting, raw: Raw | None) -> str:
    """A bad value for a fault. Where it is a secret, what hides it cannot be trusted to read it: only its scheme."""
    items = raw if isinstance(raw, tuple) else (raw or "",)
    if setting.kind.secret:
        items = tuple(re.sub(r"^([a-z+]{1,20}://)?.*$", r"\1***", item, flags=re.DOTALL) for item in items)
    text = ", ".join(hide(item) for item in items)
    return repr(text if len(text) <= 80 else text[:80] + "…")


def _why(error: ValueError, raw: Raw | None) -> str:
    """What is wrong with a value; libraries repeat it in what they say."""
    why = str(error)
    for item in raw if isinstance(raw, tuple) else (raw or "",):
        for part in {item, *item.split(",")}:
            if hide(part) != part:
                why = why.replace(part.strip(), hide(part.strip()))
    return why


def _contradictions(values: Mapping[str, Any], sources: Mapping[str, str]) -> Iterator[str]:
    """Settings that do not go together. Those that have a fault of their own are not in `values`, and not judged."""
    workers = values.get("server.workers", 1)
    if workers > 1:
        of = f"server.workers = {workers} ({sources['server.workers']})"
        if values.get("redis.url", ()) is None:
            yield f"{of} needs redis.url, which carries pushes between them; set ISOMOR_REDIS_URL, or one worker"
        if values.get("watch"):
            yield f"{of} does not go with watch = true ({sources['watch']}); set one worker, or watch to false"
    most, each = values.get("server.max_connections", 0), values.get("server.max_connections_per_address", 0)
    if 0 < most < each:
        yield (
            f"server.max_connections_per_address = {each} ({sources['server.max_connections_per_address']}) is over "
            f"server.max_connections = {most} ({sources['server.max_connections']}) and would never be met; lower it"
        )
    burst = values.get("max_calls_burst", 0)
    if burst and values.get("max_calls_per_second") == 0:
        yield (
            f"max_calls_burst = {burst} ({sources['max_calls_burst']}) limits nothing without max_calls_per_second; "
            f"set ISOMOR_MAX_CALLS_PER_SECOND too, or neither"
        )
    head, request = values.get("server.head_timeout", 0), values.get("server.request_timeout", 0)
    if 0 < request < head:
        yield (
            f"server.request_timeout = {request:g} ({sources['server.request_timeout']}) is shorter than "
            f"server.head_timeout = {head:g} ({sources['server.head_timeout']}), which is a part of it; raise the one, "
            f"or lower the other"
        )
    for one, other in (("server.tls_cert", "server.tls_key"), ("server.tls_key", "server.tls_cert")):
        if values.get(one) and values.get(other, ()) is None:
            variable = _BY_KEY[other].variable
            yield f"{one} = {str(values[one])!r} ({sources[one]}) needs {other}; set {variable} too, or neither"


def _build(values: Mapping[str, Any]) -> Config:
    parts: dict[str, Any] = {}
    for f in fields(Config):
        if f.metadata:
            parts[f.name] = values[f.name]
        else:
            section: Any = f.default_factory
            parts[f.name] = section(**{inner.name: values[f"{f.name}.{inner.name}"] for inner in fields(section)})
    return Config(**parts)


if __name__ == "__main__":
    sys.stdout.write({"yaml": to_yaml, "schema": to_json_schema, "docs": to_markdown}[sys.argv[1]](SETTINGS))
