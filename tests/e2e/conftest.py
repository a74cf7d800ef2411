"""What the tests of the images have in common: they are built once."""

from __future__ import annotations

import pytest

pytest.register_assert_rewrite("engine")

from engine import BUILDING, docker  # noqa: E402


@pytest.fixture(scope="session")
def image() -> str:
    """The image of the service, built from this checkout."""
    docker("build", "--quiet", "--tag", "isomor", ".", timeout=BUILDING)
    return "isomor"
