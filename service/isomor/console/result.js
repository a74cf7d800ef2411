import { copyButton, h } from './dom.js';
import { painted } from './json.js';

/** @import * as T from './types.js' */

/** @type {Record<T.Transport, string>} */
export const NAMES = { http: 'HTTP', ws: 'WebSocket' };

/** Milliseconds, with as many digits as mean something. @param {number} ms */
export const milliseconds = (ms) => `${ms < 10 ? ms.toFixed(1) : Math.round(ms)} ms`;

/** What came of a call: one line that is read out, and what there is to look at. */
export class Result {
    /** @param {HTMLElement} place @param {HTMLElement} summary its line; it stays, so that changes are read out */
    constructor(place, summary) {
        this.place = place;
        this.summary = summary;
    }

    clear() {
        this.place.replaceChildren();
        this.summary.replaceChildren();
        this.summary.dataset.state = '';
    }

    wait() {
        this.place.replaceChildren();
        this.summary.dataset.state = 'running';
        this.summary.replaceChildren('Running …');
    }

    /** @param {T.Outcome} outcome @param {T.Transport} over @param {T.ArgFault[]} left faults that no field shows */
    show({ ms, status, result, error }, over, left) {
        const facts = [status && String(status), milliseconds(ms), NAMES[over]].filter(Boolean).join(' · ');
        this.summary.dataset.state = error ? 'bad' : 'good';
        const code = error && h('strong', {}, error.code ?? error.name ?? 'Error');
        this.summary.replaceChildren(code ?? h('strong', {}, 'Result'), h('span', { class: 'facts' }, facts));
        if (error) {
            this.place.replaceChildren(...this.#error(error, left));
        } else {
            const text = () => JSON.stringify(result, undefined, 2);
            this.place.replaceChildren(output('Result', result), h('div', { class: 'row' }, copyButton('Copy', text)));
        }
    }

    /** @param {any} error @param {T.ArgFault[]} left */
    #error({ message, errorId, details, code }, left) {
        /** @type {HTMLElement[]} */
        const shown = [h('p', { class: 'message' }, message)];
        if (errorId) {
            shown.push(h('p', { class: 'hint' }, 'In the server’s log as ', h('code', {}, errorId)));
        }
        const faults = code === 'INVALID_ARGS' || code === 'OUTDATED_CLIENT';
        if (faults && left.length) {
            shown.push(h('ul', {}, ...left.map((fault) => h('li', {}, fault.message))));
        }
        if (details !== undefined && details !== null) {
            const text = () => JSON.stringify(details, undefined, 2);
            const inner = [output('Details', details), h('div', { class: 'row' }, copyButton('Copy details', text))];
            const more = h('details', { open: !faults }, h('summary', {}, 'Details'), ...inner);
            shown.push(more);
        }
        return [h('div', { class: 'error' }, ...shown)];
    }
}

/** @param {string} label @param {unknown} value */
function output(label, value) {
    // It scrolls, so the keyboard has to reach it.
    return h('pre', { class: 'json', tabindex: 0, role: 'region', 'aria-label': label }, h('code', {}, painted(value)));
}
