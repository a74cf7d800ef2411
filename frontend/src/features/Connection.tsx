import { IsomorError, openWS } from 'isomor';
import dropConnection from 'api/drop_connection';
import { Button } from '../components/Button';
import { Card } from '../components/Card';
import { ErrorNote } from '../components/ErrorNote';
import { connection } from '../lib/connection';
import { useCall } from '../lib/useCall';
import { ConnectionState } from './ConnectionState';

/** What `onState` tells, and a function that closes the connection: the client comes back by itself. */
export function Connection() {
    const { phase, container, closed, reconnects, gaps, outdated, error } = connection.use();
    const drop = useCall(dropConnection);
    // Nobody is left to answer that call. All others are real errors.
    const dropped = drop.error instanceof IsomorError && drop.error.code === 'CONNECTION_LOST';

    return (
        <Card
            title="Connection"
            lead="Lost, it comes back by itself and joins again."
            calls={[
                ['get_container', 'WebSocket'],
                ['drop_connection', 'WebSocket'],
            ]}
            testId="connection"
        >
            <dl className="facts wide">
                <dt>State</dt>
                <dd data-testid="connection-state">
                    <ConnectionState />
                </dd>
                <dt>Container</dt>
                <dd data-testid="connection-container">{container ?? '—'}</dd>
                <dt>Reconnects</dt>
                <dd data-testid="connection-reconnects">{reconnects}</dd>
                <dt>Gaps</dt>
                <dd data-testid="connection-gaps">{gaps}</dd>
                <dt>Last closed</dt>
                <dd data-testid="connection-closed">{closed ? `${closed.code} ${closed.reason}` : 'never'}</dd>
            </dl>
            <div className="row">
                <Button onClick={() => drop.run()} off={phase !== 'open'}>
                    Drop it
                </Button>
                <Button onClick={() => openWS()} off={phase === 'open'}>
                    Connect now
                </Button>
            </div>
            {outdated && (
                <p className="note" role="status">
                    The server’s functions have changed.{' '}
                    <Button onClick={() => location.reload()}>Load the page anew</Button>
                </p>
            )}
            <ErrorNote error={dropped ? error : (drop.error ?? error)} />
        </Card>
    );
}
