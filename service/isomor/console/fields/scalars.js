import { h } from '../dom.js';
import { formatOf, plain } from '../words.js';
import { Field, Unreadable } from './base.js';

/** @import * as T from '../types.js' */

/** Strings of any format, and numbers. What is no number goes out as it is, for the server to judge. */
export class TextField extends Field {
    /** @param {T.Spec} spec @param {T.Shape} shape */
    constructor(spec, shape) {
        super(spec, shape);
        const { schema, kind } = shape;
        const format = formatOf(schema);
        this.numeric = kind !== 'string';
        const isText = !this.numeric && !format;
        const common = { id: this.id, autocomplete: 'off', autocapitalize: 'off', spellcheck: 'false' };
        const placeholder = spec.required ? undefined : plain(schema.default ?? '') || undefined;
        /** @type {HTMLInputElement | HTMLTextAreaElement} */
        this.input = isText
            ? h('textarea', { ...common, rows: 1, placeholder })
            : h('input', { ...common, placeholder, inputmode: this.numeric ? 'decimal' : undefined });
        this.body.append(this.input, ...this.#help(format));
        this.clear();
    }

    get control() {
        return this.input ?? this.element;
    }

    read() {
        const { value } = this.input;
        if (!this.numeric) {
            return value === '' && formatOf(this.shape.schema) ? (this.spec.required ? undefined : '') : value;
        }
        const text = value.trim();
        if (text === '') {
            return undefined;
        }
        return /^-?\d+(\.\d+)?(e[+-]?\d+)?$/i.test(text) ? Number(text) : text;
    }

    /** @param {unknown} value */
    show(value) {
        this.input.value = plain(value);
        return JSON.stringify(this.read()) === JSON.stringify(value) || value === '';
    }

    /** @param {string | undefined} format */
    #help(format) {
        const now = () => new Date().toISOString();
        /** @type {Record<string, [string, () => string]>} */
        const ways = {
            'date-time': ['Now', now],
            date: ['Today', () => now().slice(0, 10)],
            time: ['Now', () => now().slice(11, 19)],
            uuid: ['Random', randomUuid],
        };
        const way = ways[format ?? ''];
        if (!way) {
            return [];
        }
        const [label, make] = way;
        const button = h('button', { type: 'button', class: 'button small' }, label);
        button.setAttribute('aria-label', `${label}: ${this.name}`);
        button.addEventListener('click', () => {
            this.input.value = make();
            this.setMode('value');
        });
        this.body.classList.add('inline');
        return [button];
    }
}

/** `crypto.randomUUID` is there for https and localhost alone. */
function randomUuid() {
    const bytes = crypto.getRandomValues(new Uint8Array(16));
    bytes[6] = ((bytes[6] ?? 0) & 0x0f) | 0x40;
    bytes[8] = ((bytes[8] ?? 0) & 0x3f) | 0x80;
    const text = [...bytes].map((byte) => byte.toString(16).padStart(2, '0')).join('');
    return text.replace(/^(.{8})(.{4})(.{4})(.{4})/, '$1-$2-$3-$4-');
}

export class BooleanField extends Field {
    /** @param {T.Spec} spec @param {T.Shape} shape */
    constructor(spec, shape) {
        super(spec, shape);
        this.input = h('input', { type: 'checkbox', id: this.id, class: 'switch' });
        this.input.checked = shape.schema.default === true;
        this.body.append(this.input);
        this.element.classList.add('boolean');
        this.clear();
    }

    get control() {
        return this.input ?? this.element;
    }

    read() {
        return this.input.checked;
    }

    /** @param {unknown} value */
    show(value) {
        this.input.checked = value === true;
        return typeof value === 'boolean';
    }
}

/** One of some values. */
export class ChoiceField extends Field {
    /** @param {T.Spec} spec @param {T.Shape} shape */
    constructor(spec, shape) {
        super(spec, shape);
        const strings = shape.values.every((value) => typeof value === 'string');
        this.select = h('select', { id: this.id });
        shape.values.forEach((value, index) =>
            this.select.append(h('option', { value: index }, strings ? String(value) || '""' : JSON.stringify(value))),
        );
        const usual = this.#indexOf(shape.schema.default);
        this.select.selectedIndex = Math.max(usual, 0);
        this.body.append(this.select);
        this.clear();
    }

    get control() {
        return this.select ?? this.element;
    }

    read() {
        return this.shape.values[Number(this.select.value)];
    }

    /** @param {unknown} value */
    show(value) {
        const index = this.#indexOf(value);
        this.select.selectedIndex = Math.max(index, 0);
        return index >= 0;
    }

    /** @param {unknown} value */
    #indexOf(value) {
        return this.shape.values.findIndex((one) => JSON.stringify(one) === JSON.stringify(value));
    }
}

/** Anything, as JSON: for what no other field can show. */
export class JsonField extends Field {
    /** @param {T.Spec} spec @param {T.Shape} shape */
    constructor(spec, shape) {
        super(spec, shape);
        this.area = h('textarea', { id: this.id, class: 'code', rows: 2, spellcheck: 'false', autocomplete: 'off' });
        this.area.placeholder = 'JSON';
        this.body.append(this.area);
        this.clear();
    }

    get control() {
        return this.area ?? this.element;
    }

    read() {
        const text = this.area.value.trim();
        if (text === '') {
            return undefined;
        }
        try {
            return JSON.parse(text);
        } catch (/** @type {any} */ error) {
            throw new Unreadable(this, `This is not JSON: ${error.message}`);
        }
    }

    /** @param {unknown} value */
    show(value) {
        this.area.value = JSON.stringify(value, undefined, 2);
        return true;
    }
}

/** `null`, and nothing else. */
export class NullField extends Field {
    /** @param {T.Spec} spec @param {T.Shape} shape */
    constructor(spec, shape) {
        super(spec, shape);
        this.output = h('output', { id: this.id }, 'null');
        this.body.append(this.output);
    }

    read() {
        return null;
    }

    /** @param {unknown} value */
    show(value) {
        return value === null;
    }
}
