import { useEffect, useState } from 'react';

/** How many seconds there are until `at` (by `Date.now()`), counting down. */
export function useSecondsUntil(at: number | undefined): number {
    const [now, setNow] = useState(Date.now);
    useEffect(() => {
        setNow(Date.now());
        const timer = setInterval(() => setNow(Date.now()), 250);
        return () => clearInterval(timer);
    }, [at]);
    return at === undefined ? 0 : Math.max(0, Math.ceil((at - now) / 1000));
}
