"""What `publish` returns: to await, or to leave alone. What fails unseen is logged, never "was never retrieved"."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Generator

from isomor.errors import BusUnavailable


class Receipt:
    """Await it to learn that the bus has the message; a failed one that nobody awaits is handed to `unseen`.

    Any number of tasks may await it, at any time, and a task that is cancelled in there takes nothing with it: the
    message goes on. It costs no future until someone waits.
    """

    __slots__ = ("_done", "_error", "_unseen", "_waiters")

    def __init__(self, unseen: Callable[[BusUnavailable], None]) -> None:
        self._unseen = unseen
        self._done = False
        self._error: BusUnavailable | None = None
        self._waiters: list[asyncio.Future[None]] | None = None

    @classmethod
    def fulfilled(cls) -> Receipt:
        """A receipt of something that is done already."""
        receipt = cls(_nothing)
        receipt._done = True
        return receipt

    def done(self) -> bool:
        """Whether the outcome is known."""
        return self._done

    def fulfil(self) -> None:
        """The bus has it. A second outcome is ignored."""
        self._settle(None)

    def fail(self, error: BusUnavailable) -> None:
        """It could not be handed over. A second outcome is ignored."""
        self._settle(error)

    def _settle(self, error: BusUnavailable | None) -> None:
        if self._done:
            return
        self._done, self._error = True, error
        waiters, self._waiters = self._waiters, None
        for waiter in waiters or ():
            if not waiter.done():
                waiter.set_result(None)

    def __await__(self) -> Generator[object, None, None]:
        if not self._done:
            waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            if self._waiters is None:
                self._waiters = []
            self._waiters.append(waiter)
            yield from waiter
        if self._error is not None:
            self._unseen = _nothing
            # One exception for each awaiter: a shared one would gather the tracebacks of all of them.
            raise BusUnavailable(*self._error.args)

    def __del__(self) -> None:
        if self._error is not None:
            self._unseen(self._error)


def _nothing(_error: BusUnavailable) -> None:
    pass
