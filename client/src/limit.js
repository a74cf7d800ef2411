import { IsomorError } from './error.js';

/** @import { CallOptions } from '../index.js' */
/** @typedef {(error: unknown, value?: unknown) => void} Settle */

/**
 * A promise that a signal and a time-out can end.
 *
 * @param {CallOptions} options
 * @param {(settle: Settle) => () => void} start gives what stops it.
 * @returns {Promise<any>}
 */
export const limit = ({ signal, timeout = 35_000 }, start) =>
    new Promise((resolve, reject) => {
        /** @type {ReturnType<typeof setTimeout> | undefined} */
        let timer;
        let stop = () => {};
        /** @type {Settle} */
        const settle = (error, value) => {
            clearTimeout(timer);
            signal?.removeEventListener('abort', giveUp);
            if (error) {
                reject(error);
            } else {
                resolve(value);
            }
        };
        const giveUp = () => {
            const cause = signal?.aborted ? signal.reason : undefined;
            settle(
                cause && cause.name !== 'TimeoutError'
                    ? new IsomorError('CANCELLED', 'The call was aborted.', { status: 499, cause })
                    : new IsomorError('TIMEOUT', 'No answer came in time.', { status: 504, cause }),
            );
            stop();
        };
        if (signal?.aborted) {
            giveUp();
            return;
        }
        signal?.addEventListener('abort', giveUp);
        // More is more than a timer can wait.
        timer = timeout > 0 && timeout < 2 ** 31 ? setTimeout(giveUp, timeout) : undefined;
        stop = start(settle);
    });
