// Calls over both transports, against a real server.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';

import { IsomorError, close, isomorRemote, setHttpBaseUrl, setWsBaseUrl, withOptions } from '../src/index.js';
import { Server, functions, rejection, unhandled, until } from './support.js';

let server;

before(async () => {
    server = await Server.start();
    setHttpBaseUrl(server.url);
    setWsBaseUrl(server.url);
});

after(async () => {
    close();
    await server.end();
    assert.deepEqual(unhandled, []);
});

for (const transport of ['ws', 'http']) {
    describe(transport, () => {
        const api = functions(transport);

        test('a call resolves to its result', async () => {
            assert.equal(await api.add(1, 2), 3);
            assert.deepEqual(await api.echo({ 'ключ': [null, true, '\u2028"'] }), { 'ключ': [null, true, '\u2028"'] });
            assert.equal(await api.echo(null), null);
        });

        test('undefined at the end is left out, so that defaults apply', async () => {
            assert.equal(await api.add(1), 11);
            assert.equal(await api.add(1, undefined), 11);
            assert.equal(await api.count(1, undefined, 2, undefined, undefined), 3);
        });

        test('a required argument is sent, even if undefined; one beyond the parameters is not', async () => {
            assert.equal(await functions(transport, { minArgs: 1 }).echo(undefined), null);
            assert.equal(await functions(transport, { maxArgs: 1 }).count('a', { clientX: 1 }), 1);
            assert.equal(await functions(transport, { maxArgs: 0 }).count('a'), 0);
        });

        test('arguments are encoded and results decoded', async () => {
            const { echo } = functions(transport, {
                encode: ([date]) => [date.toISOString()],
                decode: (text) => new Date(text),
            });
            const date = new Date(123456789);
            assert.deepEqual(await echo(date), date);
        });

        test('what cannot be sent or decoded rejects', async () => {
            assert.ok((await rejection(api.echo(1n))) instanceof TypeError);
            const broken = () => {
                throw new RangeError('broken');
            };
            assert.ok((await rejection(functions(transport, { encode: broken }).echo(1))) instanceof RangeError);
            assert.ok((await rejection(functions(transport, { decode: broken }).echo(1))) instanceof RangeError);
        });

        test('an error of a function has its code, status and details', async () => {
            const error = await rejection(api.fail('OUT_OF_STOCK', 409, { left: 2 }));
            assert.ok(error instanceof IsomorError && error instanceof Error);
            assert.equal(error.name, 'IsomorError');
            assert.equal(error.message, 'It failed');
            assert.equal(error.code, 'OUT_OF_STOCK');
            assert.equal(error.status, 409);
            assert.deepEqual(error.details, { left: 2 });
            assert.equal(error.errorId, undefined);
        });

        test('errors of the server', async () => {
            const invalid = await rejection(api.add('one'));
            assert.equal(invalid.code, 'INVALID_ARGS');
            assert.equal(invalid.status, 422);
            assert.equal(invalid.details[0].param, 'a');
            const crash = await rejection(api.fail('CRASH', 500));
            assert.equal(crash.code, 'INTERNAL');
            assert.match(crash.errorId, /^\w{8,}$/);
            assert.doesNotMatch(crash.message, /secret/);
            assert.equal((await rejection(api.nothing())).code, 'NOT_FOUND');
        });

        test('a call ends at its time-out', async () => {
            const before = server.notes.filter((note) => note === 'cancelled').length;
            const error = await rejection(withOptions(api.nap, { timeout: 200 })(20));
            assert.equal(error.code, 'TIMEOUT');
            assert.equal(error.status, 504);
            if (transport === 'ws') {
                await until(() => server.notes.filter((note) => note === 'cancelled').length > before, 'CANCEL');
            }
            assert.equal((await rejection(functions(transport, { timeout: 50 }).nap(20))).code, 'TIMEOUT');
            assert.equal(await withOptions(functions(transport, { timeout: 1 }).nap, { timeout: 0 })(0.1), 'rested');
        });

        test('a call ends when its signal says so', async () => {
            const before = server.notes.length;
            const controller = new AbortController();
            const failed = rejection(withOptions(api.nap, { signal: controller.signal })(20));
            await until(() => server.notes.slice(before).includes('nap'), 'the call to begin');
            controller.abort(new Error('not needed'));
            const error = await failed;
            assert.equal(error.code, 'CANCELLED');
            assert.equal(error.status, 499);
            assert.equal(error.cause.message, 'not needed');
            if (transport === 'ws') {
                await until(() => server.notes.slice(before).includes('cancelled'), 'CANCEL');
            }
            assert.equal(await api.add(1, 2), 3);
        });

        test('an aborted signal ends the call before it is sent', async () => {
            const before = server.notes.length;
            const error = await rejection(withOptions(api.nap, { signal: AbortSignal.abort() })(20));
            assert.equal(error.code, 'CANCELLED');
            assert.equal(await api.add(1, 2), 3);
            assert.deepEqual(server.notes.slice(before), []);
        });

        test('the signal of a time-out is a time-out', async () => {
            const error = await rejection(withOptions(api.nap, { signal: AbortSignal.timeout(50) })(20));
            assert.equal(error.code, 'TIMEOUT');
        });

        test('a signal is let go of with its call', async () => {
            const { signal } = new AbortController();
            let listeners = 0;
            const { addEventListener, removeEventListener } = EventTarget.prototype;
            signal.addEventListener = (...args) => (listeners++, addEventListener.apply(signal, args));
            signal.removeEventListener = (...args) => (listeners--, removeEventListener.apply(signal, args));
            await withOptions(api.add, { signal })(1, 2);
            // fetch listens to a signal of our own
            assert.equal(listeners, 0);
        });

        test('options add up', async () => {
            const quick = withOptions(api.nap, { timeout: 50 });
            const both = withOptions(quick, { signal: new AbortController().signal });
            assert.equal((await rejection(both(20))).code, 'TIMEOUT');
            assert.throws(() => withOptions(async () => 1, {}), TypeError);
        });

        test('1,000 calls at once', async () => {
            const numbers = Array.from({ length: 1000 }, (_, n) => n);
            assert.deepEqual(await Promise.all(numbers.map((n) => api.add(n, n))), numbers.map((n) => 2 * n));
        });

        test('by name, as in isomor 3', async () => {
            assert.equal(await isomorRemote(transport, 'http://127.0.0.1:9', 'api', 'add', [1, 2]), 3);
            setHttpBaseUrl();
            setWsBaseUrl();
            assert.equal(await isomorRemote(transport, server.url, 'api', 'add', [1, 2]), 3);
            assert.equal((await rejection(isomorRemote(transport, '', 'api', 'add', []))).code, 'NOT_CONFIGURED');
            setHttpBaseUrl(server.url + '/');
            setWsBaseUrl(server.url.replace('http', 'ws'));
        });
    });
}
