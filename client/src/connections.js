import { Connection } from './connection.js';
import { limit } from './limit.js';
import { absolute, settings } from './settings.js';
import { add, join, remove, subscriptions } from './subscriptions.js';

/** @import * as Api from '../index.js' */

/** @type {Map<string, Connection>} by address, for a page may use two servers */
const connections = new Map();

/** @param {string} [generated] */
function connectionTo(generated) {
    const base = settings.wsBaseUrl || generated || settings.generatedWsBaseUrl || '';
    const url = absolute(base, 'setWsBaseUrl').replace(/^http/, 'ws') + '/isomor/ws';
    const connection = connections.get(url) ?? new Connection(url);
    connections.set(url, connection);
    return connection;
}

/**
 * @param {Api.FunctionSpec} spec
 * @param {string} urlPath
 * @param {unknown[]} args
 * @param {Api.CallOptions} options
 */
export function callWs({ hash, baseUrl }, urlPath, args, options) {
    const connection = connectionTo(baseUrl);
    return limit(options, (settle) => connection.call({ urlPath, args, hash }, settle));
}

/** @type {typeof Api.subscribe} */
export const subscribe = (fn, options) => {
    const key = add(fn, options);
    // Later, for where the server is may be said behind this.
    queueMicrotask(() => begin(key));
    return key;
};

/** @param {number} key */
function begin(key) {
    if (!subscriptions.has(key)) {
        return;
    }
    try {
        if (!connections.size) {
            connectionTo();
        }
    } catch {
        // Nobody has said where the server is. The join may know, or a later call.
    }
    const all = [...connections.values()];
    if (!all.length || all.some((connection) => connection.isOpen)) {
        join(subscriptions.get(key));
    } 
    all.forEach((connection) => connection.open());
}

/** @type {typeof Api.unsubscribe} */
export const unsubscribe = (key) => {
    remove(key);
    connections.forEach((connection) => connection.update());
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
        subscriptions.forEach((_, key) => begin(key));
    }
};

/** @type {typeof Api.setWsConfig} */
export const setWsConfig = ({ withCookie }) => {
    settings.withCookie = withCookie;
    connections.forEach((connection) => (connection.withCookie = undefined));
};
