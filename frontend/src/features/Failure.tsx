import raiseError from 'api/raise_error';
import { Button } from '../components/Button';
import { Card } from '../components/Card';
import { ErrorNote } from '../components/ErrorNote';
import { useCall } from '../lib/useCall';

const CODE = `raise ApiError(
    "This function always fails",
    code="ALWAYS_FAILS",
    status=409,
)`;

/** What a function raises as `ApiError` arrives as it is; any other exception stays in the server's log. */
export function Failure() {
    const { run, error } = useCall(raiseError);
    return (
        <Card
            title="An error"
            lead="What a function raises as ApiError can be caught here. Other exceptions stay in the server’s log."
            calls={[['raise_error', 'HTTP']]}
            testId="failure"
        >
            <pre tabIndex={0} aria-label="What the function does">
                <code>{CODE}</code>
            </pre>
            <Button onClick={() => run()}>Call what fails</Button>
            <ErrorNote error={error} />
        </Card>
    );
}
