// A server with a short patience.
import assert from 'node:assert/strict';
import { after, afterEach, before, test } from 'node:test';

import { close, setWsBaseUrl, subscribe, unsubscribe } from '../src/index.js';
import { Server, functions, unhandled, until, watch } from './support.js';

const api = functions('ws');
let server;

before(async () => {
    server = await Server.start({ ISOMOR_WS_TIMEOUT: '1' });
    setWsBaseUrl(server.url);
});

afterEach(() => {
    close();
    assert.deepEqual(unhandled, []);
});

after(() => server.end());

test('an idle connection is left closed, and opens at the next call', async (t) => {
    const events = watch(t);
    await api.add(1, 2);
    await until(() => events.of('closed').length, 'the server to find it idle');
    assert.equal(events.at(-1).code, 4000);
    await new Promise((resolve) => setTimeout(resolve, 1500));
    assert.deepEqual(events.types(), ['open', 'closed']);
    assert.equal(await api.add(1, 2), 3);
    assert.deepEqual(events.types(), ['open', 'closed', 'open']);
});

test('a call that runs keeps it open', async (t) => {
    const events = watch(t);
    assert.equal(await api.nap(2.5), 'rested');
    assert.deepEqual(events.types(), ['open']);
});

test('a subscription opens it at once, learns how patient the server is, and keeps it from then on', async (t) => {
    const events = watch(t);
    const heard = [];
    const key = subscribe((payload) => heard.push(payload), { topic: 'color', join: api.watch });
    t.after(() => unsubscribe(key));
    await until(() => events.of('open').length, 'the connection');
    await new Promise((resolve) => setTimeout(resolve, 4500));
    // At most one lesson.
    assert.ok(events.of('closed').length <= 1, events.types().join());
    assert.equal(events.at(-1).type, 'open');
    assert.equal(events.of('reconnecting').length, 0);
    await api.say('red', 'color');
    await until(() => heard.length, 'the push');
    assert.deepEqual(heard, ['red']);

    unsubscribe(key);
    const closed = events.of('closed').length;
    await until(() => events.of('closed').length > closed, 'the server to find it idle');
    assert.equal(events.at(-1).code, 4000);
});

test('no call is lost where the server closes as it comes', async () => {
    for (let round = 0; round < 6; round++) {
        await new Promise((resolve) => setTimeout(resolve, 990 + 4 * round));
        assert.equal(await api.add(round, 1), round + 1);
    }
});
