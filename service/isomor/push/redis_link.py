"""One connection to one Redis, for one life: it never connects anew by itself, as redis-py's would.

redis-py does what is tedious here (TLS, login, database, the protocol); that it reconnects within `send`, silently and
at the cost of messages, is fenced off.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Iterable, Sequence
from contextlib import suppress
from typing import Any, Final

from redis.asyncio.connection import AbstractConnection
from redis.exceptions import (
    AuthenticationError,
    AuthorizationError,
    BusyLoadingError,
    ClusterDownError,
    MovedError,
    NoPermissionError,
    ReadOnlyError,
    RedisError,
    ResponseError,
    TryAgainError,
)
from redis.exceptions import ConnectionError as RedisConnectionError

from isomor.push.patience import within
from isomor.push.redis_url import Address, RedisTarget

# What ends a connection, or an attempt to make one.
TROUBLE: Final = (OSError, TimeoutError, RedisError, asyncio.IncompleteReadError)

_CLOSE_SECONDS: Final = 0.5

_TRANSIENT: Final = (BusyLoadingError, ClusterDownError, MovedError, ReadOnlyError, TryAgainError)
_TRANSIENT_WORDS: Final = ("BUSY", "LOADING", "max number of clients", "MISCONF", "OOM", "UNBLOCKED")


class UnknownService(RedisError):
    """The sentinels answer, and know no service of this name."""


class Link:
    """An open connection. One task may send while another reads."""

    def __init__(self, connection: AbstractConnection) -> None:
        self._connection = connection
        self._writer: asyncio.StreamWriter | None = None

    @classmethod
    async def open(cls, target: RedisTarget, address: Address, seconds: float, *, sentinel: bool = False) -> Link:
        """Connect and log in.

        Raises:
            one of TROUBLE: if that fails, or has not succeeded after `seconds`.
        """
        connection: Any = target.connection(address, sentinel=sentinel)
        link = cls(connection)
        connection.redis_connect_func = link._log_in
        try:
            await within(seconds, connection.connect())
        except BaseException:
            await link.close()
            raise
        return link

    async def _log_in(self, connection: Any) -> None:
        # Kept from the very start: the connection lets go of it in its own way when it is cancelled (see `close`).
        self._writer = connection._writer
        await connection.on_connect()

    async def send(self, commands: Iterable[Sequence[bytes]]) -> None:
        """Write commands; waits where Redis does not read.

        Raises:
            one of TROUBLE: if the connection is gone.
        """
        if not self._connection.is_connected:
            raise RedisConnectionError("the connection is closed")
        await self._connection.send_packed_command(self._connection.pack_commands(commands), check_health=False)

    async def read(self) -> Any:
        """The next reply or message; waits for as long as it takes. An error reply is returned.

        Raises:
            one of TROUBLE: if the connection is gone, or the login has been revoked.
        """
        try:
            return await self._connection.read_response()
        except ResponseError as error:
            return error

    async def call(self, *command: bytes) -> Any:
        """Send one command and read its reply.

        Raises:
            one of TROUBLE: if the connection is gone, or the reply is an error.
        """
        await self.send((command,))
        reply = await self.read()
        if isinstance(reply, Exception):
            raise reply
        return reply

    async def answer_within(self, seconds: float, *command: bytes) -> Any:
        """The same, but an error reply is returned, as an exception."""

        async def answer() -> Any:
            await self.send((command,))
            return await self.read()

        return await within(seconds, answer())

    async def call_within(self, seconds: float, *command: bytes) -> Any:
        """The same, or TimeoutError (one of TROUBLE)."""
        return await within(seconds, self.call(*command))

    async def close(self) -> None:
        """Let go of the socket, at once: what Redis has not read by now is dropped."""
        # redis-py closes politely: until all is written, and under TLS until the peer has said goodbye as well. With a
        # Redis that has stopped reading that is for ever.
        if self._writer is not None:
            self._writer.transport.abort()
        with suppress(*TROUBLE):
            await self._connection.disconnect(nowait=True)
        if self._writer is not None:
            with suppress(*TROUBLE):
                await within(_CLOSE_SECONDS, self._writer.wait_closed())


def refusal(error: BaseException) -> str | None:
    """Why Redis will not have us, in words, if that is what `error` says; None where trying again may help."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, (AuthenticationError, AuthorizationError)):
            return f"Redis refuses the user or the password ({cause})"
        if isinstance(cause, NoPermissionError):
            return f"the Redis user lacks a permission ({cause})"
        if isinstance(cause, UnknownService):
            return str(cause)
        if isinstance(cause, ssl.SSLCertVerificationError):
            return f"the certificate of Redis is not trusted ({cause.verify_message})"
        passing = isinstance(cause, _TRANSIENT) or str(cause).startswith(_TRANSIENT_WORDS)
        if isinstance(cause, ResponseError) and not passing:
            return f"Redis answers: {cause}"
        cause = cause.__cause__ or cause.__context__
    return None
