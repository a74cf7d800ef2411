import { useEffect, useState } from 'react';
import getAuth from 'api/get_auth';
import setAuth from 'api/set_auth';
import { Button } from '../components/Button';
import { ErrorNote } from '../components/ErrorNote';
import { Field } from '../components/Field';
import { useCall } from '../lib/useCall';

/** An HttpOnly cookie: the browser sends it with each HTTP call, and no script can read it. */
export function SignIn() {
    const [token, setToken] = useState('');
    const auth = useCall(getAuth);
    const change = useCall(async (value: string) => {
        await setAuth(value);
        await auth.run();
    });

    useEffect(() => void auth.run(), [auth.run]);

    return (
        <section aria-labelledby="sign-in" data-testid="sign-in">
            <h3 id="sign-in">Sign in</h3>
            <p className="lead">An HttpOnly cookie: functions see it, scripts do not.</p>
            <form
                className="column"
                aria-label="Sign in"
                noValidate
                onSubmit={(event) => {
                    event.preventDefault();
                    void change.run(token);
                }}
            >
                <Field label="Token" value={token} onChange={(event) => setToken(event.target.value)} />
                <div className="row">
                    <Button type="submit" kind="main" off={!token}>
                        Sign in
                    </Button>
                    <Button onClick={() => change.run('')} off={!auth.result}>
                        Sign out
                    </Button>
                </div>
            </form>
            <dl className="facts wide">
                <dt>
                    <code>get_auth</code> sees
                </dt>
                <dd>
                    <output aria-live="polite" data-testid="auth-value">
                        {auth.result === undefined ? '—' : (auth.result ?? 'nothing')}
                    </output>
                </dd>
                <dt>Scripts see</dt>
                <dd data-testid="auth-script">{/(?:^|; )auth=/.test(document.cookie) ? 'it' : 'nothing of it'}</dd>
            </dl>
            <ErrorNote error={change.error ?? auth.error} />
        </section>
    );
}
