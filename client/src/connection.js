import { Calls } from './calls.js';
import { IsomorError } from './error.js';
import { settings } from './settings.js';
import { emit } from './state.js';
import { backoff, deliver, join, stop, subscriptions } from './subscriptions.js';

/** @import { WebSocketLike } from '../index.js' */
/** @typedef {ReturnType<typeof setTimeout> | undefined} Timer */

const PING = '{"action":"PING"}';
const REFUSED = 1008;
const IDLE = 4000;
// The server, a proxy or the network went away. After other codes, the same would happen again.
const RETRY = [1001, 1005, 1006, 1012, 1013, 1014, IDLE, 4008];

/** The connection to one address: one socket after another, and the calls that go over them. */
export class Connection {
    /** @type {boolean | undefined} whether the server wants cookies, if it has said so */
    withCookie;
    #calls = new Calls();
    /** @type {WebSocketLike | undefined} */
    #socket;
    #ready = false; // to send calls
    #openedAt = 0;
    #openings = 0;
    /** @type {IsomorError | undefined} why only the page may open it again */
    #refusal;
    /** @type {Timer} */
    #retry;
    #attempt = 0;
    /** @type {Timer} */
    #beating;
    #beat = 25_000;
    #heardAt = 0;
    #pinged = false;

    /** @param {string} url */
    constructor(url) {
        this.url = url;
    }

    get isOpen() {
        return this.#socket?.readyState === 1;
    }

    get #wanted() {
        return subscriptions.size > 0 || this.#calls.any(false);
    }

    /**
     * @param {object} message
     * @param {import('./limit.js').Settle} settle
     * @returns what gives the call up.
     */
    call(message, settle) {
        const id = this.#calls.add(message, settle);
        this.open();
        this.#send();
        return () => {
            if (this.#calls.take(id)?.sent && this.isOpen) {
                this.#socket?.send(`{"action":"CANCEL","id":${id}}`);
            }
            this.update();
        };
    }

    /** Open it, unless it is under way. @param {boolean} [now] whatever has been */
    open(now) {
        if (now) {
            this.#refusal = undefined;
        }
        if (this.#refusal) {
            this.#calls.lose(this.#refusal, true);
        } else if (!this.#socket && (now || !this.#retry)) {
            this.#connect();
        }
    }

    /** A subscription or a call has gone: nobody may want it any more. */
    update() {
        if (!this.#wanted) {
            this.#stopRetry();
        }
    }

    close() {
        const socket = this.#socket;
        const alive = socket ?? this.#retry;
        this.#release();
        this.#stopRetry();
        this.#refusal = undefined;
        socket?.close(1000);
        this.#calls.lose(lost(1000, 'closed by the page'), true);
        if (alive) {
            emit({ type: 'closed', url: this.url, code: 1000, reason: '' });
        }
    }

    #connect = () => {
        this.#stopRetry();
        let socket;
        try {
            const Socket = settings.WebSocket ?? WebSocket;
            socket = new Socket(this.url);
        } catch (cause) {
            const message = `No WebSocket to ${this.url} can be made (see setWebSocket): ${cause}`;
            this.#calls.lose(new IsomorError('NOT_CONFIGURED', message, { cause }), true);
            return;
        }
        this.#socket = socket;
        // What a socket says that was given up is of no interest.
        const ours = () => this.#socket === socket;
        socket.onopen = () => ours() && this.#opened();
        socket.onmessage = (/** @type {MessageEvent} */ { data }) => ours() && this.#receive(data);
        socket.onclose = (/** @type {CloseEvent} */ { code, reason }) => ours() && this.#lost(code, reason);
        // Not everywhere does a socket that was never open tell of its close.
        socket.onerror = () => ours() && !this.#openedAt && this.#lost(1006, '');
    };

    #opened() {
        this.#openedAt = this.#heardAt = performance.now();
        this.#beating = setTimeout(this.#keepAlive, this.#beat);
        // The server may want cookies, and says so first: where there are some, hear it before calls are sent.
        if (this.withCookie ?? settings.withCookie ?? !globalThis.document?.cookie) {
            this.#ready = true;
        } else {
            this.#socket?.send(PING);
        }
        emit({ type: 'open', url: this.url, again: this.#openings++ > 0 });
        subscriptions.forEach((subscription) => join(subscription));
        this.#send();
    }

    #send() {
        if (this.#ready && this.isOpen && this.#socket) {
            this.#calls.sendAll(this.#socket, (this.withCookie ?? settings.withCookie) && globalThis.document?.cookie);
        }
    }

    /** @param {string} text */
    #receive(text) {
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
    }

    /**
     * @param {number} code
     * @param {string} reason
     */
    #lost(code, reason) {
        const now = performance.now();
        const age = this.#openedAt && now - this.#openedAt;
        this.#release();
        if (age > 5000) {
            this.#attempt = 0;
        }
        if (code === IDLE) {
            // A server that finds a connection idle has read no call: what was sent meanwhile is sent again.
            this.#calls.takeBack();
            // It waits for less than we thought.
            this.#beat = Math.max(400, Math.min(this.#beat, 0.4 * (now - this.#heardAt)));
        }
        const error = lost(code, reason);
        this.#refusal = code === REFUSED ? error : undefined;
        const again = RETRY.includes(code) && this.#wanted;
        this.#calls.lose(error, !again);
        let delay = 0;
        if (again && code === IDLE && age > 400) {
            this.#connect();
        } else if (again) {
            delay = backoff(this.#attempt++);
            this.#retry = setTimeout(this.#connect, delay);
            globalThis.addEventListener?.('online', this.#connect);
        }
        emit({ type: 'closed', url: this.url, code, reason });
        if (this.#retry) {
            emit({ type: 'reconnecting', url: this.url, delay, attempt: this.#attempt });
        }
    }

    #keepAlive = () => {
        const silent = performance.now() - this.#heardAt >= this.#beat;
        // While it runs as many calls as it may, the server reads no PING.
        const busy = this.#calls.any(true);
        this.#beating = setTimeout(this.#keepAlive, this.#beat);
        if (silent && this.#pinged && !busy) {
            const socket = this.#socket;
            this.#lost(1006, 'no answer to PING');
            socket?.close();
        } else if (silent && (subscriptions.size || busy)) {
            this.#pinged = true;
            this.#socket?.send(PING);
        }
    };

    #stopRetry() {
        clearTimeout(this.#retry);
        this.#retry = undefined;
        globalThis.removeEventListener?.('online', this.#connect);
    }

    #release() {
        this.#socket = undefined;
        this.#ready = this.#pinged = false;
        this.#openedAt = 0;
        clearTimeout(this.#beating);
        subscriptions.forEach(stop);
    }
}

/**
 * @param {number} code
 * @param {string} reason
 */
const lost = (code, reason) =>
    new IsomorError('CONNECTION_LOST', `The connection was lost: ${reason || code}`, { details: { code, reason } });
