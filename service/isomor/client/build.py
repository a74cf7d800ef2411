"""`isomor build`: both packages in one folder, known to the package.json beside it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ..config import Config
from ..errors import LoadError
from ..loader import Registry
from . import folder as folders
from .generate import generate
from .runtime import runtime_files


@dataclass(frozen=True)
class Built:
    """What `build` did.

    Attributes:
        changed: the files that were written or removed, by their path in the folder.
        manifest: the package.json beside the folder, or None.
        entered: the packages that it did not know.
        installed: whether npm has linked them all.
    """

    changed: tuple[str, ...]
    manifest: Path | None
    entered: tuple[str, ...]
    installed: bool


def build(registry: Registry, config: Config, out: Path, *, write: bool = True) -> Built:
    """Write the client into `out`, or only find what would change.

    Raises:
        LoadError: if a folder or the package.json stands in the way; nothing is written then.
        OSError: if something cannot be read or written.
    """
    module = config.api.module_name
    if module == "isomor" or module != module.lower() or module.startswith("_"):
        why = "is the name of the runtime" if module == "isomor" else "is a name that npm does not take"
        raise LoadError([f"api.module_name = {module!r} {why}; set another in lower case, such as api"])
    packages = {module: generate(registry, config), "isomor": runtime_files()}
    places = {name: out / name for name in packages}
    for place in places.values():
        folders.check(place)
    manifest = out.parent / "package.json"
    text, entered = folders.enter(manifest, places) if manifest.is_file() else ("", [])
    changed: list[str] = []
    for name in reversed(packages):  # the runtime first: what is new in the functions may need it
        act = folders.write if write else folders.stale
        changed += [f"{name}/{file}" for file in act(places[name], packages[name])]
    if entered and write:
        folders.replace_text(manifest, text)
    installed = all((out.parent / "node_modules" / name).exists() for name in packages)
    return Built(tuple(sorted(changed)), manifest if manifest.is_file() else None, tuple(entered), installed)
