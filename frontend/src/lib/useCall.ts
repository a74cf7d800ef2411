import { useCallback, useRef, useState } from 'react';

interface State<R> {
    busy: boolean;
    result?: R;
    error?: unknown;
}

/**
 * A call and what has become of it: `run` never rejects, and what went wrong is `error`, for the page to show.
 * Of calls that overlap, the last one counts.
 */
export function useCall<A extends unknown[], R>(fn: (...args: A) => Promise<R>) {
    const [state, setState] = useState<State<R>>({ busy: false });
    const latest = useRef({ fn, turn: 0 });
    latest.current.fn = fn;

    const run = useCallback(async (...args: A): Promise<boolean> => {
        const turn = ++latest.current.turn;
        const settle = (settled: State<R>) => turn === latest.current.turn && setState(settled);
        setState((before) => ({ ...before, busy: true }));
        try {
            settle({ busy: false, result: await latest.current.fn(...args) });
            return true;
        } catch (error) {
            settle({ busy: false, error });
            return false;
        }
    }, []);

    return { ...state, run };
}
