import { IsomorError, answered } from './error.js';
import { limit } from './limit.js';
import { absolute, settings } from './settings.js';

/** @import * as Api from '../index.js' */

/**
 * @param {Api.FunctionSpec} spec
 * @param {string} path
 * @param {unknown[]} args
 * @param {Api.CallOptions} options
 */
export function callHttp({ hash, cached, baseUrl = '' }, path, args, options) {
    let url = absolute(settings.httpBaseUrl || baseUrl, 'setHttpBaseUrl') + path;
    const query = new URLSearchParams();
    if (args.length) {
        query.set('args', JSON.stringify(args));
    }
    if (hash) {
        query.set('hash', hash);
    }
    /** @type {Pick<Api.HttpOptions, 'method' | 'headers' | 'body'>} */
    let request = { method: 'GET', headers: {} };
    // Long addresses are not taken everywhere.
    if (!cached || `${query}`.length > 4000) {
        const headers = { 'Content-Type': 'application/json' };
        request = { method: 'POST', headers, body: JSON.stringify({ args, hash }) };
    } else if (`${query}`) {
        url += `?${query}`;
    }
    return limit(options, (settle) => {
        const controller = new AbortController();
        send(url, { ...request, credentials: 'include', signal: controller.signal }).then(
            (result) => settle(undefined, result),
            settle,
        );
        return () => controller.abort();
    });
}

/**
 * @param {string} url
 * @param {Api.HttpOptions} options
 */
async function send(url, options) {
    let status = 0;
    try {
        const response = await (settings.httpClient ?? fetch)(url, options);
        ({ status } = response);
        const body = Object(await response.json());
        if ('error' in body) {
            throw answered(body.error, { ...body, status });
        }
        if ('result' in body) {
            return body.result;
        }
    } catch (/** @type {any} */ cause) {
        if (cause instanceof IsomorError) {
            throw cause;
        }
        if (!status || cause.name !== 'SyntaxError') {
            throw new IsomorError('CONNECTION_LOST', 'The server could not be reached.', { cause });
        }
    }
    throw new IsomorError('BAD_ANSWER', `What answered, with ${status}, is not isomor.`, { status });
}
