import { useRef, useState } from 'react';
import setUser from 'api/set_user';
import { Button } from '../components/Button';
import { Card } from '../components/Card';
import { ErrorNote } from '../components/ErrorNote';
import { Field } from '../components/Field';
import { faultAt, faultsOf, useFocusOnFault } from '../lib/faults';
import { useCall } from '../lib/useCall';

/** The server validates against the type hints; `details` of the error say what is wrong with which field. */
export function UserForm() {
    const [name, setName] = useState('');
    const [email, setEmail] = useState('');
    const form = useRef<HTMLFormElement>(null);
    const { run, result, error, busy } = useCall(setUser);
    const faults = faultsOf(error);
    useFocusOnFault(error, form);

    return (
        <Card
            title="A validated form"
            lead="Checked by the function’s type hints alone; every fault is told at once."
            calls={[['set_user', 'HTTP']]}
            testId="user-form"
        >
            <form
                ref={form}
                aria-label="User"
                className="column"
                noValidate
                onSubmit={(event) => {
                    event.preventDefault();
                    void run({ name, email });
                }}
            >
                <Field
                    label="Name"
                    hint="2 to 20 characters"
                    value={name}
                    fault={faultAt(error, 'user', 'name')}
                    onChange={(event) => setName(event.target.value)}
                />
                <Field
                    label="E-mail"
                    hint="Such as ada@example.com"
                    inputMode="email"
                    value={email}
                    fault={faultAt(error, 'user', 'email')}
                    onChange={(event) => setEmail(event.target.value)}
                />
                <div className="row">
                    <Button type="submit" kind="main" off={busy}>
                        Send
                    </Button>
                    <p role="status" className={result ? 'good' : 'hint'} data-testid="user-answer">
                        {result ?? (faults.length > 0 && `${faults.length} to put right`)}
                    </p>
                </div>
            </form>
            <ErrorNote error={faults.length ? undefined : error} />
        </Card>
    );
}
