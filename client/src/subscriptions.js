import { callUser, emit } from './state.js';

/** @import * as T from './types.js' */

/** @type {Map<number, T.Subscription>} */
export const subscriptions = new Map();

/** @param {any} push */
export function deliver({ payload, topic }) {
    for (const [key, subscription] of [...subscriptions]) {
        // One called before may have ended this one.
        if (subscriptions.has(key) && [undefined, topic].includes(subscription.topic)) {
            callUser(subscription.fn, payload, topic);
        }
    }
}

/** @param {T.Subscription} subscription */
export async function join(subscription, attempt = 0) {
    stop(subscription);
    const turn = (subscription.turn = {});
    try {
        await subscription.join?.();
    } catch (/** @type {any} */ error) {
        // A connection that was lost joins when it is back.
        if (subscription.turn === turn && error?.code !== 'CONNECTION_LOST') {
            emit({ type: 'joinFailed', topic: subscription.topic, error });
            // Such faults pass.
            if ([429, 503, 504].includes(error?.status)) {
                subscription.timer = setTimeout(join, backoff(attempt), subscription, attempt + 1);
            }
        }
    }
}

/** @param {Partial<T.Subscription>} [subscription] */
export function stop(subscription = {}) {
    subscription.turn = undefined;
    clearTimeout(subscription.timer);
}

/** Full jitter, up to 30 s: not all clients come back at once. */
export const backoff = (attempt = 0) => 250 + Math.random() * Math.min(29_750, 750 * 2 ** attempt);
