import { useEffect, type RefObject } from 'react';
import { IsomorError, type ArgFault } from 'isomor';

/** What was wrong with the arguments, if that is what the error is about. */
export const faultsOf = (error: unknown): ArgFault[] =>
    error instanceof IsomorError && error.code === 'INVALID_ARGS' && Array.isArray(error.details) ? error.details : [];

/** The words for one field: that of a parameter, or of a property of it by its path. */
export function faultAt(error: unknown, param: string, path = ''): string | undefined {
    const fault = faultsOf(error).find((one) => one.param === param && one.path === path);
    return fault && explain(fault);
}

function explain({ expected, got }: ArgFault): string {
    const [, bound, length] = /^str of length (>=|<=) (\d+)$/.exec(expected) ?? [];
    if (length) {
        return `${bound === '>=' ? 'At least' : 'At most'} ${length} character${length === '1' ? '' : 's'}, please.`;
    }
    return expected.includes('matching regex') ? 'This does not have the right form.' : `Expected ${expected}, got ${got}.`;
}

/** After a call that failed, the focus goes to the first field that is at fault. */
export function useFocusOnFault(error: unknown, form: RefObject<HTMLElement | null>) {
    useEffect(() => {
        if (faultsOf(error).length) {
            form.current?.querySelector<HTMLElement>('[aria-invalid="true"]')?.focus();
        }
    }, [error, form]);
}
