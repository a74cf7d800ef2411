// The life of a connection, against a real server that goes and comes.
import assert from 'node:assert/strict';
import { after, afterEach, before, beforeEach, test } from 'node:test';

import { close, onState, openWS, setWsBaseUrl, subscribe, unsubscribe, withOptions } from '../src/index.js';
import { Server, functions, rejection, unhandled, until, watch } from './support.js';

const api = functions('ws');
let server;

before(async () => {
    server = await Server.start();
});

beforeEach(() => setWsBaseUrl(server.url));

afterEach(() => {
    close();
    setWsBaseUrl();
    assert.deepEqual(unhandled, []);
});

after(() => server.end());

/** Subscribe until the test ends. */
function listen(t, fn, options) {
    const key = subscribe(fn, options);
    t.after(() => unsubscribe(key));
    return key;
}

const joins = () => server.notes.filter((note) => note === 'watch color').length;

test('calls under way are lost at once, and those made while down wait for the server', async (t) => {
    const events = watch(t);
    const began = server.notes.length;
    const lost = rejection(api.nap(30));
    await until(() => server.notes.length > began, 'the call to begin');
    const start = performance.now();
    await server.kill();
    const error = await lost;
    assert.ok(performance.now() - start < 5000);
    assert.equal(error.code, 'CONNECTION_LOST');
    assert.equal(error.status, 0);
    assert.equal(error.details.code, 1006);

    const waiting = [api.add(1, 2), api.add(3, 4)];
    const late = await rejection(withOptions(api.add, { timeout: 100 })(1));
    assert.equal(late.code, 'TIMEOUT');
    await until(() => events.of('reconnecting').length, 'a new attempt');
    await server.start();
    assert.deepEqual(await Promise.all(waiting), [3, 7]);
    assert.equal(events.of('open').at(-1).again, true);
    for (const { delay } of events.of('reconnecting')) {
        assert.ok(delay >= 250 && delay <= 30_000);
    }
});

test('nobody who waits: nothing is tried', async (t) => {
    const events = watch(t);
    await api.add(1, 2);
    await server.kill();
    await until(() => events.of('closed').length, 'the end');
    const call = withOptions(api.add, { timeout: 50 })(1, 2);
    assert.equal((await rejection(call)).code, 'TIMEOUT');
    const attempts = events.of('reconnecting').length;
    await new Promise((resolve) => setTimeout(resolve, 2000));
    assert.equal(events.of('reconnecting').length, attempts);
    await server.start();
    assert.equal(await api.add(1, 2), 3);
});

test('a subscription comes back after the server is killed, and joins again', async (t) => {
    const events = watch(t);
    const colors = [];
    const joined = joins();
    listen(t, (color, topic) => colors.push([color, topic]), { topic: 'color', join: api.watch });
    await until(() => joins() === joined + 1, 'the first join');
    await api.say('red', 'color');
    await until(() => colors.length === 1, 'a push');

    await server.kill();
    await until(() => events.of('closed').length, 'the end');
    await server.start();
    await until(() => joins() === joined + 2, 'the second join');
    await api.say('blue', 'color');
    await until(() => colors.length === 2, 'another push');
    assert.deepEqual(colors, [['red', 'color'], ['blue', 'color']]);
    assert.equal(joins(), joined + 2);
    assert.deepEqual([events[0].type, events[0].again, events.at(-1).type, events.at(-1).again],
        ['open', false, 'open', true]);
});

test('a subscription comes back after the server restarts in order', async (t) => {
    const events = watch(t);
    listen(t, () => {});
    await until(() => events.of('open').length, 'the connection');
    await server.stop();
    await until(() => events.of('reconnecting').length, 'a new attempt');
    assert.ok([1001, 1012].includes(events.of('closed')[0].code));
    assert.match(events.of('closed')[0].reason, /restart/);
    await server.start();
    await until(() => events.of('open').length === 2, 'the connection again');
});

test('unsubscribing ends the attempts', async (t) => {
    const events = watch(t);
    const key = listen(t, () => {});
    await until(() => events.of('open').length, 'the connection');
    await server.kill();
    await until(() => events.of('reconnecting').length, 'an attempt');
    unsubscribe(key);
    await server.start();
    await new Promise((resolve) => setTimeout(resolve, 1500));
    assert.equal(events.of('open').length, 1);
});

test('close codes that say so are final, until the next call', async (t) => {
    const events = watch(t);
    listen(t, () => {});
    for (const code of [1000, 3000, 4100]) {
        const opened = events.of('open').length;
        api.hang_up(code, 'why').catch(() => {});
        await until(() => events.at(-1)?.type === 'closed', `the end by ${code}`);
        assert.deepEqual([events.at(-1).code, events.at(-1).reason], [code, 'why']);
        await new Promise((resolve) => setTimeout(resolve, 100));
        assert.equal(events.at(-1).type, 'closed');
        assert.equal(await api.add(1, 2), 3);
        assert.equal(events.of('open').length, opened + (opened ? 1 : 2));
    }
});

test('a connection closed as too slow comes back', async (t) => {
    const events = watch(t);
    listen(t, () => {});
    api.hang_up(4008).catch(() => {});
    await until(() => events.of('open').length === 2, 'the connection again');
    assert.deepEqual(events.types(), ['open', 'closed', 'reconnecting', 'open']);
});

test('who is refused is let in when the page says so', async (t) => {
    const events = watch(t);
    server.refuse(true);
    const first = await rejection(api.add(1, 2));
    assert.equal(first.code, 'CONNECTION_LOST');
    assert.deepEqual(first.details, { code: 1008, reason: 'Sign in first' });
    const second = await rejection(api.add(1, 2));
    assert.deepEqual(second.details, { code: 1008, reason: 'Sign in first' });
    listen(t, () => {});
    await new Promise((resolve) => setTimeout(resolve, 50));
    assert.deepEqual(events.types(), ['open', 'closed']);
    server.refuse(false);
    openWS();
    assert.equal(await api.add(1, 2), 3);
});

test('close() rejects what is under way, and the next call opens anew', async (t) => {
    const events = watch(t);
    const joined = joins();
    listen(t, () => {}, { join: api.watch });
    await until(() => joins() === joined + 1, 'the join');
    const lost = rejection(api.nap(30));
    close();
    assert.equal((await lost).code, 'CONNECTION_LOST');
    assert.deepEqual([events.at(-1).type, events.at(-1).code], ['closed', 1000]);
    close();
    await new Promise((resolve) => setTimeout(resolve, 500));
    assert.deepEqual(events.types(), ['open', 'closed']);
    assert.equal(await api.add(1, 2), 3);
    await until(() => joins() === joined + 2, 'the join again');
});

test('close() ends an attempt too', async (t) => {
    const events = watch(t);
    const opening = rejection(api.add(1, 2));
    close();
    assert.equal((await opening).code, 'CONNECTION_LOST');
    assert.equal(await api.add(1, 2), 3);
    await server.kill();
    const waiting = rejection(api.add(1, 2));
    await until(() => events.of('reconnecting').length, 'an attempt');
    close();
    assert.equal((await waiting).code, 'CONNECTION_LOST');
    await server.start();
});

test('a listener may close the connection as it opens', async (t) => {
    const joined = joins();
    listen(t, () => {}, { join: api.watch });
    t.after(onState(({ type }) => type === 'open' && close()));
    const error = await rejection(api.add(1, 2));
    assert.equal(error.code, 'CONNECTION_LOST');
    assert.equal(joins(), joined);
});

test('another address takes over, with what was subscribed', async (t) => {
    const events = watch(t);
    const joined = joins();
    listen(t, () => {}, { join: api.watch });
    await until(() => joins() === joined + 1, 'the join');
    setWsBaseUrl(server.url.replace('http', 'ws') + '/');
    assert.deepEqual(events.types(), ['open', 'closed']);
    await until(() => joins() === joined + 2, 'the join there');
    openWS(server.url);
    await until(() => joins() === joined + 3, 'the join there');
});

test('two servers on one page', async (t) => {
    const other = await Server.start();
    t.after(() => other.end());
    setWsBaseUrl();
    const here = functions('ws', { baseUrl: server.url });
    const there = functions('ws', { baseUrl: other.url });
    const heard = [];
    listen(t, (payload) => heard.push(payload));
    assert.equal(await here.add(1, 2), 3);
    assert.equal(await there.add(1, 3), 4);
    await here.say('here');
    await there.say('there');
    await until(() => heard.length === 2, 'both pushes');
    await there.watch('x');
    assert.equal(server.notes.includes('watch x'), false);
    assert.equal(other.notes.includes('watch x'), true);
    setWsBaseUrl(server.url);
});
