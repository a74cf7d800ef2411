import { IsomorError } from './error.js';

/** @import * as T from './types.js' */

/** @type {T.Limit} */
export const limit = ({ signal, timeout = 35_000 }, start) =>
    new Promise((resolve, reject) => {
        /** @type {T.Timer} */
        let timer;
        let stop = () => {};
        /** @type {T.Settle} */
        const settle = (error, value) => {
            clearTimeout(timer);
            signal?.removeEventListener('abort', giveUp);
            error ? reject(error) : resolve(value);
        };
        const giveUp = () => {
            const cause = signal?.reason;
            const aborted = signal?.aborted && cause?.name !== 'TimeoutError';
            const [code, status] = aborted ? ['CANCELLED', 499] : ['TIMEOUT', 504];
            settle(new IsomorError(code, 'The call was given up.', { status, cause }));
            stop();
        };
        if (signal?.aborted) {
            giveUp();
            return;
        }
        signal?.addEventListener('abort', giveUp);
        // A timer cannot wait for more than 24 days.
        timer = timeout > 0 && timeout < 2 ** 31 ? setTimeout(giveUp, timeout) : undefined;
        try {
            stop = start(settle);
        } catch (error) {
            settle(error);
        }
    });
