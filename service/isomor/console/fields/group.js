import { Field } from './base.js';

/** @import * as T from '../types.js' */

/** What a path begins with, where it leads into the part `name`; undefined where it does not. @param {string} path */
function within(path, /** @type {string} */ name) {
    if (!path.startsWith(name)) {
        return undefined;
    }
    const rest = path.slice(name.length);
    return rest === '' || rest.startsWith('[') ? rest : rest.startsWith('.') ? rest.slice(1) : undefined;
}

/** @param {string} path @param {{ name: string, field: T.FormField }[]} parts @param {T.FormField} self */
function locateIn(path, parts, self) {
    // A key may hold dots itself: the longest that fits is meant.
    for (const { name, field } of [...parts].sort((one, other) => other.name.length - one.name.length)) {
        const rest = within(path, name);
        if (rest !== undefined) {
            return field.locate(rest);
        }
    }
    return self;
}

/** A field of others. They are made when a value is wanted: a type may hold itself. @abstract */
export class Group extends Field {
    #made = false;

    /** @param {T.Spec} spec @param {T.Shape} shape */
    constructor(spec, shape) {
        super(spec, shape, true);
        this.above = [...spec.above, ...shape.refs];
    }

    /** To be called where the subclass is ready. */
    begin() {
        if (this.mode === 'value') {
            this.open();
        }
        this.clear();
    }

    open() {
        super.open();
        if (!this.#made) {
            this.#made = true;
            this.make();
        }
    }

    /** @abstract */
    make() {}

    /** @returns {{ name: string, field: T.FormField }[]} */
    get parts() {
        return [];
    }

    /** @param {string} path */
    locate(path) {
        return locateIn(path, this.parts, this);
    }

    clear() {
        super.clear();
        this.parts.forEach(({ field }) => field.clear());
    }

    /** @param {string} name @param {T.Schema | boolean | undefined} schema @param {boolean} required */
    part(name, schema, required, tag = '') {
        const given = typeof schema === 'object' ? schema : {};
        const { reader, make } = this.spec;
        const inner = reader.read(given);
        // One that leads back to itself is unfolded when it is asked for.
        const again = inner.refs.some((ref) => this.above.includes(ref));
        const left = again && inner.kind === 'object' ? false : required;
        return make({ name, schema: given, required: left, reader, make, above: this.above, tag });
    }
}
