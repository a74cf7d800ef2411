import { makeFunction, setHttpClient, withOptions } from './runtime.js';

/** @import * as T from './types.js' */

/** @type {{ status?: number } | undefined} what the request that is about to be sent fills in */
let asked;

// The runtime hands on results alone; the status of one is worth seeing too.
setHttpClient(async (url, options) => {
    const mine = asked;
    const response = await fetch(url, options);
    if (mine) {
        mine.status = response.status;
    }
    return response;
});

/**
 * Call a function over either transport, with arguments as they are on the wire.
 *
 * @param {T.Func} func
 * @param {T.Transport} over
 * @param {unknown[]} args
 * @param {AbortSignal} signal
 * @returns {Promise<T.Outcome>}
 */
export async function callFunction(func, over, args, signal) {
    const { module, name, hash, cached } = func;
    const spec = { transport: over, module, name, hash, cached: cached && over === 'http' };
    // The server knows how long a call may take; whoever waits here can cancel.
    const call = withOptions(makeFunction(spec), { signal, timeout: 0 });
    const answer = (asked = /** @type {{ status?: number }} */ ({}));
    const begun = performance.now();
    const ended = () => ({ ms: performance.now() - begun, status: answer.status });
    try {
        const running = call(...args);
        asked = undefined;
        const result = await running;
        return { ...ended(), result };
    } catch (/** @type {any} */ error) {
        return { ...ended(), status: error.status || answer.status, error };
    } finally {
        asked = undefined;
    }
}

/** Why a function cannot be called so; undefined where it can. @param {T.Func} func @param {T.Transport} over */
export function refusal({ requires }, over) {
    if (!requires || requires === over) {
        return undefined;
    }
    return requires === 'ws'
        ? 'It takes a WsContext, so over HTTP it answers UPGRADE_REQUIRED.'
        : 'It takes an HttpContext, so over WebSocket it answers HTTP_REQUIRED.';
}

/** The same call from a shell. @param {T.Func} func @param {unknown[]} args */
export function asCurl(func, args) {
    const url = `${location.origin}${func.path}`;
    if (func.cached) {
        return `curl --get ${quoted(url)} --data-urlencode ${quoted(`args=${JSON.stringify(args)}`)}`;
    }
    return `curl ${quoted(url)} -H 'Content-Type: application/json' -d ${quoted(JSON.stringify({ args }))}`;
}

/** For a POSIX shell. @param {string} text */
const quoted = (text) => (/^[\w:/.-]+$/.test(text) ? text : `'${text.replaceAll("'", `'\\''`)}'`);
