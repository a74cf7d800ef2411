/**
 * The browser runtime of isomor for Python. It runs in browsers, in workers, and in Node 20 and later.
 *
 * @example
 * import { subscribe, unsubscribe } from 'isomor';
 * import watchColor from 'api/watch_color';
 *
 * const key = subscribe((color) => paint(color), { topic: 'color', join: watchColor });
 * // … later
 * unsubscribe(key);
 */

// ---- Calls ---------------------------------------------------------------------------------------------------------

/** What every call rejects with, unless the arguments could not be made into JSON. */
export declare class IsomorError extends Error {
    constructor(code: string, message: string, more?: IsomorErrorFields);
    /**
     * What went wrong: tell errors apart by this. It is the server's code, one that a function gave to `ApiError`, or
     * one of the client's own: `CONNECTION_LOST`, `TIMEOUT`, `CANCELLED`, `BAD_ANSWER`, `NOT_CONFIGURED`.
     */
    readonly code: string;
    /** The HTTP status that goes with the code, over WebSocket too; 0 where no answer came. */
    readonly status: number;
    /**
     * More about it: whatever the function gave to `ApiError`; for `INVALID_ARGS` a list of `ArgFault`; for
     * `CONNECTION_LOST` over WebSocket the close code and its reason, `{ code, reason }`.
     */
    readonly details: any;
    /** The id under which the server has logged it. */
    readonly errorId: string | undefined;
}

export interface IsomorErrorFields {
    status?: number;
    details?: unknown;
    errorId?: string;
    cause?: unknown;
}

/** One entry of the `details` of `INVALID_ARGS`. */
export interface ArgFault {
    param: string | null;
    path: string;
    expected: string;
    got: string;
    message: string;
}

export interface CallOptions {
    /** Ends the call: it rejects with `CANCELLED` (with `TIMEOUT`, if the signal is of `AbortSignal.timeout`). */
    signal?: AbortSignal;
    /**
     * Milliseconds until the call rejects with `TIMEOUT`, the time it waits for a connection included; 0: never.
     * By default 35 s, a little more than the server's own `call_timeout`.
     */
    timeout?: number;
}

/**
 * The same function, with options for each of its calls.
 *
 * @example
 * const color = await withOptions(getColor, { signal, timeout: 2000 })();
 */
export declare function withOptions<F extends (...args: any[]) => Promise<any>>(fn: F, options: CallOptions): F;

// ---- Pushes --------------------------------------------------------------------------------------------------------

/** Called with each push, and with its topic where it has one. */
export type SubscribeFn = (payload: any, topic?: string) => unknown;

export interface SubscribeOptions {
    /** Only pushes to this topic. Without it: all pushes. */
    topic?: string;
    /**
     * The function that makes the server push: it is called now, and again after every reconnect. Where it could not
     * be called, `onState` tells (`joinFailed`); a fault that passes is tried again.
     */
    join?: () => unknown;
}

/**
 * Have `fn` called with pushes. While there is a subscription, the connection is kept, and opened anew when it is lost.
 *
 * @returns a key for `unsubscribe`.
 */
export declare function subscribe(fn: SubscribeFn, options?: SubscribeOptions): number;

/** End a subscription. */
export declare function unsubscribe(key: number): void;

// ---- The connection ------------------------------------------------------------------------------------------------

/** What happens to the connection. New types may be added. */
export type StateEvent =
    /** It is open; `again`: after it was lost, so that pushes may have been missed. */
    | { type: 'open'; url: string; again: boolean }
    /** It is closed, by a close code (docs/errors.md); 1006: the network failed; 0: there is no WebSocket to use. */
    | { type: 'closed'; url: string; code: number; reason: string }
    /** The next attempt comes in `delay` milliseconds. */
    | { type: 'reconnecting'; url: string; delay: number; attempt: number }
    /** Pushes of this topic were lost (no topic: pushes to everyone, or to this connection): fetch what they told. */
    | { type: 'gap'; url: string; topic: string | undefined }
    /** The `join` of a subscription failed. */
    | { type: 'joinFailed'; topic: string | undefined; error: any }
    /** The server has changed such that this page's calls do not fit any more: offer to reload it. */
    | { type: 'outdated'; module: string; name: string };

/**
 * Hear of the connection's state.
 *
 * @returns a function that ends it.
 */
export declare function onState(listener: (event: StateEvent) => unknown): () => void;

/** Open the connection now, and also after the server refused it (close code 1008). */
export declare function openWS(baseUrl?: string): void;

/**
 * Close every connection. Calls under way reject with `CONNECTION_LOST`. Subscriptions stay, and come to life again
 * with the next call over WebSocket, `subscribe` or `openWS`.
 */
export declare function close(): void;

// ---- Settings ------------------------------------------------------------------------------------------------------

export interface WsConfig {
    /** Send `document.cookie` with every call over WebSocket. */
    withCookie: boolean;
}

/** Overrules what the server has said so far; what it says later overrules this. */
export declare function setWsConfig(config: WsConfig): void;

/**
 * Where WebSocket calls go, such as `wss://api.example.com` (http and https are understood); it overrules what the
 * generated client has, which overrules the page's own origin. A connection elsewhere is closed.
 */
export declare function setWsBaseUrl(baseUrl?: string): void;

/** Where HTTP calls go, such as `https://api.example.com`; as above. */
export declare function setHttpBaseUrl(baseUrl?: string): void;

/** What is used in place of `fetch`. */
export type HttpClient = (url: string, options: HttpOptions) => Promise<{ status: number; json(): Promise<any> }>;

export interface HttpOptions {
    method: 'GET' | 'POST';
    headers: Record<string, string>;
    body?: string;
    credentials: 'include';
    signal: AbortSignal;
}

export declare function setHttpClient(client?: HttpClient): void;

/** What is used in place of `WebSocket`, such as that of the npm package `ws` in Node 20. */
export interface WebSocketLike {
    readonly readyState: number;
    onopen: any;
    onmessage: any;
    onerror: any;
    onclose: any;
    send(text: string): void;
    close(code?: number): void;
}

export declare function setWebSocket(WebSocketClass?: new (url: string) => WebSocketLike): void;

// ---- For generated code (README.md) --------------------------------------------------------------------------------

export interface FunctionSpec {
    transport: 'http' | 'ws';
    /** `api.module_name`. */
    module: string;
    name: string;
    /** The hash of the function's signature; sent with each call. */
    hash?: string;
    /** The function is `@cached`: it is called by GET. */
    cached?: boolean;
    /** How many parameters have no default: that many are always sent, as null where undefined. */
    minArgs?: number;
    /** How many parameters there are: what is beyond is left out, as in any JavaScript function. */
    maxArgs?: number;
    /** Makes the arguments (a fresh array, trimmed) into what is sent. */
    encode?: (args: any[]) => any[];
    /** Makes what came into the result. */
    decode?: (result: any) => any;
    /** `client.ws_base_url` or `client.http_base_url`, by the transport. */
    baseUrl?: string;
    /** Milliseconds, in place of 35,000; 0: none. */
    timeout?: number;
}

export declare function makeFunction<F extends (...args: any[]) => Promise<any>>(spec: FunctionSpec): F;

/** As in isomor 3: call a function by its name. */
export declare function isomorRemote(
    protocol: string,
    baseUrl: string,
    moduleName: string,
    funcName: string,
    args: unknown[],
): Promise<any>;
