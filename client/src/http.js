import { IsomorError } from './error.js';
import { absolute, settings } from './settings.js';

/** @type {import('./types.js').Send} */
export const callHttp = ({ hash, cached, baseUrl }, path, args, settle) => {
    const url = absolute(settings.httpBaseUrl || baseUrl, 'setHttpBaseUrl') + path;
    const query = `?${new URLSearchParams({ args: JSON.stringify(args), ...(hash && { hash }) })}`;
    const controller = new AbortController();
    // Long addresses are not taken everywhere.
    const get = cached && query.length < 4000;
    request(get ? url + query : url, {
        method: get ? 'GET' : 'POST',
        headers: get ? {} : { 'Content-Type': 'application/json' },
        body: get ? undefined : JSON.stringify({ args, hash }),
        credentials: 'include',
        signal: controller.signal,
    }).then((result) => settle(undefined, result), settle);
    return () => controller.abort();
};

/** @type {(...request: Parameters<import('../index.js').HttpClient>) => Promise<any>} */
async function request(url, options) {
    let status = 0;
    let body;
    try {
        const response = await (settings.httpClient ?? fetch)(url, options);
        status = response.status;
        body = await response.json();
    } catch (/** @type {any} */ cause) {
        if (!status || cause.name !== 'SyntaxError') {
            throw new IsomorError('CONNECTION_LOST', 'The server could not be reached.', { cause });
        }
    }
    if (body?.result !== undefined) {
        return body.result;
    }
    const { code = 'BAD_ANSWER', error = 'What answered is not isomor.' } = Object(body);
    throw new IsomorError(code, error, { ...body, status });
}
