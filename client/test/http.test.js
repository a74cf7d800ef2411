// What HTTP has of its own.
import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import { once } from 'node:events';
import { after, afterEach, before, test } from 'node:test';

import { close, setHttpBaseUrl, setHttpClient, setWsBaseUrl, withOptions } from '../src/index.js';
import { Server, freePort, functions, rejection, unhandled, watch } from './support.js';

let server;

before(async () => {
    server = await Server.start();
    setHttpBaseUrl(server.url);
});

afterEach(() => {
    setHttpClient();
    setHttpBaseUrl(server.url);
    delete globalThis.location;
});

after(async () => {
    await server.end();
    assert.deepEqual(unhandled, []);
});

/** Answer by hand, and note what was asked. */
function answerWith(body, status = 200) {
    const asked = [];
    setHttpClient(async (url, options) => {
        asked.push({ url, ...options });
        return new Response(typeof body === 'string' ? body : JSON.stringify(body), { status });
    });
    return asked;
}

test('a cached function is called by GET, another by POST', async () => {
    assert.deepEqual(await functions('http', { cached: true }).price('a & b "ü"'), ['a & b "ü"', 'GET']);
    assert.deepEqual(await functions('http', { cached: true }).price(), ['apple', 'GET']);
    assert.deepEqual(await functions('http').price('pear'), ['pear', 'POST']);
});

test('arguments too long for an address are posted', async () => {
    const long = 'é'.repeat(2000);
    assert.deepEqual(await functions('http', { cached: true }).price(long), [long, 'POST']);
});

test('the hash goes with the arguments', async () => {
    const asked = answerWith({ result: 1 });
    await functions('http', { hash: 'f00' }).add(1);
    await functions('http', { hash: 'f00', cached: true }).add(1);
    await functions('http').add(1);
    assert.deepEqual(JSON.parse(asked[0].body), { args: [1], hash: 'f00' });
    assert.equal(asked[0].headers['Content-Type'], 'application/json');
    assert.equal(asked[1].url, `${server.url}/isomor/api/add?args=%5B1%5D&hash=f00`);
    assert.equal(asked[1].body, undefined);
    assert.deepEqual(JSON.parse(asked[2].body), { args: [1] });
});

test('a client that was made for another signature is outdated where its call does not fit', async (t) => {
    const events = watch(t);
    setWsBaseUrl(server.url);
    t.after(close);
    for (const transport of ['ws', 'http']) {
        const { add } = functions(transport, { hash: 'f00' });
        assert.equal(await add(1), 11);
        assert.equal((await rejection(add('one'))).code, 'OUTDATED_CLIENT');
    }
    assert.equal(events.of('outdated').length, 2);
    assert.deepEqual(await functions('http', { hash: 'f00', cached: true }).price('fig'), ['fig', 'GET']);
});

test('an outdated client is told twice: the caller, and the page', async (t) => {
    const events = watch(t);
    answerWith({ error: 'Load the page anew.', code: 'OUTDATED_CLIENT' }, 409);
    assert.equal((await rejection(functions('http').add(1))).code, 'OUTDATED_CLIENT');
    assert.deepEqual([...events], [{ type: 'outdated', module: 'api', name: 'add' }]);
});

test('the page says where the server is', async () => {
    const asked = answerWith({ result: null });
    setHttpBaseUrl();
    globalThis.location = { origin: 'https://shop.example' };
    await functions('http').add(1);
    await functions('http', { baseUrl: '/backend/' }).add(1);
    await functions('http', { baseUrl: 'https://api.example' }).add(1);
    setHttpBaseUrl('https://chosen.example');
    await functions('http', { baseUrl: 'https://api.example' }).add(1);
    assert.deepEqual(
        asked.map(({ url }) => url.replace('/isomor/api/add', '')),
        ['https://shop.example', 'https://shop.example/backend', 'https://api.example', 'https://chosen.example'],
    );
    setHttpBaseUrl();
    globalThis.location = { origin: 'null' }; // of a file
    assert.equal((await rejection(functions('http').add(1))).code, 'NOT_CONFIGURED');
});

test('a server that is away', async () => {
    setHttpBaseUrl(`http://127.0.0.1:${await freePort()}`);
    const error = await rejection(functions('http').add(1));
    assert.equal(error.code, 'CONNECTION_LOST');
    assert.equal(error.status, 0);
    assert.ok(error.cause instanceof TypeError);
});

test('what answers in place of the server', async () => {
    for (const [body, status] of [['<h1>Bad gateway</h1>', 502], ['', 200], ['null', 200], ['{}', 200], ['5', 200]]) {
        answerWith(body, status);
        const error = await rejection(functions('http').add(1));
        assert.equal(error.code, 'BAD_ANSWER', body);
        assert.equal(error.status, status);
    }
});

test('an aborted call ends its request, even while its answer comes', async (t) => {
    const half = createServer((request, response) => {
        response.writeHead(200, { 'Content-Length': 100 });
        response.write('{"result":');
    }).listen(0, '127.0.0.1');
    t.after(() => half.close());
    await once(half, 'listening');
    setHttpBaseUrl(`http://127.0.0.1:${half.address().port}`);
    const controller = new AbortController();
    const failed = rejection(withOptions(functions('http').add, { signal: controller.signal })(1));
    const [, response] = await once(half, 'request');
    const closed = once(response, 'close');
    controller.abort();
    assert.equal((await failed).code, 'CANCELLED');
    await closed;
});

test('an answer that breaks off is a connection that is lost', async (t) => {
    const half = createServer((request, response) => {
        response.writeHead(200, { 'Content-Length': 100 });
        response.write('{"result":', () => response.destroy());
    }).listen(0, '127.0.0.1');
    t.after(() => half.close());
    await once(half, 'listening');
    setHttpBaseUrl(`http://127.0.0.1:${half.address().port}`);
    assert.equal((await rejection(functions('http').add(1))).code, 'CONNECTION_LOST');
});
