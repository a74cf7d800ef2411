import { IsomorError } from 'isomor';

/** What a call was rejected with, for people to see. The frame is always there, so that screen readers tell of it. */
export function ErrorNote({ error }: { error: unknown }) {
    return (
        <div role="status" className="error-frame">
            {error !== undefined && <Note error={error} />}
        </div>
    );
}

function Note({ error }: { error: unknown }) {
    if (!(error instanceof IsomorError)) {
        return (
            <div className="error" data-testid="error">
                {String(error)}
            </div>
        );
    }
    const { code, status, message, errorId } = error;
    return (
        <div className="error" data-testid="error">
            <p>{message}</p>
            <dl className="facts">
                <dt>Code</dt>
                <dd>
                    <code data-testid="error-code">{code}</code>
                </dd>
                <dt>Status</dt>
                <dd data-testid="error-status">{status || 'no answer'}</dd>
                {errorId && (
                    <>
                        <dt>In the log</dt>
                        <dd>
                            <code>{errorId}</code>
                        </dd>
                    </>
                )}
            </dl>
        </div>
    );
}
