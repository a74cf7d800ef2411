import { answered } from './error.js';

/** @import { Settle } from './limit.js' */
/** @typedef {{ text: string, settle: Settle, sent: boolean }} Call `text` is JSON without the closing brace */

let lastId = 0;

/** The calls of a connection that wait to be sent or answered. They outlive its sockets. */
export class Calls {
    /** @type {Map<number, Call>} */
    #calls = new Map();

    /**
     * Whether there is one that was sent, or one that was not.
     *
     * @param {boolean} sent
     */
    any(sent) {
        return [...this.#calls.values()].some((call) => call.sent === sent);
    }

    /**
     * @param {object} message
     * @param {Settle} settle
     */
    add(message, settle) {
        const id = ++lastId;
        const text = JSON.stringify({ action: 'API', id, ...message }).slice(0, -1);
        this.#calls.set(id, { text, settle, sent: false });
        return id;
    }

    /**
     * @param {{ send(text: string): void }} socket
     * @param {string | false | undefined} cookie
     */
    sendAll(socket, cookie) {
        for (const call of this.#calls.values()) {
            if (!call.sent) {
                call.sent = true;
                socket.send(call.text + (cookie ? `,"cookie":${JSON.stringify(cookie)}}` : '}'));
            }
        }
    }

    /**
     * Forget one.
     *
     * @param {number} id
     */
    take(id) {
        const call = this.#calls.get(id);
        this.#calls.delete(id);
        return call;
    }

    /** @param {any} message API_RES or API_ERR */
    answer({ action, id, payload, ...more }) {
        this.take(id)?.settle(action === 'API_ERR' && answered(payload, more), payload);
    }

    /**
     * Reject what was sent, or all.
     *
     * @param {Error} error
     * @param {boolean} [all]
     */
    lose(error, all) {
        for (const [id, call] of this.#calls) {
            if (all || call.sent) {
                this.take(id);
                call.settle(error);
            }
        }
    }

    /** The server has read none of them: they wait again. */
    takeBack() {
        for (const call of this.#calls.values()) {
            call.sent = false;
        }
    }
}
