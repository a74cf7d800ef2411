// Socket.IO 4 as its page on performance has it: WebSocket alone, the add-on `bufferutil`, and the first request of a
// connection let go. With REDIS_URL, a topic reaches across processes, by the adapter that its documentation recommends
// for new developments, on ioredis: the fastest here of its two adapters and two clients.
import { createServer } from 'node:http';
import { createShardedAdapter } from '@socket.io/redis-adapter';
import { Redis } from 'ioredis';
import { Server } from 'socket.io';

const options = { transports: ['websocket'], serveClient: false };
if (process.env.REDIS_URL) {
    const publisher = new Redis(process.env.REDIS_URL);
    options.adapter = createShardedAdapter(publisher, publisher.duplicate());
}

const server = createServer((request, response) => response.end());
const io = new Server(server, options);
io.engine.on('connection', (socket) => (socket.request = null));

io.on('connection', (socket) => {
    socket.on('add', (a, b, reply) => reply(a + b));
    socket.on('order', (order, reply) => {
        order.total = order.lines.reduce((sum, line) => sum + line.count * line.price, 0);
        reply(order);
    });
    socket.on('length', (text, reply) => reply(text.length));
    socket.on('subscribe', (reply) => {
        socket.join('topic');
        reply(null);
    });
    socket.on('burst', (count, payload, reply) => {
        for (let i = 0; i < count; i++) {
            io.to('topic').emit('push', payload);
        }
        reply(null);
    });
    socket.on('turns', (count, payload, reply) => {
        (function turn() {
            io.to('topic').emit('push', payload);
            if (--count > 0) {
                setImmediate(turn);
            }
        })();
        reply(null);
    });
});

server.listen(Number(process.env.PORT), '127.0.0.1');
