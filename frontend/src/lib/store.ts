import { useSyncExternalStore } from 'react';

/** A value outside of React, and a hook that follows it. */
export function createStore<T>(value: T) {
    const listeners = new Set<() => void>();
    const subscribe = (listener: () => void) => {
        listeners.add(listener);
        return () => void listeners.delete(listener);
    };
    const get = () => value;
    return {
        get,
        set(next: T) {
            value = next;
            listeners.forEach((listener) => listener());
        },
        use: () => useSyncExternalStore(subscribe, get),
    };
}
