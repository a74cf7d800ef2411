// Node ends by itself when nothing is to be done any more: no timer and no socket is left behind.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';

import { Server, freePort } from './support.js';

let server;

before(async () => {
    server = await Server.start();
});

after(() => server.end());

/** Run a script that has `isomor`, `functions` and the server's `url`; how it ended, and how soon after `done()`. */
async function run(script, url = server.url) {
    const support = fileURLToPath(new URL('support.js', import.meta.url));
    const code = `
        import { functions, isomor } from ${JSON.stringify(support)};
        const url = ${JSON.stringify(url)};
        const done = () => console.log('done');
        isomor.setHttpBaseUrl(url);
        isomor.setWsBaseUrl(url);
        ${script}
    `;
    const child = spawn(process.execPath, ['--input-type=module', '--unhandled-rejections=strict', '-e', code], {
        stdio: ['ignore', 'pipe', 'inherit'],
    });
    const killer = setTimeout(() => child.kill('SIGKILL'), 30_000);
    let done;
    let text = '';
    child.stdout.on('data', (data) => {
        text += data;
        done ??= performance.now();
    });
    const [exitCode, signal] = await once(child, 'exit');
    clearTimeout(killer);
    assert.equal(signal, null, 'it did not end by itself');
    assert.equal(exitCode, 0);
    assert.equal(text, 'done\n');
    assert.ok(performance.now() - done < 2000, `it ended ${performance.now() - done} ms later`);
}

test('after import', () => run('done();'));

test('after a call over HTTP', () => run(`await functions('http').add(1); done();`));

test('after calls over WebSocket, and close()', () =>
    run(`
        const { add, nap } = functions('ws');
        await add(1);
        nap(20).catch(() => {});
        isomor.withOptions(nap, { timeout: 20_000 })(20).catch(() => {});
        isomor.close();
        done();
    `));

test('after close() while a subscription is there', () =>
    run(`
        isomor.subscribe(() => {}, { join: functions('ws').watch });
        isomor.onState(({ type }) => { if (type === 'open') { isomor.close(); done(); } });
    `));

test('after close() before it opens', () =>
    run(`
        functions('ws').add(1).catch(() => {});
        isomor.close();
        done();
    `));

test('when the last who wanted a server that is away has gone', async () =>
    run(
        `
        const key = isomor.subscribe(() => {});
        isomor.onState(({ type }) => { if (type === 'reconnecting') { isomor.unsubscribe(key); done(); } });
        `,
        `http://127.0.0.1:${await freePort()}`,
    ));

test('when the last call to a server that is away has timed out', async () =>
    run(
        `
        await isomor.withOptions(functions('ws').add, { timeout: 600 })(1).catch(() => {});
        done();
        `,
        `http://127.0.0.1:${await freePort()}`,
    ));

test('it does not end while a subscription waits for a server that is away', async () => {
    const other = new Server(await freePort(), {});
    const ended = run(
        `
        isomor.subscribe(() => {});
        isomor.onState(({ type }) => { if (type === 'open') { isomor.close(); done(); } });
        `,
        other.url,
    );
    await other.start();
    await ended;
    await other.end();
});
