/** @import * as Api from '../index.js' */

/** @type {Set<(event: Api.StateEvent) => unknown>} */
const listeners = new Set();

/** @type {typeof Api.onState} */
export const onState = (listener) => {
    listeners.add(listener);
    return () => void listeners.delete(listener);
};

/** @param {Api.StateEvent} event */
export function emit(event) {
    if (!listeners.size && 'error' in event) {
        console.error(event.error);
    }
    [...listeners].forEach((listener) => callUser(listener, event));
}

/** What the page's own code throws harms nobody else. @param {any} fn @param {any[]} args */
export async function callUser(fn, ...args) {
    try {
        await fn(...args);
    } catch (error) {
        console.error(error);
    }
}
