export class IsomorError extends Error {
    /** @param {import('../index.js').IsomorErrorFields} more */
    constructor(code = 'ERROR', message = '', more = {}) {
        super(message, more);
        this.name = 'IsomorError';
        this.code = code;
        this.status = more.status ?? 0;
        this.details = more.details;
        this.errorId = more.errorId;
    }
}
