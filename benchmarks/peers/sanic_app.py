"""Sanic alone, by HTTP and by its own WebSocket: no validation, as it has none. ujson comes with it."""

import asyncio
import os
from typing import Any

import ujson
from sanic import HTTPResponse, Request, Sanic, Websocket, json

app = Sanic("benchmark")
topic: set[Websocket] = set()


def add_up(order: dict[str, Any]) -> dict[str, Any]:
    order["total"] = sum(line["count"] * line["price"] for line in order["lines"])
    return order


@app.post("/add")
async def add(request: Request) -> HTTPResponse:
    return json({"result": request.json["a"] + request.json["b"]})


@app.post("/order")
async def order(request: Request) -> HTTPResponse:
    return json(add_up(request.json))


async def push(payload: str) -> None:
    message = ujson.dumps({"push": payload})
    for websocket in tuple(topic):
        await websocket.send(message)


@app.websocket("/ws")
async def serve(request: Request, websocket: Websocket) -> None:
    try:
        async for message in websocket:
            call = ujson.loads(message)
            result: Any = None
            match call["method"], call["args"]:
                case "add", [a, b]:
                    result = a + b
                case "order", [order]:
                    result = add_up(order)
                case "length", [text]:
                    result = len(text)
                case "subscribe", _:
                    topic.add(websocket)
                case "burst", [count, payload]:
                    for _ in range(count):
                        await push(payload)
                case "turns", [count, payload]:
                    for _ in range(count):
                        await push(payload)
                        await asyncio.sleep(0)
            await websocket.send(ujson.dumps({"id": call["id"], "result": result}))
    finally:
        topic.discard(websocket)


if __name__ == "__main__":
    app.run(host="127.0.0.1", port=int(os.environ["PORT"]), single_process=True, access_log=False, motd=False)
