// Fastify with a schema for what comes in and one for what goes out, which is what makes it fast. No logger: the default.
import Fastify from 'fastify';

const object = (properties) => ({
    type: 'object',
    properties,
    required: Object.keys(properties),
    additionalProperties: false,
});
const integer = { type: 'integer' };
const string = { type: 'string' };

const Order = object({
    id: integer,
    total: integer,
    customer: object({
        name: string,
        email: string,
        address: object({ street: string, city: string, postcode: string }),
    }),
    lines: {
        type: 'array',
        items: object({
            sku: string,
            name: string,
            count: integer,
            price: integer,
            options: { type: 'array', items: string },
        }),
    },
});

const fastify = Fastify();

fastify.post(
    '/add',
    { schema: { body: object({ a: integer, b: integer }), response: { 200: object({ result: integer }) } } },
    async (request) => ({ result: request.body.a + request.body.b }),
);

fastify.post('/order', { schema: { body: Order, response: { 200: Order } } }, async (request) => {
    const order = request.body;
    order.total = order.lines.reduce((sum, line) => sum + line.count * line.price, 0);
    return order;
});

await fastify.listen({ host: '127.0.0.1', port: Number(process.env.PORT) });
