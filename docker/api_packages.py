"""What the functions need beside isomor: their `requirements.txt`, installed into the volume /packages.

Each set has a folder of its own there, named after all that decides what is in it, so that it is installed once,
whatever number of containers share the volume, and one that is in use never changes. What the image has itself stays
as it is: a requirement that contradicts it is refused by pip.
"""

from __future__ import annotations

import fcntl
import hashlib
import logging
import os
import re
import shutil
import site
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NoReturn

from isomor import logs
from isomor.config import load_config
from isomor.errors import ConfigError

VOLUME = Path(os.environ.get("API_PACKAGES_VOLUME", "/packages"))
CONSTRAINTS = Path("/app/constraints.txt")
PIP = ["/usr/local/bin/python", "-m", "pip", "--python", sys.executable]
OPTIONS = ["install", "--no-cache-dir", "--no-input", "--no-warn-script-location", "--disable-pip-version-check"]

# Sets that are kept beside those in use: for the next start of what does not run now.
_KEPT = 3

logger = logging.getLogger("isomor.packages")


def prepare() -> None:
    """Install what `requirements.txt` names, unless that has been done, and let it be imported from now on.

    Ends the process with 1, and says why, where that cannot be done.
    """
    try:
        config = load_config({}).config
    except ConfigError:
        return  # which the command itself tells about
    requirements = config.api.folder / "requirements.txt"
    if "API_PACKAGES" in os.environ or not os.path.isfile(requirements):
        return
    logs.set_up(config.logging.level, config.logging.format)
    try:
        folder = VOLUME / _key(requirements)
    except (OSError, UnicodeDecodeError) as error:
        _fail(f"{requirements} cannot be read: {error}")
    try:
        with _lock():
            if folder.is_dir():
                logger.info("%s has not changed: nothing to install", requirements)
            else:
                _install(requirements, folder)
            _use(folder)
            _tidy()
    except OSError as error:
        _fail(f"{VOLUME} cannot be written to: {error}; mount a volume there, such as -v isomor-packages:{VOLUME}")
    packages = str(folder / "lib" / f"python{sys.version_info[0]}.{sys.version_info[1]}" / "site-packages")
    os.environ["API_PACKAGES"] = packages  # for the processes that this one starts
    site.addsitedir(packages)


def _fail(why: str) -> NoReturn:
    logger.error(why)
    sys.exit(1)


def _key(requirements: Path) -> str:
    """A name for all that decides what is installed: the files, those that they include, Python, and the image."""
    digest = hashlib.sha256(f"{sys.version}\n".encode())
    if CONSTRAINTS.is_file():
        digest.update(CONSTRAINTS.read_bytes())
    for file in _with_included(requirements, set()):
        digest.update(b"\0" + file.read_bytes())
    return digest.hexdigest()[:16]


def _with_included(file: Path, seen: set[Path]) -> Iterator[Path]:
    if file in seen:
        return
    seen.add(file)
    yield file
    for line in file.read_text().splitlines():
        found = re.match(r"\s*(?:-r|-c|--requirement|--constraint)[\s=]*([^\s#]+)", line)
        if found and "://" not in found[1]:
            yield from _with_included((file.parent / found[1]).resolve(), seen)


@contextmanager
def _lock() -> Iterator[None]:
    """One container at a time installs into the volume."""
    descriptor = _open(VOLUME / ".lock")
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            logger.info("another container installs into %s: waiting for it", VOLUME)
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _open(path: Path) -> int:
    """A file to lock, whoever has made it: where that was another user, Linux may refuse to open it by O_CREAT."""
    with suppress(FileExistsError):
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o666)
        os.fchmod(descriptor, 0o666)
        return descriptor
    return os.open(path, os.O_RDWR)


def _use(folder: Path) -> None:
    """Keep a set from being removed for as long as this process lives, and whatever it replaces itself by."""
    with suppress(PermissionError):  # a container of another user has made it
        os.utime(folder)
    descriptor = _open(folder / ".used")
    fcntl.flock(descriptor, fcntl.LOCK_SH)
    os.set_inheritable(descriptor, True)


def _is_in_use(folder: Path) -> bool:
    try:
        descriptor = os.open(folder / ".used", os.O_RDWR)
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False


def _install(requirements: Path, folder: Path) -> None:
    """Install into a folder beside, and rename that once it is whole."""
    began = time.monotonic()
    logger.info("installing %s into %s", requirements, folder)
    beside = Path(tempfile.mkdtemp(prefix=".new-", dir=VOLUME))
    scratch = Path(tempfile.mkdtemp(prefix=".tmp-", dir=VOLUME))
    constraint = ["--constraint", str(CONSTRAINTS)] if CONSTRAINTS.is_file() else []
    try:
        done = subprocess.run(
            [*PIP, *OPTIONS, "--prefix", str(beside), *constraint, "--requirement", str(requirements)],
            cwd=requirements.parent,  # what is named by a relative path is looked up there
            env=os.environ | {"TMPDIR": str(scratch), "HOME": str(scratch)},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            check=False,
        )
        if done.returncode:
            said = "\n".join(done.stdout.strip().splitlines()[-30:])
            _fail(f"{requirements} could not be installed, so nothing is served; pip said:\n{said}")
        beside.chmod(0o755)
        (beside / "lib").mkdir(exist_ok=True)  # where the image has all of it already
        beside.rename(folder)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
        shutil.rmtree(beside, ignore_errors=True)
    logger.info("installed %s in %.1f s", requirements, time.monotonic() - began)


def _tidy() -> None:
    """Remove sets that nobody has used for long, and what an end in the middle of it has left."""
    folders = [entry for entry in VOLUME.iterdir() if entry.is_dir()]
    old = sorted((f for f in folders if re.fullmatch(r"[0-9a-f]{16}", f.name)), key=lambda f: f.stat().st_mtime)
    unused = [folder for folder in old[:-_KEPT] if not _is_in_use(folder)]
    for index, folder in enumerate(unused):  # first away under that name: half of it must not be taken for the whole
        unused[index] = folder.rename(VOLUME / f".tmp-{folder.name}")
    for folder in [*unused, *(f for f in folders if f.name.startswith((".new-", ".tmp-")))]:
        shutil.rmtree(folder, ignore_errors=True)
