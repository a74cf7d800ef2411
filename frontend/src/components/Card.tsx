import { useId, type ReactNode } from 'react';

export type Via = 'HTTP' | 'WebSocket' | 'Push';

interface Props {
    title: string;
    /** One sentence: what is to be seen here. */
    lead?: ReactNode;
    /** The functions that it calls, and how. */
    calls: readonly (readonly [name: string, via: Via])[];
    testId: string;
    className?: string;
    children: ReactNode;
}

/** A section with a heading, and at its foot the functions that it calls. */
export function Card({ title, lead, calls, testId, className = '', children }: Props) {
    const id = useId();
    return (
        <section className={`card ${className}`} aria-labelledby={id} data-testid={testId}>
            <header>
                <h2 id={id}>{title}</h2>
                {lead && <p className="lead">{lead}</p>}
            </header>
            <div className="body">{children}</div>
            {calls.length > 0 && (
                <ul className="calls" aria-label="What is used here">
                    {calls.map(([name, via]) => (
                        <li key={name}>
                            <ViaBadge via={via} /> <code>{name}</code>
                        </li>
                    ))}
                </ul>
            )}
        </section>
    );
}

/** The way that a call or a push takes. */
export function ViaBadge({ via }: { via: Via }) {
    return <span className={`via ${via.toLowerCase()}`}>{via}</span>;
}
