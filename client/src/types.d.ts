// Types that only the modules of this folder use.
import type { CallOptions, FunctionSpec, HttpClient, SubscribeFn, WebSocketLike } from '../index.js';

export type Timer = ReturnType<typeof setTimeout> | undefined;

export interface Settings {
    wsBaseUrl?: string;
    /** That of the first generated function, for who subscribes before any call. */
    generatedWsBaseUrl?: string;
    httpBaseUrl?: string;
    httpClient?: HttpClient;
    WebSocket?: new (url: string) => WebSocketLike;
    withCookie?: boolean;
}

/** Ends a call: an error, or else a value. */
export type Settle = (error: unknown, value?: unknown) => void;

/** A promise that `start` settles, unless the options do; then what `start` returned is called. */
export type Limit = (options: CallOptions, start: (settle: Settle) => () => void) => Promise<any>;

/** Sends a call by one of the transports, and returns what gives it up. */
export type Send = (spec: FunctionSpec, path: string, args: unknown[], settle: Settle) => () => void;

/** What a generated function does, and what `withOptions` finds behind it. */
export type Invoke = (args: any[], options: CallOptions) => Promise<any>;
export type FunctionOf = (call: Invoke) => any;
export type CallSpec = (spec: FunctionSpec, ...call: Parameters<Invoke>) => Promise<any>;

/** A call that has no answer yet. */
export interface Call {
    /** Its message: JSON, without the closing brace. */
    text: string;
    settle: Settle;
    sent: boolean;
}

export interface Subscription {
    fn: SubscribeFn;
    topic?: string;
    join?: () => unknown;
    /** The latest call of `join`. */
    turn?: object;
    /** Until `join` is tried again. */
    timer?: Timer;
}
