"""config.py: every source and their order, every fault, no secret shown, and the files written from the table."""

from __future__ import annotations

import dataclasses
import ipaddress
import json
import pickle
import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from isomor._schema import to_json_schema, to_markdown, to_yaml
from isomor.config import SETTINGS, Config, Loaded, describe, load_config, secrets_of
from isomor.errors import ConfigError

ROOT = Path(__file__).parent.parent
SECRET = "hunter2"


def load(
    cwd: Path,
    environ: Mapping[str, str] = {},
    *,
    flags: Mapping[str, object] = {},
    dotenv: str | None = None,
    text: str | None = None,
) -> Loaded:
    if dotenv is not None:
        (cwd / "isomor.env").write_text(dotenv)
    if text is not None:
        (cwd / "config").mkdir(exist_ok=True)
        (cwd / "config/isomor.yaml").write_text(text)
    return load_config(flags, environ, cwd)


def faults(cwd: Path, environ: Mapping[str, str] = {}, **options: Any) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        load(cwd, environ, **options)
    return caught.value.faults


def fault(cwd: Path, environ: Mapping[str, str] = {}, **options: Any) -> str:
    (only,) = faults(cwd, environ, **options)
    return only


def value(config: Config, key: str) -> Any:
    found: Any = config
    for name in key.split("."):
        found = getattr(found, name)
    return found


# --- defaults and shape


def test_defaults(tmp_path: Path) -> None:
    loaded = load(tmp_path)
    config = loaded.config
    assert (config.server.host, config.server.port, config.server.workers) == ("0.0.0.0", 3005, 1)
    assert (config.server.static_folder, config.server.drain_seconds, config.server.trusted_proxies) == (None, 8.0, ())
    assert (config.server.tls_cert, config.server.tls_key) == (None, None)
    assert (config.api.folder, config.api.module_name) == (tmp_path / "api", "api")
    assert (config.ws.pattern, config.ws.timeout, config.ws.max_calls_in_flight) == (None, 60.0, 256)
    assert (config.ws.max_outbox_bytes, config.ws.ping_seconds) == (1 << 20, 25.0)
    assert (config.call_timeout, config.cancel_on_disconnect) == (30.0, False)
    assert (config.max_message_size, config.threads) == (1 << 20, 32)
    assert (config.redis.url, config.redis.prefix, config.redis.outage_buffer_seconds) == (None, "isomor", 5.0)
    assert (config.client.enabled, config.client.folder) == (True, tmp_path / "isomor-client")
    assert (config.client.ws_base_url, config.client.http_base_url) == (None, None)
    assert (config.security.origins, config.security.get_calls) == ((), "all")
    assert (config.docs.enabled, config.metrics.enabled, config.debug, config.watch) == (True, True, False, False)
    assert (config.logging.level, config.logging.format, config.logging.access) == ("info", "text", False)
    assert loaded.warnings == ()
    assert set(loaded.sources.values()) == {"default"}


def test_config_alone_is_the_defaults(tmp_path: Path) -> None:
    config = load(tmp_path).config
    alone = dataclasses.replace(
        Config(),
        api=dataclasses.replace(Config().api, folder=config.api.folder),
        client=dataclasses.replace(Config().client, folder=config.client.folder),
    )
    assert alone == config


def test_it_is_frozen_and_travels_to_workers(tmp_path: Path) -> None:
    loaded = load(tmp_path, {"ISOMOR_WS": "ws_.*", "ISOMOR_SERVER_TRUSTED_PROXIES": "10.0.0.0/8"})
    with pytest.raises(dataclasses.FrozenInstanceError):
        loaded.config.server.port = 1  # type: ignore[misc]
    assert pickle.loads(pickle.dumps(loaded)) == loaded


def test_without_arguments_it_reads_the_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ISOMOR_PORT", "4001")
    assert load_config().config.server.port == 4001


def test_names_are_unique() -> None:
    names = [name for s in SETTINGS for name in {s.variable, s.regular}]
    assert len(names) == len(set(names))
    assert not [name for name in names if name.endswith("_FILE")], "would be another's twin"
    assert len({s.flag for s in SETTINGS}) == len(SETTINGS)


def test_isomor_3_names() -> None:
    of = {s.variable: s.key for s in SETTINGS}
    assert {name: of[name] for name in of if name != next(s.regular for s in SETTINGS if s.variable == name)} == {
        "ISOMOR_HOST": "server.host",
        "ISOMOR_PORT": "server.port",
        "ISOMOR_WORKERS": "server.workers",
        "ISOMOR_STATIC_FOLDER": "server.static_folder",
        "ISOMOR_SRC_FOLDER": "api.folder",
        "ISOMOR_MODULE_NAME": "api.module_name",
        "ISOMOR_WS": "ws.pattern",
        "ISOMOR_MODULE_FOLDER": "client.folder",
        "ISOMOR_WS_BASE_URL": "client.ws_base_url",
        "ISOMOR_HTTP_BASE_URL": "client.http_base_url",
    }
    assert (of["ISOMOR_WS_TIMEOUT"], of["ISOMOR_WATCH"]) == ("ws.timeout", "watch")


# --- precedence and sources


def test_precedence(tmp_path: Path) -> None:
    text = "\nserver:\n  port: 1001\n"
    dotenv = "# the port\nISOMOR_PORT=1002\n"
    environ = {"ISOMOR_PORT": "1003"}
    flags = {"server.port": 1004}

    def seen(**options: Any) -> tuple[int, str]:
        for name in ("isomor.env", "config/isomor.yaml"):
            (tmp_path / name).unlink(missing_ok=True)
        loaded = load(tmp_path, **options)
        return loaded.config.server.port, loaded.sources["server.port"]

    assert seen() == (3005, "default")
    assert seen(text=text) == (1001, "config/isomor.yaml line 3")
    assert seen(text=text, dotenv=dotenv) == (1002, "isomor.env line 2")
    assert seen(text=text, dotenv=dotenv, environ=environ) == (1003, "environment ISOMOR_PORT")
    assert seen(text=text, dotenv=dotenv, environ=environ, flags=flags) == (1004, "flag --port")


def test_a_bad_value_that_another_overrides_does_not_count(tmp_path: Path) -> None:
    assert load(tmp_path, {"ISOMOR_PORT": "4000"}, text="server: {port: many}").config.server.port == 4000


@pytest.mark.parametrize("empty", ["", "  "])
def test_an_empty_value_counts_as_unset(tmp_path: Path, empty: str) -> None:
    environ = {"ISOMOR_PORT": empty, "ISOMOR_CONFIG": empty, "ISOMOR_WRONG": empty, "ISOMOR_NO_VALIDATION": empty}
    loaded = load(tmp_path, environ, dotenv="ISOMOR_PORT=\n", text="server: {port: 1001}\nws: {pattern: '', timeout: }")
    assert (loaded.config.server.port, loaded.config.ws.timeout, loaded.warnings) == (1001, 60, ())


def test_flags(tmp_path: Path) -> None:
    (tmp_path / "build").mkdir()
    flags = {
        "server.host": None,
        "server.static_folder": tmp_path / "build",
        "ws.timeout": 0.5,
        "watch": True,
        "security.origins": ("https://a.example", "https://b.example"),
        "server.trusted_proxies": (),
    }
    loaded = load(
        tmp_path, {"ISOMOR_SERVER_TRUSTED_PROXIES": "::1", "ISOMOR_WS": "x"}, flags={**flags, "ws.pattern": ""}
    )
    config = loaded.config
    assert (config.server.host, config.server.static_folder) == ("0.0.0.0", tmp_path / "build")
    assert (config.ws.timeout, config.watch) == (0.5, True)
    assert config.security.origins == ("https://a.example", "https://b.example")
    assert config.server.trusted_proxies == (ipaddress.ip_network("::1"),), "an empty tuple is a flag not given"
    assert config.ws.pattern is None, "an empty flag takes back what another source has set"
    assert loaded.sources["ws.timeout"] == "flag --set ws.timeout"
    assert "did you mean server.port?" in fault(tmp_path, flags={"server.prot": 1})
    assert "flag --port" in fault(tmp_path, flags={"server.port": -1})
    assert "not a list" in fault(tmp_path, flags={"server.port": (1, 2)})


# --- values


@pytest.mark.parametrize(
    ("key", "text", "expected"),
    [
        ("server.host", "::1", "::1"),
        ("server.host", "localhost", "localhost"),
        ("server.port", "0", 0),
        ("server.drain_seconds", "0.25", 0.25),
        (
            "server.trusted_proxies",
            " 10.0.0.0/8, 192.0.2.7 ,",
            tuple(map(ipaddress.ip_network, ("10.0.0.0/8", "192.0.2.7"))),
        ),
        ("ws.pattern", "ws_.*", re.compile("ws_.*")),
        ("ws.timeout", "0", 0.0),
        ("max_message_size", "1000", 1000),
        ("max_message_size", "512KiB", 512 * 1024),
        ("max_message_size", "1.5 MB", 1_500_000),
        ("max_message_size", "2gib", 2 << 30),
        ("debug", "YES", True),
        ("debug", "1", True),
        ("debug", "on", True),
        ("client.enabled", "off", False),
        ("client.enabled", "0", False),
        ("client.enabled", "No", False),
        ("logging.level", "ERROR", "error"),
        (
            "security.origins",
            "HTTPS://App.Example:443,http://localhost:5173",
            ("https://app.example", "http://localhost:5173"),
        ),
        ("security.origins", "capacitor://localhost,http://[::1]:80", ("capacitor://localhost", "http://[::1]")),
        (
            "security.hosts",
            "App.example, *.b.example,[::1],localhost",
            ("app.example", "*.b.example", "[::1]", "localhost"),
        ),
        ("client.ws_base_url", "wss://example.com/", "wss://example.com"),
        ("client.http_base_url", "https://example.com/app", "https://example.com/app"),
        ("redis.url", "redis://:p%40ss@redis:6379/0", "redis://:p%40ss@redis:6379/0"),
        ("redis.url", "redis:///1", "redis:///1"),
        ("redis.url", "unix:///run/redis.sock?db=1", "unix:///run/redis.sock?db=1"),
        ("redis.url", "unix://me:pass@/run/redis.sock", "unix://me:pass@/run/redis.sock"),
        ("redis.url", "redis+sentinel://a:1,[::1]:2/main/0", "redis+sentinel://a:1,[::1]:2/main/0"),
        ("redis.url", "redis+cluster://a:1, redis+cluster://b:2", ("redis+cluster://a:1", "redis+cluster://b:2")),
    ],
)
def test_values_from_the_environment(tmp_path: Path, key: str, text: str, expected: Any) -> None:
    variable = next(s.variable for s in SETTINGS if s.key == key)
    assert value(load(tmp_path, {variable: text}).config, key) == expected


def test_values_from_yaml_stay_as_written(tmp_path: Path) -> None:
    config = load(
        tmp_path,
        text="""
        server: {trusted_proxies: [10.0.0.0/8], drain_seconds: 1.10, static_folder: ~}
        ws: {pattern: on, max_outbox_bytes: 65536}
        max_message_size: 4MiB
        debug: yes
        watch: "true"
        redis:
          url: [redis+sentinel://a:1/main, redis+sentinel://b:1/main]
          prefix: 2024-01-01
        security: {origins: "https://a.example, https://b.example"}
        logging:
        """,
    ).config
    assert config.server.trusted_proxies == (ipaddress.ip_network("10.0.0.0/8"),)
    assert config.ws.pattern == re.compile("on")
    assert (config.ws.max_outbox_bytes, config.max_message_size, config.debug, config.watch) == (
        65536,
        4 << 20,
        True,
        True,
    )
    assert config.redis.url == ("redis+sentinel://a:1/main", "redis+sentinel://b:1/main")
    assert (config.redis.prefix, config.security.origins) == ("2024-01-01", ("https://a.example", "https://b.example"))


def test_relative_paths_start_at_the_working_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("build", "config"):
        (tmp_path / name).mkdir()
    (tmp_path / "config/cert.pem").touch()
    text = (
        "server: {static_folder: build, tls_cert: config/cert.pem, tls_key: ./config/cert.pem}\napi: {folder: /srv/api}"
    )
    monkeypatch.chdir(tmp_path.parent)
    config = load(Path(tmp_path.name), text=text).config
    assert (config.server.static_folder, config.server.tls_cert) == (tmp_path / "build", tmp_path / "config/cert.pem")
    assert (config.server.tls_key, config.api.folder) == (tmp_path / "config/cert.pem", Path("/srv/api"))
    assert config.client.folder == tmp_path / "isomor-client"


# --- variables


def test_the_regular_form_works_beside_isomor_3s(tmp_path: Path) -> None:
    loaded = load(tmp_path, {"ISOMOR_SERVER_PORT": "4000", "ISOMOR_API_FOLDER": "src", "ISOMOR_WS_PATTERN": "a"})
    assert (loaded.config.server.port, loaded.config.api.folder) == (4000, tmp_path / "src")
    assert loaded.sources["server.port"] == "environment ISOMOR_SERVER_PORT"
    assert load(tmp_path, {"ISOMOR_SERVER_PORT": "4000", "ISOMOR_PORT": "4000"}).config.server.port == 4000
    both = fault(tmp_path, {"ISOMOR_SERVER_PORT": "4000", "ISOMOR_PORT": "4001"})
    assert both == "server.port: ISOMOR_PORT and ISOMOR_SERVER_PORT are both set, and differ; remove one"


def test_file_twins(tmp_path: Path) -> None:
    (tmp_path / "port").write_text("4000\n")
    (tmp_path / "url").write_text(f"redis://:{SECRET}@redis\n")
    (tmp_path / "empty").write_text(" \n")
    (tmp_path / "binary").write_bytes(b"\xff\xfe\xff")
    loaded = load(tmp_path, {"ISOMOR_PORT_FILE": "port"}, dotenv=f"ISOMOR_REDIS_URL_FILE={tmp_path}/url")
    assert (loaded.config.server.port, loaded.config.redis.url) == (4000, f"redis://:{SECRET}@redis")
    assert loaded.sources["server.port"] == "environment ISOMOR_PORT_FILE"
    assert loaded.sources["redis.url"] == "isomor.env line 1"
    assert load(tmp_path, {"ISOMOR_SERVER_PORT_FILE": "port"}).config.server.port == 4000
    (tmp_path / "isomor.env").unlink()

    both = fault(tmp_path, {"ISOMOR_PORT_FILE": "port", "ISOMOR_PORT": "4000"})
    assert both == "server.port: ISOMOR_PORT and ISOMOR_PORT_FILE are both set; remove one"
    # With workers: a URL that cannot be read is one fault, not also one that is missing.
    for name, why in (
        ("missing", "No such file"),
        (".", "directory"),
        ("empty", "is empty"),
        ("binary", "not a text file"),
    ):
        only = fault(tmp_path, {"ISOMOR_REDIS_URL_FILE": name, "ISOMOR_WORKERS": "2"})
        assert only.startswith("ISOMOR_REDIS_URL_FILE = ")
        assert repr(name) in only
        assert why in only


def test_unknown_variables(tmp_path: Path) -> None:
    assert fault(tmp_path, {"ISOMOR_PROT": "1"}) == (
        "variable 'ISOMOR_PROT' (environment ISOMOR_PROT) is unknown: did you mean ISOMOR_PORT?"
    )
    assert "did you mean ISOMOR_CONFIG?" in fault(tmp_path, {"ISOMOR_CONFIG_FILE": "x"})
    assert "docs/configuration.md" in fault(tmp_path, {"ISOMOR_QQQQQQQQQQQQQ": "x"})
    assert "isomor.env line 2" in fault(tmp_path, dotenv="OTHER=1\nISOMOR_PROT=1")
    (tmp_path / "isomor.env").unlink()
    load(tmp_path, {"isomor_port": "x", "MY_ISOMOR_PORT": "x", "ISOMOR": "x"})


@pytest.mark.parametrize(
    ("name", "advice"),
    [
        ("ISOMOR_NO_VALIDATION", "always validated"),
        ("ISOMOR_DIST_SERVER_FOLDER", "ISOMOR_SRC_FOLDER"),
        ("ISOMOR_SERVER_FOLDER", "ISOMOR_SRC_FOLDER"),
        ("ISOMOR_DIST_FOLDER", "ISOMOR_SRC_FOLDER"),
        ("ISOMOR_STARTUP_FILE", "startup.py"),
        ("ISOMOR_EXTENSIONS", ".py"),
        ("ISOMOR_JSON_SCHEMA_FOLDER", "type hints"),
        ("ISOMOR_SKIP_BUILD", "no build step"),
        ("ISOMOR_PKG_NAME", "ISOMOR_MODULE_NAME"),
    ],
)
def test_isomor_3s_other_variables_get_a_warning(tmp_path: Path, name: str, advice: str) -> None:
    (warning,) = load(tmp_path, {name: "true"}).warnings
    assert warning.startswith(f"{name} (environment {name})")
    assert advice in warning


def test_what_kubernetes_injects_is_ignored(tmp_path: Path) -> None:
    injected = {
        "ISOMOR_SERVICE_HOST": "10.0.0.1",
        "ISOMOR_SERVICE_PORT": "3005",
        "ISOMOR_SERVICE_PORT_HTTP": "3005",
        "ISOMOR_PORT": "tcp://10.0.0.1:3005",
        "ISOMOR_PORT_3005_TCP": "tcp://10.0.0.1:3005",
        "ISOMOR_PORT_3005_TCP_ADDR": "10.0.0.1",
        "ISOMOR_PORT_3005_TCP_PORT": "3005",
        "ISOMOR_PORT_3005_TCP_PROTO": "tcp",
        # and for Services named isomor-server and isomor-redis
        "ISOMOR_SERVER_PORT": "udp://10.0.0.1:3005",
        "ISOMOR_REDIS_SERVICE_HOST": "10.0.0.2",
        "ISOMOR_REDIS_SERVICE_PORT_REDIS": "6379",
        "ISOMOR_REDIS_PORT": "tcp://10.0.0.2:6379",
        "ISOMOR_REDIS_PORT_6379_TCP_ADDR": "10.0.0.2",
    }
    loaded = load(tmp_path, injected)
    assert (loaded.config.server.port, loaded.warnings) == (3005, ())
    assert load(tmp_path, {**injected, "ISOMOR_SERVER_PORT": "4000"}).config.server.port == 4000
    assert "0 to 65535" in fault(tmp_path, {"ISOMOR_PORT": "10.0.0.1:3005"})


# --- isomor.env


def test_dotenv(tmp_path: Path) -> None:
    loaded = load(
        tmp_path,
        dotenv="\ufeff# comment\n\n  export ISOMOR_HOST = localhost  # here\nISOMOR_PORT='4000'\n"
        'ISOMOR_WS="ws_\\d+ \\"#\\" \\\\." # after\nDATABASE_URL=x\nISOMOR_REDIS_URL=redis://:a#b@\n'
        "ISOMOR_REDIS_URL=redis://h\nISOMOR_MODULE_NAME=first\nISOMOR_MODULE_NAME=\n",
    )
    assert (loaded.config.server.host, loaded.config.server.port) == ("localhost", 4000)
    assert loaded.config.ws.pattern == re.compile('ws_\\d+ "#" \\.')
    assert (loaded.config.redis.url, loaded.config.api.module_name) == ("redis://h", "api")
    assert loaded.sources["redis.url"] == "isomor.env line 8"


@pytest.mark.parametrize("line", ["ISOMOR_PORT", "=1", "ISOMOR_PORT='1", 'ISOMOR_PORT="1', "ISOMOR_PORT='1'2", "A B=1"])
def test_dotenv_faults(tmp_path: Path, line: str) -> None:
    only = fault(tmp_path, dotenv=f"\n{line}{SECRET}")
    assert only.startswith("isomor.env line 2: not NAME=value")
    assert SECRET not in only


def test_dotenv_that_cannot_be_read(tmp_path: Path) -> None:
    (tmp_path / "isomor.env").mkdir()  # as Docker makes it where a file to mount is missing
    assert "isomor.env cannot be read: Is a directory" in fault(tmp_path)
    (tmp_path / "isomor.env").rmdir()
    (tmp_path / "isomor.env").write_bytes(b"\xff")
    assert "not UTF-8" in fault(tmp_path)


# --- YAML


def test_isomor_config_names_the_yaml(tmp_path: Path) -> None:
    (tmp_path / "other.yaml").write_text("server:\n  port: 4000\n")
    text = "server: {port: 1}"
    loaded = load(tmp_path, {"ISOMOR_CONFIG": "other.yaml"}, text=text)
    assert (loaded.config.server.port, loaded.sources["server.port"]) == (4000, "other.yaml line 2")
    assert load(tmp_path, dotenv="ISOMOR_CONFIG=other.yaml").config.server.port == 4000
    (tmp_path / "isomor.env").unlink()
    missing = fault(tmp_path, {"ISOMOR_CONFIG": "missing.yaml", "ISOMOR_WORKERS": "2"})
    assert missing.startswith("missing.yaml (environment ISOMOR_CONFIG) cannot be read: No such file")


@pytest.mark.parametrize("text", ["", "# nothing\n", "~", "server:\nredis: null\n", "---\n...\n"])
def test_yaml_that_sets_nothing(tmp_path: Path, text: str) -> None:
    assert set(load(tmp_path, text=text).sources.values()) == {"default"}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("- a", "the file (config/isomor.yaml line 1) is no mapping"),
        ("3", "the file (config/isomor.yaml line 1) is no mapping"),
        ("server: 3005", "server (config/isomor.yaml line 1) is no mapping"),
        ("server:\n  prot: 1", "key 'server.prot' (config/isomor.yaml line 2) is unknown: did you mean server.port?"),
        ("port: 1", "key 'port' (config/isomor.yaml line 1) is unknown: did you mean server.port?"),
        ("sever: {port: 1}", "key 'sever' (config/isomor.yaml line 1) is unknown"),
        ("[a]: 1", "is unknown"),
        ("debug: true\ndebug: false", "debug (config/isomor.yaml line 2) is given twice"),
        ("server:\n  port: {a: 1}", "server.port (config/isomor.yaml line 2) holds keys or lists"),
        ("server:\n  port: [[1]]", "server.port (config/isomor.yaml line 2) holds keys or lists"),
        ("server:\n  port: [1]", "one value is expected, not a list"),
        ("redis:\n  url: []", "the list is empty"),
        ("server:\n  host: 'a\n", "config/isomor.yaml line 3: not YAML"),
        ("a: b: c", "config/isomor.yaml line 1: not YAML: mapping values are not allowed here"),
        (f"\nredis:\n  url: *{SECRET}", "config/isomor.yaml line 3: not YAML: found undefined alias"),
        ("a: 1\n---\nb: 2", "not YAML"),
        ("a: \x07", "cannot be read"),
        ('a: "\\UFFFFFFFF"', "cannot be read"),
        ("[" * 5000, "cannot be read"),
    ],
)
def test_yaml_faults(tmp_path: Path, text: str, expected: str) -> None:
    only = fault(tmp_path, text=text)
    assert expected in only
    assert SECRET not in only


def test_yaml_that_cannot_be_read(tmp_path: Path) -> None:
    (tmp_path / "config/isomor.yaml").mkdir(parents=True)
    assert "Is a directory" in fault(tmp_path)
    (tmp_path / "config/isomor.yaml").rmdir()
    (tmp_path / "config/isomor.yaml").write_bytes(b"debug: \xff")
    assert "save it as plain YAML" in fault(tmp_path)


# --- faults of values


@pytest.mark.parametrize(
    ("key", "bad", "why"),
    [
        ("server.host", "http://localhost", "IP address or a host name"),
        ("server.host", "localhost:3005", "the port is server.port"),
        ("server.port", "65536", "0 to 65535"),
        ("server.port", "-1", "0 to 65535"),
        ("server.port", "3005.0", "whole number"),
        ("server.port", "٣", "whole number"),
        ("server.port", "9" * 5000, "whole number"),
        ("server.workers", "0", "from 1"),
        ("server.drain_seconds", "-1", "seconds"),
        ("server.drain_seconds", "8s", "without a unit"),
        ("server.trusted_proxies", "10.0.0.1/8", "has host bits set"),
        ("server.trusted_proxies", "10.0.0.0/8, proxy", "such as 10.0.0.0/8"),
        ("server.static_folder", "missing", "is not a folder"),
        ("server.static_folder", "a-file", "is not a folder"),
        ("server.static_folder", "x" * 5000, "is not a folder"),
        ("api.folder", "a\0b", "path"),
        ("api.module_name", "my-api", "identifier"),
        ("api.module_name", "class", "keyword"),
        ("api.module_name", "größe", "identifier"),
        ("api.module_name", "json", "exists already"),
        ("api.module_name", "isomor", "exists already"),
        ("ws.pattern", "ws_(", "not a regular expression: missing )"),
        ("ws.pattern", "*", "nothing to repeat"),
        ("ws.pattern", "a{99999999999999}", "not a regular expression"),
        ("ws.timeout", "nan", "seconds"),
        ("ws.timeout", "inf", "seconds"),
        ("ws.timeout", "99999999", "seconds"),
        ("ws.max_calls_in_flight", "0", "from 1"),
        ("ws.max_outbox_bytes", "1M", "1MiB"),
        ("max_message_size", "0", "from 1"),
        ("max_message_size", "0.3KiB", "whole number of bytes"),
        ("max_message_size", "9999GiB", "whole number of bytes"),
        ("max_message_size", "-1", "number of bytes"),
        ("threads", "many", "whole number"),
        ("debug", "maybe", "true or false"),
        ("redis.prefix", "a b", "letters"),
        ("client.ws_base_url", "http://a", "ws:// or wss://"),
        ("client.http_base_url", "example.com", "http:// or https://"),
        ("client.http_base_url", "http://a:x", "http:// or https://"),
        ("security.origins", "example.com", "scheme://host"),
        ("security.origins", "https://example.com/", "scheme://host"),
        ("security.origins", "https://a.example,*", "scheme://host"),
        ("security.origins", "https://a.example:70000", "scheme://host"),
        ("security.hosts", "https://example.com", "without scheme and port"),
        ("security.hosts", "example.com:80", "without scheme and port"),
        ("security.hosts", "*", "without scheme and port"),
        ("security.get_calls", "none", "all, cached"),
        ("logging.level", "loud", "debug, info, warning, error"),
        ("logging.format", "xml", "text, json"),
    ],
)
def test_bad_values_are_named(tmp_path: Path, key: str, bad: str, why: str) -> None:
    (tmp_path / "a-file").touch()
    variable = next(s.variable for s in SETTINGS if s.key == key)
    only = fault(tmp_path, {variable: bad})
    shown = repr(bad) if len(bad) <= 80 else repr(bad[:80] + "…")
    assert only.startswith(f"{key} = {shown} (environment {variable}): ")
    assert why in only


@pytest.mark.parametrize("url", ["https://me:hidden@example.com", "https://hidden@example.com"])
def test_a_base_url_of_the_client_holds_no_password(tmp_path: Path, url: str) -> None:
    with pytest.raises(ConfigError, match="without a user") as caught:
        load(tmp_path, {"ISOMOR_HTTP_BASE_URL": url})
    assert "hidden" not in str(caught.value)


@pytest.mark.parametrize("which", ["tls_cert", "tls_key"])
def test_tls(tmp_path: Path, which: str) -> None:
    (tmp_path / "a.pem").touch()
    other = "tls_key" if which == "tls_cert" else "tls_cert"
    only = fault(tmp_path, text=f"server: {{{which}: a.pem}}")
    assert only == (
        f"server.{which} = '{tmp_path}/a.pem' (config/isomor.yaml line 1) needs server.{other}; "
        f"set ISOMOR_SERVER_{other.upper()} too, or neither"
    )
    missing = fault(tmp_path, text="server: {tls_cert: a.pem, tls_key: b.pem}")
    assert f"server.tls_key = 'b.pem' (config/isomor.yaml line 1): '{tmp_path}/b.pem' is not a file" in missing


def test_workers(tmp_path: Path) -> None:
    only = fault(tmp_path, {"ISOMOR_WORKERS": "2"})
    assert only.startswith("server.workers = 2 (environment ISOMOR_WORKERS) needs redis.url")
    assert "set ISOMOR_REDIS_URL, or one worker" in only
    redis = {"ISOMOR_REDIS_URL": "redis://redis"}
    assert load(tmp_path, {"ISOMOR_WORKERS": "2", **redis}).config.server.workers == 2
    watch = fault(tmp_path, {"ISOMOR_WORKERS": "2", "ISOMOR_WATCH": "true", **redis})
    assert "server.workers = 2" in watch
    assert "watch = true (environment ISOMOR_WATCH)" in watch
    bad = fault(tmp_path, {"ISOMOR_WORKERS": "2", "ISOMOR_REDIS_URL": "http://redis"})
    assert bad.startswith("redis.url"), "a URL that is bad is not missing as well"


def test_connections(tmp_path: Path) -> None:
    env = {"ISOMOR_SERVER_MAX_CONNECTIONS": "10", "ISOMOR_SERVER_MAX_CONNECTIONS_PER_ADDRESS": "11"}
    said = fault(tmp_path, env)
    for part in ("server.max_connections_per_address = 11", "server.max_connections = 10", "lower it"):
        assert part in said
    assert load(tmp_path, env | {"ISOMOR_SERVER_MAX_CONNECTIONS": "11"}).config.server.max_connections == 11


def test_calls_per_second(tmp_path: Path) -> None:
    said = fault(tmp_path, {"ISOMOR_MAX_CALLS_BURST": "50", "ISOMOR_MAX_CALLS_PER_SECOND": "0"})
    assert said.startswith("max_calls_burst = 50 (environment ISOMOR_MAX_CALLS_BURST) limits nothing")
    assert "ISOMOR_MAX_CALLS_PER_SECOND" in said
    config = load(tmp_path, {"ISOMOR_MAX_CALLS_BURST": "50", "ISOMOR_MAX_CALLS_PER_SECOND": "10"}).config
    assert (config.max_calls_burst, config.max_calls_per_second) == (50, 10)


def test_time_of_requests(tmp_path: Path) -> None:
    env = {"ISOMOR_SERVER_HEAD_TIMEOUT": "20", "ISOMOR_SERVER_REQUEST_TIMEOUT": "10"}
    said = fault(tmp_path, env)
    for part in ("server.request_timeout = 10", "server.head_timeout = 20", "ISOMOR_SERVER_HEAD_TIMEOUT", "raise"):
        assert part in said
    assert load(tmp_path, env | {"ISOMOR_SERVER_REQUEST_TIMEOUT": "20"}).config.server.request_timeout == 20


def test_all_faults_at_once(tmp_path: Path) -> None:
    found = faults(
        tmp_path,
        {"ISOMOR_PORT": "x", "ISOMOR_WROKERS": "2", "ISOMOR_HOST_FILE": "missing", "ISOMOR_WORKERS": "2"},
        dotenv="broken\nISOMOR_WS=(\n",
        text="server: {prot: 1}\nthreads: 0\n",
        flags={"logging.level": "loud", "nothing": 1},
    )
    expected = [
        "isomor.env line 1",
        "server.prot",
        "nothing",
        "ISOMOR_HOST_FILE",
        "ISOMOR_WROKERS",
        "server.port = 'x'",
    ]
    expected += ["ws.pattern = '('", "threads = '0'", "logging.level = 'loud'", "server.workers = 2"]
    assert len(found) == len(expected)
    for part in expected:
        assert len([one for one in found if part in one]) == 1, part
    assert all("\n" not in one for one in found)


# --- secrets

BAD_URLS = [
    f"http://:{SECRET}@redis",
    f":{SECRET}@redis:6379",
    SECRET,
    f"redis:{SECRET}",
    f"redis://:{SECRET}",
    f"redis://redis:{SECRET}",
    f"redis://:{SECRET}/x@redis",
    f"redis://:12/{SECRET}@redis",
    f"redis://:12#{SECRET}@redis",
    f"redis://u:12,{SECRET}@redis",
    f"redis://redis:port/?password={SECRET}",
    f"redis://[{SECRET}@redis",
    f"redis://:{SECRET}\u2100@redis:x",
    f"redis://:{SECRET} @redis",
    f"unix://?password={SECRET}",
    f"redis+sentinel://:{SECRET}@/main",
    f"redis+cluster://a:1,:{SECRET}@b:2",
]


@pytest.mark.parametrize("url", BAD_URLS)
def test_faults_hide_secrets(tmp_path: Path, url: str) -> None:
    for options in (
        {"environ": {"ISOMOR_REDIS_URL": url}},
        {"dotenv": f'ISOMOR_REDIS_URL="{url}"'},
        {"text": json.dumps({"redis": {"url": ["redis://a", url]}})},
        {"flags": {"redis.url": url}},
    ):
        only = fault(tmp_path, **options)
        assert only.startswith("redis.url = ")
        assert SECRET not in only
        for name in ("isomor.env", "config/isomor.yaml"):
            (tmp_path / name).unlink(missing_ok=True)


def test_faults_hide_secrets_that_stand_elsewhere(tmp_path: Path) -> None:
    environ = {
        "ISOMOR_REDIS_PASSWORD": SECRET,
        "ISOMOR_HTTP_BASE_URL": f"ftp://me:{SECRET}@host",
        "ISOMOR_REDIS_URL_FILE": f"redis://:{SECRET}@redis",
    }
    found = faults(tmp_path, environ, text=f"redis: {{password: {SECRET}}}")
    assert len(found) == 4
    assert SECRET not in "".join(found)


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        (f"redis://:{SECRET}@redis:6379/0", "redis://:***@redis:6379/0"),
        (f"rediss://me:{SECRET}@redis", "rediss://me:***@redis"),
        (f"redis://{SECRET}@redis", "redis://***@redis"),
        (f"unix://me:{SECRET}@/run/redis.sock?db=1", "unix://me:***@/run/redis.sock?db=1"),
        (f"redis://redis/0?password={SECRET}&db=1", "redis://redis/0?password=***&db=1"),
        (f"redis://redis/0?db=1&p%61ssword={SECRET}", "redis://redis/0?db=1&p%61ssword=***"),
        (
            f"redis+sentinel://:{SECRET}@a:1,b:2/main?sentinel_password={SECRET}",
            "redis+sentinel://:***@a:1,b:2/main?sentinel_password=***",
        ),
        (f"redis+cluster://:{SECRET}@a, redis+cluster://:{SECRET}@b", "redis+cluster://:***@a, redis+cluster://:***@b"),
    ],
)
def test_describe_hides_secrets(tmp_path: Path, url: str, shown: str) -> None:
    loaded = load(tmp_path, {"ISOMOR_REDIS_URL": url})
    assert ("redis.url", shown, "environment ISOMOR_REDIS_URL") in describe(loaded)
    assert SECRET not in repr(loaded)


# --- secrets, for the log to hide


@pytest.mark.parametrize(
    ("url", "hidden"),
    [
        (f"redis://:{SECRET}@redis", {SECRET}),
        (f"redis://me:{SECRET}%2F@redis", {f"{SECRET}%2F", f"{SECRET}/"}),
        (f"redis://redis?password={SECRET}&sentinel_password=0ther-secret", {SECRET, "0ther-secret"}),
        ("redis://redis", set()),
        # A user's name is in every other line, and where a key lies is no secret.
        ("redis://default@redis", set()),
        ("redis://me@redis/0?ssl_keyfile=/app/tls/client.pem", set()),
    ],
)
def test_what_the_log_hides(tmp_path: Path, url: str, hidden: set[str]) -> None:
    secrets = secrets_of(load(tmp_path, {"ISOMOR_REDIS_URL": url}).config)
    assert secrets.hidden == hidden
    assert secrets.weak == ()
    assert secrets.warning() is None


@pytest.mark.parametrize(
    "url",
    [
        "redis://:isomor@redis",
        "redis://:Redis@h",
        "redis://:x7@h",
        "redis://h?password=%69somor",
        "redis://:cache-of-us@cache-of-us",
        "redis://application:application@h",
        "redis://:function-folder@h",
        "redis://:channel-prefix@h",
        "redis://:connections@h",
    ],
)
def test_a_password_that_is_a_word_of_the_log_is_not_hidden_in_it(tmp_path: Path, url: str) -> None:
    (tmp_path / "function-folder").mkdir()
    environ = {
        "ISOMOR_REDIS_URL": url,
        "ISOMOR_SRC_FOLDER": "function-folder",
        "ISOMOR_REDIS_PREFIX": "channel-prefix",
    }
    secrets = secrets_of(load(tmp_path, environ).config)
    assert secrets.weak == ("redis.url",)
    assert "the password in redis.url is too weak" in str(secrets.warning())
    assert secrets.hidden == set()


def test_describe(tmp_path: Path) -> None:
    environ = {
        "ISOMOR_WS": "ws_.*",
        "ISOMOR_SECURITY_ORIGINS": "https://a.example,https://b.example",
        "ISOMOR_DEBUG": "1",
    }
    rows = describe(load(tmp_path, environ, flags={"ws.timeout": 0.5}))
    assert [key for key, _, _ in rows] == [s.key for s in SETTINGS]
    shown = {key: (value, source) for key, value, source in rows}
    assert shown["ws.pattern"] == ("ws_.*", "environment ISOMOR_WS")
    assert shown["security.origins"][0] == "https://a.example, https://b.example"
    assert shown["debug"][0] == "true"
    assert shown["ws.timeout"] == ("0.5", "flag --set ws.timeout")
    assert shown["call_timeout"] == ("30", "default")
    assert shown["server.trusted_proxies"] == shown["redis.url"] == ("none", "default")
    assert shown["max_message_size"][0] == "1048576"
    assert shown["api.folder"][0] == str(tmp_path / "api")


# --- files written from the table


def uncommented() -> str:
    first, rest = (ROOT / "config/isomor.yaml").read_text().split("\n", 1)
    assert first == "# yaml-language-server: $schema=./schema.json"
    return re.sub(r"(?m)^( *)# ?", r"\1", rest)


def test_the_yaml_holds_every_key_with_its_default(tmp_path: Path) -> None:
    text = (ROOT / "config/isomor.yaml").read_text()
    assert text == to_yaml(SETTINGS), "write it anew: python -m isomor.config yaml > config/isomor.yaml"
    as_it_is = load(tmp_path, text=text)
    assert set(as_it_is.sources.values()) == {"default"}
    loaded = load(tmp_path, text=uncommented())
    assert loaded.config == as_it_is.config
    tree = yaml.safe_load(uncommented())
    keys = [f"{name}.{inner}" for name, part in tree.items() if isinstance(part, dict) for inner in part]
    keys += [name for name, part in tree.items() if not isinstance(part, dict)]
    assert sorted(keys) == sorted(s.key for s in SETTINGS)
    # none stands for itself; every other default was truly read from the file
    assert {key for key, source in loaded.sources.items() if source == "default"} == {
        s.key for s in SETTINGS if s.default is None
    }


def test_the_json_schema_is_current_and_true() -> None:
    text = (ROOT / "config/schema.json").read_text()
    assert text == to_json_schema(SETTINGS), "write it anew: python -m isomor.config schema > config/schema.json"
    schema = json.loads(text)
    jsonschema.Draft202012Validator.check_schema(schema)
    validator = jsonschema.Draft202012Validator(schema)
    for good in (
        yaml.safe_load(uncommented()),
        yaml.safe_load((ROOT / "config/isomor.yaml").read_text()),
        {
            "redis": {"url": ["redis+cluster://a"]},
            "max_message_size": 1,
            "ws": {"max_outbox_bytes": "512KiB", "timeout": 0.5},
        },
    ):
        validator.validate(good)
    for bad in (
        {"prot": 1},
        {"server": {"prot": 1}},
        {"server": {"port": 65536}},
        {"server": {"port": "x"}},
        {"debug": "maybe"},
        {"logging": {"level": "loud"}},
        {"max_message_size": "1M"},
        {"ws": {"timeout": -1}},
        {"security": {"origins": [1]}},
        [],
    ):
        assert not validator.is_valid(bad), bad


DOCS = (ROOT / "docs/configuration.md").read_text()


def test_the_documentation_is_current() -> None:
    table = DOCS.partition("<!-- settings: begin")[2].partition("\n")[2].partition("<!-- settings: end -->")[0]
    assert table == to_markdown(SETTINGS), "write it anew: python -m isomor.config docs"


def test_the_documentations_examples_work(tmp_path: Path) -> None:
    (tmp_path / "my build").mkdir()
    blocks = dict(re.findall(r"(?s)```(\w+)\n(.*?)```", DOCS))
    loaded = load(tmp_path, dotenv=blocks["sh"], text=blocks["yaml"])
    assert loaded.config.server.static_folder == tmp_path / "my build"
    assert (loaded.config.server.port, loaded.config.max_message_size) == (8080, 4 << 20)
    assert set(loaded.sources.values()) - {"default"} == {
        *(f"isomor.env line {n}" for n in (2, 3, 4)),
        *(f"config/isomor.yaml line {n}" for n in (2, 3, 6)),
    }


@pytest.mark.parametrize("what", ["yaml", "schema", "docs"])
def test_the_helper_prints_them(what: str) -> None:
    done = subprocess.run([sys.executable, "-m", "isomor.config", what], capture_output=True, text=True, check=True)
    assert done.stdout == {"yaml": to_yaml, "schema": to_json_schema, "docs": to_markdown}[what](SETTINGS)


# --- anything at all

texts = st.text(max_size=30) | st.sampled_from(
    ["redis://:p@h", "redis://[", "1MiB", "true", "[[a]", "tcp://x", "10.0.0.0/8", "https://a", "..", "\ud800", "ﬀ://x"]
)
names = st.sampled_from(
    [n + twin for s in SETTINGS for n in {s.variable, s.regular} for twin in ("", "_FILE")]
) | st.builds("ISOMOR_{}".format, st.text(max_size=8))
scalars = texts | st.none() | st.booleans() | st.integers() | st.floats()
keys = st.sampled_from([s.key.rpartition(".")[2] for s in SETTINGS] + ["server", "ws", "redis"]) | st.text(max_size=8)
trees = st.recursive(scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(keys, inner, max_size=4))
files = st.one_of(
    trees.map(yaml.safe_dump),
    st.dictionaries(st.sampled_from(["server", "ws", "redis", "api"]), st.dictionaries(keys, trees)).map(
        yaml.safe_dump
    ),
    st.text(max_size=80),
    st.text(alphabet="{}[]&*!|>'\"%#-?:, \n\tab<0~", max_size=40),
).map(lambda text: text.encode("utf-8", "surrogatepass"))


@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.dictionaries(names, texts, max_size=4),
    files,
    st.text(max_size=60),
    st.dictionaries(st.sampled_from([s.key for s in SETTINGS]), scalars, max_size=3),
)
@example({"ISOMOR_WS": "[[a]"}, b"", "", {})
@example({"ISOMOR_API_FOLDER": "\ud800"}, b'server: {static_folder: "\\uD800"}', "", {})
def test_any_input_gives_a_config_or_a_config_error(
    tmp_path: Path, environ: dict[str, str], text: bytes, dotenv: str, flags: dict[str, object]
) -> None:
    (tmp_path / "config").mkdir(exist_ok=True)
    (tmp_path / "config/isomor.yaml").write_bytes(text)
    (tmp_path / "isomor.env").write_bytes(dotenv.encode("utf-8", "surrogatepass"))
    try:
        loaded = load_config(flags, environ, tmp_path)
    except ConfigError:
        return
    assert isinstance(loaded.config, Config)
    assert len(describe(loaded)) == len(SETTINGS)
