"""What a setting is, the kinds of values, and what is written from the table: YAML, JSON schema, documentation.

Values arrive as text from everywhere, YAML included, so that each kind is read in one way.
"""

from __future__ import annotations

import ipaddress
import json
import keyword
import os
import re
import sys
import warnings
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

Raw = str | tuple[str, ...]
Network = ipaddress.IPv4Network | ipaddress.IPv6Network


@dataclass(frozen=True, slots=True)
class Kind:
    """How a value is read (text and the working directory in, value out, ValueError says why) and its JSON schema."""

    read: Callable[[Raw, Path], Any]
    schema: dict[str, Any]
    secret: bool = False


_FLAGS = {
    "server.host": "--host",
    "server.port": "--port",
    "server.workers": "--workers",
    "api.folder": "--api",
    "ws.pattern": "--ws",
    "watch": "--watch",
}


@dataclass(frozen=True, slots=True)
class Setting:
    """One row of the table. `default` is as one would write it in YAML; `variable` is the environment's name for it."""

    key: str
    kind: Kind
    default: Any
    help: str
    variable: str
    regular: str  # the variable as other keys have it; the same, but where isomor 3 has a name of its own

    @property
    def flag(self) -> str:
        """The command line's name for it: --set KEY=VALUE, but for the few that have a flag of their own."""
        return _FLAGS.get(self.key, f"--set {self.key}")

    def read(self, raw: Raw, cwd: Path) -> Any:
        """The value of this text. An empty one, which only a flag can give, means none. Raises ValueError with why."""
        return None if raw == "" and self.default is None else self.kind.read(raw, cwd)


def to_raw(value: object) -> Raw | None:
    """A value of a flag or of the table as text; None where there is none (click's () for a repeated flag included)."""
    if value is None or value == ():
        return None
    if isinstance(value, bool):
        return str(value).lower()
    return tuple(map(str, value)) if isinstance(value, (list, tuple)) else str(value)


def _one(read: Callable[[str, Path], Any]) -> Callable[[Raw, Path], Any]:
    def one(raw: Raw, cwd: Path) -> Any:
        if isinstance(raw, tuple):
            raise ValueError("one value is expected, not a list")
        return read(raw.strip(), cwd)

    return one


def _many(read: Callable[[str], Any]) -> Callable[[Raw, Path], tuple[Any, ...]]:
    def many(raw: Raw, cwd: Path) -> tuple[Any, ...]:
        items = raw.split(",") if isinstance(raw, str) else raw
        return tuple(read(item.strip()) for item in items if item.strip())

    return many


def choice(*names: str) -> Kind:
    def read(text: str, cwd: Path) -> str:
        if text.lower() not in names:
            raise ValueError(f"use one of {', '.join(names)}")
        return text.lower()

    return Kind(_one(read), {"enum": list(names)})


def integer(low: int, high: int) -> Kind:
    def read(text: str, cwd: Path) -> int:
        if not re.fullmatch(r"[0-9]{1,12}", text) or not low <= int(text) <= high:
            raise ValueError(f"use a whole number from {low} to {high}")
        return int(text)

    return Kind(_one(read), {"type": "integer", "minimum": low, "maximum": high})


_YEAR = 31_536_000  # more than that is a mistake, and would overflow the timers of some event loops


def seconds(low: float) -> Kind:
    def read(text: str, cwd: Path) -> float:
        if not re.fullmatch(r"[0-9]{1,9}(\.[0-9]{1,9})?", text) or not low <= float(text) <= _YEAR:
            raise ValueError(f"use a number of seconds from {low:g} to {_YEAR}, without a unit, such as 30 or 0.5")
        return float(text)

    return Kind(_one(read), {"type": "number", "minimum": low, "maximum": _YEAR})


_UNITS = {"": 1, "B": 1, "KB": 1000, "KIB": 1024, "MB": 1000**2, "MIB": 1024**2, "GB": 1000**3, "GIB": 1024**3}
_SIZE = r"[0-9]{1,12}(\.[0-9]{1,6})? ?([KkMmGg]?[Bb]|[KkMmGg]i[Bb])?"


def size(low: int, high: int) -> Kind:
    def read(text: str, cwd: Path) -> int:
        if not re.fullmatch(_SIZE, text):
            raise ValueError("use a number of bytes or a size such as 512KiB, 1MiB or 1.5GB")
        number = text.rstrip("KkMmGgIiBb ")
        size = float(number) * _UNITS[text[len(number) :].strip().upper()]
        if not low <= size <= high or size != int(size):
            raise ValueError(f"use a whole number of bytes from {_text_of_size(low)} to {_text_of_size(high)}")
        return int(size)

    return Kind(_one(read), {"type": ["integer", "string"], "minimum": low, "pattern": f"^{_SIZE}$"})


def _text_of_size(size: int) -> str:
    for unit in ("GiB", "MiB", "KiB"):
        if size % _UNITS[unit.upper()] == 0:
            return f"{size // _UNITS[unit.upper()]}{unit}"
    return str(size)


_BOOLEANS = {"true": True, "1": True, "yes": True, "on": True, "false": False, "0": False, "no": False, "off": False}


def _read_boolean(text: str, cwd: Path) -> bool:
    if text.lower() not in _BOOLEANS:
        raise ValueError("use true or false (1, yes, on and 0, no, off mean the same)")
    return _BOOLEANS[text.lower()]


def _path(exists: Callable[[Path], bool] | None = None, what: str = "") -> Kind:
    def read(text: str, cwd: Path) -> Path:
        if not text or not text.isprintable():
            raise ValueError("use the path of a file or folder")
        path = cwd / text
        if exists and not exists(path):
            shown = text if "://" in text else str(path)  # a URL in the wrong place is hidden as what was given
            raise ValueError(f"{shown!r} is not {what}; create it, or correct the path")
        return path

    return Kind(_one(read), {"type": "string", "minLength": 1})


def _read_pattern(text: str, cwd: Path) -> re.Pattern[str]:
    try:
        with warnings.catch_warnings():  # such as FutureWarning for "[[": of no use to whoever starts a server
            warnings.simplefilter("ignore")
            return re.compile(text)
    except (re.error, OverflowError, RecursionError) as error:
        raise ValueError(f"not a regular expression: {error}; such as ws_.* for all names that start so") from None


def _read_module_name(text: str, cwd: Path) -> str:
    if not text.isascii() or not text.isidentifier() or keyword.iskeyword(text):
        raise ValueError("use a Python identifier (letters, digits, _), which is no keyword, such as api")
    if text in sys.stdlib_module_names or text == "isomor":
        raise ValueError("a module of that name exists already and would be hidden; use another, such as api")
    return text


def _read_host(text: str, cwd: Path) -> str:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        if not re.fullmatch(r"[A-Za-z0-9_]([A-Za-z0-9_.-]*[A-Za-z0-9_])?", text):
            raise ValueError("use an IP address or a host name alone; the port is server.port") from None
    return text


def _read_network(text: str) -> Network:
    try:
        return ipaddress.ip_network(text)
    except ValueError as error:
        raise ValueError(f"{error}; use networks or addresses such as 10.0.0.0/8, 192.0.2.7, fd00::/8") from None


def _read_origin(text: str) -> str:
    origin = text.lower()  # as browsers send it: lower case, and no port where it is the scheme's own
    match = re.fullmatch(r"([a-z][a-z0-9+.-]*)://([a-z0-9_.-]+|\[[0-9a-f:.]+\])(:[0-9]{1,5})?", origin)
    if not match or int((match[3] or ":0")[1:]) > 65535:
        raise ValueError("use scheme://host or scheme://host:port without a path, such as https://example.com")
    own = {"https": ":443", "http": ":80"}.get(match[1])
    return origin.removesuffix(own) if own and match[3] == own else origin


def _read_host_name(text: str) -> str:
    name = text.lower()
    if not re.fullmatch(r"(\*\.)?[a-z0-9_]([a-z0-9_.-]*[a-z0-9_])?|\[[0-9a-f:.]+\]", name):
        raise ValueError("use host names without scheme and port, such as app.example.com, *.example.com or [::1]")
    return name


def _base_url(*schemes: str) -> Kind:
    def read(text: str, cwd: Path) -> str:
        url = _split(text)
        if not url or url.scheme not in schemes or not url.hostname or url.query or url.fragment:
            raise ValueError(f"use {schemes[0]}:// or {schemes[1]}:// with a host, such as {schemes[1]}://example.com")
        if "@" in url.netloc:
            raise ValueError("use a URL without a user and a password: it is in the client, for everyone to read")
        return text.rstrip("/")

    return Kind(_one(read), {"type": "string", "pattern": f"^({'|'.join(schemes)})://"})


_REDIS_SCHEMES = ("redis", "rediss", "unix", "redis+sentinel", "rediss+sentinel", "redis+cluster", "rediss+cluster")


def _read_redis_url(text: str) -> str:
    scheme = text.partition("://")[0]
    if scheme not in _REDIS_SCHEMES or "://" not in text or re.search(r"\s", text):
        raise ValueError(f"use a URL that starts with {', '.join(_REDIS_SCHEMES)}, such as redis://localhost:6379/0")
    # Several hosts are parted by commas, each with its port: each is read as if it stood alone.
    hosts, slash, path = text.removeprefix(scheme + "://").partition("/")
    urls = [_split(f"{scheme}://{host}{slash}{path}") for host in hosts.split(",")]
    for number, url in enumerate(urls):
        if not url or "@" in url.path or url.fragment or ("@" in url.netloc and number) or _lacks_host(url):
            raise ValueError("the host or the port cannot be read; write / ? # @ : , % in a password as %2F and so on")
    if scheme == "unix" and not urls[0].path.strip("/"):
        raise ValueError("use unix:// with the path of the socket, such as unix:///run/redis.sock")
    return text


def _lacks_host(url: Any) -> bool:
    host = url.netloc.rpartition("@")[2]  # none: this machine, as in redis:///0 and unix:///run/redis.sock
    return not url.hostname and (bool(host) or "+" in url.scheme)


def _read_redis(raw: Raw, cwd: Path) -> str | tuple[str, ...]:
    # Sentinels and cluster nodes stand in one URL with commas too: only a comma before a scheme parts two URLs.
    items = re.split(r",(?=\s*[a-z+]+://)", raw) if isinstance(raw, str) else raw
    urls = tuple(_read_redis_url(item.strip()) for item in items)
    if not urls:
        raise ValueError("the list is empty")
    return urls[0] if isinstance(raw, str) and len(urls) == 1 else urls


def _read_word(text: str, cwd: Path) -> str:
    if not re.fullmatch(r"[A-Za-z0-9_.:-]{1,100}", text):
        raise ValueError("use letters, digits and _ . : - (at most 100)")
    return text


def _split(url: str) -> Any:
    # What urlsplit raises may hold the password: None says enough.
    try:
        parts = urlsplit(url)
        return parts if parts.port != -1 else None  # reading the port is what checks it
    except ValueError:
        return None


SECONDS = seconds(0)
SIZE = size(1, 1024**4)
BOOLEAN = Kind(_one(_read_boolean), {"type": "boolean"})
WORD = Kind(_one(_read_word), {"type": "string"})
HOST = Kind(_one(_read_host), {"type": "string"})
PATTERN = Kind(_one(_read_pattern), {"type": "string", "format": "regex"})
MODULE_NAME = Kind(_one(_read_module_name), {"type": "string", "pattern": "^[A-Za-z_][A-Za-z0-9_]*$"})
FOLDER = _path()
# os.path, since pathlib's own raise for a path that is too long or may not be looked at.
EXISTING_FOLDER, EXISTING_FILE = _path(os.path.isdir, "a folder"), _path(os.path.isfile, "a file")
WS_URL, HTTP_URL = _base_url("ws", "wss"), _base_url("http", "https")
_STRINGS: dict[str, Any] = {"type": ["array", "string"], "items": {"type": "string"}}
NETWORKS, ORIGINS = Kind(_many(_read_network), _STRINGS), Kind(_many(_read_origin), _STRINGS)
HOST_NAMES = Kind(_many(_read_host_name), _STRINGS)
REDIS = Kind(_read_redis, {**_STRINGS, "minItems": 1}, secret=True)


def to_yaml(settings: Iterable[Setting]) -> str:
    """config/isomor.yaml: every key, commented out, with its default."""
    lines = [
        "# yaml-language-server: $schema=./schema.json",
        "## Every setting of isomor, commented out, with its default. Remove the # in front of those you change.",
        "## Flags, environment variables and isomor.env win over this file; docs/configuration.md tells more.",
    ]
    open_section = ""
    for setting in settings:
        section, _, name = setting.key.rpartition(".")
        if section != open_section or not section:
            lines += ["", f"{section}:"] if section else [""]
        open_section = section
        indent = "  " if section else ""
        lines += [f"{indent}## {setting.help} ({setting.variable})", f"{indent}# {name}: {json.dumps(setting.default)}"]
    return "\n".join(lines) + "\n"


def to_json_schema(settings: Iterable[Setting]) -> str:
    """config/schema.json, for editors: the JSON schema (2020-12) of the YAML."""
    root: dict[str, Any] = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "isomor",
        "type": ["object", "null"],
        "additionalProperties": False,
        "properties": {},
    }
    for setting in settings:
        section, _, name = setting.key.rpartition(".")
        # A section's keys may all be commented out, which leaves null.
        empty = {"type": ["object", "null"], "additionalProperties": False, "properties": {}}
        place = root["properties"].setdefault(section, empty) if section else root
        schema = dict(setting.kind.schema)
        if setting.default is None:
            schema["type"] = [*([schema["type"]] if isinstance(schema["type"], str) else schema["type"]), "null"]
        place["properties"][name] = {"description": setting.help, **schema, "default": setting.default}
    return json.dumps(root, indent=2) + "\n"


def to_markdown(settings: Iterable[Setting]) -> str:
    """The table of docs/configuration.md."""
    rows = ["| key | variable | default | meaning |", "| --- | --- | --- | --- |"]
    for s in settings:
        default = "none" if s.default in (None, []) else f"`{json.dumps(s.default).strip(chr(34))}`"
        rows.append(f"| `{s.key}` | `{s.variable}` | {default} | {s.help} |")
    return "\n".join(rows) + "\n"
