import { useEffect, useState } from 'react';
import { connection } from '../lib/connection';
import { ConnectionState } from './ConnectionState';

/** A connection that is back at once is not worth a word. */
const PATIENCE_MS = 600;

/** While the server is away, the page says so, wherever it is scrolled to; and to screen readers when it is back. */
export function AwayNote() {
    const { phase, opened, reconnects } = connection.use();
    const lost = phase === 'waiting' || phase === 'closed';
    const [lasting, setLasting] = useState(false);

    useEffect(() => {
        const timer = setTimeout(() => setLasting(lost), lost ? PATIENCE_MS : 0);
        return () => clearTimeout(timer);
    }, [lost]);

    return (
        <div role="status" className="away-frame">
            {lost && lasting ? (
                <p className="away" data-testid="away">
                    <strong>{opened ? 'The server is away.' : 'The server cannot be reached.'}</strong>
                    {phase === 'closed' ? (
                        <span>The connection is closed.</span>
                    ) : (
                        <>
                            <span>This page comes back by itself.</span>
                            <ConnectionState />
                        </>
                    )}
                </p>
            ) : (
                reconnects > 0 && <p className="sr">The connection is open again, number {reconnects + 1}.</p>
            )}
        </div>
    );
}
