import { Calls } from './calls.js';
import { IsomorError } from './error.js';
import { settings } from './settings.js';
import { callUser, emit } from './state.js';
import { backoff, deliver, join, stop, subscriptions } from './subscriptions.js';

/** @import * as T from './types.js' */

const PING = '{"action":"PING"}';
const IDLE = 4000;
// After other codes, the same would happen again.
const RETRY = [1001, 1005, 1006, 1012, 1013, 1014, IDLE, 4008];

/** The connection to one address: one socket after another, and the calls that go over them. */
export class Connection {
    /** @type {boolean | undefined} what the server has said of cookies */
    withCookie;
    #calls = new Calls();
    /** @type {import('../index.js').WebSocketLike | undefined} */
    #socket;
    #ready = false; // to send calls
    #openedAt = 0;
    #openedBefore = false;
    /** @type {Error | undefined} why the server let us not in */
    #refusal;
    /** @type {T.Timer} */
    #retry;
    #attempt = 0;
    /** @type {T.Timer} */
    #beating;
    #beat = 25_000;
    #heardAt = 0;
    #pinged = false;

    constructor(url = '') {
        this.url = url;
    }

    get isOpen() {
        return this.#socket?.readyState === 1;
    }

    get #cookies() {
        return this.withCookie ?? settings.withCookie;
    }

    get #wanted() {
        return subscriptions.size > 0 || this.#calls.some(false);
    }

    /** Gives what gives the call up. @param {object} message @param {T.Settle} settle */
    call(message, settle) {
        const id = this.#calls.add(message, settle);
        this.open();
        this.#send();
        return () => {
            if (this.#calls.take(id)?.sent && this.isOpen) {
                this.#socket?.send(`{"action":"CANCEL","id":${id}}`);
            }
            this.someoneLeft();
        };
    }

    /** Open it. One that was refused, or is to wait, only `now`. */
    open(now = false) {
        if (this.#refusal && !now) {
            this.#calls.lose(this.#refusal, true);
        } else if (!this.#socket && (now || !this.#retry)) {
            this.#connect();
        }
    }

    someoneLeft() {
        if (!this.#wanted) {
            this.#stopRetry();
        }
    }

    close() {
        const socket = this.#socket;
        this.#refusal = undefined;
        if (socket || this.#retry) {
            this.#stopRetry();
            this.#lost(1000, 'closed by the page');
            socket?.close(1000);
        }
    }

    #connect = () => {
        this.#stopRetry();
        this.#refusal = undefined;
        let socket;
        try {
            socket = new (settings.WebSocket ?? WebSocket)(this.url);
        } catch (error) {
            this.#lost(0, `${error} (see setWebSocket)`);
            return;
        }
        this.#socket = socket;
        this.#heardAt = performance.now();
        this.#pinged = true; // it has to open in time
        this.#beating = setTimeout(this.#keepAlive, 25_000);
        const ours = () => this.#socket === socket;
        socket.onopen = () => ours() && this.#opened();
        socket.onmessage = (/** @type {MessageEvent} */ { data }) => ours() && callUser(this.#receive, data);
        socket.onclose = (/** @type {CloseEvent} */ { code, reason }) => ours() && this.#lost(code, reason);
        // In some Nodes, no close follows.
        socket.onerror = () => ours() && !this.#openedAt && this.#lost();
    };

    #opened() {
        this.#openedAt = this.#heardAt = performance.now();
        this.#pinged = false;
        clearTimeout(this.#beating);
        this.#beating = setTimeout(this.#keepAlive, this.#beat);
        // A server that wants cookies says so first: hear it before calls are sent.
        if (this.#cookies === undefined && globalThis.document?.cookie) {
            this.#socket?.send(PING);
        } else {
            this.#ready = true;
        }
        emit({ type: 'open', url: this.url, again: this.#openedBefore });
        this.#openedBefore = true;
        if (this.isOpen) {
            subscriptions.forEach((subscription) => join(subscription));
        }
        this.#send();
    }

    #send() {
        if (this.#ready && this.isOpen) {
            this.#calls.send(this.#socket, this.#cookies ? globalThis.document?.cookie : '');
        }
    }

    #receive = (text = '') => {
        this.#heardAt = performance.now();
        this.#pinged = false;
        const message = JSON.parse(text);
        const { action, payload, topic } = message;
        if (action === 'API_RES' || action === 'API_ERR') {
            this.#calls.answer(message);
        } else if (action === 'PUSH') {
            deliver(message);
        } else if (action === 'GAP') {
            emit({ type: 'gap', url: this.url, topic });
        } else if (action === 'CONF') {
            this.withCookie = payload.withCookie;
        }
        this.#ready = true;
        this.#send();
    };

    #lost(code = 1006, reason = '') {
        const now = performance.now();
        const age = this.#openedAt && now - this.#openedAt;
        this.#release();
        if (age > 5000) {
            this.#attempt = 0;
        }
        if (code === IDLE) {
            // The server found no call: what was sent meanwhile, it has not read.
            this.#calls.takeBack();
            // It is less patient than we thought.
            this.#beat = Math.max(400, Math.min(this.#beat, 0.4 * (now - this.#heardAt)));
        }
        const message = `There is no connection: ${reason || code}`;
        const error = new IsomorError('CONNECTION_LOST', message, { details: { code, reason } });
        this.#refusal = code === 1008 ? error : undefined;
        const again = RETRY.includes(code) && this.#wanted;
        this.#calls.lose(error, !again);
        const delay = again && !(code === IDLE && age > 400) ? backoff(this.#attempt++) : 0;
        if (delay) {
            this.#retry = setTimeout(this.#connect, delay);
            globalThis.addEventListener?.('online', this.#connect);
        } else if (again) {
            this.#connect();
        }
        emit({ type: 'closed', url: this.url, code, reason });
        if (this.#retry) {
            emit({ type: 'reconnecting', url: this.url, delay, attempt: this.#attempt });
        }
    }

    #keepAlive = () => {
        this.#beating = setTimeout(this.#keepAlive, this.#beat);
        // Timers come a little early.
        if (performance.now() - this.#heardAt < this.#beat - 20) {
            return;
        }
        // A server reads no PING while it runs as many calls as it may.
        const busy = this.#calls.some();
        const socket = this.#socket;
        if (this.#pinged && !busy) {
            this.#lost(1006, 'no answer');
            socket?.close();
        } else if (subscriptions.size || busy) {
            this.#pinged = true;
            socket?.send(PING);
        }
    };

    #stopRetry() {
        clearTimeout(this.#retry);
        this.#retry = undefined;
        globalThis.removeEventListener?.('online', this.#connect);
    }

    #release() {
        this.#socket = undefined;
        this.#ready = false;
        this.#openedAt = 0;
        clearTimeout(this.#beating);
        subscriptions.forEach(stop);
    }
}
