export interface Address {
    street: string;
    city: string;
    postcode: string;
}

export interface Customer {
    name: string;
    email: string;
    address: Address;
}

export interface Line {
    sku: string;
    name: string;
    count: number;
    price: number;
    options: string[];
}

export interface Order {
    id: number;
    total: number;
    customer: Customer;
    lines: Line[];
}

export default async function (order: Order): Promise<Order> {
    order.total = order.lines.reduce((sum, line) => sum + line.count * line.price, 0);
    return order;
}
