from ._models import Order


async def order(order: Order) -> Order:
    """The order with its total."""
    order.total = sum(line.count * line.price for line in order.lines)
    return order
