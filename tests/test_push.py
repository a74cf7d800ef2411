"""Pushes across real service processes and a real Redis: who gets what, in which order, and what is lost in outages."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import httpx
import pytest
from harness import Server, ServerExited, isomor, wait_until
from redis_servers import RedisServer, Servers, redis_servers, until
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosedError

API = {
    "join.py": """
from isomor import WsContext
async def join(ctx: WsContext, topic: str) -> str:
    await ctx.join(topic)
    return ctx.ws.id
""",
    "leave.py": """
from isomor import WsContext
async def leave(ctx: WsContext, topic: str) -> None:
    await ctx.leave(topic)
""",
    "say.py": """
from typing import Any
from isomor import push
async def say(payload: Any, topic: str | None = None, to: str | None = None) -> None:
    await push(payload, topic=topic, to=to)
""",
    "say_from_thread.py": """
from typing import Any
from isomor import push
def say_from_thread(payload: Any, topic: str) -> None:
    push(payload, topic=topic).wait(30)
""",
    "say_self.py": """
from typing import Any
from isomor import WsContext
async def say_self(ctx: WsContext, payload: Any) -> None:
    await ctx.push(payload)
""",
    "startup.py": """
import asyncio
from isomor import push
async def startup(app):
    await push("from startup", topic="news")
    async def task():
        while True:
            await asyncio.sleep(0.05)
            await push("from a task", topic="tasks")
    app.add_task(task())
""",
}


@pytest.fixture(scope="module")
def redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    with redis_servers(tmp_path_factory.mktemp("redis")) as servers:
        yield servers.server()


@pytest.fixture
def own_redis(tmp_path: Any) -> Iterator[Servers]:
    with redis_servers(tmp_path / "redis") as servers:
        yield servers


def settings(redis: RedisServer, **more: str) -> dict[str, str]:
    return {"ISOMOR_REDIS_URL": redis.url, "ISOMOR_REDIS_PREFIX": "test", **more}


@pytest.fixture(scope="module")
def nodes(serve_module: Callable[..., Server], redis: RedisServer) -> list[Server]:
    return [serve_module(API, env=settings(redis)) for _ in range(2)]


class Client:
    """A browser's worth of WebSocket, that keeps all it gets."""

    def __init__(self, ws: ClientConnection) -> None:
        self.ws = ws
        self.pushes: list[tuple[str | None, Any]] = []
        self.gaps: list[str | None] = []
        self.answers: dict[int, asyncio.Future[Any]] = {}
        self.closed: int | None = None
        self.reader = asyncio.create_task(self._read())

    async def _read(self) -> None:
        with contextlib.suppress(ConnectionClosedError):  # of a worker that was killed
            await self._read_all()
        self.closed = self.ws.close_code

    async def _read_all(self) -> None:
        async for text in self.ws:
            message = json.loads(text)
            if message["action"] == "PUSH":
                self.pushes.append((message.get("topic"), message["payload"]))
            elif message["action"] == "GAP":
                self.gaps.append(message.get("topic"))
            else:
                self.answers.pop(message["id"]).set_result(message)

    def of(self, topic: str | None) -> list[Any]:
        return [payload for of, payload in self.pushes if of == topic]

    async def call(self, name: str, *args: Any) -> Any:
        number = len(self.answers) + 1
        answer = self.answers[number] = asyncio.get_running_loop().create_future()
        await self.ws.send(
            json.dumps({"action": "API", "id": number, "urlPath": f"/isomor/api/{name}", "args": list(args)})
        )
        message = await answer
        assert message["action"] == "API_RES", message
        return message["payload"]


@contextlib.asynccontextmanager
async def clients(*servers: Server) -> Any:
    made: list[Client] = []
    try:
        for server in servers:
            made.append(Client(await connect(f"{server.ws_url}/isomor/ws", compression=None, proxy=None)))
        yield made
    finally:
        await asyncio.gather(*(client.ws.close() for client in made))
        await asyncio.gather(*(client.reader for client in made))


def one_connection() -> httpx.AsyncClient:
    """For one caller at a time. The pool of httpx is not fair: of many callers that share it, some waited 18 s."""
    return httpx.AsyncClient(trust_env=False, verify=False, timeout=60)


def http(server: Server, client: httpx.AsyncClient, name: str, *args: Any) -> Awaitable[httpx.Response]:
    return client.post(f"{server.url}/isomor/api/{name}", json={"args": list(args)})


def test_everyone_on_every_node_sees_the_same_once_and_in_order(nodes):
    """200 connections, 20 topics, two nodes, and pushers on both at the same time, over both transports."""

    async def main() -> None:
        async with clients(*(nodes * 100)) as all_clients:
            topics = [f"topic {number}" for number in range(20)]
            await asyncio.gather(*(item.call("join", topics[n // 2 % 20]) for n, item in enumerate(all_clients)))

            async def pusher(number: int) -> None:
                async with one_connection() as own:
                    for n in range(25):
                        for topic in topics[number % 4 :: 4]:
                            await http(nodes[number % 2], own, "say", [number, n], topic)

            async def ws_pusher(number: int) -> None:
                for n in range(25):
                    for topic in topics[number % 4 :: 4]:
                        await all_clients[number].call("say", [number, n], topic)

            await asyncio.gather(*(pusher(n) for n in range(8)), *(ws_pusher(n) for n in range(100, 108)))
            for n, item in enumerate(all_clients):
                topic = topics[n // 2 % 20]
                await until(lambda item=item, topic=topic: len(item.of(topic)) >= 100, "all pushes")
                seen = item.of(topic)
                assert seen == all_clients[2 * (n // 2 % 20)].of(topic), "one order for all"
                assert len({tuple(push) for push in seen}) == len(seen) == 100, "once"
                for pusher_number in {number for number, _ in seen}:
                    mine = [count for number, count in seen if number == pusher_number]
                    assert mine == sorted(mine), "in a pusher's own order"
                assert len(item.pushes) == 100, "nothing of another topic"
                assert not item.gaps

    asyncio.run(main())


def test_from_wherever_it_is_pushed(nodes):
    async def main() -> None:
        async with clients(*nodes) as (a, b), httpx.AsyncClient(trust_env=False) as web:
            for item in (a, b):
                await item.call("join", "tasks")
                await item.call("join", "x")
            await until(lambda: a.of("tasks") and b.of("tasks"), "a push of a background task")
            await a.call("say", 1, "x")
            await http(nodes[0], web, "say", 2, "x")
            await http(nodes[1], web, "say_from_thread", 3, "x")
            await b.call("say_from_thread", 4, "x")
            code, output = push_command(nodes[0], "--topic", "x", "5")
            assert (code, output) == (0, "")
            for item in (a, b):
                await until(lambda item=item: len(item.of("x")) == 5, "all five")
                assert item.of("x") == [1, 2, 3, 4, 5]

    asyncio.run(main())


def push_command(server: Server, *args: str) -> tuple[int, str]:
    done = isomor("push", *args, cwd=server.folder, env=server.env)
    return done.returncode, done.stdout + done.stderr


def test_to_one_connection_wherever_it_is(nodes):
    async def main() -> None:
        async with clients(*nodes, *nodes) as (a, b, c, d):
            ids = [await item.call("join", "mine") for item in (a, b, c, d)]
            assert len(set(ids)) == 4
            await a.call("say", "for b", None, ids[1])
            await b.call("say", "for a", None, ids[0])
            assert push_command(nodes[0], "--to", ids[1], '"again"') == (0, "")
            await c.call("say_self", "myself")
            await until(lambda: len(b.of(None)) == 2 and a.of(None) and c.of(None), "the pushes")
            await d.call("say", "to all")
            for item in (a, b, c, d):
                await until(lambda item=item: "to all" in item.of(None), "the push to everyone")
            assert a.of(None) == ["for a", "to all"]
            assert b.of(None) == ["for b", "again", "to all"]
            assert c.of(None) == ["myself", "to all"]
            assert d.of(None) == ["to all"]

    asyncio.run(main())


def test_nobody_gets_what_was_not_meant_for_them(nodes, serve, redis):
    other = serve(API, env=settings(redis, ISOMOR_REDIS_PREFIX="other"))

    async def main() -> None:
        async with clients(*nodes, *nodes, other) as (a, b, c, d, foreign):
            gone_id = await d.call("join", "x")
            await d.ws.close()
            for item in (a, b, c, foreign):
                await item.call("join", "x")
            await b.call("leave", "x")
            await a.call("say_self", "mine")
            await a.call("say", "in x", "x")
            await a.call("say", "to the gone", None, gone_id)
            await foreign.call("say", "elsewhere", "x")
            await foreign.call("say", "elsewhere, to all")
            await a.call("say", "to all")
            await until(lambda: all("to all" in item.of(None) for item in (a, b, c)), "the last push")
            await until(lambda: "elsewhere, to all" in foreign.of(None), "the other deployment's last push")
            assert a.pushes == [(None, "mine"), ("x", "in x"), (None, "to all")]
            assert b.pushes == [(None, "to all")]
            assert c.pushes == [("x", "in x"), (None, "to all")]
            assert foreign.pushes == [("x", "elsewhere"), (None, "elsewhere, to all")]
            assert d.pushes == []

    asyncio.run(main())


def test_a_node_subscribes_only_to_what_someone_there_has_joined(nodes, redis):
    def channels() -> set[str]:
        return {name.decode() for name in redis("PUBSUB", "CHANNELS", "test:topic:only*")}

    async def main() -> None:
        async with clients(*nodes) as (a, b):
            assert channels() == set()
            await a.call("join", "only a")
            assert channels() == {"test:topic:only a"}  # at once: join has waited for Redis
            assert redis("PUBSUB", "NUMSUB", "test:topic:only a")[1] == 1
            await b.call("join", "only a")
            assert redis("PUBSUB", "NUMSUB", "test:topic:only a")[1] == 2
            await a.call("leave", "only a")
            await until(lambda: redis("PUBSUB", "NUMSUB", "test:topic:only a")[1] == 1, "one to unsubscribe")
        await until(lambda: channels() == set(), "the other to unsubscribe as it leaves")

    asyncio.run(main())


@pytest.mark.parametrize("fault", ["subscribers cut", "writers cut", "restarted", "frozen"])
def test_an_outage_loses_what_it_must_and_heals_by_itself(own_redis, serve, fault):
    """200 connections, 20 topics, two nodes, pushes through all of it: what is pushed after healing arrives."""
    redis = own_redis.server()
    servers = [serve(API, env=settings(redis)) for _ in range(2)]

    async def break_it() -> None:
        if fault == "subscribers cut":
            for _ in range(3):
                redis.cut(subscribers=True)
                await asyncio.sleep(0.3)
        elif fault == "writers cut":
            for _ in range(10):
                redis.cut(subscribers=False)
                await asyncio.sleep(0.05)
        elif fault == "restarted":
            redis.kill()
            await asyncio.sleep(1)
            await asyncio.to_thread(redis.start)
        else:
            redis.freeze()
            # Longer than a probe's deadline: both nodes must notice, for nothing fails by itself.
            await until(lambda: all(not ready(server) for server in servers), "both nodes to notice")
            redis.thaw()

    async def main() -> dict[str, int]:
        async with clients(*(servers * 100)) as all_clients, one_connection() as web:
            topics = [f"t{number}" for number in range(20)]
            of = {client: topics[n // 2 % 20] for n, client in enumerate(all_clients)}
            await asyncio.gather(*(client.call("join", of[client]) for client in all_clients))
            pushed: dict[str, list[int]] = {topic: [] for topic in topics}
            refused = 0
            running = True

            async def pusher(topic: str, server: Server) -> None:
                nonlocal refused
                number = 0
                async with one_connection() as own:
                    while running:
                        number += 1
                        answer = await http(server, own, "say", number, topic)
                        if answer.status_code == 200:
                            pushed[topic].append(number)
                        else:
                            assert answer.json()["code"] == "UNAVAILABLE", answer.text
                            refused += 1

            async with asyncio.TaskGroup() as group:
                for n, topic in enumerate(topics):
                    group.create_task(pusher(topic, servers[n % 2]))
                await until(lambda: all(len(numbers) > 5 for numbers in pushed.values()), "traffic")
                await break_it()
                await until(lambda: all(ready(server) for server in servers), "both nodes to be ready again")
                running = False
            for topic in topics:
                await http(servers[0], web, "say", "healed", topic)
                for number in range(20):
                    assert (await http(servers[number % 2], web, "say", -number, topic)).status_code == 200
            for client, topic in of.items():
                await until(lambda client=client, topic=topic: -19 in client.of(topic), "the last push")
            lost = 0
            for client, topic in of.items():
                seen = client.of(topic)
                end = seen.index("healed")
                assert seen[end + 1 :] == [-number for number in range(20)], "every later push, once, in order"
                assert seen[:end] == sorted(set(seen[:end])), "nothing twice, nothing out of order"
                missing = set(pushed[topic]) - set(seen)
                lost += len(missing)
                if missing:
                    assert topic in client.gaps, "who has lost something is told so"
            return {
                "pushed": sum(len(numbers) for numbers in pushed.values()),
                "refused": refused,
                "deliveries lost": lost,
                "gaps told": sum(len(client.gaps) for client in all_clients),
            }

    figures = asyncio.run(main())
    print(f"\n{fault}: {figures}")
    if fault == "writers cut":
        assert figures["deliveries lost"] == 0, "the writer sends again what it does not know to have arrived"


def ready(server: Server) -> bool:
    return server.http.get("/health/ready").status_code == 200


def test_redis_down_at_the_start(own_redis, serve):
    redis = own_redis.server()
    redis.kill()
    api = {name: source for name, source in API.items() if name != "startup.py"}
    server = serve(api, env=settings(redis, ISOMOR_REDIS_OUTAGE_BUFFER_SECONDS="0.2"), wait=False)
    wait_until(lambda: "serves" in server.log, "the server to serve")
    wait_until(lambda: server.http.get("/health/live").status_code == 200, "the server to live")
    answer = server.http.get("/health/ready")
    assert (answer.status_code, answer.json()) == (503, {"status": "not ready", "because": ["bus"]})
    assert server.post("say", 1, "x").json()["code"] == "UNAVAILABLE"
    with server.ws() as ws:
        ws.call("say_self", "without Redis")
        assert ws.push() == "without Redis"
        redis.start()
        wait_until(lambda: ready(server), "the server to be ready")
        ws.call("join", "x")
        server.call("say", 2, "x")
        assert ws.push(topic="x") == 2


def test_a_wrong_password_is_said_at_the_start(own_redis, serve):
    redis = own_redis.server("--requirepass", "right", start=False)
    redis.password = "right"
    redis.start()
    url = f"redis://:wr0ng-s3cret@127.0.0.1:{redis.port}"
    server = serve(API, env={"ISOMOR_REDIS_URL": url}, start=False)
    with pytest.raises(ServerExited) as exited:
        server.start()
    assert exited.value.code == 1
    assert "password" in server.log
    assert "wr0ng-s3cret" not in server.log


def test_workers_share_one_port_and_one_bus(serve, redis):
    server = serve(API, env=settings(redis, ISOMOR_WORKERS="2"))

    def workers() -> list[int]:
        with open(f"/proc/{server.pid}/task/{server.pid}/children") as file:
            return [int(pid) for pid in file.read().split()]

    async def main() -> None:
        async with clients(*[server] * 30) as all_clients:
            nodes = {(await client.call("join", "w")).split(".")[0] for client in all_clients}
            assert len(nodes) == 2, "both workers accept"
            await all_clients[0].call("say", "hello", "w")
            for client in all_clients:
                await until(lambda client=client: client.of("w") == ["hello"], "the push")
            before = workers()
            assert len(before) == 2
            os.kill(before[0], signal.SIGKILL)
            await until(lambda: any(client.closed for client in all_clients), "the dead worker's connections to end")
            await until(lambda: len(workers()) == 2 and before[0] not in workers(), "a new worker")
            survivors = [client for client in all_clients if not client.reader.done()]
            assert survivors
            found: set[str] = set()

            async def both_again() -> bool:
                async with clients(*[server] * 10) as fresh:
                    found.update([(await client.call("join", "w")).split(".")[0] for client in fresh])
                    await survivors[0].call("say", "again", "w")
                    for client in fresh:
                        await until(lambda client=client: "again" in client.of("w"), "the push at the new worker")
                return len(found - nodes) == 1

            while not await both_again():
                pass

    asyncio.run(main())
    assert "ended with -9; a new one starts" in server.log


def test_workers_without_redis_are_refused(serve):
    server = serve(API, env={"ISOMOR_WORKERS": "2"}, start=False)
    with pytest.raises(ServerExited) as exited:
        server.start()
    assert exited.value.code == 1
    assert "server.workers" in server.log
    assert "redis.url" in server.log


def test_a_startup_that_fails_with_workers_harms_nothing_else(serve, redis):
    api = {**API, "startup.py": "def startup(app):\n    raise RuntimeError('no database')\n"}
    server = serve(api, env=settings(redis, ISOMOR_WORKERS="2"), start=False)
    with pytest.raises(ServerExited) as exited:
        server.start()
    assert exited.value.code == 1
    assert "startup.py, line 2: RuntimeError: no database" in server.log


def test_push_from_a_shell_says_what_is_wrong(nodes, own_redis, tmp_path):
    assert isomor("push", "1", cwd=tmp_path).returncode == 1
    assert "redis.url is not set" in isomor("push", "1", cwd=tmp_path).stderr
    code, output = push_command(nodes[0], "{nonsense")
    assert code == 1
    assert "not JSON" in output
    code, output = push_command(nodes[0], "--to", "nobody", "1")
    assert code == 1
    assert "ctx.ws.id" in output
    redis = own_redis.server()
    redis.kill()
    env = settings(redis, ISOMOR_REDIS_OUTAGE_BUFFER_SECONDS="0.3")
    done = isomor("push", "1", cwd=tmp_path, env=env)
    assert done.returncode == 1
    assert "error:" in done.stderr


def test_a_foreign_message_is_ignored_and_logged(nodes, redis):
    async def main() -> None:
        async with clients(*nodes) as (a, b):
            for item in (a, b):
                await item.call("join", "shared")
            redis("PUBLISH", "test:topic:shared", "not ours\nINFO a forged line")
            redis("PUBLISH", "test:topic:shared", b"\xff\xfe\x00")
            await a.call("say", "ours", "shared")
            for item in (a, b):
                await until(lambda item=item: item.of("shared"), "our push")
                assert item.pushes == [("shared", "ours")]

    asyncio.run(main())
    for node in nodes:
        assert "not ours" not in node.log.splitlines()
        assert not any(line.startswith("INFO a forged") for line in node.log.splitlines())
        wait_until(lambda node=node: "topic:shared" in node.log, "the log to name the channel")
