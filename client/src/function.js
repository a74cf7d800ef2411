import { callWs } from './connections.js';
import { callHttp } from './http.js';
import { limit } from './limit.js';
import { settings } from './settings.js';
import { emit } from './state.js';

/** @import * as Api from '../index.js' */

// Two copies of this package understand each other.
const CALL = Symbol.for('isomor.call');

/** @type {import('./types.js').FunctionOf} */
const functionOf = (call) => Object.assign((/** @type {any} */ ...args) => call(args, {}), { [CALL]: call });

/** @type {typeof Api.makeFunction} */
export const makeFunction = (spec) => {
    if (spec.transport === 'ws') {
        settings.generatedWsBaseUrl ??= spec.baseUrl;
    }
    return functionOf((args, options) => call(spec, args, options));
};

/** @type {typeof Api.withOptions} */
export const withOptions = (fn, options) => {
    const call = /** @type {any} */ (fn)[CALL];
    if (!call) {
        throw new TypeError('withOptions() takes a generated function.');
    }
    return functionOf((args, more) => call(args, { ...options, ...more }));
};

/** @type {typeof Api.isomorRemote} */
export const isomorRemote = (protocol, baseUrl, module, name, args) =>
    call({ transport: protocol === 'ws' ? 'ws' : 'http', baseUrl, module, name }, args, {});

/** @type {import('./types.js').CallSpec} */
const call = async (spec, given, { signal, timeout = spec.timeout }) => {
    const { transport, module, name, minArgs = 0, maxArgs, encode, decode } = spec;
    let args = given.slice(0, maxArgs);
    while (args.length > minArgs && args.at(-1) === undefined) {
        args.pop();
    }
    args = encode ? encode(args) : args;
    const send = transport === 'ws' ? callWs : callHttp;
    const path = `/isomor/${module}/${name}`;
    try {
        const result = await limit({ signal, timeout }, (settle) => send(spec, path, args, settle));
        return decode ? decode(result) : result;
    } catch (/** @type {any} */ error) {
        if (error?.code === 'OUTDATED_CLIENT') {
            emit({ type: 'outdated', module, name });
        }
        throw error;
    }
};
