"""An object that is validated before the function is called; every fault goes back to the caller."""

from dataclasses import dataclass
from typing import Annotated

from msgspec import Meta


@dataclass
class User:
    """Someone with a name of 2 to 20 characters, and an e-mail address."""

    name: Annotated[str, Meta(min_length=2, max_length=20)]
    email: Annotated[str, Meta(max_length=254, pattern=r"^[^@\s]+@[^@\s]+\.[^@\s]+$(?!\n)")]


async def set_user(user: User) -> str:
    """Greet a user whose data are right."""
    return f"Hello {user.name}, mail for you goes to {user.email}."
