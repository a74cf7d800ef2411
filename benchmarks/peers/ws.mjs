// `ws` as its documentation has it: JSON.parse, no validation. The add-on `bufferutil` is installed, as its README
// recommends for speed. Compression is off by default.
import { WebSocketServer } from 'ws';

const topic = new Set();

function push(payload) {
    // Encoded once. As a Buffer it is also turned into bytes once, which is faster than a string for each socket.
    const message = Buffer.from(JSON.stringify({ push: payload }));
    for (const socket of topic) {
        socket.send(message, { binary: false });
    }
}

const methods = {
    add: (socket, a, b) => a + b,
    order(socket, order) {
        order.total = order.lines.reduce((sum, line) => sum + line.count * line.price, 0);
        return order;
    },
    length: (socket, text) => text.length,
    subscribe(socket) {
        topic.add(socket);
        socket.on('close', () => topic.delete(socket));
        return null;
    },
    burst(socket, count, payload) {
        for (let i = 0; i < count; i++) {
            push(payload);
        }
        return null;
    },
    turns(socket, count, payload) {
        push(payload);
        if (count > 1) {
            setImmediate(methods.turns, socket, count - 1, payload);
        }
        return null;
    },
};

new WebSocketServer({ host: '127.0.0.1', port: Number(process.env.PORT) }).on('connection', (socket) => {
    socket.on('error', () => {});
    socket.on('message', (data) => {
        const { id, method, args } = JSON.parse(data);
        socket.send(JSON.stringify({ id, result: methods[method](socket, ...args) }));
    });
});
