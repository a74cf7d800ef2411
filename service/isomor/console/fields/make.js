import { ObjectField, TupleField } from './objects.js';
import { ListField, MapField } from './rows.js';
import { BooleanField, ChoiceField, JsonField, NullField, TextField } from './scalars.js';
import { UnionField } from './union.js';

/** @import * as T from '../types.js' */

/** @type {Record<T.Kind, new (spec: T.Spec, shape: T.Shape) => T.FormField>} */
const FIELDS = {
    string: TextField,
    number: TextField,
    integer: TextField,
    boolean: BooleanField,
    choice: ChoiceField,
    list: ListField,
    tuple: TupleField,
    object: ObjectField,
    map: MapField,
    union: UnionField,
    null: NullField,
    json: JsonField,
};

/** The field for a schema. @param {T.Spec} spec @returns {T.FormField} */
export function makeField(spec) {
    const shape = spec.reader.read(spec.schema);
    return new FIELDS[shape.kind](spec, shape);
}
