"""An error for the caller. Any other exception is logged, and its text stays here."""

from isomor import ApiError


async def raise_error() -> None:
    """Always fail."""
    raise ApiError("This function always fails", code="ALWAYS_FAILS", status=409)
