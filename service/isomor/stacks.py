"""Where other threads stand, for the log: which line of user code. For what has gone wrong, not for each call."""

from __future__ import annotations

import asyncio
import os
import sys
import sysconfig
from collections.abc import Iterable, Sequence
from types import FrameType
from typing import Any, Final

from .functions import running_in

# Code that is not the user's: the standard library, what is installed, and isomor itself.
_PATHS: Final = [*map(sysconfig.get_path, ("stdlib", "platstdlib", "purelib", "platlib")), os.path.dirname(__file__)]
_OTHERS: Final = tuple({f(path) + os.sep for path in _PATHS for f in (os.path.abspath, os.path.realpath)})


def chain(thread: int) -> list[FrameType]:
    """The frames of a thread, the innermost first; none where it has ended."""
    frames, frame = [], sys._current_frames().get(thread)
    while frame is not None:
        frames.append(frame)
        frame = frame.f_back
    return frames


def suspended(task: asyncio.Task[Any]) -> list[FrameType]:
    """The frames of a task that waits, the innermost first; none where it waits for nothing that has frames."""
    frames: list[FrameType] = []
    waiting: Any = task.get_coro()
    while waiting is not None:
        frame = getattr(waiting, "cr_frame", None) or getattr(waiting, "gi_frame", None)
        if frame is not None:
            frames.insert(0, frame)
        waiting = getattr(waiting, "cr_await", None) or getattr(waiting, "gi_yieldfrom", None)
    return frames


def users(frames: Sequence[FrameType]) -> list[FrameType]:
    """Those of user code."""
    return [frame for frame in frames if not frame.f_code.co_filename.startswith((*_OTHERS, "<frozen"))]


def place(frames: Sequence[FrameType]) -> str:
    """The innermost line of user code, such as `api/lib/db.py:12, in fetch`; of other code where there is none."""
    if not frames:
        return "a place that cannot be seen"
    own = users(frames)
    frame = own[0] if own else frames[0]
    file = frame.f_code.co_filename
    if file.startswith(here := os.getcwd() + os.sep):
        file = file.removeprefix(here)
    return f"{file}:{frame.f_lineno}, in {frame.f_code.co_qualname}"


def in_pool(threads: Iterable[int]) -> list[tuple[str, list[Any], str]]:
    """The plain functions that `threads` of the pool run: name, arguments, and where each stands."""
    found = []
    for thread in threads:
        frames = chain(thread)
        for index, frame in enumerate(frames):
            if (call := running_in(frame)) is not None:
                found.append((*call, place(frames[:index] or frames[: index + 1])))
                break
    return found
