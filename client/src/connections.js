import { Connection } from './connection.js';
import { absolute, settings } from './settings.js';
import { join, stop, subscriptions } from './subscriptions.js';

/** @import * as Api from '../index.js' */

/** @type {Map<string, Connection>} by address: a page may use two servers */
const connections = new Map();
let lastKey = 0;

function connectionTo(generated = settings.generatedWsBaseUrl) {
    const base = absolute(settings.wsBaseUrl || generated, 'setWsBaseUrl');
    const url = base.replace(/^http/, 'ws') + '/isomor/ws';
    const connection = connections.get(url) ?? new Connection(url);
    connections.set(url, connection);
    return connection;
}

/** @type {import('./types.js').Send} */
export const callWs = ({ hash, baseUrl }, urlPath, args, settle) =>
    connectionTo(baseUrl).call({ urlPath, args, hash }, settle);

function openAll() {
    try {
        connections.size || connectionTo();
    } catch {
        // Where? The first call will say.
    }
    connections.forEach((connection) => connection.open());
}

/** @type {typeof Api.subscribe} */
export const subscribe = (fn, options) => {
    const key = ++lastKey;
    const subscription = { ...options, fn };
    subscriptions.set(key, subscription);
    // Where the server is may be said behind this.
    queueMicrotask(() => {
        if (subscriptions.has(key)) {
            openAll();
            // What opens only now calls it then.
            if ([...connections.values()].every((connection) => connection.isOpen)) {
                join(subscription);
            }
        }
    });
    return key;
};

/** @type {typeof Api.unsubscribe} */
export const unsubscribe = (key) => {
    stop(subscriptions.get(key));
    subscriptions.delete(key);
    connections.forEach((connection) => connection.someoneLeft());
};

/** @type {typeof Api.openWS} */
export const openWS = (baseUrl) => {
    if (baseUrl) {
        setWsBaseUrl(baseUrl);
    }
    connectionTo().open(true);
};

/** @type {typeof Api.close} */
export const close = () => connections.forEach((connection) => connection.close());

/** @type {typeof Api.setWsBaseUrl} */
export const setWsBaseUrl = (baseUrl) => {
    if (settings.wsBaseUrl !== baseUrl) {
        settings.wsBaseUrl = baseUrl;
        close();
        connections.clear();
        if (subscriptions.size) {
            openAll();
        }
    }
};

/** @type {typeof Api.setWsConfig} */
export const setWsConfig = ({ withCookie }) => {
    settings.withCookie = withCookie;
    connections.forEach((connection) => (connection.withCookie = undefined));
};
