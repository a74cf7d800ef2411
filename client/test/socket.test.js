// What a real server does not do at a test's command: the test is the server, and owns the time.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { afterEach, beforeEach, test } from 'node:test';

import {
    close,
    openWS,
    setWebSocket,
    setWsBaseUrl,
    setWsConfig,
    subscribe,
    unsubscribe,
    withOptions,
} from '../src/index.js';
import { fakeWebSocket, functions, rejection, unhandled, until, watch, ws } from './support.js';

const api = functions('ws');
let Fake;
let address = 0;

beforeEach(() => {
    Fake = fakeWebSocket();
    setWebSocket(Fake);
    setWsBaseUrl(`http://127.0.0.1:${++address}`); // each test has a connection of its own
});

afterEach(async () => {
    close();
    setWsConfig({ withCookie: undefined });
    delete globalThis.document;
    delete globalThis.location;
    await new Promise((resolve) => setImmediate(resolve));
    assert.deepEqual(unhandled, []);
});

function listen(t, fn = () => {}, options) {
    const key = subscribe(fn, options);
    t.after(() => unsubscribe(key));
    return key;
}

const turn = () => new Promise((resolve) => setImmediate(resolve));

/** Own the time: `pass(ms)`. */
function mockTime(t) {
    t.mock.timers.enable({ apis: ['setTimeout'] });
    let now = performance.now();
    t.mock.method(performance, 'now', () => now);
    return (ms) => {
        for (let left = ms; left > 0; left -= 50) {
            now += Math.min(50, left);
            t.mock.timers.tick(Math.min(50, left));
        }
    };
}

test('a call is one message, at the address that is derived', async () => {
    setWsBaseUrl('https://api.example/backend/');
    const answer = functions('ws', { hash: 'f00' }).add(1, 2);
    assert.equal(Fake.last.url, 'wss://api.example/backend/isomor/ws');
    Fake.last.opens();
    const [{ id, ...message }] = Fake.last.sent;
    assert.deepEqual(message, { action: 'API', urlPath: '/isomor/api/add', args: [1, 2], hash: 'f00' });
    assert.ok(Number.isInteger(id));
    Fake.last.says({ action: 'API_RES', id, payload: 3 });
    assert.equal(await answer, 3);
});

test('the page says where the server is, unless generated code does', async (t) => {
    setWsBaseUrl();
    globalThis.location = { origin: 'https://shop.example' };
    rejection(api.add(1));
    assert.equal(Fake.last.url, 'wss://shop.example/isomor/ws');
    rejection(functions('ws', { baseUrl: '/backend' }).add(1));
    assert.equal(Fake.last.url, 'wss://shop.example/backend/isomor/ws');
    close();
    listen(t);
    await turn();
    // Whoever subscribes goes where the first generated function goes; here both connections are known.
    assert.equal(Fake.all.length, 4);
});

test('which close codes bring a subscription back', async (t) => {
    const events = watch(t);
    listen(t);
    await turn();
    for (const code of [1001, 1005, 1006, 1012, 1013, 1014, 4008]) {
        openWS();
        Fake.last.opens();
        Fake.last.ends(code);
        assert.equal(events.at(-1).type, 'reconnecting', `after ${code}`);
    }
    for (const code of [1000, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 3000, 4001, 4999]) {
        openWS();
        Fake.last.opens();
        Fake.last.ends(code, 'why');
        assert.deepEqual(
            events.at(-1),
            { type: 'closed', url: Fake.last.url, code, reason: 'why' },
            `after ${code}`,
        );
    }
});

test('attempts come after 250 ms to 30 s, at random, ever later', async (t) => {
    const pass = mockTime(t);
    const events = watch(t);
    listen(t);
    await turn();
    const most = [];
    for (let attempt = 0; attempt < 12; attempt++) {
        const sockets = Fake.all.length;
        Fake.last.ends(1006);
        const { delay } = events.at(-1);
        most.push(delay);
        assert.ok(delay >= 250 && delay <= Math.min(30_000, 1000 * 2 ** attempt), `${delay}`);
        pass(delay + 50);
        assert.equal(Fake.all.length, sockets + 1);
    }
    assert.ok(Math.max(...most) > 2000);
    assert.equal(new Set(most).size, most.length);
    // A connection that lasts begins anew.
    Fake.last.opens();
    pass(10_000);
    Fake.last.ends(1006);
    assert.ok(events.at(-1).delay <= 1000);
    assert.equal(events.at(-1).attempt, 1);
});

test('a server that accepts and hangs up is not stormed', async (t) => {
    const pass = mockTime(t);
    const events = watch(t);
    listen(t);
    await turn();
    for (const code of [4008, 4000, 1006]) {
        Fake.last.opens();
        Fake.last.ends(code);
        assert.equal(events.at(-1).type, 'reconnecting');
        pass(events.at(-1).delay + 50);
    }
    assert.equal(events.of('reconnecting').at(-1).attempt, 3);
});

test('back online: no more waiting', async (t) => {
    const page = new EventTarget();
    globalThis.addEventListener = page.addEventListener.bind(page);
    globalThis.removeEventListener = page.removeEventListener.bind(page);
    t.after(() => {
        delete globalThis.addEventListener;
        delete globalThis.removeEventListener;
    });
    listen(t);
    await turn();
    Fake.last.ends(1006);
    assert.equal(Fake.all.length, 1);
    page.dispatchEvent(new Event('online'));
    assert.equal(Fake.all.length, 2);
    page.dispatchEvent(new Event('online'));
    assert.equal(Fake.all.length, 2);
});

test('a socket that fails without a close event', async (t) => {
    const events = watch(t);
    listen(t);
    await turn();
    Fake.last.onerror({});
    assert.deepEqual(events.types(), ['closed', 'reconnecting']);
    Fake.last.ends(1006);
    assert.deepEqual(events.types(), ['closed', 'reconnecting']);
});

test('a subscription sends PING after 25 s of silence, a bare connection does not', async (t) => {
    const pass = mockTime(t);
    openWS();
    Fake.last.opens();
    pass(60_000);
    assert.deepEqual(Fake.last.sent, []);
    listen(t);
    await turn();
    pass(25_000);
    assert.deepEqual(Fake.last.sent, [{ action: 'PING' }]);
    for (let times = 0; times < 5; times++) {
        Fake.last.says({ action: 'PONG' });
        pass(49_950); // never 60 s without a message
    }
    assert.ok(Fake.last.sent.length >= 5);
    const { length } = Fake.last.sent;
    for (let times = 0; times < 100; times++) {
        Fake.last.says({ action: 'PUSH', payload: 1 });
        pass(1000);
    }
    assert.equal(Fake.last.sent.length, length); // it is not silent
});

test('nobody answers PING: the connection is lost', async (t) => {
    const pass = mockTime(t);
    const events = watch(t);
    listen(t);
    await turn();
    Fake.last.opens();
    pass(76_000);
    assert.deepEqual(events.types().slice(0, 3), ['open', 'closed', 'reconnecting']);
    assert.equal(events[1].code, 1006);
    assert.notEqual(Fake.all[0].closedWith, undefined);
});

test('an attempt that comes to nothing ends', async (t) => {
    const pass = mockTime(t);
    const events = watch(t);
    const answer = withOptions(api.add, { timeout: 0 })(1, 2);
    pass(26_000);
    assert.deepEqual(events.types(), ['closed', 'reconnecting']);
    assert.notEqual(Fake.all[0].closedWith, undefined);
    pass(events[1].delay + 50);
    Fake.last.opens();
    Fake.last.says({ action: 'API_RES', id: Fake.last.sent[0].id, payload: 3 });
    assert.equal(await answer, 3);
});

test('a server that is busy with our calls need not answer PING', async (t) => {
    const pass = mockTime(t);
    const events = watch(t);
    const answer = withOptions(api.nap, { timeout: 0 })(100);
    Fake.last.opens();
    pass(120_000);
    assert.deepEqual(events.types(), ['open']);
    Fake.last.says({ action: 'API_RES', id: Fake.last.sent[0].id, payload: 'rested' });
    assert.equal(await answer, 'rested');
});

test('what crosses with the server’s idle close is sent again, once', async () => {
    const answer = api.add(1, 2);
    Fake.last.opens();
    const [message] = Fake.last.sent;
    Fake.last.ends(4000);
    await until(() => Fake.all.length === 2);
    Fake.last.opens();
    assert.deepEqual(Fake.last.sent, [message]);
    Fake.last.says({ action: 'API_RES', id: message.id, payload: 3 });
    assert.equal(await answer, 3);
});

test('a call made while the socket closes waits for the next one', async () => {
    openWS();
    Fake.last.opens();
    Fake.last.readyState = 2;
    const answer = api.add(1, 2);
    assert.deepEqual(Fake.last.sent, []);
    Fake.last.ends(1001);
    await until(() => Fake.all.length === 2);
    Fake.last.opens();
    Fake.last.says({ action: 'API_RES', id: Fake.last.sent[0].id, payload: 3 });
    assert.equal(await answer, 3);
});

test('CANCEL only for what was sent', async () => {
    const controller = new AbortController();
    const add = withOptions(api.add, { signal: controller.signal });
    const unsent = rejection(add(1));
    controller.abort();
    assert.equal((await unsent).code, 'CANCELLED');
    Fake.last.opens();
    assert.deepEqual(Fake.last.sent, []);
    const late = rejection(withOptions(api.add, { timeout: 10 })(1));
    assert.equal((await late).code, 'TIMEOUT');
    const [{ id }] = Fake.last.sent;
    assert.deepEqual(Fake.last.sent[1], { action: 'CANCEL', id });
    // The answer of a call that was given up is nobody's.
    Fake.last.says({ action: 'API_ERR', id, payload: 'cancelled', code: 'CANCELLED', status: 499 });
});

test('a gap is told', async (t) => {
    const events = watch(t);
    openWS();
    Fake.last.opens();
    Fake.last.says({ action: 'GAP', topic: 'color' });
    Fake.last.says({ action: 'GAP' });
    const { url } = Fake.last;
    assert.deepEqual(events.of('gap'), [{ type: 'gap', url, topic: 'color' }, { type: 'gap', url, topic: undefined }]);
});

test('an outdated client is told', async (t) => {
    const events = watch(t);
    const failed = rejection(api.add('x'));
    Fake.last.opens();
    const [{ id }] = Fake.last.sent;
    Fake.last.says({ action: 'API_ERR', id, payload: 'Load the page anew.', code: 'OUTDATED_CLIENT', status: 409 });
    assert.equal((await failed).code, 'OUTDATED_CLIENT');
    assert.deepEqual(events.of('outdated'), [{ type: 'outdated', module: 'api', name: 'add' }]);
});

test('messages that are not understood harm nothing', async (t) => {
    const shown = t.mock.method(console, 'error', () => {});
    const answer = api.add(1, 2);
    Fake.last.opens();
    Fake.last.says({ action: 'NEWS', payload: 1 });
    Fake.last.says({ action: 'API_ERR', id: null, payload: 'what?', code: 'BAD_MESSAGE', status: 400 });
    Fake.last.says({ action: 'API_RES', id: 'constructor', payload: 1 });
    assert.equal(shown.mock.callCount(), 0);
    Fake.last.onmessage({ data: '{"action":' });
    Fake.last.onmessage({ data: 'null' });
    await turn();
    assert.equal(shown.mock.callCount(), 2);
    Fake.last.says({ action: 'API_RES', id: Fake.last.sent[0].id, payload: 3 });
    assert.equal(await answer, 3);
});

test('where there are cookies, what the server says of them is heard before the first call is sent', async () => {
    globalThis.document = { cookie: 'theme=dark' };
    const first = api.add(1);
    Fake.last.opens();
    assert.deepEqual(Fake.last.sent, [{ action: 'PING' }]);
    Fake.last.says({ action: 'CONF', payload: { withCookie: true } });
    assert.equal(Fake.last.sent[1].cookie, 'theme=dark');
    Fake.last.says({ action: 'API_RES', id: Fake.last.sent[1].id, payload: 1 });
    await first;
    globalThis.document.cookie = 'theme=light';
    rejection(api.add(1));
    assert.equal(Fake.last.sent[2].cookie, 'theme=light');
    Fake.last.says({ action: 'CONF', payload: { withCookie: false } });
    rejection(api.add(1));
    assert.equal(Fake.last.sent[3].cookie, undefined);
    setWsConfig({ withCookie: true });
    rejection(api.add(1));
    assert.equal(Fake.last.sent[4].cookie, 'theme=light');
    // What is known is not asked again.
    Fake.last.ends(1006);
    openWS();
    rejection(api.add(1));
    Fake.last.opens();
    assert.equal(Fake.last.sent[0].action, 'API');
});

test('a server that says nothing of cookies gets none', async () => {
    globalThis.document = { cookie: 'theme=dark' };
    rejection(api.add(1));
    Fake.last.opens();
    Fake.last.says({ action: 'PONG' });
    assert.equal(Fake.last.sent[1].action, 'API');
    assert.equal(Fake.last.sent[1].cookie, undefined);
});

test('a join that fails for a while is tried again, one that fails for good is not', async (t) => {
    const pass = mockTime(t);
    const events = watch(t);
    let calls = 0;
    let status = 503;
    const join = async () => {
        calls++;
        if (status) {
            throw Object.assign(new Error('no'), { status });
        }
    };
    const key = listen(t, () => {}, { topic: 'color', join });
    await turn();
    assert.equal(calls, 0); // not before it is open
    Fake.last.opens();
    await turn();
    assert.equal(calls, 1);
    assert.deepEqual([events.at(-1).type, events.at(-1).topic], ['joinFailed', 'color']);
    pass(1050);
    await turn();
    assert.equal(calls, 2);
    status = 0;
    pass(2050);
    await turn();
    assert.equal(calls, 3);
    pass(60_000);
    await turn();
    assert.equal(calls, 3);

    status = 403;
    Fake.last.says({ action: 'PONG' });
    Fake.last.ends(1006);
    openWS();
    Fake.last.opens();
    await turn();
    assert.equal(calls, 4);
    assert.equal(events.at(-1).error.status, 403);
    pass(20_000);
    await turn();
    assert.equal(calls, 4);

    status = 429;
    Fake.last.ends(1006);
    openWS();
    Fake.last.opens();
    await turn();
    assert.equal(calls, 5);
    unsubscribe(key);
    pass(60_000);
    await turn();
    assert.equal(calls, 5);
});

test('a join that failed is shown, if nobody listens to events', async (t) => {
    const shown = t.mock.method(console, 'error', () => {});
    listen(t, () => {}, {
        join: () => {
            throw new Error('typo');
        },
    });
    await turn();
    Fake.last.opens();
    await turn();
    assert.equal(shown.mock.calls[0].arguments[0].message, 'typo');
});

test('what subscribers and listeners throw harms nobody else', async (t) => {
    const shown = t.mock.method(console, 'error', () => {});
    const heard = [];
    listen(t, () => {
        throw new Error('thrown');
    });
    listen(t, async () => {
        throw new Error('rejected');
    });
    listen(t, (payload) => heard.push(payload));
    await turn();
    Fake.last.opens();
    Fake.last.says({ action: 'PUSH', payload: 1 });
    await turn();
    assert.deepEqual(heard, [1]);
    assert.deepEqual(
        shown.mock.calls.map((call) => call.arguments[0].message),
        ['thrown', 'rejected'],
    );
});

test('a subscriber may end another, or begin one, as it is called', async (t) => {
    const heard = [];
    listen(t, () => {
        unsubscribe(second);
        listen(t, () => heard.push('third'));
    });
    const second = listen(t, () => heard.push('second'));
    await turn();
    Fake.last.opens();
    Fake.last.says({ action: 'PUSH', payload: 1 });
    assert.deepEqual(heard, []);
});

test('keys are numbers, and true', (t) => {
    const key = listen(t);
    assert.equal(typeof key, 'number');
    assert.ok(key);
    unsubscribe(key);
    unsubscribe(key);
    unsubscribe(undefined);
});

test('whoever subscribes and says then where the server is, is understood', async (t) => {
    setWsBaseUrl();
    listen(t);
    setWsBaseUrl('http://later.example');
    await turn();
    assert.deepEqual(Fake.all.map(({ url }) => url), ['ws://later.example/isomor/ws']);
});

test('where there is no WebSocket, it is said what to do', async (t) => {
    const events = watch(t);
    const real = globalThis.WebSocket;
    globalThis.WebSocket = undefined;
    setWebSocket();
    t.after(() => (globalThis.WebSocket = real));
    const error = await rejection(api.add(1));
    assert.equal(error.code, 'CONNECTION_LOST');
    assert.match(error.message, /setWebSocket/);
    assert.match(events.at(-1).reason, /setWebSocket/);
});

test('the class of the package ws will do', async (t) => {
    setWebSocket(ws.WebSocket);
    const server = new ws.WebSocketServer({ port: 0, host: '127.0.0.1' });
    t.after(() => server.close());
    server.on('connection', (socket) =>
        socket.on('message', (data) => {
            const { id, args } = JSON.parse(data);
            socket.send(JSON.stringify({ action: 'API_RES', id, payload: args[0] }));
        }),
    );
    await once(server, 'listening');
    setWsBaseUrl(`ws://127.0.0.1:${server.address().port}`);
    const opening = rejection(api.echo('early'));
    close();
    assert.equal((await opening).code, 'CONNECTION_LOST');
    assert.equal(await api.echo('hello'), 'hello');
});
