import { h } from '../dom.js';
import { fits, isObject, partName, tagOf } from '../schema.js';
import { Group } from './group.js';

/** @import * as T from '../types.js' */

/** One of several types: a choice of it, and the field of what was chosen. */
export class UnionField extends Group {
    /** @type {T.FormField | undefined} */
    field;
    select = h('select', {});
    place = h('div', { class: 'part' });

    /** @param {T.Spec} spec @param {T.Shape} shape */
    constructor(spec, shape) {
        super(spec, shape);
        const { reader } = spec;
        this.tag = shape.schema.discriminator?.propertyName ?? '';
        this.variants = shape.parts.map((part) => ({ part, shape: reader.read(part) }));
        this.tag ||= commonTag(this.variants.map((variant) => variant.shape));
        this.variants.forEach(({ part, shape: inner }, index) => {
            const name = inner.kind === 'object' ? partName(inner, part, this.tag) : reader.words(inner);
            this.select.append(h('option', { value: index }, name));
        });
        this.select.setAttribute('aria-label', `Type of ${spec.name}`);
        this.select.addEventListener('change', () => this.#choose(Number(this.select.value)));
        this.body.append(this.select, this.place);
        this.begin();
    }

    get control() {
        return this.mode === 'value' && this.select ? this.select : super.control;
    }

    make() {
        // One that does not lead back to what it is part of.
        const plain = this.variants.findIndex(({ shape }) => !shape.refs.some((ref) => this.above.includes(ref)));
        this.#choose(Math.max(plain, 0));
    }

    /** @param {number} index */
    #choose(index) {
        this.select.value = String(index);
        const variant = this.variants[index];
        const name = this.select.selectedOptions[0]?.textContent ?? '';
        this.field = this.part(name, variant?.part, true, this.tag);
        this.place.replaceChildren(this.field.element);
    }

    get parts() {
        return this.field ? [{ name: '', field: this.field }] : [];
    }

    /** @param {string} path @returns {T.FormField} */
    locate(path) {
        return path === '' || path === this.tag ? this : this.field?.locate(path) ?? this;
    }

    read() {
        const value = this.field?.get();
        const chosen = this.variants[Number(this.select.value)];
        const tag = chosen && tagOf(chosen.shape, this.tag);
        return tag === undefined || !isObject(value) ? value : { [this.tag]: tag, ...value };
    }

    /** @param {unknown} value */
    show(value) {
        const isMeant = (/** @type {T.Shape} */ shape) => {
            const tag = tagOf(shape, this.tag);
            return fits(value, shape) && (tag === undefined || (isObject(value) && value[this.tag] === tag));
        };
        const meant = this.variants.flatMap(({ shape }, index) => (isMeant(shape) ? [index] : []));
        return meant.some((index) => {
            this.#choose(index);
            return this.field?.fill(value);
        });
    }
}

/** The property that has one value of its own in each of them. @param {T.Shape[]} shapes */
function commonTag(shapes) {
    const [first] = shapes;
    const names = Object.keys(first?.schema.properties ?? {});
    return names.find((name) => shapes.every((shape) => tagOf(shape, name) !== undefined)) ?? '';
}
