"""The order that goes in and out: about 2 kB of JSON."""

from msgspec import Struct


class Address(Struct):
    street: str
    city: str
    postcode: str


class Customer(Struct):
    name: str
    email: str
    address: Address


class Line(Struct):
    sku: str
    name: str
    count: int
    price: int
    options: list[str]


class Order(Struct):
    id: int
    total: int
    customer: Customer
    lines: list[Line]
