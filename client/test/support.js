// A real server for the tests, what happens on it, and a socket that is not real.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, mkdirSync, mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

import * as isomor from '../src/index.js';

export { isomor };

const repository = fileURLToPath(new URL('../../', import.meta.url));
const python = process.env.PYTHON ?? join(repository, '.venv/bin/python');

/** The package `ws`: servers for what a real one does not do, and a class for Node 20. */
export const ws = createRequire(join(repository, 'tests/compat/'))('ws');

if (!globalThis.WebSocket) {
    isomor.setWebSocket(ws.WebSocket);
}

/** Every test is over when nothing of this kind has been seen. */
export const unhandled = [];
process.on('unhandledRejection', (reason) => unhandled.push(reason));

export async function until(condition, what = String(condition), seconds = 30) {
    const end = Date.now() + seconds * 1000;
    for (;;) {
        const value = await condition();
        if (value) {
            return value;
        }
        if (Date.now() > end) {
            throw new Error(`waited in vain for ${what}`);
        }
        await new Promise((resolve) => setTimeout(resolve, 10));
    }
}

export async function freePort() {
    for (;;) {
        // Below those that the system gives to connections, and those of the tests in Python, which run meanwhile.
        const port = 12_000 + Math.floor(8_000 * Math.random());
        const server = createServer().listen(port, '127.0.0.1');
        try {
            await once(server, 'listening');
            return port;
        } catch {
            // Somebody has it.
        } finally {
            server.close();
        }
    }
}

/** `isomor serve` with the functions of fixture/. */
export class Server {
    constructor(port, env) {
        this.folder = mkdtempSync(join(tmpdir(), 'isomor-client-'));
        this.port = port;
        this.url = `http://127.0.0.1:${port}`;
        this.env = env;
    }

    static async start(env = {}) {
        const server = new Server(await freePort(), env);
        await server.start();
        return server;
    }

    async start() {
        const clean = Object.entries(process.env).filter(([name]) => !name.startsWith('ISOMOR'));
        const log = openSync(join(this.folder, 'log'), 'a');
        this.process = spawn(python, ['-m', 'isomor', 'serve'], {
            cwd: this.folder,
            env: {
                ...Object.fromEntries(clean),
                ISOMOR_HOST: '127.0.0.1',
                ISOMOR_PORT: String(this.port),
                ISOMOR_SRC_FOLDER: fileURLToPath(new URL('fixture', import.meta.url)),
                PYTHONDONTWRITEBYTECODE: '1',
                NOTES: this.folder,
                ...this.env,
            },
            stdio: ['ignore', log, log],
        });
        closeSync(log);
        this.ended = once(this.process, 'exit');
        await until(async () => {
            if (this.process.exitCode !== null) {
                throw new Error(`the server ended:\n${this.log}`);
            }
            const answer = await fetch(`${this.url}/health/ready`).catch(() => undefined);
            await answer?.text();
            return answer?.ok;
        }, 'the server');
    }

    /** SIGKILL: no goodbye. */
    async kill() {
        this.process.kill('SIGKILL');
        await this.ended;
    }

    /** SIGTERM: in order. */
    async stop() {
        this.process.kill('SIGTERM');
        await this.ended;
    }

    async end() {
        if (this.process.exitCode === null && this.process.signalCode === null) {
            await this.kill();
        }
        rmSync(this.folder, { recursive: true });
    }

    get log() {
        return readFileSync(join(this.folder, 'log'), 'utf8');
    }

    /** What functions have noted, such as "cancelled". */
    get notes() {
        try {
            return readFileSync(join(this.folder, 'notes'), 'utf8').split('\n').slice(0, -1);
        } catch {
            return [];
        }
    }

    /** Have the server's hook refuse new connections, or not. */
    refuse(refused) {
        mkdirSync(this.folder, { recursive: true });
        writeFileSync(join(this.folder, 'refuse'), refused ? 'Sign in first' : '');
    }
}

/** All state events, as long as the test lasts. */
export function watch(t) {
    const events = [];
    t.after(isomor.onState((event) => events.push(event)));
    events.types = () => events.map((event) => event.type);
    events.of = (type) => events.filter((event) => event.type === type);
    return events;
}

/** Functions of the fixture by name: `api.add(1, 2)`. */
export const functions = (transport, spec = {}) =>
    new Proxy({}, { get: (_, name) => isomor.makeFunction({ transport, module: 'api', name, ...spec }) });

/** How a promise was rejected. */
export async function rejection(promise) {
    try {
        await promise;
    } catch (error) {
        return error;
    }
    throw new Error('it was not rejected');
}

/** A WebSocket class that goes nowhere: the test is the server, and time may be mocked. */
export function fakeWebSocket() {
    return class Fake {
        static all = [];
        readyState = 0;
        sent = [];

        constructor(url) {
            this.url = url;
            Fake.all.push(this);
        }

        static get last() {
            return Fake.all.at(-1);
        }

        send(text) {
            if (this.readyState === 0) {
                throw new Error('InvalidStateError');
            }
            this.sent.push(JSON.parse(text));
        }

        close(code) {
            this.closedWith = code ?? 1005;
            this.readyState = 2;
        }

        opens() {
            this.readyState = 1;
            this.onopen({});
        }

        says(message) {
            this.onmessage({ data: JSON.stringify(message) });
        }

        ends(code, reason = '') {
            this.readyState = 3;
            this.onclose({ code, reason });
        }
    };
}
