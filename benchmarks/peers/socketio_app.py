"""python-socketio on ASGI. WebSocket alone; no validation, as it has none."""

import asyncio
from typing import Any

import socketio

server = socketio.AsyncServer(async_mode="asgi", transports=["websocket"])
app = socketio.ASGIApp(server)


@server.event
async def add(sid: str, a: int, b: int) -> int:
    return a + b


@server.event
async def order(sid: str, order: dict[str, Any]) -> dict[str, Any]:
    order["total"] = sum(line["count"] * line["price"] for line in order["lines"])
    return order


@server.event
async def length(sid: str, text: str) -> int:
    return len(text)


@server.event
async def subscribe(sid: str) -> None:
    await server.enter_room(sid, "topic")


@server.event
async def burst(sid: str, count: int, payload: str) -> None:
    for _ in range(count):
        await server.emit("push", payload, room="topic")


@server.event
async def turns(sid: str, count: int, payload: str) -> None:
    for _ in range(count):
        await server.emit("push", payload, room="topic")
        await asyncio.sleep(0)
