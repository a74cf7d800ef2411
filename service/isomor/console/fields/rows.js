import { h } from '../dom.js';
import { isObject } from '../schema.js';
import { Group } from './group.js';

/** @import * as T from '../types.js' */

/** Rows that can be added and removed, of a list or a map. @abstract */
class Rows extends Group {
    /** @type {{ field: T.FormField, key: HTMLInputElement | false, row: HTMLElement }[]} */
    rows = [];
    list = h('div', { class: 'rows' });
    add = h('button', { type: 'button', class: 'button small', onclick: () => this.addRow().focus() }, '+ Add');

    /** @param {T.Spec} spec @param {T.Shape} shape */
    constructor(spec, shape) {
        super(spec, shape);
        this.add.setAttribute('aria-label', `Add to ${spec.name}`);
        this.body.append(this.list, this.add);
        this.begin();
    }

    get control() {
        return this.mode === 'value' && this.add ? this.add : super.control;
    }

    /** @param {boolean} keyed @param {T.Schema | boolean | undefined} schema */
    insert(keyed, schema) {
        const name = `[${this.rows.length}]`;
        const field = this.part(keyed ? 'value' : name, schema, true);
        const label = `Key ${name} of ${this.name}`;
        const key = keyed && h('input', { class: 'key', placeholder: 'key', 'aria-label': label, autocomplete: 'off' });
        const remove = h('button', { type: 'button', class: 'button small quiet' }, '✕');
        const row = h('div', { class: 'row' }, key, field.element, remove);
        const entry = { field, key, row };
        remove.addEventListener('click', () => {
            const index = this.rows.indexOf(entry);
            this.rows.splice(index, 1);
            row.remove();
            this.#number();
            const next = this.rows[Math.min(index, this.rows.length - 1)]?.row.querySelector('.quiet');
            /** @type {HTMLElement} */ (next ?? this.add).focus();
            this.add.dispatchEvent(new Event('change', { bubbles: true }));
        });
        this.rows.push(entry);
        this.list.append(row);
        this.#number();
        return entry;
    }

    /** @returns {{ focus(): void }} */
    addRow() {
        throw new Error('abstract');
    }

    empty() {
        this.rows = [];
        this.list.replaceChildren();
    }

    #number() {
        this.rows.forEach(({ row, field, key }, index) => {
            const name = `[${index}]`;
            row.querySelector(':scope > .quiet')?.setAttribute('aria-label', `Remove ${this.name}${name}`);
            if (!key) {
                field.rename(name);
            }
        });
    }
}

export class ListField extends Rows {
    addRow() {
        return this.insert(false, this.shape.schema.items).field;
    }

    make() {
        for (let count = this.shape.schema.minItems ?? 0; count > 0 && this.rows.length < 10; count--) {
            this.addRow();
        }
    }

    get parts() {
        return (this.rows ?? []).map(({ field }, index) => ({ name: `[${index}]`, field }));
    }

    read() {
        return this.rows.map(({ field }) => field.get() ?? null);
    }

    /** @param {unknown} value */
    show(value) {
        this.empty();
        const fit = Array.isArray(value) && value.length <= 100;
        return fit && value.every((item) => this.insert(false, this.shape.schema.items).field.fill(item));
    }
}

/** @param {HTMLInputElement | false} key */
const valueOf = (key) => (key ? key.value : '');

export class MapField extends Rows {
    addRow() {
        return this.insert(true, this.shape.schema.additionalProperties).key || this.add;
    }

    get parts() {
        return (this.rows ?? []).map(({ field, key }) => ({ name: valueOf(key), field }));
    }

    read() {
        return Object.fromEntries(this.rows.map(({ field, key }) => [valueOf(key), field.get() ?? null]));
    }

    /** @param {unknown} value */
    show(value) {
        this.empty();
        if (!isObject(value) || Object.keys(value).length > 100) {
            return false;
        }
        return Object.entries(value).every(([name, item]) => {
            const { key, field } = this.insert(true, this.shape.schema.additionalProperties);
            /** @type {HTMLInputElement} */ (key).value = name;
            return field.fill(item);
        });
    }
}
