/** What a call rejects with; see index.d.ts. */
export class IsomorError extends Error {
    /**
     * @param {string} code
     * @param {string} message
     * @param {import('../index.js').IsomorErrorFields} [more]
     */
    constructor(code, message, { status = 0, details, errorId, cause } = {}) {
        super(message, { cause });
        this.name = 'IsomorError';
        this.code = code;
        this.status = status;
        this.details = details;
        this.errorId = errorId;
    }
}

/**
 * The error that an answer holds. isomor 3's server gives only the message.
 *
 * @param {unknown} message
 * @param {any} answer
 */
export const answered = (message, { code = 'ERROR', ...more }) => new IsomorError(code, String(message), more);
