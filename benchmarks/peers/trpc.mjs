// tRPC 11 by its standalone adapter and its WebSocket adapter, validated by zod.
import { initTRPC } from '@trpc/server';
import { createHTTPServer } from '@trpc/server/adapters/standalone';
import { applyWSSHandler } from '@trpc/server/adapters/ws';
import { WebSocketServer } from 'ws';
import { z } from 'zod';

const Order = z.object({
    id: z.int(),
    total: z.int(),
    customer: z.object({
        name: z.string(),
        email: z.string(),
        address: z.object({ street: z.string(), city: z.string(), postcode: z.string() }),
    }),
    lines: z.array(
        z.object({
            sku: z.string(),
            name: z.string(),
            count: z.int(),
            price: z.int(),
            options: z.array(z.string()),
        }),
    ),
});

const { procedure, router } = initTRPC.create();

const app = router({
    add: procedure.input(z.object({ a: z.int(), b: z.int() })).mutation(({ input }) => input.a + input.b),
    order: procedure.input(Order).mutation(({ input: order }) => {
        order.total = order.lines.reduce((sum, line) => sum + line.count * line.price, 0);
        return order;
    }),
});

const server = createHTTPServer({ router: app });
applyWSSHandler({ wss: new WebSocketServer({ server }), router: app });
server.listen(Number(process.env.PORT), '127.0.0.1');
