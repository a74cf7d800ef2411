"""Not ours: a fault that is there on purpose, behind a few steps, so that a test sees that one is found."""

from __future__ import annotations


def make() -> object:
    """The target."""
    import atheris

    return atheris.instrument_func(_target)


def _target(data: bytes) -> None:
    if len(data) > 2 and data[0] == ord("b") and data[1] == ord("u") and data[2] == ord("g"):
        raise LookupError("the planted fault")
