import { connection, type Connection } from '../lib/connection';
import { useSecondsUntil } from '../lib/useSeconds';

/** The connection's state in a word or two. It counts down for the eye alone. */
export function ConnectionState() {
    const { phase, retryAt } = connection.use();
    const seconds = useSecondsUntil(phase === 'waiting' ? retryAt : undefined);
    return (
        <span className={`state ${phase}`}>
            <span className="dot" aria-hidden="true" />
            {WORDS[phase]}
            {phase === 'waiting' && <span aria-hidden="true"> {seconds ? `in ${seconds} s` : 'now'}</span>}
        </span>
    );
}

const WORDS: Record<Connection['phase'], string> = {
    connecting: 'Connecting',
    open: 'Open',
    waiting: 'Reconnecting',
    closed: 'Closed',
};
