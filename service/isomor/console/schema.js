import { typeWords } from './words.js';

/** @import * as T from './types.js' */

/** Reads JSON schemas (2020-12) as OpenAPI has them, with `$ref` into the same document. */
export class Schemas {
    /** @param {T.Description} document */
    constructor(document) {
        this.document = document;
    }

    /** @param {T.Schema} given @returns {T.Shape} */
    read(given) {
        let { schema, refs } = this.#follow(given);
        let parts = schema.anyOf ?? schema.oneOf ?? [];
        let types = [schema.type ?? []].flat();
        let nullable = types.includes('null') && types.length > 1;
        types = nullable ? types.filter((type) => type !== 'null') : types;
        if (types.length === 1 && parts.length && parts.every((part) => !this.#isOfItsOwn(part))) {
            // They only limit what the schema itself is, such as a date with or without a zone.
            const format = parts.map((part) => this.#follow(part).schema.format).find(Boolean);
            schema = { ...(format && { format }), ...schema };
            parts = [];
        } else if (parts.length) {
            const others = parts.filter((part) => this.#follow(part).schema.type !== 'null');
            nullable ||= others.length < parts.length;
            if (others.length === 1) {
                const { anyOf, oneOf, ...rest } = schema;
                const inner = this.read({ ...others[0] });
                const said = { ...inner.schema, ...rest };
                return { ...inner, schema: said, nullable: nullable || inner.nullable, refs: [...refs, ...inner.refs] };
            }
            parts = others;
        } else if (types.length > 1) {
            parts = types.map((type) => ({ ...schema, type }));
        }
        let values = schema.const !== undefined ? [schema.const] : schema.enum ?? [];
        if (values.length > 1 && values.includes(null)) {
            nullable = true;
            values = values.filter((value) => value !== null);
        }
        const kind = values.length ? 'choice' : parts.length ? 'union' : kindOf(schema, types[0]);
        return { kind, schema, nullable, refs, parts, values };
    }

    /** A few words for what is taken. @param {T.Shape} shape */
    words(shape) {
        return typeWords(shape, (schema) => this.read(schema));
    }

    /** @param {T.Schema} part */
    #isOfItsOwn(part) {
        const { type, enum: values, const: value, anyOf, oneOf } = this.#follow(part).schema;
        return Boolean(type || values || anyOf || oneOf) || value !== undefined;
    }

    /** @param {T.Schema} given */
    #follow(given) {
        const refs = [];
        let schema = given;
        while ((schema.$ref !== undefined || schema.allOf?.length === 1) && refs.length < 50) {
            const { $ref, allOf, ...rest } = schema;
            if ($ref !== undefined) {
                refs.push($ref);
                schema = joined(this.#at($ref), rest);
            } else {
                schema = joined(allOf?.[0] ?? {}, rest);
            }
        }
        return { schema, refs };
    }

    /** @param {string} ref @returns {T.Schema} */
    #at(ref) {
        /** @type {any} */
        let found = this.document;
        for (const part of ref.replace(/^#\/?/, '').split('/')) {
            found = found?.[decodeURIComponent(part).replaceAll('~1', '/').replaceAll('~0', '~')];
        }
        return typeof found === 'object' && found ? found : {};
    }
}

/** What stands beside a reference is said of what it leads to. @param {T.Schema} schema @param {T.Schema} more */
function joined(schema, more) {
    const required = [...(schema.required ?? []), ...(more.required ?? [])];
    return { ...schema, ...more, ...(required.length && { required }) };
}

/** @param {T.Schema} schema @param {string | undefined} type @returns {T.Kind} */
function kindOf(schema, type) {
    // What is left of combinations says more than a form can.
    if (schema.allOf) {
        return 'json';
    }
    switch (type) {
        case 'string':
        case 'number':
        case 'integer':
        case 'boolean':
        case 'null':
            return type;
        case 'array':
            return schema.prefixItems ? (schema.items ? 'json' : 'tuple') : 'list';
        case 'object':
            if (schema.properties && Object.keys(schema.properties).length) {
                return typeof schema.additionalProperties === 'object' ? 'json' : 'object';
            }
            return schema.additionalProperties === false ? 'object' : 'map';
        default:
            return 'json';
    }
}

/** The name of a part of a union. @param {T.Shape} shape @param {T.Schema} part @param {string} tag */
export function partName(shape, part, tag) {
    const value = tagOf(shape, tag);
    const title = shape.schema.title ?? part.$ref?.split('/').at(-1);
    return title ?? (value === undefined ? shape.kind : String(value));
}

/** The value of the tag by which a part of a union is known. @param {T.Shape} shape @param {string} tag */
export function tagOf(shape, tag) {
    const property = shape.schema.properties?.[tag];
    return property?.const ?? (property?.enum?.length === 1 ? property.enum[0] : undefined);
}

/** Whether a value is of the kind of a shape, as far as can be told at a glance. @param {unknown} value */
export function fits(value, /** @type {T.Shape} */ shape) {
    switch (shape.kind) {
        case 'choice':
            return shape.values.some((one) => JSON.stringify(one) === JSON.stringify(value));
        case 'number':
        case 'integer':
            return typeof value === 'number';
        case 'null':
            return value === null;
        case 'list':
        case 'tuple':
            return Array.isArray(value);
        case 'object':
        case 'map':
            return isObject(value);
        case 'string':
        case 'boolean':
            return typeof value === shape.kind;
        default:
            return true;
    }
}

/** @param {unknown} value @returns {value is Record<string, unknown>} */
export const isObject = (value) => typeof value === 'object' && value !== null && !Array.isArray(value);
