import { h } from './dom.js';
import { milliseconds, NAMES } from './result.js';

/** @import * as T from './types.js' */

const KEY = 'isomor console';
const MOST = 25;
const LONGEST = 4000;

/** The last calls of this tab, each to be repeated. They live through a reload. */
export class Past {
    /** @type {T.Past[]} */
    #calls = read();

    /** @param {HTMLElement} list @param {HTMLElement} empty @param {(past: T.Past) => void} repeat */
    constructor(list, empty, repeat) {
        this.list = list;
        this.empty = empty;
        this.repeat = repeat;
        this.#paint();
    }

    /** @param {T.Past} past */
    add(past) {
        this.#calls = [past, ...this.#calls].slice(0, MOST);
        write(this.#calls);
        this.#paint();
    }

    clear() {
        this.#calls = [];
        write([]);
        this.#paint();
    }

    #paint() {
        this.list.replaceChildren(...this.#calls.map((past) => this.#line(past)));
        this.empty.hidden = this.#calls.length > 0;
    }

    /** @param {T.Past} past */
    #line(past) {
        const { name, over, args, at, ms, code } = past;
        const state = h('span', { class: code ? 'bad' : 'good' }, code ?? 'ok');
        const facts = h('span', { class: 'facts' }, `${at} · ${NAMES[over]} · `, state, ` · ${milliseconds(ms)}`);
        const shown = args.length > 120 ? `${args.slice(0, 120)}…` : args;
        const label = `Repeat ${name} over ${NAMES[over]}, called at ${at}`;
        const again = h('button', { type: 'button', class: 'button small', 'aria-label': label }, 'Repeat');
        again.addEventListener('click', () => this.repeat(past));
        const what = h('div', {}, h('code', { class: 'name' }, name), h('code', { class: 'args' }, shown), facts);
        return h('li', {}, what, again);
    }
}

/** @returns {T.Past[]} */
function read() {
    try {
        const found = JSON.parse(sessionStorage.getItem(KEY) ?? '[]');
        return Array.isArray(found) ? found : [];
    } catch {
        return [];
    }
}

/** @param {T.Past[]} calls */
function write(calls) {
    try {
        sessionStorage.setItem(KEY, JSON.stringify(calls.filter(({ args }) => args.length < LONGEST)));
    } catch {
        // It is full, or switched off: then the calls last as long as the page.
    }
}
