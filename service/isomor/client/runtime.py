"""The package `isomor`: the runtime, which a wheel carries and a checkout has in `client/`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Final

MARK: Final = "Made by isomor. Do not edit: the next build overwrites what is changed here."
_WHEEL: Final = Path(__file__).parent / "runtime"
_CHECKOUT: Final = Path(__file__).resolve().parents[3] / "client"
_FILES: Final = ("package.json", "index.d.ts", "LICENSE")
_DROPPED: Final = ("devDependencies", "scripts", "files")


def runtime_files() -> dict[str, bytes]:
    """Its files, by their path in the package.

    Raises:
        FileNotFoundError: if this installation lacks them.
    """
    folder = _WHEEL if _WHEEL.is_dir() else _CHECKOUT
    found = [folder / name for name in _FILES] + sorted(path for path in (folder / "src").rglob("*") if path.is_file())
    files = {path.relative_to(folder).as_posix(): path.read_bytes() for path in found}
    package = {"//": MARK} | json.loads(files["package.json"])
    kept = {key: value for key, value in package.items() if key not in _DROPPED}
    files["package.json"] = (json.dumps(kept, indent=2, ensure_ascii=False) + "\n").encode()
    return dict(sorted(files.items()))
