import { IsomorError } from './error.js';

/** @import * as Api from '../index.js' */

/**
 * @type {{
 *     wsBaseUrl?: string, generatedWsBaseUrl?: string, httpBaseUrl?: string, withCookie?: boolean,
 *     httpClient?: Api.HttpClient, WebSocket?: new (url: string) => Api.WebSocketLike
 * }}
 */
export const settings = {};

/** @type {typeof Api.setHttpBaseUrl} */
export const setHttpBaseUrl = (baseUrl) => void (settings.httpBaseUrl = baseUrl);

/** @type {typeof Api.setHttpClient} */
export const setHttpClient = (client) => void (settings.httpClient = client);

/** @type {typeof Api.setWebSocket} */
export const setWebSocket = (Class) => void (settings.WebSocket = Class);

/**
 * @param {string} base '' or a path: of the page's server
 * @param {string} setter
 */
export function absolute(base, setter) {
    const origin = /^\w+:/.test(base) ? '' : globalThis.location?.origin;
    if (origin && !/^http/.test(origin) || origin === undefined) {
        throw new IsomorError('NOT_CONFIGURED', `No page tells where the server is: call ${setter}().`);
    }
    return origin + base.replace(/\/+$/, '');
}
