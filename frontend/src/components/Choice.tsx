import { useId } from 'react';

interface Props<T extends string> {
    legend: string;
    options: readonly T[];
    labels: Record<T, string>;
    value: T;
    onChange: (value: T) => void;
}

/** One of a few: radio buttons in a row. */
export function Choice<T extends string>({ legend, options, labels, value, onChange }: Props<T>) {
    const name = useId();
    return (
        <fieldset className="choice">
            <legend>{legend}</legend>
            <div>
                {options.map((option) => (
                    <label key={option}>
                        <input
                            type="radio"
                            name={name}
                            value={option}
                            checked={option === value}
                            onChange={() => onChange(option)}
                        />
                        <span>{labels[option]}</span>
                    </label>
                ))}
            </div>
        </fieldset>
    );
}
