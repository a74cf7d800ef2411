import { h } from './dom.js';

// What is longer is not painted: a page that stands still shows nothing.
const PAINTED = 60_000;
const SHOWN = 400_000;

const TOKEN = /("(?:\\.|[^"\\])*")(\s*:)?|\b(true|false|null)\b|-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?/g;

/**
 * A value as JSON, for `pre`: with colours, and cut where it is very long.
 *
 * @param {unknown} value
 * @param {number} most
 */
export function painted(value, most = SHOWN) {
    const text = JSON.stringify(value, undefined, 2) ?? String(value);
    const place = document.createDocumentFragment();
    if (text.length > Math.min(PAINTED, most)) {
        place.append(text.slice(0, most), text.length > most ? `\n… ${text.length - most} characters more` : '');
        return place;
    }
    let end = 0;
    for (const match of text.matchAll(TOKEN)) {
        const [whole, string, colon, word] = match;
        place.append(text.slice(end, match.index));
        const kind = string ? (colon ? 'key' : 'string') : word ? 'word' : 'number';
        place.append(h('span', { class: kind }, string ?? whole), colon ?? '');
        end = match.index + whole.length;
    }
    place.append(text.slice(end));
    return place;
}
