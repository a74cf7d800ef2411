import { useState } from 'react';
import setTheme from 'api/set_theme';
import { Choice } from '../components/Choice';
import { ErrorNote } from '../components/ErrorNote';
import { readTheme, theme, THEMES, type Theme } from '../lib/theme';
import { useCall } from '../lib/useCall';

/** A cookie that scripts can read, set by a function: it is the look of this page. */
export function ThemeChoice() {
    const current = theme.use();
    const [wanted, setWanted] = useState<Theme>(); // while the server is being asked
    const change = useCall(async (value: Theme) => {
        setWanted(value);
        try {
            await setTheme(value);
        } finally {
            readTheme();
            setWanted(undefined);
        }
    });

    return (
        <section aria-labelledby="theme" data-testid="theme">
            <h3 id="theme">Theme</h3>
            <p className="lead">A cookie that scripts can read, too. It is the look of this page.</p>
            <Choice
                legend="Look"
                options={THEMES}
                labels={{ light: 'Light', dark: 'Dark', system: 'As the system' }}
                value={wanted ?? current ?? 'system'}
                onChange={change.run}
            />
            <dl className="facts wide">
                <dt>Scripts see</dt>
                <dd data-testid="theme-script">{current ?? 'nothing'}</dd>
            </dl>
            <ErrorNote error={change.error} />
        </section>
    );
}
