"""The order that goes in and out: about 2 kB of JSON."""

from dataclasses import dataclass


@dataclass
class Address:
    street: str
    city: str
    postcode: str


@dataclass
class Customer:
    name: str
    email: str
    address: Address


@dataclass
class Line:
    sku: str
    name: str
    count: int
    price: int
    options: list[str]


@dataclass
class Order:
    id: int
    total: int
    customer: Customer
    lines: list[Line]
