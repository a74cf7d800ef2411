import { IsomorError } from './error.js';

/** @import * as Api from '../index.js' */

/** @type {import('./types.js').Settings} */
export const settings = {};

/** @type {typeof Api.setHttpBaseUrl} */
export const setHttpBaseUrl = (baseUrl) => void (settings.httpBaseUrl = baseUrl);

/** @type {typeof Api.setHttpClient} */
export const setHttpClient = (client) => void (settings.httpClient = client);

/** @type {typeof Api.setWebSocket} */
export const setWebSocket = (Class) => void (settings.WebSocket = Class);

/** Without a scheme, it is on the page's own server. */
export function absolute(base = '', setter = '') {
    const origin = /^\w+:/.test(base) ? '' : globalThis.location?.origin ?? 'null';
    if (origin === 'null') {
        throw new IsomorError('NOT_CONFIGURED', `No page tells where the server is: call ${setter}().`);
    }
    return origin + base.replace(/\/+$/, '');
}
