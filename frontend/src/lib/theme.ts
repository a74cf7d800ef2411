import { createStore } from './store';

export const THEMES = ['light', 'dark', 'system'] as const;
export type Theme = (typeof THEMES)[number];

/** The theme that the cookie names; public/theme.js has put it on the page before anything was painted. */
export const theme = createStore<Theme | undefined>(fromCookie());

function fromCookie(): Theme | undefined {
    const value = /(?:^|; )theme=([^;]*)/.exec(document.cookie)?.[1];
    return THEMES.find((one) => one === value);
}

/** The cookie has changed: so does the look. */
export function readTheme() {
    theme.set(fromCookie());
    document.documentElement.dataset.theme = theme.get() ?? 'system';
}
