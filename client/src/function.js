import { callWs } from './connections.js';
import { callHttp } from './http.js';
import { settings } from './settings.js';
import { emit } from './state.js';

/** @import * as Api from '../index.js' */
/** @typedef {(args: unknown[], options: Api.CallOptions) => Promise<any>} Call */

// In the registry, so that two copies of this package know each other's functions.
const CALL = Symbol.for('isomor.call');

/**
 * @param {Call} call
 * @returns {any}
 */
const functionOf = (call) => Object.assign((/** @type {unknown[]} */ ...args) => call(args, {}), { [CALL]: call });

/** @type {typeof Api.makeFunction} */
export const makeFunction = (spec) => {
    if (spec.transport === 'ws') {
        settings.generatedWsBaseUrl ??= spec.baseUrl; // for who subscribes before the first call
    }
    return functionOf((args, options) => call(spec, args, options));
};

/** @type {typeof Api.withOptions} */
export const withOptions = (fn, options) => {
    const call = /** @type {{ [CALL]?: Call }} */ (fn)[CALL];
    if (!call) {
        throw new TypeError('withOptions() takes a function of the generated client.');
    }
    return functionOf((args, more) => call(args, { ...options, ...more }));
};

/** @type {typeof Api.isomorRemote} */
export const isomorRemote = (protocol, baseUrl, module, name, args) =>
    call({ transport: protocol === 'ws' ? 'ws' : 'http', baseUrl, module, name }, args, {});

/**
 * @param {Api.FunctionSpec} spec
 * @param {unknown[]} given
 * @param {Api.CallOptions} options
 */
async function call(spec, given, { signal, timeout = spec.timeout }) {
    const { transport, module, name, minArgs = 0, maxArgs, encode, decode } = spec;
    let args = given.slice(0, maxArgs);
    while (args.length > minArgs && args.at(-1) === undefined) {
        args.pop();
    }
    args = encode ? encode(args) : args;
    try {
        const send = transport === 'ws' ? callWs : callHttp;
        const result = await send(spec, `/isomor/${module}/${name}`, args, { signal, timeout });
        return decode ? decode(result) : result;
    } catch (/** @type {any} */ error) {
        if (error?.code === 'OUTDATED_CLIENT') {
            emit({ type: 'outdated', module, name });
        }
        throw error;
    }
}
