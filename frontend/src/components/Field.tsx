import { useId, type ComponentProps } from 'react';

interface Props extends ComponentProps<'input'> {
    label: string;
    hint?: string;
    /** What is wrong with it. */
    fault?: string | undefined;
}

/** An input with its label, and below it what is wrong; all of it known to screen readers. */
export function Field({ label, hint, fault, className = '', ...input }: Props) {
    const id = useId();
    const described = [fault && `${id}-fault`, hint && `${id}-hint`].filter(Boolean).join(' ');
    return (
        <div className={`field ${className}`}>
            <label htmlFor={id}>{label}</label>
            <input
                autoComplete="off"
                {...input}
                id={id}
                aria-invalid={fault ? true : undefined}
                aria-describedby={described || undefined}
            />
            {fault && (
                <p className="fault" id={`${id}-fault`}>
                    {fault}
                </p>
            )}
            {hint && (
                <p className="hint" id={`${id}-hint`}>
                    {hint}
                </p>
            )}
        </div>
    );
}
