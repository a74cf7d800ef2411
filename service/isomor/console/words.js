/** @import * as T from './types.js' */

/** @type {Record<string, string>} */
const FORMATS = {
    'date-time': 'date and time',
    date: 'date',
    time: 'time',
    duration: 'duration',
    uuid: 'UUID',
    decimal: 'decimal',
    byte: 'base64',
};

/** @type {Record<string, string>} */
const EXAMPLES = {
    'date-time': '2026-11-24T10:20:30Z',
    date: '2026-11-24',
    time: '10:20:30',
    duration: 'PT1H30M',
    uuid: '6f9619ff-8b86-d011-b42d-00c04fc964ff',
    decimal: '12.50',
    byte: 'aGVsbG8=',
};

/** @param {T.Schema} schema */
export const formatOf = ({ format, contentEncoding }) => (contentEncoding === 'base64' ? 'byte' : format);

/** What could stand there. @param {T.Schema} schema */
export function exampleOf(schema) {
    const [example] = schema.examples ?? [];
    return example === undefined ? EXAMPLES[formatOf(schema) ?? ''] ?? '' : plain(example);
}

/** A string as it is, all else as JSON. @param {unknown} value */
export const plain = (value) => (typeof value === 'string' ? value : JSON.stringify(value) ?? '');

/** @param {T.Shape} shape @param {(schema: T.Schema) => T.Shape} read @returns {string} */
export function typeWords(shape, read, depth = 0) {
    const { kind, schema, parts } = shape;
    const within = (/** @type {T.Schema} */ part) => {
        const inner = read(part);
        return typeWords(inner, read, depth + 1) + (inner.nullable ? ' or null' : '');
    };
    switch (kind) {
        case 'string':
            return FORMATS[formatOf(schema) ?? ''] ?? schema.format ?? 'string';
        case 'choice':
            return schema.title ?? 'choice';
        case 'list': {
            const items = typeof schema.items === 'object' && depth < 3 ? within(schema.items) : 'anything';
            return `${schema.uniqueItems ? 'set' : 'list'} of ${items}`;
        }
        case 'map': {
            const values = schema.additionalProperties;
            return `map to ${typeof values === 'object' && depth < 3 ? within(values) : 'anything'}`;
        }
        case 'union':
            return depth < 2 ? parts.map(within).join(' or ') : 'one of several';
        case 'object':
            return schema.title ?? 'object';
        case 'tuple':
            return schema.title ?? 'tuple';
        case 'json':
            return 'any JSON';
        default:
            return kind;
    }
}

/** The limits that a schema sets, in words. @param {T.Schema} schema */
export function limits(schema) {
    const said = [];
    said.push(between(schema.minLength, schema.maxLength, 'character'));
    said.push(between(schema.minItems, schema.maxItems, 'item', schema.prefixItems !== undefined));
    said.push(between(schema.minProperties, schema.maxProperties, 'entry'));
    const { minimum, maximum, exclusiveMinimum: above, exclusiveMaximum: below } = schema;
    if (minimum !== undefined && maximum !== undefined) {
        said.push(`${minimum} to ${maximum}`);
    } else {
        said.push(minimum !== undefined && `at least ${minimum}`, maximum !== undefined && `at most ${maximum}`);
    }
    said.push(above !== undefined && `above ${above}`, below !== undefined && `below ${below}`);
    said.push(schema.multipleOf !== undefined && `a multiple of ${schema.multipleOf}`);
    said.push(schema.uniqueItems && 'each once');
    return said.filter(Boolean).join(', ');
}

/** @param {number | undefined} least @param {number | undefined} most @param {string} what */
function between(least, most, what, fixed = false) {
    if (fixed || (least === undefined && most === undefined) || (least === 0 && most === undefined)) {
        return '';
    }
    const many = (/** @type {number} */ count) => (count === 1 ? what : what.replace(/y$/, 'ie') + 's');
    if (least === most) {
        return `${least} ${many(least ?? 0)}`;
    }
    if (least && most !== undefined) {
        return `${least} to ${most} ${many(most)}`;
    }
    return least ? `at least ${least} ${many(least)}` : `at most ${most} ${many(most ?? 0)}`;
}
