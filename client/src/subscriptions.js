import { callUser, emit } from './state.js';

/** @import * as Api from '../index.js' */

/**
 * @typedef {object} Subscription
 * @property {Api.SubscribeFn} fn
 * @property {string} [topic]
 * @property {() => unknown} [join]
 * @property {object} [turn] the latest call of `join`
 * @property {ReturnType<typeof setTimeout>} [timer] until it is called again
 */

/** @type {Map<number, Subscription>} */
export const subscriptions = new Map();
let lastKey = 0;

/** @type {typeof Api.subscribe} */
export const add = (fn, { topic, join } = {}) => {
    subscriptions.set(++lastKey, { fn, topic, join });
    return lastKey;
};

/** @param {number} key */
export function remove(key) {
    stop(subscriptions.get(key));
    subscriptions.delete(key);
}

/** @param {{ payload?: unknown, topic?: string }} push */
export function deliver({ payload, topic }) {
    for (const [key, subscription] of [...subscriptions]) {
        // One called before may have ended this one.
        if (subscriptions.has(key) && [undefined, topic].includes(subscription.topic)) {
            callUser(subscription.fn, payload, topic);
        }
    }
}

/** @param {Subscription} [subscription] */
export async function join(subscription, attempt = 0) {
    if (!subscription?.join) {
        return;
    }
    stop(subscription);
    const turn = (subscription.turn = {});
    try {
        await subscription.join();
    } catch (/** @type {any} */ error) {
        const code = error?.code;
        // A connection that was lost joins when it is back.
        if (subscription.turn === turn && code !== 'CONNECTION_LOST') {
            emit({ type: 'joinFailed', topic: subscription.topic, error });
            if (['UNAVAILABLE', 'TIMEOUT', 'TOO_MANY_CALLS'].includes(code)) {
                subscription.timer = setTimeout(join, backoff(attempt), subscription, attempt + 1);
            }
        }
    }
}

/** @param {Subscription} [subscription] */
export function stop(subscription) {
    if (subscription) {
        subscription.turn = undefined;
        clearTimeout(subscription.timer);
    }
}

/**
 * Full jitter, so that not all clients come back at once: from 250 ms up to what doubles from 1 s to 30 s.
 *
 * @param {number} attempt from 0
 */
export const backoff = (attempt) => 250 + Math.random() * (Math.min(30_000, 1000 * 2 ** attempt) - 250);
