import { attribute, h, newId } from './dom.js';
import { Unreadable } from './fields/base.js';
import { makeField } from './fields/make.js';

/** @import * as T from './types.js' */
/** @import { Schemas } from './schema.js' */

/** The arguments of one function: a field each, or all of them as JSON. */
export class Form {
    element = h('div', { class: 'arguments' });
    #fields = h('div', { class: 'fields' });
    #id = newId();
    #area = h('textarea', { id: this.#id, class: 'code', rows: 6, spellcheck: 'false', autocomplete: 'off' });
    #complaints = h('ul', { class: 'fault', id: `${this.#id}-fault` });
    #raw;
    #isRaw = false;
    /** @type {T.FormField[]} */
    #params = [];
    /** @type {T.FormField | undefined} */
    #rest;

    /** @param {T.Func} func @param {Schemas} schemas @param {T.Draft} draft */
    constructor(func, schemas, draft) {
        this.func = func;
        this.schemas = schemas;
        this.#build();
        const label = h('label', { for: this.#id }, 'Arguments, as a JSON array');
        this.#raw = h('div', { class: 'field raw' }, label, this.#area, this.#complaints);
        this.element.append(this.#fields, this.#raw);
        this.#area.value = draft.args ?? '';
        this.#isRaw = draft.raw === true || (draft.args !== undefined && !this.#fill(draft.args));
        if (this.#isRaw && draft.args === undefined) {
            this.#area.value = this.#text();
        }
        this.#show();
    }

    get isRaw() {
        return this.#isRaw;
    }

    /** The arguments to send. Throws `Unreadable`, having shown at which field. @returns {unknown[]} */
    read() {
        this.clear();
        try {
            return this.#isRaw ? this.#readRaw() : this.#readFields();
        } catch (error) {
            if (error instanceof Unreadable) {
                error.field.fault(error.message);
                error.field.focus();
            }
            throw error;
        }
    }

    /** The arguments as JSON for the page's address, though they may be none. */
    get text() {
        if (this.#isRaw) {
            return this.#area.value;
        }
        try {
            return this.#text();
        } catch {
            return undefined;
        }
    }

    /** Between fields and JSON. @returns {boolean} whether it could be done */
    toggle() {
        this.clear();
        if (this.#isRaw) {
            if (!this.#fill(this.#area.value)) {
                this.#complain(['These arguments do not go into the fields.']);
                return false;
            }
        } else {
            try {
                this.#area.value = this.#text();
            } catch (error) {
                if (!(error instanceof Unreadable)) {
                    throw error;
                }
                error.field.fault(error.message);
                error.field.focus();
                return false;
            }
        }
        this.#isRaw = !this.#isRaw;
        this.#show();
        return true;
    }

    /** Arguments in place of those that are there. @param {unknown[]} args */
    put(args) {
        this.clear();
        const text = JSON.stringify(args, undefined, 2);
        this.#area.value = text;
        this.#isRaw ||= !this.#fill(text);
        this.#show();
    }

    clear() {
        [...this.#params, this.#rest].forEach((field) => field?.clear());
        this.#complain([]);
    }

    /** Show each fault at its field. @param {T.ArgFault[]} faults @returns {T.ArgFault[]} those that have no field */
    blame(faults) {
        if (this.#isRaw) {
            this.#complain(faults.map(({ message }) => message));
            this.#area.focus();
            return [];
        }
        const left = [];
        const blamed = new Set();
        for (const fault of faults) {
            const field = this.#fieldOf(fault);
            if (field) {
                field.fault(sentence(fault));
                blamed.add(field);
            } else {
                left.push(fault);
            }
        }
        const first = this.element.querySelector('[aria-invalid="true"], fieldset[data-invalid]');
        [...blamed].find(({ element }) => element === first || element.contains(first))?.focus();
        return left;
    }

    /** @param {T.ArgFault} fault */
    #fieldOf({ param, path }) {
        const field = this.#params.find(({ name }) => name === param);
        return field ? field.locate(path) : this.#rest?.name === param ? this.#rest?.locate(path) : undefined;
    }

    #build() {
        const { params, required, rest } = this.func;
        const common = { reader: this.schemas, make: makeField, above: [] };
        this.#params = params.map(({ title = '', ...schema }, index) =>
            makeField({ ...common, name: title || `[${index}]`, schema, required: index < required }),
        );
        if (rest) {
            const { title = 'more', ...items } = rest;
            this.#rest = makeField({ ...common, name: title, schema: { type: 'array', items }, required: true });
        }
        const all = [...this.#params, ...(this.#rest ? [this.#rest] : [])];
        this.#fields.replaceChildren(...all.map(({ element }) => element));
        if (!all.length) {
            this.#fields.append(h('p', { class: 'hint' }, 'It takes no arguments.'));
        }
    }

    /** @param {string} text */
    #fill(text) {
        this.#build();
        let values;
        try {
            values = JSON.parse(text);
        } catch {
            return false;
        }
        const count = this.#params.length;
        if (!Array.isArray(values) || (values.length > count && !this.#rest)) {
            return false;
        }
        const filled = this.#params.every((field, index) => field.fill(values[index]));
        return filled && (!this.#rest || this.#rest.fill(values.slice(count)));
    }

    #readFields() {
        const values = this.#params.map((field) => field.get());
        const more = /** @type {unknown[]} */ (this.#rest?.get() ?? []);
        const args = [...values, ...more];
        while (args.length && args.at(-1) === undefined) {
            args.pop();
        }
        return args.map((value, index) => {
            const field = this.#params[index];
            if (value !== undefined || !field || index < this.func.required) {
                return value ?? null;
            }
            // Arguments go by their place: one in the middle is there, and can only be what it is by default.
            const { default: usual } = this.schemas.read(this.func.params[index] ?? {}).schema;
            if (usual === undefined) {
                throw new Unreadable(field, 'This cannot be left out: an argument behind it is given.');
            }
            return usual;
        });
    }

    #readRaw() {
        let value;
        try {
            value = JSON.parse(this.#area.value || '[]');
        } catch (/** @type {any} */ error) {
            throw new Unreadable(this, `This is not JSON: ${error.message}`);
        }
        if (!Array.isArray(value)) {
            throw new Unreadable(this, 'This is not an array: [first, second, …].');
        }
        return value;
    }

    #text() {
        return JSON.stringify(this.#readFields(), undefined, this.#isRaw ? undefined : 2);
    }

    /** What is wrong with the JSON. @param {string} text */
    fault(text) {
        this.#complain([text]);
    }

    focus() {
        this.#area.focus();
    }

    /** @param {string[]} texts */
    #complain(texts) {
        this.#complaints.replaceChildren(...texts.map((text) => h('li', {}, text)));
        attribute(this.#area, 'aria-invalid', texts.length > 0);
        attribute(this.#area, 'aria-describedby', texts.length > 0 && this.#complaints.id);
    }

    #show() {
        this.#fields.hidden = this.#isRaw;
        this.#raw.hidden = !this.#isRaw;
    }
}

/** A fault in words for the field that it stands at. @param {T.ArgFault} fault */
function sentence({ expected, got, message }) {
    if (got === 'missing') {
        return `Missing: ${expected}.`;
    }
    // What a type says for itself is no name of a type.
    return message.endsWith(`expected ${expected}, got ${got}`) ? `Expected ${expected}, got ${got}.` : message;
}
