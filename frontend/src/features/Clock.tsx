import { useEffect, useState } from 'react';
import { subscribe, unsubscribe } from 'isomor';
import pushTime from 'api/push_time';
import { Card } from '../components/Card';
import { ErrorNote } from '../components/ErrorNote';
import { connection } from '../lib/connection';

/** Pushes to this page alone: `join` asks for them now, and after every reconnect. */
export function Clock() {
    const [time, setTime] = useState<string>();
    const [error, setError] = useState<unknown>();
    const { phase } = connection.use();

    useEffect(() => {
        const key = subscribe(
            (payload, topic) => {
                if (topic === undefined) {
                    setTime(payload);
                }
            },
            {
                join: async () => {
                    try {
                        await pushTime();
                        setError(undefined);
                    } catch (error) {
                        setError(error);
                        throw error; // it is tried again, where that may help
                    }
                },
            },
        );
        return () => unsubscribe(key);
    }, []);

    return (
        <Card
            title="Server’s time"
            lead="Asked for once. The server pushes its clock every second."
            calls={[
                ['push_time', 'WebSocket'],
                ['to this page', 'Push'],
            ]}
            testId="clock"
            className="stat"
        >
            <p className={`figure ${phase === 'open' ? '' : 'stale'}`} data-testid="clock-value">
                {time ?? '—'}
            </p>
            <ErrorNote error={error} />
        </Card>
    );
}
