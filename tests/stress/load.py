"""A process of load clients: `python -m stress.load NAME PORT NETWORK FOLDER`.

Commands come on stdin, one JSON object a line, `{"do": "open", …}`; each is answered by one line on stdout. Its end of
file ends the process.
"""

from __future__ import annotations

import asyncio
import json
import random
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import uvloop

from .books import UNANSWERED, Books, Topic
from .client import Client, Reader

_OPENING = 100  # connections that are being opened at a time
_PER_ADDRESS = 20  # connections from one loopback address, as if they came from many machines
_TICK = 0.02
_DEADLINE = 60.0
_SLOW = 0.5  # seconds that one call in twenty takes; another one runs in a thread


class Load:
    """See the module. Its public coroutines are the commands."""

    def __init__(self, name: str, port: int, network: int, folder: Path) -> None:
        self.books = Books(folder / f"calls-{name}")
        self._name = name
        self._port = port
        self._network = network
        self._clients: list[Client] = []
        self._readers: list[Reader] = []
        self._topics: list[Topic] = []
        self._back = False  # whether those who were closed come back
        self._opening = asyncio.Semaphore(_OPENING)
        self._tasks: set[asyncio.Task[None]] = set()
        self._ticker: asyncio.Task[None] | None = None
        self._tokens = 0

    # ---- Connections ---------------------------------------------------------------------------------------------

    async def open(self, connections: int, topics: list[str]) -> dict[str, Any]:
        """Open so many, each joined to one of the topics; return when all have joined."""
        began = time.monotonic()
        self._topics = [Topic(name) for name in topics]
        self._clients = [self._new(place) for place in range(connections)]
        self._back = True
        await asyncio.gather(*(self._keep_opening(place) for place in range(connections)))
        return {"seconds": time.monotonic() - began}

    def _new(self, place: int) -> Client:
        return Client(self.books, [self._topics[place % len(self._topics)]], lambda client: self._ended(place, client))

    async def _keep_opening(self, place: int) -> None:
        pause = 0.1
        while True:
            client = self._clients[place]
            try:
                async with self._opening:
                    await client.open(self._port, self._address(place))
                return
            except Exception as error:  # a server that restarts refuses in many ways
                self.books.attempts[f"{type(error).__name__}: {error}"[:80]] += 1
                client.abort()
                pause = min(pause * 2, 2)
                await asyncio.sleep(pause * random.random())
                self._clients[place] = self._new(place)

    def _address(self, place: int) -> str:
        network, host = divmod(place // _PER_ADDRESS, 250)
        return f"127.{self._network}.{network}.{host + 1}"

    def _ended(self, place: int, client: Client) -> None:
        if self._back and client.worker:  # else who opens it sees to it
            self._clients[place] = self._new(place)
            self._spawn(self._come_back(place))

    async def _come_back(self, place: int) -> None:
        await asyncio.sleep(random.random())
        await self._keep_opening(place)

    def _spawn(self, coroutine: Any) -> None:
        task = asyncio.create_task(coroutine)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def close(self) -> dict[str, Any]:
        """Close all, and wait for their ends."""
        self._back = False
        for client in self._clients:
            if client.ready:
                client.close()
        return await self.ended()

    async def break_off(self) -> dict[str, Any]:
        """All connections break, as when a network is lost; they come back."""
        for client in self._clients:
            client.leave()
        return {}

    async def stay_away(self) -> dict[str, Any]:
        """From now on, those who are closed do not come back."""
        self._back = False
        return {}

    async def ended(self) -> dict[str, Any]:
        """Wait until all have ended."""
        await self._until(lambda: all(client.ended for client in self._clients), "connections that do not end")
        self._stop_ticking()
        self._clients = []
        return self._report()

    # ---- Calls and pushes ----------------------------------------------------------------------------------------

    async def run(self, calls: float, pushes: float) -> dict[str, Any]:
        """Make so many calls, and publish so often, a second, until `stop`."""
        self._stop_ticking()
        for topic in self._topics:
            topic.mark = None
        self._ticker = asyncio.create_task(self._tick(calls, pushes))
        return {}

    async def _tick(self, calls: float, pushes: float) -> None:
        last, due_calls, due_pushes = time.monotonic(), 0.0, 0.0
        callers, topics = _around(lambda: len(self._clients)), _around(lambda: len(self._topics))
        while True:
            await asyncio.sleep(_TICK)
            now = time.monotonic()
            due_calls += (now - last) * calls
            due_pushes += (now - last) * pushes
            last = now
            for _ in range(int(due_calls)):
                self._call(self._clients[next(callers)])
            for _ in range(int(due_pushes)):
                self._publish(next(topics))
            due_calls -= int(due_calls)
            due_pushes -= int(due_pushes)

    def _token(self) -> str:
        self._tokens += 1
        return f"{self._name}-{self._tokens}"

    def _call(self, client: Client) -> None:
        if not client.ready:
            return
        kind = self._tokens % 20
        if kind == 0:
            client.call(self._token(), "work_in_thread")
        else:
            client.call(self._token(), "work", _SLOW if kind == 1 else 0)

    def _publish(self, place: int) -> None:
        topic = self._topics[place]
        if topic.publisher is None or topic.publisher.ended:
            members = self._clients[place :: len(self._topics)]
            topic.publisher = next((client for client in members if client.ready), None)
        if topic.publisher is not None:
            topic.taken += 1
            topic.publisher.call(self._token(), "publish", topic.name, topic.taken, topic=topic, number=topic.taken)

    def _stop_ticking(self) -> None:
        if self._ticker is not None:
            self._ticker.cancel()
            self._ticker = None

    async def settle(self) -> dict[str, Any]:
        """Wait until all have joined and got a push of their topic that was made since; all later ones must arrive."""
        began = time.monotonic()
        await self._until(lambda: all(client.ready for client in self._clients), "connections that did not come back")
        first = {topic.name: topic.taken + 1 for topic in self._topics}
        await self._until(
            lambda: all(sub.last >= first[sub.topic.name] for sub in self._subscriptions()), "topics that stay silent"
        )
        for topic in self._topics:
            topic.mark = topic.taken + 1
        for subscription in self._subscriptions():
            subscription.gaps = 0
        return {"seconds": time.monotonic() - began}

    def _subscriptions(self) -> Iterator[Any]:
        return (sub for client in self._clients for sub in client.subscriptions.values())

    async def stop(self) -> dict[str, Any]:
        """Make no more calls, wait for what was made, and see whether all that had to arrive has."""
        self._stop_ticking()
        await self._until(lambda: not any(client.pending for client in self._clients), "calls without an answer")
        for client in self._clients:
            client.give_up(UNANSWERED)
        await self._until(lambda: all(s.last >= s.topic.acknowledged for s in self._subscriptions()), "pushes missing")
        checked = 0
        for sub in self._subscriptions():
            topic = sub.topic
            if topic.mark is None:
                continue
            if sub.gaps:
                self.books.faults.add("GAP after all had healed", topic.name)
            if sub.since > topic.mark or sub.last != topic.taken:
                row = f"{topic.name}: had {sub.since} to {sub.last} of {topic.mark} to {topic.taken}"
                self.books.faults.add("a later push that did not arrive", row)
            checked += topic.taken + 1 - topic.mark
        return self._report() | {"checked": checked}

    async def figures(self) -> dict[str, Any]:
        """What has been met since the last figures."""
        return self._report()

    def _report(self) -> dict[str, Any]:
        self.books.judge_holes()
        self.books.save()
        return self.books.take()

    # ---- Readers that stall --------------------------------------------------------------------------------------

    async def stall(self, connections: int, topic: str) -> dict[str, Any]:
        """Open so many more, that have joined this topic and stop to read."""
        topics = [Topic(topic)]
        books = Books(self.books.file)  # of their own: what they miss is told by the code they are closed with
        self._readers = [Reader(books, topics, lambda _: None) for _ in range(connections)]
        await asyncio.gather(*(reader.open(self._port, self._address(0), narrow=True) for reader in self._readers))
        for reader in self._readers:
            reader.stall()
        return {}

    async def read_on(self, connections: int) -> dict[str, Any]:
        """Let so many of them read on: the codes they find they were closed with."""
        some = self._readers[:connections]
        for reader in some:
            reader.read_on()
        await self._until(lambda: all(reader.ended for reader in some), "readers that were not closed")
        return {"codes": sorted({reader.code for reader in some})}

    async def drop(self) -> dict[str, Any]:
        """The rest of them goes."""
        for reader in self._readers:
            reader.transport.underlying_transport.abort()
        await self._until(lambda: all(reader.ended for reader in self._readers), "readers that do not end")
        self._readers = []
        return {}

    async def _until(self, condition: Callable[[], bool], what: str) -> None:
        end = time.monotonic() + _DEADLINE
        while not condition():
            if time.monotonic() > end:
                self.books.faults.add(f"after {_DEADLINE:g} s: {what}")
                return
            await asyncio.sleep(_TICK)


def _around(size: Callable[[], int]) -> Iterator[int]:
    at = 0
    while True:
        at = (at + 1) % max(size(), 1)
        yield at


async def _main() -> None:
    name, port, network, folder = sys.argv[1:]
    load = Load(name, int(port), int(network), Path(folder))
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    while line := await reader.readline():
        command = json.loads(line)
        answer = await getattr(load, command.pop("do"))(**command)
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    uvloop.run(_main())
