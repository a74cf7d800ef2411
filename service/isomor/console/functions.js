import { Schemas } from './schema.js';

/** @import * as T from './types.js' */

const ADDRESS = '/api-docs/openapi.json';

/** What the server says of its functions, and whether that has changed. */
export class Functions {
    /** @type {T.Func[]} */
    all = [];
    schemas = new Schemas({});
    title = '';
    #text = '';
    /** @type {Promise<boolean> | undefined} */
    #loading;

    /** Ask the server. @returns {Promise<boolean>} whether anything is other than before */
    load() {
        this.#loading ??= this.#load().finally(() => (this.#loading = undefined));
        return this.#loading;
    }

    /** @param {string} name */
    find(name) {
        return this.all.find((one) => one.name === name);
    }

    async #load() {
        // The browser asks by ETag, and has what it had before where nothing has changed.
        const answer = await fetch(ADDRESS, { cache: 'no-cache' });
        if (!answer.ok) {
            throw new Error(`${ADDRESS} was answered by ${answer.status}.`);
        }
        const text = await answer.text();
        if (text === this.#text) {
            return false;
        }
        /** @type {T.Description} */
        const document = JSON.parse(text);
        this.#text = text;
        this.title = document.info?.title ?? '';
        this.schemas = new Schemas(document);
        this.all = this.#read(document).sort((one, other) => one.name.localeCompare(other.name));
        return true;
    }

    /** @param {T.Description} document */
    #read(document) {
        /** @type {Map<string, T.Func>} */
        const found = new Map();
        for (const path of Object.values(document.paths ?? {})) {
            // A function that is cached has a GET beside its POST, whose body says more.
            for (const operation of [path.post, path.get]) {
                const known = operation?.['x-isomor'];
                if (operation && known && !found.has(known.name)) {
                    found.set(known.name, this.#function(operation, known));
                }
            }
        }
        return [...found.values()];
    }

    /**
     * @param {T.Operation} operation
     * @param {NonNullable<T.Operation['x-isomor']>} known
     * @returns {T.Func}
     */
    #function(operation, known) {
        const { schema: body = {}, example } = operation.requestBody?.content?.['application/json'] ?? {};
        const args = this.schemas.read(this.schemas.read(body).schema.properties?.args ?? {}).schema;
        const params = args.prefixItems ?? [];
        const rest = typeof args.items === 'object' ? args.items : undefined;
        const doc = [operation.summary, operation.description].filter(Boolean).join('\n\n');
        return {
            name: known.name,
            module: known.path.split('/').at(-2) ?? 'api',
            path: known.path,
            transport: known.transport,
            requires: known.requires,
            signature: known.signature,
            cached: Boolean(known.cached),
            hash: known.hash,
            doc,
            params,
            required: args.minItems ?? 0,
            rest,
            example: example?.args,
            print: JSON.stringify([known, doc, this.#whole(args)]),
        };
    }

    /** A schema with all that it refers to, for a comparison. @param {T.Schema} schema */
    #whole(schema) {
        const found = new Set();
        const visit = (/** @type {unknown} */ part) => {
            for (const [, ref] of JSON.stringify(part).matchAll(/"\$ref":"([^"]*)"/g)) {
                if (!found.has(ref)) {
                    found.add(ref);
                    visit(this.schemas.read({ $ref: ref ?? '' }).schema);
                }
            }
        };
        visit(schema);
        return [schema, ...[...found].sort().map((ref) => this.schemas.read({ $ref: ref }).schema)];
    }
}
