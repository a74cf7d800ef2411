"""The packages on disk: written such that no watcher sees half of one, and compared with what they should be."""

from __future__ import annotations

import json
import os
import re
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Final

from ..errors import LoadError
from .runtime import MARK

_MANIFEST: Final = "package.json"
_NPMS: Final = "node_modules"  # npm may put some into a package that it links


def write(folder: Path, files: Mapping[str, bytes]) -> list[str]:
    """Make `folder` hold these files and no others.

    A new folder appears as a whole. In one that is there, files are replaced one by one, each at once and only where
    it has changed: first what others import, at last what is imported no more. Where that fails, what was there is put
    back.

    Returns:
        What was written or removed, sorted.

    Raises:
        LoadError: if the folder is there and not one of ours.
        OSError: if it cannot be written.
    """
    check(folder)
    changed = stale(folder, files)
    if not changed:
        return []
    folder.parent.mkdir(parents=True, exist_ok=True)
    with _beside(folder) as place:
        made = place / "new"
        for name in files if not folder.exists() else [name for name in changed if name in files]:
            path = made / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(files[name])
        if not folder.exists():
            made.rename(folder)
        else:
            _replace(folder, made, place / "old", changed)
    return changed


def _replace(folder: Path, made: Path, old: Path, changed: list[str]) -> None:
    # _types and _codecs before the functions that import them, package.json when all is there.
    order = sorted(changed, key=lambda name: (not (made / name).exists(), name == _MANIFEST, name[0] != "_", name))
    done: list[str] = []
    try:
        for name in order:
            target, kept = folder / name, old / name
            kept.parent.mkdir(parents=True, exist_ok=True)
            if target.exists():
                shutil.copy2(target, kept)
            done.append(name)
            if (made / name).exists():
                target.parent.mkdir(parents=True, exist_ok=True)
                os.replace(made / name, target)
            else:
                target.unlink(missing_ok=True)  # another build may have been here
                with suppress(OSError):  # not empty
                    target.parent.rmdir()
    except BaseException:
        for name in reversed(done):
            with suppress(OSError):
                if (old / name).exists():
                    (folder / name).parent.mkdir(parents=True, exist_ok=True)
                    os.replace(old / name, folder / name)
                else:
                    (folder / name).unlink()
        raise


@contextmanager
def _beside(path: Path) -> Iterator[Path]:
    """A folder next to `path`, on the same file system, for as long as it is needed."""
    place = Path(tempfile.mkdtemp(prefix=f".{path.name}-", dir=path.parent))
    try:
        yield place
    finally:
        shutil.rmtree(place, ignore_errors=True)


def check(folder: Path) -> None:
    """Make sure that a folder may be written: what someone else has put there is not removed.

    Raises:
        LoadError: saying what is in the way.
    """
    if not folder.is_dir():
        if folder.exists():
            raise LoadError([f"{folder} is a file; the client takes a folder there: name another by --out"])
        return
    with suppress(OSError, ValueError):
        if json.loads((folder / _MANIFEST).read_text()).get("//") == MARK:
            return
    if any(folder.iterdir()):
        fix = "name another place by --out or client.folder, or remove it"
        raise LoadError([f"{folder} is there, and was not made by isomor, so nothing is written; {fix}"])


def stale(folder: Path, files: Mapping[str, bytes]) -> list[str]:
    """Which files in `folder` are not as they should be, or should not be there; sorted."""
    there = {path.relative_to(folder).as_posix(): path for path in _files(folder)}
    changed = {name for name, data in files.items() if name not in there or there[name].read_bytes() != data}
    return sorted(changed | (there.keys() - files.keys()))


def _files(folder: Path) -> Iterator[Path]:
    for path in sorted(folder.iterdir()) if folder.is_dir() else ():
        if path.is_dir() and not path.is_symlink():
            if path.name != _NPMS:
                yield from _files(path)
        else:
            yield path


def enter(manifest: Path, packages: Mapping[str, Path]) -> tuple[str, list[str]]:
    """A package.json with these packages among its dependencies, as `file:` ones.

    Args:
        manifest: the file.
        packages: their folders by name.

    Returns:
        Its new text, and the names that it lacked: none, and it is as it was.

    Raises:
        LoadError: if it cannot be read, or has another package by one of the names.
    """
    source = manifest.read_bytes().decode("utf-8-sig", errors="replace")
    try:
        content: Any = json.loads(source)
    except ValueError as error:
        raise LoadError([f"{manifest} is not JSON ({error}); mend it, and build again"]) from None
    if not isinstance(content, dict) or not isinstance(content.get("dependencies", {}), dict):
        raise LoadError([f"{manifest} has no object of dependencies; mend it, and build again"])
    lacking = []
    for name, folder in packages.items():
        wanted = "file:" + Path(os.path.relpath(folder, manifest.parent)).as_posix()
        groups = [key for key in ("dependencies", "devDependencies") if name in (content.get(key) or {})]
        has = [content[key][name] for key in groups]
        if has == [wanted]:
            continue
        # isomor 3's own client gives way to the one that this server needs.
        others = [one for one in has if not str(one).startswith(("file:", "link:", "http:", "https:"))]
        if others and name != "isomor":
            fix = "set api.module_name to another name, or remove that dependency"
            raise LoadError([f"{manifest} has another package {name!r} ({others[0]}); {fix}"])
        for key in set(groups) - {"dependencies"}:
            del content[key][name]
        listed = content.setdefault("dependencies", {})
        ordered = list(listed) == sorted(listed)
        listed[name] = wanted
        if ordered:
            content["dependencies"] = dict(sorted(listed.items()))
        lacking.append(name)
    if not lacking:
        return source, []
    indent = re.search(r"^([ \t]+)\S", source, re.MULTILINE)
    text = json.dumps(content, indent=indent[1] if indent else 2, ensure_ascii=False)
    text += "\n" if source.endswith("\n") else ""
    return text.replace("\n", "\r\n") if "\r\n" in source else text, lacking


def replace_text(path: Path, text: str) -> None:
    """Replace a text file at once, keeping its permissions."""
    path = path.resolve()
    with _beside(path) as place:
        made = place / path.name
        made.write_bytes(text.encode())
        shutil.copymode(path, made)
        os.replace(made, path)
