import { useEffect } from 'react';
import getUptime from 'api/get_uptime';
import { Card } from '../components/Card';
import { ErrorNote } from '../components/ErrorNote';
import { useCall } from '../lib/useCall';

const EVERY_MS = 2000;

/** A call over HTTP, again and again: an error is shown, and gone with the next answer. */
export function Uptime() {
    const { result, error, run } = useCall(getUptime);

    useEffect(() => {
        void run();
        const timer = setInterval(run, EVERY_MS);
        return () => clearInterval(timer);
    }, [run]);

    return (
        <Card
            title="Uptime"
            lead="Of the container that answers: every two seconds, one HTTP call."
            calls={[['get_uptime', 'HTTP']]}
            testId="uptime"
            className="stat"
        >
            <p className="figure" data-testid="uptime-value">
                {result === undefined ? '—' : duration(result)}
            </p>
            <ErrorNote error={error} />
        </Card>
    );
}

function duration(seconds: number): string {
    const parts = [
        [Math.floor(seconds / 86400), 'd'],
        [Math.floor(seconds / 3600) % 24, 'h'],
        [Math.floor(seconds / 60) % 60, 'min'],
        [Math.floor(seconds) % 60, 's'],
    ] as const;
    const first = parts.findIndex(([count]) => count > 0);
    return parts
        .slice(first < 0 ? -1 : first)
        .slice(0, 3)
        .map(([count, unit]) => `${count}\u202f${unit}`)
        .join(' ');
}
