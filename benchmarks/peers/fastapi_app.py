"""FastAPI with pydantic's models, which validate what comes in and write what goes out, both in Rust."""

import asyncio
from typing import Annotated, Literal

from fastapi import FastAPI, WebSocket, WebSocketDisconnect
from pydantic import BaseModel, Field, TypeAdapter

app = FastAPI()


class Pair(BaseModel):
    a: int
    b: int


class Sum(BaseModel):
    result: int


class Address(BaseModel):
    street: str
    city: str
    postcode: str


class Customer(BaseModel):
    name: str
    email: str
    address: Address


class Line(BaseModel):
    sku: str
    name: str
    count: int
    price: int
    options: list[str]


class Order(BaseModel):
    id: int
    total: int
    customer: Customer
    lines: list[Line]

    def add_up(self) -> "Order":
        self.total = sum(line.count * line.price for line in self.lines)
        return self


@app.post("/add")
async def add(pair: Pair) -> Sum:
    return Sum(result=pair.a + pair.b)


@app.post("/order")
async def order(order: Order) -> Order:
    return order.add_up()


class Text(BaseModel):
    text: str


class Pushes(BaseModel):
    count: int
    payload: str


class AddCall(BaseModel):
    id: int
    method: Literal["add"]
    args: Pair


class OrderArgs(BaseModel):
    order: Order


class OrderCall(BaseModel):
    id: int
    method: Literal["order"]
    args: OrderArgs


class LengthCall(BaseModel):
    id: int
    method: Literal["length"]
    args: Text


class SubscribeCall(BaseModel):
    id: int
    method: Literal["subscribe"]


class PushCall(BaseModel):
    id: int
    method: Literal["burst", "turns"]
    args: Pushes


calls: TypeAdapter[AddCall | OrderCall | LengthCall | SubscribeCall | PushCall] = TypeAdapter(
    Annotated[AddCall | OrderCall | LengthCall | SubscribeCall | PushCall, Field(discriminator="method")]
)


class IntAnswer(BaseModel):
    id: int
    result: int | None


class OrderAnswer(BaseModel):
    id: int
    result: Order


class Push(BaseModel):
    push: str


class Topic:
    """The ConnectionManager of FastAPI's documentation."""

    def __init__(self) -> None:
        self.connections: list[WebSocket] = []

    async def push(self, payload: str) -> None:
        message = Push(push=payload).model_dump_json()
        for connection in self.connections:
            await connection.send_text(message)


topic = Topic()


@app.websocket("/ws")
async def serve(websocket: WebSocket) -> None:
    await websocket.accept()
    try:
        while True:
            call = calls.validate_json(await websocket.receive_text())
            answer: IntAnswer | OrderAnswer = IntAnswer(id=call.id, result=None)
            match call:
                case AddCall():
                    answer = IntAnswer(id=call.id, result=call.args.a + call.args.b)
                case OrderCall():
                    answer = OrderAnswer(id=call.id, result=call.args.order.add_up())
                case LengthCall():
                    answer = IntAnswer(id=call.id, result=len(call.args.text))
                case SubscribeCall():
                    topic.connections.append(websocket)
                case PushCall():
                    for _ in range(call.args.count):
                        await topic.push(call.args.payload)
                        if call.method == "turns":
                            await asyncio.sleep(0)
            await websocket.send_text(answer.model_dump_json())
    except WebSocketDisconnect:
        if websocket in topic.connections:
            topic.connections.remove(websocket)
