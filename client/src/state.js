/** @import * as Api from '../index.js' */

/** @type {Set<(event: Api.StateEvent) => unknown>} */
const listeners = new Set();

/** @type {typeof Api.onState} */
export const onState = (listener) => {
    listeners.add(listener);
    return () => void listeners.delete(listener);
};

/** @param {Api.StateEvent} event */
export const emit = (event) => [...listeners].forEach((listener) => callUser(listener, event));

/**
 * What a function of the page throws is shown, and harms nobody else.
 *
 * @template {unknown[]} A
 * @param {(...args: A) => unknown} fn
 * @param {A} args
 */
export async function callUser(fn, ...args) {
    try {
        await fn(...args);
    } catch (error) {
        console.error(error);
    }
}
