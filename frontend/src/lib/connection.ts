import { onState } from 'isomor';
import getContainer from 'api/get_container';
import { createStore } from './store';

export interface Connection {
    phase: 'connecting' | 'open' | 'waiting' | 'closed';
    /** When the next attempt comes, by `Date.now()`. */
    retryAt?: number;
    /** Why it was closed the last time. */
    closed?: { code: number; reason: string };
    /** The container that it has landed on. */
    container?: string;
    /** How often it has opened, how often of these after it was lost, and how often pushes were missed meanwhile. */
    opened: number;
    reconnects: number;
    gaps: number;
    /** The server has changed, such that this page's calls do not fit any more. */
    outdated: boolean;
    /** What could not be had: a subscription, or the container's name. */
    error?: unknown;
}

/** The page's WebSocket, as `onState` tells of it. */
export const connection = createStore<Connection>({
    phase: 'connecting',
    opened: 0,
    reconnects: 0,
    gaps: 0,
    outdated: false,
});

const change = (more: Partial<Connection>) => connection.set({ ...connection.get(), ...more });

const stop = onState((event) => {
    const now = connection.get();
    switch (event.type) {
        case 'open':
            change({ phase: 'open', opened: now.opened + 1, error: undefined });
            change({ reconnects: now.reconnects + Number(event.again) });
            void askContainer();
            break;
        case 'closed':
            change({ phase: 'closed', closed: { code: event.code, reason: event.reason } });
            break;
        case 'reconnecting':
            change({ phase: 'waiting', retryAt: Date.now() + event.delay });
            break;
        case 'gap':
            change({ gaps: now.gaps + 1 });
            break;
        case 'joinFailed':
            change({ error: event.error });
            break;
        case 'outdated':
            change({ outdated: true });
    }
});
import.meta.hot?.dispose(stop);

/** It may be another one after each reconnect. */
async function askContainer() {
    try {
        change({ container: await getContainer() });
    } catch (error) {
        change({ error });
    }
}
