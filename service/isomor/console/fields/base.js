import { attribute, h, newId, prose } from '../dom.js';
import { exampleOf, limits, plain } from '../words.js';

/** @import * as T from '../types.js' */

/** What stands in a field cannot be sent at all. */
export class Unreadable extends Error {
    /** @param {{ fault(text: string): void, focus(): void }} field @param {string} message */
    constructor(field, message) {
        super(message);
        this.field = field;
    }
}

/** @typedef {'value' | 'null' | 'none'} Mode */

/**
 * A field with its label, its hints and what is wrong with it. One that may be left out, or be null, has a choice of
 * that beside its label.
 *
 * @abstract
 * @implements {T.FormField}
 */
export class Field {
    id = newId();
    /** @type {Mode} */
    mode = 'value';
    #complaint = h('p', { class: 'fault', id: `${this.id}-fault`, hidden: true });
    /** @type {HTMLSelectElement | undefined} */
    #presence;

    /** @param {T.Spec} spec @param {T.Shape} shape @param {boolean} group whether it holds other fields */
    constructor(spec, shape, group = false) {
        this.spec = spec;
        this.shape = shape;
        this.name = spec.name;
        this.group = group;
        this.body = h('div', { class: 'body' });
        // A legend cannot stand in a line with anything: it is read out, and its double is seen.
        const legend = group && h('legend', { class: 'sr' });
        this.label = group ? h('span', { 'aria-hidden': true }) : h('label', { for: this.id });
        this.label.classList.add('label');
        const head = h('div', { class: 'head' }, this.label, h('span', { class: 'type' }, spec.reader.words(shape)));
        const hints = this.#hints();
        const tag = group ? 'fieldset' : 'div';
        this.element = h(tag, { class: group ? 'field group' : 'field', id: group ? this.id : undefined });
        const foot = group ? [...hints, this.#complaint, this.body] : [this.body, this.#complaint, ...hints];
        this.element.append(...(legend ? [legend] : []), head, ...foot);
        this.rename(spec.name);
        if (!spec.required || shape.nullable) {
            this.#presence = this.#choice();
            head.append(this.#presence);
            this.setMode(spec.required ? 'null' : 'none');
        }
        // Whoever types a value means it.
        this.body.addEventListener('input', () => this.setMode('value'));
        if (group) {
            attribute(this.element, 'aria-describedby', hints.map((hint) => hint.id).join(' ') || undefined);
        }
    }

    /** Where the focus goes, and what is marked as wrong. @returns {HTMLElement} */
    get control() {
        return this.#presence ?? this.element;
    }

    get isRequired() {
        return this.spec.required;
    }

    /** @param {string} name */
    rename(name) {
        this.name = name;
        this.label.textContent = name;
        const legend = this.element.querySelector(':scope > legend');
        if (legend) {
            legend.textContent = name;
        }
    }

    /** @param {Mode} mode */
    setMode(mode) {
        this.mode = mode;
        this.element.dataset.mode = mode;
        if (this.#presence) {
            this.#presence.value = mode;
        }
        if (this.group) {
            this.body.hidden = mode !== 'value';
        }
    }

    /** @returns {unknown} */
    get() {
        return this.mode === 'none' ? undefined : this.mode === 'null' ? null : this.read();
    }

    /** @param {unknown} value */
    fill(value) {
        if (value === undefined && !this.isRequired) {
            this.setMode('none');
            return true;
        }
        if (value === null && this.shape.nullable) {
            this.setMode('null');
            return true;
        }
        if (value === undefined) {
            return true;
        }
        this.open();
        return this.show(value);
    }

    /** Take a value: whatever has to be there for that is made. */
    open() {
        this.setMode('value');
    }

    /** @abstract @returns {unknown} */
    read() {
        throw new Error('abstract');
    }

    /** @abstract @param {unknown} _value @returns {boolean} */
    show(_value) {
        throw new Error('abstract');
    }

    /** @param {string} _path @returns {T.FormField} */
    locate(_path) {
        return this;
    }

    /** @param {string | undefined} text */
    fault(text) {
        const said = [this.#complaint.textContent, text].filter(Boolean).join(' ');
        this.#complaint.textContent = text ? said : '';
        this.#complaint.hidden = !text;
        attribute(this.element, 'data-invalid', text !== undefined);
        const { control } = this;
        const hints = [text !== undefined && `${this.id}-fault`, ...this.#hintIds].filter(Boolean).join(' ');
        // A group or a button cannot be invalid; what describes it says so.
        attribute(control, 'aria-invalid', text !== undefined && control.matches('input, select, textarea'));
        attribute(control, 'aria-describedby', hints || undefined);
    }

    clear() {
        this.fault(undefined);
    }

    focus() {
        const { control } = this;
        if (control === this.element) {
            control.tabIndex = -1;
        }
        control.focus();
    }

    get #hintIds() {
        return [...this.element.children].flatMap(({ id }) => (id === `${this.id}-hint` ? [id] : []));
    }

    #hints() {
        const { schema } = this.shape;
        const { default: usual, pattern, description } = schema;
        const example = this.group ? '' : exampleOf(schema);
        const facts = [
            limits(schema),
            // The long ones are those of formats, which the description tells in words.
            pattern && !(description && pattern.length > 60) && h('span', {}, 'matches ', h('code', {}, pattern)),
            example && !description?.includes('such as') && h('span', {}, 'such as ', h('code', {}, example)),
            usual !== undefined && h('span', {}, 'default ', h('code', {}, plain(usual) || '""')),
        ].filter(Boolean);
        const told = facts.flatMap((fact, at) => (at ? [' · ', fact] : [fact]));
        const texts = [...(description ? prose(description) : []), description && told.length ? h('br') : '', ...told];
        return description || told.length ? [h('p', { class: 'hint', id: `${this.id}-hint` }, ...texts)] : [];
    }

    #choice() {
        const choice = h('select', { class: 'presence', 'aria-label': `What to send for ${this.name}` });
        if (!this.spec.required) {
            choice.append(h('option', { value: 'none' }, 'left out'));
        }
        if (this.shape.nullable) {
            choice.append(h('option', { value: 'null' }, 'null'));
        }
        choice.append(h('option', { value: 'value' }, 'a value'));
        choice.addEventListener('change', () => {
            const mode = /** @type {Mode} */ (choice.value);
            mode === 'value' ? this.open() : this.setMode(mode);
        });
        return choice;
    }
}
