import { IsomorError } from './error.js';

/** @import * as T from './types.js' */

let lastId = 0;

/** The calls of a connection that wait to be sent or answered. They outlive its sockets. */
export class Calls {
    /** @type {Map<number, T.Call>} */
    #calls = new Map();

    /** Whether any was sent, or was not. */
    some(sent = true) {
        return [...this.#calls.values()].some((call) => call.sent === sent);
    }

    /** @param {object} message @param {T.Settle} settle */
    add(message, settle) {
        const id = ++lastId;
        const text = JSON.stringify({ action: 'API', id, ...message }).slice(0, -1);
        this.#calls.set(id, { text, settle, sent: false });
        return id;
    }

    /** @param {any} socket */
    send(socket, cookie = '') {
        for (const call of this.#calls.values()) {
            if (!call.sent) {
                call.sent = true;
                socket.send(call.text + (cookie ? `,"cookie":${JSON.stringify(cookie)}}` : '}'));
            }
        }
    }

    /** The server has read none of them: they wait again. */
    takeBack() {
        this.#calls.forEach((call) => (call.sent = false));
    }

    /** Forget one. */
    take(id = 0) {
        const call = this.#calls.get(id);
        this.#calls.delete(id);
        return call;
    }

    /** @param {any} message API_RES or API_ERR */
    answer(message) {
        const { action, id, code, payload } = message;
        this.take(id)?.settle(action === 'API_ERR' && new IsomorError(code, payload, message), payload);
    }

    /** Reject what was sent, or all. @param {Error} error */
    lose(error, all = false) {
        this.#calls.forEach((call, id) => {
            if (all || call.sent) {
                this.take(id);
                call.settle(error);
            }
        });
    }
}
