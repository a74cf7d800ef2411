import { byId, h, prose } from './dom.js';
import { NAMES } from './result.js';

/** @import * as T from './types.js' */

/** The functions, with a search: links, through which the arrow keys go. */
export class List {
    /** @type {T.Func[]} */
    #functions = [];
    #current = '';
    #search = /** @type {HTMLInputElement} */ (byId('search'));
    #list = byId('functions');

    constructor() {
        this.#search.addEventListener('input', () => this.#paint());
        byId('nav').addEventListener('keydown', (event) => this.#move(event));
        document.addEventListener('keydown', (event) => {
            const { target } = event;
            const types = target instanceof HTMLElement && target.matches('input, textarea, select');
            if (event.key === '/' && !types && !event.ctrlKey && !event.metaKey && !event.altKey) {
                event.preventDefault();
                if (this.#search.offsetParent === null) {
                    location.hash = ''; // in a narrow window, the list comes back in place of the function
                    document.body.dataset.view = 'list';
                }
                this.#search.focus();
                this.#search.select();
            }
        });
    }

    /** @param {T.Func[]} functions */
    fill(functions) {
        this.#functions = functions;
        this.#paint();
    }

    /** @param {string} name */
    mark(name) {
        this.#current = name;
        for (const link of this.#links) {
            const isCurrent = link.dataset.name === name;
            isCurrent ? link.setAttribute('aria-current', 'page') : link.removeAttribute('aria-current');
        }
    }

    get #links() {
        return [...this.#list.querySelectorAll('a')];
    }

    #paint() {
        const words = this.#search.value.toLowerCase().split(/\s+/).filter(Boolean);
        const found = this.#functions.filter(({ name, doc, signature }) => {
            const text = `${name} ${signature} ${doc}`.toLowerCase();
            return words.every((word) => text.includes(word));
        });
        // Whose name matches comes first.
        const named = (/** @type {T.Func} */ { name }) => words.every((word) => name.toLowerCase().includes(word));
        found.sort((one, other) => Number(named(other)) - Number(named(one)));
        this.#list.replaceChildren(...found.map((one) => this.#line(one)));
        const count = found.length === 1 ? '1 function' : `${found.length} functions`;
        byId('count').textContent = words.length ? `${count} of ${this.#functions.length}` : count;
        this.mark(this.#current);
    }

    /** @param {T.Func} func */
    #line({ name, transport, doc }) {
        const short = { http: 'HTTP', ws: 'WS' }[transport];
        const badge = h('span', { class: `badge ${transport}`, title: NAMES[transport] }, short);
        const [first] = doc.split('\n');
        const href = `#${encodeURIComponent(name)}`;
        const link = h('a', { href, 'data-name': name }, h('code', {}, name), ' ', badge);
        link.append(first ? h('span', { class: 'about' }, ...prose(first)) : '');
        return h('li', {}, link);
    }

    /** @param {KeyboardEvent} event */
    #move(event) {
        const links = this.#links;
        const at = links.findIndex((link) => link === document.activeElement);
        const inSearch = document.activeElement === this.#search;
        /** @type {Record<string, number | undefined>} */
        const steps = { ArrowDown: at + 1, ArrowUp: at - 1 };
        if (!inSearch) {
            Object.assign(steps, { Home: 0, End: links.length - 1 });
        }
        const to = steps[event.key];
        if (to !== undefined) {
            event.preventDefault();
            (to < 0 ? this.#search : links[Math.min(to, links.length - 1)])?.focus();
        } else if (event.key === 'Enter' && inSearch) {
            event.preventDefault();
            links[0]?.click();
        } else if (event.key === 'Escape' && this.#search.value) {
            this.#search.value = '';
            this.#search.focus();
            this.#paint();
        }
    }
}
