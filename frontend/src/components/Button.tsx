import type { ComponentProps } from 'react';

interface Props extends ComponentProps<'button'> {
    /** Shown as off, and does nothing; but the focus may stay on it, as it could not on a `disabled` one. */
    off?: boolean;
    kind?: 'main' | 'plain';
}

export function Button({ off = false, kind = 'plain', onClick, type = 'button', ...rest }: Props) {
    return (
        <button
            {...rest}
            type={type}
            className={`button ${kind}`}
            aria-disabled={off || undefined}
            onClick={(event) => (off ? event.preventDefault() : onClick?.(event))}
        />
    );
}
