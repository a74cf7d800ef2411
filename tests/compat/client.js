// isomor 3's own client, at the command of test_isomor3.py: one JSON object a line on standard input and output.
//
//   in:  {"id": 1, "do": "call", "args": ["ws", "add", [1, 2]]}
//   out: {"id": 1, "value": 3} or {"id": 1, "error": …}, and {"event": "open" | "message" | "close" | "push", …}
'use strict';

const readline = require('node:readline');
const NodeWebSocket = require('ws');
const isomor = require('isomor');

const [httpUrl, wsUrl] = process.argv.slice(2);

const say = (message) => process.stdout.write(JSON.stringify(message) + '\n');

// What a browser has, and Node has not. The page reads `document.cookie`; a request and a handshake carry `jar`, which
// has HttpOnly cookies too.
let jar = '';
global.document = { cookie: '' };

const { fetch: nodeFetch } = global;
global.fetch = (url, options = {}) =>
    nodeFetch(url, jar ? { ...options, headers: { ...options.headers, cookie: jar } } : options);

global.WebSocket = class extends NodeWebSocket {
    constructor(url) {
        super(url, jar ? { headers: { cookie: jar } } : {});
        this.on('open', () => say({ event: 'open' }));
        this.on('message', (data) => say({ event: 'message', data: JSON.parse(data) }));
        this.on('close', (code) => say({ event: 'close', code }));
        this.on('error', (error) => say({ event: 'error', message: String(error) }));
    }
};

const commands = {
    call: (protocol, name, args) =>
        isomor.isomorRemote(protocol, protocol === 'ws' ? wsUrl : httpUrl, 'api', name, args),
    subscribe: (name) => isomor.subscribe((payload) => say({ event: 'push', name, payload })),
    unsubscribe: (key) => isomor.unsubscribe(key),
    setWsConfig: (config) => isomor.setWsConfig(config),
    cookies: (page, all) => {
        global.document.cookie = page;
        jar = all;
    },
};

const input = readline.createInterface({ input: process.stdin });
input.on('line', async (line) => {
    const { id, do: name, args } = JSON.parse(line);
    try {
        say({ id, value: (await commands[name](...args)) ?? null });
    } catch (error) {
        say({ id, error: error instanceof Error ? String(error) : error });
    }
});
// The client polls for ever once it has opened a socket, so nothing but this ends the process.
input.on('close', () => process.exit(0));
