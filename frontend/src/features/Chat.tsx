import { useEffect, useRef, useState } from 'react';
import { subscribe, unsubscribe } from 'isomor';
import joinRoom from 'api/join_room';
import leaveRoom from 'api/leave_room';
import sendMessage from 'api/send_message';
import { Button } from '../components/Button';
import { Card } from '../components/Card';
import { ErrorNote } from '../components/ErrorNote';
import { Field } from '../components/Field';
import { faultAt, faultsOf, useFocusOnFault } from '../lib/faults';
import { useCall } from '../lib/useCall';
import { Messages, type Said } from './Messages';

const KEPT = 100;

/** A room is a topic: `join_room` joins it over WebSocket, `send_message` pushes to it over HTTP. */
export function Chat() {
    const [room, setRoom] = useState('lobby');
    const [name, setName] = useState(() => `Guest ${100 + Math.floor(Math.random() * 900)}`);
    const [text, setText] = useState('');
    const [said, setSaid] = useState<Said[]>([]);
    const [joined, setJoined] = useState<string>();
    const [servedBy, setServedBy] = useState<string>();
    const form = useRef<HTMLFormElement>(null);
    const door = useRef<HTMLFormElement>(null);

    const join = useCall(joinRoom);
    const leave = useCall(leaveRoom);
    const send = useCall(sendMessage);
    useFocusOnFault(send.error, form);
    useFocusOnFault(join.error, door);

    useEffect(() => {
        if (joined === undefined) {
            return;
        }
        const hear = (message: Omit<Said, 'key' | 'at'>) =>
            setSaid((before) => {
                const said = { ...message, key: (before.at(-1)?.key ?? 0) + 1, at: new Date() };
                return [...before, said].slice(-KEPT);
            });
        // After a reconnect the room is joined again, perhaps on another container.
        const key = subscribe(hear, { topic: `room:${joined}`, join: async () => setServedBy(await joinRoom(joined)) });
        return () => unsubscribe(key);
    }, [joined]);

    const goThroughDoor = async () => {
        if (joined === undefined) {
            if (await join.run(room)) {
                setJoined(room);
            }
        } else if (await leave.run(joined)) {
            setJoined(undefined);
        }
    };

    const say = async () => {
        if (await send.run(joined ?? room, name, text)) {
            setText('');
        }
    };

    return (
        <Card
            title="Chat"
            lead="Each message names the container that took it; all pages in the room hear it."
            calls={[
                ['send_message', 'HTTP'],
                ['join_room', 'WebSocket'],
                ['leave_room', 'WebSocket'],
                [`room:${joined ?? room}`, 'Push'],
            ]}
            testId="chat"
            className="wide"
        >
            <form
                ref={door}
                className="row door"
                aria-label="Join and leave"
                noValidate
                onSubmit={(event) => {
                    event.preventDefault();
                    void goThroughDoor();
                }}
            >
                <Field
                    label="Room"
                    value={room}
                    readOnly={joined !== undefined}
                    fault={faultAt(join.error, 'room') ?? faultAt(send.error, 'room')}
                    onChange={(event) => setRoom(event.target.value)}
                />
                <Button type="submit">{joined === undefined ? 'Join' : 'Leave'}</Button>
                <p role="status" className="served" data-testid="chat-served">
                    {joined === undefined ? (
                        'You are in no room.'
                    ) : (
                        <>
                            Served by <code>{servedBy ?? join.result}</code>
                        </>
                    )}
                </p>
            </form>
            <Messages said={said} />
            <form
                ref={form}
                className="row say"
                aria-label="Say something"
                noValidate
                onSubmit={(event) => {
                    event.preventDefault();
                    void say();
                }}
            >
                <Field
                    label="Your name"
                    className="narrow"
                    value={name}
                    fault={faultAt(send.error, 'name')}
                    onChange={(event) => setName(event.target.value)}
                />
                <Field
                    label="Message"
                    value={text}
                    fault={faultAt(send.error, 'text')}
                    onChange={(event) => setText(event.target.value)}
                />
                <Button type="submit" kind="main" off={send.busy}>
                    Send
                </Button>
            </form>
            <ErrorNote
                error={[send.error, join.error, leave.error].find((error) => error && !faultsOf(error).length)}
            />
        </Card>
    );
}
