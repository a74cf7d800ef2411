"""What `push`, `join`, `leave` and `set_ws_config` return: done when called, whether awaited or not."""

from __future__ import annotations

import asyncio
import concurrent.futures
import gc
import logging
import threading
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from isomor.errors import BusUnavailable, ConnectionClosed
from isomor.outcome import DONE, Failed, Outcome, Started, from_thread


@pytest.fixture(autouse=True)
def log(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    caplog.set_level(logging.INFO, "isomor")
    return caplog


def run(main: Callable[[], Coroutine[Any, Any, Any]]) -> Any:
    return asyncio.run(main())


async def in_thread(function: Callable[[], Any]) -> Any:
    """What `function` returns in a thread of its own, while the loop goes on."""
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        return await asyncio.wrap_future(pool.submit(function))


def test_done():
    async def main() -> None:
        assert await DONE is None
        assert await asyncio.wait_for(DONE, 5) is None
        assert DONE.wait() is None
        assert await asyncio.gather(DONE, DONE) == [None, None]

    run(main)


class TestFailed:
    def test_it_is_raised_where_it_is_awaited(self, log):
        async def main() -> None:
            with pytest.raises(ConnectionClosed, match="gone"):
                await Failed("ctx.push", ConnectionClosed("gone"))

        run(main)
        gc.collect()
        assert log.records == []

    def test_it_is_raised_where_a_thread_waits(self, log):
        with pytest.raises(ValueError, match="bad"):
            Failed("ctx.push", ValueError("bad")).wait()
        assert log.records == []

    @pytest.mark.parametrize(
        ("error", "level"),
        [(ConnectionClosed("why"), "INFO"), (BusUnavailable("why"), "WARNING"), (TypeError("why"), "WARNING")],
    )
    def test_it_is_logged_where_nobody_asks(self, log, error, level):
        Failed("ctx.push", error)
        gc.collect()
        (record,) = log.records
        assert record.levelname == level
        assert record.getMessage() == "ctx.push failed, and nobody awaited it: why"
        assert record.exc_info is None

    def test_asked_twice_it_fails_twice(self):
        async def main() -> None:
            failed = Failed("ctx.push", ValueError("bad"))
            with pytest.raises(ValueError, match="bad"):
                await failed
            with pytest.raises(ConnectionClosed, match="before"):
                await failed

        run(main)


class TestStarted:
    @pytest.mark.parametrize("kind", [asyncio.Future, concurrent.futures.Future])
    def test_it_waits_and_raises(self, log, kind):
        async def main() -> None:
            future = kind()
            outcome = Started("push", future)
            waiter = asyncio.create_task(_await(outcome))
            await asyncio.sleep(0)
            assert not waiter.done()
            future.set_exception(BusUnavailable("away"))
            with pytest.raises(BusUnavailable, match="away"):
                await waiter

        run(main)
        assert log.records == []

    def test_it_may_be_awaited_by_many_and_after_the_event(self):
        async def main() -> None:
            future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            outcome = Started("push", future)
            waiters = [asyncio.create_task(_await(outcome)) for _ in range(3)]
            await asyncio.sleep(0)
            future.set_result(None)
            await asyncio.gather(*waiters)
            await outcome
            assert outcome.wait() is None

        run(main)

    def test_who_stops_waiting_stops_nothing(self):
        async def main() -> None:
            future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            outcome = Started("push", future)
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(outcome, 0.001)
            assert not future.cancelled()
            future.set_result(None)
            await outcome

        run(main)

    def test_it_is_logged_where_nobody_awaits_it(self, log):
        async def main() -> None:
            future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            Started("push", future)
            future.set_exception(BusUnavailable("away"))

        run(main)
        gc.collect()
        (record,) = log.records
        assert (record.name, record.levelname) == ("isomor", "WARNING")
        assert record.getMessage() == "push failed, and nobody awaited it: away"

    def test_it_is_not_logged_where_it_is_awaited_after_it_failed(self, log):
        async def main() -> None:
            future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            outcome = Started("push", future)
            future.set_exception(BusUnavailable("away"))
            await asyncio.sleep(0)
            with pytest.raises(BusUnavailable):
                await outcome

        run(main)
        gc.collect()
        assert log.records == []

    def test_on_the_loop_it_never_blocks(self):
        async def main() -> None:
            future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            with pytest.raises(RuntimeError, match="await it"):
                Started("push", future).wait()
            future.set_result(None)

        run(main)

    def test_a_thread_waits(self):
        async def main() -> None:
            future: concurrent.futures.Future[None] = concurrent.futures.Future()
            outcome = Started("push", future)
            asyncio.get_running_loop().call_soon(future.set_result, None)
            assert await in_thread(outcome.wait) is None

        run(main)

    def test_a_thread_waits_so_long_and_no_longer(self):
        with pytest.raises(TimeoutError):
            Started("push", concurrent.futures.Future()).wait(0.001)


class TestFromThread:
    def test_on_the_loops_thread_in_the_order_of_the_calls(self):
        async def main() -> None:
            loop = asyncio.get_running_loop()
            seen: list[tuple[int, int]] = []

            def ask(number: int) -> Outcome:
                def action() -> Outcome:
                    seen.append((number, threading.get_ident()))
                    return DONE

                return from_thread(loop, "push", action)

            outcomes = await in_thread(lambda: [ask(number) for number in range(50)])
            for outcome in outcomes:
                await outcome
            assert seen == [(number, threading.get_ident()) for number in range(50)]

        run(main)

    @pytest.mark.parametrize("when", ["at once", "later"])
    def test_what_goes_wrong_reaches_who_waits(self, when):
        async def main() -> None:
            loop = asyncio.get_running_loop()

            def action() -> Outcome:
                if when == "at once":
                    raise ValueError("bad")
                return Failed("push", ValueError("bad"))

            with pytest.raises(ValueError, match="bad"):
                await in_thread(lambda: from_thread(loop, "push", action).wait())
            with pytest.raises(ValueError, match="bad"):
                await (await in_thread(lambda: from_thread(loop, "push", action)))

        run(main)

    def test_what_goes_wrong_is_logged_where_nobody_waits(self, log):
        async def main() -> None:
            loop = asyncio.get_running_loop()
            action = lambda: Failed("push", ConnectionClosed("gone"))  # noqa: E731
            await in_thread(lambda: from_thread(loop, "push", action) and None)
            while not log.records:
                await asyncio.sleep(0)

        run(main)
        gc.collect()
        (record,) = log.records
        assert record.getMessage() == "push failed, and nobody awaited it: gone"

    def test_when_the_server_has_stopped(self):
        loop = asyncio.new_event_loop()
        loop.close()
        with pytest.raises(ConnectionClosed, match="stopped"):
            from_thread(loop, "push", lambda: DONE).wait()

    def test_a_thread_that_waits_while_the_server_stops_is_let_go(self):
        """What is under way as the loop ends is cancelled; nobody waits for it for ever."""
        outcome: list[Outcome] = []

        async def main() -> None:
            loop = asyncio.get_running_loop()
            never = Started("bus", loop.create_future())
            outcome.append(await in_thread(lambda: from_thread(loop, "push", lambda: never)))
            await asyncio.sleep(0)
            await asyncio.sleep(0)

        run(main)
        with pytest.raises((asyncio.CancelledError, concurrent.futures.CancelledError, ConnectionClosed)):
            outcome[0].wait(5)


async def _await(outcome: Outcome) -> None:
    await outcome
