import { setHttpClient, setWebSocket } from 'isomor';
import { createStore } from './store';

export interface Row {
    /** A function; for a push, its topic. */
    name: string;
    via: 'HTTP' | 'WebSocket' | 'Push';
    count: number;
    /** How long the last call took. */
    ms?: number;
    /** `ok`, or why the last call failed. */
    outcome: string;
}

/** What passes between this page and the server: one row for each function, and each topic. */
export const traffic = createStore<readonly Row[]>([]);

function note(name: string, via: Row['via'], outcome: string, since?: number) {
    const rows = traffic.get();
    const before = rows.find((row) => row.name === name && row.via === via);
    const row: Row = { name, via, outcome, count: (before?.count ?? 0) + 1 };
    if (since !== undefined) {
        row.ms = performance.now() - since;
    }
    traffic.set(before ? rows.map((one) => (one === before ? row : one)) : [...rows, row]);
}

const nameIn = (path: string) => path.replace(/\?.*/, '').split('/').at(-1)!;

// isomor takes anything in place of `fetch` and `WebSocket`: here, the same with an ear on it.

setHttpClient(async (url, options) => {
    const since = performance.now();
    try {
        const response = await fetch(url, options);
        note(nameIn(url), 'HTTP', response.ok ? 'ok' : String(response.status), since);
        return response;
    } catch (error) {
        note(nameIn(url), 'HTTP', options.signal.aborted ? 'given up' : 'no answer', since);
        throw error;
    }
});

setWebSocket(
    class extends WebSocket {
        #calls = new Map<number, { name: string; since: number }>();

        constructor(url: string) {
            super(url);
            this.addEventListener('message', ({ data }) => this.#heard(JSON.parse(data)));
            this.addEventListener('close', () => {
                this.#calls.forEach(({ name, since }) => note(name, 'WebSocket', 'lost', since));
            });
        }

        override send(text: string) {
            super.send(text);
            const { action, id, urlPath } = JSON.parse(text);
            if (action === 'API') {
                this.#calls.set(id, { name: nameIn(urlPath), since: performance.now() });
            }
        }

        #heard({ action, id, topic, status }: { action: string; id: number; topic?: string; status?: number }) {
            if (action === 'PUSH') {
                note(topic ?? 'to this page', 'Push', 'ok');
                return;
            }
            const call = this.#calls.get(id);
            if (call && (action === 'API_RES' || action === 'API_ERR')) {
                this.#calls.delete(id);
                note(call.name, 'WebSocket', action === 'API_RES' ? 'ok' : String(status), call.since);
            }
        }
    },
);
