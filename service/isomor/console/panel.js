import { asCurl, callFunction, refusal } from './call.js';
import { clock, copyButton, h, newId, prose } from './dom.js';
import { Unreadable } from './fields/base.js';
import { Form } from './form.js';
import { NAMES, Result } from './result.js';

/** @import * as T from './types.js' */
/** @import { Schemas } from './schema.js' */

/** @typedef {{ changed: (draft: T.Draft) => void, called: (past: T.Past, error: any) => void }} Hear */

/** One function: what it is, its form, and what came of its last call. */
export class Panel {
    element = h('article', { class: 'function' });
    #title = h('h1', { tabindex: -1 });
    #submit = h('button', { type: 'submit', class: 'button main' }, 'Call');
    #cancel = h('button', { type: 'button', class: 'button', hidden: true }, 'Cancel');
    #toggle = h('button', { type: 'button', class: 'button small', 'aria-pressed': 'false' }, 'Raw JSON');
    #summary = h('p', { class: 'summary', role: 'status' });
    #place = h('div', { class: 'outcome' });
    #result = new Result(this.#place, this.#summary);
    #over;
    /** @type {AbortController | undefined} */
    #running;

    /** @param {T.Func} func @param {Schemas} schemas @param {T.Draft} draft @param {Hear} hear */
    constructor(func, schemas, draft, hear) {
        this.func = func;
        this.hear = hear;
        this.form = new Form(func, schemas, draft);
        const wanted = draft.over ?? func.transport;
        this.#over = refusal(func, wanted) ? func.transport : wanted;
        this.#title.append(h('code', {}, func.name));
        const form = h('form', { 'aria-label': `Call ${func.name}`, novalidate: true }, ...this.#controls());
        form.addEventListener('submit', (event) => {
            event.preventDefault();
            this.call();
        });
        form.addEventListener('keydown', (event) => this.#key(event, form));
        for (const kind of ['input', 'change', 'click']) {
            form.addEventListener(kind, () => hear.changed(this.draft));
        }
        this.element.append(
            h('header', {}, this.#title, h('pre', { class: 'signature', tabindex: 0 }, h('code', {}, func.signature))),
            func.doc ? h('div', { class: 'doc' }, ...prose(func.doc)) : '',
            form,
            h('section', { class: 'answer', 'aria-label': 'Answer' }, this.#summary, this.#place),
        );
        this.#mark();
    }

    /** @returns {T.Draft} */
    get draft() {
        const over = this.#over === this.func.transport ? undefined : this.#over;
        return { name: this.func.name, over, args: this.form.text, raw: this.form.isRaw };
    }

    focus() {
        this.#title.focus();
    }

    cancel() {
        this.#running?.abort();
    }

    async call() {
        if (this.#running) {
            return;
        }
        let args;
        try {
            args = this.form.read();
        } catch (error) {
            if (error instanceof Unreadable) {
                this.#result.clear();
                return;
            }
            throw error;
        }
        const over = this.#over;
        this.#running = new AbortController();
        this.#result.wait();
        this.#mark();
        const outcome = await callFunction(this.func, over, args, this.#running.signal);
        const hadFocus = document.activeElement === this.#cancel;
        this.#running = undefined;
        this.#mark();
        if (hadFocus) {
            this.#submit.focus();
        }
        const { error, ms } = outcome;
        const faults = Array.isArray(error?.details) && faultsOf(error);
        const left = faults ? this.form.blame(faults) : [];
        this.#result.show(outcome, over, left);
        if (!faults) {
            this.#summary.scrollIntoView({ block: 'nearest' });
        }
        const { name } = this.func;
        const [at, code] = [clock(), error && String(error.code ?? error.name)];
        this.hear.called({ name, over, args: JSON.stringify(args), at, ms, code, raw: this.form.isRaw }, error);
    }

    #controls() {
        const choice = h('fieldset', { class: 'over' }, h('legend', {}, 'Over'));
        const group = newId();
        const places = h('div', { class: 'segments' });
        const reasons = [];
        for (const over of /** @type {T.Transport[]} */ (['http', 'ws'])) {
            const why = refusal(this.func, over);
            const id = newId();
            const input = h('input', { type: 'radio', name: group, value: over, disabled: why !== undefined });
            input.checked = over === this.#over;
            input.addEventListener('change', () => {
                this.#over = over;
                this.#mark();
            });
            if (why) {
                input.setAttribute('aria-describedby', id);
                reasons.push(h('p', { class: 'hint', id }, `Not over ${NAMES[over]}. ${why}`));
            }
            places.append(h('label', {}, input, h('span', {}, NAMES[over])));
        }
        choice.append(places, ...reasons);
        this.#toggle.addEventListener('click', () => {
            this.form.toggle();
            this.#mark();
        });
        this.#cancel.addEventListener('click', () => this.cancel());
        this.curl = copyButton('Copy as curl', () => this.#asCurl());
        const tools = h('div', { class: 'row' }, this.#example(), this.#toggle);
        const head = h('div', { class: 'form-head' }, h('h2', {}, 'Arguments'), tools);
        return [head, this.form.element, choice, h('div', { class: 'actions' }, this.#submit, this.#cancel, this.curl)];
    }

    #example() {
        const { example } = this.func;
        if (!example?.length) {
            return undefined;
        }
        const button = h('button', { type: 'button', class: 'button small', title: 'Fill in an example' }, 'Example');
        button.addEventListener('click', () => {
            this.form.put(example);
            this.#mark();
        });
        return button;
    }

    #asCurl() {
        try {
            return asCurl(this.func, this.form.read());
        } catch (error) {
            if (error instanceof Unreadable) {
                return undefined;
            }
            throw error;
        }
    }

    #mark() {
        const isRunning = this.#running !== undefined;
        this.#submit.setAttribute('aria-disabled', String(isRunning));
        this.#cancel.hidden = !isRunning;
        this.#toggle.setAttribute('aria-pressed', String(this.form.isRaw));
        if (this.curl) {
            this.curl.hidden = this.#over !== 'http';
        }
    }

    /** @param {KeyboardEvent} event @param {HTMLFormElement} form */
    #key(event, form) {
        const { key, target, shiftKey, isComposing } = event;
        const inCode = target instanceof HTMLTextAreaElement && target.classList.contains('code');
        const sends = event.ctrlKey || event.metaKey || (target instanceof HTMLTextAreaElement && !inCode && !shiftKey);
        if (key === 'Enter' && sends && !isComposing) {
            event.preventDefault();
            form.requestSubmit();
        } else if (key === 'Escape' && this.#running) {
            this.cancel();
        }
    }
}

/** @param {any} error @returns {T.ArgFault[] | false} */
function faultsOf({ code, details }) {
    const known = (/** @type {any} */ fault) => typeof fault?.message === 'string';
    return (code === 'INVALID_ARGS' || code === 'OUTDATED_CLIENT') && details.every(known) && details;
}
