import { byId, clock, h } from './dom.js';
import { painted } from './json.js';
import { subscribe } from './runtime.js';

const MOST = 200;
const TOPICS = 100;
const LONGEST = 4000;
const ALL = 'all';
const NONE = 'none';

/** @typedef {{ at: string, topic: string | undefined, payload: unknown, isGap: boolean }} Entry */

/** The log of pushes, newest first. */
export class Pushes {
    /** @type {Entry[]} */
    #entries = [];
    #paused = false;
    #since = 0;
    #count = 0;
    /** @type {Set<string>} */
    #topics = new Set();
    #list = byId('pushes');
    #filter = /** @type {HTMLSelectElement} */ (byId('topic'));
    #pause = byId('pause');
    #frame = 0;

    constructor() {
        this.#pause.addEventListener('click', () => this.#toggle());
        this.#filter.addEventListener('change', () => this.#paint());
        byId('clear').addEventListener('click', () => {
            this.#entries = [];
            this.#since = this.#count = 0;
            this.#paint();
        });
        this.#filter.append(h('option', { value: ALL }, 'All topics'), h('option', { value: NONE }, 'No topic'));
        this.#paint();
        // The connection is kept while someone listens.
        subscribe((payload, topic) => this.#add({ at: clock(), topic, payload, isGap: false }));
    }

    /** Pushes were lost. @param {string | undefined} topic */
    gap(topic) {
        this.#add({ at: clock(), topic, payload: undefined, isGap: true });
    }

    /** @param {Entry} entry */
    #add(entry) {
        this.#entries.unshift(entry);
        this.#entries.length = Math.min(this.#entries.length, MOST);
        this.#count++;
        this.#since += this.#paused ? 1 : 0;
        if (entry.topic !== undefined && !this.#topics.has(entry.topic) && this.#topics.size < TOPICS) {
            this.#topics.add(entry.topic);
            this.#filter.append(h('option', { value: `topic:${entry.topic}` }, entry.topic));
        }
        // Once a frame, however many come.
        this.#frame ||= requestAnimationFrame(() => {
            this.#frame = 0;
            this.#paused ? this.#tell() : this.#paint();
        });
    }

    #toggle() {
        this.#paused = !this.#paused;
        this.#since = 0;
        this.#pause.setAttribute('aria-pressed', String(this.#paused));
        this.#paint();
    }

    #paint() {
        const { value } = this.#filter;
        const shown = this.#entries.filter(({ topic }) => {
            return value === ALL || (value === NONE ? topic === undefined : value === `topic:${topic}`);
        });
        // What is there stays: its lines may be read, or marked, just now.
        const before = new Map([...this.#list.children].map((line) => [entryOf.get(line), line]));
        this.#list.replaceChildren(...shown.map((entry) => before.get(entry) ?? line(entry)));
        byId('no-pushes').hidden = shown.length > 0;
        this.#tell();
    }

    #tell() {
        const more = this.#paused ? `, ${this.#since} while paused` : '';
        byId('push-count').textContent = `${this.#count} received${more}`;
    }
}

/** @type {WeakMap<Element, Entry>} */
const entryOf = new WeakMap();

/** @param {Entry} entry */
function line(entry) {
    const { at, topic, payload, isGap } = entry;
    const tag = h('span', { class: topic === undefined ? 'tag none' : 'tag' }, topic ?? 'no topic');
    const head = h('div', { class: 'when' }, h('time', {}, at), tag);
    const lost = 'GAP: pushes were lost here';
    const body = isGap ? h('p', { class: 'gap' }, lost) : h('pre', {}, painted(payload, LONGEST));
    const made = h('li', {}, head, body);
    entryOf.set(made, entry);
    return made;
}
