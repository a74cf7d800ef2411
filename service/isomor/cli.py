"""The commands (DESIGN: docs/commands.md). Each reads the configuration in the same way and says what is wrong."""

from __future__ import annotations

import json
import logging
import os
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import click

import isomor

from . import client_call, logs
from .config import Config, Loaded, describe, load_config, secrets_of
from .errors import BusUnavailable, ConfigError, LoadError, StartupError
from .hiding import hide
from .loader import Registry, load
from .metrics.recorder import Metrics
from .server import descriptors, sockets, workers

if TYPE_CHECKING:
    from .client.build import Built

logger = logging.getLogger("isomor")


def main() -> None:
    """Run `isomor`."""
    cli(prog_name="isomor")


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(isomor.__version__, prog_name="isomor")
def cli() -> None:
    """Call Python functions from the browser as if they were local."""


def _settings(function: Any) -> Any:
    options = [
        click.option("--config", "config_file", metavar="FILE", help="The YAML file, in place of config/isomor.yaml."),
        click.option("--set", "settings", multiple=True, metavar="KEY=VALUE", help="Any setting, such as threads=8."),
        click.option("--api", "api_folder", metavar="FOLDER", help="The api folder (api.folder)."),
        click.option("--ws", "ws_pattern", metavar="PATTERN", help="Which functions go over WebSocket (ws.pattern)."),
        click.option("--port", metavar="PORT", help="The port (server.port)."),
        click.option("--host", metavar="HOST", help="The address to listen on (server.host)."),
    ]
    for option in options:
        function = option(function)
    return function


def _load_config(values: dict[str, Any]) -> Loaded:
    """The configuration; where it has faults, they are printed and the process ends with 1."""
    flags: dict[str, object] = {
        "server.host": values.get("host"),
        "server.port": values.get("port"),
        "api.folder": values.get("api_folder"),
        "ws.pattern": values.get("ws_pattern"),
        "server.workers": values.get("workers"),
        "watch": True if values.get("watch") else None,
    }
    for setting in values.get("settings") or ():
        key, equals, value = setting.partition("=")
        if not equals:
            _fail([f"--set {hide(setting)}: give KEY=VALUE, such as --set threads=8"])
        flags[key.strip()] = value
    environ = dict(os.environ)
    if values.get("config_file"):
        environ["ISOMOR_CONFIG"] = values["config_file"]
    try:
        loaded = load_config(flags, environ=environ)
    except ConfigError as error:
        _fail(error.faults)
    return loaded


def _fail(faults: list[str]) -> NoReturn:
    for fault in faults:
        # A fault may tell what a module of the user's has raised, in lines and with URLs of its own.
        shown = "\n  ".join(map(logs.one_line, logs.hide(fault).splitlines()))
        click.echo(f"error: {shown}", err=True)
    sys.exit(1)


def _load_registry(config: Config, keep: Registry | None = None) -> Registry:
    namespace = {name: getattr(isomor, name) for name in isomor.__all__} | {"isomor": isomor}
    return load(
        config.api.folder,
        module_name=config.api.module_name,
        ws_pattern=config.ws.pattern,
        namespace=namespace,
        keep=keep,
    )


def _print_functions(registry: Registry) -> None:
    width = max((len(function.name) for function in registry.functions.values()), default=0)
    for function in registry.functions.values():
        click.echo(f"  {function.name:<{width}}  {function.transport:<4}  {function.path}")
    for note in registry.notes:
        click.echo(f"  note: {note}")


@cli.command()
@_settings
@click.option("--workers", metavar="N", help="Processes that serve (server.workers); more than one needs Redis.")
@click.option("--watch", is_flag=True, help="Load functions anew when their files change.")
def serve(**values: Any) -> None:
    """Serve the api folder until SIGTERM or Ctrl-C."""
    from .server import app

    # Until the event loop listens for it. In a container, as process 1, it would not even end us by default.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    loaded = _load_config(values)
    config = loaded.config
    secrets = secrets_of(config)
    logs.set_up(config.logging.level, config.logging.format, secrets.hidden)
    logs.catch_uncaught()
    place = workers.Place() if workers.VARIABLE in os.environ else None
    try:
        registry = _load_registry(config)
    except LoadError as error:
        click.echo(f"error: {config.api.folder} cannot be served:", err=True)
        _fail(error.faults)
    descriptors.make_room(config)
    try:
        if place is not None:
            sock = sockets.bind(config, place.port, shared=True)
            metrics = place.metrics() if config.metrics.enabled else None
            app.serve(config, registry, sock, place.say_ready, lifeline=place.lifeline, metrics=metrics)
            return
        for warning in filter(None, [*loaded.warnings, descriptors.warning(config), secrets.warning()]):
            logger.warning(warning)
        if (count := config.server.workers) > 1:
            with sockets.reserve(config) as sock:
                port = sock.getsockname()[1]
                announce = _announcement(config, registry, port)
                drain_seconds, counts = config.server.drain_seconds, config.metrics.enabled
                code = workers.supervise(count, port, sys.argv[1:], drain_seconds, announce, metrics=counts)
            sys.exit(code)
        sock = sockets.bind(config, config.server.port)
        announce = _announcement(config, registry, sock.getsockname()[1])
        reload = (lambda keep: _load_registry(config, keep)) if config.watch else None
        metrics = Metrics.alone() if config.metrics.enabled else None
        if app.serve(config, registry, sock, announce, reload=reload, metrics=metrics):
            os.execv(sys.executable, [sys.executable, "-m", "isomor", *sys.argv[1:]])
    except ConfigError as error:
        _fail(error.faults)
    except StartupError as error:
        logger.debug("startup failed", exc_info=error)
        _fail([str(error)])


def _counted(registry: Registry) -> str:
    count = len(registry.functions)
    return f"{count} function{'' if count == 1 else 's'}"


def _announcement(config: Config, registry: Registry, port: int) -> Any:
    def announce() -> None:
        scheme = "https" if config.server.tls_cert else "http"
        host = "localhost" if config.server.host in ("0.0.0.0", "::", "") else config.server.host
        shown = f"[{host}]" if ":" in host else host
        said = f"isomor {isomor.__version__} serves {config.api.folder} at {scheme}://{shown}:{port}"
        if config.logging.format == "json":  # then who reads is no person
            logger.info("%s: %s", said, _counted(registry))
            for note in registry.notes:
                logger.log(logging.INFO if registry.functions else logging.WARNING, "%s", note)
            return
        click.echo(said)
        _print_functions(registry)
        sys.stdout.flush()

    return announce


@cli.command()
@_settings
def check(**values: Any) -> None:
    """Load the api folder, and say all that is wrong with it; exit code 1 if anything is."""
    config = _load_config(values).config
    try:
        registry = _load_registry(config)
    except LoadError as error:
        _fail(error.faults)
    _print_functions(registry)
    if warning := descriptors.warning(config):
        click.echo(f"warning: {warning}", err=True)
    click.echo(f"{_counted(registry)}, no faults")


@cli.command()
@click.option("--out", metavar="DIR", help="Where to write (client.folder).")
@click.option("--check", "only_check", is_flag=True, help="Write nothing; exit code 1 where something is stale.")
@_settings
def build(out: str | None, only_check: bool, **values: Any) -> None:
    """Write the typed client: the packages that a front end imports functions from."""
    from .client import build as client_build

    config = _load_config(values).config
    folder = Path(out).absolute() if out else config.client.folder
    try:
        built = client_build.build(_load_registry(config), config, folder, write=not only_check)
    except LoadError as error:
        _fail(error.faults)
    except OSError as error:
        _fail([f"the client cannot be written to {folder}: {error}; name another place by --out"])
    stale = [f"{folder / name}" for name in built.changed]
    stale += [f"{built.manifest}: it lacks the dependency {name}" for name in built.entered]
    if only_check and stale:
        _fail([*(f"stale: {one}" for one in stale), "the client is not that of the functions; run `isomor build`"])
    _print_built(built, folder, config.api.module_name)


def _print_built(built: Built, folder: Path, module: str) -> None:
    count = len(built.changed)
    click.echo(f"{folder}: {f'{count} files changed' if count else 'up to date'}")
    if built.manifest is None:
        click.echo(f"to import from it: npm install {folder / 'isomor'} {folder / module}")
        return
    if built.entered:
        click.echo(f"{built.manifest}: entered {' and '.join(built.entered)}")
    if built.entered or not built.installed:
        click.echo(f"run `npm install` in {built.manifest.parent}; after that, a build is seen at once")


@cli.command("config")
@_settings
def show_config(**values: Any) -> None:
    """Print every setting with where it came from, secrets hidden."""
    loaded = _load_config(values)
    rows = describe(loaded)
    widths = [max(len(row[column]) for row in rows) for column in (0, 1)]
    for key, value, source in rows:
        click.echo(f"{key:<{widths[0]}}  {logs.one_line(value):<{min(widths[1], 40)}}  {logs.one_line(source)}")
    for warning in loaded.warnings:
        click.echo(f"warning: {warning}", err=True)


@cli.command()
@click.argument("name")
@click.argument("arguments", default="[]")
@click.option("--url", metavar="URL", help="The server; by default the one that this configuration starts.")
@_settings
def call(name: str, arguments: str, url: str | None, **values: Any) -> None:
    """Call function NAME of a running server with ARGUMENTS, a JSON array, and print its result.

    A function that needs a WebSocket is called over one; what it pushes until it has answered goes to standard error.
    """
    config = _load_config(values).config
    base = url.rstrip("/") if url else client_call.local_url(config)
    sys.exit(client_call.call(base, config.api.module_name, name, arguments))


@cli.command()
@_settings
def health(**values: Any) -> None:
    """Ask the server whether it is ready; exit code 0 if it is, else 1."""
    sys.exit(client_call.health(client_call.local_url(_load_config(values).config)))


@cli.command()
@click.argument("payload", metavar="JSON")
@click.option("--topic", help="Whom it is for: those who joined this topic.")
@click.option("--to", metavar="ID", help="Whom it is for: the connection of this id (ctx.ws.id).")
@_settings
def push(payload: str, topic: str | None, to: str | None, **values: Any) -> None:
    """Push JSON to browsers, through Redis: to a topic, to one connection, or to everyone."""
    from .push import push_once

    config = _load_config(values).config
    if config.redis.url is None:
        _fail(["redis.url is not set: a push from another process goes through Redis; set ISOMOR_REDIS_URL"])
    logs.set_up("error", "text", secrets_of(config).hidden)
    try:
        value = json.loads(payload)
    except ValueError as error:
        _fail([f"the payload is not JSON: {error}; a string is written as '\"text\"'"])
    try:
        push_once.run(config, value, topic, to)
    except (ConfigError, BusUnavailable, ValueError) as error:
        _fail(str(error).splitlines())


_FIRST = '''"""The first function: call it as `hello("you")`."""


async def hello(name: str = "world") -> str:
    """Greet `name`."""
    return f"Hello, {name}!"
'''


@cli.command()
@click.argument("folder", default="api", type=click.Path(path_type=Path))
def init(folder: Path) -> None:
    """Make a new api folder, with a first function in it."""
    file = folder / "hello.py"
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        _fail([f"{folder} is there and not empty; name another folder, or add a function to it"])
    folder.mkdir(parents=True, exist_ok=True)
    file.write_text(_FIRST)
    flag = "" if folder == Path("api") else f" --api {folder}"
    click.echo(f"made {file}\nserve it:  isomor serve{flag}\ncall it:   isomor call hello '[\"you\"]'")
