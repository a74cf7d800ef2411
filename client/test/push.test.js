// Pushes and cookies, against a real server.
import assert from 'node:assert/strict';
import { after, afterEach, before, test } from 'node:test';

import { close, setHttpBaseUrl, setWsBaseUrl, setWsConfig, subscribe, unsubscribe } from '../src/index.js';
import { Server, functions, unhandled, until } from './support.js';

const api = functions('ws');
let server;

before(async () => {
    server = await Server.start();
    setWsBaseUrl(server.url);
    setHttpBaseUrl(server.url);
});

afterEach(() => {
    close();
    delete globalThis.document;
    assert.deepEqual(unhandled, []);
});

after(() => server.end());

test('who hears what', async (t) => {
    const heard = { all: [], color: [], shape: [] };
    for (const [name, list] of Object.entries(heard)) {
        const options = name === 'all' ? undefined : { topic: name, join: () => api.watch(name) };
        const key = subscribe((payload, topic) => list.push([payload, topic]), options);
        t.after(() => unsubscribe(key));
    }
    await until(() => server.notes.includes('watch shape') && server.notes.includes('watch color'), 'the joins');
    const say = functions('http').say;
    await say('to all');
    await say('red', 'color');
    await say('round', 'shape');
    await say('nobody', 'size');
    await api.whisper('to you');
    await until(() => heard.all.length === 4, 'all pushes');
    assert.deepEqual(heard, {
        all: [['to all', undefined], ['red', 'color'], ['round', 'shape'], ['to you', undefined]],
        color: [['red', 'color']],
        shape: [['round', 'shape']],
    });
});

test('a subscription without a join opens the connection, and hears what goes to all', async (t) => {
    const heard = [];
    const key = subscribe((payload) => heard.push(payload));
    t.after(() => unsubscribe(key));
    await until(async () => {
        await functions('http').say('hello');
        return heard.includes('hello');
    }, 'the push');
});

test('cookies go with calls where the page or the server says so', async () => {
    globalThis.document = { cookie: 'theme=dark; lang=en' };
    assert.deepEqual(await api.cookies(), {});
    setWsConfig({ withCookie: true });
    assert.deepEqual(await api.cookies(), { theme: 'dark', lang: 'en' });
    setWsConfig({ withCookie: false });
    assert.deepEqual(await api.cookies(), {});
    await api.configure(true);
    assert.deepEqual(await api.cookies(), { theme: 'dark', lang: 'en' });
    await api.configure(false);
    assert.deepEqual(await api.cookies(), {});
    delete globalThis.document;
    setWsConfig({ withCookie: true });
    assert.deepEqual(await api.cookies(), {});
});

test('a server that wants cookies has them with the first call', async (t) => {
    const other = await Server.start({ COOKIES: '1' });
    t.after(() => other.end());
    globalThis.document = { cookie: 'theme=dark' };
    setWsConfig({ withCookie: undefined });
    setWsBaseUrl(other.url);
    assert.deepEqual(await api.cookies(), { theme: 'dark' });
});
