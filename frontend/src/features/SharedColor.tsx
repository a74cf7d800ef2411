import { useEffect, useId, useRef, useState } from 'react';
import { onState, subscribe, unsubscribe } from 'isomor';
import getColor from 'api/get_color';
import setColor from 'api/set_color';
import watchColor from 'api/watch_color';
import { Card } from '../components/Card';
import { ErrorNote } from '../components/ErrorNote';
import { textOn } from '../lib/contrast';
import { useCall } from '../lib/useCall';

const PRESETS = { Green: '#2e8b57', Sky: '#7cc4f8', Plum: '#6d3b8e', Amber: '#f2b134', Brick: '#b5452f' };

/** One colour for all: whoever sets it, every page that has joined the topic hears of it, on every container. */
export function SharedColor() {
    const id = useId();
    const [color, show] = useState<string>();
    const [fault, setFault] = useState<unknown>();
    const refresh = useCall(async () => show(await getColor()));
    const [wanted, want] = useState<string>(); // while it is dragged, and until the server has it
    const send = useLatest(setColor);
    const set = useCall(async (value: string) => {
        want(value);
        await send(value).finally(() => want(undefined));
    });

    useEffect(() => {
        // `watchColor` answers with the colour of now: after a reconnect, too.
        const join = async () => {
            try {
                show(await watchColor());
                setFault(undefined);
            } catch (error) {
                setFault(error);
                throw error; // it is tried again, where that may help
            }
        };
        const key = subscribe(show, { topic: 'color', join });
        return () => unsubscribe(key);
    }, []);

    // Pushes were lost: ask for what they told.
    useEffect(() => {
        return onState((event) => {
            if (event.type === 'gap' && event.topic === 'color') {
                void refresh.run();
            }
        });
    }, [refresh.run]);

    const shown = color ?? '#2e8b57';
    return (
        <Card
            title="A colour for everyone"
            lead="Set over HTTP, and pushed to every page that watches."
            calls={[
                ['set_color', 'HTTP'],
                ['watch_color', 'WebSocket'],
                ['color', 'Push'],
            ]}
            testId="color"
        >
            <div className="swatch" style={{ backgroundColor: shown, color: textOn(shown) }} data-testid="color-swatch">
                <label htmlFor={id}>Choose a colour</label>
                <output aria-live="polite" data-testid="color-value">
                    {color ?? '—'}
                </output>
                <input id={id} type="color" value={wanted ?? shown} onChange={(event) => set.run(event.target.value)} />
            </div>
            <div className="presets" role="group" aria-label="Colours to choose from">
                {Object.entries(PRESETS).map(([name, preset]) => (
                    <button
                        key={name}
                        type="button"
                        aria-label={name}
                        aria-pressed={preset === color}
                        title={name}
                        style={{ backgroundColor: preset, color: textOn(preset) }}
                        onClick={() => set.run(preset)}
                    />
                ))}
            </div>
            <ErrorNote error={set.error ?? refresh.error ?? fault} />
        </Card>
    );
}

/** One call at a time: of what comes meanwhile, as while a colour is dragged, the last one is sent. */
function useLatest<T>(fn: (value: T) => Promise<unknown>) {
    const waiting = useRef<{ value: T } | undefined>(undefined);
    const running = useRef<Promise<void> | undefined>(undefined);
    return (value: T): Promise<void> => {
        waiting.current = { value };
        running.current ??= (async () => {
            try {
                for (let next = waiting.current; next; next = waiting.current) {
                    waiting.current = undefined;
                    await fn(next.value);
                }
            } finally {
                running.current = undefined;
            }
        })();
        return running.current;
    };
}
