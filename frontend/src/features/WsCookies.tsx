import { useEffect, useState, type ReactNode } from 'react';
import { setWsConfig } from 'isomor';
import getCookieDefault from 'api/get_cookie_default';
import getTheme from 'api/get_theme';
import sendCookies from 'api/use_cookies';
import { Button } from '../components/Button';
import { ErrorNote } from '../components/ErrorNote';
import { connection } from '../lib/connection';
import { theme } from '../lib/theme';
import { useCall } from '../lib/useCall';

type Way = 'page' | 'function' | 'server';

/** Cookies over WebSocket, switched on in each of three ways. Who has spoken last is right. */
export function WsCookies() {
    const [said, setSaid] = useState<{ by: Way; on: boolean }>();
    const { opened } = connection.use();
    const current = theme.use();
    const ask = useCall(getTheme);
    const byDefault = useCall(getCookieDefault);
    const byFunction = useCall(async (on: boolean) => {
        await sendCookies(on);
        setSaid({ by: 'function', on });
    });
    const byPage = (on: boolean) => {
        setWsConfig({ withCookie: on });
        setSaid({ by: 'page', on });
    };

    // What the server has set in startup, each connection is told as it opens.
    useEffect(() => void (opened && byDefault.run()), [opened, byDefault.run]);
    useEffect(() => {
        if (byDefault.result) {
            setSaid({ by: 'server', on: true });
        }
    }, [opened, byDefault.result]);

    // Whatever has changed: what does the function see now?
    useEffect(() => void (opened && ask.run()), [opened, current, said, ask.run]);

    const saw = ask.result === undefined ? '—' : (ask.result ?? 'nothing');
    return (
        <section aria-labelledby="ws-cookies" data-testid="ws-cookies">
            <h3 id="ws-cookies">Over WebSocket</h3>
            <p className="saw">
                <span>
                    <code>get_theme</code> saw
                </span>
                <output aria-live="polite" data-testid="ws-theme" className={ask.result ? 'something' : ''}>
                    {saw}
                </output>
                <Button onClick={() => ask.run()}>Ask again</Button>
            </p>
            <ul className="ways">
                <WayOf title="In this page" code="setWsConfig({ withCookie: true })">
                    <OnOff name="In this page" pressed={said?.by === 'page' ? said.on : undefined} onChange={byPage} />
                </WayOf>
                <WayOf title="By a function" code="ctx.set_ws_config(with_cookie=True)">
                    <OnOff
                        name="By a function"
                        pressed={said?.by === 'function' ? said.on : undefined}
                        onChange={byFunction.run}
                    />
                </WayOf>
                <WayOf title="By the server, for everyone" code="set_ws_default_config(with_cookie=True)">
                    <span className="default" data-testid="ws-default">
                        {byDefault.result === undefined ? '—' : byDefault.result ? 'On' : 'Off'}
                    </span>
                </WayOf>
            </ul>
            <p className="hint">
                {byDefault.result
                    ? 'This server was started with WS_WITH_COOKIE=1.'
                    : 'To have it on for everyone, start the server with WS_WITH_COOKIE=1.'}
            </p>
            <ErrorNote error={byFunction.error ?? ask.error ?? byDefault.error} />
        </section>
    );
}

function WayOf({ title, code, children }: { title: string; code: string; children: ReactNode }) {
    return (
        <li>
            <span>{title}</span>
            {children}
            <code>{code}</code>
        </li>
    );
}

interface OnOffProps {
    name: string;
    /** What was said this way, if it was the last word. */
    pressed: boolean | undefined;
    onChange: (on: boolean) => unknown;
}

function OnOff({ name, pressed, onChange }: OnOffProps) {
    return (
        <div className="on-off" role="group" aria-label={name}>
            {[true, false].map((on) => (
                <button key={String(on)} type="button" aria-pressed={pressed === on} onClick={() => void onChange(on)}>
                    {on ? 'On' : 'Off'}
                </button>
            ))}
        </div>
    );
}
