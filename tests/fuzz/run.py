"""Feeds a target bytes, led by what they reach in our package, until it fails: coverage-guided, by Atheris.

    python tests/fuzz/run.py websocket -max_total_time=600      longer, with options of libFuzzer
    python tests/fuzz/run.py websocket FILE                     one input again, such as that of a crash

Without a file, what is found to reach more is kept in a folder of its own (`-corpus=DIR`), beside the committed corpus.
A failure prints its traceback, writes the input, says how to replay it, and exits with another code than 0.
"""

from __future__ import annotations

import importlib
import sys
import tempfile
from pathlib import Path

import atheris

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent)]

# The module of each: its `make()` gives a function that takes bytes, and raises where isomor does what it must not.
TARGETS = {"websocket": "socket_bytes", "messages": "message_bytes", "http": "http_bytes", "planted": "planted"}


def main() -> None:
    """See the module."""
    if len(sys.argv) < 2 or sys.argv[1] not in TARGETS:
        sys.exit(f"usage: run.py {'|'.join(TARGETS)} [FILE | options of libFuzzer]")
    name, *arguments = sys.argv[1:]
    with atheris.instrument_imports(include=["isomor"]):
        target = importlib.import_module(TARGETS[name]).make()

    def feed(data: bytes) -> None:
        try:
            target(data)
        except BaseException:
            print(f"\n{name} fails on {data!r}", file=sys.stderr)
            print(f"replay: {sys.executable} {sys.argv[0]} {name} FILE, the one that is named below", file=sys.stderr)
            raise

    folders: list[str] = []
    if all(argument.startswith("-") for argument in arguments):
        found = [argument.removeprefix("-corpus=") for argument in arguments if argument.startswith("-corpus=")]
        arguments = [argument for argument in arguments if not argument.startswith("-corpus=")]
        folders = [*(found or [tempfile.mkdtemp(prefix=f"fuzz-{name}-")]), str(HERE / "corpus" / name)]
        Path(folders[0]).mkdir(parents=True, exist_ok=True)
        folders = [folder for folder in folders if Path(folder).is_dir()]
    atheris.Setup([sys.argv[0], *arguments, *folders], feed)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
