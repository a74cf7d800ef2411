import { ConnectionState } from './ConnectionState';

export function Header() {
    return (
        <header className="top">
            <div>
                <p className="brand">
                    <svg viewBox="0 0 32 32" aria-hidden="true">
                        <path d="M8 12h14l-4-4M24 20H10l4 4" />
                    </svg>
                    isomor <span>for Python</span>
                </p>
                <p className="pill">
                    <ConnectionState />
                </p>
            </div>
        </header>
    );
}
