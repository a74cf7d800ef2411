/** The types that the modules of the console share. Nothing of this is served. */

export interface Schema {
    $ref?: string;
    type?: string | string[];
    title?: string;
    description?: string;
    default?: unknown;
    examples?: unknown[];
    enum?: unknown[];
    const?: unknown;
    anyOf?: Schema[];
    oneOf?: Schema[];
    allOf?: Schema[];
    format?: string;
    contentEncoding?: string;
    pattern?: string;
    minLength?: number;
    maxLength?: number;
    minimum?: number;
    maximum?: number;
    exclusiveMinimum?: number;
    exclusiveMaximum?: number;
    multipleOf?: number;
    minItems?: number;
    maxItems?: number;
    uniqueItems?: boolean;
    prefixItems?: Schema[];
    items?: Schema | boolean;
    properties?: Record<string, Schema>;
    required?: string[];
    additionalProperties?: Schema | boolean;
    minProperties?: number;
    maxProperties?: number;
    propertyNames?: Schema;
    discriminator?: { propertyName: string; mapping?: Record<string, string> };
}

export type Kind =
    | 'string'
    | 'number'
    | 'integer'
    | 'boolean'
    | 'choice'
    | 'list'
    | 'tuple'
    | 'object'
    | 'map'
    | 'union'
    | 'null'
    | 'json';

/** A schema that has been read: what it is, with references followed and `null` set aside. */
export interface Shape {
    kind: Kind;
    schema: Schema;
    nullable: boolean;
    /** The references that led here. */
    refs: string[];
    /** Of a union: its parts. */
    parts: Schema[];
    /** Of a choice: its values. */
    values: unknown[];
}

export type Transport = 'http' | 'ws';

export interface Operation {
    summary?: string;
    description?: string;
    deprecated?: boolean;
    requestBody?: { content?: Record<string, { schema?: Schema; example?: { args?: unknown[] } }> };
    'x-isomor'?: {
        name: string;
        path: string;
        transport: Transport;
        requires: Transport | null;
        signature: string;
        cached: unknown;
        hash: string;
    };
}

export interface Description {
    info?: { title?: string; version?: string };
    paths?: Record<string, Record<string, Operation>>;
    components?: { schemas?: Record<string, Schema> };
}

/** A function, as the console needs to know it. */
export interface Func {
    name: string;
    module: string;
    path: string;
    transport: Transport;
    requires: Transport | null;
    signature: string;
    cached: boolean;
    /** The signature that the form is made for. */
    hash: string;
    doc: string;
    params: Schema[];
    required: number;
    rest: Schema | undefined;
    /** Arguments to begin from. */
    example: unknown[] | undefined;
    /** Equal for two functions that are called alike. */
    print: string;
}

/** What a field is made from. */
export interface Spec {
    name: string;
    schema: Schema;
    required: boolean;
    reader: Reader;
    /** Makes a field for a part. */
    make: (spec: Spec) => FormField;
    /** The references that lead to this field: a type that holds itself is not unfolded for ever. */
    above: string[];
    /** The property that tells a union's parts apart; it has no field of its own. */
    tag?: string;
}

export interface Reader {
    read(schema: Schema): Shape;
    words(shape: Shape): string;
}

/** A field of the form, or a group of them. */
export interface FormField {
    element: HTMLElement;
    name: string;
    readonly isRequired: boolean;
    /** The value to send, undefined where it is left out. Throws `Unreadable`. */
    get(): unknown;
    /** Show a value; false where this field cannot. */
    fill(value: unknown): boolean;
    /** The field that a path of a fault means: this one, or one within. */
    locate(path: string): FormField;
    fault(text: string | undefined): void;
    rename(name: string): void;
    clear(): void;
    focus(): void;
}

export interface ArgFault {
    param: string | null;
    path: string;
    expected: string;
    got: string;
    message: string;
}

/** A call as the page can make it, keep it in its address, and repeat it. */
export interface Draft {
    name: string;
    over?: Transport | undefined;
    /** JSON. */
    args?: string | undefined;
    raw?: boolean | undefined;
}

export interface Outcome {
    ms: number;
    status: number | undefined;
    result?: unknown;
    error?: any;
}

/** One line of the history. */
export interface Past extends Draft {
    over: Transport;
    args: string;
    at: string;
    ms: number;
    /** The code of the error; none: it went well. */
    code: string | undefined;
}
