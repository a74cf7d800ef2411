import { isObject } from '../schema.js';
import { Group } from './group.js';

/** @import * as T from '../types.js' */

export class ObjectField extends Group {
    /** @type {Map<string, T.FormField>} */
    fields = new Map();

    /** @param {T.Spec} spec @param {T.Shape} shape */
    constructor(spec, shape) {
        super(spec, shape);
        this.begin();
    }

    make() {
        const { properties = {}, required = [] } = this.shape.schema;
        for (const [name, schema] of Object.entries(properties)) {
            if (name !== this.spec.tag) {
                this.fields.set(name, this.part(name, schema, required.includes(name)));
            }
        }
        this.body.append(...[...this.fields.values()].map(({ element }) => element));
    }

    get parts() {
        return [...(this.fields ?? [])].map(([name, field]) => ({ name, field }));
    }

    read() {
        const entries = [...this.fields].map(([name, field]) => [name, field.get()]);
        return Object.fromEntries(entries.filter(([, value]) => value !== undefined));
    }

    /** @param {unknown} value */
    show(value) {
        if (!isObject(value) || Object.keys(value).some((key) => !this.fields.has(key) && key !== this.spec.tag)) {
            return false;
        }
        return [...this.fields].every(
            ([name, field]) => (name in value || !field.isRequired) && field.fill(value[name]),
        );
    }
}

export class TupleField extends Group {
    /** @type {T.FormField[]} */
    items = [];

    /** @param {T.Spec} spec @param {T.Shape} shape */
    constructor(spec, shape) {
        super(spec, shape);
        this.begin();
    }

    make() {
        const { prefixItems = [], minItems = prefixItems.length } = this.shape.schema;
        this.items = prefixItems.map(({ title, ...schema }, index) =>
            this.part(title ?? `[${index}]`, schema, index < minItems),
        );
        this.body.append(...this.items.map(({ element }) => element));
    }

    get parts() {
        return (this.items ?? []).map((field, index) => ({ name: `[${index}]`, field }));
    }

    read() {
        const values = this.items.map((field) => field.get());
        const { minItems = values.length } = this.shape.schema;
        while (values.length > minItems && values.at(-1) === undefined) {
            values.pop();
        }
        return values.map((value) => value ?? null);
    }

    /** @param {unknown} value */
    show(value) {
        const fit = Array.isArray(value) && value.length <= this.items.length;
        if (!fit) {
            return false;
        }
        const { length } = value;
        return this.items.every((field, index) => (index < length || !field.isRequired) && field.fill(value[index]));
    }
}
