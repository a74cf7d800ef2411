/** @import * as T from './types.js' */

// Longer ones are not taken everywhere, and nobody sends them to anyone.
const LONGEST = 8000;

/** The call that the page's address names: `#set_user?over=ws&args=[…]`. @returns {T.Draft | undefined} */
export function readAddress() {
    const [name = '', query = ''] = location.hash.slice(1).split(/\?(.*)/s);
    if (!name) {
        return undefined;
    }
    const given = new URLSearchParams(query);
    const over = given.get('over');
    return {
        name: decoded(name),
        over: over === 'http' || over === 'ws' ? over : undefined,
        args: given.get('args') ?? undefined,
        raw: given.has('raw'),
    };
}

/** @param {T.Draft} draft */
export function addressOf({ name, over, args, raw }) {
    const query = new URLSearchParams();
    if (over) {
        query.set('over', over);
    }
    if (args !== undefined && args !== '[]' && args.length < LONGEST) {
        query.set('args', args);
    }
    if (raw) {
        query.set('raw', '');
    }
    return `#${encodeURIComponent(name)}${query.size ? `?${query}` : ''}`;
}

/** Keep a call in the address, without a step in the browser's history. @param {T.Draft} draft */
export function writeAddress(draft) {
    const address = addressOf(draft);
    if (address !== location.hash) {
        history.replaceState(null, '', address);
    }
}

/** @param {string} text */
function decoded(text) {
    try {
        return decodeURIComponent(text);
    } catch {
        return text;
    }
}
