import { readAddress, writeAddress } from './address.js';
import { showConnection } from './connection.js';
import { byId, h, say } from './dom.js';
import { Functions } from './functions.js';
import { List } from './list.js';
import { Panel } from './panel.js';
import { Past } from './past.js';
import { Pushes } from './pushes.js';

/** @import * as T from './types.js' */

const functions = new Functions();
const list = new List();
const place = byId('function');
/** What was typed for the functions that were looked at. @type {Map<string, T.Draft>} */
const drafts = new Map();
/** @type {Panel | undefined} */
let panel;

const past = new Past(byId('history'), byId('no-history'), (call) => {
    const { name, over, args, raw } = call;
    if (show({ name, over, args, raw })) {
        panel?.call();
    }
});
byId('clear-history').addEventListener('click', () => past.clear());

/** @param {T.Draft | undefined} draft @returns {boolean} whether there is such a function */
function show(draft) {
    document.body.dataset.view = draft ? 'function' : 'list';
    const func = draft && functions.find(draft.name);
    list.mark(func?.name ?? '');
    document.title = func ? `${func.name} · isomor console` : 'isomor console';
    if (!draft || !func) {
        panel = undefined;
        place.replaceChildren(draft ? missing(draft.name) : welcome());
        return false;
    }
    panel = new Panel(func, functions.schemas, draft, { changed: keep, called });
    place.replaceChildren(panel.element);
    keep(panel.draft);
    return true;
}

/** @param {T.Draft} draft */
function keep(draft) {
    drafts.set(draft.name, draft);
    if (draft.name === panel?.func.name) {
        writeAddress(draft);
    }
}

/** @param {T.Past} call @param {any} error */
function called(call, error) {
    past.add(call);
    // The function is another by now.
    if (['OUTDATED_CLIENT', 'NOT_FOUND', 'UPGRADE_REQUIRED', 'HTTP_REQUIRED'].includes(error?.code)) {
        refresh();
    }
}

/** Have what the server has. What is typed stays, where the function has it still. */
async function refresh() {
    try {
        const isFirst = functions.all.length === 0;
        if (!(await functions.load())) {
            return;
        }
        byId('load-error').hidden = true;
        list.fill(functions.all);
        const current = readAddress();
        const func = current && functions.find(current.name);
        // One that is gone stays to be read, with its last answer.
        if (isFirst || (func && func.print !== panel?.func.print)) {
            show(current);
        }
        if (!isFirst) {
            say('The functions have changed; the list is up to date.');
        }
    } catch (error) {
        if (!functions.all.length) {
            byId('load-error').hidden = false;
            byId('load-error').textContent = `The functions could not be read: ${error}`;
        }
    }
}

/** @param {string} title @param {...(Node | string)} more */
const note = (title, ...more) => h('div', { class: 'welcome' }, h('h1', {}, title), h('p', {}, ...more));

/** @param {string} name */
const missing = (name) => note('There is no such function', h('code', {}, name));

const welcome = () =>
    note(
        'Every function, to be tried',
        'Choose one to see what it takes, and to call it. ',
        h('kbd', {}, '/ searches'),
    );

window.addEventListener('hashchange', () => {
    const asked = readAddress();
    show(asked && asked.args === undefined ? { ...drafts.get(asked.name), ...defined(asked) } : asked);
    // Where the list had to give way to it, it is what is gone back to.
    panel ? panel.focus() : byId('search').focus();
    scrollTo(0, 0);
});

/** @param {T.Draft} draft @returns {T.Draft} */
const defined = ({ name, over, raw }) => ({ name, ...(over && { over }), ...(raw && { raw }) });

const pushes = new Pushes();
showConnection((event) => {
    if (event.type === 'gap') {
        pushes.gap(event.topic);
    } else if (event.type === 'open' && event.again) {
        refresh();
    }
});
// Who comes back from an editor may have changed a function.
window.addEventListener('focus', refresh);
document.addEventListener('visibilitychange', () => document.hidden || refresh());
refresh();
