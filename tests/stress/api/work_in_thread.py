from ._journal import note


def work_in_thread(token: str) -> str:
    """A call that runs in a thread."""
    note(token)
    return token
