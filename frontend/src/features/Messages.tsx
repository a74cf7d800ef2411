import { useEffect, useRef } from 'react';

export interface Said {
    key: number;
    at: Date;
    name: string;
    text: string;
    container: string;
}

/** What was said in the room, the newest at the foot. */
export function Messages({ said }: { said: readonly Said[] }) {
    const list = useRef<HTMLOListElement>(null);

    useEffect(() => {
        const { current } = list;
        current?.scrollTo({ top: current.scrollHeight });
    }, [said]);

    return (
        <div role="log" aria-label="Messages" className="messages" data-testid="messages">
            <ol ref={list} tabIndex={0} aria-label="Messages, from old to new">
                {said.map(({ key, at, name, text, container }) => (
                    <li key={key} data-testid="message">
                        <p className="who">
                            <strong>{name}</strong>
                            <time dateTime={at.toISOString()}>{at.toLocaleTimeString()}</time>
                            <code data-testid="message-container" title="The container that took it">
                                <span className="sr">by container </span>
                                {container}
                            </code>
                        </p>
                        <p>{text}</p>
                    </li>
                ))}
            </ol>
            {said.length === 0 && <p className="empty">Nothing was said yet.</p>}
        </div>
    );
}
